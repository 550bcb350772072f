"""Logging metrics: the calls a training loop makes thousands of times a second.

Invariants: when a call returns, the points are in the journal (see ``journal``), and a SIGKILL loses none. What
cannot be stored is refused at the call, before anything of it is written. An automatic step is one more than
the largest of its metric. Without a journal (a forked child, a folder that cannot map files, a handle on a run
that is not live here) every call is a commit: slower, and as safe.

The two calls are written out for speed: a scalar is 0.7 µs, of which a method call more would be a tenth.
Whatever is not a float at a known name takes the slow way round and comes to the same bytes.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import cache
from time import monotonic
from typing import Any

from exptrack.database.connection import Connection
from exptrack.errors import InvalidTypeError, InvalidValueError, RunFinishedError, RunNotFoundError
from exptrack.metrics.journal import CHECK, POINT, SEGMENT, SINGLE, SLOT, Journal
from exptrack.metrics.store import NewPoints, Series, append_points, find_top_step
from exptrack.metrics.writer import LoggedSeries, Writer, drain_all, release, writer_for, writer_of
from exptrack.records import RunStatus
from exptrack.times import milliseconds_since
from exptrack.validation import MANY_AT_ONCE, check_name, check_number, check_step, iter_elements, short_repr

RUN_STATUS = "SELECT status FROM run WHERE id = ?"
MAX_SERIES = 100_000  # known by heart; beyond, all are looked up afresh
MAX_SHAPES = 1_000
_pack, _put, _put_check, _crc = POINT.pack, SINGLE.pack_into, CHECK.pack_into, zlib.crc32
_ONLY_FLOATS = {float}


class _NoJournal:
    """Stands where no journal is: knows no series, so every call takes the slow way."""

    # Nothing to guard. A lock that all runs share would be copied as held by a fork beside a thread that logs.
    lock = nullcontext()


_NO_JOURNAL: Any = _NoJournal()


class _Shape:
    """What calls with the same names have in common: a record to be filled in."""

    __slots__ = ("epoch", "flat", "pack", "series", "size")

    def __init__(self, series: list[LoggedSeries], epoch: int) -> None:
        count = len(series)
        self.series = series
        self.epoch = epoch
        self.size = count * SLOT
        self.pack = _packer(count)
        self.flat: list[Any] = [field for one in series for field in (0, one.number, 0, 0.0, 0.0, 0)][:-1]
        if count > 1:
            self.flat[5] = count << 32


@cache
def _packer(count: int) -> Callable[..., bytes]:
    return struct.Struct("=" + "QQqddQ" * (count - 1) + "QQqdd").pack


class MetricLog:
    """The part of a run that takes metrics."""

    _connection: Connection
    _run: int
    run_id: str
    started_at: datetime

    def __init__(self) -> None:
        self._journal: Journal = _NO_JOURNAL
        self._writer: Writer | None = None
        self._zero = 0.0  # of the monotonic clock: when a run that never stopped would have started
        self._checksums: dict[int, tuple[int, int]] = {}  # of what was logged, by series, with the count
        self._series: dict[str, LoggedSeries] = {}
        # Of these, the ones that were defined once; and the records made of them, by their names.
        self._fast: dict[str, LoggedSeries] = {}
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def log_metric(
        self,
        name: str,
        value: object,
        step: int | None = None,
        time: datetime | float | None = None,
    ) -> None:
        """Log one value. Crash-safe: a SIGKILL right after loses nothing; :meth:`flush` is power-safe.

        Does not wait for the archive, but where 40,000 points wait to be stored.
        `value` is anything with ``__float__`` (bool counts as 0 or 1, an int beyond 2^53 is rounded); NaN and
        the infinities are kept. Without `step` the point follows the largest step of its metric; repeated
        and decreasing steps are kept. `time` is an aware datetime or seconds since 1970, kept to the
        millisecond; by default it is now.

        Raises:
            InvalidTypeError, InvalidValueError: a name, value or step that cannot be stored.
            RunFinishedError: the run has ended.
            ArchiveError: points logged before could not be moved into the archive (no room, file moved). Raised
                once; this and later points are kept in the journal, until it is full, and tried again.
        """
        if type(value) is float and time is None and (step is None or type(step) is int):
            try:
                journal = self._journal
                with journal.lock:
                    series = self._fast[name]
                    number = series.next if step is None else step
                    start = journal.at
                    end = start + 48
                    body = _pack(
                        journal.base + start, series.number, number, (monotonic() - self._zero) * 1e3, value
                    )
                    check = _crc(body, journal.nonce)
                    # Unless a signal handler has logged meanwhile; from here to the write none can run.
                    if end <= journal.limit and journal.at == start and journal.epoch == series.epoch:
                        journal.at = end
                        if number >= series.next:
                            series.next = number + 1
                        _put(journal.map, start, body, check)
                        return
            except (KeyError, TypeError, struct.error):
                pass  # a new name, or something to be refused: in words, below
        self._log_slowly({name: value}, step, time)

    def log(
        self,
        values: Mapping[str, object],
        step: int | None = None,
        time: datetime | float | None = None,
    ) -> None:
        """Log several values at one step and time, all or none; otherwise as :meth:`log_metric`."""
        if type(values) is dict and time is None and (step is None or type(step) is int):
            numbers = list(values.values())
            if set(map(type, numbers)) == _ONLY_FLOATS:
                try:
                    with self._journal.lock:
                        shape = self._shapes.get(tuple(values))
                        if shape is not None and self._put(
                            shape, numbers, step, (monotonic() - self._zero) * 1e3
                        ):
                            return
                except (TypeError, struct.error):
                    pass  # refused in words, below
        self._log_slowly(values, step, time)

    def log_many(
        self,
        name: str,
        steps: Iterable[int] | None,
        values: Iterable[object],
        times: Iterable[datetime | float] | None = None,
    ) -> None:
        """Log a whole series of values, all or none: arrays (numpy or not), lists, anything of one length.

        Commits; nobody waits for it while `values` are still being made. `steps` None numbers them on from the
        largest step; `times` are as in :meth:`log_metric`.

        Raises:
            InvalidTypeError, InvalidValueError: lengths differ, or something that cannot be stored.
            RunFinishedError: the run has ended.
        """
        checked = check_name(name, "metric name")
        now_ms = int(self._now_ms())
        # All of it first: whoever makes the values may log, and others may write meanwhile.
        numbers = array("d", (check_number(v, f"metric {checked!r}") for v in iter_elements(values, "values")))
        count = len(numbers)
        given = None if steps is None else array("q", map(check_step, iter_elements(steps, "steps")))
        moments = None if times is None else array("q", map(self._given_time, iter_elements(times, "times")))
        if any(column is not None and len(column) != count for column in (given, moments)):
            raise InvalidValueError(f"metric {checked!r}: steps, values and times differ in length")
        drain_all(self._connection.path)
        stored = Series(self._run, checked)
        with self._connection.transaction():
            self._require_running()
            following = self._next_of(checked)
            for begin in range(0, count, MANY_AT_ONCE):
                end = min(begin + MANY_AT_ONCE, count)
                some_steps = (
                    list(range(following, following + end - begin))
                    if given is None
                    else given[begin:end].tolist()
                )
                some_times = [now_ms] * (end - begin) if moments is None else moments[begin:end].tolist()
                following = max(following, max(some_steps) + 1)
                new = NewPoints(stored, some_steps, some_times, numbers[begin:end].tolist())
                _store(self._connection, [new])
        self._go_on_from(checked, following)

    # The slow way

    def _log_slowly(self, values: Mapping[str, object], step: object, time: object) -> None:
        if not isinstance(values, Mapping):
            raise InvalidTypeError(f"log takes a map of names to values, not {short_repr(values)}")
        checked_step = None if step is None else check_step(step)
        time_ms = self._now_ms() if time is None else float(self._given_time(time))
        names = tuple(check_name(name, "metric name") for name in values)
        numbers = [check_number(values[name], f"metric {name!r}") for name in values]
        try:
            self._append(names, numbers, checked_step, time_ms)
        except (struct.error, OverflowError):
            raise InvalidValueError("the largest step of 64 bits is taken; give a step") from None

    def _append(self, names: tuple[str, ...], numbers: list[float], step: int | None, time_ms: float) -> None:
        while True:
            journal, writer = self._journal, self._writer
            size = len(names) * SLOT
            # Most that the definitions may take too: a record stays within half a segment.
            most = size + sum(map(len, names)) * 4 + len(names) * 40
            if writer is None or not names or most > SEGMENT // 2:
                self._commit(names, numbers, step, time_ms)
                return
            if len(self._series) >= MAX_SERIES:
                self._forget_series(writer)
            room = True
            with journal.lock:
                seen = journal.drained
                if self._journal is journal:
                    shape = self._shape(writer, names, step)
                    if shape is not None and self._put(shape, numbers, step, time_ms):
                        break
                    # Where the definitions do not fit, the next epoch is the place for them.
                    room = journal.make_room(size if shape is not None else SEGMENT)
            if not room:
                writer.drain(seen=seen)
        failure = writer.take_failure()
        if failure is not None:
            raise failure

    def _put(self, shape: _Shape, numbers: list[Any], step: int | None, time_ms: float) -> bool:
        """Write one record, if it fits; the caller holds the journal's lock."""
        journal = self._journal
        start, size, series = journal.at, shape.size, shape.series
        end = start + size
        first = journal.base + start
        flat = shape.flat[:]
        flat[0::6] = range(first, first + size, SLOT)
        flat[2::6] = [one.next for one in series] if step is None else [step] * len(series)
        flat[3::6] = [time_ms] * len(series)
        flat[4::6] = numbers
        body = shape.pack(*flat)
        check = _crc(body, journal.nonce)
        # Unless a signal handler has logged meanwhile; from here to the write none can run.
        if end > journal.limit or journal.at != start or journal.epoch != shape.epoch:
            return False
        journal.at = end
        journal.map[start : end - 8] = body
        _put_check(journal.map, end - 8, check)
        if step is None:
            for one in series:
                one.next += 1
        else:
            step += 1
            for one in series:
                if one.next < step:
                    one.next = step
        return True

    def _shape(self, writer: Writer, names: tuple[str, ...], step: int | None) -> _Shape | None:
        """The record for these names, all defined; None when the epoch has no room for the definitions."""
        epoch = writer.journal.epoch
        shape = self._shapes.get(names)
        if shape is None or shape.epoch != epoch:
            found = [self._defined(writer, name, step) for name in names]
            series = [one for one in found if one is not None and one.epoch == epoch]
            if len(series) < len(names):
                return None
            if len(self._shapes) >= MAX_SHAPES:
                self._shapes.clear()
            shape = self._shapes[names] = _Shape(series, epoch)
        return shape

    def _defined(self, writer: Writer, name: str, step: int | None) -> LoggedSeries | None:
        journal = writer.journal
        known = self._series.get(name)
        if known is None:
            top = find_top_step(self._connection, self._run, name)
            # A series that begins below zero goes on from there.
            following = top + 1 if top is not None else step or 0
            number = journal.numbers
            journal.numbers = number + 1
            known = LoggedSeries(Series(self._run, name), self.run_id, number, following)
            writer.by_number[number] = known
            known = self._series.setdefault(name, known)
        if known.epoch != journal.epoch:
            epoch = journal.define(known.number, self.run_id, name.encode())
            if epoch is None:
                return None
            known.epoch = epoch
        self._fast[name] = known
        return known

    def _forget_series(self, writer: Writer) -> None:
        """Bound the memory that a million names take; all must be in the archive to be looked up there."""
        writer.drain()
        with writer.journal.lock:
            if not writer.journal.waiting()[0]:
                for known in self._series.values():
                    writer.by_number.pop(known.number, None)
                self._series, self._fast, self._shapes = {}, {}, {}

    def _commit(self, names: Sequence[str], numbers: list[float], step: int | None, time_ms: float) -> None:
        """Log without the journal of this handle: in a transaction of its own, or as the live run does."""
        twin = self._live_part()
        if twin is not self and twin._connection is self._connection:
            twin._append(tuple(names), numbers, step, time_ms)
            return
        drain_all(self._connection.path)
        batches = []
        with self._connection.transaction():
            self._require_running()
            for name, number in zip(names, numbers, strict=True):
                chosen = self._next_of(name) if step is None else step
                batches.append(NewPoints(Series(self._run, name), [chosen], [int(time_ms)], [number]))
            _store(self._connection, batches)
        for batch in batches:
            self._go_on_from(batch.series.name, batch.steps[0] + 1)

    def _next_of(self, name: str) -> int:
        top = find_top_step(self._connection, self._run, name)
        known = self._live_part()._series.get(name)
        stored = 0 if top is None else top + 1
        return stored if known is None else max(stored, known.next)

    def _go_on_from(self, name: str, following: int) -> None:
        """Points came by another way than the journal: automatic steps are beyond them."""
        live = self._live_part()
        with live._journal.lock:
            known = live._series.get(name)
            if known is not None:
                known.next = max(known.next, following)

    def _live_part(self) -> MetricLog:
        """The run itself, or another handle on it in this process that logs through a journal."""
        found: MetricLog | None = writer_of(self._connection, self._run, self.run_id)
        return self if found is None else found

    def _require_running(self) -> None:
        status = self._connection.value(RUN_STATUS, (self._run,))
        if status is None:
            raise RunNotFoundError(self.run_id, str(self._connection.path))
        if status != RunStatus.RUNNING:
            raise RunFinishedError(self.run_id, status)

    # Times

    def _now_ms(self) -> float:
        """Milliseconds since the run's start."""
        return (monotonic() - self._zero) * 1e3 if self._zero else float(self._given_time(datetime.now(UTC)))

    def _given_time(self, when: object) -> int:
        return milliseconds_since(self.started_at, when)

    # Getting and losing the journal

    def _take_journal(self) -> None:
        """Log through a journal from now on, where there can be one.

        Raises:
            ArchiveFullError: no room for it.
        """
        writer = writer_for(self._connection, self)
        if writer is not None:
            self._writer, self._journal = writer, writer.journal

    def _return_journal(self) -> str | None:
        """Store everything and log through the journal no more; return its name when it is gone."""
        writer = self._writer
        if writer is None:
            return None
        with writer.journal.lock:
            self.lose_journal()
        try:
            writer.drain()
        except BaseException:
            self._writer, self._journal = writer, writer.journal
            raise
        with writer.journal.lock:
            for known in self._series.values():
                writer.by_number.pop(known.number, None)
            self._series, logged = {}, self._series
        for stored in (known.stored for known in logged.values()):
            if stored.id is not None and stored.summary is not None and stored.checksum is not None:
                self._checksums[stored.id] = (stored.summary.count, stored.checksum.value())
        return writer.journal.header.key if release(self._connection, self) else None

    def lose_journal(self) -> None:
        """Every call is a commit from now on."""
        self._journal, self._writer = _NO_JOURNAL, None
        self._fast, self._shapes = {}, {}


def _store(connection: Connection, batches: list[NewPoints]) -> None:
    try:
        append_points(connection, batches)
    except OverflowError:
        raise InvalidValueError("the largest step of 64 bits is taken; give a step") from None
