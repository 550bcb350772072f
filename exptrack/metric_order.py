"""Order metrics by how much their names promise to tell about a run.

Invariant: whatever shows some of many metrics takes the first of this order: tables, charts, reports.
"""

from __future__ import annotations

from collections.abc import Sequence

from exptrack.directions import guess_direction, split_words

SYSTEM = "system/"  # begins the names of what a run measures of its machine
EVALUATED = frozenset("val valid validation test eval dev holdout".split())


def is_system(name: str) -> bool:
    """Whether a metric is one that a run measures of its machine."""
    return name.startswith(SYSTEM)


def rank_metric(name: str, runs: int, wanted: Sequence[str] = ()) -> tuple[int, bool, bool, bool, int, str]:
    """Return what sorts metrics: first the `wanted` ones in their order, last those of the machine.

    In between come metrics of data not trained on, then those whose name tells which value is better. Of
    equal ones, the metric that more runs have comes first.

    >>> names = ["lr", "system/cpu_percent", "loss", "val/loss", "epoch_reward"]
    >>> sorted(names, key=lambda name: rank_metric(name, 1))
    ['val/loss', 'epoch_reward', 'loss', 'lr', 'system/cpu_percent']
    >>> sorted(names, key=lambda name: rank_metric(name, 1, ["lr"]))[0]
    'lr'
    """
    place = wanted.index(name) if name in wanted else len(wanted)
    is_of_training = not EVALUATED.intersection(split_words(name))
    return place, is_system(name), is_of_training, guess_direction(name) is None, -runs, name
