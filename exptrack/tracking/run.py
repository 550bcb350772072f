"""A run's life: start, log, end, resume; and what becomes of one whose process died.

Invariants: a run is ``running`` exactly while a ``run_owner`` row names its process. Only that
process ends it (or whoever finds that process dead). Config and identity never change after the start, but that
the params of a trial enter them as they are suggested.
Every change is one transaction together with its event. An ended run refuses metrics; artifacts (images, texts,
tables and histograms among them), tags and notes are welcome.

Durability: when ``log_metric``, ``log``, ``log_many``, a tag or a note returns, a SIGKILL loses nothing; when
``flush``, ``finish``, ``complete`` or ``fail`` returns, a power cut loses nothing that came before.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, overload

from exptrack.artifacts.listing import read_inputs
from exptrack.capture.redaction import remove_secrets_and_paths
from exptrack.capture.system_metrics import SystemSampler
from exptrack.config.exp_config import ExpConfig
from exptrack.database.connection import Connection, Row
from exptrack.errors import (
    ConfigError,
    InvalidValueError,
    RunFinishedError,
    RunNotFoundError,
)
from exptrack.metrics.log import MetricLog
from exptrack.metrics.series import Buckets, Series, read_buckets, read_series
from exptrack.metrics.store import read_curve, read_last
from exptrack.metrics.writer import drain_all, drain_own, forget_journal
from exptrack.records import ArtifactUse, Event, MetricPoint, Note, RunStatus
from exptrack.runs.events import read_events, record_event
from exptrack.runs.lookup import read_notes
from exptrack.runs.ownership import DELETE_OWNER
from exptrack.runs.seal import seal_run
from exptrack.runs.store import (
    INSERT_TAG,
    check_note,
    check_tags,
    insert_note,
    record_end,
    replace_config,
)
from exptrack.runs.trial_link import TrialPruned
from exptrack.times import utc_text
from exptrack.tracking.heartbeat import LIVE, announce
from exptrack.tracking.media_log import MediaLog
from exptrack.validation import check_name, check_status, check_text

if TYPE_CHECKING:
    from exptrack.artifacts.lineage import UsedArtifact
    from exptrack.artifacts.store import ArtifactStore

SIGTERM_EXIT = 128 + 15
PRUNE_EVENT = "prune"
BEAT = "UPDATE run SET heartbeat_at = ?, duration_ms = ? WHERE id = ? AND status = 'running'"
END_RUN = """
UPDATE run SET status = ?, reason = ?, traceback = ?, ended_at = ?, heartbeat_at = ?, duration_ms = ?
WHERE id = ?
"""
DELETE_TAG = "DELETE FROM run_tag WHERE run = ? AND tag = ?"
SELECT_TAGS = "SELECT tag FROM run_tag WHERE run = ? ORDER BY tag"


class Terminated(SystemExit):
    """SIGTERM arrived inside a run's ``with`` block; ends the process with 143 unless it is caught."""


class Run(MetricLog, MediaLog):
    """One run of an archive.

    Use it as a context manager: the run is completed at the end of the block, failed (with reason and
    traceback) by an exception, interrupted by ctrl-C or SIGTERM.

    >>> from exptrack import Archive
    >>> with Archive(tmp_path / "lab.db") as archive:
    ...     with archive.start_run({"lr": 0.1}, tags=["demo"]) as run:
    ...         for step, loss in enumerate([0.9, 0.5, 0.4]):
    ...             run.log_metric("loss", loss, step)
    ...     [point.value for point in run.get_metric("loss")], str(run.status)
    ([0.9, 0.5, 0.4], 'completed')
    """

    def __init__(
        self,
        connection: Connection,
        run: int,
        run_id: str,
        started_at: datetime,
        config: ExpConfig,
    ) -> None:
        super().__init__()
        self._connection = connection
        self._run = run
        self.run_id = run_id
        self.started_at = started_at
        self.config = config
        self._pid = 0
        self._began = 0.0
        self._duration_ms = 0
        self._old_sigterm: Any = None
        self._sampler: SystemSampler | None = None

    def __repr__(self) -> str:
        return f"<Run {self.run_id} in {self._connection.path.name}>"

    # Being live

    def _go_live(self, *, duration_ms: int, time_ms: int) -> None:
        self._pid = os.getpid()
        self._began = time.monotonic()
        self._zero = self._began - time_ms / 1000
        self._duration_ms = duration_ms
        self._take_journal()
        announce(self)

    def _sample_system(self, every_s: float | None) -> None:
        if every_s is not None:
            folder = str(self._connection.path.parent)
            self._sampler = SystemSampler(self.log, self.append_event, folder=folder, interval_s=every_s)

    @property
    def _live(self) -> bool:
        return self._pid == os.getpid()

    def _session_ms(self) -> int:
        return int((time.monotonic() - self._began) * 1000) if self._pid else 0

    def _beat(self) -> None:
        duration = self._duration_ms + self._session_ms()
        self._connection.execute(BEAT, (utc_text(), duration, self._run))

    def _take_config(self, config: ExpConfig) -> None:
        """A trial learns its params one by one: they enter the config of its run while that runs. Commits."""
        config = config.interpolate()
        with self._connection.transaction():
            self._require_running()
            replace_config(self._connection, self._run, config)
        self.config = config

    # Metrics: logging is the part of MetricLog, that of images and the like the part of MediaLog

    def get_metric(self, name: str) -> list[MetricPoint]:
        """Every point of a metric by step, repeated steps in the order of logging; empty if never logged."""
        drain_all(self._connection.path)
        return read_curve(self._connection, self._run, check_name(name, "metric name"), self.started_at)

    def get_last_metric(self, name: str) -> MetricPoint | None:
        """The point of a metric that was logged last, or None if none was."""
        drain_all(self._connection.path)
        return read_last(self._connection, self._run, check_name(name, "metric name"), self.started_at)

    @overload
    def series(self, name: str, *, start: int | None = None, stop: int | None = None) -> Series: ...
    @overload
    def series(
        self, name: str, *, start: int | None = None, stop: int | None = None, buckets: int
    ) -> Buckets: ...

    def series(
        self, name: str, *, start: int | None = None, stop: int | None = None, buckets: int | None = None
    ) -> Series | Buckets:
        """A metric as numpy arrays ordered by step; empty if never logged.

        Only steps from `start` up to and without `stop`. With `buckets`, downsampled to that many equal ranges
        of steps at most, each with its first, last, least and greatest value.
        """
        where = (self._connection, self._run, self.run_id, self.started_at, name)
        if buckets is None:
            return read_series(*where, start=start, stop=stop)
        return read_buckets(*where, buckets, start=start, stop=stop)

    # Tags, notes, events, artifacts: welcome after the end too

    def add_tag(self, *tags: str) -> None:
        """Tag the run, with all of them or none; once is enough. Commits."""
        checked = check_tags(tags)
        with self._connection.transaction():
            self._require_present()
            for tag in checked:
                if self._connection.execute(INSERT_TAG, (self._run, tag, utc_text())).rowcount:
                    record_event(self._connection, self._run, "tag", {"tag": tag})

    def remove_tag(self, *tags: str) -> None:
        """Take tags away, those that the run has. Commits."""
        checked = check_tags(tags)
        with self._connection.transaction():
            self._require_present()
            for tag in checked:
                if self._connection.execute(DELETE_TAG, (self._run, tag)).rowcount:
                    record_event(self._connection, self._run, "untag", {"tag": tag})

    def add_note(self, text: str) -> None:
        """Add a remark. Commits."""
        checked = check_note(text)
        with self._connection.transaction():
            self._require_present()
            insert_note(self._connection, self._run, checked)

    def append_event(self, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Append to the run's log; `data` holds what a config may hold. Commits."""
        checked = check_name(kind, "event kind")
        try:
            facts = ExpConfig({} if data is None else data).values
        except ConfigError as error:
            raise InvalidValueError(f"event data: {error}") from None
        with self._connection.transaction():
            self._require_present()
            record_event(self._connection, self._run, checked, facts)

    def _require_present(self) -> None:
        if self._connection.one(RUN_STATE, (self._run,)) is None:
            raise RunNotFoundError(self.run_id, str(self._connection.path))

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags, sorted."""
        return tuple(row["tag"] for row in self._connection.all(SELECT_TAGS, (self._run,)))

    @property
    def notes(self) -> tuple[Note, ...]:
        """The notes, oldest first."""
        return read_notes(self._connection, self._run)

    def read_events(self) -> tuple[Event, ...]:
        """The log of the run, oldest first."""
        return read_events(self._connection, self._run)

    @property
    def artifacts(self) -> ArtifactStore:
        """The run's artifacts."""
        from exptrack.artifacts.store import ArtifactStore

        return ArtifactStore(self._connection, self._run, self.run_id)

    def use_artifact(self, reference: object) -> UsedArtifact:
        """Record that the run uses an artifact of this archive, and return it to be read. Commits.

        `reference` is an `Artifact` record; a hash (``sha256:…``, six digits and more are enough); ``NAME``,
        the newest of that name in the archive; ``RUN/NAME``; the last two with ``:v2`` for a version,
        ``:latest`` for the newest. Using it again changes nothing.

        Raises:
            ArtifactNotFoundError: there is no such artifact.
            RunNotFoundError, AmbiguousRunError: its run is unknown, or could be several.
        """
        from exptrack.artifacts.lineage import use_artifact

        self._require_present()
        return use_artifact(self._connection, self._run, reference)

    @property
    def inputs(self) -> tuple[ArtifactUse, ...]:
        """The artifacts the run used, in the order of use."""
        return read_inputs(self._connection, self._run)

    # State and end

    @property
    def status(self) -> RunStatus:
        """The status as the file has it now."""
        return RunStatus(self._state()["status"])

    @property
    def elapsed_s(self) -> float:
        """Active time in seconds, resumptions added up; goes on while the run is live."""
        if self._live:
            return (self._duration_ms + self._session_ms()) / 1000
        return float(self._state()["duration_ms"]) / 1000

    def _state(self) -> Row:
        row = self._connection.one(RUN_STATE, (self._run,))
        if row is None:
            raise RunNotFoundError(self.run_id, str(self._connection.path))
        return row

    def flush(self) -> None:
        """Return when everything logged so far survives a power cut. Commits, power-safe.

        Raises:
            ArchiveError: it could not be stored; it stays in the journal.
            RunFinishedError: the run has ended.
        """
        drain_own(self._connection)
        with self._connection.transaction(durable=True):
            self._require_running()
            self._beat()

    def finish(self, status: str = "completed", reason: str | None = None) -> None:
        """End the run with a status in words: completed, failed or interrupted. Commits, power-safe.

        Raises:
            InvalidValueError: another status.
            RunFinishedError: it has ended before.
        """
        chosen = check_status(status)
        if chosen is RunStatus.RUNNING:
            raise InvalidValueError("a run ends as completed, failed or interrupted; flush() lets it go on")
        self._end(chosen, None if reason is None else remove_secrets_and_paths(check_text(reason, "reason")))

    def complete(self) -> None:
        """End the run as completed; it can be ranked from now on. Commits, power-safe.

        Raises:
            RunFinishedError: it has ended before.
        """
        self._end(RunStatus.COMPLETED)

    def fail(self, reason: str | BaseException) -> None:
        """End the run as failed, for a reason in words or an exception. Commits, power-safe.

        Raises:
            RunFinishedError: it has ended before.
        """
        if isinstance(reason, BaseException):
            # A message or a line of code may show what the environment filled into the config.
            self._end(RunStatus.FAILED, *describe(reason, self.config.mask))
        else:
            self._end(
                RunStatus.FAILED, remove_secrets_and_paths(self.config.mask(check_text(reason, "reason")))
            )

    def interrupt(self, reason: str) -> None:
        """End the run as interrupted: stopped from outside, neither done nor broken. Commits, power-safe."""
        self._end(
            RunStatus.INTERRUPTED, remove_secrets_and_paths(self.config.mask(check_text(reason, "reason")))
        )

    def _end(self, status: RunStatus, reason: str | None = None, traceback: str | None = None) -> None:
        if self._sampler is not None:
            self._sampler.stop()
        journal = self._return_journal()
        try:
            self._write_end(status, reason, traceback, journal)
        except (RunFinishedError, RunNotFoundError):
            self._pid = 0
            LIVE.discard(self)
            raise
        except BaseException:
            if journal is not None:
                self._take_journal()
            raise
        self._pid = 0
        LIVE.discard(self)

    def _write_end(
        self, status: RunStatus, reason: str | None, traceback: str | None, journal: str | None
    ) -> None:
        with self._connection.transaction(durable=True):
            self._require_running()
            duration = self._state()["duration_ms"]
            if self._pid:
                duration = self._duration_ms + self._session_ms()
            now = utc_text()
            self._connection.execute(END_RUN, (status, reason, traceback, now, now, duration, self._run))
            self._connection.execute(DELETE_OWNER, (self._run,))
            record_end(self._connection, self._run, status, reason)
            completed = status is RunStatus.COMPLETED
            seal_run(self._connection, self._run, completed=completed, known=self._checksums)
            if journal is not None:
                forget_journal(self._connection, journal)

    def __enter__(self) -> Run:
        if threading.current_thread() is threading.main_thread():
            # Whoever handles SIGTERM already keeps doing so.
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                self._old_sigterm = signal.signal(signal.SIGTERM, _raise_terminated)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._old_sigterm is not None:
            signal.signal(signal.SIGTERM, self._old_sigterm)
            self._old_sigterm = None
        if not self._live:
            # Ended inside the block, or this is a forked child that fell through it.
            return
        if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
            if isinstance(error, TrialPruned):
                self.append_event(PRUNE_EVENT, {"step": error.step})
            self.complete()
        elif isinstance(error, Terminated):
            self.interrupt("terminated by SIGTERM")
        elif isinstance(error, KeyboardInterrupt):
            self.interrupt("interrupted from the keyboard")
        else:
            self.fail(error)


def _raise_terminated(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated(SIGTERM_EXIT)


def describe(error: BaseException, mask: Callable[[str], str]) -> tuple[str, str]:
    """Reason and traceback of an exception, storable without secrets and this machine's paths."""
    import traceback

    reason = "".join(traceback.format_exception_only(error)).strip()
    trace = "".join(traceback.format_exception(error))
    # Masked first: a value of which a part was made unrecognisable would not be found.
    return remove_secrets_and_paths(mask(reason)), remove_secrets_and_paths(mask(trace))


RUN_STATE = "SELECT run_id, status, started_at, duration_ms FROM run WHERE id = ?"
