"""Let no SQLite connection cross a fork.

A fork copies SQLite's table of locks, but not the locks themselves. A child that used the copied table would
write without any lock. So the forking thread waits until no thread is inside SQLite, and closes every
connection of the process. Parent and child open their own when they need one. The hold stays meanwhile, so no
WAL is folded. No thread of exptrack runs at the fork, unless one is busy for a second.

Invariants: between the hooks no connection is open and none can be opened (`GATE`). Where a thread stays
inside for over 10 s, the parent is unharmed, and calls in the child raise `ForkUnsafeError`. The same holds for
a child that C code forked: no hook of Python ran, and its first call finds another process id.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence

import exptrack.threads as threads
from exptrack.database import hold, sections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol


WAIT_S = 10.0
LAUNCHER = "multiprocessing.popen_fork"
ADVICE = (
    "start the process by spawn, forkserver or subprocess, or fork while the script uses no SQLite of its own"
)

# Held by a thread that forks, and for a moment by one that is about to open a connection.
GATE = threading.RLock()


if TYPE_CHECKING:

    class Lock(Protocol):
        """A lock that is held over a fork."""

        def release(self) -> None: ...

    class Forkable(Protocol):
        """A set of SQLite connections that a fork must not copy."""

        def close_before_fork(self, deadline: float) -> list[threading.RLock] | None: ...
        def begin_as_child(self, unsafe: str | None) -> None: ...


_CONNECTIONS: weakref.WeakSet[Forkable] = weakref.WeakSet()
_BEFORE: list[Callable[[], None]] = []
_HOLDERS: list[Callable[[], Sequence[Lock]]] = []
_IN_CHILD: list[Callable[[], None]] = []
_process = os.getpid()  # the one that the hooks, or `prepare_late`, have prepared
_late = threading.Lock()
_KEPT: list[object] = []  # inherited connections, which may be neither used nor closed
_state = threading.local()


def register(connection: Forkable) -> None:
    """Close the connections of `connection` before each fork."""
    with GATE:
        _CONNECTIONS.add(connection)


def forget(connection: Forkable) -> None:
    """Undo :func:`register`, once everything is closed."""
    with GATE:
        _CONNECTIONS.discard(connection)


def connections() -> list[Forkable]:
    """Return what is registered."""
    with GATE:
        return list(_CONNECTIONS)


def keep_for_ever(things: Iterable[object]) -> None:
    """Make inherited connections immortal: not even the end of the interpreter closes them."""
    import ctypes

    for thing in things:
        _KEPT.append(thing)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def is_ended_by_parent() -> bool:
    """Whether the fork under way makes a worker that ``multiprocessing`` ends together with its parent."""
    worker = _find_worker()
    return worker is not None and bool(getattr(worker, "daemon", False))


def is_worker() -> bool:
    """Whether the fork under way makes a worker of ``multiprocessing``."""
    return _find_worker() is not None


def _find_worker() -> object | None:
    """Return the ``multiprocessing`` process that the calling thread is about to fork."""
    if LAUNCHER not in sys.modules:
        return None
    frame = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == LAUNCHER:
            found: object | None = frame.f_locals.get("process_obj")
            return found
        frame = frame.f_back  # type: ignore[assignment]
    return None


def run_before(work: Callable[[], None], hold_locks: Callable[[], Sequence[Lock]]) -> None:
    """Call `work` before each fork, while connections can be used; then `hold_locks`, after the last section.

    The parent releases the locks that `hold_locks` returns.
    """
    _BEFORE.append(work)
    _HOLDERS.append(hold_locks)


def run_in_child(work: Callable[[], None]) -> None:
    """Call `work` in each forked child, before any code of the user, in the order of these calls."""
    _IN_CHILD.append(work)


def _is_unprepared() -> bool:
    return os.getpid() != _process


def prepare_late() -> None:
    """Do in a child that C code forked what the hooks do in others; SQLite is not safe in it."""
    if not _is_unprepared():
        return
    with _late:
        if _is_unprepared():
            _state.is_prepared = False
            _after_in_child()


def _end_threads() -> None:
    prepare_late()
    threads.await_return_of_fork()
    _state.workers = threads.list_workers()
    threads.end_before_fork(_state.workers)
    for work in _BEFORE:
        work()
    # A section may open a connection, which waits for the gate. So the gate is still open here.
    threads.end_before_fork(sections.list_running())


def _close_connections() -> None:
    _state.locks = [lock for hold_locks in _HOLDERS for lock in hold_locks()]
    GATE.acquire()
    deadline = time.monotonic() + WAIT_S
    _state.is_prepared, _state.unsafe = True, None
    for connection in list(_CONNECTIONS):
        locks = connection.close_before_fork(deadline)
        if locks is None:
            _state.unsafe = "a thread of its parent was inside SQLite"
        else:
            _state.locks += locks
    if _state.unsafe is None and hold.is_open_elsewhere():
        _state.unsafe = "its parent had the archive open by a connection or file of its own"


def _after_in_parent() -> None:
    if getattr(_state, "is_prepared", False):  # else C code called this hook without the one before
        _state.is_prepared = False
        for lock in reversed(_state.locks):
            lock.release()
        _state.locks = []
        GATE.release()
    workers, _state.workers = getattr(_state, "workers", ()), ()
    threads.begin_again(workers)


def _after_in_child() -> None:
    global GATE, _process
    unsafe = "C code forked it without Python's hooks"
    if getattr(_state, "is_prepared", False):
        unsafe = _state.unsafe
    _state.is_prepared, _state.locks, _state.workers = False, [], ()
    GATE = threading.RLock()
    threads.forget_workers()
    sections.forget_running()
    hold.leave_to_parent()
    for connection in list(_CONNECTIONS):
        connection.begin_as_child(unsafe)
    for work in _IN_CHILD:
        work()
    _process = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_close_connections, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
    os.register_at_fork(before=_end_threads)  # the hook registered last runs first
