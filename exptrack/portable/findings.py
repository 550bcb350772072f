"""What verification finds: problems, and the checks that damage ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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


class PointsMeter:
    """Tells how many points were checked of how many, also amid a series."""

    def __init__(self, tell: Callable[[str, int, int], None], total: int) -> None:
        self._tell, self._total = tell, total
        self._left = 0  # points of the series that are done

    def reach(self, points: int) -> None:
        """Tell that so many points of the series at hand were read."""
        self._tell("points", min(self._left + points, self._total), self._total)

    def leave(self, points: int) -> None:
        """Go on to the next series; this one had so many points."""
        self._left += points
