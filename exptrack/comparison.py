"""Comparing runs: side by side, with the one before, in groups, and what of a config matters.

Invariants: values are compared with their types, 1 is not 1.0. Numbers that are NaN or infinite enter no mean
and no rank, and are counted or left out openly. Runs of pruned trials, whose numbers are those of a part,
enter only where a filter speaks of them. The same archive gives the same answer: what draws by chance has a
fixed seed.
"""

from __future__ import annotations

import difflib
import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from exptrack.analysis import comparison
from exptrack.config.store import Stored, read_leaves, read_sources_of
from exptrack.config.tree import leaf_value
from exptrack.database.connection import Connection, Row
from exptrack.errors import InvalidTypeError, InvalidValueError, MetricNotFoundError, MissingPackageError
from exptrack.metrics.store import read_summaries
from exptrack.query import ranking
from exptrack.query.compiler import FEW, KEY_ID, METRIC_ID, METRIC_VALUES, SOME_KEYS, check_names_exist
from exptrack.query.conditions import EVERYTHING, PRUNED, Comparison, Field
from exptrack.query.frames import check_statistic
from exptrack.query.parser import parse_filter
from exptrack.query.selection import NEWEST_FIRST, Selection
from exptrack.records import (
    ComparedKey,
    ComparedMetric,
    FactDifference,
    Group,
    Importance,
    RunChanges,
    RunComparison,
)
from exptrack.runs import lookup, ownership
from exptrack.validation import check_name, check_text, shown

BEFORE = "(r.started_at, r.id) < (:started_at, :id) ORDER BY r.started_at DESC, r.id DESC LIMIT 1"
SCRIPT_OF = "SELECT script FROM run_environment WHERE run = ?"
COUNT_OF_SCRIPT = "SELECT count(*) FROM (SELECT 1 FROM run_environment WHERE script = ? LIMIT ?)"
# Few runs of a script are looked up by it and sorted; of many, one is met soon on the way back in time.
FEW_OF_SCRIPT = f"""
SELECT r.run_id FROM run_environment AS e CROSS JOIN run AS r ON r.id = e.run
WHERE e.script = :script AND {BEFORE}
"""
MANY_OF_SCRIPT = f"""
SELECT r.run_id FROM run AS r CROSS JOIN run_environment AS e ON e.run = r.id
WHERE e.script = :script AND {BEFORE}
"""
OF_NAME = f"SELECT r.run_id FROM run AS r WHERE r.name = :name AND {BEFORE}"
OF_GROUP = f"SELECT r.run_id FROM run AS r WHERE r.group_name = :group AND {BEFORE}"
FACTS_OF = """
SELECT r.vcs_commit AS "commit", r.vcs_dirty AS dirty, e.vcs_branch AS branch, e.code_digest, r.host,
       e.script, e.python, e.platform, e.command, e.variables, e.data_references
FROM run AS r LEFT JOIN run_environment AS e ON e.run = r.id WHERE r.run_id = ?
"""
VALUES = """
SELECT s.run, {value} FROM metric_series AS s WHERE s.metric = :metric AND s.completed = 1
"""
VALUES_OF_RUNS = """
SELECT s.run, {value} FROM metric_series AS s
WHERE s.metric = :metric AND s.run IN (SELECT value FROM json_each(:runs)) AND s.completed = 1
"""
RUN_IDS = "SELECT id, run_id FROM run WHERE id IN (SELECT value FROM json_each(?))"

METHODS = ("spearman", "forest")
PRUNED_TRIALS = Comparison(Field("attribute", "status"), "=", (PRUNED,))
# Two points always lie on a line.
LEAST_RUNS = {"spearman": 3, "forest": 10}
FOLDS, TREES, SHUFFLES, SEED = 5, 60, 3, 0


# Side by side


def compare(connection: Connection, rows: Sequence[Row], all_keys: bool) -> RunComparison:
    """Runs side by side; see :meth:`exptrack.Archive.compare`."""
    numbers = [row["id"] for row in rows]
    with connection.snapshot():
        runs = lookup.summaries(connection, rows, ownership.dead_runs(connection))
        leaves = read_leaves(connection, numbers)
        sources = read_sources_of(connection, numbers)
        summaries = read_summaries(connection, numbers)
    config = []
    for key, stored in sorted(leaves.items()):
        held = [stored.get(number) for number in numbers]
        differs = len(set(held)) > 1
        if differs or all_keys:
            config.append(
                ComparedKey(
                    key,
                    tuple(None if leaf is None else leaf_value(*leaf) for leaf in held),
                    tuple(leaf is not None for leaf in held),
                    tuple(sources[number].get(key) for number in numbers),
                    differs,
                )
            )
    by_name = {number: {one.name: one for one in summaries[number]} for number in numbers}
    names = sorted({name for metrics in by_name.values() for name in metrics})
    metrics = [ComparedMetric(name, tuple(by_name[number].get(name) for number in numbers)) for name in names]
    return RunComparison(tuple(runs), tuple(config), tuple(metrics))


# With the run before


def what_changed(connection: Connection, run_id: object) -> RunChanges | None:
    """What is different since the run before; see :meth:`exptrack.Archive.what_changed`."""
    with connection.snapshot():
        row = lookup.resolve_run(connection, run_id)
        found = _previous(connection, row)
        if found is None:
            return None
        previous, because = found
        diff = comparison.diff_runs(connection, previous, row["run_id"])
        a, b = (connection.one(FACTS_OF, (one,)) for one in (previous, row["run_id"]))
    assert a is not None
    assert b is not None
    return RunChanges(
        run_id=row["run_id"],
        previous=previous,
        because=because,
        config=diff.config,
        code=_facts(a, b, ("commit", "dirty", "branch", "script", "code_digest")),
        data=_differences(_object(a["data_references"]), _object(b["data_references"])),
        environment=(
            *_facts(a, b, ("host", "platform", "python", "command")),
            *_differences(_object(a["variables"]), _object(b["variables"])),
        ),
        metrics=diff.metrics,
    )


def _previous(connection: Connection, row: Row) -> tuple[str, str] | None:
    """The run before this one that it is to be compared with, and why that one."""
    place = {"id": row["id"], "started_at": row["started_at"]}
    script = connection.value(SCRIPT_OF, (row["id"],))
    few = script is None or connection.value(COUNT_OF_SCRIPT, (script, FEW)) < FEW
    for because, value, sql in (
        ("script", script, FEW_OF_SCRIPT if few else MANY_OF_SCRIPT),
        ("name", row["name"], OF_NAME),
        ("group", row["group_name"], OF_GROUP),
    ):
        if value is not None:
            found = connection.value(sql, {**place, because: value})
            if found is not None:
                return found, because
    return None


def _object(text: str | None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text or "{}")
    return found


def _facts(a: Row, b: Row, names: Sequence[str]) -> tuple[FactDifference, ...]:
    return _differences(*({name: _fact(name, row[name]) for name in names} for row in (a, b)))


def _fact(name: str, stored: Any) -> Any:
    if name == "dirty":
        return None if stored is None else bool(stored)
    return json.loads(stored) if name == "command" and stored is not None else stored


def _differences(a: dict[str, Any], b: dict[str, Any]) -> tuple[FactDifference, ...]:
    """What differs between two maps; None and absence are the same."""
    found = []
    for name in dict.fromkeys([*a, *b]):
        was, now = a.get(name), b.get(name)
        if was != now:
            change = "added" if was is None else "removed" if now is None else "changed"
            found.append(FactDifference(name, change, was, now))
    return tuple(found)


# One number of each completed run


def _check_where(connection: Connection, where: object) -> Any:
    if where is None:
        return EVERYTHING
    condition = parse_filter(where)
    assert isinstance(where, str)
    check_names_exist(connection, condition, where)
    return condition


def _numbers(connection: Connection, metric: object, where: object, statistic: object) -> dict[int, float]:
    """A value of a metric for each completed run that has it; NaN where it is, or where all its points are."""
    name = check_name(metric, "metric")
    value = METRIC_VALUES[check_statistic(statistic)]
    condition = _check_where(connection, where)
    number = connection.value(METRIC_ID, (name,))
    if number is None:
        names = [row["name"] for row in connection.all(ranking.METRIC_NAMES)]
        raise MetricNotFoundError(name, str(connection.path), difflib.get_close_matches(name, names, n=3))
    asked = {"metric": number}
    sql = VALUES
    if condition is not EVERYTHING:
        chosen = Selection(connection, condition, NEWEST_FIRST, ownership.dead_runs(connection)).rows(None)
        asked["runs"], sql = json.dumps([one.run for one in chosen]), VALUES_OF_RUNS
    pruned: set[int] = set()
    if not ranking.speaks_of_pruned(condition):
        pruned = {one.run for one in Selection(connection, PRUNED_TRIALS, NEWEST_FIRST).rows(None)}
    rows = connection.fold(sql.format(value=value), asked, list)
    return {run: math.nan if found is None else found for run, found in sorted(rows) if run not in pruned}


def group_by(
    connection: Connection, keys: object, metric: object, where: object, statistic: object
) -> list[Group]:
    """Groups of runs; see :meth:`exptrack.Archive.group_by`."""
    with connection.snapshot():
        checked = _check_keys(connection, keys)
        numbers = _numbers(connection, metric, where, statistic)
        leaves = read_leaves(connection, list(numbers), checked)
        run_ids = dict(connection.fold(RUN_IDS, (json.dumps(list(numbers)),), list))
    members: dict[tuple[Stored | None, ...], list[int]] = {}
    for run in numbers:
        members.setdefault(tuple(leaves.get(key, {}).get(run) for key in checked), []).append(run)
    groups = []
    for held in sorted(members, key=lambda one: [_rank_of_type(leaf) for leaf in one]):
        runs = members[held]
        present = zip(checked, held, strict=True)
        config = {key: leaf_value(*leaf) for key, leaf in present if leaf is not None}
        groups.append(_group(config, [run_ids[run] for run in runs], [numbers[run] for run in runs]))
    return groups


def _check_keys(connection: Connection, keys: object) -> list[str]:
    several = [keys] if isinstance(keys, str) else keys
    if not isinstance(several, Iterable):
        raise InvalidTypeError(f"keys are config keys, like 'optimizer.lr', not {shown(keys)}")
    checked = list(dict.fromkeys(check_text(key, "config key") for key in several))
    if not checked:
        raise InvalidValueError("no config key is given")
    for key in checked:
        if connection.value(KEY_ID, (key,)) is None:
            known = [row["key"] for row in connection.all(SOME_KEYS)]
            close = difflib.get_close_matches(key.removeprefix("config."), known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise InvalidValueError(f"no run has a config key {shown(key)}{hint}")
    return checked


def _rank_of_type(leaf: Stored | None) -> tuple[int, float, str, str]:
    """Numbers first, then bools, texts, all else; what is missing comes last."""
    if leaf is None:
        return (4, 0.0, "", "")
    kind, num, text = leaf
    rank = {"int": 0, "float": 0, "bool": 1, "text": 2}.get(kind, 3)
    return (rank, num or 0.0, text or "", kind)


def _group(config: dict[str, Any], run_ids: Sequence[str], numbers: Sequence[float]) -> Group:
    import statistics

    finite = [number for number in numbers if math.isfinite(number)]
    nan_count = sum(map(math.isnan, numbers))
    std = None
    if len(finite) > 1:
        try:
            std = statistics.stdev(finite)
        except OverflowError:  # of numbers at both ends of what a float can be
            std = math.inf
    return Group(
        config=config,
        run_ids=tuple(run_ids),
        count=len(numbers),
        finite=len(finite),
        nan_count=nan_count,
        infinite_count=len(numbers) - len(finite) - nan_count,
        mean=float(statistics.mean(finite)) if finite else None,
        std=std,
        min=float(min(finite)) if finite else None,
        max=float(max(finite)) if finite else None,
    )


# What matters


def importance(
    connection: Connection, metric: object, where: object, statistic: object, method: object
) -> list[Importance]:
    """How much each key says about a metric; see :meth:`exptrack.Archive.importance`."""
    if not isinstance(method, str) or method not in METHODS:
        raise InvalidValueError(f"method must be 'spearman' or 'forest', not {shown(method)}")
    with connection.snapshot():
        numbers = _numbers(connection, metric, where, statistic)
        finite = {run: number for run, number in numbers.items() if math.isfinite(number)}
        if len(finite) < LEAST_RUNS[method]:
            raise InvalidValueError(
                f"{method} needs {LEAST_RUNS[method]} completed runs with a finite value of {shown(metric)};"
                f" there are {len(finite)}"
            )
        leaves = read_leaves(connection, list(finite))
    varying = {key: stored for key, stored in leaves.items() if _varies(stored, len(finite))}
    judge: Callable[[dict[int, float], dict[str, dict[int, Stored]]], list[Importance]]
    judge = _by_forest if method == "forest" else _by_ranks
    return sorted(judge(finite, varying), key=lambda one: (-one.importance, one.key))


def _varies(stored: dict[int, Stored], runs: int) -> bool:
    return len(set(stored.values())) + (len(stored) < runs) > 1


def _is_numeric(stored: dict[int, Stored]) -> bool:
    """Whether all values are numbers, but for null; null alone is no number."""
    kinds = {kind for kind, _num, _text in stored.values()}
    return bool(kinds & {"int", "float"}) and kinds <= {"int", "float", "null"}


def _by_ranks(finite: dict[int, float], varying: dict[str, dict[int, Stored]]) -> list[Importance]:
    found = []
    for key, stored in varying.items():
        numbers = {run: leaf[1] for run, leaf in stored.items() if leaf[1] is not None}
        different = len(set(numbers.values()))
        if _is_numeric(stored) and different > 1 and len(numbers) >= LEAST_RUNS["spearman"]:
            rho = _correlation(_ranks([*numbers.values()]), _ranks([finite[run] for run in numbers]))
            found.append(Importance(key, rho * rho, "spearman", rho, len(numbers), different))
        else:
            groups: dict[Stored | None, list[float]] = {}
            for run, rank in zip(finite, _ranks(list(finite.values())), strict=True):
                groups.setdefault(stored.get(run), []).append(rank)
            # A value of its own in each run explains nothing.
            if len(groups) < len(finite):
                share = _correlation_ratio(list(groups.values()))
                found.append(Importance(key, share, "eta_squared", None, len(finite), len(groups)))
    return found


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    ordered = sorted(values)
    return [(bisect_left(ordered, value) + bisect_right(ordered, value) + 1) / 2 for value in values]


def _correlation(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Pearson's correlation; 0 where one side is constant."""
    mean_x, mean_y = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    product = math.fsum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    scale = math.sqrt(math.fsum((x - mean_x) ** 2 for x in xs)) * math.sqrt(
        math.fsum((y - mean_y) ** 2 for y in ys)
    )
    return max(-1.0, min(1.0, product / scale)) if scale else 0.0


def _correlation_ratio(groups: Sequence[Sequence[float]]) -> float:
    """Eta squared: the share of the variance that lies between the groups."""
    everything = [value for group in groups for value in group]
    mean = math.fsum(everything) / len(everything)
    whole = math.fsum((value - mean) ** 2 for value in everything)
    between = math.fsum(len(group) * (math.fsum(group) / len(group) - mean) ** 2 for group in groups)
    return max(0.0, min(1.0, between / whole)) if whole else 0.0


def _by_forest(finite: dict[int, float], varying: dict[str, dict[int, Stored]]) -> list[Importance]:
    try:
        import numpy
        from sklearn.ensemble import RandomForestRegressor
        from sklearn.inspection import permutation_importance
        from sklearn.model_selection import KFold
    except ImportError:
        raise MissingPackageError("scikit-learn", "importance by a forest", "importance") from None
    if not varying:
        return []
    columns = [_feature(stored, list(finite)) for stored in varying.values()]
    features = numpy.array(columns, dtype="float64").T
    # Ranks, so that one diverged run does not outweigh all others.
    target = numpy.array(_ranks(list(finite.values())))
    drops = numpy.zeros(len(columns))
    for train, test in KFold(FOLDS, shuffle=True, random_state=SEED).split(features):
        forest = RandomForestRegressor(TREES, random_state=SEED).fit(features[train], target[train])
        drops += permutation_importance(
            forest, features[test], target[test], n_repeats=SHUFFLES, random_state=SEED
        ).importances_mean
    return [
        Importance(key, float(drop) / FOLDS, "forest", None, len(finite), len(set(map(stored.get, finite))))
        for (key, stored), drop in zip(varying.items(), drops, strict=True)
    ]


def _feature(stored: dict[int, Stored], runs: Sequence[int]) -> list[float]:
    """A key as numbers: the place of its value in order, which is all that trees look at; NaN of no number."""
    held = [stored.get(run) for run in runs]
    if _is_numeric(stored):
        numbers = [None if leaf is None else leaf[1] for leaf in held]
        places = {
            number: float(place) for place, number in enumerate(sorted({n for n in numbers if n is not None}))
        }
        return [math.nan if number is None else places[number] for number in numbers]
    of_leaf = {leaf: float(place) for place, leaf in enumerate(sorted(set(held), key=_rank_of_type))}
    return [of_leaf[leaf] for leaf in held]
