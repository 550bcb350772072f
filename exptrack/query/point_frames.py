"""Make tables of points of runs, a row for each point, and data frames of them.

Invariants: a table shows one moment. A fixed number of statements reads it, however many runs there are. A
logged NaN is NaN.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.errors import ArchiveCorruptError, MetricNotFoundError
from exptrack.frames import import_pandas, import_polars, make_text_array
from exptrack.labels import check_label, label_runs
from exptrack.metrics.series import check_names, read_in_bulk
from exptrack.metrics.store import IS_SHOWN
from exptrack.query.fields import METRIC_IDS, OF_RUNS

if TYPE_CHECKING:
    import pandas
    import polars

NAMES_OF_RUNS = f"SELECT id, run_id, name FROM run WHERE id {OF_RUNS}"
HEADS = f"""
SELECT s.run, n.name, s.id, s.count
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run {OF_RUNS} AND {IS_SHOWN}
"""
CHOSEN_HEADS = f"""
SELECT s.run, n.name, s.id, s.count
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run {OF_RUNS} AND s.metric IN (SELECT value FROM json_each(:metrics))
"""
# Series in the order of the list, the points of each in the order of its key.
POINTS = """
SELECT p.step, p.time_ms, p.value
FROM json_each(?) AS e CROSS JOIN metric_point AS p ON p.series = e.value
"""


class Points(NamedTuple):
    """Points as columns, one series after the other; `series` has each run, metric and number of points.

    `head` names the column of runs: ``run_id``, or ``run`` if they are called by their names.
    """

    head: str
    series: list[tuple[str, str, int]]
    steps: Any
    values: Any
    times: Any


# Reading points


def read_point_table(
    connection: Connection, runs: Sequence[int], names: str | Iterable[str] | None, label: str
) -> Points:
    """Read points of runs; see :meth:`exptrack.RunQuery.metrics_to_pandas`. Call inside a snapshot."""
    called = check_label(label)
    return _read_points(connection, runs, None if names is None else check_names(names), called)


@decoding_rows
def _read_points(
    connection: Connection, runs: Sequence[int], checked: Sequence[str] | None, label: str
) -> Points:
    wanted, sql = {"runs": json.dumps(list(runs))}, HEADS
    if checked is not None:
        metrics = {row["name"]: row["id"] for row in connection.all(METRIC_IDS, (json.dumps(checked),))}
        for name in checked:
            if name not in metrics:
                raise MetricNotFoundError(name, str(connection.path))
        wanted["metrics"], sql = json.dumps(list(metrics.values())), CHOSEN_HEADS
    found = connection.fold(NAMES_OF_RUNS, {"runs": wanted["runs"]}, list)
    labels = label_runs({run_id: name for _run, run_id, name in found}, label)
    called = {run: labels[run_id] for run, run_id, _name in found}
    places = {run: place for place, run in enumerate(runs)}
    heads = sorted(connection.fold(sql, wanted, list), key=lambda head: (places[head[0]], head[1]))
    series = json.dumps([head[2] for head in heads])
    steps, values, times = read_in_bulk(connection, POINTS, (series,))
    if len(steps) != sum(head[3] for head in heads):
        raise ArchiveCorruptError(
            f"{connection.path}: the number of points recorded for a series is wrong; run exptrack verify",
            path=str(connection.path),
        )
    series_of = [(called[run], name, count) for run, name, _series, count in heads]
    return Points("run_id" if label == "id" else "run", series_of, steps, values, times)


# Making frames


def points_to_pandas(points: Points) -> pandas.DataFrame:
    """Make a pandas frame of points."""
    pd = import_pandas()
    import numpy

    places = numpy.repeat(numpy.arange(len(points.series)), [count for _run, _name, count in points.series])
    run_ids = make_text_array(pd, [run for run, _name, _count in points.series]).take(places)
    names = make_text_array(pd, [name for _run, name, _count in points.series]).take(places)
    columns = {
        points.head: run_ids,
        "name": names,
        "step": points.steps,
        "value": points.values,
        "time_s": points.times,
    }
    frame: pandas.DataFrame = pd.DataFrame(columns, copy=False)
    return frame


def points_to_polars(points: Points) -> polars.DataFrame:
    """Make a polars frame of points."""
    pl = import_polars()
    types = {"run_id": pl.String, "name": pl.String, "count": pl.Int64}
    heads = pl.DataFrame(points.series, schema=types, orient="row")
    places = heads.select(pl.int_range(pl.len()).repeat_by("count").explode()).to_series()
    columns = {"step": points.steps, "value": points.values, "time_s": points.times}
    frame: polars.DataFrame = pl.DataFrame(
        [
            heads["run_id"].gather(places).alias(points.head),
            heads["name"].gather(places),
            *(
                pl.Series(name, column.tolist(), dtype=pl.Int64 if name == "step" else pl.Float64)
                for name, column in columns.items()
            ),
        ]
    )
    return frame
