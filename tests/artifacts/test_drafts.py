"""Drafts of killed processes are removed, and nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.artifacts import drafts
from exptrack.artifacts.restore import new_file, write_file, write_tree
from exptrack.new_files import draft_name

pytestmark = pytest.mark.skipif(drafts.fcntl is None, reason="the system has no locks that end with a process")


def make_old(path: Path) -> Path:
    long_ago = time.time() - 2 * drafts.GRACE_S
    os.utime(path, (long_ago, long_ago), follow_symlinks=False)
    return path


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder))


def test_a_snapshot_a_file_and_a_folder_remove_dead_drafts(archive: Archive, tmp_path: Path) -> None:
    def leave_drafts() -> None:
        half = tmp_path / draft_name()
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(f"{half}{ending}").write_bytes(b"half")
        folder = tmp_path / draft_name()
        (folder / "tree" / "deep").mkdir(parents=True)
        (folder / "tree" / "deep" / "file").touch()
        for draft in tmp_path.glob(".exptrack-*"):
            make_old(draft)

    for write in (
        lambda: archive.backup(tmp_path / "copy.db"),
        lambda: write_file(tmp_path / "file", [b"1"]),
        lambda: write_tree(tmp_path / "folder", [("a", 0o644, [b"1"])]),
    ):
        leave_drafts()
        write()
        assert not list(tmp_path.glob(".exptrack-*"))


def test_what_a_living_process_fills_stays(tmp_path: Path) -> None:
    def others() -> None:
        for draft in tmp_path.glob(".exptrack-*"):
            make_old(draft)
        write_file(tmp_path / str(time.monotonic_ns()), [b"1"])

    def pieces() -> Iterator[bytes]:
        yield b"1"
        others()
        yield b"2"

    write_file(tmp_path / "file", pieces())
    write_tree(tmp_path / "folder", [("a", 0o644, pieces())])
    with new_file(tmp_path / "new", 0o600) as draft:
        others()
        draft.write_bytes(b"3")
    assert (tmp_path / "file").read_bytes() == b"12"
    assert (tmp_path / "folder" / "a").read_bytes() == b"12"
    assert (tmp_path / "new").read_bytes() == b"3"


def test_files_that_only_look_like_drafts_stay(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    link = tmp_path / draft_name()
    link.symlink_to(tmp_path / "target")
    pipe = tmp_path / draft_name()
    os.mkfifo(pipe)
    like = [
        tmp_path / name
        for name in (".exptrack-notes", ".exptrack-0123456789abcdef.bak", ".exptrack-0123456789ABCDEF")
    ]
    for path in like:
        path.touch()
    before = {make_old(path).name for path in (link, pipe, *like)}
    write_file(tmp_path / "file", [b"1"])
    assert names(tmp_path) == before | {"target", "file"}
