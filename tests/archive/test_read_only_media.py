"""An archive on a read-only medium: exptrack reads it by itself, other programs as the page says."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import exptrack
from exptrack import Archive, ArchiveReadOnlyError
from exptrack.cli import main
from tests.cli.calls import asked, call
from tests.metrics.points import journals
from tests.test_docs import blocks
from tests.test_other_programs import ask_datasette, duckdb_on

LEAVES = """
import os, signal, sys, exptrack
from exptrack.metrics import writer
writer.DRAIN_S = 3600.0  # the points wait in the journal until someone asks for them
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run({"lr": 0.1}, name="killed")
run.log({"loss": 1.0})
run.flush()
for _ in range(3):
    run.log({"late": 3.0})
os.kill(os.getpid(), signal.SIGKILL)
"""
READING = [
    "ls", "info", "verify", "sql 'SELECT * FROM points'", "best loss --max", "top started", "show RUN",
    "history RUN loss", "diff RUN RUN", "compare RUN RUN", "changes RUN", "groups loss lr", "sweep ls",
    "artifacts ls RUN", "artifacts du", "lineage RUN", "view --list", "trash", "watch RUN",
    "artifacts get RUN words -o words", "snapshot copy.db",
    "pack paper.db", "unpack paper.db living.db",
    "digest", "diff-archives PATH paper.db", "extract part.db RUN", "report report.html", "merge all.db PATH",
    "merge PATH paper.db --dry-run", "salvage PATH saved.db",
]  # fmt: skip
WRITING = [
    "tag RUN x",
    "note RUN text",
    "rename RUN other",
    "set RUN key=1",
    "rm RUN --yes",
    "recover",
    "artifacts gc",
    "artifacts rm RUN words --yes",
    "view v config.lr",
    "restore RUN",
    "trash --empty --yes",
    "artifacts alias RUN words best",
    "artifacts put RUN words",
    "merge PATH part.db",
    f"run {shlex.quote(sys.executable)} -c pass",
]
# They need no archive, or other runs than one that is completed, or do not end by themselves.
ELSEWHERE = {
    "config", "completion", "demo", "importance", "sweep run", "sweep resume", "sweep stop", "sweep show",
    "sweep rm",
    "doctor", "salvage", "ui", "tui", "reproduce",
}  # fmt: skip


def seal(place: Path) -> None:
    """Make a folder read-only. Root does not heed the mode of a folder, so for root its medium is."""
    if os.getuid() == 0:
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    else:
        for folder in (place, *(path for path in place.iterdir() if path.is_dir())):
            folder.chmod(0o555)


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A medium with three archives: one finished, one left by a kill, and a snapshot."""
    if os.name != "posix":
        pytest.skip("folder modes are POSIX's")
    place = tmp_path_factory.mktemp("medium")
    if os.getuid() == 0:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True).returncode:
            pytest.skip("this system does not let root mount a disk")
    try:
        for name in ("finished", "killed", "snapshot"):
            (place / name).mkdir()
        with Archive(place / "finished" / "lab.db") as archive:
            with archive.start_run({"lr": 0.1}, name="done", external_id="sacred:7") as run:
                run.log({"loss": 1.0})
                run.artifacts.register_data("words", "to be")
            archive.backup(place / "snapshot" / "lab.db")
        left = place / "killed" / "lab.db"
        subprocess.run([sys.executable, "-c", LEAVES, left], capture_output=True)
        left.with_name("lab.db-shm").unlink()
        seal(place)
        yield place
    finally:
        if os.getuid() == 0:
            subprocess.run(["umount", "--lazy", place], check=True)
        else:
            for folder in (place, *(path for path in place.iterdir() if path.is_dir())):
                folder.chmod(0o755)


def test_every_command_is_tried() -> None:
    tried = {*READING, *WRITING, *ELSEWHERE}
    for name, command in main.load().items():
        leaves = command.commands if isinstance(command, click.Group) and name not in ELSEWHERE else [""]
        for leaf in leaves:
            assert any(f"{one} ".startswith(f"{name} {leaf}".strip() + " ") for one in tried), (name, leaf)


def words_of(command: str, path: Path, run_id: str) -> list[str]:
    return [{"RUN": run_id, "PATH": str(path)}.get(word, word) for word in shlex.split(command)]


@pytest.mark.parametrize("name", ["finished", "snapshot"])
def test_exptrack_reads_everything(medium: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = medium / name / "lab.db"
    with pytest.raises(ArchiveReadOnlyError, match="mode 'ro'"):
        Archive(path)
    with Archive(path, mode="ro") as archive:
        (run,) = archive.list_runs()
        assert (run.status, run.metrics) == ("completed", {"loss": 1.0})
        assert archive.artifacts(run.run_id).get_blob("words") == "to be"
        assert archive.verify().ok
        assert archive.info().waiting == ()
    for command in READING:
        found = call(path, *words_of(command, path, run.run_id))
        assert found.exit_code == 0, (command, found.stderr)
    for command in WRITING:
        assert call(path, *words_of(command, path, run.run_id)).exit_code == ArchiveReadOnlyError.exit_code, (
            command
        )
    monkeypatch.setenv("EXPTRACK_DB", str(path))
    assert exptrack.list_runs() == [run]
    assert exptrack.show_run(run.run_id).summary == run
    assert exptrack.find_run(external_id="sacred:7") == run
    assert exptrack.best_run("loss", "minimize") == run
    assert exptrack.diff_runs(run.run_id, run.run_id).config == ()
    assert len(exptrack.compare([run.run_id]).runs) == 1
    assert exptrack.what_changed(run.run_id) is None
    assert exptrack.read_events(run.run_id)
    assert exptrack.verify().ok
    with pytest.raises(ArchiveReadOnlyError):
        exptrack.start_run()
    assert [one.name for one in path.parent.iterdir()] == ["lab.db"]


def test_what_is_in_a_wal_is_read_by_exptrack_and_in_a_snapshot(
    medium: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = medium / "killed" / "lab.db"
    with Archive(path, mode="ro") as archive:
        (run,) = archive.list_runs()
        assert (run.status, run.metrics) == ("interrupted", {"loss": 1.0})
        journal, wal = archive.info().waiting
        assert (journal.points, journal.path) == (3, str(journals(path.parent)[0]))
        assert wal.path == f"{path}-wal"
        assert archive.verify().ok
    assert len(caplog.messages) == 1
    assert "3 points wait" in caplog.messages[0]
    for command in READING[:4]:
        assert call(path, *words_of(command, path, run.run_id)).exit_code == 0, command
    # Without the WAL another program finds no run; in the snapshot it does.
    with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as bare:
        assert bare.execute("SELECT count(*) FROM runs").fetchall() == [(0,)]
    assert call(path, "snapshot", str(tmp_path / "copy.db")).exit_code == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as bare:
        assert bare.execute("SELECT run_id FROM runs").fetchall() == [(run.run_id,)]
    for one in path.parent.iterdir():
        shutil.copyfile(one, tmp_path / one.name)
    assert asked(tmp_path / "lab.db", "ls")[0]["metrics"] == {"loss": 1.0, "late": 3.0}


def documented() -> list[list[str]]:
    (block,) = [
        one for one in blocks("sh") if (one.page, one.heading) == ("docs/durability.md", "Read-only media")
    ]
    return [shlex.split(line) for line in block.text.splitlines()]


def run_in(folder: Path, words: list[str]) -> str:
    program = {"datasette": [sys.executable, "-m", "datasette"]}.get(words[0], [words[0]])
    done = subprocess.run([*program, *words[1:]], cwd=folder, capture_output=True, text=True, timeout=60)
    return done.stdout if done.returncode == 0 else ""


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the shell of SQLite is not installed")
def test_other_programs_read_an_archive_as_the_page_says(medium: Path) -> None:
    folder = medium / "finished"
    with Archive(folder / "lab.db", mode="ro") as archive:
        run_id = archive.list_runs()[0].run_id
    shell, datasette = documented()
    assert run_in(folder, shell) == f"{run_id}|completed\n"
    assert json.loads(run_in(folder, datasette))[0]["run_id"] == run_id
    plain = [word.replace("file:", "").replace("?immutable=1", "") for word in shell]
    assert run_in(folder, plain) == ""  # in WAL mode it needs a -wal, which it cannot make


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the shell of SQLite is not installed")
def test_other_programs_read_a_snapshot_as_any_file(medium: Path) -> None:
    path = medium / "snapshot" / "lab.db"
    shell, _ = documented()
    plain = [word.replace("file:", "").replace("?immutable=1", "") for word in shell]
    assert run_in(path.parent, plain) == run_in(path.parent, shell) != ""
    (runs,) = ask_datasette(path, ["runs.json?_shape=array"])
    assert [run["status"] for run in runs] == ["completed"]
    with duckdb_on(path) as lab:
        assert lab.execute("SELECT status FROM lab.runs").fetchall() == [("completed",)]
