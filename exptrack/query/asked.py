"""What a query asks for, and where it found a run."""

from __future__ import annotations

from exptrack.named_tuples import NamedTuple
from exptrack.query.conditions import EVERYTHING, Condition, Field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Order(NamedTuple):
    """A field that orders runs. Runs without the value come last either way; the newer run wins a tie."""

    field: Field
    descending: bool


class SelectedRun(NamedTuple):
    """A run that a selection found: its row id, and the values that order it."""

    run: int
    values: tuple[Any, ...]


NEWEST_FIRST = (Order(Field("fact", "started"), True),)


class Asked(NamedTuple):
    """What a query asks for."""

    condition: Condition = EVERYTHING
    order: tuple[Order, ...] = NEWEST_FIRST
    limit: int | None = None
    takes_unknown: bool = False
