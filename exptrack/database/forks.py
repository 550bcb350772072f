"""Let no SQLite connection cross a fork.

A fork copies SQLite's table of locks, but not the kernel's locks: a child that went on with it would
believe in locks that it does not have. So the forking thread waits until no thread is inside SQLite, closes
every connection of the process, and both sides open afresh when they need to. The hold stays meanwhile, so
nothing is folded.

Invariants: between the hooks no connection is open and none can be opened (`GATE`). Where a thread stays
inside for over 10 s, the parent is unharmed and the child is told that SQLite is not safe there.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterable
from typing import Protocol

from exptrack.database import hold

WAIT_S = 10.0

# Held by a thread that forks, and for a moment by one that is about to open a connection.
GATE = threading.RLock()


class Forkable(Protocol):
    """A set of SQLite connections that a fork must not copy."""

    def close_before_fork(self, deadline: float) -> list[threading.RLock] | None: ...
    def begin_as_child(self, unsafe: str | None) -> None: ...


_CONNECTIONS: weakref.WeakSet[Forkable] = weakref.WeakSet()
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


def _before() -> None:
    GATE.acquire()
    deadline = time.monotonic() + WAIT_S
    _state.unsafe, _state.locks = None, []
    for connection in list(_CONNECTIONS):
        locks = connection.close_before_fork(deadline)
        if locks is None:
            _state.unsafe = "a thread of its parent was inside SQLite"
        else:
            _state.locks += locks
    if _state.unsafe is None and hold.is_open_elsewhere():
        _state.unsafe = "its parent had the archive open by a connection or file of its own"


def _after_in_parent() -> None:
    for lock in reversed(_state.locks):
        lock.release()
    _state.locks = []
    GATE.release()


def _after_in_child() -> None:
    global GATE
    unsafe = _state.unsafe
    GATE = threading.RLock()
    for connection in list(_CONNECTIONS):
        connection.begin_as_child(unsafe)
    _state.locks = []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
