"""Compare two runs: the config keys that differ, and the metrics of both.

Invariant: config values are compared with their types: 1 differs from 1.0.
"""

from __future__ import annotations

from operator import itemgetter

from exptrack.analysis.run_diff import ConfigDifference, MetricDifference, RunDiff
from exptrack.config.tree import leaf_value
from exptrack.database.connection import Connection, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.metrics.store import IS_SHOWN, nan_if_null
from exptrack.records import ConfigSource
from exptrack.runs.lookup import resolve_run

_OF_KEYS = """
SELECT k.key, a.type, a.num, a.text, b.type, b.num, b.text,
       of_a.kind, of_a.name, of_a.line, of_b.kind, of_b.name, of_b.line
FROM config_value AS {one}
LEFT JOIN config_value AS {other} ON {other}.run = :{other} AND {other}.key = {one}.key
JOIN config_key AS k ON k.id = {one}.key
LEFT JOIN config_source AS of_a ON of_a.id = a.source LEFT JOIN config_source AS of_b ON of_b.id = b.source
WHERE {one}.run = :{one} AND
"""
# The keys of run a whose value is another one in run b, or is in no row of it; and those of run b alone.
DIFFERING_KEYS = f"""
{_OF_KEYS.format(one="a", other="b")} (a.type, a.num, a.text) IS NOT (b.type, b.num, b.text)
UNION ALL {_OF_KEYS.format(one="b", other="a")} a.key IS NULL
"""
_OF_METRICS = f"""
SELECT n.name, a.id, b.id, a.last_value, b.last_value, a.min_value, b.min_value, a.max_value, b.max_value
FROM metric_series AS {{one}}
LEFT JOIN metric_series AS {{other}} ON {{other}}.run = :{{other}} AND {{other}}.metric = {{one}}.metric
JOIN metric_name AS n ON n.id = {{one}}.metric
WHERE {{one}}.run = :{{one}} AND {IS_SHOWN}
"""
# The metrics of run a, with those of run b of the same names; and those of run b alone.
VALUES_OF_TWO = f"""
{_OF_METRICS.format(one="a", other="b")}
UNION ALL {_OF_METRICS.format(one="b", other="a")} AND a.id IS NULL
"""


@in_reading
@decoding_rows
def diff_runs(connection: Connection, run_a: object, run_b: object) -> RunDiff:
    """Return what differs between two runs; see :meth:`exptrack.Archive.diff_runs`."""
    a, b = resolve_run(connection, run_a), resolve_run(connection, run_b)
    config = _compare_configs(connection, a["id"], b["id"])
    metrics = _compare_metrics(connection, a["id"], b["id"])
    return RunDiff(a["run_id"], b["run_id"], config, metrics)


def _compare_configs(connection: Connection, a: int, b: int) -> tuple[ConfigDifference, ...]:
    found = []
    for row in sorted(connection.fold(DIFFERING_KEYS, {"a": a, "b": b}, list), key=itemgetter(0)):
        leaf_a, leaf_b, source_a, source_b = row[1:4], row[4:7], row[7:10], row[10:]
        found.append(
            ConfigDifference(
                row[0],
                describe_change(leaf_a[0] is not None, leaf_b[0] is not None),
                None if leaf_a[0] is None else leaf_value(*leaf_a),
                None if leaf_b[0] is None else leaf_value(*leaf_b),
                None if source_a[0] is None else ConfigSource(*source_a),
                None if source_b[0] is None else ConfigSource(*source_b),
            )
        )
    return tuple(found)


@decoding_rows
def _compare_metrics(connection: Connection, a: int, b: int) -> tuple[MetricDifference, ...]:
    rows = connection.fold(VALUES_OF_TWO, {"a": a, "b": b}, list)
    return tuple(
        MetricDifference(
            name,
            None if in_a is None else nan_if_null(last_a),
            None if in_b is None else nan_if_null(last_b),
            *extremes,
        )
        for name, in_a, in_b, last_a, last_b, *extremes in sorted(rows, key=itemgetter(0))
    )


def describe_change(in_a: bool, in_b: bool) -> str:
    """Say what became of what is in one of two runs or both."""
    return "changed" if in_a and in_b else "removed" if in_a else "added"
