"""The archive as an object: open the file, start runs, reach runs and events, check the file.

Invariants: an Archive owns one connection. Everything reached from it (runs, stores, studies) uses that
connection and stops working when it is closed. Closing the archive ends no run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import TracebackType

from exptrack import __version__
from exptrack.archive.artifacts import ArchiveArtifacts
from exptrack.archive.browsing import ArchiveBrowsing
from exptrack.archive.groups import ArchiveGroups
from exptrack.archive.page_views import ArchivePageViews
from exptrack.archive.portable import ArchivePortable
from exptrack.archive.studies import ArchiveStudies
from exptrack.archive.trash import ArchiveTrash
from exptrack.database.connection import Connection, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.database.failures import SQLITE_VERSION
from exptrack.database.frozen import wal_bytes
from exptrack.database.opened_file import CACHE_BYTES
from exptrack.database.opening import default_connection, find_sealing, open_connection
from exptrack.database.wal import list_kept
from exptrack.errors import ArchiveReadOnlyError, InvalidValueError
from exptrack.fixed_attributes import FixedAttributes
from exptrack.listed import listed
from exptrack.metrics.store import read_summaries
from exptrack.metrics.writer import drain_all
from exptrack.plain import read_path
from exptrack.records import MetricSummary, RunStatus, Waiting
from exptrack.runs import lookup
from exptrack.shown import shown
from exptrack.times import moment
from exptrack.tracking import lifecycle, recovery
from exptrack.validation import check_choice, check_flag, check_number, check_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from exptrack.archive.records import ArchiveInfo, RecoveryReport
    from exptrack.markup.notebook import View
    from exptrack.portable.snapshot import BackupReport
    from exptrack.portable.verification import VerifyReport
    from exptrack.tracking.recorded_run import RecordedRun
    from exptrack.tracking.run import Run

LEAST_CACHE_BYTES, MOST_CACHE_BYTES = 64 * 1024, 1024**4
# Without the trash. `NOT IN` lets an index alone answer, which does not have deleted_at.
COUNT_BY_STATUS = """
SELECT column1,
       (SELECT count(*) FROM run AS r WHERE r.status = column1)
       -- The plus sign keeps SQLite on the index of the trash.
       - (SELECT count(*) FROM run AS t WHERE t.deleted_at IS NOT NULL AND +t.status = column1)
FROM (VALUES ('completed'), ('failed'), ('interrupted'), ('running'))
"""
COUNT_TRASHED = "SELECT count(*) FROM run WHERE deleted_at IS NOT NULL"
FIRST_AND_LAST = """
SELECT (SELECT min(started_at) FROM run WHERE deleted_at IS NULL),
       (SELECT max(started_at) FROM run WHERE deleted_at IS NULL)
"""
ARTIFACT_BYTES = """
SELECT coalesce(sum(b.size_bytes), 0) FROM artifact AS a JOIN blob AS b ON b.id = a.blob
"""
STORED_BYTES = "SELECT coalesce(sum(stored_bytes), 0) FROM chunk"


@shown
class Archive(
    ArchiveArtifacts,
    ArchiveBrowsing,
    ArchiveGroups,
    ArchivePageViews,
    ArchivePortable,
    ArchiveTrash,
    ArchiveStudies,
    FixedAttributes,
):
    """One archive file.

    `path` defaults to this process's own archive in the folder ``EXPTRACK_SPOOL`` (see :func:`local_archive`),
    else to ``EXPTRACK_DB``, else to the nearest ``exptrack.db``: in the working folder or one above it. `mode`
    ``"rw"`` makes a new archive unless `create` is false; ``"ro"`` only reads. The umask decides the mode of a
    new file. Threads may share an archive, and a forked child may go on using it. `wait_s` is how long opening
    waits, in seconds, for a process that lets no other open the file.

    Each thread that uses the archive keeps up to `cache_bytes` of the file in memory. If it has not used it for
    30 s, that is given back when another thread reads. A server with many threads sets less, such as 2,000,000.

    >>> with Archive(tmp_path / "lab.db") as archive:
    ...     with archive.start_run({"lr": 0.1}, name="first") as run:
    ...         run.log({"loss": 0.5, "acc": 0.8}, step=0)
    ...     best = archive.best_run("acc", "maximize")
    ...     best.name, best.metrics["loss"]
    ('first', 0.5)

    Raises:
        ArchiveError: the file cannot be opened; the subclass says why.
    """

    _NOUN: ClassVar[str] = "archive"

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        mode: str = "rw",
        create: bool = True,
        wait_s: float = 30.0,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        path = None if path is None else read_path(path)
        mode, create = check_choice(mode, "mode", ("rw", "ro")), check_flag(create, "create")
        wait_s = check_number(wait_s, "wait_s")
        if not wait_s >= 0:
            raise InvalidValueError(f"wait_s must be a number of seconds, 0 or more, not {wait_s!r}")
        cache_bytes = check_whole(cache_bytes, "cache_bytes", LEAST_CACHE_BYTES, MOST_CACHE_BYTES)
        self._connection = open_connection(path, mode=mode, create=create, wait_s=wait_s)
        if cache_bytes != CACHE_BYTES:
            self._connection.limit_cache(cache_bytes)
        self._writable = mode == "rw"
        _begin(self._connection)

    if not TYPE_CHECKING:  # a type checker that sees this method takes every name
        # A run has no such method: with one, Python takes a sixth longer for each call of `log_metric`.
        def __getattr__(self, name: str) -> object:
            from exptrack.other_trackers import CALLS

            call = CALLS["archive"].get(name)
            if call is None:  # also where a property has raised: it raises again
                return object.__getattribute__(self, name)
            said = f"the archive has no attribute {name!r}; use {call}"
            raise AttributeError(said, name=name, obj=None)  # Python would guess at names of `obj`

    @classmethod
    def _around(cls, connection: Connection) -> Archive:
        archive = cls.__new__(cls)
        archive._connection = connection
        archive._writable = True
        return archive

    @classmethod
    def default(cls, *, create: bool = True) -> Archive:
        """Return the default archive. Its connection is shared and stays open.

        If the file is missing, it is made, and its path printed on standard error.

        Raises:
            ArchiveNotFoundError: the file is missing, and `create` is false.
            ArchiveError: the file cannot be opened; the subclass says why.
        """
        connection = default_connection(create=check_flag(create, "create"))
        _begin(connection)
        return cls._around(connection)

    @property
    def path(self) -> str:
        """The path of the file."""
        return self._connection.home

    def __repr__(self) -> str:
        return f"Archive({self.path!r})"

    def _view(self) -> View:
        from exptrack.markup.notebook import MOST_ROWS, View, draw_facts, draw_rows, read_row

        info, newest = self.info(), self.list_runs(limit=MOST_ROWS // 2)
        runs = ", ".join(f"{count:,} {status}" for status, count in info.runs.items() if count)
        size = {"runs": runs or "none", "file_bytes": info.file_bytes, "artifact_bytes": info.artifact_bytes}
        rows = draw_rows([read_row(run) for run in newest], sum(info.runs.values()), noun="run")
        return View(self.path, [draw_facts(size), *rows])

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.path, self._connection.mode)

    def __copy__(self) -> Archive:
        return self

    def __deepcopy__(self, _memo: object) -> Archive:
        return self

    def close(self) -> None:
        """Close the file. Open runs stay ``running`` until their process ends; their points are stored.

        Raises:
            ArchiveError: points could not be stored. They stay in the journal beside the closed file.
        """
        self._connection.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Runs

    def start_run(
        self,
        config: object = None,
        tags: Iterable[str] = (),
        *,
        name: str | None = None,
        group: str | None = None,
        parent: object = None,
        data: Mapping[str, str | os.PathLike[str]] | Iterable[str | os.PathLike[str]] | None = None,
        system_metrics: bool | float = False,
        external_id: str | None = None,
        at_exit: str = "interrupt",
        on_error: str | None = None,
        started_at: datetime | None = None,
        code: Mapping[str, object] | None = None,
        environment: Mapping[str, object] | None = None,
        owner: str = "process",
        lease_s: float | None = None,
    ) -> Run:
        """Start a run with a config; use the result in a ``with`` block. Commits.

        `config` is an ExpConfig or any object that :meth:`ExpConfig.from_object` takes: a mapping, a pydantic
        model, a dataclass, a Namespace, an OmegaConf config. The config of the returned run has its references
        resolved; the stored config keeps ``${env:…}``.

        `parent` is the run (or run id) that this run belongs to. `data` declares the data it reads: names with
        references (a path, a URL, a hash), which enter the fingerprint. A file or folder gets a digest of up to
        256 MB; ``docs/logging.md`` says of what. Host, Python, command line (secrets removed) and code version
        are recorded.

        `system_metrics` logs the machine's load until the run ends, as ``system/cpu_percent`` and so on. True
        samples every 10 seconds; a number is the interval in seconds. A thread does the sampling.

        `external_id` is the run's name in another tracker, like ``"wandb:abc"``; :meth:`find_run` finds it.

        `at_exit` says how the run ends if it is still open when the interpreter exits. ``"interrupt"`` makes it
        interrupted. ``"complete"`` makes it completed, and failed after an exit code that is not 0. An uncaught
        exception makes it failed, and ctrl-C interrupted, either way. ``docs/logging.md`` has the limits.

        With ``on_error="warn"``, a call of the training loop that fails is left out instead of raising: a
        warning and an event ``left_out`` tell of it. The default is ``EXPTRACK_ON_ERROR``, else ``"raise"``.

        The other arguments are for a run that this process writes for another one. `started_at` is its start,
        which may lie in the past. `code` tells its ``commit``, ``dirty``, ``branch`` and ``script``, and
        `environment` its ``host``, ``python`` and ``platform``: what they lack is unknown, ``{}`` is all.
        Without them they are those of this process.

        With ``owner="lease"`` the run belongs to no process. Any process may get it by :meth:`get_run`, log to
        it by commits and end it; the death of this one does not end it. Every write and :meth:`Run.beat` renew
        the lease. After `lease_s` seconds without one, the run counts as dead and becomes interrupted. Leaving
        the ``with`` block ends it as any run.

        Raises:
            ConfigError: the config holds a value that has no form in a config.
            InvalidTypeError, InvalidValueError: an argument cannot be stored; the message names it.
            ExternalIdError: another run has this external id; the error names the run.
            RunNotFoundError: no run has the id `parent`.
            AmbiguousRunError: it means several runs.
        """
        return lifecycle.start_run(
            self._connection,
            config,
            tags,
            name=name,
            group=group,
            parent=parent,
            data=data,
            system_metrics=system_metrics,
            external_id=external_id,
            at_exit=at_exit,
            on_error=on_error,
            started_at=started_at,
            code=code,
            environment=environment,
            owner=owner,
            lease_s=lease_s,
        )

    def resume_run(
        self,
        run_id: object,
        *,
        from_step: int | None = None,
        take_over: bool = False,
        system_metrics: bool | float = False,
        at_exit: str = "interrupt",
        on_error: str | None = None,
        owner: str = "process",
        lease_s: float | None = None,
    ) -> Run:
        """Reopen a run that has ended or whose process died, with its config, tags, notes and metrics. Commits.

        With `from_step`, as of a checkpoint that the script has loaded, what the run logged past that step is
        hidden: it is in no curve, summary or ranking any more. The points of a metric past it are kept as a
        metric of their own, which :meth:`list_rewound` names. So the run logs these steps again.

        Config values that refer to the environment are looked up again, each when it is first read.
        `take_over` resumes a run even if another host still claims to write it, or if its lease has not run
        out. Only you can know that nothing writes it. The other arguments are as in :meth:`start_run`.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
            RunBusyError: a process is still writing the run.
            RunTrashedError: the run is in the trash.
        """
        return lifecycle.resume_run(
            self._connection,
            run_id,
            from_step=from_step,
            take_over=take_over,
            system_metrics=system_metrics,
            at_exit=at_exit,
            on_error=on_error,
            owner=owner,
            lease_s=lease_s,
        )

    @listed
    def list_rewound(self, run_id: object) -> tuple[MetricSummary, ...]:
        """List the metrics that hold what ``resume_run(…, from_step=…)`` has hidden of a run, by name.

        Points of ``loss`` that the first such call hid are in ``exptrack:rewound/1/loss``. Every call that
        takes the name of a metric takes these names.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     with archive.start_run() as run:
        ...         run.log_many("loss", None, [0.9, 0.5, 7.0, 8.0])
        ...     with archive.resume_run(run.run_id, from_step=1) as run:
        ...         run.log({"loss": 0.4})
        ...     [point.value for point in run.get_metric("loss")]
        ...     [(one.name, one.count) for one in archive.list_rewound(run.run_id)]
        [0.9, 0.5, 0.4]
        [('exptrack:rewound/1/loss', 2)]

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        self._settle()
        run = lookup.resolve_run(self._connection, run_id)["id"]
        return read_summaries(self._connection, [run], hidden=True)[run]

    def end_run(
        self,
        run_id: object,
        status: str,
        reason: str | None = None,
        *,
        exit_code: int | None = None,
        signal: int | str | None = None,
    ) -> RunStatus:
        """End a run whose process is gone, and return the status that the run has now. Commits, power-safe.

        Made for the process that started another one and knows how that ended. The points in the journal of the
        dead process are stored first. The run ends now, as `status`: completed, failed or interrupted. If an
        opener of the archive has found the run dead before, this replaces its verdict. A run with a lease ends
        too, for it belongs to no process.

        A run that has ended by itself keeps its end, and its status is returned. In every case `exit_code` and
        `signal` (a number or a name) become attributes of the run; of an end they are in the event, too.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
            RunBusyError: the process of the run lives, or cannot be seen from here.
            RunTrashedError: the run is in the trash.
            InvalidValueError: a run cannot end as `status`, or a value is invalid.
        """
        from exptrack.tracking.supervision import end_run

        return end_run(self._connection, run_id, status, reason, exit_code=exit_code, signal=signal)

    def record_runs(self, records: Iterable[RecordedRun], *, known: str = "refuse") -> list[str]:
        """Store runs that are over, as if each had been logged when it happened; return their ids. Commits.

        Made for importers and generators: it stores thousands of runs a second. A run's id begins with the time
        of its start, its events carry the given times, and its checksum is taken. Each transaction holds up to
        256 runs or 200,000 points. Such a batch is stored whole or not at all. It survives a SIGKILL from the
        moment the next record is asked for. Memory stays bounded, however many `records` there are.

        A record may have an external id that a run of the archive has. With ``known="skip"`` it is passed over,
        and the id of that run is returned in its place. So a second import of the same runs changes nothing.

        >>> from datetime import datetime
        >>> from exptrack import Archive, RecordedRun
        >>> old = RecordedRun({"lr": 0.1}, datetime(2024, 5, 1), 60, metrics={"loss": ([0, 1], [0.9, 0.4])})
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     (run_id,) = archive.record_runs([old])
        ...     archive.show_run(run_id).summary.metrics
        {'loss': 0.4}

        Raises:
            ConfigError, InvalidTypeError, InvalidValueError: a record cannot be stored.
            ExternalIdError: a run has the external id of a record, and `known` is ``"refuse"``.
            RunNotFoundError: no run has the id of a parent.
            AmbiguousRunError: the id of a parent means several runs.

        After an error none of the batch is stored. A note of the error says which record is wrong and how many
        records before it are stored.
        """
        from exptrack.tracking.recording import record_runs

        return record_runs(self._connection, records, known)

    def get_run(self, run_id: object) -> Run:
        """Return a run to read, tag or annotate. It is not resumed, and its config keeps ``${env:…}`` as it is.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        self._settle()
        return self._open_run(run_id)

    @in_reading
    def _open_run(self, run_id: object) -> Run:
        return lifecycle.open_run(self._connection, lookup.resolve_run(self._connection, run_id)["id"])

    # Events

    def append_event(self, run_id: object, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Append an event to a run's log. Commits.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        self.get_run(run_id).append_event(kind, data)

    # The file

    def recover(self, path: str | os.PathLike[str] | None = None, *, take_over: bool = False) -> RecoveryReport:
        """Store the points that dead processes left in journals, and mark their runs as interrupted. Commits.

        Opening the archive does the same for processes of this machine, as far as it can without waiting. Only
        this call raises if it cannot. The report includes what opening and reading this archive stored before.

        With `take_over`, it also stores and marks what belongs to processes that cannot be seen from here:
        those of another host, or of another container. Only you can know that they are dead. A process that
        lives on this machine keeps its journal and its run.

        With `path`, it does so for one journal and its process alone. The journal may lie in any folder under
        any name. It is removed only if it lies beside this archive as its own, and all of it is stored;
        `journal` of the report tells. Neither it nor a copy of it is stored twice. Give an intact copy before
        a damaged one.

        Raises:
            JournalError: the journal at `path` belongs to another archive, is damaged in its head, or a living
                process writes it. Or its process cannot be seen, and `take_over` is false.
            ArchiveReadOnlyError: the archive was opened for reading.
            ArchiveFullError: the disk has no room for the points.
            ArchiveLockedError: another process held the write lock for over 30 s.
        """
        from exptrack.archive.records import RecoveryReport

        take_over = check_flag(take_over, "take_over")
        if not self._writable:
            raise ArchiveReadOnlyError(
                f"{self.path} was opened for reading only; open it with mode 'rw'", path=self.path
            )
        journal = None
        if path is None:
            points, runs = recovery.store_what_is_left(self._connection, take_over=take_over)
        else:
            named = read_path(path, "journal")
            journal, points, runs = recovery.store_named(self._connection, named, take_over=take_over)
        waiting = tuple(recovery.list_waiting(self._connection))
        return RecoveryReport(points, tuple(runs), waiting, journal)

    def data_version(self) -> str:
        """Return a text that changes with every change to the file, by this process or another.

        Compare it only with one that this Archive returned before, and only for equality: equal texts mean that
        nothing was committed in between. It costs a few microseconds, so a page can look twice a second before
        it reads anything. The points of a run in another process are committed within a second.
        """
        drain_all(self._connection.file)
        return self._connection.read_version()

    def info(self, *, count_rows: bool = False) -> ArchiveInfo:
        """Report what the file holds, its sizes and its versions.

        With `count_rows` it counts the rows of each table too, which reads the whole file. Otherwise `rows` is
        empty.
        """
        count_rows = check_flag(count_rows, "count_rows")
        self._settle()
        return self._count(tuple(recovery.list_waiting(self._connection)), count_rows)

    @in_reading
    @decoding_rows
    def _count(self, waiting: tuple[Waiting, ...], count_rows: bool) -> ArchiveInfo:
        from exptrack.archive.records import ArchiveInfo
        from exptrack.database.filesystem import find_network
        from exptrack.metrics.levels import count_level_bytes

        connection = self._connection
        first, last = connection.one(FIRST_AND_LAST) or (None, None)
        page_bytes = connection.value("PRAGMA page_size")
        return ArchiveInfo(
            path=self.path,
            format=connection.value("PRAGMA user_version"),
            library=__version__,
            sqlite=SQLITE_VERSION,
            file_bytes=connection.value("PRAGMA page_count") * page_bytes,
            wal_bytes=wal_bytes(connection.place),
            free_bytes=connection.value("PRAGMA freelist_count") * page_bytes,
            runs={row[0]: row[1] for row in connection.all(COUNT_BY_STATUS) if row[1]},
            rows=connection.count_rows() if count_rows else {},
            artifact_bytes=connection.value(ARTIFACT_BYTES),
            stored_bytes=connection.value(STORED_BYTES),
            first_run=_moment_or_none(first),
            last_run=_moment_or_none(last),
            waiting=waiting,
            trashed=connection.value(COUNT_TRASHED),
            network=find_network(connection.place),
            sealed_at=_moment_or_none(find_sealing(connection)),
            level_bytes=count_level_bytes(connection),
        )

    def verify(self, progress: Callable[[str, int, int], None] | None = None) -> VerifyReport:
        """Check everything in the file against its checksums. It reads the whole file and changes nothing.

        What waits beside the file is no damage: `waiting` of the report lists it.

        If the file has a seal, the seal is proved too.

        `progress` is called with the name of a part (``"runs"``, ``"points"``, ``"chunks"``, ``"artifacts"``),
        the number of its items checked so far and their total.
        """
        from exptrack.portable import verification

        drain_all(self._connection.file)
        report = verification.verify(self._connection, progress)
        lost = "it was damaged, so its last transactions are not in the file"
        kept = [verification.Problem("log", str(path), lost) for path in list_kept(self._connection.place)]
        waiting = recovery.list_waiting(self._connection)
        return report._replace(problems=(*report.problems, *kept), waiting=tuple(waiting))

    def backup(
        self, path: str | os.PathLike[str], *, progress: Callable[[int, int], None] | None = None
    ) -> BackupReport:
        """Copy the archive to a new file while it is in use, by this process or by others.

        The copy holds everything of one moment in one file, and has the archive's permissions. It appears whole
        and synced, or not at all. Writers go on meanwhile. The points that this process has logged are in it.
        Other processes store theirs within about a second of logging them.

        A run that is running stays ``running`` in the copy, until its process has ended and the copy is opened.
        `progress` is called with the bytes done so far and the total.

        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     run = archive.start_run()
        ...     run.log({"loss": 0.5}, step=0)
        ...     report = archive.backup(tmp_path / "backup.db")
        ...     run.complete()
        >>> with Archive(tmp_path / "backup.db", mode="ro") as copy:
        ...     [(run.status, run.metrics) for run in copy.list_runs()]
        [(<RunStatus.RUNNING: 'running'>, {'loss': 0.5})]

        Raises:
            ExportError: a file of that name exists, or one beside it that would become a part of the copy; or
                the file cannot be written.
            OwnFileError: the path is that of an open archive, or of a file that belongs to one.
            ArchiveFullError: there is no room for the copy.
            ArchiveCorruptError: a page of the archive cannot be read.
        """
        from exptrack.portable.snapshot import copy_archive

        drain_all(self._connection.file)
        if self._writable:
            recovery.settle(self._connection, opening=True)
        return copy_archive(self._connection, path, progress)


def _begin(connection: Connection) -> None:
    """Tend what dead processes left in an archive that was just opened, and what they left for its spool."""
    recovery.begin(connection)
    if connection.spooled is not None:
        from exptrack.tracking import spool

        spool.begin(connection)


def _unpickle(path: str, mode: str) -> Archive:
    return Archive(path, mode="rw" if mode == "rw" else "ro", create=False)


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else moment(text)
