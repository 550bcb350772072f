"""Restored bytes are on disk when it is said, by one sync of the file system only where that can be trusted."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exptrack import ExportError
from exptrack.artifacts import restore, settling
from exptrack.artifacts.restore import write_file, write_tree
from exptrack.artifacts.settling import EARLY_BYTES, FEW_FILES, EarlySync, can_sync_all, sync_all
from exptrack.database.filesystem import find_file_system

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has syncfs()")
MANY = 3 * FEW_FILES

Calls = list[tuple[str, str]]


def entries(count: int) -> list[tuple[str, int, list[bytes] | None]]:
    return [(f"d{n % 3}/f{n}", 0o644, [b"%d" % n]) for n in range(count)]


def name_of(descriptor: int) -> str:
    return os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What was synced, in order: each file or folder, and each file system."""
    told: Calls = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        told.append(("fsync", name_of(descriptor)))
        fsync(descriptor)

    def note_all(descriptor: int) -> None:
        told.append(("syncfs", name_of(descriptor)))
        sync_all(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(restore, "sync_all", note_all)
    return told


@ON_LINUX
def test_many_files_are_synced_by_one_call_before_the_folder_has_its_name(
    tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "can_sync_all", lambda _: True)
    rename = os.rename

    def note_rename(*args: Any, **options: Any) -> None:
        calls.append(("rename", ""))
        rename(*args, **options)

    monkeypatch.setattr(os, "rename", note_rename)
    write_tree(tmp_path / "out", entries(MANY))
    assert calls[-3:] == [("syncfs", tmp_path.name), ("rename", ""), ("fsync", tmp_path.name)]
    files = [name for what, name in calls if what == "fsync" and name.startswith("f")]
    assert files == [f"f{n}" for n in range(FEW_FILES - 1)]
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*/*")} == {
        f"f{n}": b"%d" % n for n in range(MANY)
    }


@ON_LINUX
@pytest.mark.parametrize("why", ["few files", "another file system", "an old Linux", "no such call"])
def test_else_each_file_and_folder_is_synced(
    tmp_path: Path, calls: Calls, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = FEW_FILES - 1 if why == "few files" else MANY
    settling._find_syncfs.cache_clear()
    if why == "another file system":
        monkeypatch.setattr(settling, "find_file_system", lambda _: "fuse.sshfs")
    elif why == "an old Linux":
        monkeypatch.setattr(settling, "_kernel", lambda: (5, 7))
    elif why == "no such call":
        monkeypatch.setattr(sys, "platform", "darwin")
    try:
        write_tree(tmp_path / "out", entries(count))
    finally:
        settling._find_syncfs.cache_clear()
    assert "syncfs" not in {what for what, _ in calls}
    synced = [name for _, name in calls]
    assert [name for name in synced if name.startswith("f")] == [f"f{n}" for n in range(count)]
    assert {"d0", "d1", "d2", "tree", tmp_path.name} <= set(synced)


@ON_LINUX
def test_a_sync_of_all_that_fails_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(restore, "can_sync_all", lambda _: True)
    monkeypatch.setattr(restore, "sync_all", fail)
    with pytest.raises(ExportError, match=r"out: Input/output error"):
        write_tree(tmp_path / "out", entries(MANY))
    assert list(tmp_path.iterdir()) == []


@ON_LINUX
def test_syncfs_is_called_and_its_error_raised(tmp_path: Path) -> None:
    assert can_sync_all(tmp_path) == (find_file_system(tmp_path) in settling.TRUSTED)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    sync_all(descriptor)
    os.close(descriptor)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        sync_all(descriptor)


@pytest.mark.parametrize(
    ("release", "numbers"), [("6.18.44-fc", (6, 18)), ("5.8+", (5, 8)), ("4.19.0-rc1", (4, 19))]
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no uname()")
def test_the_version_of_the_kernel_is_read(
    release: str, numbers: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Name:
        pass

    name = Name()
    name.release = release  # type: ignore[attr-defined]
    monkeypatch.setattr(os, "uname", lambda: name)
    assert settling._kernel() == numbers


# While a file is written


def pieces(total: int) -> Iterator[bytes]:
    yield from [bytes(1_000_000)] * (total // 1_000_000)


def test_a_large_file_is_synced_while_it_is_written_and_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early, before = list[int](), threading.active_count()

    def sync(descriptor: int) -> None:
        early.append(os.fstat(descriptor).st_size)
        os.fsync(descriptor)

    monkeypatch.setattr(settling, "sync_data", sync)
    total = 5 * EARLY_BYTES // 1_000_000 * 1_000_000
    assert write_file(tmp_path / "large", pieces(total)) == total
    assert early
    assert early[0] >= EARLY_BYTES
    assert threading.active_count() == before
    early.clear()
    write_file(tmp_path / "small", pieces(EARLY_BYTES // 2))
    assert early == []


def test_an_early_sync_that_fails_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(settling, "sync_data", fail)
    with pytest.raises(ExportError, match=r"large: Input/output error"):
        write_file(tmp_path / "large", pieces(EARLY_BYTES + 1_000_000))
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_fails_waits_for_the_sync_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end, order = threading.Event(), threading.Event(), list[str]()

    def sync(_: int) -> None:
        begun.set()
        may_end.wait(10)
        order.append("synced")

    monkeypatch.setattr(settling, "sync_data", sync)
    descriptor = os.open(tmp_path / "file", os.O_CREAT | os.O_WRONLY)
    with pytest.raises(ZeroDivisionError), EarlySync(descriptor) as early:
        early.note(EARLY_BYTES)
        assert begun.wait(10)
        may_end.set()
        raise ZeroDivisionError
    order.append("left")
    os.close(descriptor)
    assert order == ["synced", "left"]
