"""Define the records that several subpackages return, and `RecordedRun`, which a caller fills in.

Invariants:

- A record is frozen and needs no connection. It holds tuples, not lists. Its dicts belong to the caller:
  changing one changes nothing in the archive.
- Every moment is an aware UTC ``datetime``, and every size is in bytes.
- The value of a metric is a float, NaN and the infinities included; it is None where there is no point.
- A record that one subpackage alone returns lives in that subpackage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

FOLDER_TYPE = "application/vnd.exptrack.folder+json"


class RunStatus(StrEnum):
    """The state of a run: running, or how it ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class TrialState(StrEnum):
    """The state of a trial of a study."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file beside the archive whose content the archive does not hold yet.

    `points` is how many logged points it holds; None if that is unknown, or if it is a write-ahead log. `owner`
    names the process that wrote it, where that is known. `advice` says what has to be done.
    """

    path: str
    size_bytes: int
    points: int | None
    owner: str
    advice: str

    def __str__(self) -> str:
        amount = f"{self.size_bytes:,} bytes wait" if self.points is None else f"{self.points:,} points wait"
        return f"{amount} in {self.path}{' of ' * bool(self.owner)}{self.owner}: {self.advice}"


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list. `metrics` holds the last value of each metric.

    `study`, `trial_number` and `trial_state` are None for a run that is not a trial. For a run with several
    trials they are those of the newest one.
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
        """Whether the run is a pruned trial; its last values are then those of an unfinished training."""
        return self.status is RunStatus.COMPLETED and self.trial_state is TrialState.PRUNED


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run that happened elsewhere or earlier, to give to :meth:`exptrack.Archive.record_runs`.

    `config` is anything that ``start_run`` takes. `started_at` counts as UTC unless it has a time zone.
    `status` is completed, failed or interrupted. `parent` is a run of the archive. Leave host, Python and code
    empty where they are not known.

    `metrics` maps each name to ``(steps, values)`` or ``(steps, values, times)``: columns of equal length, in
    the order of logging. Times are datetimes or seconds since 1970; without them every point counts as logged
    at the start.
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
    """One logged value of a metric, with its step and the time of logging."""

    step: int
    value: float
    time: datetime


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """The summary of one metric of one run. `last` was logged last; `min`, `max` and `mean` leave out NaN."""

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
    """A note on a run and the time of writing."""

    written_at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a run's log of events."""

    seq: int
    happened_at: datetime
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Artifact:
    """One version of an artifact. `hash` is ``sha256:…`` over its bytes; for a folder, over its manifest."""

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
        """Whether the artifact is a folder; its bytes are then the manifest."""
        return self.media_type == FOLDER_TYPE


@dataclass(frozen=True, slots=True)
class ArtifactUse:
    """The use of an artifact by a run. `from_run` registered it; the archive may no longer hold either."""

    run_id: str
    from_run: str
    name: str
    version: int
    hash: str
    used_at: datetime


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """The origin of a value in a config.

    `kind` is file, override, default, code or trial. `name` is the file, relative to the folder of the config;
    the override as it was given; the type that held the value (for default and code); or the study (for trial).
    `line` is 0 where it is not known (JSON and TOML files), and for everything but a file.
    """

    kind: str
    name: str
    line: int = 0

    def __str__(self) -> str:
        if self.kind == "file":
            return f"{self.name}:{self.line}" if self.line else self.name
        return f"{self.kind} {self.name}" if self.name else self.kind
