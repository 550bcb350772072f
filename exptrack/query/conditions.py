"""The tree of conditions that a filter becomes, and the fields and words that may stand in it.

Invariant: a tree holds names and values, never SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from exptrack.keypath import split_path
from exptrack.named_tuples import NamedTuple
from exptrack.records import RunStatus, TrialState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

STATISTICS = tuple("last min max first mean count nan_count last_step first_step min_step max_step".split())
TEXT_FACTS = tuple(
    "id name group parent external_id reason host commit config_hash family fingerprint branch script python"
    " study".split()
)
TIME_FACTS = ("started", "ended", "heartbeat")
SET_FACTS = ("tag", "note", "artifact", "data")
FACTS = {
    **dict.fromkeys(TEXT_FACTS, "text"),
    **dict.fromkeys(TIME_FACTS, "time"),
    **dict.fromkeys(SET_FACTS, "set"),
    "status": "status",
    "dirty": "bool",
    "has_nan": "bool",
    "duration": "seconds",
    "trial.number": "number",
    "trial.state": "state",
}
# `status` is also compared with this: it means a completed run whose trial was pruned.
PRUNED = str(TrialState.PRUNED)
STATE_WORDS = {"status": (*map(str, RunStatus), PRUNED), "state": tuple(map(str, TrialState))}
# Names that users of other trackers know.
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
    **{f"{name}s": name for name in ("tag", "note", "artifact")},
}
CONFIG_ROOTS, METRIC_ROOTS = ("config", "params"), ("metrics", "metric")
ATTR_ROOTS = ("attr", "attributes")
DATA = "data"  # `data.NAME = x` means that the data of this name is x
ROOTS = (*CONFIG_ROOTS, *METRIC_ROOTS, *ATTR_ROOTS, DATA)
# A part of a name that needs no quotes.
BARE_PART = r"[\w/\-:@+%#$~^&|]+"
Scalar: TypeAlias = "str | int | float | bool | list[Any] | None"


class Field(NamedTuple):
    """One field of a run. `statistic` chooses the value of a metric.

    `kind` is config, metric, attribute, or fact for what every run has.
    """

    kind: str
    name: str
    statistic: str = ""

    def __str__(self) -> str:
        """Write the field as a filter reads it."""
        if self.kind == "config":
            return ".".join(["config", *map(_write_part, split_path(self.name))])
        if self.kind == "metric":
            *above, last = self.name.split(".")
            statistic = [] if self.statistic == "last" else [self.statistic]
            # Without quotes, the last part would be read as a statistic.
            reads_as_statistic = not statistic and last in STATISTICS
            parts = [*map(_write_part, above), _quote(last) if reads_as_statistic else _write_part(last)]
            return ".".join(["metrics", *parts, *statistic])
        if self.kind == "attribute":
            return ".".join(["attr", *map(_write_part, self.name.split("."))])
        return self.name


class Comparison(NamedTuple):
    """A field compared with values.

    `operator` is =, !=, <, <=, >, >=, like, in, is null, exists or is comparable. `position` is the place in
    the text of the filter.
    """

    field: Field
    operator: str
    values: tuple[Scalar, ...] = ()
    position: int = 0


# Named tuples of equal content are equal. The word, which callers leave as it is, tells these three apart.
class Not(NamedTuple):
    """The condition is false."""

    condition: Condition
    word: Literal["not"] = "not"


class And(NamedTuple):
    """All conditions are true. An empty And is true."""

    conditions: tuple[Condition, ...]
    word: Literal["and"] = "and"


class Or(NamedTuple):
    """At least one condition is true. An empty Or is false."""

    conditions: tuple[Condition, ...]
    word: Literal["or"] = "or"


Condition: TypeAlias = Comparison | Not | And | Or
EVERYTHING = And(())


def compare_fact(name: str, operator: str, value: str) -> Comparison:
    """Make a comparison of a fact, as a filter in text would."""
    return Comparison(Field("fact", name), operator, (value,))


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Yield every comparison of a tree, from left to right."""
    if isinstance(condition, Comparison):
        yield condition
    elif isinstance(condition, Not):
        yield from comparisons(condition.condition)
    else:
        for one in condition.conditions:
            yield from comparisons(one)


def names_pruned(condition: Condition) -> bool:
    """Return whether a filter itself says which trials count. Otherwise rankings leave pruned ones out."""
    return any(
        one.field.name == "trial.state" or (one.field.name == "status" and PRUNED in one.values)
        for one in comparisons(condition)
        if one.field.kind == "fact"
    )


def _write_part(part: str) -> str:
    return part if re.fullmatch(BARE_PART, part) else _quote(part)


def _quote(part: str) -> str:
    return '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
