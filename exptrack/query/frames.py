"""Make tables of runs, a row for each run.

Invariants: a table shows one moment. A fixed number of statements reads it, however many runs there are. Values
keep their types: whole numbers stay whole beside missing cells, and a column that holds several types holds its
values unchanged. Only in pandas and polars, ints beside floats become the floats that equal them. A logged NaN
is NaN; what a run lacks is missing. Each column is named as a filter names its field.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from exptrack.database.connection import Connection
from exptrack.errors import InvalidValueError
from exptrack.frames import (
    Column,
    Records,
    Table,
    infer_column,
    to_dicts,
)
from exptrack.plain import read_elements, read_names
from exptrack.query.conditions import FACTS, Field
from exptrack.query.field_names import read_field
from exptrack.query.fields import (
    OF_RUNS,
    Values,
    check_statistic,
    has_one_value,
    read_attrs,
    read_configs,
    read_facts,
    read_fields,
    read_metrics,
    read_newest_facts,
)
from exptrack.validation import check_text

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


# Reading runs


def read_table(
    connection: Connection,
    find_runs: Callable[[], Sequence[int]],
    dead: Sequence[int],
    columns: Iterable[str] | None,
    statistic: str | Iterable[str],
    check: Callable[[Field, str], None],
    *,
    newest: int | None = None,
) -> Table:
    """Read runs into columns; see :meth:`exptrack.RunQuery.to_dicts`. Call inside a snapshot.

    `find_runs` returns their row ids. If they are so many of the newest, or all for -1, `newest` says so.
    `check` refuses a field that looks misspelled.
    """
    statistics = _check_statistics(statistic)
    if columns is not None:
        if statistics != ("last",):
            raise InvalidValueError(
                "statistic goes only with the default columns; write it into the name, like metrics.acc.max"
            )
        chosen = check_columns(columns, check)
        if newest is not None and all(map(has_one_value, chosen.values())):
            found = read_newest_facts(connection, newest, chosen.values(), dead)
        else:
            found = read_fields(connection, find_runs(), chosen.values(), dead)
        return {name: _make_column(field, found[field]) for name, field in chosen.items()}
    runs, names = find_runs(), [*FACT_COLUMNS]
    if connection.value(HAVE_TRIALS, {"runs": json.dumps(list(runs))}):
        names += TRIAL_COLUMNS
    facts = {name: read_field(name) for name in names}
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
        field = chosen[name] = read_field(name)
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
