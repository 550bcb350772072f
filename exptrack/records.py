"""The records exptrack hands out (and the one it takes): frozen, typed, and free of any connection.

Invariants: every moment is an aware UTC ``datetime``; sizes are bytes; a metric value is a float, NaN
and the infinities included, and None where there is no point at all. Tuples, not lists, so that
nothing handed out can be changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

FOLDER_TYPE = "application/vnd.exptrack.folder+json"


class RunStatus(StrEnum):
    """Where a run is in its life."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class TrialState(StrEnum):
    """Where a trial of a study is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list. `metrics` holds the last value of each metric.

    `study`, `trial_number` and `trial_state` are None for a run that is no trial; of a run that was tried
    several times, they are those of the newest trial.
    """

    run_id: str
    status: RunStatus
    name: str | None
    group: str | None
    parent: str | None
    started_at: datetime
    ended_at: datetime | None
    heartbeat_at: datetime
    duration_s: float
    reason: str | None
    config_hash: str
    family: str
    fingerprint: str
    host: str
    vcs_commit: str | None
    vcs_dirty: bool | None
    tags: tuple[str, ...]
    metrics: dict[str, float]
    study: str | None = None
    trial_number: int | None = None
    trial_state: TrialState | None = None

    @property
    def is_pruned(self) -> bool:
        """Whether it completed as a trial that was given up early: its last values are those of a part."""
        return self.status is RunStatus.COMPLETED and self.trial_state is TrialState.PRUNED


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run that happened elsewhere or earlier; for :meth:`exptrack.Archive.record_runs`.

    `config` is whatever ``start_run`` takes. `started_at` is aware, or UTC. `status` is completed, failed or
    interrupted. `metrics` maps each name to ``(steps, values)`` or ``(steps, values, times)``, columns of one
    length in the order of logging; times are datetimes or seconds since 1970, and without them every point
    counts as logged at the start. `parent` is a run of the archive. What is not known of host, Python and code
    stays empty.
    """

    config: object
    started_at: datetime
    duration_s: float = 0.0
    status: RunStatus | str = RunStatus.COMPLETED
    reason: str | None = None
    traceback: str | None = None
    name: str | None = None
    group: str | None = None
    parent: object = None
    tags: Iterable[str] = ()
    notes: Iterable[str] = ()
    metrics: Mapping[str, tuple[Iterable[Any], ...]] = field(default_factory=dict)
    data: Mapping[str, str] | Iterable[str] | None = None
    host: str = ""
    python: str = ""
    script: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One logged value; `time` is when it was logged."""

    step: int
    value: float
    time: datetime


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """One metric of one run. `last` was logged last; NaN enters neither `min`, `max` nor `mean`."""

    name: str
    count: int
    nan_count: int
    first: float
    first_step: int
    last: float
    last_step: int
    min: float | None
    min_step: int | None
    max: float | None
    max_step: int | None
    mean: float | None


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on a run."""

    written_at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a run's log."""

    seq: int
    happened_at: datetime
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Artifact:
    """One version of one artifact; `hash` is ``sha256:…`` over its bytes (of a folder: over its manifest)."""

    run_id: str
    name: str
    version: int
    kind: str
    hash: str
    size_bytes: int
    is_text: bool
    media_type: str | None
    step: int | None
    metadata: dict[str, Any]
    created_at: datetime

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder: then its bytes are the manifest."""
        return self.media_type == FOLDER_TYPE


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One thing in a folder: a file, or a folder, which has neither `size_bytes` nor `hash`."""

    path: str
    mode: int
    size_bytes: int | None
    hash: str | None


@dataclass(frozen=True, slots=True)
class ArtifactUse:
    """A run's use of an artifact; `from_run` registered it, and either may be gone from the file since."""

    run_id: str
    from_run: str
    name: str
    version: int
    hash: str
    used_at: datetime


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a run or an artifact (a hash) came from, and what came of it.

    `upstream` and `downstream` are uses, the nearest first; `artifacts` are those of every run among them.
    """

    subject: str
    upstream: tuple[ArtifactUse, ...]
    downstream: tuple[ArtifactUse, ...]
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, slots=True)
class RunDetail:
    """Everything about one run.

    `config` is nested as it was given to ``start_run``, references to the environment unresolved;
    `config_sources` says by dotted path what set each key.
    """

    summary: RunSummary
    config: dict[str, Any]
    notes: tuple[Note, ...]
    metrics: tuple[MetricSummary, ...]
    artifacts: tuple[Artifact, ...]
    events: tuple[Event, ...]
    environment: dict[str, Any]
    traceback: str | None
    config_sources: dict[str, ConfigSource] = field(default_factory=dict)
    inputs: tuple[ArtifactUse, ...] = ()


@dataclass(frozen=True, slots=True)
class SweepTrial:
    """A trial of a sweep that has ended, and how the sweep stands then.

    `retried` says that its params are tried again; `tail` holds the last lines that the command of a failed
    trial wrote.
    """

    trial: TrialRecord
    best_number: int | None
    best_value: float | None
    retried: bool = False
    tail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one call ran of a sweep.

    `counts` are its trials by state. `ended` says why no more began: ``done`` (there are as many as planned, or
    everything was tried), ``time``, ``stopped`` (somebody asked) or ``failure``.
    """

    study: str
    counts: dict[TrialState, int]
    ended: str
    best_number: int | None
    best_value: float | None


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """What set a key of a config.

    `kind` is file, override, default, code or trial. `name` is the file, relative to where the config lives;
    the override as it was given; for default and code the type that held the value; for trial the study.
    `line` is 0 where lines mean nothing.
    """

    kind: str
    name: str
    line: int = 0

    def __str__(self) -> str:
        if self.kind == "file":
            return f"{self.name}:{self.line}" if self.line else self.name
        return f"{self.kind} {self.name}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class ConfigDifference:
    """A key that differs between run `a` and run `b`: `change` is added, removed or changed.

    `source_a` and `source_b` say what set it in each, where that is known.
    """

    key: str
    change: str
    a: Any
    b: Any
    source_a: ConfigSource | None = None
    source_b: ConfigSource | None = None


@dataclass(frozen=True, slots=True)
class MetricDifference:
    """A metric of two runs: last, least and greatest value of each; None where a run lacks it."""

    name: str
    last_a: float | None
    last_b: float | None
    min_a: float | None
    min_b: float | None
    max_a: float | None
    max_b: float | None


@dataclass(frozen=True, slots=True)
class RunDiff:
    """What differs between two runs."""

    run_a: str
    run_b: str
    config: tuple[ConfigDifference, ...]
    metrics: tuple[MetricDifference, ...]


@dataclass(frozen=True, slots=True)
class ComparedKey:
    """A key of several configs, a value for each run: None where a run lacks the key, which `present` tells.

    `sources` say what set it, where that is known; `differs` whether its values, types included, do.
    """

    key: str
    values: tuple[Any, ...]
    present: tuple[bool, ...]
    sources: tuple[ConfigSource | None, ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class ComparedMetric:
    """A metric of several runs, a summary for each: None where a run lacks it."""

    name: str
    summaries: tuple[MetricSummary | None, ...]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Several runs side by side: every tuple inside `config` and `metrics` is in the order of `runs`."""

    runs: tuple[RunSummary, ...]
    config: tuple[ComparedKey, ...]
    metrics: tuple[ComparedMetric, ...]


@dataclass(frozen=True, slots=True)
class FactDifference:
    """A fact, other than a config key, that differs: `change` is added, removed or changed, `a` what it was."""

    name: str
    change: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class RunChanges:
    """What is different in a run since `previous`, which is of the same script, name or group: `because`.

    `a` is what was in the previous run, `b` what is in this one.
    """

    run_id: str
    previous: str
    because: str
    config: tuple[ConfigDifference, ...]
    code: tuple[FactDifference, ...]
    data: tuple[FactDifference, ...]
    environment: tuple[FactDifference, ...]
    metrics: tuple[MetricDifference, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Runs whose configs agree in some keys, and one number of each; `config` lacks keys that these runs lack.

    `mean`, `std` (of the sample, over `finite` - 1), `min` and `max` are of the finite numbers alone; NaN and
    infinities are counted apart. None where there are too few.
    """

    config: dict[str, Any]
    run_ids: tuple[str, ...]
    count: int
    finite: int
    nan_count: int
    infinite_count: int
    mean: float | None
    std: float | None
    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Importance:
    """How much a config key says about a metric, over `runs` runs in which it has `values` different values.

    `method` is spearman or eta_squared: `importance` is then the share (0 to 1) of the variance of the
    metric's ranks; `correlation` (-1 to 1) is Spearman's. Or forest: by how much R² falls, on runs that the
    forest has not seen, when the key's values are shuffled.
    """

    key: str
    importance: float
    method: str
    correlation: float | None
    runs: int
    values: int


@dataclass(frozen=True, slots=True)
class DeleteReport:
    """What a deletion removed; `file_bytes` is by how much the file shrank."""

    runs: tuple[str, ...]
    blobs: int
    stored_bytes: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """Which versions of an artifact were removed; `file_bytes` is by how much the file shrank."""

    name: str
    versions: tuple[int, ...]
    blobs: int
    stored_bytes: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class RunStorage:
    """What a run's artifacts take in the file, each chunk once; `shared_bytes` of it other runs use too."""

    run_id: str
    name: str | None
    artifacts: int
    size_bytes: int
    stored_bytes: int
    shared_bytes: int


@dataclass(frozen=True, slots=True)
class GcReport:
    """What ``gc_artifacts`` removed; `file_bytes` is by how much the file shrank."""

    blobs: int
    chunks: int
    stored_bytes: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class SqlResult:
    """Rows of a query; `truncated` when the row cap cut them off."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class UserView:
    """A view that somebody added to the file, with the names of its columns."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing ``verify`` found wrong: in what part, where, and what."""

    part: str
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What ``verify`` looked at and what it found; `ok` when that is nothing."""

    runs: int
    points: int
    blobs: int
    chunks: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class ArchiveInfo:
    """What a file holds. `rows` counts every table, `runs` the runs by status."""

    path: str
    format: int
    library: str
    sqlite: str
    file_bytes: int
    wal_bytes: int
    free_bytes: int
    runs: dict[str, int]
    rows: dict[str, int]
    artifact_bytes: int
    stored_bytes: int
    first_run: datetime | None
    last_run: datetime | None


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial of a study.

    `values` has one for each objective, of a pruned trial the last it reported, and is empty where there is
    none. `reports` maps steps to the values reported there. `run_id` is the run it is, None before that starts
    or when that was deleted.
    """

    number: int
    state: TrialState
    values: tuple[float, ...]
    params: dict[str, Any]
    reports: dict[int, float]
    run_id: str | None
    started_at: datetime | None
    ended_at: datetime | None
    reason: str | None

    @property
    def value(self) -> float | None:
        """The value of the first (mostly the only) objective."""
        return self.values[0] if self.values else None

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None before the end."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class StudyInfo:
    """One study in a list. `counts` says how many trials there are in each state.

    `best_value` and `best_number` are of the best trial that met all constraints; None with several objectives.
    """

    name: str
    created_at: datetime
    directions: tuple[str, ...]
    metrics: tuple[str | None, ...]
    counts: dict[TrialState, int]
    best_value: float | None
    best_number: int | None
    settings: dict[str, Any]

    @property
    def trials(self) -> int:
        """How many there are, in whatever state."""
        return sum(self.counts.values())
