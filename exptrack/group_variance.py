"""Rate how much of a number groups of observations explain: by the variance of its ranks between the groups.

Invariant: a key that says nothing scores about 0, however many groups it makes, as the share is adjusted for
their number. Ranks keep one diverged run from outweighing all others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

from exptrack.errors import warn

LEAST_RUNS = 3
MOST_GROUPS = 8  # of the numbers of one key
LEAST_IN_GROUP = 3
FEW_RUNS = 20  # below this, chance explains about as much as what matters does
_told: set[str] = set()


def rate_groups(ranks: Mapping[int, float], held: Mapping[int, Hashable], *, are_numbers: bool) -> float | None:
    """Return the adjusted share, 0 to 1, of the variance of ranks that lies between the values of a key.

    `held` has the value of each run, None for a run without one. Numbers are cut into groups. None if the
    values make one group, or one for each run: such a key explains nothing.
    """
    group_of = _cut_numbers(held) if are_numbers else held
    groups: dict[Hashable, list[float]] = {}
    for run, rank in ranks.items():
        groups.setdefault(group_of[run], []).append(rank)
    runs = len(ranks)
    if not 1 < len(groups) < runs:
        return None
    left = (1 - eta_squared(list(groups.values()))) * (runs - 1) / (runs - len(groups))
    return max(0.0, 1 - left)


def _cut_numbers(numbers: Mapping[int, Hashable]) -> dict[int, Hashable]:
    """Return the group of each run: about as many runs in each, equal numbers together, None for no number."""
    counts = sorted(Counter(one for one in numbers.values() if isinstance(one, (int, float))).items())
    most = min(MOST_GROUPS, max(2, len(numbers) // LEAST_IN_GROUP))
    # A grid of a few values with a few seeds each: merged values would hide what the key explains.
    is_grid = len(counts) <= MOST_GROUPS and all(count > 1 for _, count in counts)
    if len(counts) <= most or is_grid:
        return dict(numbers)
    size = sum(count for _, count in counts) / most
    places: dict[Hashable, int] = {}
    below = 0
    for number, count in counts:
        places[number] = int((below + count / 2) / size)
        below += count
    return {run: None if one is None else places[one] for run, one in numbers.items()}


def rank_values(values: Sequence[float]) -> list[float]:
    """Return ranks from 1; equal values share their mean rank."""
    counts = Counter(values)
    ranks: dict[float, float] = {}
    below = 0
    for value in sorted(counts):
        ranks[value] = below + (counts[value] + 1) / 2
        below += counts[value]
    return [ranks[value] for value in values]


def eta_squared(groups: Sequence[Sequence[float]]) -> float:
    """Return eta squared, the share of the variance that lies between the groups."""
    everything = [value for group in groups for value in group]
    mean = math.fsum(everything) / len(everything)
    whole = math.fsum((value - mean) ** 2 for value in everything)
    between = math.fsum(len(group) * (math.fsum(group) / len(group) - mean) ** 2 for group in groups)
    return max(0.0, min(1.0, between / whole)) if whole else 0.0


def describe_noise(runs: int, left_out: int, unit: str = "runs") -> str | None:
    """Say why importance over so many runs may be noise; None if it is not.

    >>> describe_noise(8, 0)
    'only 8 runs count; below 20, chance explains about as much as what matters does'
    >>> describe_noise(40, 60)
    '60 runs are left out, more than the 40 that count; what they tried is missing'
    """
    if runs < FEW_RUNS:
        return f"only {runs} {unit} count; below {FEW_RUNS}, chance explains about as much as what matters does"
    if left_out > runs:
        return (
            f"{left_out:,} {unit} are left out, more than the {runs:,} that count; what they tried is missing"
        )
    return None


def warn_of_noise(what: str, noise: str | None) -> None:
    """Warn that a rating may be noise. Once in a process for each, as a page asks again and again."""
    if noise is not None and what not in _told:
        _told.add(what)
        warn(f"{what} may be noise: {noise}")
