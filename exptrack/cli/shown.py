"""Choose what tables of runs show: which metrics, in which order, and how much of an id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from exptrack import Archive, RunSummary
from exptrack.directions import guess_direction
from exptrack.metric_order import is_system, rank_metric
from exptrack.validation import SHORT_DIRECTIONS

if TYPE_CHECKING:
    from rich.console import Console

MOST_COMPARED = 50  # runs whose configs are compared

system_option = click.option("--system", is_flag=True, help="Show what runs measured of their machine, too.")


def choose_metrics(
    archive: Archive, records: Sequence[RunSummary], names: Iterable[str] = (), *, system: bool
) -> list[str]:
    """Return the metrics of runs that are shown, the most telling ones first.

    These are the objectives of their studies, then as `rank_metric` has it. `names` are the metrics to choose
    from, by default those of the runs. Those of the machine are left out unless `system` is true.
    """
    counted = Counter(name for record in records for name in record.metrics)
    wanted = list_objectives(archive, records)
    found = [name for name in (names or counted) if system or not is_system(name)]
    return sorted(found, key=lambda name: rank_metric(name, counted[name], wanted))


def list_objectives(archive: Archive, records: Iterable[RunSummary]) -> list[str]:
    """Return the metrics that the studies of these runs optimize."""
    studies = {record.study for record in records if record.study is not None}
    if not studies:
        return []
    found = [one for one in archive.studies() if one.name in studies]
    return list(dict.fromkeys(metric for one in found for metric in one.metrics if metric is not None))


def shorten_ids(out: Console, archive: Archive, run_ids: Iterable[str]) -> Mapping[str, str]:
    """Return the short id of each run for a terminal, where people read it. A pipe gets whole ids."""
    wanted = list(dict.fromkeys(run_ids))
    return archive.shorten_ids(wanted) if out.is_terminal and wanted else {}


def read_ranking(text: str) -> tuple[str, str]:
    """Read METRIC, METRIC:min or METRIC:max; return the metric and the direction in which it is better.

    Raises:
        UsageError: neither the text nor the name of the metric tells the direction.
    """
    metric, _colon, end = text.rpartition(":")
    if end not in SHORT_DIRECTIONS or not metric:
        metric, end = text, ""
    direction = SHORT_DIRECTIONS.get(end) or guess_direction(metric)
    if direction is None:
        raise click.UsageError(
            f"the name {metric!r} does not tell whether less or more is better; write {metric}:min or"
            f" {metric}:max"
        )
    return metric, direction


def list_differing(archive: Archive, records: Sequence[RunSummary]) -> dict[str, list[object]]:
    """Return the config keys in which runs differ, each with the value of every run, or None where it has none.

    Of many runs, nothing is returned: their configs would be read whole.
    """
    if not 1 < len(records) <= MOST_COMPARED:
        return {}
    found = archive.compare([record.run_id for record in records])
    names = tuple(record.name for record in records)  # which scripts often keep in the config, too
    return {
        one.key: list(one.values)
        for one in found.config
        if one.differs and (one.key != "name" or one.values != names)
    }
