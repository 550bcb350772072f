"""The journal: what a logging call returned for is stored once, whole and in order, whatever happens."""

from __future__ import annotations

import errno
import math
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exptrack import Archive, InvalidTypeError, InvalidValueError, RunFinishedError, RunStatus
from exptrack.errors import (
    ArchiveFullError,
    ArchiveLockedError,
    ArchiveMovedError,
    ArchiveReadOnlyError,
    RunNotFoundError,
)
from exptrack.metrics import journal as journal_module
from exptrack.metrics import log as metriclog
from exptrack.metrics import writer
from exptrack.metrics import writer as drain_module
from exptrack.metrics.journal import SEGMENT, SLOT, Journal, read_header, read_points
from exptrack.tracking.run import Run


def journals(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.points*"))


def values_of(run: Run, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in run.get_metric(name)]


def killed(folder: Path, body: str) -> None:
    """Run a script that logs into `folder`/lab.db and then kills itself."""
    code = f"""
import os, signal, sys, exptrack
archive = exptrack.Archive({str(folder / "lab.db")!r})
run = archive.start_run()
{textwrap.dedent(body)}
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer thread never drains by itself: what is stored was drained for a reason the test gives."""
    monkeypatch.setattr(drain_module, "DRAIN_S", 3600.0)
    monkeypatch.setattr(journal_module, "BATCH_BYTES", 1 << 40)


# The file


def test_the_journal_is_there_while_a_run_is_open_and_private(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        assert journals(tmp_path) == []
        first, second = archive.start_run(), archive.start_run()
        (path,) = journals(tmp_path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_blocks * 512 >= 2 * SEGMENT
        first.complete()
        assert journals(tmp_path) == [path]
        second.log({"x": 1.0})
        second.complete()
        assert journals(tmp_path) == []
        third = archive.start_run()
        third.log_metric("x", 2.0)
    assert journals(tmp_path) == []
    with Archive(tmp_path / "lab.db") as archive:
        assert values_of(archive.get_run(third.run_id), "x") == [(0, 2.0)]
        assert archive.verify().problems == ()
        assert archive._connection.value("SELECT count(*) FROM metric_journal") == 0


@pytest.mark.usefixtures("quiet")
def test_everybody_in_the_process_reads_what_was_logged(archive: Archive) -> None:
    run = archive.start_run()
    with Archive(archive.path) as other, Archive(archive.path, mode="ro") as reader:
        for step in range(5):
            run.log_metric("x", step)
            for view in (archive, other, reader):
                last = view.get_run(run.run_id).get_last_metric("x")
                assert last is not None
                assert last.value == step
            assert reader.list_runs()[0].metrics == {"x": step}
            assert other.sql("SELECT count FROM metrics").rows == ((step + 1,),)
    run.complete()


@pytest.mark.usefixtures("quiet")
def test_another_handle_on_a_live_run_logs_through_it(archive: Archive) -> None:
    run = archive.start_run()
    run.log_metric("x", 1.0)
    archive.get_run(run.run_id).log_metric("x", 2.0)
    with Archive(archive.path) as other:
        other.get_run(run.run_id).log_metric("x", 3.0)
    run.log_metric("x", 4.0, 7)
    run.complete()
    assert [value for _, value in values_of(run, "x")] == [1.0, 2.0, 3.0, 4.0]


def test_idle_writers_sleep(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a drain that leaves nothing, the thread waits for the next point, not for the clock."""
    monkeypatch.setattr(drain_module, "DRAIN_S", 0.01)
    run = archive.start_run()
    drains: list[float] = []
    store = writer.Writer._store
    monkeypatch.setattr(
        writer.Writer, "_store", lambda self, *a: (drains.append(time.monotonic()), store(self, *a))[1]
    )
    for number in range(3):
        run.log_metric("x", number)
        while len(drains) <= number:
            time.sleep(0.001)
        time.sleep(0.1)
    assert len(drains) == 3
    run.complete()


# What is logged


class Tensor:
    """As torch and jax have them: one element, asked for by float()."""

    def __float__(self) -> float:
        return 0.5


class Scalar:
    """As mlx has them: nothing but item()."""

    def __init__(self, held: object) -> None:
        self.held = held

    def item(self) -> object:
        return self.held


class Tensors:
    """As torch has several numbers."""

    def __float__(self) -> float:
        raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (3, 3.0),
        (True, 1.0),
        (2**53 + 1, float(2**53)),
        (Decimal("0.1"), 0.1),
        (Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int64(-7), -7.0),
        (np.bool_(True), 1.0),
        (np.array(2.5), 2.5),
        (Tensor(), 0.5),
        (Scalar(0.25), 0.25),
        (Scalar(np.float32(2)), 2.0),
        (Decimal("Infinity"), math.inf),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (-0.0, 0.0),
        (5e-324, 5e-324),
    ],
)
def test_numbers_of_every_kind(archive: Archive, value: Any, stored: float) -> None:
    run = archive.start_run()
    run.log_metric("once", value)
    for _ in range(2):
        run.log({"a": value, "b": 1.0})
    run.log_many("many", [0, 1], [value, value])
    run.complete()
    assert [value for name in ("once", "a", "many") for _, value in values_of(run, name)] == [stored] * 5


@pytest.mark.parametrize(
    "value",
    [
        "0.5",
        None,
        1j,
        [1.0],
        b"1",
        Decimal("sNaN"),
        np.array([1.0, 2.0]),
        np.array("0.5"),
        np.complex64(1 + 2j),
        Scalar("0.5"),
        Scalar(None),
        Scalar(1j),
        Scalar,
        Tensors(),
    ],
)
def test_a_known_metric_refuses_what_is_no_number_and_logs_nothing_of_the_call(
    archive: Archive, value: Any
) -> None:
    run = archive.start_run()
    for _ in range(2):
        run.log({"a": 1.0, "b": 1.0})
    for call in (lambda: run.log_metric("a", value), lambda: run.log({"a": 2.0, "b": value})):
        with pytest.raises(InvalidTypeError):
            call()
    with pytest.raises(InvalidTypeError):
        run.log_many("a", None, [1.0, value])
    assert values_of(run, "a") == [(0, 1.0), (1, 1.0)]
    run.complete()


def test_steps_at_the_edges(archive: Archive) -> None:
    run = archive.start_run()
    run.log_metric("below", 1.0, -5)
    run.log_metric("below", 2.0)
    run.log_metric("top", 1.0, 2**63 - 1)
    run.log_metric("top", 2.0, 2**63 - 1)
    for call in (lambda: run.log_metric("top", 3.0), lambda: run.log({"top": 3.0, "below": 3.0})):
        with pytest.raises(InvalidValueError, match="largest step"):
            call()
    for step in (2**63, -(2**63) - 1):
        with pytest.raises(InvalidValueError, match="64 bits"):
            run.log_metric("below", 1.0, step)
    for wrong in (True, np.array([1, 2]), np.array([1])):
        with pytest.raises(InvalidTypeError, match="whole number"):
            run.log_metric("below", 1.0, wrong)  # type: ignore[arg-type]
    for large in (Decimal("1e400"), 10**400):
        with pytest.raises(InvalidValueError, match="too large"):
            run.log_metric("below", large)
    run.log_metric("below", 3.0, np.int32(9))
    run.log_metric("below", 4.0)
    run.complete()
    assert values_of(run, "below") == [(-5, 1.0), (-4, 2.0), (9, 3.0), (10, 4.0)]
    assert values_of(run, "top") == [(2**63 - 1, 1.0), (2**63 - 1, 2.0)]


def test_automatic_steps_go_on_after_a_resumption(archive: Archive) -> None:
    run = archive.start_run()
    run.log({"a": 1.0, "b": 1.0}, 41)
    run.interrupt("a pause")
    again = archive.resume_run(run.run_id)
    again.log({"a": 2.0, "b": 2.0})
    again.log_metric("a", 3.0)
    again.log_many("b", None, [3.0, 4.0])
    again.log({"a": 4.0, "b": 5.0})
    again.complete()
    assert values_of(again, "a") == [(41, 1.0), (42, 2.0), (43, 3.0), (44, 4.0)]
    assert values_of(again, "b") == [(41, 1.0), (42, 2.0), (43, 3.0), (44, 4.0), (45, 5.0)]


def test_given_times_are_kept_to_the_millisecond(archive: Archive) -> None:
    run = archive.start_run()
    moments = [datetime(1969, 7, 20, 20, 17, 40, 29_000, UTC), datetime(2026, 1, 1, 0, 0, 0, 1_000, UTC)]
    for moment in moments:
        run.log_metric("x", 1.0, time=moment)
    run.log_many("y", None, [1.0, 2.0], moments)
    run.complete()
    for name in ("x", "y"):
        found = [point.time for point in run.get_metric(name)]
        assert [abs((a - b).total_seconds()) < 0.001 for a, b in zip(found, moments, strict=True)] == [
            True,
            True,
        ]


@pytest.mark.parametrize(
    ("steps", "values"),
    [
        (np.arange(3), np.array([1.0, 2.0, 3.0])),
        ([0, 1, 2], (1, 2, 3)),
        (range(3), iter([1.0, 2.0, 3.0])),
        (None, np.array([1, 2, 3], dtype=np.uint8)),
    ],
)
def test_log_many_takes_arrays_and_anything_of_one_length(archive: Archive, steps: Any, values: Any) -> None:
    run = archive.start_run()
    run.log_many("x", steps, values)
    run.log_metric("x", 4.0)
    run.complete()
    assert values_of(run, "x") == [(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0)]
    with pytest.raises(RunFinishedError):
        run.log_many("x", None, [5.0])


@pytest.mark.parametrize(
    ("steps", "values"), [([0], [1.0, 2.0]), ([0, 1, 2], [1.0, 2.0]), ([0, 1.5], [1.0, 2.0])]
)
def test_log_many_is_all_or_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, steps: Any, values: Any
) -> None:
    monkeypatch.setattr(metriclog, "MANY_AT_ONCE", 1)
    run = archive.start_run()
    with pytest.raises(InvalidValueError):
        run.log_many("x", steps, values)
    assert run.get_metric("x") == []
    run.complete()


@pytest.mark.parametrize("wrong", [np.array(1.0), 1.0, "12"])
def test_log_many_refuses_what_has_no_elements(archive: Archive, wrong: Any) -> None:
    run = archive.start_run()
    for call in (lambda: run.log_many("x", None, wrong), lambda: run.log_many("x", wrong, [1.0])):
        with pytest.raises(InvalidTypeError, match="a list or an array"):
            call()
    run.complete()


def test_a_column_that_slices_by_label_is_taken_whole(archive: Archive) -> None:
    class Labelled:
        """As pandas has them."""

        def __iter__(self) -> Iterator[float]:
            raise AssertionError("read element by element")

        def __getitem__(self, _labels: slice) -> Labelled:
            raise AssertionError("sliced by label")

        def tolist(self) -> list[float]:
            return [1.0, 2.0]

        def to_numpy(self) -> Any:
            return np.array([1.0, 2.0])

    run = archive.start_run()
    run.log_many("x", None, Labelled())
    run.complete()
    assert values_of(run, "x") == [(0, 1.0), (1, 2.0)]


def test_values_may_be_made_by_what_logs_and_keep_nobody_waiting(archive: Archive) -> None:
    run = archive.start_run()

    def made() -> Iterator[float]:
        for number in range(3):
            # More than the journal holds: it is drained meanwhile, and others write.
            run.log({f"inner {place}": 1.0 for place in range(2000)})
            run.flush()
            with Archive(archive.path) as other:
                other.append_event(run.run_id, "seen")
            yield float(number)

    run.log_many("outer", None, made())
    run.complete()
    assert values_of(run, "outer") == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert values_of(run, "inner 7") == [(0, 1.0), (1, 1.0), (2, 1.0)]


@pytest.mark.usefixtures("quiet")
def test_automatic_steps_go_on_whichever_handle_of_the_process_logs(archive: Archive) -> None:
    run = archive.start_run()
    run.log_metric("x", 0.0)
    with Archive(archive.path) as other:
        same, elsewhere = archive.get_run(run.run_id), other.get_run(run.run_id)
        for log in (same.log_many, elsewhere.log_many, run.log_many):
            log("x", None, [1.0, 2.0])
            run.log_metric("x", 3.0)
        for one in (same, elsewhere, run, elsewhere, same):
            one.log_metric("x", 4.0)
            one.log({"x": 5.0})
            run.log_metric("x", 6.0)
    run.complete()
    assert [step for step, _ in values_of(run, "x")] == list(range(25))


# Threads, signals, forks


def test_threads_number_a_series_without_gap_or_repetition(archive: Archive) -> None:
    run = archive.start_run()
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work(number: int) -> None:
        for step in range(2000):
            run.log_metric("shared", step)
            run.log({"shared": step, f"own {number}": step})
            if step % 500 == number * 50:
                run.flush()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(switch)
    run.complete()
    assert [step for step, _ in values_of(run, "shared")] == list(range(24_000))
    for number in range(6):
        assert values_of(run, f"own {number}") == [(step, float(step)) for step in range(2000)]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals reach no thread here")
def test_a_signal_handler_that_logs_loses_nothing(archive: Archive) -> None:
    """It interrupts logging calls anywhere; the pauses let the writer keep up, so that they need not drain."""
    run = archive.start_run()
    numbers, done = count(), []

    def handle(_signal: int, _frame: object) -> None:
        # A handler may itself be interrupted by the next one.
        number = next(numbers)
        run.log_metric("x", -1.0)
        run.log({"x": -2.0, "y": -2.0})
        run.log_metric(f"new {number}", -3.0)
        done.append(number)

    main_thread = threading.get_ident()
    stop = threading.Event()

    def interrupt() -> None:
        while not stop.wait(0.001):
            signal.pthread_kill(main_thread, signal.SIGINT)

    old = signal.signal(signal.SIGINT, handle)
    disturber = threading.Thread(target=interrupt)
    disturber.start()
    logged = 0
    try:
        while len(done) < 100:
            for _ in range(20):
                run.log_metric("x", 1.0)
                run.log({"x": 2.0, "y": 2.0})
                logged += 1
            time.sleep(0.001)
    finally:
        stop.set()
        disturber.join()
        signal.signal(signal.SIGINT, old)
    run.complete()
    handled = len(done)
    counts = [[value for _, value in values_of(run, name)].count for name in ("x", "y")]
    assert [counts[0](value) for value in (1.0, 2.0, -1.0, -2.0)] == [logged, logged, handled, handled]
    assert [counts[1](value) for value in (2.0, -2.0)] == [logged, handled]
    assert all(values_of(run, f"new {number}") == [(0, -3.0)] for number in range(handled))


def test_a_signal_handler_that_flushes_inside_a_logging_call_is_refused(archive: Archive) -> None:
    run = archive.start_run()
    with run._journal.lock, pytest.raises(ArchiveLockedError, match="signal handler"):
        run.flush()
    run.complete()


FORKER = """
import os, sys, exptrack
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run()
for step in range(1000):
    run.log_metric("x", float(step))
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        for step in range(10):
            run.log_metric(f"child {number}", float(step))
        own = archive.start_run(name=f"of child {number}")
        own.log_metric("x", 1.0)
        own.complete()
        sys.exit(0)
    children.append(child)
for step in range(1000):
    run.log_metric("x", float(step))
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
assert len([name for name in os.listdir(os.path.dirname(sys.argv[1])) if name.endswith(".points")]) == 1
run.complete()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_leaves_the_journal_alone_and_logs_by_commits(archive: Archive) -> None:
    done = subprocess.run([sys.executable, "-c", FORKER, archive.path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert journals(Path(archive.path).parent) == []
    parent = archive.get_run(archive.list_runs()[-1].run_id)
    assert [step for step, _ in values_of(parent, "x")] == list(range(2000))
    for number in range(3):
        assert values_of(parent, f"child {number}") == [(step, float(step)) for step in range(10)]
    assert sorted(r.name or "" for r in archive.list_runs()) == ["", *(f"of child {n}" for n in range(3))]


CLOSER = """
import sys, threading, time, exptrack
for _ in range(8):
    archive = exptrack.Archive(sys.argv[1])
    run = archive.start_run()
    logged, wrong = [0, 0, 0], []

    def log(number):
        try:
            while True:
                if number % 2:
                    run.log({f"x{number}": 1.0})
                else:
                    run.log_metric(f"x{number}", 1.0)
                logged[number] += 1
        except exptrack.ArchiveClosedError:
            pass
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.02)
    archive.close()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
    with exptrack.Archive(sys.argv[1]) as archive:
        found = [len(archive.get_run(run.run_id).get_metric(f"x{number}")) for number in range(3)]
    assert all(a >= b for a, b in zip(found, logged)), (found, logged)
"""


def test_an_archive_that_is_closed_while_threads_log_has_all_that_calls_returned_for(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLOSER, str(tmp_path / "lab.db")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert journals(tmp_path) == []


# More than fits


@pytest.mark.usefixtures("quiet")
def test_a_full_journal_is_drained_by_who_logs(archive: Archive) -> None:
    run = archive.start_run()
    for step in range(60_000):
        run.log_metric("x", float(step), step)
    names = [f"metric {'é' * 100} {number}" for number in range(3000)]
    for _ in range(3):
        run.log(dict.fromkeys(names, 1.0))
    run.log({f"one of very many {number}": 1.0 for number in range(20_000)})
    run.complete()
    assert len(run.get_metric("x")) == 60_000
    assert archive.sql("SELECT count(*), sum(count) FROM metrics").rows == ((23_001, 60_000 + 9000 + 20_000),)


def test_series_that_were_forgotten_for_their_number_go_on(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metriclog, "MAX_SERIES", 40)
    run, other = archive.start_run(), archive.start_run()
    for _ in range(3):
        for number in range(100):
            run.log_metric(f"m{number}", 1.0)
            other.log({f"m{number}": 1.0, "all": 1.0})
    run.complete()
    other.complete()
    for number in range(100):
        assert [step for step, _ in values_of(run, f"m{number}")] == [0, 1, 2]
    assert [step for step, _ in values_of(other, "all")] == list(range(300))


LOGGED = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.none() | st.integers(-3, 3),
        st.floats(),
        st.sampled_from(["", "", "flush", "resume"]),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LOGGED)
def test_summaries_are_exact_however_the_points_are_drained(
    tmp_path: Path, logged: list[tuple[str, int | None, float, str]]
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run()
        expected: dict[str, list[tuple[int, float]]] = {}
        for name, step, value, then in logged:
            points = expected.setdefault(name, [])
            chosen = step if step is not None else max((s for s, _ in points), default=-1) + 1
            points.append((chosen, value))
            run.log_metric(name, value, step)
            if then == "flush":
                run.flush()
            elif then == "resume":
                run.interrupt("a pause")
                run = archive.resume_run(run.run_id)
        run.complete()
        found = {metric.name: metric for metric in archive.show_run(run.run_id).metrics}
        assert set(found) == set(expected)
        for name, points in expected.items():
            metric = found[name]
            finite = [(step, value) for step, value in points if not math.isnan(value)]
            low = min(finite, key=lambda p: p[1], default=(None, None))
            high = max(finite, key=lambda p: p[1], default=(None, None))
            assert (metric.count, metric.nan_count) == (len(points), len(points) - len(finite))
            assert (metric.first_step, metric.last_step) == (points[0][0], points[-1][0])
            assert repr((metric.first + 0.0, metric.last + 0.0)) == repr(
                (points[0][1] + 0.0, points[-1][1] + 0.0)
            )
            assert (metric.min_step, metric.min) == low
            assert (metric.max_step, metric.max) == high
        assert archive.verify().problems == ()


# Failures


@pytest.mark.usefixtures("quiet")
def test_a_failure_of_the_writer_is_raised_once_and_the_points_are_kept(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = archive.start_run()
    run.log_metric("x", 0.0)
    full = ArchiveFullError("no room to write", path=archive.path)

    def refuse(*_: object) -> None:
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(drain_module, "append_points", refuse)
        run._journal.batch_ready.set()
        while run._writer is None or run._writer.failure is None:
            time.sleep(0.001)
        with pytest.raises(ArchiveFullError):
            run.log_metric("x", 1.0)
        run.log_metric("x", 2.0)
        run.log({"x": 3.0})
        for call in (run.flush, run.complete):
            with pytest.raises(ArchiveFullError):
                call()
        assert archive.get_run(run.run_id).get_metric("x") == []
    run.log_metric("x", 4.0)
    run.complete()
    assert [value for _, value in values_of(run, "x")] == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.usefixtures("quiet")
def test_a_full_journal_that_cannot_be_drained_refuses_the_call(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = archive.start_run()
    assert run._writer is not None
    run._writer.stop()
    full = ArchiveFullError("no room to write", path=archive.path)

    def refuse(*_: object) -> None:
        raise full

    kept: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(drain_module, "append_points", refuse)
        raised: list[int] = []
        while len(raised) < 3:
            step = len(kept)
            try:
                run.log_metric("x", float(step), step)
            except ArchiveFullError:
                raised.append(step)
            else:
                kept.append(step)
        assert len(kept) > 40_000
    run.complete()
    assert [step for step, _ in values_of(run, "x")] == kept


def test_no_room_for_the_journal_is_an_error_of_the_start(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "_allocate", refuse)
        with pytest.raises(ArchiveFullError, match="no room for the journal"):
            archive.start_run()
    assert archive.list_runs() == []
    assert journals(Path(archive.path).parent) == []


def test_where_no_file_can_be_mapped_every_call_is_a_commit(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENODEV, "No such device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module.mmap, "mmap", refuse)
        run = archive.start_run()
    assert "each log call is a commit" in caplog.text
    assert journals(Path(archive.path).parent) == []
    for step in range(3):
        run.log_metric("x", float(step))
        run.log({"x": float(step), "y": 1.0})
    assert archive._connection.value("SELECT sum(count) FROM metric_series") == 9
    run.complete()
    assert [step for step, _ in values_of(run, "x")] == list(range(6))


def test_a_run_that_is_not_there_any_more_ends_with_that_error_and_leaves_no_journal(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    run = archive.start_run()
    run.log_metric("x", 1.0)
    with archive._connection.transaction():
        archive._connection.execute("DELETE FROM run")
    for call in (run.flush, run.complete):
        with pytest.raises(RunNotFoundError):
            call()
    assert run.run_id in caplog.text
    assert journals(Path(archive.path).parent) == []


def test_an_archive_opened_for_reading_makes_no_journal(
    archive: Archive, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "Journal", None)
    with Archive(archive.path, mode="ro") as reader, pytest.raises(ArchiveReadOnlyError):
        reader.start_run()
    assert caplog.text == ""


def test_a_journal_that_somebody_deletes_is_written_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed(
        tmp_path,
        """
        import time
        run.log_metric("x", 0.0)
        os.unlink(run._journal.path)
        run.log_metric("x", 1.0)
        while not os.path.exists(run._journal.path):
            time.sleep(0.001)
        # Not what the drained part says, but what a killed process left in the new file:
        run._writer.draining.acquire()
        for number in range(2, 6):
            run.log({"x": float(number), "new": 1.0})
        """.replace("import time", "import logging, time; logging.disable()"),
    )
    (journal,) = journals(tmp_path)
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.get_run(archive.list_runs()[0].run_id)
        assert values_of(run, "x") == [(number, float(number)) for number in range(6)]
        assert len(values_of(run, "new")) == 4
        assert archive.verify().problems == ()


def test_a_deleted_journal_that_cannot_be_written_again_is_an_error_and_loses_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = archive.start_run()
    run.log_metric("x", 0.0)
    os.unlink(run._journal.path)

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "_allocate", refuse)
        with pytest.raises(ArchiveFullError, match="no room for the journal"):
            run.flush()
        run.log_metric("x", 1.0)
    run.flush()
    assert run._journal.path.exists()
    run.complete()
    assert [value for _, value in values_of(run, "x")] == [0.0, 1.0]


def test_a_run_that_somebody_else_ended_keeps_what_was_logged(archive: Archive) -> None:
    run = archive.start_run()
    run.log_metric("x", 1.0)
    with archive._connection.transaction():
        archive._connection.execute("UPDATE run_owner SET pid_started = '0'")
    assert archive.list_runs()[0].status is RunStatus.INTERRUPTED
    run.log_metric("x", 2.0)
    with pytest.raises(RunFinishedError):
        run.complete()
    assert [value for _, value in values_of(run, "x")] == [1.0, 2.0]


@pytest.mark.parametrize("status", ["completed", "failed", "interrupted"])
def test_finish_ends_a_run_in_words(archive: Archive, status: str) -> None:
    run = archive.start_run()
    with pytest.raises(InvalidValueError):
        run.finish("running")
    run.finish(status, "enough")
    summary = archive.show_run(run.run_id).summary
    assert (summary.status, summary.reason) == (status, "enough")


# What the dead leave


def test_a_journal_is_replayed_by_the_next_opener_and_by_whoever_lists(tmp_path: Path) -> None:
    body = """
    for step in range(100):
        run.log({"loss": step, "acc": float("nan")})
    second = archive.start_run()
    second.log_metric("loss", 1.0, -3, 0.0)
    """
    with Archive(tmp_path / "lab.db") as archive:
        killed(tmp_path, body)
        assert len(journals(tmp_path)) == 1
        assert [r.status for r in archive.list_runs()] == ["interrupted", "interrupted"]
        assert journals(tmp_path) == []
        second, first = (archive.get_run(r.run_id) for r in archive.list_runs())
        assert values_of(first, "loss") == [(step, float(step)) for step in range(100)]
        assert len(first.get_metric("acc")) == 100
        assert abs(second.get_metric("loss")[0].time.timestamp()) < 0.001
        again = archive.resume_run(first.run_id)
        again.log({"loss": 0.0})
        assert again.get_metric("loss")[-1].step == 100
        again.complete()
        assert archive.verify().problems == ()


def test_of_two_openers_one_replays(tmp_path: Path) -> None:
    killed(tmp_path, "for step in range(20_000): run.log_metric('x', 1.0, step)")
    opener = f"import exptrack; exptrack.Archive({str(tmp_path / 'lab.db')!r}).close()"
    processes = [subprocess.Popen([sys.executable, "-c", opener], stderr=subprocess.PIPE) for _ in range(4)]
    assert [process.communicate()[1] for process in processes] == [b""] * 4
    with Archive(tmp_path / "lab.db") as archive:
        (record,) = archive.list_runs()
        assert len(archive.get_run(record.run_id).get_metric("x")) == 20_000
        assert archive.verify().problems == ()
    assert journals(tmp_path) == []


def _garbage(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(10_000))


def _short(path: Path) -> None:
    os.truncate(path, 3000)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(10_000))


@pytest.mark.parametrize("damage", [_garbage, _short, _empty, _zeros])
def test_a_damaged_journal_never_stops_an_opener(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    killed(tmp_path, "run.log_metric('x', 1.0)")
    (path,) = journals(tmp_path)
    damage(path)
    for _ in range(2):
        with Archive(tmp_path / "lab.db") as archive:
            assert [r.status for r in archive.list_runs()] == ["interrupted"]
            assert archive.verify().problems == ()
    assert journals(tmp_path) == ([path] if damage is _garbage else [])


def test_the_journal_of_another_archive_is_left_alone(tmp_path: Path) -> None:
    killed(tmp_path, "run.log_metric('x', 1.0)")
    (path,) = journals(tmp_path)
    before = path.read_bytes()
    (tmp_path / "lab.db").rename(tmp_path / "elsewhere.db")
    for suffix in ("-wal", "-shm"):
        Path(f"{tmp_path / 'lab.db'}{suffix}").unlink(missing_ok=True)
    with Archive(tmp_path / "lab.db") as archive:
        assert archive.list_runs() == []
    assert path.read_bytes() == before


def test_points_of_a_run_that_is_not_in_the_archive_are_set_aside(tmp_path: Path) -> None:
    Archive(tmp_path / "lab.db").close()
    shutil.copyfile(tmp_path / "lab.db", tmp_path / "before.db")
    killed(tmp_path, "run.log_metric('x', 1.0)")
    for suffix in ("-wal", "-shm"):
        Path(f"{tmp_path / 'lab.db'}{suffix}").unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "before.db", tmp_path / "lab.db")
    with Archive(tmp_path / "lab.db") as archive:
        assert archive.list_runs() == []
    (aside,) = journals(tmp_path)
    assert aside.name.endswith(".points.unclaimed")


@pytest.fixture
def logged(archive: Archive, quiet: None) -> Iterator[tuple[Run, Journal]]:
    """A run with a single record, one of three values, and a single one again, in its journal only."""
    run = archive.start_run()
    run.log_metric("a", 1.0)
    run.log({"a": 2.0, "b": 2.0, "c": 2.0})
    run.log_metric("a", 3.0)
    yield run, run._journal
    run.complete()


def left(journal: Journal, path: Path, drained: int = 0) -> list[tuple[str, float] | None]:
    header = read_header(path)
    assert header == journal.header
    return [point and (point.name, point.value) for point in read_points(path, header, drained)]


GROUP = [("a", 2.0), ("b", 2.0), ("c", 2.0)]


def test_a_torn_record_is_not_there_and_its_neighbours_are(logged: tuple[Run, Journal], tmp_path: Path) -> None:
    """Every byte of a group of three is damaged in turn: the group is gone as a whole, nothing else is."""
    _, journal = logged
    whole = journal.path.read_bytes()
    copy = tmp_path / "copy.points"
    copy.write_bytes(whole)
    assert left(journal, copy) == [("a", 1.0), *GROUP, ("a", 3.0)]
    assert left(journal, copy, SLOT * 2) == [*GROUP, ("a", 3.0)]
    begin = journal.at - 4 * SLOT
    for place in range(begin, begin + 3 * SLOT):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        copy.write_bytes(damaged)
        assert left(journal, copy) == [("a", 1.0), ("a", 3.0)]


def test_what_an_earlier_epoch_left_is_not_taken_again(archive: Archive, quiet: None) -> None:
    run = archive.start_run()
    step = 0
    while run._journal.epoch < 3:
        run.log_metric("x", float(step), step)
        step += 1
    journal = run._journal
    found = [point.step for point in read_points(journal.path, journal.header, 0) if point is not None]
    assert found == list(range(step - len(found), step))
    assert len(found) < 2 * SEGMENT // SLOT
    assert list(read_points(journal.path, journal.header, journal.address)) == []
    run.complete()


@pytest.mark.skipif(os.name != "posix", reason="Windows does not let an open file go")
def test_an_archive_that_is_put_back_gets_what_was_logged_meanwhile(tmp_path: Path) -> None:
    path, away = tmp_path / "lab.db", tmp_path / "away.db"
    with Archive(path) as archive, archive.start_run() as run:
        run.log_metric("x", 1.0)
        path.rename(away)
        run.log_metric("x", 2.0)
        with pytest.raises(ArchiveMovedError):
            run.flush()
        run.log_metric("x", 3.0)
        away.rename(path)
    assert [value for _, value in values_of(Archive(path).get_run(run.run_id), "x")] == [1.0, 2.0, 3.0]
