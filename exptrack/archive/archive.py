"""The archive as an object, and the same calls on the default archive.

Invariants: an Archive owns one connection; everything reached from it (runs, stores) uses that
connection and stops working when it is closed. Closing ends no run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

from exptrack import __version__
from exptrack.analysis import comparison
from exptrack.archive.records import ArchiveInfo, DeleteReport, SqlResult
from exptrack.config.store import read_source_ids, remove_unused_sources
from exptrack.database.connection import SQLITE_VERSION, Connection, Parameters, Row
from exptrack.database.opening import default_connection, open_connection
from exptrack.errors import InvalidTypeError, InvalidValueError, RunBusyError
from exptrack.extras import require_optuna
from exptrack.metrics.alignment import Alignment, align_series
from exptrack.metrics.series import Buckets, Series, check_names, read_buckets, read_series
from exptrack.metrics.tail import Tail
from exptrack.metrics.writer import drain_all
from exptrack.query import details, ranking
from exptrack.records import Artifact, Event, RecordedRun, RunStatus, RunSummary, TrialState
from exptrack.runs import events, lookup
from exptrack.runs.recorded import record_runs
from exptrack.times import moment
from exptrack.tracking import lifecycle
from exptrack.validation import short_repr

if TYPE_CHECKING:
    from exptrack.analysis.records import Group, Importance, RunChanges, RunComparison, RunDiff
    from exptrack.artifacts.records import GcReport, Lineage, RunStorage
    from exptrack.artifacts.store import ArtifactStore
    from exptrack.portable.verification import VerifyReport
    from exptrack.query.details import RunDetail
    from exptrack.query.run_filter import RunFilter
    from exptrack.query.run_query import RunQuery
    from exptrack.query.views import UserView
    from exptrack.sweeps.optuna_storage import OptunaStorage, StaleTrialCallback
    from exptrack.sweeps.plan import SweepPlan
    from exptrack.sweeps.records import StudyInfo, SweepReport, SweepTrial, TrialRecord
    from exptrack.sweeps.results import StudyResults
    from exptrack.sweeps.study import Study
    from exptrack.sweeps.study_config import StudyConfig
    from exptrack.tracking.run import Run

# A training script needs none of it to start: what only some calls need, they import.

DELETE_RUN = "DELETE FROM run WHERE id = ?"
COUNT_BY_STATUS = "SELECT status, count(*) FROM run GROUP BY status"
FIRST_AND_LAST = "SELECT min(started_at), max(started_at) FROM run"
ARTIFACT_BYTES = """
SELECT coalesce(sum(b.size_bytes), 0) FROM artifact AS a JOIN blob AS b ON b.id = a.blob
"""
STORED_BYTES = "SELECT coalesce(sum(stored_bytes), 0) FROM chunk"

SQL_MAX_ROWS = 10_000
SQL_TIMEOUT_S = 30.0


class Archive:
    """One archive file.

    `path` defaults to ``EXPTRACK_DB``, else ``exptrack.db`` in the working folder. `mode` ``"rw"`` makes a new
    archive unless `create` is false; ``"ro"`` only reads. Safe to share between threads; a forked child may
    go on using it.

    >>> with Archive(tmp_path / "lab.db") as archive:
    ...     with archive.start_run({"lr": 0.1}, name="first") as run:
    ...         run.log({"loss": 0.5, "acc": 0.8}, step=0)
    ...     best = archive.best_run("acc", "maximize")
    ...     best.name, best.metrics["loss"]
    ('first', 0.5)

    Raises:
        ArchiveError: the file cannot be opened; the subclass says why.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        mode: str = "rw",
        create: bool = True,
    ) -> None:
        if path is not None and not isinstance(path, (str, os.PathLike)):
            raise InvalidTypeError(f"a path is text or a Path, not {type(path).__name__}")
        self._connection = open_connection(path, mode=mode, create=create)
        self._writable = mode == "rw"
        if self._writable:
            lifecycle.recover_journals(self._connection)
            lifecycle.interrupt_dead_runs(self._connection)

    @classmethod
    def _around(cls, connection: Connection) -> Archive:
        archive = cls.__new__(cls)
        archive._connection = connection
        archive._writable = True
        return archive

    @classmethod
    def default(cls) -> Archive:
        """The default archive; its connection is shared and stays open."""
        return cls._around(default_connection())

    @property
    def path(self) -> str:
        """Where the file is."""
        return str(self._connection.path)

    def __repr__(self) -> str:
        return f"Archive({self.path!r})"

    def close(self) -> None:
        """Close the file. Runs still open stay ``running`` until their process ends; their points are stored.

        Raises:
            ArchiveError: points could not be stored. They stay in the journal beside the file, which is closed.
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

    def _settle(self) -> None:
        """Before runs are read: points logged here are stored, runs whose process died are interrupted."""
        drain_all(self._connection.path)
        if self._writable:
            lifecycle.interrupt_dead_runs(self._connection)

    # Runs

    def start_run(
        self,
        config: object = None,
        tags: Iterable[str] = (),
        *,
        name: str | None = None,
        group: str | None = None,
        parent: object = None,
        data: Mapping[str, str] | Iterable[str] | None = None,
        system_metrics: bool | float = False,
    ) -> Run:
        """Begin a run with a frozen config; use the result in a ``with`` block. Commits.

        `config` is an ExpConfig or whatever :meth:`ExpConfig.from_object` takes: a mapping, a pydantic model, a
        dataclass, a Namespace, an OmegaConf config. References in it are resolved for the program; the
        stored config keeps ``${env:…}``.

        `parent` is the run (or run id) this one belongs to; `data` declares what data it reads, as names
        with references (a path, a URL, a hash): they enter the fingerprint. Host, Python, command line
        (secrets removed) and code version are recorded.

        `system_metrics` logs the machine's load from a thread until the run ends, as ``system/cpu_percent`` and
        so on: every 10 seconds, or every so many seconds as the number given.

        Raises:
            ConfigError: the config holds something that cannot be stored exactly.
            InvalidValueError: a tag or name that cannot be stored.
            RunNotFoundError: no such parent.
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
        )

    def resume_run(
        self, run_id: object, *, take_over: bool = False, system_metrics: bool | float = False
    ) -> Run:
        """Go on with a run that ended or whose process died: with config, tags, notes, metrics. Commits.

        What the config takes from the environment is looked up anew, when a value is first asked for.
        `take_over` resumes even a run that another host claims to be writing; only you can know better.
        `system_metrics` is as in :meth:`start_run`.

        Raises:
            RunNotFoundError, AmbiguousRunError: the id leads to no run, or to several.
            RunBusyError: it is being written.
        """
        return lifecycle.resume_run(
            self._connection, run_id, take_over=take_over, system_metrics=system_metrics
        )

    def record_runs(self, records: Iterable[RecordedRun]) -> list[str]:
        """Store runs that are over, as if each had been logged when it happened; return their ids. Commits.

        For importers and generators: thousands of runs a second. Ids begin with the time of the start, events
        bear the times given, checksums are taken. Up to 256 runs, or 200,000 points, are one transaction: a
        batch is in the archive whole or not at all, and survives a SIGKILL once the next record is asked for.
        Memory stays bounded, whatever `records` is.

        >>> from datetime import datetime
        >>> from exptrack import Archive, RecordedRun
        >>> old = RecordedRun({"lr": 0.1}, datetime(2024, 5, 1), 60, metrics={"loss": ([0, 1], [0.9, 0.4])})
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     (run_id,) = archive.record_runs([old])
        ...     archive.show_run(run_id).summary.metrics
        {'loss': 0.4}

        Raises:
            ConfigError, InvalidTypeError, InvalidValueError: a record that cannot be stored. Nothing of its
                batch is; a note of the error says which record it is and how many before it are stored.
            RunNotFoundError, AmbiguousRunError: likewise, for its parent.
        """
        return record_runs(self._connection, records)

    def get_run(self, run_id: object) -> Run:
        """A run to read, tag or annotate; it is not resumed. Its config keeps ``${env:…}`` as it is.

        Raises:
            RunNotFoundError, AmbiguousRunError: the id leads to no run, or to several.
        """
        self._settle()
        return lifecycle.open_run(self._connection, lookup.resolve_run(self._connection, run_id)["id"])

    def delete_run(self, *run_ids: object) -> DeleteReport:
        """Delete runs with all they have, in one transaction; then give the space back. Commits, power-safe.

        Artifacts that other runs share stay. Children of a deleted run lose their parent.

        Raises:
            RunNotFoundError, AmbiguousRunError: an id leads to no run, or to several; nothing is deleted.
            RunBusyError: one is running; nothing is deleted.
        """
        from exptrack.artifacts.blobs import collect_unused, list_blobs_of_run

        self._settle()
        with self._connection.transaction(durable=True):
            rows = {row["id"]: row for row in (lookup.resolve_run(self._connection, r) for r in run_ids)}
            sources = {source for run in rows for source in read_source_ids(self._connection, run)}
            blobs = [blob for run in rows for blob in list_blobs_of_run(self._connection, run)]
            for run, row in rows.items():
                if row["status"] == RunStatus.RUNNING:
                    raise RunBusyError(row["run_id"], f"on {row['host']}")
                self._connection.execute(DELETE_RUN, (run,))
            remove_unused_sources(self._connection, sources)
            removed = collect_unused(self._connection, blobs)
        freed = self._connection.vacuum_free_pages()
        names = tuple(row["run_id"] for row in rows.values())
        return DeleteReport(names, removed.blobs, removed.stored_bytes, freed)

    # Events and artifacts

    # Studies

    def optuna_storage(
        self,
        *,
        heartbeat_interval: int | None = None,
        grace_period: int | None = None,
        failed_trial_callback: StaleTrialCallback | None = None,
    ) -> OptunaStorage:
        """This archive as Optuna's storage: ``optuna.create_study(storage=archive.optuna_storage())``.

        It shares the archive's connection and stops working with it. Every change of a study commits. With
        `heartbeat_interval` in seconds Optuna's ``optimize`` says so often that its trial lives; a trial that
        was silent for `grace_period` seconds (twice the interval unless given) is failed by whoever runs the
        study next, and `failed_trial_callback` is called with the study and the trial.

        Raises:
            MissingPackageError: optuna 5 or newer is not installed.
            InvalidValueError: the interval or the grace period is not a positive number of seconds.
        """
        require_optuna()
        from exptrack.sweeps.optuna_storage import OptunaStorage

        return OptunaStorage(
            self._connection,
            heartbeat_interval=heartbeat_interval,
            grace_period=grace_period,
            failed_trial_callback=failed_trial_callback,
        )

    def create_study(
        self, config: StudyConfig | str, direction: str | Sequence[str] = "minimize", **options: Any
    ) -> Study:
        """Make a study: a search over configs whose trials are runs. Commits.

        `config` is a :class:`StudyConfig`, or the name of the study with the options of one.

        Raises:
            StudyExistsError: there is one of this name.
            InvalidValueError: something in it that cannot be.
            MissingPackageError: Optuna is not installed.
        """
        require_optuna()
        from exptrack.sweeps.study import Study

        return Study.create(config, direction, archive=self, **options)

    def study(self, name: str, *, sampler: object = None, pruner: object = None) -> Study:
        """A study by name, to read it or to go on with it.

        A `sampler` or `pruner` given replaces, for this object, what the study was made with.

        Raises:
            StudyNotFoundError: there is none.
            MissingPackageError: Optuna is not installed.
        """
        require_optuna()
        from exptrack.sweeps.study import open_study

        return open_study(self._connection, name, sampler=sampler, pruner=pruner)

    def studies(self) -> list[StudyInfo]:
        """Every study, the newest first; needs no Optuna."""
        from exptrack.sweeps.store import list_studies

        return list_studies(self._connection)

    def trials(self, study: str, *states: TrialState) -> list[TrialRecord]:
        """The trials of a study by number, of these states if there are any; needs no Optuna.

        Raises:
            StudyNotFoundError: there is no such study.
            InvalidValueError: there is no such state.
        """
        from exptrack.sweeps.store import find_study, read_trials

        for state in states:
            if state not in tuple(TrialState):
                raise InvalidValueError(f"a trial is {', '.join(TrialState)}, not {short_repr(state)}")
        found = find_study(self._connection, study)["id"]
        return read_trials(self._connection, found, states or tuple(TrialState))

    def study_results(self, study: str) -> StudyResults:
        """What a study has found, read now: tables of trials, history, slices and reports; needs no Optuna.

        Raises:
            StudyNotFoundError: there is no such study.
        """
        from exptrack.sweeps.results import StudyResults

        return StudyResults(self._connection, study)

    def delete_study(self, name: str) -> int:
        """Delete a study and its trials; their runs stay. Return how many trials there were. Commits.

        Raises:
            StudyNotFoundError: there is none.
        """
        from exptrack.sweeps.store import delete_study

        return delete_study(self._connection, name)

    def run_sweep(
        self,
        sweep: SweepPlan | str,
        command: Sequence[str] | None = None,
        *,
        jobs: int | None = None,
        max_trials: int | None = None,
        time_limit: float | str | None = None,
        retries: int | None = None,
        retry: bool = False,
        stop_on_failure: bool = False,
        after: Callable[[SweepTrial], None] | None = None,
        listener: Callable[[bytes, bool], None] | None = None,
    ) -> SweepReport:
        """Run a command for each trial of a sweep, or go on with one, until it is over. Commits.

        `sweep` is a plan, for which a study is made unless there is one already, or the name of one. The
        command gets the params as words ``key=value``, behind it or in the place of ``{overrides}``; it finds
        its archive and trial in the environment, so that :func:`exptrack.start_run` in it starts the trial's
        run and :func:`exptrack.current_trial` is the trial. The study remembers the command (unless it holds a
        secret) and the plan, in which `jobs`, `max_trials`, `time_limit` (seconds, or like ``"2h 30m"``) and
        `retries` replace what it says. With `retry` what died or was interrupted before is tried again;
        `stop_on_failure` begins no more after a failure. `after` is called with each trial that ended,
        `listener` with what commands write: bytes, and whether to standard error.

        Ctrl-C and SIGTERM tell the commands to end, a second time they are killed; then this raises
        KeyboardInterrupt or SystemExit.

        Raises:
            SweepDiffersError: there is a sweep of this name that searches something else.
            StudyNotFoundError: there is no study of this name.
            InvalidValueError: the command cannot be run, or something in the options cannot be.
            MissingPackageError: Optuna is not installed.
        """
        require_optuna()
        from exptrack.sweeps.runner import run_sweep

        return run_sweep(
            self._connection,
            sweep,
            command,
            jobs=jobs,
            max_trials=max_trials,
            time_limit=time_limit,
            retries=retries,
            retry=retry,
            stop_on_failure=stop_on_failure,
            after=after,
            listener=listener,
        )

    def stop_study(self, name: str, *, now: bool = False) -> int:
        """Ask every process that searches a study to begin no more trials; return how many run. Commits.

        Those under way come to their end; with `now`, the commands that a sweep runs are told to end. Whoever
        searches afterwards goes on. Needs no Optuna.

        Raises:
            StudyNotFoundError: there is none.
        """
        from exptrack.sweeps.store import ask_to_stop, find_study, study_info

        row = find_study(self._connection, name)
        ask_to_stop(self._connection, row["id"], now=now)
        return study_info(self._connection, row).counts[TrialState.RUNNING]

    def append_event(self, run_id: object, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Append to a run's log. Commits."""
        self.get_run(run_id).append_event(kind, data)

    def read_events(self, run_id: object) -> tuple[Event, ...]:
        """The log of a run, oldest first."""
        row = lookup.resolve_run(self._connection, run_id)
        return events.read_events(self._connection, row["id"])

    def artifacts(self, run_id: object) -> ArtifactStore:
        """The artifacts of a run."""
        row = lookup.resolve_run(self._connection, run_id)
        from exptrack.artifacts.store import ArtifactStore

        return ArtifactStore(self._connection, row["id"], row["run_id"])

    def gc_artifacts(self) -> GcReport:
        """Remove bytes that no artifact names any more and give their space back. Commits, power-safe.

        Removing runs and artifacts does so by itself; this also finds what killed processes left.

        Raises:
            ArchiveCorruptError: something is named that is not there; nothing is deleted.
        """
        from exptrack.artifacts.retention import gc_artifacts

        return gc_artifacts(self._connection)

    def storage(self) -> list[RunStorage]:
        """What the artifacts of each run take in the file, the largest first; runs without any are left out."""
        from exptrack.artifacts.retention import list_storage

        return list_storage(self._connection)

    def lineage(self, subject: object) -> Lineage:
        """What led to a run (an id) or an artifact (its record or hash), and what was made from it.

        Raises:
            RunNotFoundError, AmbiguousRunError: the id leads to no run, or to several.
            ArtifactNotFoundError, AmbiguousHashError: likewise the hash.
        """
        from exptrack.artifacts.lineage import trace_lineage

        return trace_lineage(self._connection, subject)

    def find_artifact(self, reference: object) -> Artifact:
        """The artifact that a reference means; see :meth:`exptrack.Run.use_artifact`.

        Raises:
            ArtifactNotFoundError: there is none.
        """
        from exptrack.artifacts.lineage import find_artifact

        return find_artifact(self._connection, reference)

    # Questions

    def list_runs(self, run_filter: RunFilter | None = None, *, limit: int | None = None) -> list[RunSummary]:
        """The runs a filter admits (all by default), newest first."""
        self._settle()
        return details.list_runs(self._connection, run_filter, limit)

    def runs(self) -> RunQuery:
        """A query over all runs, to be narrowed, ordered and read; see :class:`exptrack.RunQuery`."""
        from exptrack.query.run_query import RunQuery

        return RunQuery(self._connection, self._settle)

    def show_run(self, run_id: object) -> RunDetail:
        """Everything about one run.

        Raises:
            RunNotFoundError, AmbiguousRunError: the id leads to no run, or to several.
        """
        self._settle()
        return details.show_run(self._connection, run_id)

    def diff_runs(self, run_a: object, run_b: object) -> RunDiff:
        """Which config keys differ between two runs, and the metrics of both side by side.

        Raises:
            RunNotFoundError, AmbiguousRunError: an id leads to no run, or to several.
        """
        self._settle()
        return comparison.diff_runs(self._connection, run_a, run_b)

    def compare(self, run_ids: object, *, all_keys: bool = False) -> RunComparison:
        """Runs side by side: the config keys in which they differ (or all), what set each, and all metrics.

        `run_ids` are ids or records, each run counts once; values are compared with their types.

        Raises:
            RunNotFoundError, AmbiguousRunError: an id leads to no run, or to several.
            InvalidValueError: none is given.
        """
        self._settle()
        rows = self._rows_of(run_ids)
        if not rows:
            raise InvalidValueError("no run is given to compare")
        from exptrack.analysis import comparison

        return comparison.compare(self._connection, rows, all_keys)

    def what_changed(self, run_id: object) -> RunChanges | None:
        """What is different in a run since the one before it: config, code, data, environment, metrics.

        That is the run started last before it, whatever its status, of the same script (as the repository names
        it); failing that, of the same name; failing that, of the same group. None when there is none.

        Raises:
            RunNotFoundError, AmbiguousRunError: the id leads to no run, or to several.
        """
        self._settle()
        from exptrack.analysis import comparison

        return comparison.what_changed(self._connection, run_id)

    def group_by(
        self, keys: str | Iterable[str], metric: str, *, where: str | None = None, statistic: str = "last"
    ) -> list[Group]:
        """Completed runs that logged a metric, grouped by config keys, with mean and spread of the metric.

        `keys` are one or several dotted paths; runs that lack one are a group of their own, apart from those
        where it is null, and 1 is apart from 1.0. `where` is a filter; `statistic` says which value of a run
        counts, as in filters. Groups are in the order of their values. NaN and infinities are counted apart.
        Pruned trials are left out, as in :meth:`best_runs`.

        Raises:
            MetricNotFoundError: no run has logged such a metric.
            InvalidValueError: no run has such a key, or there is no such statistic.
            FilterError: the filter is wrong.
        """
        self._settle()
        from exptrack.analysis import grouping

        return grouping.group_by(self._connection, keys, metric, where, statistic)

    def importance(
        self, metric: str, *, where: str | None = None, statistic: str = "last", method: str = "spearman"
    ) -> list[Importance]:
        """How much each config key explains of a metric over completed runs, the most important first.

        By ``"spearman"``: of keys with different numbers the square of Spearman's rank correlation, over the
        runs that have one; of all others the correlation ratio (eta squared) of the metric's ranks, with a
        group for each value and one for the runs without. It sees each key alone, of numbers only what rises
        or falls, and flatters texts of many values. Left out are keys that do not vary, and texts of which no
        two runs have the same.

        By ``"forest"``: how much the R² of scikit-learn's random forest, fitted to the ranks, falls on runs it
        has not seen when a key is shuffled (permutation importance; 5 folds, fixed seeds). That sees bends and
        interplay, and takes long: ten seconds or more for 1000 runs of 20 keys.

        NaN, infinities and, as in :meth:`best_runs`, pruned trials are left out.

        Raises:
            MetricNotFoundError: no run has logged such a metric.
            InvalidValueError: fewer than 3 runs (forest: 10) are left.
            FilterError: the filter is wrong.
            MissingPackageError: the forest needs scikit-learn.
        """
        self._settle()
        from exptrack.analysis import importance

        return importance.importance(self._connection, metric, where, statistic, method)

    def best_run(self, metric: str, direction: str, *, by: str = "last") -> RunSummary | None:
        """The completed run with the best value of a metric, or None when none qualifies.

        `direction` is ``"minimize"`` or ``"maximize"``; `by` says which value of a run counts: ``"last"``,
        ``"min"`` or ``"max"``. NaN and the infinities never win, nor do pruned trials, whose values are those
        of a part of a run; of runs that tie, the one that came into the file first wins.

        Raises:
            MetricNotFoundError: no run has logged such a metric.
        """
        self._settle()
        found = ranking.best_runs(self._connection, metric, direction, by=by)
        return found[0][0] if found else None

    def best_runs(
        self,
        metric: str,
        direction: str,
        *,
        by: str = "last",
        limit: int = 10,
        where: str | Iterable[str] = (),
    ) -> list[tuple[RunSummary, float]]:
        """The best completed runs, best first, each with the value that ranks it; see :meth:`best_run`.

        `where` is a filter as in :meth:`RunQuery.where`, or several: only runs that satisfy them are ranked.
        Pruned trials are among them only where a filter speaks of ``trial.state`` or of ``status = pruned``.

        Raises:
            MetricNotFoundError: no run has logged such a metric.
            FilterError: the filter is wrong.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or not 0 <= limit < 2**31:
            raise InvalidValueError(f"limit must be a whole number from 0, not {limit!r}")
        self._settle()
        return ranking.best_runs(self._connection, metric, direction, by=by, limit=limit, where=where)

    # Metrics in bulk

    @overload
    def series(
        self, run_id: object, name: str, *, start: int | None = None, stop: int | None = None
    ) -> Series: ...
    @overload
    def series(
        self, run_id: object, name: str, *, start: int | None = None, stop: int | None = None, buckets: int
    ) -> Buckets: ...

    def series(
        self,
        run_id: object,
        name: str,
        *,
        start: int | None = None,
        stop: int | None = None,
        buckets: int | None = None,
    ) -> Series | Buckets:
        """A metric of a run as numpy arrays, or downsampled; see :meth:`exptrack.Run.series`.

        Raises:
            RunNotFoundError, AmbiguousRunError: the id leads to no run, or to several.
        """
        where = _place_of(lookup.resolve_run(self._connection, run_id))
        if buckets is None:
            return read_series(self._connection, *where, name, start=start, stop=stop)
        return read_buckets(self._connection, *where, name, buckets, start=start, stop=stop)

    def tail(self, run_ids: object, names: str | Iterable[str] | None = None) -> Tail:
        """What is new in metrics at each :meth:`Tail.read`; `names` None follows all metrics, later ones too.

        `run_ids` is a run or several. For live charts: in the process that logs or in another.

        Raises:
            RunNotFoundError, AmbiguousRunError: an id leads to no run, or to several.
        """
        run_texts = [row["run_id"] for row in self._rows_of(run_ids)]
        return Tail(self._connection, run_texts, None if names is None else check_names(names))

    def align(
        self,
        run_ids: object,
        names: str | Iterable[str],
        *,
        by: str = "step",
        every: float | None = None,
        start: int | None = None,
        stop: int | None = None,
    ) -> Alignment:
        """Metrics of runs side by side as columns named ``run_id/metric``, for pandas or polars.

        An outer join: the index has every step (`by` ``"step"``) or every second since its run's start (`by`
        ``"time"``, to the millisecond) at which any of them was logged. `every` rounds it down to multiples of
        so many steps or seconds. Where a series has several points at one index, the last wins: the latest
        repetition of a step, the latest time. What a run did not log there is NaN; `Alignment.logged` tells
        it from a logged NaN. Needs numpy.

        Raises:
            RunNotFoundError, AmbiguousRunError: an id leads to no run, or to several.
            MissingPackageError: numpy is not installed.
        """
        places = [_place_of(row) for row in self._rows_of(run_ids)]
        checked = check_names(names)
        found = (
            read_series(self._connection, *place, name, start=start, stop=stop)
            for place in places
            for name in checked
        )
        return align_series(found, by, every)

    def _rows_of(self, run_ids: object) -> list[Row]:
        """Each run once; one alone need not be in a list."""
        if isinstance(run_ids, str) or hasattr(run_ids, "run_id") or not isinstance(run_ids, Iterable):
            run_ids = [run_ids]
        rows = (lookup.resolve_run(self._connection, run_id) for run_id in run_ids)
        return list({row["id"]: row for row in rows}.values())

    def sql(
        self,
        sql: str,
        parameters: Parameters = (),
        *,
        max_rows: int = SQL_MAX_ROWS,
        timeout_s: float = SQL_TIMEOUT_S,
    ) -> SqlResult:
        """Run one SELECT over the documented views and return its rows.

        Nothing can be changed by it: it runs read-only, may only read, and stops at `max_rows` and
        `timeout_s`.

        Raises:
            QueryError: it is wrong, is not a SELECT, or took too long.
        """
        if not isinstance(sql, str):
            raise InvalidTypeError(f"sql must be text, not {type(sql).__name__}")
        if not isinstance(max_rows, int) or not isinstance(timeout_s, (int, float)):
            raise InvalidTypeError("max_rows must be a whole number and timeout_s a number of seconds")
        from exptrack.database.guarded_sql import run_guarded

        self._settle()
        columns, rows, more = run_guarded(
            self._connection, sql, parameters, max_rows=max_rows, timeout_s=timeout_s
        )
        return SqlResult(tuple(columns), tuple(rows), more)

    # Views

    def create_view(self, name: str, fields: Iterable[str]) -> UserView:
        """Add a wide SQL view: a row for each run, a column for each field. Commits.

        Before the fields come run_id, name, status and started_at. Fields are those of filters:
        ``"config.lr"`` becomes the column lr, ``"metrics.acc.max"`` acc.max; where two would have the same
        name, the later one is called by its whole name. Ints, floats and text keep their type; bools are 1 and
        0, lists JSON, NaN and what a run lacks NULL.

        Raises:
            InvalidValueError: a view cannot be called so.
            ConflictError: something in the file is called so.
            FilterError: there is no such field, or no run has such a key or metric.
        """
        from exptrack.query import views as userviews

        return userviews.create_view(self._connection, name, fields)

    def list_views(self) -> list[UserView]:
        """The views that were added to the file, by name."""
        from exptrack.query import views as userviews

        return userviews.list_views(self._connection)

    def drop_view(self, name: str) -> None:
        """Remove a view that was added. Commits.

        Raises:
            NotFoundError: there is none of this name, or it is one that every archive has.
        """
        from exptrack.query import views as userviews

        userviews.drop_view(self._connection, name)

    # The file

    def info(self) -> ArchiveInfo:
        """What the file holds: rows, sizes, versions."""
        self._settle()
        connection = self._connection
        first, last = connection.one(FIRST_AND_LAST) or (None, None)
        page_bytes = connection.value("PRAGMA page_size")
        return ArchiveInfo(
            path=self.path,
            format=connection.value("PRAGMA user_version"),
            library=__version__,
            sqlite=SQLITE_VERSION,
            file_bytes=connection.value("PRAGMA page_count") * page_bytes,
            wal_bytes=_size_or_zero(f"{self.path}-wal"),
            free_bytes=connection.value("PRAGMA freelist_count") * page_bytes,
            runs={row[0]: row[1] for row in connection.all(COUNT_BY_STATUS)},
            rows=connection.count_rows(),
            artifact_bytes=connection.value(ARTIFACT_BYTES),
            stored_bytes=connection.value(STORED_BYTES),
            first_run=_moment_or_none(first),
            last_run=_moment_or_none(last),
        )

    def verify(self, progress: Callable[[str, int, int], None] | None = None) -> VerifyReport:
        """Check everything in the file against its checksums; reads all of it, changes nothing.

        `progress` is called with a part (``"runs"``, ``"chunks"``, ``"artifacts"``), how much of it is done and
        how much there is.
        """
        drain_all(self._connection.path)
        from exptrack.portable import verification

        return verification.verify(self._connection, progress)


def _place_of(row: Row) -> tuple[int, str, datetime]:
    return row["id"], row["run_id"], moment(row["started_at"])


def _size_or_zero(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else moment(text)
