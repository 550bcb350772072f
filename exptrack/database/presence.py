"""Show by a lock that this process lives, to processes that cannot see it: those in other containers.

A process in another pid namespace has no pid here that could be looked up. But one kernel keeps the locks of
both. So a process locks a byte of the archive file that its identity chooses, far behind the end of any
database. The kernel drops the lock with the process. If the byte is free, the process is gone, provided that it
ran under this boot of this kernel.

Invariants:

- A process shows itself before it stores that something is its own.
- The descriptor with the lock stays open until the process ends, also after the archive was closed. There is
  one for each archive file.
- A mapping keeps the lock too. Every child that is forked inherits it, and closes the descriptor. So the byte
  is locked while the process or one forked from it lives, also if a daemon closes all its descriptors.
- A worker that its parent ends (``multiprocessing`` with ``daemon=True``) gives the mapping up.
"""

from __future__ import annotations

import os
import threading

from exptrack.database import forks, hold
from exptrack.database.connection import Connection
from exptrack.database.descriptors import FileId, file_id
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS, ask_lock, map_page, set_lock, unmap
from exptrack.digests import sha256
from exptrack.process import ProcessIdentity, current_process, is_alive, shares_boot

FIRST_BYTE = 1 << 50  # the largest database of SQLite has 2^48 bytes
BITS = 48

_SHOWN: dict[FileId, int] = {}
_MAPPED: dict[FileId, int] = {}
_INHERITED: list[int] = []  # the mappings of the processes that this one was forked from
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
        _unmap(held.main_id)
        _SHOWN[held.main_id] = descriptor
        _MAPPED[held.main_id] = map_page(descriptor)
    return True


def _close_those_of_deleted_files() -> None:
    for identity, descriptor in list(_SHOWN.items()):
        if file_id(descriptor) == identity and not os.fstat(descriptor).st_nlink:
            del _SHOWN[identity]
            _unmap(identity)
            hold.close_of_deleted(descriptor)


def _unmap(identity: FileId) -> None:
    address = _MAPPED.pop(identity, 0)
    if address:
        unmap(address)


def is_process_alive(connection: Connection, identity: ProcessIdentity) -> bool | None:
    """Whether a process that has shown itself on this archive still runs; None if that cannot be known here.

    Where it can only be asked by the lock, one that was forked from it counts as the process.
    """
    alive = is_alive(identity)
    return _is_shown(connection, identity) if alive is None else alive


def has_living_child(connection: Connection, identity: ProcessIdentity) -> bool:
    """Whether a process lives that was forked from one that has shown itself here and is gone."""
    return _is_shown(connection, identity) is True


def _is_shown(connection: Connection, identity: ProcessIdentity) -> bool | None:
    held = connection.current_hold
    if held is None or not HAS_OPEN_FILE_LOCKS or not shares_boot(identity):
        return None
    try:
        return ask_lock(held.main, _byte_of(identity), 1) is not None
    except OSError:
        return None


def _byte_of(identity: ProcessIdentity) -> int:
    digest = sha256("\0".join(map(str, identity)).encode(errors="replace")).digest()
    return FIRST_BYTE + (int.from_bytes(digest[:8], "big") >> (64 - BITS))


def _leave_to_parent() -> None:
    global _lock
    _lock = threading.Lock()
    for identity, descriptor in _SHOWN.items():
        if file_id(descriptor) == identity:
            os.close(descriptor)
    _SHOWN.clear()
    _INHERITED.extend(filter(None, _MAPPED.values()))
    _MAPPED.clear()
    if forks.is_ended_by_parent():
        for address in _INHERITED:
            unmap(address)
        _INHERITED.clear()


forks.run_in_child(_leave_to_parent)
