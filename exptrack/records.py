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
class ArtifactUse:
    """A run's use of an artifact; `from_run` registered it, and either may be gone from the file since."""

    run_id: str
    from_run: str
    name: str
    version: int
    hash: str
    used_at: datetime


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
