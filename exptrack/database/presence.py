"""Show by a lock that this process lives, to processes that cannot see it: those in other containers.

A process in another pid namespace has no pid here that could be looked up. But one kernel keeps the locks of
both. So a process locks a byte of the archive file that its identity chooses, far behind the end of any
database. The kernel drops the lock with the process. If the byte is free, the process is gone, provided that it
ran under this boot of this kernel.

Invariants:

- A process shows itself before it stores that something is its own.
- The descriptor with the lock stays open until the process ends, also after the archive was closed. There is
  one for each archive file.
- A forked child gives its copy up: it is another process.
"""

from __future__ import annotations

import hashlib
import os
import threading

from exptrack.database import hold
from exptrack.database.connection import Connection
from exptrack.database.descriptors import FileId, file_id
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS, ask_lock, set_lock
from exptrack.process import ProcessIdentity, current_process, is_alive, shares_boot

FIRST_BYTE = 1 << 50  # the largest database of SQLite has 2^48 bytes
BITS = 48

_SHOWN: dict[FileId, int] = {}
_lock = threading.Lock()


def show_presence(connection: Connection) -> bool:
    """Let other processes see that this one lives, for as long as it does; return whether they can.

    They cannot where the system has no such locks.
    """
    held = connection.current_hold
    if not HAS_OPEN_FILE_LOCKS or held is None:
        return False
    import fcntl

    with _lock:
        _close_those_of_deleted_files()
        shown = _SHOWN.get(held.main_id)
        if shown is not None and file_id(shown) == held.main_id:
            return True
        try:
            descriptor = os.open(held.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False  # the file was moved: the change that follows tells
        hold.count_as_ours(descriptor)  # never closed: that would drop the locks that SQLite has on the file
        if file_id(descriptor) != held.main_id:
            return False
        try:
            set_lock(descriptor, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, _byte_of(current_process()), 1)
        except OSError:
            return False  # a file system without locks
        _SHOWN[held.main_id] = descriptor
    return True


def _close_those_of_deleted_files() -> None:
    for identity, descriptor in list(_SHOWN.items()):
        if file_id(descriptor) == identity and not os.fstat(descriptor).st_nlink:
            del _SHOWN[identity]
            hold.close_of_deleted(descriptor)


def is_process_alive(connection: Connection, identity: ProcessIdentity) -> bool | None:
    """Whether a process that has shown itself on this archive still runs; None if that cannot be known here."""
    alive = is_alive(identity)
    held = connection.current_hold
    if alive is not None or held is None or not HAS_OPEN_FILE_LOCKS or not shares_boot(identity):
        return alive
    try:
        return ask_lock(held.main, _byte_of(identity), 1) is not None
    except OSError:
        return None


def _byte_of(identity: ProcessIdentity) -> int:
    digest = hashlib.sha256("\0".join(map(str, identity)).encode(errors="replace")).digest()
    return FIRST_BYTE + (int.from_bytes(digest[:8], "big") >> (64 - BITS))


def _leave_to_parent() -> None:
    global _lock
    _lock = threading.Lock()
    for identity, descriptor in _SHOWN.items():
        if file_id(descriptor) == identity:
            os.close(descriptor)
    _SHOWN.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
