"""Run every change of an archive in a thread of its own; the caller only waits.

Python runs signal handlers in the main thread, and an exception thrown at a thread reaches that thread
only. Work that runs in our own thread therefore cannot be cut in two by ctrl-C, SIGTERM, a user's timeout
or an exception thrown from outside: it ends whole, or it does not begin.

Invariants:

- A section opens its transaction, does its work, commits, and changes the Python state that belongs to it,
  before its caller goes on. A section that raises leaves no transaction behind.
- Users' iterables and callbacks run in the caller's thread, before or between sections, never inside one.
- Nothing waits for a section while holding a lock that a section takes.
- The thread ends before a fork, and the next section begins it again.
- No lock with a Python-level ``acquire`` stands on a path that an exception can interrupt: only ``with`` on a
  ``threading.Lock`` or ``RLock``, `SimpleQueue`, and a bare lock used as a signal.
"""

from __future__ import annotations

import _thread
import sys
import threading
import time
from _queue import SimpleQueue  # where `queue` has it from, which loads 0.5 ms more
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _T = TypeVar("_T")


LOOK_S = 0.2
PATIENCE_S = 5.0  # for a change under way, once its caller was interrupted


class Ticket:
    """One section: the work, its outcome, and whether its caller has given up."""

    __slots__ = ("_free", "cancelled", "done", "error", "is_over", "result", "stop", "work")

    def __init__(self, work: Callable[[], Any], stop: Callable[[], None] | None) -> None:
        self.work: Callable[[], Any] | None = work
        self.stop = stop
        self.result: Any = None
        self.error: BaseException | None = None
        self.cancelled = self.is_over = False
        self.done = _thread.allocate_lock()
        self.done.acquire()
        self._free = [True]  # until the thread takes the ticket or the caller withdraws it: one of them can pop

    def take(self) -> bool:
        """Let the work begin; return False if its caller has withdrawn it."""
        try:
            return self._free.pop()
        except IndexError:
            return False

    def withdraw(self) -> bool:
        """Keep the work from beginning; return False if it has begun, or was withdrawn before."""
        is_withdrawn = self.take()
        self.is_over |= is_withdrawn
        return is_withdrawn


class SectionThread:
    """A daemon thread that runs sections one after the other. A section begins it wherever it does not run."""

    def __init__(self) -> None:
        self._tickets: SimpleQueue[Ticket | None] = SimpleQueue()
        self._claim = threading.Lock()
        self._ident: int | None = None
        self.native_id = 0
        self.is_ending = False  # it was asked to end, and has not done what was queued before
        self._current: Ticket | None = None

    @property
    def is_here(self) -> bool:
        """Whether the caller is inside a section of this thread."""
        return self._ident == _thread.get_ident()

    @property
    def is_running(self) -> bool:
        """Whether the thread exists."""
        return self._ident is not None

    @property
    def caller_has_given_up(self) -> bool:
        """Whether the section under way should not wait any longer; asked while it waits for a lock."""
        ticket = self._current
        return ticket is not None and ticket.cancelled

    def run(
        self, work: Callable[[], _T], stop: Callable[[], None] | None = None, within_s: float | None = None
    ) -> _T:
        """Run `work` in the thread and return what it returns, or raise what it raises.

        An exception that reaches the caller meanwhile (KeyboardInterrupt, for instance) cancels a section
        that has not begun or only waits; one under way ends whole, which the caller awaits for up to 5 s.
        `stop` ends a section that only reads.

        `within_s` cancels the section in the same way, after that time, without an exception of its own: one
        that waits for a lock raises what it then raises.

        Raises:
            TimeoutError: the section had not begun after `within_s`, and does not begin any more.
        """
        if self.is_here or sys.is_finalizing():
            return work()
        ticket = Ticket(work, stop)
        deadline = None if within_s is None else time.monotonic() + within_s
        try:
            self._tickets.put(ticket)
            if not self._start() and ticket.withdraw():
                return work()
            # A signal that another thread receives does not wake this one; it is seen at the next turn.
            while not ticket.done.acquire(timeout=LOOK_S):
                if deadline is not None and time.monotonic() > deadline:
                    ticket.cancelled = True
                    if ticket.withdraw():
                        raise TimeoutError
        except BaseException:
            ticket.cancelled = True
            if ticket.stop is not None:
                ticket.stop()
            # If it is over, the lock may be taken already: the exception came as the wait ended.
            if not ticket.withdraw() and not ticket.is_over:
                ticket.done.acquire(timeout=PATIENCE_S)
            raise
        error, result = ticket.error, ticket.result
        if error is not None:
            ticket.error = None
            try:
                raise error
            finally:
                del error, ticket
        return result  # type: ignore[no-any-return]

    def finishes(self, work: Callable[[], object], within_s: float) -> bool:
        """Run `work` and tell whether it ended in time; if not, the thread hangs and is left to itself."""
        ticket = Ticket(work, None)
        self._tickets.put(ticket)
        self._start()
        return ticket.done.acquire(timeout=within_s)

    def ask_to_end(self) -> None:
        """Let the thread end after what is queued."""
        self.is_ending = True
        self._tickets.put(None)

    def _start(self) -> bool:
        """Begin the thread if there is none; False where the system has no room for one more.

        Call it once the ticket is queued: a thread that ends looks for tickets afterwards.
        """
        if self._ident is None:
            # Without threading.Thread: its start() waits on an Event, which an interrupt can leave locked.
            try:
                _thread.start_new_thread(self._work, ())
            except RuntimeError:
                return False
        return True

    def _work(self) -> None:
        while self._claims():
            try:
                self._run_tickets()
            finally:
                _RUNNING.discard(self)
                self._ident = None
                self.is_ending = False
            # A caller that queued its section before `_ident` was None has begun no other thread for it.
            if self._tickets.empty():
                return

    def _claims(self) -> bool:
        with self._claim:
            if self._ident is not None:
                return False  # another thread runs the sections
            self.native_id = _thread.get_native_id()
            self._ident = _thread.get_ident()
            _RUNNING.add(self)
            return True

    def _run_tickets(self) -> None:
        while (ticket := self._tickets.get()) is not None:
            self._current = ticket
            work, ticket.work = ticket.work, None
            assert work is not None
            try:
                if ticket.take():
                    ticket.result = work()
            except BaseException as error:
                ticket.error = error
            self._current = None
            del work
            ticket.is_over = True
            ticket.done.release()
            del ticket


_RUNNING: set[SectionThread] = set()


def list_running() -> list[SectionThread]:
    """Return the section threads of this process that exist."""
    return list(_RUNNING)


def forget_running() -> None:
    """In a forked child: no section thread exists."""
    _RUNNING.clear()
