"""Stop what an archive reads: after a time, or when another thread asks for it.

Invariant: a limit stops readings only. A change to the archive always ends whole.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType

from exptrack.errors import InvalidValueError, QueryStoppedError
from exptrack.plain import short_repr
from exptrack.validation import check_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self, TypeVar

    _T = TypeVar("_T")


STEPS_PER_LOOK = 1_000  # of SQLite's virtual machine, between two looks at the limit: some 10 µs


class TimeLimit:
    """Limit how long the readings in a block take together, on any archive.

    After `seconds`, or once a thread has called :meth:`stop`, the reading under way raises QueryStoppedError,
    and so does each later one in the block. That holds for every call that reads: filters, counts, curves,
    statistics, comparisons, SQL. A change to the archive is never cut short.

    The block is that of its thread or its asynchronous task; ``asyncio.to_thread`` takes it along. Within
    another block, both limits hold. A limit can be used once.

    >>> from exptrack import Archive
    >>> with Archive(tmp_path / "lab.db") as archive, TimeLimit(2.0):
    ...     archive.runs().where("config.lr < 0.1").count()
    0

    Raises:
        InvalidValueError: `seconds` is not above 0, or the limit was used before.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = None if seconds is None else check_number(seconds, "seconds")
        if self._seconds is not None and not self._seconds > 0:
            raise InvalidValueError(f"seconds must be above 0, not {short_repr(seconds)}")
        self._deadline: float | None = None
        self._is_stopped = False
        self._outer: TimeLimit | None = None
        self._token: Token[TimeLimit | None] | None = None

    def __repr__(self) -> str:
        return f"TimeLimit({self._seconds!r})"

    def __enter__(self) -> Self:
        if self._token is not None:
            raise InvalidValueError("a TimeLimit can be used only once; make another one")
        if self._seconds is not None:
            self._deadline = time.monotonic() + self._seconds
        self._outer = _CURRENT.get()
        self._token = _CURRENT.set(self)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        assert self._token is not None
        _CURRENT.reset(self._token)

    def stop(self) -> None:
        """Stop the readings of the block, from any thread."""
        self._is_stopped = True

    @property
    def is_over(self) -> bool:
        """Whether the readings of the block are stopped."""
        if self._is_stopped or (self._deadline is not None and time.monotonic() > self._deadline):
            return True
        return self._outer is not None and self._outer.is_over

    @property
    def seconds_left(self) -> float | None:
        """How long readings may still take; None if there is no limit of time."""
        own = None if self._deadline is None else self._deadline - time.monotonic()
        outer = None if self._outer is None else self._outer.seconds_left
        return own if outer is None else outer if own is None else min(own, outer)

    def check(self) -> None:
        """Raise the error of a stopped reading, if it is to be stopped.

        Raises:
            QueryStoppedError: the time is up, or a thread has called :meth:`stop`.
        """
        if not self.is_over:
            return
        if self._outer is not None:
            self._outer.check()
        why = "by another thread" if self._is_stopped else f"after {self._seconds:g} s"
        raise QueryStoppedError(f"stopped {why}; narrow the query, or give it more time")


_CURRENT: ContextVar[TimeLimit | None] = ContextVar("exptrack_time_limit", default=None)


def current_limit() -> TimeLimit | None:
    """Return the limit of this thread or task; None if there is none."""
    return _CURRENT.get()


def check_limit() -> None:
    """Stop work that reads nothing meanwhile, if its limit is reached.

    Raises:
        QueryStoppedError: the limit is reached.
    """
    limit = _CURRENT.get()
    if limit is not None:
        limit.check()


def watch_statement(limit: TimeLimit, connect: Callable[[], sqlite3.Connection], run: Callable[[], _T]) -> _T:
    """Call `run`, which reads on the connection of `connect`, and stop it if the limit is reached.

    Raises:
        QueryStoppedError: it was stopped.
    """
    limit.check()
    raw = connect()
    raw.set_progress_handler(lambda: limit.is_over, STEPS_PER_LOOK)
    try:
        return run()
    except sqlite3.Error:
        limit.check()
        raise
    finally:
        raw.set_progress_handler(None, 0)


def under_limit(limit: TimeLimit | None, work: Callable[[], _T]) -> _T:
    """Call `work` in this thread under the limit of another thread."""
    token = _CURRENT.set(limit)
    try:
        return work()
    finally:
        _CURRENT.reset(token)
