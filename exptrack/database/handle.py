"""One SQLite connection and the lock that says whether a thread is inside it."""

from __future__ import annotations

import sqlite3
import threading

from exptrack.database.frozen import Look


class Handle:
    """The SQLite connection of one thread, with its transaction depth. It is open while `raw` is not None.

    `busy` is held while a statement or a transaction runs: whoever closes the connection acquires it first,
    as a close under a statement crashes the interpreter.
    """

    def __init__(self) -> None:
        self.raw: sqlite3.Connection | None = None
        self.checkpointer: sqlite3.Connection | None = None
        self.busy = threading.RLock()
        self.depth = 0
        self.commits = 0
        self.seen: Look | None = None  # how the file looked when it was opened as immutable

    def close(self) -> None:
        """Close the connections; the next statement of the thread opens new ones. Call while `busy` is held."""
        raw, checkpointer = self.raw, self.checkpointer
        self.raw = self.checkpointer = None
        self.depth = 0
        for one in (checkpointer, raw):
            if one is not None:
                one.close()

    def abandon(self) -> list[sqlite3.Connection]:
        """Give the connections up without closing them; return them, to be kept alive for ever."""
        left = [one for one in (self.raw, self.checkpointer) if one is not None]
        self.raw = self.checkpointer = None
        self.depth = 0
        return left
