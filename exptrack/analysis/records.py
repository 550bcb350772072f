"""What comparisons return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exptrack.records import ConfigSource, MetricSummary, RunSummary


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
