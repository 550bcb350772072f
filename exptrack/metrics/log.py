"""Log metrics: the calls that a training loop makes thousands of times a second.

Invariants:

- When a call returns, its points are in the journal (see ``journal``), and a SIGKILL loses none of them.
- A value that cannot be stored is refused at the call, before any part of the call is written.
- An automatic step is one more than the largest step of its metric.
- Without a journal every call is a commit: slower, and as safe. A run has none in a forked child, and none in
  a folder where files cannot be mapped. A handle whose run is not live in this process has none either.
- A forked child that cannot use SQLite has a journal of its own (see ``writer_apart``).

``log_metric`` and ``log`` repeat the writing of a record instead of calling it: one scalar takes 0.7 µs, and
each further method call would add a tenth. Only floats under known names take this fast path. All other
values go through ``_log_slowly``, which writes the same bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from exptrack.capture.redaction import remove_secrets_of_name
from exptrack.database import forks
from exptrack.database.connection import Connection, in_section
from exptrack.errors import (
    ArchiveFullError,
    ArchiveIOError,
    ArchiveLockedError,
    ArchiveMovedError,
    InvalidValueError,
    RunFinishedError,
    RunNotFoundError,
    RunTrashedError,
    warn,
)
from exptrack.metrics.journal import CHECK, NO_JOURNAL, POINT, SINGLE, Journal
from exptrack.metrics.journal_file import SEGMENT_BYTES, SEGMENT_SLOTS, SLOT
from exptrack.metrics.journal_users import find_user
from exptrack.metrics.record_template import RecordTemplate
from exptrack.metrics.store import (
    NewPoints,
    PointsChecksum,
    SeriesRow,
    append_points,
    find_top_step,
    find_top_steps,
)
from exptrack.metrics.writer import Writer, drain_all, open_writer, release_writer
from exptrack.metrics.writer_users import Ending, LeftByParent, LoggedSeries
from exptrack.plain import read_items
from exptrack.records import RunStatus
from exptrack.times import CLOCK, milliseconds_since, read_clock, steady_s
from exptrack.validation import MANY_AT_ONCE, check_name, check_number, check_step, check_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from exptrack.metrics.given import Columns

RUN_STATUS = "SELECT status, deleted_at FROM run WHERE id = ?"
MAX_SERIES = 100_000  # kept in memory for one run; beyond that, all are forgotten and read from the file again
MAX_TEMPLATES = 1_000

# Module names, because a global is cheaper to look up than the attribute of a module.
_pack_point, _put_single, _put_check, _crc = POINT.pack, SINGLE.pack_into, CHECK.pack_into, zlib.crc32
_ONLY_FLOATS = {float}
_NUMBERS = frozenset({float, int, bool})


def _can_be_looked_up(name: object) -> bool:
    try:
        hash(name)
    except Exception:
        return False
    return True


class MetricLog:
    """The part of a run that logs metrics."""

    _connection: Connection
    _run: int
    run_id: str
    started_at: datetime

    def __init__(self) -> None:
        self._journal = NO_JOURNAL
        self._writer: Writer | None = None
        self._left: LeftByParent | None = None  # in a forked child
        # The reading of `steady_s` at the run's start; of a resumed run, as if it had never stopped.
        self._zero = 0.0
        self._is_resumed = False
        # By the row id of a series: how many points were logged, and their checksum.
        self._checksums: dict[int, tuple[int, PointsChecksum]] = {}
        self._series: dict[str, LoggedSeries] = {}
        # The series that some epoch of the journal has defined, and the templates made of them.
        self._fast: dict[str, LoggedSeries] = {}
        self._templates: dict[tuple[str, ...], RecordTemplate] = {}
        self._passed_over: set[str] = set()  # the metrics of which it was said that a value is None

    def log_metric(
        self,
        name: str,
        value: object,
        step: int | None = None,
        time: datetime | float | None = None,
    ) -> None:
        """Log one value. Crash-safe: a SIGKILL right after loses nothing; :meth:`flush` is power-safe.

        Returns without waiting for the archive, unless 40,000 points are already queued; then it waits for up
        to a second.

        `value` is anything with ``__float__``, or an array of one element: a bool counts as 0 or 1, an int
        beyond 2^53 is rounded. NaN and the infinities are kept. None is not logged, and a warning says so once.
        Without `step` the point follows the largest step of its metric. Repeated and decreasing steps are kept.
        `time` is a datetime, a datetime64 or seconds since 1970, kept to the millisecond; the default is now. A
        datetime without a time zone is local time. Those of numpy and pandas are UTC, as these libraries have
        it.

        Raises:
            InvalidTypeError, InvalidValueError: the name, the value or the step cannot be stored.
            RunFinishedError: the run has ended.
            RunNotFoundError: another process has deleted the run. This is raised once.
            ArchiveError: the archive cannot be written, and the journal holds a million points or has no room
                to grow. Until then points wait in the journal, a warning says so once, and the writer thread
                goes on trying to store them.
        """
        journal = self._journal
        if type(value) is float and journal.mark and time is None and (step is None or type(step) is int):
            try:
                with journal.lock:
                    series = self._fast[name]
                    chosen = series.next if step is None else step
                    start = journal.at
                    end = start + 1
                    body = _pack_point(
                        start, series.index, chosen, (read_clock(CLOCK) - self._zero) * 1e3, value
                    )
                    check = _crc(body, journal.seed)
                    # A signal handler may have logged until here. From here to the write none can run.
                    if end <= journal.limit and journal.at == start and journal.epoch == series.epoch:
                        journal.at = end
                        if chosen >= series.next:
                            series.next = chosen + 1
                        journal.kept[start] = body
                        _put_single(journal.map, start * 48, body, check)  # type: ignore[arg-type]  # limit is 0 without a map
                        return
            except (KeyError, TypeError, struct.error):
                pass  # a new name, or a value that _log_slowly refuses with a message
            except Exception:
                # A signal handler raised it, unless the class of the name does so as the name is looked up.
                if type(name) is str or _can_be_looked_up(name):
                    raise
        self._log_slowly({check_text(name, "metric name"): value}, step, time, flattening=False)

    def log(
        self,
        values: Mapping[str, object],
        step: int | None = None,
        time: datetime | float | None = None,
    ) -> None:
        """Log several values at one step and time, all or none. Otherwise like :meth:`log_metric`.

        Maps within it flatten: ``{"train": {"loss": 0.5}}`` logs ``train.loss``.

        Raises:
            InvalidValueError: two values have one name, or the maps hold themselves or are nested too deep.
        """
        if type(values) is dict and time is None and len(values) == 1:
            ((name, value),) = values.items()
            if type(name) is str and type(value) is float:
                MetricLog.log_metric(self, name, value, step)  # which takes a third of the time
                return
        journal = self._journal
        if type(values) is dict and journal.mark and time is None and (step is None or type(step) is int):
            numbers = list(values.values())
            if set(map(type, numbers)) == _ONLY_FLOATS:
                try:
                    with journal.lock:
                        template = self._templates.get(tuple(values))
                        if template is not None:
                            time_ms = (read_clock(CLOCK) - self._zero) * 1e3
                            if self._write_record(template, numbers, step, time_ms):
                                return
                            # Waking the thread that stores points takes less than checking all names again.
                            room = self._make_room(template.slots)
                            if room and self._write_record(template, numbers, step, time_ms):
                                return
                except (TypeError, struct.error):
                    pass  # _log_slowly refuses it with a message
        self._log_slowly(values, step, time)

    def log_many(
        self,
        name: str,
        steps: Iterable[int] | None,
        values: Iterable[object],
        times: Iterable[datetime | float] | None = None,
    ) -> None:
        """Log a whole series of values, all or none. Commits.

        `values`, `steps` and `times` are arrays, lists or iterators of one length. They are read before the
        transaction begins, so a slow iterator blocks no other writer. Without `steps`, the values continue
        from the largest step. `times` are as in :meth:`log_metric`. A value of None is left out with its step.

        Raises:
            InvalidTypeError, InvalidValueError: the lengths differ, or an element cannot be stored.
            RunFinishedError: the run has ended.
        """
        from exptrack.metrics.given import read_columns

        checked = self._check_metric(name)
        now_ms = int(self._now_ms())
        # Read everything first: the iterator may log itself, and other processes may write meanwhile.
        columns = read_columns(checked, steps, values, times, self._given_time)
        if columns.has_none:
            self._pass_over(checked)
        self._store_many(checked, now_ms, columns)

    @in_section
    def _store_many(self, name: str, now_ms: int, columns: Columns) -> None:
        drain_all(self._connection.file)
        count, times = len(columns.values), columns.times
        stored = SeriesRow(self._run, name)
        with self._connection.transaction():
            self._require_running()
            following = self._next_step(name)
            first = 0 if columns.has_steps else following
            for begin in range(0, count, MANY_AT_ONCE):
                end = min(begin + MANY_AT_ONCE, count)
                some_steps = (
                    [first + step for step in columns.steps[begin:end]]
                    if first
                    else [*columns.steps[begin:end]]
                )
                some_times = [now_ms] * (end - begin) if times is None else times[begin:end].tolist()
                following = max(following, max(some_steps) + 1)
                new = NewPoints(stored, some_steps, some_times, columns.values[begin:end].tolist())
                _append_or_refuse(self._connection, [new])
        self._continue_after(name, following)

    # The slow path

    def _log_slowly(
        self, values: Mapping[str, object], step: object, time: object, *, flattening: bool = True
    ) -> None:
        items = read_items(values, "the values of log()")
        if flattening and not _NUMBERS.issuperset([type(value) for _, value in items]):
            from exptrack.metrics.given import flatten_values

            items = flatten_values(items)
        checked_step = None if step is None else check_step(step)
        time_ms = self._now_ms() if time is None else float(self._given_time(time))
        names = tuple(self._check_metric(name) for name, _ in items)
        numbers = [
            None if value is None else check_number(value, f"metric {name!r}")
            for name, (_, value) in zip(names, items, strict=True)
        ]
        # Two keys of classes of their own may say that they differ, and a map may hold what a dotted name says.
        if len(set(names)) < len(names):
            twice = next(name for place, name in enumerate(names) if name in names[:place])
            raise InvalidValueError(
                f"two names of the values of log() are the same text {twice!r}; give each once"
            )
        if None in numbers:
            for name in (name for name, number in zip(names, numbers, strict=True) if number is None):
                self._pass_over(name)
            names = tuple(name for name, number in zip(names, numbers, strict=True) if number is not None)
            if not names and self._writer is not None:
                return
        try:
            self._append(names, [number for number in numbers if number is not None], checked_step, time_ms)
        except (struct.error, OverflowError):
            raise InvalidValueError("the largest step of 64 bits is already logged; give a step") from None

    def _pass_over(self, name: str) -> None:
        """Say once for each metric that a value of it is None, and so is not logged."""
        if name not in self._passed_over and len(self._passed_over) < MAX_TEMPLATES:
            self._passed_over.add(name)
            warn(
                f"metric {name!r} of run {self.run_id} was None, which is not logged; this is said once,"
                " and NaN would be logged"
            )

    def _check_metric(self, name: object) -> str:
        checked = check_name(name, "metric name")
        return checked if checked in self._series else remove_secrets_of_name(checked)

    def _append(self, names: tuple[str, ...], numbers: list[float], step: int | None, time_ms: float) -> None:
        forks.prepare_late()
        grow = False
        while True:
            if self._writer is None:
                self._take_journal_in_child()
            writer = self._writer
            # The definitions of new names may take this much too: a record stays within half a segment.
            most = len(names) * 4 * SLOT + sum(map(len, names)) * 4
            if writer is None or not names or most > SEGMENT_BYTES // 2:
                self._log_by_commit(names, numbers, step, time_ms)
                return
            journal = writer.journal
            journal.begin_mark()
            if len(self._series) >= MAX_SERIES:
                self._forget_series(writer)
            room = True
            try:
                with journal.lock:
                    seen = journal.drained
                    if self._journal is journal:
                        if journal.resting:
                            journal.make_room(0)
                        template = self._template(writer, names, step)
                        if template is not None and self._write_record(template, numbers, step, time_ms):
                            break
                        # If the definitions do not fit, ask for a whole segment: the next epoch has room.
                        slots = len(names) if template is not None else SEGMENT_SLOTS
                        room = journal.make_room(slots, grow=grow)
            except (OSError, ArchiveFullError) as error:
                raise writer.refusal(error) from error
            if not room:
                if grow:
                    raise writer.refusal()
                grow = not writer.wait_for_room(seen)
        writer.raise_if_lost()

    def _write_record(
        self, template: RecordTemplate, numbers: list[Any], step: int | None, time_ms: float
    ) -> bool:
        """Write one record and return True, or return False if it does not fit. The caller holds the lock."""
        journal = self._journal
        start, slots, series = journal.at, template.slots, template.series
        end = start + slots
        if end > journal.room:
            return False
        flat = template.flat[:]
        flat[0::6] = range(start, end)
        flat[2::6] = [one.next for one in series] if step is None else [step] * len(series)
        flat[3::6] = [time_ms] * len(series)
        flat[4::6] = numbers
        body = template.pack(*flat)
        check = _crc(body, journal.seed)
        mapped = journal.map
        if mapped is None:
            journal.write(start, body + CHECK.pack(check))
        # A signal handler may have logged until here. From here to the write none can run.
        if end > journal.room or journal.at != start or journal.epoch != template.epoch:
            return False
        if journal.map is not mapped:
            return False
        journal.at = end
        journal.kept[start] = body
        if step is None:
            for one in series:
                one.next += 1
        else:
            step += 1
            for one in series:
                if one.next < step:
                    one.next = step
        if mapped is not None:
            begin, last = start * SLOT, end * SLOT - 8
            mapped[begin:last] = body
            _put_check(mapped, last, check)
        return True

    def _make_room(self, slots: int) -> bool:
        """Make room for a record, unless that takes more than a moment or there is something to tell.

        The caller holds the lock. Where this begins an epoch, the series have to be defined in it.
        """
        writer = self._writer
        if writer is None or writer.journal is not self._journal:
            return False
        return not writer.journal.resting and writer.lost is None and writer.journal.make_room(slots)

    def _template(self, writer: Writer, names: tuple[str, ...], step: int | None) -> RecordTemplate | None:
        """Return the template for these names; None when this epoch has no room for their definitions."""
        epoch = writer.journal.epoch
        template = self._templates.get(names)
        if template is None or template.epoch != epoch:
            unknown = [name for name in names if name not in self._series]
            # In a child that cannot ask the file, a name that its parent had not logged begins afresh.
            tops = self._find_top_steps(unknown, step) if unknown and not writer.is_apart else {}
            found = [self._define(writer, name, step, tops.get(name)) for name in names]
            series = [one for one in found if one is not None and one.epoch == epoch]
            if len(series) < len(names):
                return None
            if len(self._templates) >= MAX_TEMPLATES:
                self._templates.clear()
            template = self._templates[names] = RecordTemplate(series, epoch)
        return template

    def _define(self, writer: Writer, name: str, step: int | None, top: int | None) -> LoggedSeries | None:
        """Return the series of a name, defined in this epoch; None when the epoch has no room for it.

        `top` is the largest stored step of a name that this handle has not logged.
        """
        journal = writer.journal
        known = self._series.get(name)
        if known is None:
            # A series that begins below zero goes on from there.
            following = top + 1 if top is not None else step or 0
            index = journal.series_count
            journal.series_count = index + 1
            known = LoggedSeries(SeriesRow(self._run, name), self.run_id, index, following)
            writer.by_index[index] = known
            known = self._series.setdefault(name, known)
        if known.epoch != journal.epoch:
            epoch = journal.define(known.index, self.run_id, name.encode())
            if epoch is None:
                return None
            known.epoch = epoch
        self._fast[name] = known
        return known

    def _find_top_steps(self, names: list[str], step: int | None) -> dict[str, int]:
        """Return the largest stored steps of metrics that this handle logs for the first time.

        An archive in trouble ends no training. If it cannot be read, this returns none for a run that began in
        this process, and for points with a step of their own.
        """
        try:
            return find_top_steps(self._connection, self._run, names)
        except (ArchiveIOError, ArchiveLockedError, ArchiveMovedError):
            if self._is_resumed and step is None:
                raise
            return {}

    def _forget_series(self, writer: Writer) -> None:
        """Free the memory of many names, once every point is in the archive, where the names are read again."""
        if writer.trouble is not None or not writer.drain_if_possible():
            return  # the names take memory for longer
        with writer.journal.lock:
            if not writer.journal.count_waiting():
                for known in self._series.values():
                    writer.by_index.pop(known.index, None)
                self._series, self._fast, self._templates = {}, {}, {}

    def _log_by_commit(
        self, names: tuple[str, ...], numbers: list[float], step: int | None, time_ms: float
    ) -> None:
        """Log in a transaction, or through the live handle of this connection if there is one."""
        live = self._live_handle()
        if live is not self and live._connection is self._connection:
            live._append(names, numbers, step, time_ms)
        else:
            self._commit(names, numbers, step, time_ms)

    @in_section
    def _commit(self, names: Sequence[str], numbers: list[float], step: int | None, time_ms: float) -> None:
        drain_all(self._connection.file)
        batches = []
        with self._connection.transaction():
            self._require_running()
            for name, number in zip(names, numbers, strict=True):
                chosen = self._next_step(name) if step is None else step
                batches.append(NewPoints(SeriesRow(self._run, name), [chosen], [int(time_ms)], [number]))
            _append_or_refuse(self._connection, batches)
        for batch in batches:
            self._continue_after(batch.series.name, batch.steps[0] + 1)

    def _next_step(self, name: str) -> int:
        """Return the next automatic step of a metric, from the file and from the live handle."""
        top = find_top_step(self._connection, self._run, name)
        known = self._live_handle()._series.get(name)
        stored = 0 if top is None else top + 1
        return stored if known is None else max(stored, known.next)

    def _continue_after(self, name: str, following: int) -> None:
        """Move the next automatic step beyond points that did not come through the journal."""
        live = self._live_handle()
        with live._journal.lock:
            known = live._series.get(name)
            if known is not None:
                known.next = max(known.next, following)

    def _live_handle(self) -> MetricLog:
        """Return the handle of this process that logs the run through a journal, or this handle."""
        found = find_user(self._connection, self._run, self.run_id)
        return found if isinstance(found, MetricLog) else self

    def _require_running(self) -> None:
        row = self._connection.one(RUN_STATUS, (self._run,))
        if row is None:
            raise RunNotFoundError(self.run_id, self._connection.file)
        if row["deleted_at"] is not None:
            raise RunTrashedError(self.run_id)
        if row["status"] != RunStatus.RUNNING:
            raise RunFinishedError(self.run_id, row["status"])

    # Times

    def _now_ms(self) -> float:
        """Return the milliseconds since the run's start."""
        if self._zero:
            return (steady_s() - self._zero) * 1e3
        # Where the clock was set back, no point lies before the start.
        return float(max(0, self._given_time(datetime.now(UTC))))

    def _given_time(self, when: object) -> int:
        return milliseconds_since(self.started_at, when)

    # Getting and losing the journal

    def _take_journal(self) -> None:
        """Log through a journal from now on, if the folder can hold one.

        Raises:
            ArchiveFullError: the disk has no room for the journal.
        """
        writer = open_writer(self._connection, self)
        if writer is not None:
            self._writer, self._journal = writer, writer.journal

    def _return_journal(self, end: Callable[[], None], *, completes: bool) -> bool:
        """Store all points, write the run's `end` with them, and stop using the journal. Power-safe.

        Return whether this was the journal's last user. If the run has ended already or is gone, the points are
        stored alone.
        """
        writer = self._writer
        if writer is None:
            end()
            return False
        with writer.journal.lock:
            self._lose_journal()
        logged, refused = self._series, None

        def write() -> None:
            for stored in (known.stored for known in logged.values()):
                if stored.id is not None and stored.summary is not None and stored.checksum is not None:
                    self._checksums[stored.id] = (stored.summary.count, stored.checksum)
            end()

        try:
            try:
                writer.drain_with(Ending(self._run, completes, write))
            except (RunFinishedError, RunNotFoundError) as error:
                refused = error
                writer.drain()
        except BaseException:
            self._writer, self._journal = writer, writer.journal
            raise
        with writer.journal.lock:
            for known in logged.values():
                writer.by_index.pop(known.index, None)
            self._series = {}
        was_last = release_writer(self._connection, self)
        if refused is not None:
            raise refused
        return was_last

    def _lose_journal(self) -> None:
        """Make every call a commit from now on."""
        self._journal, self._writer = NO_JOURNAL, None
        self._fast, self._templates = {}, {}

    def _become_child(self, journal: Journal) -> None:
        """In a forked child: lose the journal, which is the parent's."""
        self._lose_journal()
        self._left = LeftByParent(journal, self._left)

    def _begin_file(self, journal: Journal) -> None:
        """Log into this file from now on. The caller holds the lock of the one before."""
        self._fast, self._templates = {}, {}
        for known in self._series.values():
            known.epoch = -1
        self._journal = journal

    def _take_journal_in_child(self) -> None:
        """In a forked child: log through a journal, if SQLite is not safe or the run was inherited."""
        left = self._left
        if left is None or self._connection.closed:
            return
        if self._connection.find_danger() is None:
            self._inherit_if_orphaned()
            return
        from exptrack.metrics.writer_apart import open_writer_apart

        writer = open_writer_apart(self._connection, left.archive, self)
        journal = writer.journal
        with journal.lock:
            for known in self._series.values():
                known.index = journal.series_count
                journal.series_count += 1
            self._begin_file(journal)
            self._writer = writer

    def _inherit_if_orphaned(self) -> None:
        """Make the run live in this process if the one that started it is gone."""


def _append_or_refuse(connection: Connection, batches: list[NewPoints]) -> None:
    try:
        append_points(connection, batches)
    except OverflowError:
        raise InvalidValueError("the largest step of 64 bits is already logged; give a step") from None
