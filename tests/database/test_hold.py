"""The hold keeps the locks of an open archive, whatever else the process opens and closes."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exptrack.database import hold as holds
from exptrack.database.descriptors import file_id
from exptrack.database.hold import Hold

pytestmark = pytest.mark.skipif(not holds.HAS_OPEN_FILE_LOCKS, reason="the system has no open-file locks")

VISIT = """
import sqlite3, sys
visitor = sqlite3.connect(sys.argv[1])
print(visitor.execute("SELECT count(*) FROM t").fetchone()[0])
visitor.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def writer(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection in WAL mode that never checkpoints by itself, with one row."""
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA wal_autocheckpoint = 0")
    raw.execute("CREATE TABLE t (x)")
    raw.execute("INSERT INTO t VALUES (1)")
    yield raw
    raw.close()


@pytest.fixture
def hold(writer: sqlite3.Connection, path: Path) -> Iterator[Hold]:
    taken = holds.take(path)
    assert taken is not None
    yield taken
    if holds.give_back(taken):
        taken.release_locks()


def visit(path: Path) -> int:
    """What another process sees, which folds and deletes the WAL as it leaves if nothing keeps it from it."""
    done = subprocess.run([sys.executable, "-c", VISIT, str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout)


def open_and_close(path: Path, tmp_path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        shutil.copyfile(f"{path}{end}", tmp_path / "copy")


def test_without_a_hold_a_copy_lets_a_visitor_delete_the_wal(
    writer: sqlite3.Connection, path: Path, tmp_path: Path
) -> None:
    open_and_close(path, tmp_path)
    visit(path)
    assert not Path(f"{path}-wal").exists()


def test_with_a_hold_every_commit_is_there_after_copies_and_visitors(
    writer: sqlite3.Connection, path: Path, tmp_path: Path, hold: Hold
) -> None:
    for count in range(2, 6):
        open_and_close(path, tmp_path)
        assert visit(path) == count - 1
        assert hold.is_in_place()
        writer.execute("INSERT INTO t VALUES (1)")
        assert visit(path) == count


def test_a_hold_keeps_no_other_process_from_writing(writer: sqlite3.Connection, path: Path, hold: Hold) -> None:
    code = (
        "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('INSERT INTO t VALUES (2)'); c.commit()"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert writer.execute("SELECT count(*) FROM t").fetchone()[0] == 2
    assert writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 0


def test_there_is_one_hold_for_a_file_by_whatever_name(
    writer: sqlite3.Connection, path: Path, tmp_path: Path, hold: Hold
) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    again = holds.take(link)
    assert again is hold
    assert not holds.give_back(again)


def test_the_write_lock_that_a_copy_of_the_shared_memory_dropped_is_missed(
    writer: sqlite3.Connection, path: Path, tmp_path: Path, hold: Hold
) -> None:
    assert not hold.has_write_lock()
    writer.execute("BEGIN IMMEDIATE")
    assert hold.has_write_lock()
    shutil.copyfile(f"{path}-shm", tmp_path / "copy")
    assert not hold.has_write_lock()
    writer.execute("ROLLBACK")


def test_a_deleted_wal_is_missed_and_put_back_whole(writer: sqlite3.Connection, path: Path, hold: Hold) -> None:
    os.unlink(f"{path}-wal")
    assert not hold.is_in_place()
    assert hold.lost_only_its_wal()
    writer.execute("INSERT INTO t VALUES (2)")  # into the deleted file
    writer.execute("BEGIN IMMEDIATE")
    hold.put_wal_back()
    writer.execute("ROLLBACK")
    assert hold.is_in_place()
    assert visit(path) == 2


def test_a_wal_that_another_process_put_back_is_known_by_its_beginning(
    writer: sqlite3.Connection, path: Path, hold: Hold, tmp_path: Path
) -> None:
    content = Path(f"{path}-wal").read_bytes()
    os.unlink(f"{path}-wal")
    assert not hold.was_put_back_by_another()
    Path(f"{path}-wal").write_bytes(content)
    assert hold.was_put_back_by_another()
    Path(f"{path}-wal").write_bytes(b"\0" * 32 + content[32:])
    assert not hold.was_put_back_by_another()


def test_rescued_files_hold_all_that_was_committed(writer: sqlite3.Connection, path: Path, hold: Hold) -> None:
    os.rename(path, f"{path}.away")
    copy = hold.rescue()
    assert visit(copy) == 1
    os.rename(f"{path}.away", path)


def test_closed_descriptors_are_missed(writer: sqlite3.Connection, path: Path, hold: Hold) -> None:
    assert hold.is_intact()
    spare = os.dup(hold.main)
    os.close(hold.main)
    assert not hold.is_intact()
    os.dup2(spare, hold.main)
    os.close(spare)
    assert hold.is_intact()


def test_descriptors_stay_open_while_the_user_has_the_file_open(writer: sqlite3.Connection, path: Path) -> None:
    taken = holds.take(path)
    assert taken is not None
    assert holds.give_back(taken)
    taken.release_locks()
    taken.close_descriptors()
    assert file_id(taken.main) == taken.main_id  # `writer` is open
    visit(path)
    assert Path(f"{path}-wal").exists()


def test_a_forked_child_leaves_the_locks_to_its_parent(
    writer: sqlite3.Connection, path: Path, tmp_path: Path, hold: Hold
) -> None:
    child = os.fork()
    if child == 0:
        os._exit(len(holds._HOLDS))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    open_and_close(path, tmp_path)
    visit(path)
    assert Path(f"{path}-wal").exists()


def test_no_hold_is_taken_where_no_wal_is(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "b.db")
    raw.execute("CREATE TABLE t (x)")
    assert holds.take(tmp_path / "b.db") is None
    assert holds.take(tmp_path / "none.db") is None
    raw.close()
