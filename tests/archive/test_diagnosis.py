"""What a report of a fault needs is found without making or changing an archive; a folder is tried out."""

from __future__ import annotations

import json
import mmap
import os
import sqlite3
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

import pytest

import exptrack
from exptrack import Archive, FolderCheck, InvalidTypeError, diagnose
from exptrack.database import folder_checks
from tests.cli.calls import call


def tried(found: exptrack.Diagnosis) -> dict[str, bool]:
    return {check.name: check.passed for check in found.checks}


def test_a_folder_that_is_fit_passes_every_check_and_is_left_as_it_was(tmp_path: Path) -> None:
    found = diagnose(tmp_path / "lab.db")
    assert tried(found) == dict.fromkeys(["file system", "write", "lock", "map", "sync"], True)
    assert found.ok
    assert found.contents == "there is no such file"
    assert os.listdir(tmp_path) == []


def test_an_archive_is_described_and_not_changed(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.start_run().complete()
    before = (tmp_path / "lab.db").read_bytes()
    found = diagnose(tmp_path / "lab.db")
    assert found.contents.startswith(f"format {exptrack.Archive(tmp_path / 'lab.db').info().format}, 1 runs, ")
    assert (tmp_path / "lab.db").read_bytes() == before
    (tmp_path / "text.db").write_text("no archive")
    assert diagnose(tmp_path / "text.db").contents.startswith("cannot be read: ")
    with pytest.raises(InvalidTypeError):
        diagnose(3)  # type: ignore[arg-type]


def test_the_default_archive_the_spool_and_variables_without_secrets_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPTRACK_DB", str(tmp_path / "named.db"))
    monkeypatch.setenv("EXPTRACK_STRANGE", "https://me:verysecret1@host/x")
    found = diagnose()
    assert found.archive == str(tmp_path / "named.db")
    assert "EXPTRACK_DB names" in found.contents
    assert found.variables["EXPTRACK_DB"] == str(tmp_path / "named.db")
    assert "verysecret1" not in found.variables["EXPTRACK_STRANGE"]
    monkeypatch.setenv("EXPTRACK_SPOOL", str(tmp_path / "nowhere"))
    assert tried(diagnose())["write"] is False
    assert tried(diagnose(tmp_path / "lab.db"))["write"] is True


def test_packages_are_those_of_the_metadata_with_the_extras_for_users(monkeypatch: pytest.MonkeyPatch) -> None:
    packages = {(one.name, one.extra): one.version for one in diagnose().packages}
    assert packages["click", ""] == metadata.version("click")
    assert packages["optuna", "sweep"] == metadata.version("optuna")
    assert not {extra for _name, extra in packages} & {"test", "docs", "bench"}

    def find_nothing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", find_nothing)
    assert {one.version for one in diagnose().packages} == {None}
    monkeypatch.setattr(metadata, "requires", find_nothing)
    assert diagnose().packages == ()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_given: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    found = diagnose(tmp_path / "lab.db")
    assert tried(found) == {"file system": True, "write": False}
    assert not found.ok


def check_of(name: str, folder: Path) -> FolderCheck:
    (found,) = [check for check in folder_checks.check_folder(str(folder)) if check.name == name]
    return found


def test_what_a_file_system_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_checks, "find_network", lambda _folder: "nfs4")
    assert check_of("file system", tmp_path).passed is False
    assert "EXPTRACK_SPOOL" in check_of("file system", tmp_path).found

    with monkeypatch.context() as patch:
        patch.setattr(folder_checks, "OTHER", "print(1)\nprint('let in')")
        assert check_of("lock", tmp_path) == FolderCheck(
            "lock",
            False,
            "another process was not kept out of a locked file, or did not see its rows: 1, let in",
        )
    with monkeypatch.context() as patch:
        patch.setattr(folder_checks, "OTHER", "import time\ntime.sleep(60)")
        patch.setattr(folder_checks, "TRIAL_S", 0.2)
        assert "TimeoutExpired" in check_of("lock", tmp_path).found

    def fail(*_given: object, **_options: object) -> None:
        raise OSError(5, "Input/output error")

    for name, home, call_ in (("sync", os, "fsync"), ("map", mmap, "mmap"), ("lock", subprocess, "run")):
        with monkeypatch.context() as patch:
            patch.setattr(home, call_, fail)
            assert check_of(name, tmp_path) == FolderCheck(name, False, "OSError: [Errno 5] Input/output error")
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *_given, **_options: sqlite3.Connection(":memory:"))
        assert "write-ahead log" in check_of("lock", tmp_path).found
    assert os.listdir(tmp_path) == []


def test_the_command_prints_it_and_ends_with_1_where_a_folder_is_not_fit(tmp_path: Path) -> None:
    done = call(tmp_path / "lab.db", "doctor")
    assert done.exit_code == 0
    assert "two processes see each other's rows and locks" in " ".join(done.stdout.split())
    told = json.loads(call(tmp_path / "lab.db", "doctor", "--json").stdout)
    assert [check["name"] for check in told["checks"]] == ["file system", "write", "lock", "map", "sync"]
    assert call(None, "doctor", str(tmp_path / "nowhere" / "lab.db")).exit_code == 1
