"""One SQLite connection, the lock that says whether a thread is inside it, and what a statement did."""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Mapping
from enum import Enum

from exptrack.database.descriptors import FileId, NotedNumbers, file_id
from exptrack.database.frozen import Look
from exptrack.database.kept_answers import KeptAnswers
from exptrack.named_tuples import NamedTuple


class Bulk(Enum):
    """Whether a connection checks no foreign keys, and has attached rows that it is given as bytes."""

    NONE = 0
    BEGUN = 1
    HAS_IMAGE = 2


class Left(NamedTuple):
    """A SQLite connection that its thread dropped, with the descriptors that it opened."""

    connection: sqlite3.Connection
    numbers: Mapping[int, FileId]
    noted: NotedNumbers

    def close(self) -> None:
        """Close the connection."""
        self.noted.begin_close(self.numbers)
        self.connection.close()
        self.noted.end_close(self.numbers)


class Handle:
    """The SQLite connection of one thread, with its transaction depth. It is open while `raw` is not None.

    `busy` is held while a statement or a transaction runs. A thread acquires it before it closes the
    connection: a close under a statement crashes the interpreter.

    A handle that its thread dropped as it ended puts its connections into `left`, for others to close: the
    collector may run at any moment, also while the process forks. SQLite does not close them by itself before
    the collector finds them, as each refers to itself by its cache of statements.
    """

    def __init__(self, left: list[Left]) -> None:
        self._left = left
        self.raw: sqlite3.Connection | None = None
        self.keeper: sqlite3.Connection | None = None  # holds the write lock during a checkpoint
        self.busy = threading.RLock()
        self.depth = 0
        self.bulk = Bulk.NONE
        self.commits = 0
        self.used_at = math.inf  # when a thread last asked for it, by time.monotonic()
        # The descriptors that SQLite opened for this handle. Replaced, never changed: read without `busy`.
        self.numbers: Mapping[int, FileId] = {}
        self.noted = NotedNumbers()  # where these are noted, with those of all other handles on the file
        self.is_in_doubt = False  # a look at all of them has found one that leads elsewhere
        self.seen: Look | None = None  # how the file looked when it was opened as immutable
        self.kept = KeptAnswers()

    def has_own_numbers(self) -> bool:
        """Whether the descriptors that SQLite opened still lead to the files it opened."""
        own = all(file_id(number) == identity for number, identity in self.numbers.items())
        self.is_in_doubt = not own
        return own

    def has_own_lowest_number(self) -> bool:
        """Whether the lowest number still leads to its file: a program that closes a range closes it too.

        A descriptor that another thread opened and closed meanwhile may be noted as SQLite's. A commit finds
        that out. From then on all numbers are looked at, so that the connection is opened again.
        """
        if self.is_in_doubt:
            return self.has_own_numbers()
        numbers = self.numbers
        return not numbers or file_id(lowest := min(numbers)) == numbers[lowest]

    def close(self) -> None:
        """Close the connections; the next statement of the thread opens new ones. Call while `busy` is held."""
        raw, keeper, numbers = self.raw, self.keeper, self.numbers
        self.raw = self.keeper = None
        self.depth = 0
        self.bulk = Bulk.NONE
        self.kept.clear()  # the next connection counts commits anew
        self.numbers, self.is_in_doubt = {}, False
        self.noted.begin_close(numbers)
        for one in (keeper, raw):
            if one is not None:
                one.close()
        self.noted.end_close(numbers)

    def abandon(self) -> list[sqlite3.Connection]:
        """Give the connections up without closing them; return them, to be kept alive for ever."""
        left = [one for one in (self.raw, self.keeper) if one is not None]
        self.raw = self.keeper = None
        self.depth = 0
        self.bulk = Bulk.NONE
        self.kept.clear()
        return left

    def __del__(self) -> None:
        # Of a handle whose making an interrupt ended, not even these attributes may be there.
        connections = [one for one in map(self.__dict__.get, ("raw", "keeper")) if one is not None]
        if connections:
            self._left += [Left(one, self.numbers, self.noted) for one in connections]


class Done(NamedTuple):
    """What a changing statement did."""

    rowcount: int
    lastrowid: int | None


def outcome(cursor: sqlite3.Cursor) -> Done:
    """What the statement of a cursor did; closes the cursor."""
    done = Done(cursor.rowcount, cursor.lastrowid)
    cursor.close()
    return done
