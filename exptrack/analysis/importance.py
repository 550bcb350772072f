"""Rate how much each config key matters for a metric: by ranks, by groups of values, or by a random forest.

Invariant: the same archive gives the same answer, because every random draw has a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

from exptrack.analysis.left_out import find_left_out
from exptrack.analysis.records import Importance
from exptrack.analysis.values import number_of, rank_stored, read_metric
from exptrack.config.store import StoredValue, read_leaves
from exptrack.database.connection import Connection, in_reading
from exptrack.database.damage import telling_damage
from exptrack.database.time_limit import check_limit
from exptrack.errors import InvalidValueError
from exptrack.extras import require
from exptrack.group_variance import LEAST_RUNS as GROUPS_NEED
from exptrack.group_variance import describe_noise, eta_squared, rank_values, rate_groups, warn_of_noise
from exptrack.plain import short_repr
from exptrack.validation import check_choice, check_whole

METHODS = ("groups", "spearman", "forest")
# Two points always lie on a line, so ranks need three.
LEAST_RUNS = {"groups": GROUPS_NEED, "spearman": 3, "forest": 10}
FOLDS, TREES, SHUFFLES, SEED = 5, 60, 3, 0


@in_reading
def importance(
    connection: Connection,
    metric: object,
    where: object,
    statistic: object,
    method: object,
    sample: object = None,
) -> list[Importance]:
    """Rate how much each key says about a metric; see :meth:`exptrack.Archive.importance`."""
    method = check_choice(method, "method", METHODS)
    most = None if sample is None else check_whole(sample, "sample", LEAST_RUNS[method])
    with connection.snapshot():
        values = read_metric(connection, metric, where, statistic)
        finite = {run: value for run, value in values.items() if math.isfinite(value)}
        if len(finite) < LEAST_RUNS[method]:
            raise InvalidValueError(
                f"{method} needs {LEAST_RUNS[method]} completed runs with a finite value of"
                f" {short_repr(metric)}; there are {len(finite)}"
            )
        if most is not None and most < len(finite):
            chosen = sorted(Random(SEED).sample(list(finite), most))
            finite = {run: finite[run] for run in chosen}
        leaves = read_leaves(connection, list(finite))
        left_out = find_left_out(connection, metric, where, statistic)
    warn_of_noise(f"importance for {short_repr(metric)}", describe_noise(len(finite), len(left_out)))
    rate = RATES[method]
    with telling_damage(connection):
        varying = {key: stored for key, stored in leaves.items() if _varies(stored, len(finite))}
        return sorted(rate(finite, varying), key=lambda one: (-one.importance, one.key))


def _varies(stored: dict[int, StoredValue], runs: int) -> bool:
    return len(set(stored.values())) + (len(stored) < runs) > 1


def _is_numeric(stored: dict[int, StoredValue]) -> bool:
    """Return whether all values but nulls are numbers, and at least one is."""
    kinds = {kind for kind, _num, _text in stored.values()}
    return bool(kinds & {"int", "float"}) and kinds <= {"int", "float", "null"}


def _rate_by_ranks(finite: dict[int, float], varying: dict[str, dict[int, StoredValue]]) -> list[Importance]:
    found = []
    ranks = dict(zip(finite, rank_values(list(finite.values())), strict=True))
    for key, stored in varying.items():
        check_limit()
        numbers = {run: one for run, leaf in stored.items() if (one := number_of(leaf)) is not None}
        different = len(set(numbers.values()))
        if _is_numeric(stored) and different > 1 and len(numbers) >= LEAST_RUNS["spearman"]:
            is_whole = len(numbers) == len(finite)
            of_metric = (
                [ranks[run] for run in numbers] if is_whole else rank_values([finite[run] for run in numbers])
            )
            rho = _correlate(rank_values([*numbers.values()]), of_metric)
            found.append(Importance(key, rho * rho, "spearman", rho, len(numbers), different))
        else:
            groups: dict[StoredValue | None, list[float]] = {}
            for run, rank in ranks.items():
                groups.setdefault(stored.get(run), []).append(rank)
            # A key with a different value in each run explains nothing.
            if len(groups) < len(finite):
                share = eta_squared(list(groups.values()))
                found.append(Importance(key, share, "eta_squared", None, len(finite), len(groups)))
    return found


def _rate_by_groups(finite: dict[int, float], varying: dict[str, dict[int, StoredValue]]) -> list[Importance]:
    found = []
    runs = len(finite)
    ranks = dict(zip(finite, rank_values(list(finite.values())), strict=True))
    for key, stored in varying.items():
        check_limit()
        held = {run: stored.get(run) for run in finite}
        are_numbers = _is_numeric(stored)
        numbers = {run: None if leaf is None else number_of(leaf) for run, leaf in held.items()}
        share = rate_groups(ranks, numbers if are_numbers else held, are_numbers=are_numbers)
        if share is not None:
            found.append(Importance(key, share, "groups", None, runs, len(set(held.values()))))
    return found


def _correlate(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return Pearson's correlation, or 0 if one side is constant."""
    mean_x, mean_y = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    product = math.fsum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    scale = math.sqrt(math.fsum((x - mean_x) ** 2 for x in xs)) * math.sqrt(
        math.fsum((y - mean_y) ** 2 for y in ys)
    )
    return max(-1.0, min(1.0, product / scale)) if scale else 0.0


def _rate_by_forest(finite: dict[int, float], varying: dict[str, dict[int, StoredValue]]) -> list[Importance]:
    require("sklearn.ensemble", "importance by a forest", "importance")
    import numpy
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    if not varying:
        return []
    columns = [_make_feature(stored, list(finite)) for stored in varying.values()]
    features = numpy.array(columns, dtype="float64").T
    # The target is ranks, so that one diverged run does not outweigh all others.
    target = numpy.array(rank_values(list(finite.values())))
    drops = numpy.zeros(len(columns))
    for train, test in KFold(FOLDS, shuffle=True, random_state=SEED).split(features):
        check_limit()
        forest = RandomForestRegressor(TREES, random_state=SEED).fit(features[train], target[train])
        drops += permutation_importance(
            forest, features[test], target[test], n_repeats=SHUFFLES, random_state=SEED
        ).importances_mean
    return [
        Importance(key, float(drop) / FOLDS, "forest", None, len(finite), len(set(map(stored.get, finite))))
        for (key, stored), drop in zip(varying.items(), drops, strict=True)
    ]


def _make_feature(stored: dict[int, StoredValue], runs: Sequence[int]) -> list[float]:
    """Return a key as numbers: the place of each value in their order, or NaN. Trees use only the order."""
    held = [stored.get(run) for run in runs]
    if _is_numeric(stored):
        numbers = [None if leaf is None else number_of(leaf) for leaf in held]
        places = {
            number: float(place) for place, number in enumerate(sorted({n for n in numbers if n is not None}))
        }
        return [math.nan if number is None else places[number] for number in numbers]
    of_leaf = {leaf: float(place) for place, leaf in enumerate(sorted(set(held), key=rank_stored))}
    return [of_leaf[leaf] for leaf in held]


RATES: dict[str, Callable[[dict[int, float], dict[str, dict[int, StoredValue]]], list[Importance]]] = {
    "spearman": _rate_by_ranks,
    "groups": _rate_by_groups,
    "forest": _rate_by_forest,
}
