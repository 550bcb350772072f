"""Tell which config keys matter for a metric: by ranks, or by a random forest.

Invariant: the same archive gives the same answer; what draws by chance has a fixed seed.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from exptrack.analysis.grouping import _rank_of_type
from exptrack.analysis.records import Importance
from exptrack.analysis.values import _numbers
from exptrack.config.store import StoredValue, read_leaves
from exptrack.database.connection import Connection
from exptrack.errors import InvalidValueError
from exptrack.extras import require
from exptrack.validation import short_repr

METHODS = ("spearman", "forest")
# Two points always lie on a line.
LEAST_RUNS = {"spearman": 3, "forest": 10}
FOLDS, TREES, SHUFFLES, SEED = 5, 60, 3, 0


def importance(
    connection: Connection, metric: object, where: object, statistic: object, method: object
) -> list[Importance]:
    """How much each key says about a metric; see :meth:`exptrack.Archive.importance`."""
    if not isinstance(method, str) or method not in METHODS:
        raise InvalidValueError(f"method must be 'spearman' or 'forest', not {short_repr(method)}")
    with connection.snapshot():
        numbers = _numbers(connection, metric, where, statistic)
        finite = {run: number for run, number in numbers.items() if math.isfinite(number)}
        if len(finite) < LEAST_RUNS[method]:
            raise InvalidValueError(
                f"{method} needs {LEAST_RUNS[method]} completed runs with a finite value of"
                f" {short_repr(metric)}; there are {len(finite)}"
            )
        leaves = read_leaves(connection, list(finite))
    varying = {key: stored for key, stored in leaves.items() if _varies(stored, len(finite))}
    judge: Callable[[dict[int, float], dict[str, dict[int, StoredValue]]], list[Importance]]
    judge = _by_forest if method == "forest" else _by_ranks
    return sorted(judge(finite, varying), key=lambda one: (-one.importance, one.key))


def _varies(stored: dict[int, StoredValue], runs: int) -> bool:
    return len(set(stored.values())) + (len(stored) < runs) > 1


def _is_numeric(stored: dict[int, StoredValue]) -> bool:
    """Whether all values are numbers, but for null; null alone is no number."""
    kinds = {kind for kind, _num, _text in stored.values()}
    return bool(kinds & {"int", "float"}) and kinds <= {"int", "float", "null"}


def _by_ranks(finite: dict[int, float], varying: dict[str, dict[int, StoredValue]]) -> list[Importance]:
    found = []
    for key, stored in varying.items():
        numbers = {run: leaf[1] for run, leaf in stored.items() if leaf[1] is not None}
        different = len(set(numbers.values()))
        if _is_numeric(stored) and different > 1 and len(numbers) >= LEAST_RUNS["spearman"]:
            rho = _correlation(_ranks([*numbers.values()]), _ranks([finite[run] for run in numbers]))
            found.append(Importance(key, rho * rho, "spearman", rho, len(numbers), different))
        else:
            groups: dict[StoredValue | None, list[float]] = {}
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


def _by_forest(finite: dict[int, float], varying: dict[str, dict[int, StoredValue]]) -> list[Importance]:
    require("sklearn.ensemble", "importance by a forest", "importance")
    import numpy
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

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


def _feature(stored: dict[int, StoredValue], runs: Sequence[int]) -> list[float]:
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
