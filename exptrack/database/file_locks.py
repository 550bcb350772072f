"""Locks of an *open file description*: only the last close of their own descriptor or mapping drops them.

A fork inherits them with the description. A program that is executed does not.
"""

from __future__ import annotations

import os
import struct
import sys

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

HAS_OPEN_FILE_LOCKS = sys.platform == "linux" and struct.calcsize("P") == 8 and hasattr(fcntl, "F_OFD_SETLK")
_FLOCK = struct.Struct("hhqqi4x")  # type, whence, start, length, pid: 64-bit Linux


def set_lock(descriptor: int, command: int, kind: int, begin: int, size: int) -> None:
    """Set or drop a lock, without waiting.

    Raises:
        OSError: another description or process holds these bytes, or the file system has no such locks.
    """
    fcntl.fcntl(descriptor, command, _FLOCK.pack(kind, os.SEEK_SET, begin, size, 0))


def ask_lock(descriptor: int, begin: int, size: int) -> int | None:
    """Return the process that keeps a write lock on these bytes away from us.

    None if there is none; -1 if an open file description holds the lock, which names no process.
    """
    packed = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, begin, size, 0)
    kind, _whence, _begin, _size, owner = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, packed))
    return None if kind == fcntl.F_UNLCK else int(owner)
