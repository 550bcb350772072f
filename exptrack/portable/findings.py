"""What verification finds: problems, and the checks that damage ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from exptrack.database.failures import DAMAGE
from exptrack.shown import shown

# Called with a part, how much of it is done and how much there is.
Tell: TypeAlias = Callable[[str, int, int], None]


def telling(tell: Tell | None, part: str) -> Callable[[int, int], None] | None:
    """Return a function that tells of one part how much is done and how much there is; None without `tell`."""
    return None if tell is None else partial(tell, part)


@shown
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


class _CallerError(Exception):
    """What the caller's `progress` raised, which is no damage of the file."""

    def __init__(self, raised: Exception) -> None:
        super().__init__(raised)
        self.raised = raised


@contextmanager
def passing_on(progress: Tell | None) -> Iterator[Tell]:
    """Yield a function that calls `progress`, whose errors leave the block as they are: no guard takes them."""

    def tell(part: str, done: int, total: int) -> None:
        if progress is not None:
            try:
                progress(part, done, total)
            except DAMAGE as error:
                raise _CallerError(error) from error

    try:
        yield tell
    except _CallerError as error:
        raise error.raised from None


class PointsMeter:
    """Tells how many points were checked of how many, also amid a series."""

    def __init__(self, tell: Tell, total: int) -> None:
        self._tell, self._total = tell, total
        self._left = 0  # points of the series that are done

    def reach(self, points: int) -> None:
        """Tell that so many points of the series at hand were read."""
        self._tell("points", min(self._left + points, self._total), self._total)

    def restart(self) -> None:
        """Begin anew: none of the points is checked."""
        self._left = 0

    def leave(self, points: int) -> None:
        """Go on to the next series; this one had so many points."""
        self._left += points
