"""No SQLite connection crosses a fork: parent and child each open their own, and lose nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import exptrack
from exptrack import ArchiveError, ArchiveLockedError
from exptrack.database import forks
from exptrack.database.connection import Connection, in_reading, in_section
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS
from exptrack.database.opening import open_connection
from exptrack.errors import ForkUnsafeError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")

VISIT = """
import sqlite3, sys
visitor = sqlite3.connect(sys.argv[1])
print(visitor.execute("SELECT count(*) FROM metric_name").fetchone()[0])
visitor.close()
"""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with open_connection(tmp_path / "a.db") as opened:
        yield opened


@in_section
def add(connection: Connection, name: str) -> None:
    with connection.transaction():
        connection.execute("INSERT INTO metric_name (name) VALUES (?)", (name,))


@in_reading
def count(connection: Connection) -> int:
    return int(connection.value("SELECT count(*) FROM metric_name"))


def in_child(work: Callable[[], object]) -> int:
    """Run `work` in a forked child; return 0, or 2 for ForkUnsafeError, 3 for another ArchiveError, else 1."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except ForkUnsafeError:
            code = 2
        except ArchiveError:
            code = 3
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def visit(connection: Connection) -> int:
    done = subprocess.run(
        [sys.executable, "-c", VISIT, str(connection.path)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_parent_and_child_write_in_turn(connection: Connection) -> None:
    add(connection, "before")
    assert in_child(lambda: add(connection, "child")) == 0
    add(connection, "parent")
    assert count(connection) == 3


def test_a_child_that_outlives_its_parents_connection_loses_nothing(tmp_path: Path) -> None:
    connection = open_connection(tmp_path / "a.db")
    add(connection, "parent")
    asked, answer = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            add(connection, "child 1")
            os.write(answer[1], b"1")
            os.read(asked[0], 1)
            add(connection, "child 2")
            os.write(answer[1], b"2")
            os.read(asked[0], 1)
        finally:
            os._exit(0)
    assert os.read(answer[0], 1) == b"1"
    connection.close()
    assert visit(connection) == 2  # leaves, and would fold the WAL if the child held no lock
    os.write(asked[1], b"1")
    assert os.read(answer[0], 1) == b"2"
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert visit(connection) == 3


def test_children_forked_beside_writing_threads_write_too(connection: Connection) -> None:
    stop = threading.Event()
    written = [0, 0, 0]

    def write(number: int) -> None:
        while not stop.is_set():
            add(connection, f"thread {number} {written[number]}")
            written[number] += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    codes = [in_child(lambda name=f"child {number}": add(connection, name)) for number in range(15)]
    stop.set()
    for thread in threads:
        thread.join()
    assert codes == [0] * 15
    assert count(connection) == 15 + sum(written)
    assert connection.value("PRAGMA integrity_check") == "ok"


def test_a_child_forked_beside_a_connection_of_the_users_is_told(
    connection: Connection, tmp_path: Path
) -> None:
    add(connection, "before")
    own = sqlite3.connect(tmp_path / "a.db")
    own.execute("SELECT count(*) FROM metric_name").fetchall()
    assert in_child(lambda: add(connection, "child")) == 2
    own.close()
    add(connection, "after")
    assert count(connection) == 2


def test_a_child_forked_while_a_thread_stays_inside_is_told_and_the_parent_goes_on(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "WAIT_S", 0.2)
    inside, leave = threading.Event(), threading.Event()

    @in_section
    def stay(connection: Connection) -> None:
        with connection.transaction():
            connection.execute("INSERT INTO metric_name (name) VALUES ('slow')")
            inside.set()
            leave.wait(20)

    thread = threading.Thread(target=stay, args=(connection,))
    thread.start()
    inside.wait()
    assert in_child(lambda: add(connection, "child")) == 2
    leave.set()
    thread.join()
    add(connection, "after")
    assert count(connection) == 2


def test_a_grandchild_writes_as_a_child_does(connection: Connection) -> None:
    def fork_again() -> None:
        add(connection, "child")
        assert in_child(lambda: add(connection, "grandchild")) == 0

    assert in_child(fork_again) == 0
    assert count(connection) == 2


def test_a_closed_connection_stays_closed_in_a_child(tmp_path: Path) -> None:
    connection = open_connection(tmp_path / "a.db")
    connection.close()
    assert in_child(lambda: add(connection, "child")) == 3


WRITES_AND_FORKS_IN_C = """
import ctypes, os, sys, time
import exptrack

archive = exptrack.Archive(sys.argv[1])
connection = archive._connection

def change():
    with connection.transaction():
        connection.execute("UPDATE run SET name = 'half'")
        child = ctypes.PyDLL(None).fork()
        if child == 0:
            while True:  # without any call that would find out that this is a child
                time.sleep(600)
        print(child, flush=True)
        time.sleep(600)

connection.section(change)
"""


@pytest.mark.skipif(not HAS_OPEN_FILE_LOCKS, reason="the system has no open-file locks")
def test_a_child_of_c_code_keeps_nobody_from_writing_when_its_parent_was_killed(tmp_path: Path) -> None:
    with exptrack.Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run(name="whole")
        code = [sys.executable, "-c", WRITES_AND_FORKS_IN_C, archive.path]
        with subprocess.Popen(code, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            try:
                with pytest.raises(ArchiveLockedError):
                    archive._connection.section(lambda: run.add_tag("beside a living writer"), within_s=0.2)
                parent.kill()
                parent.wait()
                run.add_tag("after its death")
                assert os.path.exists(f"/proc/{child}")
            finally:
                os.kill(child, signal.SIGKILL)
        run.complete()
        (found,) = archive.list_runs()
        assert (found.name, found.tags) == ("whole", ("after its death",))
        assert archive.verify().problems == ()
