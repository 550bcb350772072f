"""Compare runs: several side by side, or a run with the run before it.

Invariant: config values are compared with their types: 1 differs from 1.0.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from exptrack.analysis.difference import describe_change, diff_runs
from exptrack.analysis.records import (
    ComparedKey,
    ComparedMetric,
    FactDifference,
    RunChanges,
    RunComparison,
)
from exptrack.artifacts.code_folder import KeptCode, read_kept_code
from exptrack.artifacts.store import ArtifactStore
from exptrack.config.store import read_leaves, read_sources_of
from exptrack.config.tree import leaf_value
from exptrack.database.connection import Connection, Row, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.metrics.store import read_summaries
from exptrack.query.compiler import FEW
from exptrack.records import MetricSummary
from exptrack.runs.lookup import resolve_run, summarize_runs
from exptrack.runs.ownership import find_dead_runs

SHOWN_HASH = 12  # digits of the hash of a file

BEFORE = """
r.deleted_at IS NULL AND (r.started_at, r.id) < (:started_at, :id) ORDER BY r.started_at DESC, r.id DESC LIMIT 1
"""
SCRIPT_OF = "SELECT script FROM run_environment WHERE run = ?"
COUNT_OF_SCRIPT = "SELECT count(*) FROM (SELECT 1 FROM run_environment WHERE script = ? LIMIT ?)"
# If few runs have the script, SQLite seeks them by it and sorts them. If many have it, SQLite walks back in
# time and soon meets a run that has it.
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


# Side by side


@in_reading
@decoding_rows
def compare(connection: Connection, rows: Sequence[Row], all_keys: bool) -> RunComparison:
    """Compare runs side by side; see :meth:`exptrack.Archive.compare`."""
    runs = [row["id"] for row in rows]
    with connection.snapshot():
        records = summarize_runs(connection, rows, find_dead_runs(connection))
        config = _compare_configs(connection, runs)
        by_name = _read_metrics(connection, runs)
    metrics = [ComparedMetric(name, tuple(of_runs)) for name, of_runs in by_name.items()]
    shown_keys = tuple(key for key in config if key.differs or all_keys)
    return RunComparison(tuple(records), shown_keys, tuple(metrics))


def _compare_configs(connection: Connection, runs: Sequence[int]) -> list[ComparedKey]:
    """Compare every config key that one of the runs has."""
    leaves = read_leaves(connection, runs)
    sources = read_sources_of(connection, runs)
    found = []
    for key, stored in sorted(leaves.items()):
        held = [stored.get(run) for run in runs]
        found.append(
            ComparedKey(
                key,
                values=tuple(None if leaf is None else leaf_value(*leaf) for leaf in held),
                present=tuple(leaf is not None for leaf in held),
                sources=tuple(sources[run].get(key) for run in runs),
                differs=len(set(held)) > 1,
            )
        )
    return found


def _read_metrics(connection: Connection, runs: Sequence[int]) -> dict[str, list[MetricSummary | None]]:
    """Return the summary of each metric for each run, by the name of the metric."""
    of_runs = read_summaries(connection, runs)
    by_run = [{one.name: one for one in of_runs[run]} for run in runs]
    names = sorted({name for metrics in by_run for name in metrics})
    return {name: [metrics.get(name) for metrics in by_run] for name in names}


# With the run before


@in_reading
@decoding_rows
def what_changed(connection: Connection, run_id: object) -> RunChanges | None:
    """Compare a run with the run before it; see :meth:`exptrack.Archive.what_changed`."""
    with connection.snapshot():
        row = resolve_run(connection, run_id)
        found = _find_previous(connection, row)
        if found is None:
            return None
        previous, because = found
        diff = diff_runs(connection, previous, row["run_id"])
        a, b = (connection.one(FACTS_OF, (one,)) for one in (previous, row["run_id"]))
        kept = [_read_kept_code(connection, one) for one in (previous, row["run_id"])]
    assert a is not None
    assert b is not None
    code_a, code_b = kept
    return RunChanges(
        run_id=row["run_id"],
        previous=previous,
        because=because,
        config=diff.config,
        code=(
            *_compare_facts(a, b, ("commit", "dirty", "branch", "script", "code_digest")),
            *_compare_files(code_a, code_b, same_commit=a["commit"] == b["commit"]),
        ),
        data=_compare_maps(_read_map(a["data_references"]), _read_map(b["data_references"])),
        environment=(
            *_compare_facts(a, b, ("host", "platform", "python", "command")),
            *_compare_maps(_read_map(a["variables"]), _read_map(b["variables"])),
            *_compare_packages(code_a, code_b),
        ),
        metrics=diff.metrics,
    )


def _read_kept_code(connection: Connection, run_id: str) -> KeptCode | None:
    return read_kept_code(ArtifactStore(connection, resolve_run(connection, run_id)["id"], run_id))


def _compare_files(a: KeptCode | None, b: KeptCode | None, *, same_commit: bool) -> tuple[FactDifference, ...]:
    """Return the files that differ, each by the hash of its text, or of its part of the patch.

    Patches to different commits cannot be compared.
    """
    if a is None or b is None:
        return ()
    hashes: list[dict[str, str]] = []
    for code in (a, b):
        found = dict(code.parts) if same_commit else {}
        found |= {path: data for path, (_mode, data) in code.texts.items()}
        hashes.append({path: hashlib.sha256(found[path]).hexdigest()[:SHOWN_HASH] for path in sorted(found)})
    return _compare_maps(*hashes)


def _compare_packages(a: KeptCode | None, b: KeptCode | None) -> tuple[FactDifference, ...]:
    if a is None or b is None:
        return ()
    return tuple(
        FactDifference(f"package {one.name}", one.change, one.a, one.b)
        for one in _compare_maps(a.packages, b.packages)
    )


def _find_previous(connection: Connection, row: Row) -> tuple[str, str] | None:
    """Return the id of the run to compare with, and why that run: script, name or group."""
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


def _read_map(text: str | None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text or "{}")
    return found


def _compare_facts(a: Row, b: Row, names: Sequence[str]) -> tuple[FactDifference, ...]:
    return _compare_maps(*({name: _read_fact(name, row[name]) for name in names} for row in (a, b)))


def _read_fact(name: str, stored: Any) -> Any:
    if name == "dirty":
        return None if stored is None else bool(stored)
    return json.loads(stored) if name == "command" and stored is not None else stored


def _compare_maps(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[FactDifference, ...]:
    """Return what differs between two maps; None counts as absent."""
    found = []
    for name in dict.fromkeys([*a, *b]):
        was, now = a.get(name), b.get(name)
        if was != now:
            change = describe_change(was is not None, now is not None)
            found.append(FactDifference(name, change, was, now))
    return tuple(found)
