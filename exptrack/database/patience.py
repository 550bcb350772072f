"""How long a call waits for the lock that another process holds.

Invariant: the waits of a training do not add up. After one wait has run out, later ones take a second each,
until a transaction has begun.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

BUSY_WAIT_S = 30.0
AGAIN_WAIT_S = 1.0  # after a wait has run out, until a transaction begins
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.0005, 0.004  # between two attempts to get a lock


class Patience:
    """The waits of one connection, in all its threads."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._in_vain = False

    @contextmanager
    def at_most(self, seconds: float | None) -> Iterator[None]:
        """Wait at most this long in the block, in this thread, if a time is given."""
        before = getattr(self._local, "seconds", None)
        self._local.seconds = seconds if before is None else before
        try:
            yield
        finally:
            self._local.seconds = before

    def seconds(self, longest: float) -> float:
        """Return how long this thread is to wait now, `longest` if nothing is known."""
        own = getattr(self._local, "seconds", None)
        common = min(longest, AGAIN_WAIT_S) if self._in_vain else longest
        return common if own is None else min(own, common)

    def has_run_out(self, waited_s: float, longest: float) -> bool:
        """Return whether `waited_s` is enough, and remember that a whole wait was in vain."""
        self._in_vain = self._in_vain or waited_s >= longest
        return waited_s >= self.seconds(longest)

    def got_the_lock(self) -> None:
        """Let later calls wait for the whole time again."""
        self._in_vain = False


def pause() -> None:
    """Sleep between two attempts, for a random time, so that every writer gets its turn."""
    time.sleep(choose_pause(SHORTEST_PAUSE_S, LONGEST_PAUSE_S))


def choose_pause(shortest_s: float, longest_s: float) -> float:
    """Return a random time between the two; `random` of the standard library takes long to import."""
    return shortest_s + (longest_s - shortest_s) * int.from_bytes(os.urandom(2), "big") / 0xFFFF
