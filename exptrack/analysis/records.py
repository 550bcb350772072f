"""The records that analyses return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exptrack.frames import Column, Table, TableMaker, infer_column
from exptrack.labels import label_runs
from exptrack.records import ConfigSource, MetricSummary, RunSummary
from exptrack.shown import shown

if TYPE_CHECKING:
    from exptrack.analysis.run_diff import ConfigDifference, MetricDifference
    from exptrack.markup.elements import Child
    from exptrack.markup.notebook import View


@shown
@dataclass(frozen=True, slots=True)
class ComparedKey:
    """A config key of several runs, with a value for each run.

    A value is None if the run lacks the key; then `present` is false. `sources` are what set the values, or
    None if that is not known. `differs` is whether the values differ; 1 differs from 1.0.
    """

    key: str
    values: tuple[Any, ...]
    present: tuple[bool, ...]
    sources: tuple[ConfigSource | None, ...]
    differs: bool


@shown
@dataclass(frozen=True, slots=True)
class ComparedMetric:
    """A metric of several runs, with a summary for each run, or None if the run lacks it."""

    name: str
    summaries: tuple[MetricSummary | None, ...]


@shown
@dataclass(frozen=True, slots=True)
class RunComparison(TableMaker):
    """Several runs side by side. Every tuple inside `config` and `metrics` is in the order of `runs`."""

    runs: tuple[RunSummary, ...]
    config: tuple[ComparedKey, ...]
    metrics: tuple[ComparedMetric, ...]

    def _make_table(self) -> Table:
        """Make a row for each run: id, name, status, config keys, and the last value of each metric."""
        table = {
            "run_id": Column("text", [run.run_id for run in self.runs]),
            "name": Column("text", [run.name for run in self.runs]),
            "status": Column("text", [str(run.status) for run in self.runs]),
        }
        table |= {f"config.{one.key}": infer_column(list(one.values)) for one in self.config}
        for one in self.metrics:
            last = [None if summary is None else summary.last for summary in one.summaries]
            table[f"metrics.{one.name}"] = Column("float", last)
        return table

    def _view(self) -> View:
        from exptrack.markup.notebook import View, draw_rows, fold, own_metrics
        from exptrack.markup.parts import paragraph

        labels = list(label_runs({run.run_id: run.name for run in self.runs}).values())
        keys = [{"key": one.key, **dict(zip(labels, one.values, strict=True))} for one in self.config]
        metrics = []
        for one in own_metrics(self.metrics):
            last = [None if summary is None else summary.last for summary in one.summaries]
            metrics.append({"metric": one.name, **dict(zip(labels, last, strict=True))})
        shown_keys = draw_rows(keys, len(keys), noun="key", columns=["key", *labels])
        parts: list[Child] = [
            fold("config", shown_keys if keys else [paragraph("No config key differs.")]),
            fold("last values", draw_rows(metrics, len(metrics), noun="metric", columns=["metric", *labels])),
        ]
        return View(f"{len(self.runs):,} runs compared", parts)


@shown
@dataclass(frozen=True, slots=True)
class FactDifference:
    """A fact, other than a config key, that changed from `a` to `b`; `change` is added, removed or changed."""

    name: str
    change: str
    a: Any
    b: Any


@shown
@dataclass(frozen=True, slots=True)
class RunChanges:
    """The differences between a run and `previous`, an earlier run with the same script, name or group.

    `because` is script, name or group: the reason why `previous` was chosen. In each difference, `a` belongs to
    the previous run and `b` to this run.
    """

    run_id: str
    previous: str
    because: str
    config: tuple[ConfigDifference, ...]
    code: tuple[FactDifference, ...]
    data: tuple[FactDifference, ...]
    environment: tuple[FactDifference, ...]
    metrics: tuple[MetricDifference, ...]


@shown
@dataclass(frozen=True, slots=True)
class RunsLeftOut:
    """How many runs that logged a metric are left out of a ranking, by the reason.

    A run counts once. Those that are `not_finite` completed with NaN or an infinite value.
    """

    pruned: int = 0
    failed: int = 0
    interrupted: int = 0
    running: int = 0
    not_finite: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.pruned + self.failed + self.interrupted + self.running + self.not_finite

    def __str__(self) -> str:
        words = {
            "pruned": self.pruned,
            "failed": self.failed,
            "interrupted": self.interrupted,
            "running": self.running,
            "NaN or infinite": self.not_finite,
        }
        return ", ".join(f"{count:,} {word}" for word, count in words.items() if count) or "none"


@shown
@dataclass(frozen=True, slots=True)
class Group:
    """Runs whose configs agree in some keys, with statistics of one metric value of each run.

    `config` has the keys and their values, without keys that these runs lack. `mean`, `std` (of the sample,
    over `finite` - 1), `min` and `max` are of the finite values only, or None if there are too few. NaN and
    infinite values are counted separately. `left_out` counts the runs of such a config that do not count, as
    they were pruned, failed or have not completed.
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
    left_out: RunsLeftOut = RunsLeftOut()


@shown
@dataclass(frozen=True, slots=True)
class Importance:
    """How much a config key says about a metric, over `runs` runs in which it has `values` different values.

    If `method` is spearman or eta_squared, `importance` is the share, 0 to 1, of the variance of the metric's
    ranks that the key explains. With spearman, `correlation` is Spearman's, -1 to 1. If `method` is groups,
    that share is adjusted for the number of groups. If `method` is forest, `importance` is the fall of R², on
    runs that the forest has not seen, when the key's values are shuffled.
    """

    key: str
    importance: float
    method: str
    correlation: float | None
    runs: int
    values: int
