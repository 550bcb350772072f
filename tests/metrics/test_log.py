"""Logging calls: what they take, what they refuse, and which step and time a point gets."""

from __future__ import annotations

import errno
import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from exptrack import (
    Archive,
    InvalidTypeError,
    InvalidValueError,
    RecordedRun,
    RunFinishedError,
    RunNotFoundError,
)
from exptrack.metrics import journal_file
from exptrack.metrics import log as log_module
from exptrack.metrics import writer as writer_module
from tests.metrics.points import journals, killed, values_of


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
        (np.array(0.5), 0.5),
        (np.array([0.5]), 0.5),
        (np.array([[0.5]], np.float32), 0.5),
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
        1j,
        [1.0],
        b"1",
        Decimal("sNaN"),
        np.array([1.0, 2.0]),
        np.array([]),
        np.array([1j]),
        np.array(["0.5"]),
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


SLEEPING = """
import sys, time
real, slept_s = time.monotonic, 0.0
time.monotonic = lambda: real() - slept_s
from datetime import UTC, datetime, timedelta
import exptrack
from exptrack.tracking import lifecycle
insert_run = lifecycle.insert_run
lifecycle.insert_run = lambda *args: (time.sleep(0.5), insert_run(*args))[1]
with exptrack.Archive(sys.argv[1]) as archive, archive.start_run() as run:
    for loss in (0.5, 1):
        time.sleep(0.5)
        slept_s += 0.5
        earliest = datetime.now(UTC) - timedelta(seconds=0.2)
        run.log({"loss": loss})
        assert earliest < run.get_last_metric("loss").time <= datetime.now(UTC), loss
    assert run.elapsed_s >= 1.4
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there time.monotonic() goes on while the machine sleeps")
def test_a_point_has_the_time_at_which_it_was_logged(tmp_path: Path) -> None:
    """Also after the machine slept, for which the monotonic clock stands still, and after a slow start."""
    path = tmp_path / "lab.db"
    done = subprocess.run([sys.executable, "-c", SLEEPING, str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


NOON = datetime(2026, 1, 31, 12, 0, 0, 123_000, UTC)
NOON64 = np.datetime64("2026-01-31T12:00:00.123")


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(time, "tzset"):
        pytest.skip("the zone of a process cannot be set")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_given_times_come_back_to_the_millisecond(archive: Archive) -> None:
    given = [
        NOON,
        datetime(2026, 1, 31, 21, 0, 0, 123_000),
        NOON.timestamp(),
        Decimal("1769860800.123"),
        NOON64,
    ]
    given += [np.array(NOON64), pd.Timestamp(NOON64), pd.Timestamp(NOON), pd.Timestamp(NOON64, tz="UTC")]
    given += [NOON64.astype(f"datetime64[{unit}]") for unit in ("ms", "us", "ns")]
    for minutes in (-1439, -754, -1, 0, 1, 330, 840, 1439):
        given.append(NOON.astimezone(timezone(timedelta(minutes=minutes, seconds=minutes % 60))))
    run = archive.start_run()
    for when in given:
        run.log_metric("x", 1.0, time=when)
    run.log_many("y", None, [1.0] * len(given), given)
    columns = [np.full(2, NOON64.astype(f"datetime64[{unit}]")) for unit in ("ms", "us", "ns")]
    columns += [pd.Series(columns[0]), pd.DatetimeIndex(columns[0], tz="UTC"), pl.Series(columns[0])]
    for column in columns:
        run.log_many("y", None, [1.0, 2.0], column)
    record = RecordedRun(
        {}, pd.Timestamp(NOON), metrics={"x": ([*range(len(given))], [1.0] * len(given), given)}
    )
    (recorded,) = archive.record_runs([record])
    for name in ("x", "y"):
        assert {point.time for point in run.get_metric(name)} == {NOON}
    assert {point.time for point in archive.get_run(recorded).get_metric("x")} == {NOON}
    assert {row[0] for row in archive.sql("SELECT logged_at FROM point_times").rows} == {
        "2026-01-31 12:00:00.123"
    }
    starts = [datetime(2026, 1, 31, 21), NOON.replace(microsecond=0), np.datetime64("2026-01-31T12")]
    for run_id in archive.record_runs([RecordedRun({}, start) for start in starts]):
        assert archive.get_run(run_id).started_at == NOON.replace(microsecond=0)
    for bound in (datetime(2026, 1, 31, 20, 59), np.datetime64("2026-01-31T11:59"), "2026-01-31T11:59"):
        assert (
            archive.runs().started(after=bound).count()
            == archive.runs().where("started > ?", bound).count()
            == 5
        )
    run.complete()


def test_times_of_every_unit_of_numpy_and_at_the_edges(archive: Archive) -> None:
    run = archive.start_run()
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(microsecond=999_000, tzinfo=UTC)
    expected = [(first, first), (datetime.max.replace(tzinfo=UTC), last), (first.timestamp(), first)]
    expected += [
        (int(last.timestamp()), last.replace(microsecond=0)),
        (np.datetime64("9999-12-31T23:59:59.999"), last),
    ]
    for unit in ("Y", "M", "W", "D", "h", "m", "s"):
        when = NOON64.astype(f"datetime64[{unit}]")
        expected.append((when, when.astype("datetime64[ms]").item().replace(tzinfo=UTC)))
        expected.append(
            (np.datetime64(1, unit), np.datetime64(1, unit).astype("datetime64[ms]").item().replace(tzinfo=UTC))
        )
    for unit in ("us", "ns", "ps", "fs", "as"):
        expected.append((np.datetime64(1, unit), datetime(1970, 1, 1, tzinfo=UTC)))
    for when, back in expected:
        run.log_metric("x", 1.0, time=when)
        assert run.get_last_metric("x").time == back, when  # type: ignore[union-attr]
    run.complete()


NO_TIMES: list[Any] = [
    *(np.datetime64("NaT", "s"), np.datetime64("NaT", "ns"), pd.NaT, math.nan, math.inf, 1e308, 10**400),
    *(np.datetime64(2**62, unit) for unit in ("Y", "M", "W", "D", "h", "m", "s", "ms")),
    *(np.datetime64("0000"), np.datetime64("10000"), -62_135_596_801, 253_402_300_800),
    *(
        "2026-01-31",
        date(2026, 1, 31),
        timedelta(1),
        np.timedelta64(1, "s"),
        np.array([NOON64, NOON64]),
        [],
    ),
    datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
]


def test_what_is_no_time_is_refused(archive: Archive) -> None:
    run = archive.start_run()
    for wrong in NO_TIMES:
        record = RecordedRun({}, NOON, metrics={"x": ([0], [1.0], [wrong])})
        for call in (
            lambda wrong=wrong: run.log_metric("x", 1.0, time=wrong),
            lambda wrong=wrong: run.log({"x": 1.0}, time=wrong),
            lambda wrong=wrong: run.log_many("x", None, [1.0], [wrong]),
            lambda record=record: archive.record_runs([record]),
        ):
            with pytest.raises(
                (InvalidTypeError, InvalidValueError), match=r"^time .*(must be|outside the years)"
            ):
                call()
    assert run.get_metric("x") == []
    for wrong in (NOON64, np.timedelta64(1, "s"), np.datetime64(1, "ns")):
        for call in (
            lambda wrong=wrong: run.log_metric("x", wrong),
            lambda wrong=wrong: run.log_many("x", None, np.array([wrong])),
        ):
            with pytest.raises(InvalidTypeError, match="must be a number, not"):
                call()
    run.complete()


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
    monkeypatch.setattr(log_module, "MANY_AT_ONCE", 1)
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
def test_another_handle_on_a_live_run_logs_through_it(archive: Archive) -> None:
    run = archive.start_run()
    run.log_metric("x", 1.0)
    archive.get_run(run.run_id).log_metric("x", 2.0)
    with Archive(archive.path) as other:
        other.get_run(run.run_id).log_metric("x", 3.0)
    run.log_metric("x", 4.0, 7)
    run.complete()
    assert [value for _, value in values_of(run, "x")] == [1.0, 2.0, 3.0, 4.0]


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


def test_series_that_were_forgotten_for_their_number_go_on(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "MAX_SERIES", 40)
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


def test_where_no_file_can_be_made_every_call_is_a_commit(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "Journal", refuse)
        run = archive.start_run()
    assert "each log call is a commit" in caplog.text
    assert journals(Path(archive.path).parent) == []
    for step in range(3):
        run.log_metric("x", float(step))
        run.log({"x": float(step), "y": 1.0})
    assert archive._connection.value("SELECT sum(count) FROM metric_series") == 9
    run.complete()
    assert [step for step, _ in values_of(run, "x")] == list(range(6))


def _refuse_to_map(*_: object) -> None:
    raise OSError(errno.ENODEV, "No such device")


def test_where_no_file_can_be_mapped_points_are_written_by_system_calls(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(journal_file.mmap, "mmap", _refuse_to_map)
        run = archive.start_run()
    assert "cannot be mapped" in caplog.text
    for step in range(30_000):
        run.log_metric("x", float(step))
        if step % 3 == 0:
            run.log({"x": float(step), f"y{step % 50}": 1.0})
    run.complete()
    assert [step for step, _ in values_of(run, "x")] == list(range(40_000))
    assert archive.verify().problems == ()


def test_a_kill_loses_nothing_where_no_file_can_be_mapped(tmp_path: Path) -> None:
    body = """
    import logging, mmap, errno
    logging.disable()
    def refuse(*_):
        raise OSError(errno.ENODEV, "No such device")
    mmap.mmap = refuse
    run = archive.start_run()
    for step in range(50):
        run.log_metric("x", float(step))
        run.log({"x": float(step), "y": 1.0})
    """
    killed(tmp_path, body)
    with Archive(tmp_path / "lab.db") as archive:
        newest = archive.get_run(archive.list_runs()[0].run_id)
        assert [step for step, _ in values_of(newest, "x")] == list(range(100))
        assert len(newest.get_metric("y")) == 50


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

    # The first call opens the archive for this thread. That takes longer than a signal is away, so the handlers
    # would open it inside each other without end.
    run.log_metric("x", 1.0)
    run.log({"x": 2.0, "y": 2.0})
    logged = 1
    old = signal.signal(signal.SIGINT, handle)
    disturber = threading.Thread(target=interrupt)
    disturber.start()
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


class Hashless(str):
    """A name whose class raises as it is looked up."""

    __slots__ = ()

    def __hash__(self) -> int:
        raise RuntimeError("no hash")


class Loss(str):
    """A name of a class of its own, without any tricks."""

    __slots__ = ()


@pytest.mark.parametrize("name", ["loss", Loss("loss")])
def test_an_error_that_a_signal_handler_raises_ends_the_call_and_stores_nothing_twice(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def interrupt(*_: object) -> int:
        raise TimeoutError("the handler of an alarm")

    with archive.start_run() as run:
        run.log_metric("loss", 1.0)
        with monkeypatch.context() as patch:
            patch.setattr(log_module, "_crc", interrupt)
            with pytest.raises(TimeoutError, match="alarm"):
                run.log_metric(name, 2.0)
        run.log_metric(Hashless("loss"), 3.0)
    assert values_of(run, "loss") == [(0, 1.0), (1, 3.0)]


@pytest.mark.usefixtures("quiet")
def test_a_call_that_wakes_the_writer_thread_checks_no_name_again(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = archive.start_run()
    row = {f"metric {number}": 0.5 for number in range(5)}
    run.log(row)
    writer = run._writer
    assert writer is not None
    slow = log_module.MetricLog._log_slowly
    seen: list[object] = []
    monkeypatch.setattr(
        log_module.MetricLog, "_log_slowly", lambda *args, **named: (seen.append(args), slow(*args, **named))
    )
    writer.journal.nudge()
    run.log(row)
    assert seen == []
    # What the next call has to raise is not passed over.
    writer.lost = RunNotFoundError("01JQ0000000000000000000000", archive.path)
    writer.journal.nudge()
    with pytest.raises(RunNotFoundError):
        run.log(row)
    run.complete()
    assert [point.step for point in run.get_metric("metric 4")] == [0, 1, 2]
    assert archive.verify().problems == ()
