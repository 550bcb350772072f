"""Say which fields runs have, and how the values of one are spread.

Invariants: NaN, the infinities and missing values are counted apart, and enter no quantile and no bin. An int
is no float and no bool here, as in a config.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import datetime
from heapq import nsmallest
from itertools import pairwise, repeat
from typing import Any, NamedTuple

from exptrack.config.tree import encode_canonical
from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.database.time_limit import check_limit
from exptrack.metrics.store import IS_SHOWN
from exptrack.query.conditions import Field
from exptrack.query.field_sql import STATES
from exptrack.query.fields import OF_RUNS, Values
from exptrack.query.run_sets import COUNT_ALL, IS_MEMBER, mark
from exptrack.query.run_sql import TRASHED
from exptrack.shown import shown

_NUMBER_KINDS = ("int", "float", "time")
_TYPE_NAMES = {bool: "bool", str: "text", int: "int", float: "float", datetime: "time"}
KINDS = ("config", "metric", "attribute")
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
DECADES_FROM = 100.0  # the greatest number by the least, from which bins follow decades
# Which digits begin a bin in a decade, and which decades have bins; the finest that fits is taken.
ROUND = ((range(1, 10), 1), ((1, 2, 5), 1), *(((1,), step) for step in (1, 2, 3, 5, 10, 20, 50, 100)))

_NUMBER = "v.key = {key} AND v.num IS NOT NULL{kept}"
_WORD = "v.key = {key} AND v.text IS NOT NULL AND v.num IS NULL{kept}"
_OTHERS_OF_KEY = f"""
       (SELECT count(*) FROM {{table}} AS v WHERE {_WORD}),
       (SELECT min(v.num) FROM {{table}} AS v WHERE {_NUMBER}),
       (SELECT max(v.num) FROM {{table}} AS v WHERE {_NUMBER})
"""
_OF_KEY = f"""
       (SELECT count(*) FROM {{table}} AS v WHERE {_NUMBER}),
       {_OTHERS_OF_KEY}
"""
_SERIES = "metric_series AS v WHERE v.metric = n.id AND {state}"
# Each of these reads indexes alone, key by key. Grouping the values themselves takes ten times as long.
CONFIG_FIELDS = (
    f"SELECT k.key, {_OF_KEY.format(table='config_value', key='k.id', kept='{kept}')} FROM config_key AS k"
)
ATTR_FIELDS = (
    f"SELECT k.key, {_OF_KEY.format(table='run_attribute', key='k.key', kept='{kept}')} FROM ({{keys}}) AS k"
)
_OTHERS_OF_METRIC = f"""
       (SELECT count(*) FROM {_SERIES} AND v.last_value IS NULL{{kept}}),
       (SELECT min(v.last_value) FROM {_SERIES} AND v.last_value IS NOT NULL{{kept}}),
       (SELECT max(v.last_value) FROM {_SERIES} AND v.last_value IS NOT NULL{{kept}})
"""
METRIC_FIELDS = f"""
SELECT n.name,
       (SELECT count(*) FROM {_SERIES} AND v.last_value IS NOT NULL{{kept}}),
       {_OTHERS_OF_METRIC}
FROM (SELECT n.id, n.name FROM metric_name AS n WHERE {IS_SHOWN}) AS n
"""
# Of many runs: an index is read up to the first of them at each end, and its entries of these runs are counted.
_CHOSEN = "IN (SELECT value FROM json_each(:names))"
CHOSEN_CONFIG_FIELDS = f"{CONFIG_FIELDS} WHERE k.key {_CHOSEN}"
CHOSEN_METRIC_FIELDS = f"{METRIC_FIELDS} WHERE n.name {_CHOSEN}"
CHOSEN_ATTR_KEYS = "SELECT value AS key FROM json_each(:names)"
# The same without counting the numbers: most keys have a number in all runs but few.
CONFIG_OTHERS = f"""
SELECT k.key, 0, {_OTHERS_OF_KEY.format(table="config_value", key="k.id", kept="{kept}")}
FROM config_key AS k WHERE k.key {_CHOSEN}
"""
ATTR_OTHERS = f"""
SELECT k.value, 0, {_OTHERS_OF_KEY.format(table="run_attribute", key="k.value", kept="{kept}")}
FROM json_each(:names) AS k
"""
METRIC_OTHERS = f"SELECT n.name, 0, {_OTHERS_OF_METRIC} FROM metric_name AS n WHERE n.name {_CHOSEN}"
# Of some runs: their own values are read.
SOME_RUNS = 5_000
CONFIG_FIELDS_OF_RUNS = f"""
SELECT k.key, count(v.num), sum(v.text IS NOT NULL AND v.num IS NULL), min(v.num), max(v.num)
FROM config_value AS v JOIN config_key AS k ON k.id = v.key WHERE v.run {OF_RUNS} GROUP BY v.key
"""
ATTR_FIELDS_OF_RUNS = f"""
SELECT v.key, count(v.num), sum(v.text IS NOT NULL AND v.num IS NULL), min(v.num), max(v.num)
FROM run_attribute AS v WHERE v.run {OF_RUNS} GROUP BY v.key
"""
METRIC_FIELDS_OF_RUNS = f"""
SELECT n.name, count(v.last_value), count(*) - count(v.last_value), min(v.last_value), max(v.last_value)
FROM metric_series AS v JOIN metric_name AS n ON n.id = v.metric WHERE v.run {OF_RUNS} AND {IS_SHOWN}
GROUP BY v.metric
"""


@shown
class FieldInfo(NamedTuple):
    """A config key, metric or attribute that runs have; `name` is as a filter writes it.

    `kind` is ``"config"``, ``"metric"`` or ``"attribute"``. `numbers` counts the runs in which it is a number.
    `least` and `greatest` are the extremes of these as floats; None without numbers. `others` counts the runs
    in which it is a text, bool, list or map; for a metric, those whose last value is NaN. Numbers of a metric
    are last values. Runs in which it is null are not counted.
    """

    name: str
    kind: str
    numbers: int
    others: int
    least: float | None
    greatest: float | None

    @property
    def runs(self) -> int:
        """The number of runs that have it."""
        return self.numbers + self.others


@shown
class FieldSummary(NamedTuple):
    """How the values of a field are spread over runs.

    `runs` counts all of them, `missing` those without a value. `types` counts the others by type: text, int,
    float, bool, list or time. `nan_count` and `infinite_count` count floats among them. The finite numbers have
    a `mean`, `quantiles` by share (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1) and a histogram. Its bin n reaches from
    ``edges[n]`` to below ``edges[n + 1]``, the last one to its end. Times count as seconds since 1970.

    Bins have one width. If all numbers are positive and span two decades, bins begin at round numbers of each
    decade instead, as 0.01, 0.02, 0.05, 0.1.

    `distinct` counts the different values, and `top` has the most frequent, each with its number of runs. Of
    tags, notes and artifacts each word counts.
    """

    name: str
    runs: int
    missing: int
    types: dict[str, int]
    nan_count: int
    infinite_count: int
    mean: float | None
    quantiles: dict[float, float]
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    distinct: int
    top: tuple[tuple[Any, int], ...]


@decoding_rows
def read_field_infos(connection: Connection, runs: Sequence[int] | None, attr_keys: str) -> list[FieldInfo]:
    """Read which fields these runs have, or all that are not in the trash; configs first, then metrics by name.

    `attr_keys` is the statement that lists the keys of attributes.
    """
    if runs is None:
        found = _read_infos_of_all(connection, attr_keys)
    elif len(runs) > SOME_RUNS and (members := mark(runs)) is not None:
        found = _read_infos_of_many(connection, len(runs), members, attr_keys)
    else:
        statements = {
            "config": [CONFIG_FIELDS_OF_RUNS],
            "metric": [METRIC_FIELDS_OF_RUNS],
            "attribute": [ATTR_FIELDS_OF_RUNS],
        }
        found = _read_infos(connection, statements, {"runs": json.dumps(list(runs))})
    ordered = sorted(found, key=lambda field: (KINDS.index(field.kind), field.name))
    return [found[field] for field in ordered if found[field].runs]


def _read_infos_of_all(connection: Connection, attr_keys: str) -> dict[Field, FieldInfo]:
    def read() -> dict[Field, FieldInfo]:
        kept = "" if connection.value(TRASHED) is None else f" AND v.run NOT IN ({TRASHED})"
        return _read_infos(connection, _fill_in(CONFIG_FIELDS, METRIC_FIELDS, ATTR_FIELDS, kept, attr_keys), {})

    return connection.keep(("fields", attr_keys), read)


def _read_infos_of_many(
    connection: Connection, count: int, members: bytes, attr_keys: str
) -> dict[Field, FieldInfo]:
    whole = _read_infos_of_all(connection, attr_keys)
    total = int(connection.value(COUNT_ALL)) - len(connection.all(TRASHED))
    in_all = {field for field, info in whole.items() if info.runs == total}
    asked = {"members": members}
    kept = f" AND {IS_MEMBER.format(id='v.run').replace('?', ':members')}"
    counting = _fill_in(CHOSEN_CONFIG_FIELDS, CHOSEN_METRIC_FIELDS, ATTR_FIELDS, kept, CHOSEN_ATTR_KEYS)
    found = _read_infos(connection, counting, asked, whole.keys() - in_all)
    others = _fill_in(CONFIG_OTHERS, METRIC_OTHERS, ATTR_OTHERS, kept)
    found |= _read_infos(connection, others, asked, {field for field in in_all if whole[field].numbers})
    for field in in_all:
        one = found.get(field, whole[field]._replace(others=count))
        found[field] = one._replace(numbers=count - one.others)
    return found


def _fill_in(configs: str, metrics: str, attrs: str, kept: str, attr_keys: str = "") -> dict[str, list[str]]:
    """Fill the gaps of statements about each kind of field; `kept` is the test of an entry."""
    return {
        "config": [configs.format(kept=kept)],
        "metric": [metrics.format(state=state.format(s="v"), kept=kept) for state in STATES],
        "attribute": [attrs.format(keys=attr_keys, kept=kept)],
    }


def _read_infos(
    connection: Connection,
    statements: dict[str, list[str]],
    asked: dict[str, Any],
    among: Set[Field] | None = None,
) -> dict[Field, FieldInfo]:
    """Read fields by the statements of each kind; `among` are those that the statements ask for."""
    found: dict[Field, FieldInfo] = {}
    for kind, several in statements.items():
        if among is not None:
            names = [field.name for field in among if field.kind == kind]
            if not names:
                continue
            asked = {**asked, "names": json.dumps(names)}
        for sql in several:
            for key, *counted in connection.all(sql, asked):
                field = Field(kind, key, "last" if kind == "metric" else "")
                one = FieldInfo(str(field), kind, *counted)
                found[field] = one if field not in found else _join(found[field], one)
    return found


def _join(one: FieldInfo, other: FieldInfo) -> FieldInfo:
    """Join what was counted of a metric in series of two states."""
    ends = [end for end in (one.least, other.least) if end is not None]
    tops = [end for end in (one.greatest, other.greatest) if end is not None]
    return FieldInfo(
        one.name,
        one.kind,
        one.numbers + other.numbers,
        one.others + other.others,
        min(ends, default=None),
        max(tops, default=None),
    )


def summarize_values(name: str, values: Values, bins: int, top: int) -> FieldSummary:
    """Summarize the values that runs have in a field, one for each run; None means none."""
    held = [value for value in values if value is not None and value != ()]
    words = [word for value in held for word in (value if isinstance(value, tuple) else (value,))]
    return summarize_counts(
        name, len(values), len(values) - len(held), ((word, 1) for word in words), bins, top
    )


def summarize_counts(
    name: str, runs: int, missing: int, counted: Iterable[tuple[Any, int]], bins: int, top: int
) -> FieldSummary:
    """Summarize values that come with the number of runs that have them; a value may come several times."""
    kinds: dict[str, dict[Any, int]] = {}
    lists: dict[str, Any] = {}
    for value, count in counted:
        kind = _name_type(value)
        if kind == "list":
            value = _note_list(value, lists)
        held = kinds.setdefault(kind, {})
        held[value] = held.get(value, 0) + count
    check_limit()
    types = {kind: sum(held.values()) for kind, held in sorted(kinds.items())}
    nan_count = _take_out_nan(kinds)
    numbers = sorted(_list_numbers(kinds))
    measured = sum(types[kind] for kind in _NUMBER_KINDS if kind in types)
    check_limit()
    edges = _cut_range(numbers, bins)
    places = [bisect_left(numbers, edge) for edge in edges[:-1]] + [len(numbers)]
    words = ((-count, kind, word) for kind, held in kinds.items() for word, count in held.items())
    frequent = nsmallest(top, words)
    return FieldSummary(
        name,
        runs,
        missing,
        types,
        nan_count,
        measured - nan_count - len(numbers),
        _find_mean(numbers) if numbers else None,
        {share: _find_quantile(numbers, share) for share in QUANTILES} if numbers else {},
        edges,
        tuple(end - begin for begin, end in pairwise(places)) if edges else (),
        sum(map(len, kinds.values())),
        tuple((lists[word] if kind == "list" else word, -count) for count, kind, word in frequent),
    )


def _note_list(value: Any, lists: dict[str, Any]) -> str:
    """Return the text of a list, and note which list that is."""
    text = encode_canonical(value)
    lists.setdefault(text, value)
    return text


def _take_out_nan(kinds: dict[str, dict[Any, int]]) -> int:
    """Remove NaN, which is no value to be frequent; return how often it was there."""
    floats = kinds.get("float", {})
    found = [(value, count) for value, count in floats.items() if value != value]
    for value, _count in found:
        del floats[value]
    return sum(count for _value, count in found)


def _list_numbers(kinds: dict[str, dict[Any, int]]) -> Iterator[float]:
    """Yield each finite number as often as it was counted."""
    for kind in _NUMBER_KINDS:
        for value, count in kinds.get(kind, {}).items():
            number = value.timestamp() if kind == "time" else float(value)
            if math.isfinite(number):
                yield from repeat(number, count)


def _name_type(value: Any) -> str:
    name = _TYPE_NAMES.get(type(value))
    if name is not None:
        return name
    # The words of a status are texts of a class of their own.
    return "text" if isinstance(value, str) else "list"


def _find_mean(numbers: Sequence[float]) -> float:
    # Parts, because the sum of doubles may exceed them all.
    return math.fsum(number / len(numbers) for number in numbers)


def _find_quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which a share of the numbers lies, in between two of them if need be."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    return _mix(ordered[low], ordered[min(low + 1, len(ordered) - 1)], place - low)


def _cut_range(ordered: Sequence[float], bins: int) -> tuple[float, ...]:
    """Return the edges of bins: of each decade, or of equal width; one bin if all numbers are equal."""
    if not ordered:
        return ()
    first, last = ordered[0], ordered[-1]
    if first == last:
        return first, last
    if first > 0 and last / first >= DECADES_FROM:
        decades = _cut_decades(first, last, bins)
        if decades:
            return decades
    edges = {min(max(_mix(first, last, n / bins), first), last) for n in range(bins + 1)}
    return tuple(sorted(edges))


def _cut_decades(first: float, last: float, bins: int) -> tuple[float, ...]:
    """Return edges at round numbers, from `first` or below to `last` or above; () if those are too many."""
    decades = range(math.floor(math.log10(first)) - 1, math.floor(math.log10(last)) + 2)
    for digits, step in ROUND:
        kept = [decade for decade in decades if decade % step == 0]
        rounds = [float(f"{digit}e{decade}") for decade in kept for digit in digits]
        inner = [edge for edge in rounds if first < edge < last]
        below = max((edge for edge in rounds if 0 < edge <= first), default=first)
        above = min((edge for edge in rounds if edge >= last and math.isfinite(edge)), default=last)
        if len(inner) < bins:
            return below, *inner, above
    return ()


def _mix(one: float, other: float, share: float) -> float:
    # The difference of two doubles may be none.
    return one if one == other else one * (1 - share) + other * share
