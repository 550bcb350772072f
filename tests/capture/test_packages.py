"""The installed packages, by the names of their folders."""

from __future__ import annotations

import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from exptrack.capture.packages import (
    list_packages,
    normalize,
    read_requirements,
    write_requirements,
)


def test_they_are_those_that_the_packages_say_of_themselves() -> None:
    said: dict[str, str] = {}
    for one in distributions():
        said.setdefault(normalize(one.metadata["Name"]), one.version)
    assert len(said) > 10
    assert list_packages() == dict(sorted(said.items()))


def test_the_first_folder_counts_and_a_new_package_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, name in [
        ("a", "My_Tool.x-1.0.dist-info"), ("b", "my_tool.x-2.0.dist-info"), ("b", "old-3.0-py3.11.egg-info"),
        ("b", "~ip-9.dist-info"), ("b", "no_version.dist-info"), ("b", "other-1.0"),
    ]:  # fmt: skip
        (tmp_path / place / name).mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "missing")])
    assert list_packages() == {"my-tool-x": "1.0", "old": "3.0"}
    (tmp_path / "b" / "new-0.1.dist-info").mkdir()
    assert list_packages() == {"my-tool-x": "1.0", "new": "0.1", "old": "3.0"}


def test_requirements_are_read_as_they_were_written() -> None:
    packages = {"a": "1.0", "b": "2!3.0+local.1"}
    assert write_requirements(packages) == "a==1.0\nb==2!3.0+local.1\n"
    assert read_requirements(write_requirements(packages)) == packages
    assert read_requirements("") == {}
