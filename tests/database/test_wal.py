"""A damaged write-ahead log is kept and told of; a torn end, which was never acknowledged, is not damage."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveFullError
from exptrack.database.wal import FRAME, HEADER, _Log, list_kept

FRAME_BYTES = FRAME.size + 4096
SCRIPT = """
import os, signal, exptrack
archive = exptrack.Archive("lab.db")
for number in range(5):
    with archive.start_run(name=str(number)) as run:
        run.log({"x": 1.0})
        run.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a killed process left: the file, and a log with several commits."""
    folder = tmp_path_factory.mktemp("left")
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder)
    assert done.returncode == -signal.SIGKILL
    return folder


def flip(at: int) -> Callable[[Path], None]:
    def damage(wal: Path) -> None:
        with open(wal, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))

    return damage


def copied(left: Path, folder: Path) -> Path:
    for name in ("lab.db", "lab.db-wal"):
        shutil.copy(left / name, folder / name)
    return folder / "lab.db"


# A place in each field of the header, of the first frame and of a later one.
PLACES = [*range(0, HEADER.size, 4), *range(HEADER.size, HEADER.size + FRAME.size, 4), HEADER.size + 999]
PLACES += [HEADER.size + 4 * FRAME_BYTES + at for at in (0, 5, 9, 17, 22, 2000)]


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_flipped_bit_is_told_and_the_log_kept(
    left: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, at: int, mode: str
) -> None:
    path = copied(left, tmp_path)
    flip(at)(tmp_path / "lab.db-wal")
    damaged = (tmp_path / "lab.db-wal").read_bytes()
    with Archive(path, mode=mode) as archive:
        assert [message for message in caplog.messages if "lab.db-wal is damaged" in message]
        (kept,) = list_kept(path)
        assert str(kept) in [problem.where for problem in archive.verify().problems]
    assert kept.read_bytes() == damaged
    assert Path(str(kept).removesuffix("-wal")).read_bytes() == (left / "lab.db").read_bytes()
    with Archive(path):
        assert list_kept(path) == [kept]


@pytest.mark.parametrize("cut", [1, 100, FRAME_BYTES])
def test_a_torn_end_is_no_damage(
    left: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, cut: int
) -> None:
    path = copied(left, tmp_path)
    size = (tmp_path / "lab.db-wal").stat().st_size
    os.truncate(tmp_path / "lab.db-wal", size - cut)
    Archive(path).close()
    assert list_kept(path) == []
    assert not [message for message in caplog.messages if "damaged" in message]


def test_a_log_that_a_power_cut_may_have_torn_is_no_damage(
    left: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = copied(left, tmp_path)
    flip(PLACES[-1])(tmp_path / "lab.db-wal")
    os.utime(tmp_path / "lab.db-wal", (0, 0))  # last written before the system began
    Archive(path).close()
    assert list_kept(path) == []
    assert not [message for message in caplog.messages if "damaged" in message]


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_damaged_log_that_cannot_be_copied_is_not_overwritten(
    left: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    path = copied(left, tmp_path)
    wal = tmp_path / "lab.db-wal"
    flip(PLACES[-1])(wal)
    damaged = wal.read_bytes()
    main = path.read_bytes()
    write = os.write

    def no_room(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr("exptrack.database.hold.os.write", no_room)
        if mode == "rw":
            with pytest.raises(ArchiveFullError, match=r"no copy of it can be kept .*; make room"):
                Archive(path)
        else:
            Archive(path, mode="ro").close()
            assert [m for m in caplog.messages if "no copy of it can be kept" in m]
        assert (wal.read_bytes(), path.read_bytes()) == (damaged, main)
        assert list_kept(path) == []
        assert not list(tmp_path.glob("*.draft"))
    with Archive(path):
        (kept,) = list_kept(path)
        assert kept.read_bytes() == damaged


def test_a_whole_log_is_no_damage(left: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = copied(left, tmp_path)
    with Archive(path) as archive:
        assert len(archive.list_runs()) == 5
        assert archive.verify().ok
    assert (list_kept(path), caplog.messages) == ([], [])


def test_a_commit_whose_writer_was_killed_before_it_moved_the_end_is_no_damage(
    left: Path, tmp_path: Path
) -> None:
    """Such a commit was not acknowledged. The next process finds it while another keeps the index in memory."""
    wal = copied(left, tmp_path).with_name("lab.db-wal")
    frames = (wal.stat().st_size - HEADER.size) // FRAME_BYTES

    def behind(end: int) -> list[int]:
        with open(wal, "rb") as file:
            return list(_Log(file.fileno(), FRAME_BYTES).commits_behind(end, frames))

    with open(wal, "rb") as file:
        log = _Log(file.fileno(), FRAME_BYTES)
        commits = [number for number in range(1, frames + 1) if log._frame(number).pages_after_commit]
    before, last = commits[-2:]
    assert last - before > 1
    assert behind(before) == []
    assert behind(commits[-3]) == [last]
    assert behind(0) == commits[1:]
    # With a damaged frame before it, the last commit was acknowledged.
    flip(HEADER.size + before * FRAME_BYTES + 999)(wal)
    assert behind(before) == [last]


def test_a_log_that_is_cut_while_it_is_read_ends_there(tmp_path: Path) -> None:
    """Another process begins its log afresh meanwhile, and cuts it."""
    path = tmp_path / "wal"
    path.write_bytes(bytes(32 + 24 + 100))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert list(_Log(descriptor, 24 + 4096).commits_behind(0, 5)) == []
    finally:
        os.close(descriptor)
