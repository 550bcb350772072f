"""Threads log at once: no point is lost, none is stored twice, and no automatic step is given twice."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exptrack import Archive, RunFinishedError
from tests.metrics.points import journals, values_of


@pytest.fixture(autouse=True)
def many_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def run_all(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_floats_that_threads_log_are_all_kept_with_steps_of_their_own(archive: Archive) -> None:
    """Beside drains, calls of several names, flushes and series in bulk, through several segments."""
    run = archive.start_run()
    count = 6000

    def work(number: int) -> None:
        for step in range(count):
            run.log_metric("shared", float(number))
            run.log_metric(f"own {number}", float(step))
            if step % 3 == 0:
                run.log({"shared": -1.0, f"with {number}": float(step)})
            if step % 2000 == number * 100:
                run.flush()

    run_all([lambda number=number: work(number) for number in range(4)])  # type: ignore[misc]
    run.complete()
    shared = values_of(run, "shared")
    assert [step for step, _ in shared] == list(range(4 * (count + count // 3)))
    values = [value for _, value in shared]
    assert [values.count(value) for value in (-1.0, 0.0, 1.0, 2.0, 3.0)] == [4 * count // 3, *[count] * 4]
    for number in range(4):
        assert values_of(run, f"own {number}") == [(step, float(step)) for step in range(count)]
        assert len(run.get_metric(f"with {number}")) == count // 3
    assert archive.verify().problems == ()


def test_a_run_that_ends_while_threads_log_has_every_point_whose_call_returned(tmp_path: Path) -> None:
    """Another run of the process goes on in the same journal meanwhile."""
    with Archive(tmp_path / "lab.db") as archive, archive.start_run() as other:
        for _ in range(15):
            run = archive.start_run()
            logged = [0, 0, 0]

            def work(number: int, run: object = run, logged: list[int] = logged) -> None:
                try:
                    while True:
                        run.log_metric(f"x{number}", 0.5)  # type: ignore[attr-defined]
                        logged[number] += 1
                        other.log_metric("beside", 0.25)
                except RunFinishedError:
                    pass

            threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
            for thread in threads:
                thread.start()
            while min(logged) < 200:
                time.sleep(0.0001)
            run.complete()
            for thread in threads:
                thread.join()
            assert [len(run.get_metric(f"x{number}")) for number in range(3)] == logged
        steps = [step for step, _ in values_of(other, "beside")]
        assert steps == list(range(len(steps)))
        assert archive.verify().problems == ()
    assert journals(tmp_path) == []


def test_names_are_forgotten_while_threads_log(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exptrack.metrics.log.MAX_SERIES", 20)
    run = archive.start_run()

    def work(number: int) -> None:
        for step in range(1500):
            run.log_metric(f"own {number}", float(step))
            if step % 50 == 0:
                run.log_metric(f"new {number} {step}", 1.0)

    run_all([lambda number=number: work(number) for number in range(3)])  # type: ignore[misc]
    run.complete()
    for number in range(3):
        assert values_of(run, f"own {number}") == [(step, float(step)) for step in range(1500)]
    assert archive.verify().problems == ()
