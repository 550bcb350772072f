"""Compare runs: two, several side by side, one with the run before it.

Invariant: values are compared with their types; 1 is not 1.0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from exptrack.analysis.records import (
    ComparedKey,
    ComparedMetric,
    ConfigDifference,
    FactDifference,
    MetricDifference,
    RunChanges,
    RunComparison,
    RunDiff,
)
from exptrack.config.exp_config import parse_stored_config
from exptrack.config.store import read_leaves, read_sources, read_sources_of, read_stored_config
from exptrack.config.tree import leaf_value, type_name
from exptrack.database.connection import Connection, Row
from exptrack.keypath import join_path
from exptrack.metrics.store import read_summaries
from exptrack.query.compiler import FEW
from exptrack.records import MetricSummary
from exptrack.runs.lookup import resolve_run
from exptrack.runs.lookup import summaries as summaries_of_runs
from exptrack.runs.ownership import dead_runs


def _flat_config(connection: Connection, run: int) -> dict[str, Any]:
    flat: dict[str, Any] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                walk(join_path(path, key), item)
        else:
            flat[path] = value

    tree = parse_stored_config(*read_stored_config(connection, run)).values
    if tree:
        walk("", tree)
    return flat


def diff_runs(connection: Connection, run_a: object, run_b: object) -> RunDiff:
    """What differs between two runs: config keys, and the metrics of either."""
    row_a, row_b = resolve_run(connection, run_a), resolve_run(connection, run_b)
    a, b = _flat_config(connection, row_a["id"]), _flat_config(connection, row_b["id"])
    differences: list[ConfigDifference] = []
    set_a, set_b = read_sources(connection, row_a["id"]), read_sources(connection, row_b["id"])
    for key in sorted(a.keys() | b.keys()):
        change = "added" if key not in a else "removed" if key not in b else "changed"
        if change != "changed" or type_name(a[key]) != type_name(b[key]) or repr(a[key]) != repr(b[key]):
            differences.append(
                ConfigDifference(key, change, a.get(key), b.get(key), set_a.get(key), set_b.get(key))
            )
    summaries_of = read_summaries(connection, [row_a["id"], row_b["id"]])
    metrics_a = {m.name: m for m in summaries_of[row_a["id"]]}
    metrics_b = {m.name: m for m in summaries_of[row_b["id"]]}
    metrics = tuple(
        _metric_difference(name, metrics_a.get(name), metrics_b.get(name))
        for name in sorted(metrics_a.keys() | metrics_b.keys())
    )
    return RunDiff(row_a["run_id"], row_b["run_id"], tuple(differences), metrics)


def _metric_difference(name: str, a: MetricSummary | None, b: MetricSummary | None) -> MetricDifference:
    return MetricDifference(
        name,
        last_a=a.last if a else None,
        last_b=b.last if b else None,
        min_a=a.min if a else None,
        min_b=b.min if b else None,
        max_a=a.max if a else None,
        max_b=b.max if b else None,
    )


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


def compare(connection: Connection, rows: Sequence[Row], all_keys: bool) -> RunComparison:
    """Runs side by side; see :meth:`exptrack.Archive.compare`."""
    numbers = [row["id"] for row in rows]
    with connection.snapshot():
        runs = summaries_of_runs(connection, rows, dead_runs(connection))
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


def what_changed(connection: Connection, run_id: object) -> RunChanges | None:
    """What is different since the run before; see :meth:`exptrack.Archive.what_changed`."""
    with connection.snapshot():
        row = resolve_run(connection, run_id)
        found = _previous(connection, row)
        if found is None:
            return None
        previous, because = found
        diff = diff_runs(connection, previous, row["run_id"])
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
