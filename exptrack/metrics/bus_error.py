"""Survive a store into a mapped journal that another program has just cut short.

Linux and macOS send the process SIGBUS for such a store. A handler set by ``signal.signal`` is of no use: it
only notes the signal, and the store repeats for ever. A C handler that gives the file its length again lets the
store succeed. Ours is a function of Python that ctypes makes callable from C. It may run there, because the
signal comes from the store itself: the thread is inside that one call, and holds the GIL.

Invariants:

- A SIGBUS that no journal of this process explains gets the handler that was set before, and the fault repeats
  for it. So an error of other code ends the process as it would without exptrack.
- A forked child heals nothing: the journals are its parent's.
- A handler that the script set from Python stays. Then only the regular looks at the file protect the journal.
"""

from __future__ import annotations

import os
import signal
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol


ACTION_BYTES = 512  # more than any system's struct sigaction has


if TYPE_CHECKING:

    class Healing(Protocol):
        """A journal whose file may have been cut."""

        def heal(self) -> bool:
            """Make the file long enough for the store under way; return False if that was not the trouble."""


_JOURNALS: weakref.WeakSet[Healing] = weakref.WeakSet()
_kept: list[Any] = []  # what C points to; filled once the handler is set


def protect(journal: Healing) -> None:
    """Let stores into the journal's mapping succeed although its file is cut, where the system allows it."""
    _JOURNALS.add(journal)
    if not _kept and hasattr(signal, "SIGBUS") and signal.getsignal(signal.SIGBUS) in (signal.SIG_DFL, None):
        _set_handler(signal.SIGBUS)


def _set_handler(number: int) -> None:
    import ctypes

    library = ctypes.CDLL(None)
    if not (hasattr(library, "sigaction") and hasattr(library, "signal")):
        return
    before = ctypes.create_string_buffer(ACTION_BYTES)

    def handle(_number: int) -> None:
        for journal in list(_JOURNALS):
            if journal.heal():
                return
        library.sigaction(number, before, None)

    try:
        callback = ctypes.CFUNCTYPE(None, ctypes.c_int)(handle)
    except MemoryError:  # a hardened system gives no memory that can be run
        return
    _kept.extend((library, before, handle, callback))
    library.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    library.signal.restype = ctypes.c_void_p
    library.sigaction(number, None, before)
    library.signal(number, ctypes.cast(callback, ctypes.c_void_p))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_JOURNALS.clear)
