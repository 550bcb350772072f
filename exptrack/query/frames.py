"""Make tables of runs, a row for each run, and tables of points, a row for each point.

Invariants: a table shows one moment. A fixed number of statements reads it, however many runs there are. Values
keep their types: whole numbers stay whole beside missing cells, and a column that holds several types holds its
values unchanged. Only in pandas and polars, ints beside floats become the floats that equal them. A logged NaN
is NaN; what a run lacks is missing. Each column is named as a filter names its field.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.errors import (
    ArchiveCorruptError,
    InvalidValueError,
    MetricNotFoundError,
)
from exptrack.frames import (
    Column,
    Records,
    Table,
    import_pandas,
    import_polars,
    infer_column,
    make_text_array,
    to_dicts,
)
from exptrack.labels import check_label, label_runs
from exptrack.metrics.series import check_names, read_in_bulk
from exptrack.metrics.store import IS_SHOWN
from exptrack.plain import read_elements, read_names
from exptrack.query.conditions import FACTS, Field
from exptrack.query.fields import (
    METRIC_IDS,
    OF_RUNS,
    Values,
    check_statistic,
    read_attrs,
    read_configs,
    read_facts,
    read_fields,
    read_metrics,
)
from exptrack.query.parser import parse_field
from exptrack.validation import check_text

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
HAVE_TRIALS = f"SELECT 1 FROM run AS r JOIN trial AS t ON t.run_id = r.run_id WHERE r.id {OF_RUNS} LIMIT 1"

# The views of the archive have columns of the same names; filters know them as synonyms of their fields.
FACT_COLUMNS = (
    "run_id status name group parent external_id started_at ended_at duration_s reason host vcs_commit"
    " vcs_dirty config_hash family fingerprint tags"
).split()
TRIAL_COLUMNS = ("study", "trial.number", "trial.state")  # only where a run is a trial
WHOLE_STATISTICS = frozenset("count nan_count last_step first_step min_step max_step".split())
KINDS = {
    **dict.fromkeys(("text", "status", "state"), "text"),
    "time": "time",
    "set": "list",
    "bool": "bool",
    "seconds": "float",
    "number": "int",
}


class Points(NamedTuple):
    """Points as columns, one series after the other; `series` has each run, metric and number of points.

    `head` names the column of runs: ``run_id``, or ``run`` if they are called by their names.
    """

    head: str
    series: list[tuple[str, str, int]]
    steps: Any
    values: Any
    times: Any


# Reading runs


def read_table(
    connection: Connection,
    runs: Sequence[int],
    dead: Sequence[int],
    columns: Iterable[str] | None,
    statistic: str | Iterable[str],
    check: Callable[[Field, str], None],
) -> Table:
    """Read runs, by row id, into columns; see :meth:`exptrack.RunQuery.to_dicts`. Call inside a snapshot.

    `check` refuses a field that looks misspelled.
    """
    statistics = _check_statistics(statistic)
    if columns is not None:
        if statistics != ("last",):
            raise InvalidValueError(
                "statistic goes only with the default columns; write it into the name, like metrics.acc.max"
            )
        chosen = check_columns(columns, check)
        found = read_fields(connection, runs, chosen.values(), dead)
        return {name: _make_column(field, found[field]) for name, field in chosen.items()}
    names = [*FACT_COLUMNS]
    if connection.value(HAVE_TRIALS, {"runs": json.dumps(list(runs))}):
        names += TRIAL_COLUMNS
    facts = {name: parse_field(name) for name in names}
    found = read_facts(connection, runs, facts.values(), dead)
    table = {name: _make_column(field, found[field]) for name, field in facts.items()}
    found = read_configs(connection, runs) | read_metrics(connection, runs, statistics=statistics)
    found |= read_attrs(connection, runs)
    return table | {str(field): _make_column(field, values) for field, values in found.items()}


def _check_statistics(statistic: object) -> tuple[str, ...]:
    several = read_names(statistic, "statistic", like="['min', 'max']")
    found = tuple(dict.fromkeys(check_statistic(one) for one in several))
    if not found:
        raise InvalidValueError("no statistic is given; name at least one, like 'max'")
    return found


def read_records(
    connection: Connection, runs: Sequence[int], dead: Sequence[int], columns: dict[str, Field]
) -> Records:
    """Read columns of runs, by row id, as dicts. Call inside a snapshot."""
    found = read_fields(connection, runs, columns.values(), dead)
    return to_dicts({name: _make_column(field, found[field]) for name, field in columns.items()})


def check_columns(columns: object, check: Callable[[Field, str], None]) -> dict[str, Field]:
    """Return the fields that columns name; `check` refuses one that looks misspelled."""
    chosen = {}
    for one in read_elements(columns, "columns", like="['run_id', 'config.lr']"):
        name = check_text(one, "column")
        field = chosen[name] = parse_field(name)
        check(field, name)
    if not chosen:
        raise InvalidValueError("no column is chosen; name at least one, like 'config.lr'")
    return chosen


def _make_column(field: Field, values: Values) -> Column:
    if field.kind in ("config", "attribute"):
        return infer_column(values)
    if field.kind == "metric":
        return Column("int" if field.statistic in WHOLE_STATISTICS else "float", values)
    kind = FACTS[field.name]
    if kind in ("status", "state"):
        values = [None if value is None else str(value) for value in values]
    elif kind == "set":
        values = [list(words) for words in values]
    return Column(KINDS[kind], values)


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
