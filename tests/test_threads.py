"""The threads of exptrack end before a fork and go on in the parent after it, so that Python warns of none."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exptrack import threads
from exptrack.helper_threads import Helper
from exptrack.threads import Worker

FORKS = """
import os, sys, threading, time, warnings
found = []
# What is registered first runs last before a fork.
os.register_at_fork(before=lambda: found.append(len(os.listdir("/proc/self/task"))))
import exptrack

def count():
    return len(run.get_metric("system/cpu_percent"))

def fork():
    run.log({"loss": 1.0})
    before = count()
    while count() < before + 2:
        time.sleep(0.01)
    child = os.fork()
    if child == 0:
        run.log({"loss": 2.0})
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    before = count()
    while count() < before + 2:
        time.sleep(0.01)
    run.log({"loss": 3.0})
    # No reading asks for the point: the writer thread alone stores it.
    end = run._writer.journal.address
    while run._writer.journal.drained < end:
        time.sleep(0.01)

with exptrack.Archive(sys.argv[1]) as archive, archive.start_run(system_metrics=0.02) as run:
    fork()
    warnings.simplefilter("ignore")  # the main thread is one more when another one forks
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    assert [point.value for point in run.get_metric("loss")] == [1.0, 2.0, 3.0] * 2
print(found)
"""


@pytest.fixture
def worker() -> Iterator[Worker]:
    rounds: list[int] = []

    def work() -> None:
        while not made.wait(0.001):
            rounds.append(threading.get_ident())

    made = Worker(work, "worker")
    made.rounds = rounds  # type: ignore[attr-defined]
    yield made
    made.stop(60)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def works(worker: Worker) -> bool:
    """Whether the work goes round at least once more."""
    rounds = worker.rounds  # type: ignore[attr-defined]
    before = len(rounds)
    wait_for(lambda: len(rounds) > before)
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the threads of a process as files")
def test_a_process_with_a_live_run_forks_without_a_thread_of_ours(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "always::DeprecationWarning", "-c", FORKS, str(tmp_path / "a.db")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("[1, 2]\n", "")


def test_a_worker_ends_and_goes_on(worker: Worker) -> None:
    assert worker.begin()
    assert works(worker)
    first = worker.native_id
    threads.end_before_fork([worker])
    assert not worker.is_running
    assert worker not in threads.list_workers()
    assert not os.path.exists(f"/proc/self/task/{first}")
    worker.begin_again()
    assert works(worker)
    assert worker in threads.list_workers()


def test_a_worker_that_was_too_busy_to_end_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "END_WAIT_S", 0.01)
    busy, rounds = threading.Event(), []

    def work() -> None:
        rounds.append(threading.get_ident())
        busy.wait()

    worker = Worker(work, "busy")
    worker.begin()
    wait_for(lambda: rounds)
    threads.end_before_fork([worker])
    assert worker.is_running
    worker.begin_again()
    busy.set()
    wait_for(lambda: len(rounds) > 1)
    worker.stop(60)
    assert set(rounds) == {rounds[0]}
    assert not worker.is_running


def test_a_worker_begins_only_after_the_fork(worker: Worker) -> None:
    """The writer thread begins that which watches its file: perhaps while the process is about to fork."""
    assert worker.begin()
    threads.end_before_fork([worker])
    assert worker.begin()
    assert not worker.is_running
    worker.begin_again()
    assert works(worker)


def test_a_worker_whose_work_raises_can_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda failure: told.append(failure.exc_type))
    worker = Worker(lambda: print(1 // 0), "short")
    for turn in range(2):
        assert worker.begin()
        wait_for(lambda turn=turn: len(told) > turn)  # type: ignore[misc]
        assert not worker.is_running
        assert worker not in threads.list_workers()
    assert told == [ZeroDivisionError] * 2


def test_a_worker_that_has_stopped_begins_no_more(worker: Worker) -> None:
    worker.begin()
    worker.stop(60)
    assert not worker.is_running
    worker.begin_again()
    assert not worker.is_running


def test_a_worker_that_cannot_begin_again_is_a_warning(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    assert worker.begin()
    threads.end_before_fork([worker])
    monkeypatch.setattr(threading.Thread, "start", refuse)
    worker.begin_again()
    monkeypatch.undo()
    assert "may begin no more threads, so worker ended" in caplog.text
    assert not worker.is_running
    assert worker not in threads.list_workers()


AFTER_MAIN = """
import sys, threading
from exptrack import Archive

def work():
    threading.main_thread().join()
    with Archive(folder + "/lab.db") as archive:
        with archive.start_run() as run:
            run.artifacts.register_data("weights", bytes(range(256)) * 40_000)
            with run.artifacts.open("weights") as file:
                assert len(file.read()) == 256 * 40_000
        print(archive.pack(folder + "/packed.db").blobs, archive.verify().ok)

folder = sys.argv[1]
threading.Thread(target=work).start()
"""


def test_a_thread_that_outlives_the_main_one_stores_reads_packs_and_proves(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", AFTER_MAIN, str(tmp_path)], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("1 True\n", "")


def test_a_helper_works_in_order_and_hands_errors_over() -> None:
    done: list[int] = []

    def work(number: int) -> int:
        done.append(number)
        return 10 // number

    with Helper("helper") as helper:
        results = [helper.submit(work, number) for number in (5, 0, 2)]
    assert done == [5, 0, 2]
    assert results[0].result() + results[2].result() == 7
    with pytest.raises(ZeroDivisionError):
        results[1].result()


def test_a_helper_does_without_a_thread_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with Helper("helper") as helper:
        assert helper.submit(threading.current_thread).result() is threading.current_thread()


def test_after_an_exception_a_helper_leaves_out_what_has_not_begun() -> None:
    begun, done = threading.Event(), list[int]()

    def work(number: int) -> None:
        begun.set()
        time.sleep(0.05)
        done.append(number)

    with pytest.raises(ZeroDivisionError), Helper("helper") as helper:
        for number in range(100):
            helper.submit(work, number)
        begun.wait(10)
        raise ZeroDivisionError
    assert 1 <= len(done) < 100


def test_an_outcome_says_when_it_is_there() -> None:
    may_end = threading.Event()
    with Helper("helper") as helper:
        outcome = helper.submit(may_end.wait, 10)
        assert not outcome.is_over
        may_end.set()
        assert outcome.result()
        assert outcome.is_over
        assert outcome.result()
