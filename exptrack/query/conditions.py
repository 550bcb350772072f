"""The tree that a filter becomes, and the fields, operators and words it may hold.

Invariant: a tree holds names and values, never SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from exptrack.keypath import split_path
from exptrack.records import RunStatus, TrialState

STATISTICS = tuple("last min max first mean count nan_count last_step first_step min_step max_step".split())
TEXT_ATTRIBUTES = tuple(
    "id name group parent reason host commit config_hash family fingerprint branch script python study".split()
)
TIME_ATTRIBUTES = ("started", "ended", "heartbeat")
SET_ATTRIBUTES = ("tag", "note", "artifact")
ATTRIBUTES = {
    **dict.fromkeys(TEXT_ATTRIBUTES, "text"),
    **dict.fromkeys(TIME_ATTRIBUTES, "time"),
    **dict.fromkeys(SET_ATTRIBUTES, "set"),
    "status": "status",
    "dirty": "bool",
    "duration": "seconds",
    "trial.number": "number",
    "trial.state": "state",
}
# What `status` is compared with, besides the statuses: a run that completed as a pruned trial.
PRUNED = str(TrialState.PRUNED)
STATE_WORDS = {"status": (*map(str, RunStatus), PRUNED), "state": tuple(map(str, TrialState))}
# What people of other trackers write.
SYNONYMS = {
    **dict.fromkeys(("run", "run_id"), "id"),
    "run_name": "name",
    "group_name": "group",
    **dict.fromkeys(("started_at", "start_time"), "started"),
    **dict.fromkeys(("ended_at", "end_time"), "ended"),
    "heartbeat_at": "heartbeat",
    "vcs_commit": "commit",
    "vcs_dirty": "dirty",
    "duration_s": "duration",
    "state": "status",
    "study_name": "study",
    "trial_number": "trial.number",
    "trial_state": "trial.state",
    **{f"{name}s": name for name in SET_ATTRIBUTES},
}
CONFIG_ROOTS, METRIC_ROOTS = ("config", "params"), ("metrics", "metric")
ROOTS = (*CONFIG_ROOTS, *METRIC_ROOTS)
Scalar: TypeAlias = str | int | float | bool | list[Any] | None


class Field(NamedTuple):
    """What is compared: `kind` is config, metric or attribute; of a metric, `statistic` says which value."""

    kind: str
    name: str
    statistic: str = ""

    def __str__(self) -> str:
        """As it is written in a filter."""
        if self.kind == "config":
            return ".".join(["config", *map(_as_part, split_path(self.name))])
        if self.kind == "metric":
            *above, last = self.name.split(".")
            statistic = [] if self.statistic == "last" else [self.statistic]
            # Without quotes it would be read as a statistic.
            quoted = not statistic and last in STATISTICS
            parts = [*map(_as_part, above), _in_quotes(last) if quoted else _as_part(last)]
            return ".".join(["metrics", *parts, *statistic])
        return self.name


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition; `operator` is =, !=, <, <=, >, >=, like, in, is null or exists."""

    field: Field
    operator: str
    values: tuple[Scalar, ...] = ()
    position: int = 0


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class And:
    """All of them hold; of none, always."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of them holds; of none, never."""

    conditions: tuple[Condition, ...]


Condition: TypeAlias = Comparison | Not | And | Or
EVERYTHING = And(())


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Every comparison of a tree, from left to right."""
    if isinstance(condition, Comparison):
        yield condition
    elif isinstance(condition, Not):
        yield from comparisons(condition.condition)
    else:
        for one in condition.conditions:
            yield from comparisons(one)


_BARE = r"[\w/\-:@+%#$~^&|]+"


def _as_part(part: str) -> str:
    return part if re.fullmatch(_BARE, part) else _in_quotes(part)


def _in_quotes(part: str) -> str:
    return '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
