"""The everyday effort leaves out cases and tries, and no test; the thorough one leaves out nothing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests import effort


class Item:
    """What `leave_out` asks of a test."""

    def __init__(self, name: str, part: int | None) -> None:
        self.nodeid = f"tests/test_it.py::{name}"
        self._part = part

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        assert name == "sampled"
        return None if self._part is None else cast(Any, pytest.mark.sampled(self._part)).mark


ITEMS = [
    *(Item(f"test_many[{number}]", 4) for number in range(102)),
    Item("test_one", None),
    *(Item(f"test_few[{number}]", 4) for number in range(3)),
    *(Item(f"test_all[{number}]", None) for number in range(9)),
]


def run_names(monkeypatch: pytest.MonkeyPatch, items: list[Item], *, is_thorough: bool) -> list[str]:
    monkeypatch.setattr(effort, "IS_THOROUGH", is_thorough)
    return [item.nodeid.rpartition("::")[2] for item in effort.leave_out(cast(Any, items))]


def test_of_sampled_cases_the_same_part_is_run_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run_names(monkeypatch, ITEMS, is_thorough=False)
    assert [name.partition("[")[0] for name in found] == [
        *["test_many"] * 26,
        "test_one",
        "test_few",
        *["test_all"] * 9,
    ]
    assert sorted(run_names(monkeypatch, ITEMS[::-1], is_thorough=False)) == sorted(found)
    assert found[:26] != [f"test_many[{number}]" for number in range(26)]


def test_the_thorough_effort_runs_all_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run_names(monkeypatch, ITEMS, is_thorough=True)
    assert found == [item.nodeid.rpartition("::")[2] for item in ITEMS]


def test_tries_are_a_part_and_never_none(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [1, 3, 5, 40, 500]
    monkeypatch.setattr(effort, "IS_THOROUGH", True)
    assert [effort.tries(number) for number in numbers] == numbers
    monkeypatch.setattr(effort, "IS_THOROUGH", False)
    assert [effort.tries(number) for number in numbers] == [1, 3, 3, 8, 100]


def chosen_folder(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *, free_bytes: int, **facts: object
) -> str | None:
    """The folder of temporary files that is chosen where memory is at `folder` and has this much room."""
    for name, value in {"IS_THOROUGH": False, "IN_MEMORY": str(folder), **facts}.items():
        monkeypatch.setattr(effort, name, value)
    status = SimpleNamespace(f_bavail=free_bytes // 4096, f_frsize=4096)
    monkeypatch.setattr(effort.os, "statvfs", lambda _folder: status, raising=False)
    monkeypatch.setattr(effort.tempfile, "tempdir", None)
    effort.keep_files_in_memory()
    return os.environ.get("TMPDIR")


def test_files_are_kept_in_memory_where_it_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enough = effort.ENOUGH_BYTES
    monkeypatch.setenv("TMPDIR", "chosen by the user")
    assert chosen_folder(monkeypatch, tmp_path, free_bytes=enough) == "chosen by the user"
    monkeypatch.delenv("TMPDIR")
    assert chosen_folder(monkeypatch, tmp_path, free_bytes=enough - 4096) is None
    assert chosen_folder(monkeypatch, tmp_path / "none", free_bytes=enough) is None
    assert chosen_folder(monkeypatch, tmp_path, free_bytes=enough, IS_THOROUGH=True) is None
    assert chosen_folder(monkeypatch, tmp_path, free_bytes=enough) == str(tmp_path)
    assert tempfile.gettempdir() == str(tmp_path)
