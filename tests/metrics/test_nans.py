"""Runs that are or were NaN are found by a filter and marked in tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive, FilterError, RunNotFoundError
from tests.cli.calls import call


@pytest.fixture
def diverged(archive: Archive) -> Archive:
    """Run a is NaN from step 21 on, b was NaN at step 3, c never; d has no metric."""
    for name in "abc":
        with archive.start_run(name=name) as run:
            for step in range(30):
                is_nan = (name == "a" and step >= 21) or (name == "b" and step == 3)
                run.log({"loss": math.nan if is_nan else 1.0, "acc": 0.5}, step)
            if name == "a":
                run.log({"late": math.nan}, 40)
    archive.start_run(name="d").complete()
    return archive


def names(archive: Archive, where: str) -> str:
    return "".join(sorted(run.name or "" for run in archive.runs().where(where)))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("has_nan", "ab"),
        ("HAS_NAN", "ab"),
        ("not has_nan", "cd"),
        ("has_nan = true", "ab"),
        ("has_nan = false", "cd"),
        ("has_nan != true", "cd"),
        ("has_nan in (true, false)", "abcd"),
        ("has_nan is null", ""),
        ("(has_nan) and name != a", "b"),
        ("name = c or has_nan", "abc"),
        ("has_nan and exists metrics.late", "a"),
        ("dirty or not dirty", "abcd"),
    ],
)
def test_a_filter_finds_them(diverged: Archive, where: str, expected: str) -> None:
    assert names(diverged, where) == expected
    assert diverged.runs().where(where).count() == len(expected)


@pytest.mark.parametrize("where", ["has_nan like 'x'", "has_nan > true", "has_nan = 1", "has_nan name = a"])
def test_what_is_wrong_is_refused(diverged: Archive, where: str) -> None:
    with pytest.raises(FilterError):
        diverged.runs().where(where)


def test_a_column_tells(diverged: Archive) -> None:
    rows = diverged.runs().order_by("-has_nan", "name").to_dicts(["name", "has_nan"])
    assert [tuple(row.values()) for row in rows] == [("a", True), ("b", True), ("c", False), ("d", False)]


def test_the_first_step_is_told(diverged: Archive) -> None:
    ids = {run.name: run.run_id for run in diverged.list_runs()}
    assert diverged.nan_steps(diverged.runs()) == {
        ids["a"]: {"late": 40, "loss": 21},
        ids["b"]: {"loss": 3},
    }
    assert diverged.nan_steps(ids["a"]) == {ids["a"]: {"late": 40, "loss": 21}}
    assert diverged.nan_steps([]) == {}
    assert diverged.show_run(ids["b"]).nan_steps == {"loss": 3}
    with pytest.raises(RunNotFoundError):
        diverged.nan_steps("zzzz")


def test_tables_mark_them(diverged: Archive) -> None:
    path = Path(diverged.path)

    def line(out: str, begin: str) -> Any:
        (found,) = (one for one in out.splitlines() if begin in one)
        return found

    listed = call(path, "ls").stdout
    assert "loss from step 21, 1 more" in line(listed, " a ")
    assert "loss at step 3" in line(listed, " b ")
    assert "NaN" not in call(path, "ls", "--where", "not has_nan").stdout
    shown = call(path, "show", "a").stdout
    assert line(shown, "late").rstrip().endswith("from step 40")
    assert line(shown, "loss").rstrip().endswith("from step 21")
    assert "at step 3" in line(call(path, "show", "b").stdout, "loss")
