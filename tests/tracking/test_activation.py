"""The current run: in blocks, threads, tasks, forked children and other processes, and not after its end."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import exptrack
from exptrack import Archive, Run, current_run
from exptrack.tracking.heartbeat import LIVE


@pytest.fixture(autouse=True)
def _no_run_is_live() -> None:
    """A test that deletes an archive, for instance, may leave a run of it live in this process."""
    LIVE.clear()


def test_no_run_is_current_without_one(archive: Archive) -> None:
    assert current_run() is None
    archive.start_run().complete()
    assert current_run() is None


def test_the_newest_live_run_is_current_outside_of_blocks(archive: Archive) -> None:
    first = archive.start_run()
    assert current_run() is first
    second = archive.start_run()
    assert current_run() is second
    second.complete()
    assert current_run() is first
    first.complete()
    resumed = archive.resume_run(second)
    assert current_run() is resumed
    resumed.complete()
    assert current_run() is None


def test_blocks_nest_and_a_run_that_ends_inside_is_not_current(archive: Archive) -> None:
    newest: Run
    with archive.start_run() as outer:
        newest = archive.start_run()
        assert current_run() is outer
        with newest.activate() as active:
            assert active is newest is current_run()
            with outer.activate():
                assert current_run() is outer
            assert current_run() is newest
            newest.complete()
            assert current_run() is outer
        outer.complete()
        assert current_run() is None


def test_a_block_that_raises_is_left(archive: Archive) -> None:
    with archive.start_run() as outer:
        other = archive.start_run()
        with pytest.raises(ZeroDivisionError), other.activate():
            raise ZeroDivisionError
        assert current_run() is outer
        other.complete()


def test_a_thread_has_its_own_blocks(archive: Archive) -> None:
    found: list[Run | None] = []

    def look(mine: Run) -> None:
        found.append(current_run())
        with mine.activate():
            found.append(current_run())

    with archive.start_run() as outer, archive.start_run() as newest, outer.activate():
        thread = threading.Thread(target=look, args=(outer,))
        thread.start()
        thread.join()
        assert current_run() is outer
    assert found == [newest, outer]


def test_tasks_have_blocks_of_their_own_and_those_they_begin_in(archive: Archive) -> None:
    async def work(run: Run, ready: asyncio.Event, others: asyncio.Event) -> tuple[Run | None, Run | None]:
        before = current_run()
        with run:
            ready.set()
            await others.wait()
            return before, current_run()

    async def both() -> list[tuple[Run | None, Run | None]]:
        one, two = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(work(runs[0], one, two), work(runs[1], two, one))

    with archive.start_run() as outer:
        runs = [archive.start_run(), archive.start_run()]
        assert asyncio.run(both()) == [(outer, runs[0]), (outer, runs[1])]
        assert current_run() is outer


def test_a_handle_of_another_process_is_current_where_it_says_so(archive: Archive) -> None:
    with archive.start_run() as run:
        handle = pickle.loads(pickle.dumps(run))
        assert copy.copy(handle) is handle is not run
        with handle.activate():
            assert current_run() is handle
        assert current_run() is run
    with handle.activate():
        assert current_run() is None


def test_a_run_of_a_closed_archive_or_a_deleted_run_is_not_current(tmp_path: Path) -> None:
    with Archive(tmp_path / "a.db") as archive:
        gone = archive.start_run()
        gone.complete()
        handle = archive.get_run(gone)
        archive.delete_run(gone)
        with handle.activate():
            assert current_run() is None
        open_run = archive.start_run()
        with open_run.activate():
            archive.close()
            assert current_run() is None


def test_importing_exptrack_loads_nothing_for_it() -> None:
    code = "import sys, exptrack; print([one for one in sys.modules if one.startswith('exptrack.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['exptrack.fork_imports']\n"
    assert exptrack.current_run is current_run


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_has_the_run_of_its_parent_until_it_ends(tmp_path: Path) -> None:
    code = """
import os, exptrack

archive = exptrack.Archive("lab.db")
with archive.start_run() as run:
    ready, told = os.pipe(), os.pipe()
    if os.fork() == 0:
        current = exptrack.current_run()
        current.log({"worker": 1.0}, step=0)
        with archive.start_run() as mine:
            assert exptrack.current_run() is mine
        assert exptrack.current_run() is run
        os.write(ready[1], b"x")
        os.read(told[0], 1)
        os._exit(0 if current is run and exptrack.current_run() is None else 1)
    os.read(ready[0], 1)
assert exptrack.current_run() is None
os.write(told[1], b"x")
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
assert run.get_last_metric("worker").value == 1.0
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
