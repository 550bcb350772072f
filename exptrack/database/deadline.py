"""Interrupt SQLite connections once their time is over, also in steps in which SQLite asks for no signal.

A progress handler is called between the steps of SQLite's virtual machine. ``count(*)`` and the check of a
file's structure are one step each, and both look at the flag that an interrupt sets.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from exptrack.threads import Worker

REPEAT_S = 0.05  # a statement may begin just after an interrupt


class Deadline:
    """Limits how long the connections that were added may work, together, from the beginning of the block."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._connections: list[sqlite3.Connection] = []
        self._worker = Worker(self._work, "exptrack-deadline")

    def __enter__(self) -> Self:
        self._end = time.monotonic() + self.seconds
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
        """Whether the time is over."""
        return time.monotonic() > self._end

    def add(self, connection: sqlite3.Connection) -> None:
        """Interrupt this connection too."""
        self._connections.append(connection)

    def _work(self) -> None:
        while not self._worker.wait(max(self._end - time.monotonic(), REPEAT_S)):
            if self.is_over:
                for connection in list(self._connections):
                    with suppress(sqlite3.ProgrammingError):  # it was closed
                        connection.interrupt()
