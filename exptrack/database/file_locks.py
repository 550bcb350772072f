"""Locks of an *open file description*: only the last close of their own descriptor or mapping drops them.

A fork inherits them with the description. A program that is executed does not.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

HAS_OPEN_FILE_LOCKS = sys.platform == "linux" and struct.calcsize("P") == 8 and hasattr(fcntl, "F_OFD_SETLK")
PAGE = mmap.PAGESIZE
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


def ask_length(descriptor: int, begin: int) -> int | None:
    """Return the length of the lock that keeps a write lock on byte `begin` away from us; None without one."""
    packed = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, begin, 1, 0)
    kind, _whence, _begin, size, _owner = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, packed))
    return None if kind == fcntl.F_UNLCK else int(size)


def lock_draft(descriptor: int) -> bool:
    """Lock an open draft until the descriptor is closed; False if another process has, or locks are missing."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


# The C library maps the page: a mapping of Python's keeps a descriptor, and closes its number later, even if
# that is another file by then.


def map_page(descriptor: int) -> int:
    """Map one page of the file, which keeps the locks of its description; return the address, or 0."""
    import ctypes

    library = ctypes.CDLL(None)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    address = library.mmap(None, PAGE, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    return 0 if address in (None, ctypes.c_void_p(-1).value) else int(address)


def unmap(address: int, length: int = PAGE) -> None:
    """Remove a mapping, and with the last of its description the locks."""
    import ctypes

    library = ctypes.CDLL(None)
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.munmap(address, length)
