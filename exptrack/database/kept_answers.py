"""Keep what was read from a file until the file changes: each SQLite connection keeps its own.

Invariant: an answer is kept with the number by which its connection counts the commits of all others. So no
answer outlives a commit of another connection, of this process or another one. A connection that commits keeps
no answers.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Hashable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


KEPT_BYTES = 4 * 1024 * 1024  # by one connection


class KeptAnswers:
    """Answers of one SQLite connection about the file as it is at one commit, up to a number of bytes."""

    def __init__(self, limit_bytes: int = KEPT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._version: int | None = None
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()
        self._bytes = 0

    def get(self, version: int, key: Hashable) -> Any:
        """Return the answer to `key`; None if there is none for this version of the file."""
        if version != self._version:
            self.clear()
            return None
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
        return found

    def put(self, version: int, key: Hashable, answer: object) -> None:
        """Keep an answer, and let go of those that were asked for least recently."""
        if version != self._version:
            self.clear()
            self._version = version
        self._drop(key)
        self._answers[key] = answer
        self._bytes += sys.getsizeof(answer)
        while self._bytes > self._limit_bytes:
            self._drop(next(iter(self._answers)))

    def clear(self) -> None:
        """Let go of everything."""
        self._version = None
        self._answers.clear()
        self._bytes = 0

    def _drop(self, key: Hashable) -> None:
        dropped = self._answers.pop(key, None)
        if dropped is not None:
            self._bytes -= sys.getsizeof(dropped)
