"""The records of the differences between two runs.

They are named tuples: a comparison of two runs takes less time than it takes to import dataclasses.
"""

from __future__ import annotations

from exptrack.named_tuples import NamedTuple
from exptrack.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from exptrack.records import ConfigSource


@shown
class ConfigDifference(NamedTuple):
    """A config key that differs between run `a` and run `b`; `change` is added, removed or changed.

    `source_a` and `source_b` are what set it in each run, or None if that is not known.
    """

    key: str
    change: str
    a: Any
    b: Any
    source_a: ConfigSource | None = None
    source_b: ConfigSource | None = None


@shown
class MetricDifference(NamedTuple):
    """A metric of two runs: last, least and greatest value of each, or None if the run lacks it."""

    name: str
    last_a: float | None
    last_b: float | None
    min_a: float | None
    min_b: float | None
    max_a: float | None
    max_b: float | None


@shown
class RunDiff(NamedTuple):
    """The differences between two runs: config keys that differ, and the metrics of both."""

    run_a: str
    run_b: str
    config: tuple[ConfigDifference, ...]
    metrics: tuple[MetricDifference, ...]
