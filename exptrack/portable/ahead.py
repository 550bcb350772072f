"""Prepare work in a thread while the caller waits for something that leaves Python free.

A thread that computes keeps other threads from Python for 5 ms whenever they want it back. A loop over rows of
SQLite wants it back at each row. So the thread works only while the caller is in one long call without Python.

Invariants:

- An item that is not there when it is taken is prepared by the caller. So nothing waits for the thread, and a
  system without room for one only loses time.
- The caller and the thread never prepare at once.
- An error that ends the preparation is raised by each later call of :meth:`Ahead.take`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Generic, Self, TypeVar

from exptrack.threads import Signal, Worker

_T = TypeVar("_T")

ITEMS_AHEAD = 2
END_WAIT_S = 5.0  # for a step, which takes milliseconds


class Ahead(Generic[_T]):
    """Takes items from `steps`, which yields them, and None after each step towards one. Use it as a block."""

    def __init__(self, steps: Iterator[_T | None]) -> None:
        self._steps = steps
        self._items: deque[_T] = deque()
        self._lock = threading.Lock()  # of the steps
        self._is_over = self._is_open = False
        self._error: BaseException | None = None
        self._go = Signal()
        self._worker = Worker(self._work, "exptrack-ahead", self._go.set)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._is_open, self._is_over = False, True
        self._worker.stop(END_WAIT_S)

    def take(self) -> _T | None:
        """Return the next item, or None at the end."""
        while not self._items and not self._is_over:
            self._advance()
        if self._items:
            return self._items.popleft()
        if self._error is not None:
            raise self._error
        return None

    @contextmanager
    def meanwhile(self) -> Iterator[None]:
        """Prepare in the thread while the block runs."""
        self._is_open = not self._is_over and self._worker.begin()
        self._go.set()
        try:
            yield
        finally:
            self._is_open = False

    def _work(self) -> None:
        while not self._worker.has_to_end:
            if self._is_open and not self._is_over and len(self._items) < ITEMS_AHEAD:
                self._advance()
            else:
                self._go.wait()

    def _advance(self) -> None:
        with self._lock:
            if self._is_over:
                return
            try:
                item = next(self._steps)
            except StopIteration:
                self._is_over = True
            except BaseException as error:  # one that was thrown at the thread ends the steps too
                self._error, self._is_over = error, True
            else:
                if item is not None:
                    self._items.append(item)
