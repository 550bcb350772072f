"""Runs and their metrics as tables: a row a run, or a row a point.

Invariants: everything in a table is of one moment, read by a fixed number of statements however many runs there
are. Values keep their types: whole numbers stay whole beside cells that are missing, and a column that holds
several types holds them as they are. NaN that was logged is NaN; what a run lacks is missing. Every column is
named as its field is written in a filter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from exptrack.config.store import StoredValue, read_leaves
from exptrack.config.tree import leaf_value
from exptrack.database.connection import Connection
from exptrack.errors import (
    ArchiveCorruptError,
    InvalidTypeError,
    InvalidValueError,
    MetricNotFoundError,
)
from exptrack.extras import require
from exptrack.metrics.series import check_names, read_in_bulk
from exptrack.query.compiler import ATTRIBUTE_VALUES, METRIC_ID, METRIC_VALUES, SETS, check_names_exist
from exptrack.query.conditions import ATTRIBUTES, STATISTICS, Comparison, Field
from exptrack.query.parser import parse_field
from exptrack.records import RunStatus
from exptrack.times import moment
from exptrack.validation import check_text, short_repr

if TYPE_CHECKING:
    import pandas
    import polars

OF_RUNS = "IN (SELECT value FROM json_each(:runs))"
METRIC_NUMBERS = "SELECT name, id FROM metric_name WHERE name IN (SELECT value FROM json_each(?))"
METRIC_NAMES = "SELECT id, name FROM metric_name WHERE id IN (SELECT value FROM json_each(?))"
OF_METRICS = "AND s.metric IN (SELECT value FROM json_each(:metrics))"
RUN_IDS = f"SELECT id, run_id FROM run WHERE id {OF_RUNS}"
HEADS = f"""
SELECT s.run, n.name, s.id, s.count
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run {OF_RUNS}
"""
CHOSEN_HEADS = f"{HEADS} {OF_METRICS}"
# Series in the order of the list, the points of each in the order of its key.
POINTS = """
SELECT p.step, p.time_ms, p.value
FROM json_each(?) AS e CROSS JOIN metric_point AS p ON p.series = e.value
"""

# As they are called in the views; each is a field of filters, too.
ATTRIBUTE_COLUMNS = (
    "run_id status name group parent started_at ended_at duration_s reason host vcs_commit vcs_dirty"
    " config_hash family fingerprint tags"
).split()
TRIAL_COLUMNS = ("study", "trial.number", "trial.state")  # where a run is a trial
HAVE_TRIALS = f"SELECT 1 FROM trial WHERE run {OF_RUNS} LIMIT 1"
WHOLE_STATISTICS = frozenset("count nan_count last_step first_step min_step max_step".split())
KINDS = {
    **dict.fromkeys(("text", "status", "state"), "text"),
    "time": "time",
    "set": "list",
    "bool": "bool",
    "seconds": "float",
    "number": "int",
}
KIND_OF_TYPE = {str: "text", int: "int", float: "float", bool: "bool", list: "list"}
POLARS_TYPES = {"text": "String", "int": "Int64", "float": "Float64", "bool": "Boolean"}


class Column(NamedTuple):
    """Cells that are of one kind or None: text, int, float, bool, time, list, or object for all else."""

    kind: str
    cells: list[Any]


Table: TypeAlias = dict[str, Column]
Records: TypeAlias = list[dict[str, Any]]


class Points(NamedTuple):
    """Points in columns, series by series: each series is (run id, name, how many points)."""

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
) -> Table:
    """Runs by number as columns; see :meth:`exptrack.RunQuery.to_dicts`. Belongs into a snapshot."""
    statistics = _check_statistics(statistic)
    if columns is None:
        names = [*ATTRIBUTE_COLUMNS]
        if connection.value(HAVE_TRIALS, {"runs": json.dumps(list(runs))}):
            names += TRIAL_COLUMNS
        attributes = {name: parse_field(name) for name in names}
        table = _attributes(connection, runs, dead, attributes)
        leaves = read_leaves(connection, runs)
        fields = {str(field): field for field in (Field("config", key) for key in leaves)}
        table |= _configs(runs, fields, leaves)
        return table | _metrics(connection, runs, None, statistics)
    if statistics != ("last",):
        raise InvalidValueError("with columns chosen, a statistic is part of a name, like metrics.acc.max")
    chosen = _check_columns(connection, columns)
    of = {
        kind: {name: field for name, field in chosen.items() if field.kind == kind}
        for kind in ("attribute", "config", "metric")
    }
    table = _attributes(connection, runs, dead, of["attribute"]) if of["attribute"] else {}
    if of["config"]:
        keys = dict.fromkeys(field.name for field in of["config"].values())
        table |= _configs(runs, of["config"], read_leaves(connection, runs, keys))
    if of["metric"]:
        table |= _metrics(connection, runs, of["metric"], ())
    return {name: table[name] for name in chosen}


def _check_statistics(statistic: object) -> tuple[str, ...]:
    several = [statistic] if isinstance(statistic, str) else statistic
    if not isinstance(several, Iterable):
        raise InvalidTypeError(f"a statistic is text, like 'max', or several are, not {short_repr(statistic)}")
    found = tuple(dict.fromkeys(check_statistic(one) for one in several))
    if not found:
        raise InvalidValueError("no statistic is given")
    return found


def check_statistic(statistic: object) -> str:
    """Return `statistic` if it says which value of a metric counts."""
    if not isinstance(statistic, str) or statistic not in STATISTICS:
        raise InvalidValueError(f"a statistic is one of {', '.join(STATISTICS)}, not {short_repr(statistic)}")
    return statistic


def _check_columns(connection: Connection, columns: object) -> dict[str, Field]:
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        raise InvalidTypeError(
            f"columns are a list of fields, like ['run_id', 'config.lr'], not {short_repr(columns)}"
        )
    chosen = {}
    for name in columns:
        field = chosen[check_text(name, "column")] = parse_field(name)
        check_names_exist(connection, Comparison(field, "is comparable"), name)
    if not chosen:
        raise InvalidValueError("no column is chosen")
    return chosen


def _attributes(
    connection: Connection, runs: Sequence[int], dead: Sequence[int], fields: dict[str, Field]
) -> Table:
    wanted = {"runs": json.dumps(list(runs))}
    plain = list(dict.fromkeys(field.name for field in fields.values() if field.name not in SETS))
    values = "".join(f", {ATTRIBUTE_VALUES[name]}" for name in plain)
    rows = connection.fold(f"SELECT r.id{values} FROM run AS r WHERE r.id {OF_RUNS}", wanted, list)
    by_run = {row[0]: row for row in rows}
    gone, table = frozenset(dead), {}
    for shown_name, field in fields.items():
        cells: list[Any]
        if field.name in SETS:
            words = _words(connection, wanted, field.name)
            cells = [sorted(words.get(run, ())) for run in runs]
        else:
            place = plain.index(field.name) + 1
            cells = [by_run[run][place] for run in runs]
        kind = ATTRIBUTES[field.name]
        if kind == "time":
            cells = [None if cell is None else moment(cell) for cell in cells]
        elif kind == "bool":
            cells = [None if cell is None else bool(cell) for cell in cells]
        elif kind == "status":
            ended = str(RunStatus.INTERRUPTED)
            cells = [ended if run in gone else cell for run, cell in zip(runs, cells, strict=True)]
        table[shown_name] = Column(KINDS[kind], cells)
    return table


def _words(connection: Connection, wanted: dict[str, str], name: str) -> dict[int, set[str]]:
    table, run, word = SETS[name]
    number = run.rpartition(" ")[2]
    found: dict[int, set[str]] = {}
    for row in connection.iterate(f"SELECT {number}, {word} FROM {table} WHERE {run} {OF_RUNS}", wanted):
        found.setdefault(row[0], set()).add(row[1])
    return found


def _configs(runs: Sequence[int], fields: dict[str, Field], leaves: dict[str, dict[int, StoredValue]]) -> Table:
    table = {}
    for shown_name, field in fields.items():
        stored = map(leaves.get(field.name, {}).get, runs)
        table[shown_name] = typed([None if leaf is None else leaf_value(*leaf) for leaf in stored])
    return table


def typed(cells: list[Any]) -> Column:
    """Cells as a column of their type; those of several types, and lists of lists, stay objects."""
    types = {type(cell) for cell in cells} - {type(None)}
    return Column(KIND_OF_TYPE.get(types.pop(), "object") if len(types) == 1 else "object", cells)


def _metrics(
    connection: Connection,
    runs: Sequence[int],
    fields: dict[str, Field] | None,
    statistics: Sequence[str],
) -> Table:
    """Chosen metrics, or with None all of them, each by these statistics."""
    wanted, chosen = {"runs": json.dumps(list(runs))}, ""
    names: dict[int, str] = {}
    if fields is not None:
        statistics = tuple(dict.fromkeys(field.statistic for field in fields.values()))
        asked = json.dumps(list({field.name for field in fields.values()}))
        names = {row["id"]: row["name"] for row in connection.all(METRIC_NUMBERS, (asked,))}
        wanted["metrics"] = json.dumps(list(names))
        chosen = OF_METRICS
    values = ", ".join(METRIC_VALUES[one] for one in statistics)
    sql = f"SELECT s.metric, s.run, {values} FROM metric_series AS s WHERE s.run {OF_RUNS} {chosen}"
    by_metric: dict[int, dict[int, tuple[Any, ...]]] = {}
    for metric, run, *found in connection.fold(sql, wanted, list):
        by_metric.setdefault(metric, {})[run] = tuple(found)
    if fields is None:
        numbers = json.dumps(list(by_metric))
        names = {row["id"]: row["name"] for row in connection.all(METRIC_NAMES, (numbers,))}
        ordered = sorted(names.values())
        every = (Field("metric", name, one) for name in ordered for one in statistics)
        fields = {str(field): field for field in every}
    numbered = {name: by_metric.get(number, {}) for number, name in names.items()}
    table = {}
    for shown_name, field in fields.items():
        place, held = statistics.index(field.statistic), numbered.get(field.name, {})
        # Of these two NULL is NaN; of the others, that there is none.
        nothing = float("nan") if field.statistic in ("last", "first") else None
        cells: list[Any] = [None] * len(runs)
        for at, run in enumerate(runs):
            series = held.get(run)
            if series is not None:
                value = series[place]
                cells[at] = nothing if value is None else value
        table[shown_name] = Column("int" if field.statistic in WHOLE_STATISTICS else "float", cells)
    return table


def to_dicts(table: Table) -> Records:
    """A dict for each row."""
    return [dict(zip(table, row, strict=True)) for row in zip(*(c.cells for c in table.values()), strict=True)]


class Frame:
    """A table that has been read: rows of named, typed columns, whatever package they are wanted in.

    >>> frame = Frame({"number": Column("int", [0, 1]), "value": Column("float", [0.5, None])})
    >>> frame.columns, len(frame), frame["value"]
    (['number', 'value'], 2, [0.5, None])
    >>> frame.to_dicts()
    [{'number': 0, 'value': 0.5}, {'number': 1, 'value': None}]
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self._table)

    def __len__(self) -> int:
        return len(next(iter(self._table.values())).cells) if self._table else 0

    def __getitem__(self, column: str) -> list[Any]:
        return list(self._table[column].cells)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.to_dicts())

    def __repr__(self) -> str:
        return f"<Frame of {len(self):,} rows: {', '.join(self._table)}>"

    def to_dicts(self) -> Records:
        """A dict for each row, all with the same keys."""
        return to_dicts(self._table)

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas frame of nullable columns, as :meth:`exptrack.RunQuery.to_pandas` makes them.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return table_to_pandas(self._table)

    def to_polars(self) -> polars.DataFrame:
        """A polars frame, as :meth:`exptrack.RunQuery.to_polars` makes them.

        Raises:
            MissingPackageError: polars is not installed.
        """
        return table_to_polars(self._table)


# Reading points


def read_points(connection: Connection, runs: Sequence[int], names: str | Iterable[str] | None) -> Points:
    """Points of runs by number; see :meth:`exptrack.RunQuery.metrics_to_pandas`. Belongs into a snapshot."""
    wanted, sql = {"runs": json.dumps(list(runs))}, HEADS
    if names is not None:
        checked = check_names(names)
        for name in checked:
            if connection.value(METRIC_ID, (name,)) is None:
                raise MetricNotFoundError(name, str(connection.path))
        rows = connection.all(METRIC_NUMBERS, (json.dumps(checked),))
        wanted["metrics"], sql = json.dumps([row["id"] for row in rows]), CHOSEN_HEADS
    run_ids = dict(connection.fold(RUN_IDS, {"runs": wanted["runs"]}, list))
    places = {run: place for place, run in enumerate(runs)}
    heads = sorted(connection.fold(sql, wanted, list), key=lambda head: (places[head[0]], head[1]))
    numbers = json.dumps([series for _run, _name, series, _count in heads])
    steps, values, times = read_in_bulk(connection, POINTS, (numbers,))
    if len(steps) != sum(head[3] for head in heads):
        raise ArchiveCorruptError(
            f"{connection.path}: series say other numbers of points than they have; see exptrack verify",
            path=str(connection.path),
        )
    return Points([(run_ids[run], name, count) for run, name, _series, count in heads], steps, values, times)


# Frames


def table_to_pandas(table: Table) -> pandas.DataFrame:
    """A table as a pandas frame of nullable columns."""
    pd = _pandas()
    columns = {name: _pandas_column(pd, column) for name, column in table.items()}
    frame: pandas.DataFrame = pd.DataFrame(columns, copy=False)
    return frame


def _pandas_column(pd: Any, column: Column) -> Any:
    kind, cells = column
    if kind == "text":
        return pd.array(cells, dtype="string")
    if kind == "time":
        return pd.array(cells, dtype="datetime64[us, UTC]")
    if kind in ("list", "object"):
        return pd.Series(cells, dtype=object)
    import numpy

    # Given apart, what is missing is told from NaN.
    missing = numpy.fromiter((cell is None for cell in cells), bool, len(cells))
    of, empty, dtype = {
        "int": (pd.arrays.IntegerArray, 0, "int64"),
        "float": (pd.arrays.FloatingArray, 0.0, "float64"),
        "bool": (pd.arrays.BooleanArray, False, "bool"),
    }[kind]
    return of(numpy.array([empty if cell is None else cell for cell in cells], dtype), missing)


def table_to_polars(table: Table) -> polars.DataFrame:
    """A table as a polars frame."""
    pl = _polars()
    frame: polars.DataFrame = pl.DataFrame([_polars_column(pl, *pair) for pair in table.items()])
    return frame


def _polars_column(pl: Any, name: str, column: Column) -> Any:
    kind, cells = column
    if kind in POLARS_TYPES:
        dtype = getattr(pl, POLARS_TYPES[kind])
    elif kind == "time":
        dtype = pl.Datetime("us", "UTC")
    elif kind == "list" and (inner := _type_inside(cells)) is not None:
        dtype = pl.List(getattr(pl, inner))
    else:
        dtype = pl.Null if all(cell is None for cell in cells) else pl.Object
    return pl.Series(name, cells, dtype=dtype)


def _type_inside(lists: Sequence[list[Any] | None]) -> str | None:
    """The type in polars of what these lists hold; None where they hold several, or lists again."""
    types = {type(item) for one in lists if one is not None for item in one} - {type(None)}
    if not types:
        return "String"
    return POLARS_TYPES.get(KIND_OF_TYPE.get(types.pop(), "")) if len(types) == 1 else None


def points_to_pandas(points: Points) -> pandas.DataFrame:
    """Points as a pandas frame."""
    pd = _pandas()
    import numpy

    places = numpy.repeat(numpy.arange(len(points.series)), [count for _run, _name, count in points.series])
    run_ids, names = (
        pd.array([series[part] for series in points.series], dtype="string").take(places) for part in (0, 1)
    )
    columns = {
        "run_id": run_ids,
        "name": names,
        "step": points.steps,
        "value": points.values,
        "time_s": points.times,
    }
    frame: pandas.DataFrame = pd.DataFrame(columns, copy=False)
    return frame


def points_to_polars(points: Points) -> polars.DataFrame:
    """Points as a polars frame."""
    pl = _polars()
    types = {"run_id": pl.String, "name": pl.String, "count": pl.Int64}
    heads = pl.DataFrame(points.series, schema=types, orient="row")
    places = heads.select(pl.int_range(pl.len()).repeat_by("count").explode()).to_series()
    columns = {"step": points.steps, "value": points.values, "time_s": points.times}
    frame: polars.DataFrame = pl.DataFrame(
        [
            heads["run_id"].gather(places),
            heads["name"].gather(places),
            *(
                pl.Series(name, column.tolist(), dtype=pl.Int64 if name == "step" else pl.Float64)
                for name, column in columns.items()
            ),
        ]
    )
    return frame


def _pandas() -> Any:
    return require("pandas", "pandas frames", "pandas")


def _polars() -> Any:
    return require("polars", "polars frames", "polars")
