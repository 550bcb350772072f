"""A forked child that cannot use SQLite logs into journals of its own; the next opener stores them."""

from __future__ import annotations

import ctypes
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from exptrack import Archive, Run
from exptrack.database import forks
from exptrack.database.connection import Connection, in_section
from exptrack.errors import ForkUnsafeError
from exptrack.metrics import writer as writer_module
from exptrack.metrics.journal_file import SEGMENT_SLOTS, SEGMENTS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
Fork = Callable[[], int]


def fork_in_c() -> int:
    """Fork as a C library does. No hook of Python runs.

    Meanwhile no thread asks for the GIL: CPython would wait for that thread in the child, where it is not.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(60)
    time.sleep(0.05)  # for threads that have begun to wait with the shorter interval
    child = int(ctypes.PyDLL(None).fork())
    sys.setswitchinterval(before)
    return child


@pytest.fixture(params=["beside a connection of the user's", "in C"])
def fork(request: pytest.FixtureRequest, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fork]:
    """A fork that makes a child which cannot use SQLite."""
    if request.param == "in C":
        if sys.platform != "linux":
            pytest.skip("only Linux tells a forked process by a page that it wipes")
        monkeypatch.setattr(writer_module, "LOOK_S", 3600.0)  # the looking thread asks for the GIL, too
        yield fork_in_c
        return
    own = sqlite3.connect(archive.path)
    own.execute("SELECT count(*) FROM run").fetchall()
    yield os.fork
    own.close()


def in_child(fork: Fork, work: Callable[[], object], *, within_s: float = 60) -> int:
    """Run `work` in a child; return 0, 1 if it raised, or minus a signal; kill a child that hangs."""
    child = fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + within_s
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)


def reopened(archive: Archive, run: Run, name: str) -> list[tuple[int, float]]:
    """The points of a metric, as the next opener sees them."""
    with Archive(archive.path) as other:
        found = [(point.step, point.value) for point in other.get_run(run.run_id).get_metric(name)]
        assert other.verify().problems == ()
    return found


def test_what_it_logs_is_stored_by_the_next_opener(archive: Archive, fork: Fork) -> None:
    run = archive.start_run()
    run.log({"loss": 1.0, "acc": 0.5})

    def log() -> None:
        for number in range(20):
            run.log_metric("loss", float(number))
            run.log({"loss": 0.5, "new": float(number)}, step=100 + number)

    assert in_child(fork, log) == 0
    run.log({"loss": 2.0, "acc": 0.6})  # the parent goes on, in its own journal
    assert [point.value for point in run.get_metric("acc")] == [0.5, 0.6]
    found = reopened(archive, run, "loss")
    # The first step follows the parent's at the fork; those without a step follow those with one.
    assert (0, 1.0) in found
    assert (1, 0.0) in found
    assert (1, 2.0) in found
    assert len(found) == 42
    assert [value for _step, value in reopened(archive, run, "new")] == [float(n) for n in range(20)]


def test_it_begins_the_next_file_when_one_is_full(archive: Archive, fork: Fork) -> None:
    run = archive.start_run()
    most = SEGMENTS * SEGMENT_SLOTS
    count = most + 5_000

    def log() -> None:
        for number in range(count):
            run.log_metric("x", float(number), number)

    assert in_child(fork, log) == 0
    assert len(list(Path(archive.path).parent.glob("*.points"))) == 3
    assert [step for step, _value in reopened(archive, run, "x")] == list(range(count))


def test_a_killed_child_loses_nothing(archive: Archive, fork: Fork) -> None:
    run = archive.start_run()

    def log_and_die() -> None:
        for number in range(10):
            run.log({"x": float(number)})
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(fork, log_and_die) == -signal.SIGKILL
    assert [value for _step, value in reopened(archive, run, "x")] == [float(number) for number in range(10)]


def test_threads_and_grandchildren_log_there_too(archive: Archive, fork: Fork) -> None:
    run, other = archive.start_run(), archive.start_run()
    run.log({"mine": 1.0})
    other.log({"other": 1.0})

    def log(name: str) -> None:
        for number in range(2_000):
            run.log_metric(name, float(number))
            other.log_metric(f"o {name}", float(number))

    def log_all() -> None:
        if fork is fork_in_c:  # CPython itself may hang in threads that such a child begins
            log("thread 0")
            log("thread 1")
        else:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(log, ("thread 0", "thread 1")))
        assert in_child(os.fork, lambda: log("grandchild")) == 0
        log("after")

    assert in_child(fork, log_all) == 0
    for name in ("thread 0", "thread 1", "grandchild", "after"):
        expected = [(number, float(number)) for number in range(2_000)]
        assert reopened(archive, run, name) == expected
        assert reopened(archive, other, f"o {name}") == expected


def test_all_else_is_told_what_to_do(archive: Archive, fork: Fork) -> None:
    run = archive.start_run()

    def use() -> None:
        calls: list[Callable[[], object]] = [
            lambda: run.add_tag("a"),
            lambda: run.flush(),
            lambda: run.complete(),
            lambda: run.log_many("x", [1], [1.0]),
            lambda: run.log_text("t", "text"),
            lambda: archive.start_run(),
            lambda: archive.list_runs(),
            lambda: run.status,
        ]
        for call in calls:
            with pytest.raises(ForkUnsafeError, match="spawn, forkserver or subprocess"):
                call()
        run.log({"x": 1.0})

    assert in_child(fork, use) == 0
    assert reopened(archive, run, "x") == [(0, 1.0)]
    run.complete()


def test_it_leaves_the_block_and_the_interpreter_in_order(archive: Archive, fork: Fork) -> None:
    run = archive.start_run()
    child = fork()
    if child == 0:
        try:
            with run:
                run.log({"x": 1.0})
            archive.close()
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert run.status == "running"
    run.complete()
    assert reopened(archive, run, "x") == [(0, 1.0)]


def test_the_end_of_the_run_stores_what_its_children_left(archive: Archive) -> None:
    own = sqlite3.connect(archive.path)
    own.execute("SELECT count(*) FROM run").fetchall()
    with archive.start_run() as run:
        assert in_child(os.fork, lambda: run.log({"x": 1.0})) == 0
        own.close()
    assert [point.value for point in run.get_metric("x")] == [1.0]
    assert list(Path(archive.path).parent.glob("*.points")) == []


def test_a_child_forked_while_a_thread_stays_inside_logs_there(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "WAIT_S", 0.2)
    inside, leave = threading.Event(), threading.Event()

    @in_section
    def stay(connection: Connection) -> None:
        with connection.transaction():
            inside.set()
            leave.wait(20)

    run = archive.start_run()
    other = Archive(archive.path)
    thread = threading.Thread(target=stay, args=(other._connection,))
    thread.start()
    inside.wait()
    assert in_child(os.fork, lambda: run.log({"x": 1.0})) == 0
    leave.set()
    thread.join()
    other.close()
    run.complete()
    assert reopened(archive, run, "x") == [(0, 1.0)]


def test_a_child_forked_inside_a_section_logs_there(archive: Archive) -> None:
    run = archive.start_run()

    @in_section
    def fork_inside(connection: Connection) -> int:
        with connection.transaction():
            connection.execute("INSERT INTO metric_name (name) VALUES ('of the parent')")
            return in_child(os.fork, lambda: run.log({"x": 1.0}))

    assert fork_inside(archive._connection) == 0
    assert archive._connection.value("SELECT count(*) FROM metric_name WHERE name = 'of the parent'") == 1
    run.complete()
    assert reopened(archive, run, "x") == [(0, 1.0)]
