"""What verification finds: problems, and the checks that damage ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exptrack.database.failures import DAMAGE


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem that ``verify`` found: in which part, where, and what is wrong."""

    part: str
    where: str
    message: str


def guard(part: str, where: str, check: Iterable[Problem]) -> Iterator[Problem]:
    """Pass on the problems that a check finds. If damage ends the check, that is one more problem."""
    try:
        yield from check
    except DAMAGE as error:
        yield Problem(part, where, f"it cannot be read: {error or type(error).__name__}")
