"""Run the threads of exptrack so that a process which forks has none of them at that moment.

A fork copies the forking thread alone. Python 3.12 and later count the threads of a process that forks, and
warn of more than one. So each thread of exptrack ends before a fork, and begins again in the parent.

Invariants:

- A worker that begins again goes on where it was: its work keeps what it knows outside the thread.
- A fork waits at most `END_WAIT_S` for a thread that is busy. That thread then goes on, and Python warns.
- A forked child has no thread of exptrack until it begins its own.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from exptrack.errors import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

END_WAIT_S = 1.0
LOOK_S = 0.0001
# These count the threads after the hooks of the parent: https://github.com/python/cpython/issues/137109
COUNTS_LATE = (3, 13) <= sys.version_info < (3, 13, 10) or (3, 14) <= sys.version_info < (3, 14, 1)


class Signal:
    """Wakes one waiting thread, once for any number of calls of :meth:`set`.

    A bare lock: an interrupt inside ``threading.Event.set()`` leaves the event's own lock held for ever.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Let the next or the present :meth:`wait` return."""
        with suppress(RuntimeError):  # it is set already
            self._lock.release()

    def wait(self, timeout_s: float = -1) -> bool:
        """Wait for the signal and take it back; return False if the time is over."""
        return self._lock.acquire(timeout=timeout_s)


if TYPE_CHECKING:

    class Endable(Protocol):
        """A thread that ends when it is asked to."""

        native_id: int

        @property
        def is_ending(self) -> bool: ...
        @property
        def is_running(self) -> bool: ...
        @property
        def is_here(self) -> bool: ...
        def ask_to_end(self) -> None: ...


class Worker:
    """A daemon thread that calls `work`, ends before a fork, and calls `work` again in the parent after it.

    `work` waits by :meth:`wait`, and returns once :attr:`has_to_end`. If it waits for anything else, `wake`
    ends that wait without blocking. Work that has nothing more to do calls :meth:`stop` and returns.
    """

    def __init__(self, work: Callable[[], None], name: str, wake: Callable[[], None] | None = None) -> None:
        self._work = work
        self._name = name
        self._wake = wake
        self._signal = Signal()
        self._lock = threading.RLock()  # a signal handler that forks may interrupt its own thread here
        self._thread: threading.Thread | None = None
        self._is_stopped = self._is_forking = False
        self.is_running = False
        self.native_id = 0

    @property
    def has_to_end(self) -> bool:
        """Whether the work has to return, at the end for good or until the process has forked."""
        return self._is_stopped or self._is_forking

    @property
    def is_ending(self) -> bool:
        """Whether the thread runs, but will not for long."""
        return self.has_to_end and self.is_running

    @property
    def is_here(self) -> bool:
        """Whether the caller is this thread."""
        return threading.current_thread() is self._thread

    def begin(self) -> bool:
        """Begin the thread, unless it runs or has to end; return False where the system has no room for it."""
        with self._lock:
            if self.is_running or self.has_to_end:
                return True
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self.is_running = True
            _WORKERS.add(self)
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None
                self._leave()
                return False
            self.native_id = self._thread.native_id or 0
        return True

    def wait(self, seconds: float) -> bool:
        """Wait that long; return True at once when the work has to return."""
        return self.has_to_end or (self._signal.wait(max(0.0, seconds)) and self.has_to_end)

    def stop(self, within_s: float = 0.0) -> None:
        """Let the work return for good, and wait that long for it, unless the work itself calls this."""
        self._is_stopped = True
        self._rouse()
        if within_s and not self.is_here and self._thread is not None:
            self._thread.join(within_s)

    def ask_to_end(self) -> None:
        """Let the work return until :meth:`begin_again`."""
        self._is_forking = True
        self._rouse()

    def begin_again(self) -> None:
        """Undo :meth:`ask_to_end`; warn where the thread cannot begin."""
        self._signal.wait(0)
        self._is_forking = False
        if not self.begin():
            warn(f"the process may begin no more threads, so {self._name} ended; allow it more threads")
        elif self._wake is not None:
            self._wake()  # the thread may have taken a signal as it ended

    def _rouse(self) -> None:
        self._signal.set()
        if self._wake is not None:
            self._wake()

    def _run(self) -> None:
        try:
            self._work()
            while not self._leaves():  # the fork was over before the work returned
                self._work()
        except BaseException:  # it goes on; but no later call may wait for a thread that has ended
            self._leave()
            raise

    def _leaves(self) -> bool:
        with self._lock:
            if not self.has_to_end:
                return False
            self._leave()
            return True

    def _leave(self) -> None:
        self.is_running = False
        _WORKERS.discard(self)


_WORKERS: set[Worker] = set()  # those whose thread runs


def list_workers() -> list[Worker]:
    """Return the workers whose thread runs."""
    return list(_WORKERS)


def end_before_fork(threads: Iterable[Endable]) -> None:
    """Ask these threads to end, and wait until the system has none of them, for 1 s at most.

    The calling thread goes on, if it is one of them. So does one to which other threads give work meanwhile.
    """
    threads = [thread for thread in threads if not thread.is_here]
    for thread in threads:
        thread.ask_to_end()
    deadline = time.monotonic() + END_WAIT_S
    for thread in threads:
        # The system counts a thread for a moment after Python has left it.
        path = f"/proc/self/task/{thread.native_id}"
        while thread.is_ending or (not thread.is_running and os.path.exists(path)):
            if time.monotonic() > deadline:
                return
            time.sleep(LOOK_S)


def begin_again(workers: Iterable[Worker]) -> None:
    """Begin the workers again in the parent of a fork.

    Where Python counts the threads after the hooks, the main thread begins them once ``os.fork`` has returned.
    If another thread forks, the main thread is counted anyway, and may wait for long.
    """
    if COUNTS_LATE and threading.current_thread() is threading.main_thread():
        _LATE.extend(workers)
        return
    for worker in workers:
        worker.begin_again()


def forget_workers() -> None:
    """In a forked child: no worker's thread exists."""
    _WORKERS.clear()
    _LATE.clear()


_LATE: list[Worker] = []
_late_call: object = None  # as C code calls it


def _begin_late(_nothing: object) -> int:
    while _LATE:
        _LATE.pop().begin_again()
    return 0


def await_return_of_fork() -> None:
    """Let the main thread call :func:`_begin_late` after each fork from now on, if Python counts late.

    Python does so before the next step of Python code. So the hook is C code alone, and the last one.
    """
    global _late_call
    if not COUNTS_LATE or _late_call is not None:
        return
    import ctypes

    _late_call = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(_begin_late)
    os.register_at_fork(after_in_parent=partial(ctypes.pythonapi.Py_AddPendingCall, _late_call, None))
