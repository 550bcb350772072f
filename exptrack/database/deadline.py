"""Interrupt SQLite connections that take too much time or memory, also where SQLite asks for no signal.

A progress handler is called between the steps of SQLite's virtual machine. ``count(*)`` and the check of a
file's structure are one step each, and both look at the flag that an interrupt sets.
"""

from __future__ import annotations

import mmap
import sqlite3
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from exptrack.threads import Worker

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

REPEAT_S = 0.05  # a statement may begin just after an interrupt


class Deadline:
    """Limits how long the connections that were added may work, together, from the beginning of the block.

    With `memory_bytes`, it also limits by how much the memory of the process grows meanwhile, to be asked where
    more time and memory is at hand by another way: other threads may need it too. Windows does not tell it.
    """

    def __init__(self, seconds: float, memory_bytes: int | None = None) -> None:
        self.seconds = seconds
        self._memory_bytes = memory_bytes
        self._begin_bytes = 0
        self._is_full = False
        self._end = time.monotonic() + seconds
        self._connections: list[sqlite3.Connection] = []
        self._worker = Worker(self._work, "exptrack-deadline")

    def __enter__(self) -> Self:
        self._end = time.monotonic() + self.seconds
        self._begin_bytes = _memory_bytes()
        self._worker.begin()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._worker.stop()

    @property
    def is_over(self) -> bool:
        """Whether the time is over, or the memory used up."""
        return self._is_full or time.monotonic() > self._end

    def add(self, connection: sqlite3.Connection) -> None:
        """Interrupt this connection too."""
        self._connections.append(connection)

    def _work(self) -> None:
        while not self._worker.wait(self._choose_pause()):
            limit = self._memory_bytes
            self._is_full = self._is_full or (limit is not None and _memory_bytes() - self._begin_bytes > limit)
            if self.is_over:
                for connection in list(self._connections):
                    with suppress(sqlite3.ProgrammingError):  # it was closed
                        connection.interrupt()

    def _choose_pause(self) -> float:
        left = self._end - time.monotonic()
        return REPEAT_S if self._memory_bytes is not None else max(left, REPEAT_S)


def _memory_bytes() -> int:
    """Return how much memory the process has, or the most that it has had; 0 where the system tells neither."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * mmap.PAGESIZE
    except OSError:  # no Linux
        peak = 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
