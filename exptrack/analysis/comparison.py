"""Compare runs side by side."""

from __future__ import annotations

from typing import Any

from exptrack.config.exp_config import config_from_snapshot, type_name
from exptrack.config.store import read_config, read_sources
from exptrack.database.connection import Connection
from exptrack.keypath import join_path
from exptrack.metrics.store import read_summaries
from exptrack.records import (
    ConfigDifference,
    MetricDifference,
    MetricSummary,
    RunDiff,
)
from exptrack.runs.lookup import resolve_run


def _flat_config(connection: Connection, run: int) -> dict[str, Any]:
    flat: dict[str, Any] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                walk(join_path(path, key), item)
        else:
            flat[path] = value

    tree = config_from_snapshot(*read_config(connection, run)).values
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
