"""Group runs by config keys: count, mean and spread of a metric in each group."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from exptrack.analysis.records import Group
from exptrack.analysis.values import _check_keys, _numbers
from exptrack.config.store import StoredValue, read_leaves
from exptrack.config.tree import leaf_value
from exptrack.database.connection import Connection

RUN_IDS = "SELECT id, run_id FROM run WHERE id IN (SELECT value FROM json_each(?))"


def group_by(
    connection: Connection, keys: object, metric: object, where: object, statistic: object
) -> list[Group]:
    """Groups of runs; see :meth:`exptrack.Archive.group_by`."""
    with connection.snapshot():
        checked = _check_keys(connection, keys)
        numbers = _numbers(connection, metric, where, statistic)
        leaves = read_leaves(connection, list(numbers), checked)
        run_ids = dict(connection.fold(RUN_IDS, (json.dumps(list(numbers)),), list))
    members: dict[tuple[StoredValue | None, ...], list[int]] = {}
    for run in numbers:
        members.setdefault(tuple(leaves.get(key, {}).get(run) for key in checked), []).append(run)
    groups = []
    for held in sorted(members, key=lambda one: [_rank_of_type(leaf) for leaf in one]):
        runs = members[held]
        present = zip(checked, held, strict=True)
        config = {key: leaf_value(*leaf) for key, leaf in present if leaf is not None}
        groups.append(_group(config, [run_ids[run] for run in runs], [numbers[run] for run in runs]))
    return groups


def _rank_of_type(leaf: StoredValue | None) -> tuple[int, float, str, str]:
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
