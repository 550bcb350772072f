"""Make tables of runs, a row for each run, and tables of points, a row for each point.

Invariants: a table shows one moment. A fixed number of statements reads it, however many runs there are. Values
keep their types: whole numbers stay whole beside missing cells, and a column that holds several types holds its
values unchanged. Only in pandas and polars, ints beside floats become the floats that equal them. A logged NaN
is NaN; what a run lacks is missing. Each column is named as a filter names its field.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.errors import (
    ArchiveCorruptError,
    InvalidValueError,
    MetricNotFoundError,
)
from exptrack.extras import require
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

RUN_IDS = f"SELECT id, run_id FROM run WHERE id {OF_RUNS}"
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
KIND_OF_TYPE = {str: "text", int: "int", float: "float", bool: "bool", list: "list"}
POLARS_TYPES = {"text": "String", "int": "Int64", "float": "Float64", "number": "Float64", "bool": "Boolean"}


class Column(NamedTuple):
    """Cells of one kind, or None: text, int, float, bool, time, list, or object for everything else.

    A number is an int or a float that a column of floats holds exactly.
    """

    kind: str
    cells: list[Any]


Table: TypeAlias = dict[str, Column]
Records: TypeAlias = list[dict[str, Any]]


class Points(NamedTuple):
    """Points as columns, one series after the other; `series` has each run id, metric and number of points."""

    series: list[tuple[str, str, int]]
    steps: Any
    values: Any
    times: Any


class Frame:
    """A table in memory, with named, typed columns, that becomes dicts, pandas or polars.

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
        return list(self._table[check_text(column, "column")].cells)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.to_dicts())

    def __repr__(self) -> str:
        return f"<Frame of {len(self):,} rows: {', '.join(self._table)}>"

    def to_dicts(self) -> Records:
        """Return a dict for each row, all with the same keys."""
        return to_dicts(self._table)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a pandas frame with nullable columns, like :meth:`exptrack.RunQuery.to_pandas`.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return table_to_pandas(self._table)

    def to_polars(self) -> polars.DataFrame:
        """Return a polars frame, like :meth:`exptrack.RunQuery.to_polars`.

        Raises:
            MissingPackageError: polars is not installed.
        """
        return table_to_polars(self._table)


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


def infer_column(cells: list[Any]) -> Column:
    """Make a column of the type that all cells have.

    Ints and floats make a column of numbers, if a float equals each int. Other mixtures, and lists of lists,
    make a column of objects.
    """
    types = {type(cell) for cell in cells} - {type(None)}
    if types == {int, float} and all(cell is None or float(cell) == cell for cell in cells):
        return Column("number", cells)
    return Column(KIND_OF_TYPE.get(types.pop(), "object") if len(types) == 1 else "object", cells)


# Reading points


def read_point_table(connection: Connection, runs: Sequence[int], names: str | Iterable[str] | None) -> Points:
    """Read points of runs; see :meth:`exptrack.RunQuery.metrics_to_pandas`. Call inside a snapshot."""
    return _read_points(connection, runs, None if names is None else check_names(names))


@decoding_rows
def _read_points(connection: Connection, runs: Sequence[int], checked: Sequence[str] | None) -> Points:
    wanted, sql = {"runs": json.dumps(list(runs))}, HEADS
    if checked is not None:
        metrics = {row["name"]: row["id"] for row in connection.all(METRIC_IDS, (json.dumps(checked),))}
        for name in checked:
            if name not in metrics:
                raise MetricNotFoundError(name, str(connection.path))
        wanted["metrics"], sql = json.dumps(list(metrics.values())), CHOSEN_HEADS
    run_ids = dict(connection.fold(RUN_IDS, {"runs": wanted["runs"]}, list))
    places = {run: place for place, run in enumerate(runs)}
    heads = sorted(connection.fold(sql, wanted, list), key=lambda head: (places[head[0]], head[1]))
    series = json.dumps([head[2] for head in heads])
    steps, values, times = read_in_bulk(connection, POINTS, (series,))
    if len(steps) != sum(head[3] for head in heads):
        raise ArchiveCorruptError(
            f"{connection.path}: the number of points recorded for a series is wrong; run exptrack verify",
            path=str(connection.path),
        )
    return Points([(run_ids[run], name, count) for run, name, _series, count in heads], steps, values, times)


# Making frames


def to_dicts(table: Table) -> Records:
    """Make a dict for each row."""
    return [dict(zip(table, row, strict=True)) for row in zip(*(c.cells for c in table.values()), strict=True)]


def table_to_pandas(table: Table) -> pandas.DataFrame:
    """Make a pandas frame of nullable columns."""
    pd = _import_pandas()
    columns = {name: _make_pandas_column(pd, column) for name, column in table.items()}
    frame: pandas.DataFrame = pd.DataFrame(columns, copy=False)
    return frame


def _make_pandas_column(pd: Any, column: Column) -> Any:
    kind, cells = column
    if kind == "text":
        return pd.array(cells, dtype="string")
    if kind == "time":
        return pd.array(cells, dtype="datetime64[us, UTC]")
    if kind in ("list", "object"):
        return pd.Series(cells, dtype=object)
    import numpy

    # A mask of its own keeps missing cells apart from NaN.
    missing = numpy.fromiter((cell is None for cell in cells), bool, len(cells))
    of, empty, dtype = {
        "int": (pd.arrays.IntegerArray, 0, "int64"),
        **dict.fromkeys(("float", "number"), (pd.arrays.FloatingArray, 0.0, "float64")),
        "bool": (pd.arrays.BooleanArray, False, "bool"),
    }[kind]
    return of(numpy.array([empty if cell is None else cell for cell in cells], dtype), missing)


def table_to_polars(table: Table) -> polars.DataFrame:
    """Make a polars frame."""
    pl = _import_polars()
    frame: polars.DataFrame = pl.DataFrame([_make_polars_column(pl, *pair) for pair in table.items()])
    return frame


def _make_polars_column(pl: Any, name: str, column: Column) -> Any:
    kind, cells = column
    if kind in POLARS_TYPES:
        dtype = getattr(pl, POLARS_TYPES[kind])
    elif kind == "time":
        dtype = pl.Datetime("us", "UTC")
    elif kind == "list" and (inner := _find_inner_type(cells)) is not None:
        dtype = pl.List(getattr(pl, inner))
    else:
        dtype = pl.Null if all(cell is None for cell in cells) else pl.Object
    return pl.Series(name, cells, dtype=dtype)


def _find_inner_type(lists: Sequence[list[Any] | None]) -> str | None:
    """Return the polars type of the items of lists, or None if they have several types or are lists."""
    types = {type(item) for one in lists if one is not None for item in one} - {type(None)}
    if not types:
        return "String"
    return POLARS_TYPES.get(KIND_OF_TYPE.get(types.pop(), "")) if len(types) == 1 else None


def points_to_pandas(points: Points) -> pandas.DataFrame:
    """Make a pandas frame of points."""
    pd = _import_pandas()
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
    """Make a polars frame of points."""
    pl = _import_polars()
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


def _import_pandas() -> Any:
    return require("pandas", "pandas frames", "pandas")


def _import_polars() -> Any:
    return require("polars", "polars frames", "polars")
