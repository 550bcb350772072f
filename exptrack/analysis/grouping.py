"""Group runs by config keys: count, mean and spread of a metric in each group."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from exptrack.analysis.left_out import count_reasons, find_left_out
from exptrack.analysis.records import Group
from exptrack.analysis.values import check_keys, rank_stored, read_metric
from exptrack.config.store import StoredValue, read_leaves
from exptrack.config.tree import leaf_value
from exptrack.database.connection import Connection, in_reading
from exptrack.database.damage import decoding_rows

RUN_IDS = "SELECT id, run_id FROM run WHERE id IN (SELECT value FROM json_each(?))"


@in_reading
@decoding_rows
def group_by(
    connection: Connection, keys: object, metric: object, where: object, statistic: object
) -> list[Group]:
    """Group runs by config keys; see :meth:`exptrack.Archive.group_by`."""
    with connection.snapshot():
        checked = check_keys(connection, keys)
        values = read_metric(connection, metric, where, statistic)
        left_out = find_left_out(connection, metric, where, statistic, not_finite=False)
        leaves = read_leaves(connection, [*values, *left_out], checked)
        run_ids = dict(connection.fold(RUN_IDS, (json.dumps(list(values)),), list))

    def place(run: int) -> tuple[StoredValue | None, ...]:
        return tuple(leaves.get(key, {}).get(run) for key in checked)

    members: dict[tuple[StoredValue | None, ...], list[int]] = {}
    for run in values:
        members.setdefault(place(run), []).append(run)
    lost: dict[tuple[StoredValue | None, ...], list[str]] = {}
    for run, reason in left_out.items():
        lost.setdefault(place(run), []).append(reason)
    groups = []
    for held in sorted(members, key=lambda one: [rank_stored(leaf) for leaf in one]):
        runs = members[held]
        present = zip(checked, held, strict=True)
        config = {key: leaf_value(*leaf) for key, leaf in present if leaf is not None}
        found = _summarize(config, [run_ids[run] for run in runs], [values[run] for run in runs])
        groups.append(replace(found, left_out=count_reasons(lost.get(held, ()))))
    return groups


def _summarize(config: dict[str, Any], run_ids: Sequence[str], values: Sequence[float]) -> Group:
    import statistics

    finite = [value for value in values if math.isfinite(value)]
    nan_count = sum(map(math.isnan, values))
    std = None
    if len(finite) > 1:
        try:
            std = statistics.stdev(finite)
        except OverflowError:  # values near the least and the greatest float
            std = math.inf
    return Group(
        config=config,
        run_ids=tuple(run_ids),
        count=len(values),
        finite=len(finite),
        nan_count=nan_count,
        infinite_count=len(values) - len(finite) - nan_count,
        mean=float(statistics.mean(finite)) if finite else None,
        std=std,
        min=float(min(finite)) if finite else None,
        max=float(max(finite)) if finite else None,
    )
