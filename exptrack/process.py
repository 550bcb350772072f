"""Which process this is, and whether another one still lives.

Invariants: a process is known by host, boot, pid and start time together. "Dead" is said only with proof: the
kernel denies the pid, or the pid began at another time, or the machine was booted since. Whatever cannot be
seen (another host's processes, another user's under a ``/proc`` mounted with hidepid) is unknown, never dead.
Nothing known of a parent serves its forked child.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import NamedTuple

_READ_LIMIT = 1 << 20


class ProcessIdentity(NamedTuple):
    """A process that can be recognised again: host, boot, pid and when that pid began."""

    host_id: str
    boot_id: str
    pid: int
    started: str


_current: ProcessIdentity | None = None


def current_process() -> ProcessIdentity:
    """This process."""
    global _current
    pid = os.getpid()
    if _current is None or _current.pid != pid:
        _current = ProcessIdentity(_host_id(), _boot_id(), pid, _started(pid) or "")
    return _current


def _forget_parent() -> None:
    # In a new pid namespace a child may have the parent's number, so the pid alone does not tell.
    global _current
    _current = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


def is_alive(identity: ProcessIdentity) -> bool | None:
    """Whether the process still runs; None when that cannot be known from here."""
    me = current_process()
    if identity.host_id != me.host_id:
        return None
    booted_since = identity.boot_id != me.boot_id
    if booted_since and _is_kernels(identity.boot_id) != _is_kernels(me.boot_id):
        return None
    if booted_since and _is_kernels(me.boot_id):
        return False
    # A boot time moves when the clock is set, so where the kernel names no boot the start time decides.
    started = _started(identity.pid)
    if started is None:
        return False
    if not started or not identity.started:
        return None
    return started == identity.started


def _is_kernels(boot_id: str) -> bool:
    return not boot_id.isdigit()


def read_small(path: str) -> str | None:
    """The first MiB of a regular file as text; None for anything else, also for what would block."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        # Files of /proc give what they have in one read.
        return os.read(descriptor, _READ_LIMIT).decode("utf-8", "replace")
    except OSError:
        return None
    finally:
        os.close(descriptor)


def node_name() -> str:
    """The name of this machine."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import platform

    return platform.node()


def _namespace(kind: str) -> str:
    try:
        return os.readlink(f"/proc/self/ns/{kind}")
    except (OSError, AttributeError):
        return ""


def _host_id() -> str:
    """A digest of node name, machine, pid and time namespace: pids and starts mean the same within all four."""
    machine = (read_small("/etc/machine-id") or "").strip()
    parts = (node_name(), machine, _namespace("pid"), _namespace("time"))
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:16]


def _boot_id() -> str:
    kernel = read_small("/proc/sys/kernel/random/boot_id")
    if kernel is not None:
        return kernel.strip()
    import psutil

    return str(round(psutil.boot_time()))


def _started(pid: int) -> str | None:
    """When the process began, as text to compare; "" when that is hidden; None when there is none.

    A zombie is none: it will never write again.
    """
    if not 0 < pid < 1 << 31:
        return None
    if read_small("/proc/self/stat") is None:
        return _started_portably(pid)
    seen = read_small(f"/proc/{pid}/stat")
    if not seen:
        return "" if _exists(pid) else None
    # The command name stands in parentheses and may hold anything, also parentheses.
    fields = seen[seen.rfind(")") + 1 :].split()
    return None if fields[0] in "ZX" else fields[19]


def _exists(pid: int) -> bool:
    """Whether the kernel knows the pid. Signal 0 tells also where /proc shows only one's own processes."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _started_portably(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return repr(process.create_time())
    except psutil.NoSuchProcess:
        return None
    except (psutil.Error, OSError):
        return ""
