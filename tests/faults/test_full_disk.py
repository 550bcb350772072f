"""On a disk without any room left, what is stored can be read; what waits is stored once there is room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveFullError, ArchiveReadOnlyError, ExportError, unpack
from tests.cli.calls import call
from tests.metrics.points import journals, killed


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, which a test may fill."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.getuid() != 0:
        pytest.skip("only root mounts a disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("this system lets nobody mount a disk")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path) -> Path:
    with open(disk / "filler", "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return disk / "filler"


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_what_a_dead_process_left_is_read_and_stored_later(
    disk: Path, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    killed(disk, "for step in range(100): run.log({'x': 1.0}, step)")
    filler = fill(disk)
    with Archive(disk / "lab.db", mode=mode) as archive:
        (run,) = archive.list_runs()
        assert run.status == "interrupted"
        assert archive.verify().ok
        assert [waiting.points for waiting in archive.info().waiting] == [100]
    assert len(caplog.messages) == 1
    assert "100 points" in caplog.messages[0]
    filler.unlink()
    with Archive(disk / "lab.db") as archive:
        assert len(archive.get_run(run.run_id).get_metric("x")) == 100
    assert journals(disk) == []


def test_reading_commands_need_no_room_and_opening_for_writing_does(disk: Path, tmp_path: Path) -> None:
    path = disk / "lab.db"
    with Archive(path) as archive:
        archive.start_run().complete()
    filler = fill(disk)
    for words in (("ls",), ("info",), ("verify",), ("snapshot", str(tmp_path / "copy.db"))):
        assert call(path, *words).exit_code == 0
    for place in (path, disk / "new.db"):
        with pytest.raises(ArchiveFullError, match="its disk is full"):
            Archive(place)
    filler.unlink()
    for place in (path, tmp_path / "copy.db"):
        with Archive(place) as archive:
            assert len(archive.list_runs()) == 1


def test_each_call_that_needs_room_says_that_there_is_none(disk: Path, tmp_path: Path) -> None:
    with Archive(tmp_path / "other.db") as other, Archive(disk / "lab.db") as archive:
        stored = other.start_run()
        stored.artifacts.register_data("x", os.urandom(300_000))
        stored.complete()
        other.pack(tmp_path / "paper.db")
        run = archive.start_run()
        filler = fill(disk)
        run.log({"x": 1.0})
        calls = [
            lambda: archive.start_run(),
            lambda: run.add_tag("z"),
            lambda: run.flush(),
            lambda: run.artifacts.register_data("y", os.urandom(300_000)),
            lambda: other.backup(disk / "copy.db"),
            lambda: other.pack(disk / "paper.db"),
            lambda: unpack(tmp_path / "paper.db", disk / "living.db"),
        ]
        for need in calls:
            with pytest.raises(ArchiveFullError, match="free disk space"):
                need()
        assert {one.name for one in disk.iterdir()}.isdisjoint({"copy.db", "paper.db", "living.db"})
        assert [one.name for one in disk.iterdir() if one.name.startswith(".exptrack-")] == []
        with pytest.raises(ExportError, match="there is no room"):
            stored.artifacts.export_all(disk / "out")
        filler.unlink()
        run.complete()
        assert [point.value for point in run.get_metric("x")] == [1.0]
        assert archive.verify().ok


def test_a_disk_that_becomes_read_only_is_told_as_such(disk: Path, tmp_path: Path) -> None:
    path = disk / "lab.db"
    with Archive(path) as archive, Archive(tmp_path / "other.db") as other:
        archive.start_run().complete()
        stored = other.start_run()
        stored.complete()
        archive.close()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for place in (path, disk / "new.db"):
            with pytest.raises(ArchiveReadOnlyError):
                Archive(place)
        with pytest.raises(ExportError, match="not permitted"):
            other.backup(disk / "copy.db")
        with Archive(path, mode="ro") as reader:
            assert reader.verify().ok


def test_a_log_that_cannot_be_folded_at_the_end_is_told_and_kept(
    disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = disk / "lab.db"
    with Archive(path) as archive:
        archive.start_run().complete()
    archive = Archive(path)
    run = archive.start_run()
    words = [f"{number} {'x' * 30_000}" for number in range(10)]
    run.complete()  # which folds the log, so what makes the file grow comes after it
    for text in words:
        run.add_note(text)
    filler = fill(disk)
    archive.close()
    told = [message for message in caplog.messages if "lab.db-wal, because they could not be copied" in message]
    assert len(told) == 1
    filler.unlink()
    with Archive(path) as archive:
        assert [note.text for note in archive.get_run(run.run_id).notes] == words
        assert archive.verify().ok
    assert not path.with_name("lab.db-wal").exists()
