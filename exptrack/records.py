"""Define the records that several subpackages return.

Invariants:

- A record is frozen and needs no connection. It holds tuples, not lists. Its dicts belong to the caller:
  changing one changes nothing in the archive.
- Every moment is an aware UTC ``datetime``, and every size is in bytes.
- The value of a metric is a float, NaN and the infinities included; it is None where there is no point.
- A record that one subpackage alone returns lives in that subpackage.
- The records here are named tuples. Every start of a run imports them, and a dataclass takes seven times as
  long to define.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from exptrack.named_tuples import NamedTuple
from exptrack.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# The metrics that hold what a rewinding of their run has hidden have names that begin so.
REWOUND = "exptrack:rewound/"
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


@shown
class Waiting(NamedTuple):
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


@shown
class JournalReport(NamedTuple):
    """What became of one journal and its points.

    `points` is how many of its points were stored now. `kept_as` is where the file is; None if it was removed.
    `problem` says why some of its points could not be stored, and is empty if all are.
    """

    path: str
    points: int
    kept_as: str | None
    problem: str


@shown
class RunSummary(NamedTuple):
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
    external_id: str | None = None

    @property
    def duration(self) -> float:
        """The same as `duration_s`, in seconds, under the name of the field in filters."""
        return self.duration_s

    @property
    def is_pruned(self) -> bool:
        """Whether the run is a pruned trial; its last values are then those of an unfinished training."""
        return self.status is RunStatus.COMPLETED and self.trial_state is TrialState.PRUNED

    def _as_row(self) -> dict[str, Any]:
        own = {name: value for name, value in self.metrics.items() if not name.startswith("system/")}
        return {
            "run_id": self.run_id,
            "name": self.name,
            "status": TrialState.PRUNED if self.is_pruned else self.status,
            "started_at": self.started_at,
            "duration_s": self.duration_s,
            "group": self.group,
            "tags": self.tags,
            **{f"metrics.{name}": value for name, value in (own or self.metrics).items()},
        }


@shown
class MetricPoint(NamedTuple):
    """One logged value of a metric, with its step and the time of logging."""

    step: int
    value: float
    time: datetime


@shown
class MetricSummary(NamedTuple):
    """The summary of one metric of one run. `last` was logged last; `min`, `max` and `mean` leave out NaN."""

    name: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs here
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

    def _as_row(self) -> dict[str, Any]:
        first = "name last last_step min min_step max max_step mean count nan_count"
        return {name: getattr(self, name) for name in first.split()}


@shown
class Note(NamedTuple):
    """A note on a run and the time of writing."""

    written_at: datetime
    text: str


@shown
class Event(NamedTuple):
    """One entry of a run's log of events."""

    seq: int
    happened_at: datetime
    kind: str
    data: dict[str, Any]


@shown
class Artifact(NamedTuple):
    """One version of an artifact. `hash` is ``sha256:…`` over its bytes; for a folder, over its manifest.

    `aliases` are the words that name this version in its run now, such as ``best``, in alphabetical order.
    """

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
    description: str | None = None
    aliases: tuple[str, ...] = ()

    @property
    def is_folder(self) -> bool:
        """Whether the artifact is a folder; its bytes are then the manifest."""
        return self.media_type == FOLDER_TYPE

    def _as_row(self) -> dict[str, Any]:
        first = "name version kind step size_bytes media_type aliases description created_at run_id"
        return {name: getattr(self, name) for name in first.split()} | {"hash": f"{self.hash[:17]}…"}


@shown
class ArtifactUse(NamedTuple):
    """The use of an artifact by a run. `from_run` registered it; the archive may no longer hold either."""

    run_id: str
    from_run: str
    name: str
    version: int
    hash: str
    used_at: datetime


@shown
class ConfigSource(NamedTuple):
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
