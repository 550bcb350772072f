"""Read the values that runs have in fields: facts, which every run has, attributes, config keys and metrics.

Invariants: reading takes a fixed number of statements for each kind of field, however many runs there are.
Values have the types with which they were stored. If a run lacks a field, its value is None, or () for a set of
words. A metric whose value is NaN has NaN.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence

from exptrack.config.store import read_leaves
from exptrack.config.tree import leaf_value
from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.metrics.store import IS_SHOWN
from exptrack.query.conditions import FACTS, STATISTICS, Field
from exptrack.query.field_sql import FACT_VALUES, METRIC_VALUES, SETS
from exptrack.records import RunStatus, TrialState
from exptrack.runs.attributes import decode_attribute
from exptrack.runs.lookup import STATUSES
from exptrack.times import moment
from exptrack.validation import check_choice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

OF_RUNS = "IN (SELECT value FROM json_each(:runs))"
ROW_IDS = "SELECT run_id, id FROM run WHERE run_id IN (SELECT value FROM json_each(?))"
RUN_VALUES = f"SELECT r.id{{values}} FROM run AS r WHERE r.id {OF_RUNS}"
NEWEST_VALUES = """
SELECT r.id{values} FROM run AS r WHERE r.deleted_at IS NULL ORDER BY r.started_at DESC, r.id DESC LIMIT ?
"""
SET_WORDS = "SELECT x.run, {word} FROM {source} WHERE {test}"
SERIES_VALUES = f"SELECT s.metric, s.run, {{values}} FROM metric_series AS s WHERE s.run {OF_RUNS}"
CHOSEN_SERIES_VALUES = f"{SERIES_VALUES} AND s.metric IN (SELECT value FROM json_each(:metrics))"
ATTRS_OF_RUNS = f"SELECT v.key, v.run, v.type, v.num, v.text FROM run_attribute AS v WHERE v.run {OF_RUNS}"
CHOSEN_ATTRS_OF_RUNS = f"{ATTRS_OF_RUNS} AND v.key IN (SELECT value FROM json_each(:keys))"
METRIC_IDS = "SELECT id, name FROM metric_name WHERE name IN (SELECT value FROM json_each(?))"
METRIC_NAMES = f"""
SELECT n.id, n.name FROM metric_name AS n WHERE n.id IN (SELECT value FROM json_each(?)) AND {IS_SHOWN}
"""

# What a fact becomes, by its kind, if it is not None.
_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "time": moment,
    "bool": bool,
    "status": STATUSES.__getitem__,  # a call of the class takes five times as long
    "state": TrialState,
}
# Every series has a first and a last point, so NULL means NaN there. In other statistics it means no value.
ALWAYS_LOGGED = ("last", "first")

# A value for each run, in the order of the runs.
Values: TypeAlias = "list[Any]"


def read_fields(
    connection: Connection, runs: Sequence[int], fields: Iterable[Field], dead: Sequence[int]
) -> dict[Field, Values]:
    """Read fields of runs; `dead` runs count as interrupted.

    A value is text, int, float, bool or list. Times are moments, durations seconds; tags, notes and artifacts
    are sorted tuples of words.
    """
    of: dict[str, list[Field]] = {"fact": [], "config": [], "metric": [], "attribute": []}
    for field in fields:
        of[field.kind].append(field)
    found: dict[Field, Values] = {}
    if of["fact"]:
        found |= read_facts(connection, runs, of["fact"], dead)
    if of["config"]:
        found |= read_configs(connection, runs, of["config"])
    if of["metric"]:
        found |= read_metrics(connection, runs, of["metric"])
    if of["attribute"]:
        found |= read_attrs(connection, runs, of["attribute"])
    return found


@decoding_rows
def read_facts(
    connection: Connection, runs: Sequence[int], fields: Iterable[Field], dead: Sequence[int]
) -> dict[Field, Values]:
    """Read facts of runs: those with one value by one statement, each set of words by another."""
    chosen = list(dict.fromkeys(fields))
    plain = [field for field in chosen if has_one_value(field)]
    asked = {"runs": json.dumps(list(runs))}
    by_run = {row[0]: row for row in connection.fold(_select(RUN_VALUES, plain), asked, list)}
    nothing = (None,) * (len(plain) + 1)
    known = _convert_facts([by_run.get(run, nothing) for run in runs], plain, dead)
    found: dict[Field, Values] = {}
    for field in chosen:
        if field in known:
            found[field] = known[field]
        else:
            words = _read_words(connection, runs, field.name)
            found[field] = [words.get(run, ()) for run in runs]
    return found


def has_one_value(field: Field) -> bool:
    """Whether the field is a fact of which each run has one value at most."""
    return field.kind == "fact" and field.name not in SETS


@decoding_rows
def read_newest_facts(
    connection: Connection, limit: int, fields: Iterable[Field], dead: Sequence[int]
) -> dict[Field, Values]:
    """Read facts that have one value, of all runs or so many, the newest first, by one statement."""
    chosen = list(dict.fromkeys(fields))
    return _convert_facts(connection.fold(_select(NEWEST_VALUES, chosen), (limit,), list), chosen, dead)


def _select(sql: str, fields: Iterable[Field]) -> str:
    return sql.format(values="".join(f", {FACT_VALUES[field.name]}" for field in fields))


def _convert_facts(
    rows: Sequence[tuple[Any, ...]], fields: Sequence[Field], dead: Sequence[int]
) -> dict[Field, Values]:
    """Turn rows of a row id and a value of each field into columns; a run that is gone has no row id."""
    runs, *columns = map(list, zip(*rows, strict=True)) if rows else [[] for _ in range(len(fields) + 1)]
    found: dict[Field, Values] = {}
    for field, cells in zip(fields, columns, strict=True):
        convert = _CONVERTERS.get(FACTS[field.name])
        if convert is not None:
            cells = [None if cell is None else convert(cell) for cell in cells]
        if field.name == "status" and dead:
            gone = frozenset(dead)
            cells = [
                RunStatus.INTERRUPTED if run in gone else cell for run, cell in zip(runs, cells, strict=True)
            ]
        found[field] = cells
    return found


def _read_words(connection: Connection, runs: Sequence[int], name: str) -> dict[int, tuple[str, ...]]:
    words = SETS[name]
    sql = SET_WORDS.format(word=words.read, source=words.source, test=words.where(f"x.run {OF_RUNS}"))
    found: dict[int, set[str]] = {}
    for run, word in connection.all(sql, {"runs": json.dumps(list(runs))}):
        found.setdefault(run, set()).add(word)
    return {run: tuple(sorted(several)) for run, several in found.items()}


@decoding_rows
def read_configs(
    connection: Connection, runs: Sequence[int], fields: Iterable[Field] | None = None
) -> dict[Field, Values]:
    """Read config keys of runs: these, or each that one of the runs has, by name."""
    if fields is None:
        leaves = read_leaves(connection, runs)
        fields = [Field("config", key) for key in leaves]
    else:
        fields = list(fields)
        leaves = read_leaves(connection, runs, dict.fromkeys(field.name for field in fields))
    found: dict[Field, Values] = {}
    for field in fields:
        stored = map(leaves.get(field.name, {}).get, runs)
        found[field] = [None if leaf is None else leaf_value(*leaf) for leaf in stored]
    return found


@decoding_rows
def read_metrics(
    connection: Connection,
    runs: Sequence[int],
    fields: Iterable[Field] | None = None,
    statistics: Sequence[str] = (),
) -> dict[Field, Values]:
    """Read metrics of runs: these, or by `statistics` each that one of the runs has logged, by name."""
    asked, sql = {"runs": json.dumps(list(runs))}, SERIES_VALUES
    names: dict[int, str] = {}
    if fields is not None:
        fields = list(fields)
        statistics = tuple(dict.fromkeys(field.statistic for field in fields))
        wanted = json.dumps(list({field.name for field in fields}))
        names = dict(connection.fold(METRIC_IDS, (wanted,), list))
        asked["metrics"], sql = json.dumps(list(names)), CHOSEN_SERIES_VALUES
    values = ", ".join(METRIC_VALUES[one] for one in statistics)
    by_metric: dict[int, dict[int, tuple[Any, ...]]] = {}
    for metric, run, *found in connection.fold(sql.format(values=values), asked, list):
        by_metric.setdefault(metric, {})[run] = tuple(found)
    if fields is None:
        names = dict(connection.fold(METRIC_NAMES, (json.dumps(list(by_metric)),), list))
        ordered = sorted(names.values())
        fields = [Field("metric", name, one) for name in ordered for one in statistics]
    by_name = {name: by_metric.get(metric, {}) for metric, name in names.items()}
    columns: dict[Field, Values] = {}
    for field in fields:
        place, held = statistics.index(field.statistic), by_name.get(field.name, {})
        null = math.nan if field.statistic in ALWAYS_LOGGED else None
        cells: Values = [None] * len(runs)
        for at, run in enumerate(runs):
            series = held.get(run)
            if series is not None:
                value = series[place]
                cells[at] = null if value is None else value
        columns[field] = cells
    return columns


@decoding_rows
def read_attrs(
    connection: Connection, runs: Sequence[int], fields: Iterable[Field] | None = None
) -> dict[Field, Values]:
    """Read attributes of runs: these, or each that one of the runs has, by key."""
    asked, sql = {"runs": json.dumps(list(runs))}, ATTRS_OF_RUNS
    if fields is not None:
        fields = list(fields)
        asked["keys"], sql = json.dumps(list({field.name for field in fields})), CHOSEN_ATTRS_OF_RUNS
    by_key: dict[str, dict[int, Any]] = {}
    for key, run, kind, *value in connection.fold(sql, asked, list):
        if kind != "removed":
            by_key.setdefault(key, {})[run] = decode_attribute(kind, *value)
    if fields is None:
        fields = [Field("attribute", key) for key in sorted(by_key)]
    return {field: list(map(by_key.get(field.name, {}).get, runs)) for field in fields}


def check_statistic(statistic: object) -> str:
    """Return `statistic` if it names a value of a metric."""
    return check_choice(statistic, "a statistic", STATISTICS)


def read_row_ids(connection: Connection, run_ids: Sequence[str]) -> list[int]:
    """Return the row id of each run, or 0, which no run has, if the run was deleted meanwhile."""
    found = {row["run_id"]: row["id"] for row in connection.all(ROW_IDS, (json.dumps(list(run_ids)),))}
    return [found.get(run_id, 0) for run_id in run_ids]
