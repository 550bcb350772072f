"""Identify this process, and find out whether another one is still alive.

Invariants:

- A process is identified by its host, boot, pid and start time together.
- A process counts as dead only with proof: the kernel does not know the pid, or the pid started at another
  time, or it executes another program by now, or the machine was booted since.
- A process that cannot be seen is unknown, never dead: on another host, or of another user where ``/proc`` is
  mounted with hidepid.
- A forked child uses nothing that its parent has cached.
"""

from __future__ import annotations

import os
import stat
import time

from exptrack.digests import sha256
from exptrack.named_tuples import NamedTuple

_READ_LIMIT = 1 << 20
HOST_CHARS = 8  # of each half of a host id
STACK = "+"  # stands before the place of the stack in a start time


class ProcessIdentity(NamedTuple):
    """A process that can be recognised later: its host, boot, pid and start time."""

    host_id: str
    boot_id: str
    pid: int
    started: str


_current: ProcessIdentity | None = None


def current_process() -> ProcessIdentity:
    """Return the identity of this process."""
    global _current
    pid = os.getpid()
    if _current is None or _current.pid != pid:
        _current = ProcessIdentity(_make_host_id(), _read_boot_id(), pid, _read_start(pid) or "")
    return _current


def _forget_parent() -> None:
    # In a new pid namespace a child may have its parent's pid, so comparing pids is not enough.
    global _current
    _current = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


def identify_child(pid: int) -> ProcessIdentity:
    """Return the identity of a child of this process, which stays the same if it executes other programs."""
    return current_process()._replace(pid=pid, started=(_read_start(pid) or "").partition(STACK)[0])


def is_alive(identity: ProcessIdentity) -> bool | None:
    """Whether the process still runs; None when this process cannot know."""
    me = current_process()
    if not _shares_processes(identity, me):
        return None
    booted_since = identity.boot_id != me.boot_id
    if booted_since and _is_from_kernel(identity.boot_id) != _is_from_kernel(me.boot_id):
        return None
    if booted_since and _is_from_kernel(me.boot_id):
        return False
    # Where the kernel has no boot id, boot_id is the boot time, which moves when the clock is set. Then the
    # start time decides.
    started = _read_start(identity.pid)
    if started is None:
        return False
    if not started or not identity.started:
        return None
    return _is_same_start(started, identity.started)


def _is_same_start(one: str, other: str) -> bool:
    """Whether two start times are equal, and the places of the stack too, if both are known."""
    (time_1, _, stack_1), (time_2, _, stack_2) = one.partition(STACK), other.partition(STACK)
    return time_1 == time_2 and (stack_1 == stack_2 or not stack_1 or not stack_2)


def identify_space(identity: ProcessIdentity, bits: int) -> int:
    """Return a number that tells the host and namespace in which the pid of a process means that process."""
    return int(sha256(identity.host_id.encode()).hexdigest(), 16) >> (256 - bits)


def is_gone(pid: int) -> bool:
    """Whether no process of this host and namespace has the pid, or only a zombie."""
    return _read_start(pid) is None


def _shares_processes(identity: ProcessIdentity, me: ProcessIdentity) -> bool:
    """Whether a pid means the same here as for `identity`: on one host, or in one namespace of a booted kernel.

    A machine that was given another name has still its boot id. That alone proves nothing where the namespaces
    of a process cannot be read: it may be in another container.
    """
    if identity.host_id == me.host_id:
        return True
    same_boot = identity.boot_id == me.boot_id and _is_from_kernel(me.boot_id)
    space = me.host_id[HOST_CHARS:]
    return same_boot and identity.host_id[HOST_CHARS:] == space and space not in ("", _digest("", ""))


def shares_boot(identity: ProcessIdentity) -> bool:
    """Whether the process ran, or runs, under the kernel of this process, in this boot of it."""
    mine = current_process().boot_id
    return identity.boot_id == mine and _is_from_kernel(mine)


def _is_from_kernel(boot_id: str) -> bool:
    return not boot_id.isdigit()


def read_small(path: str) -> str | None:
    """Read the first MiB of a regular file as text; None for anything else. Never blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        # One read is enough: files in /proc return all they have at once.
        return os.read(descriptor, _READ_LIMIT).decode("utf-8", "replace")
    except OSError:
        return None
    finally:
        os.close(descriptor)


def pages_folder() -> str:
    """Return the folder in which the pages of this user say that they are open; "" if the user has no home."""
    cache = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        cache = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "exptrack", "pages") if os.path.isabs(cache) else ""


def node_name() -> str:
    """Return the name of this machine."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import platform

    return platform.node()


def _read_namespace(kind: str) -> str:
    try:
        return os.readlink(f"/proc/self/ns/{kind}")
    except (OSError, AttributeError):
        return ""


def _make_host_id() -> str:
    """Return two digests in a row: of node name and machine id, and of pid and time namespace.

    Where all four are equal, pids and start times can be compared.
    """
    machine = (read_small("/etc/machine-id") or "").strip()
    return _digest(node_name(), machine) + _digest(_read_namespace("pid"), _read_namespace("time"))


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:HOST_CHARS]


def _read_boot_id() -> str:
    kernel = read_small("/proc/sys/kernel/random/boot_id")
    if kernel is not None:
        return kernel.strip()
    return str(round(_read_boot_time()))


def _read_boot_time() -> float:
    """Return when the machine was booted, in seconds since 1970; 0 where nothing tells."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    if clock is not None:
        return time.time() - time.clock_gettime(clock)
    import psutil

    try:
        return psutil.boot_time()
    except (psutil.Error, OSError, RuntimeError):
        return 0.0


def _read_start(pid: int) -> str | None:
    """Return the start time of a process as text to compare; "" when it is hidden, None when it does not exist.

    A zombie counts as gone: it will never write again. On Linux the place of the stack follows, unless the
    kernel hides it: a process that executes another program keeps its pid and start time, but gets a new stack.
    """
    if not 0 < pid < 1 << 31:
        return None
    if read_small("/proc/self/stat") is None:
        return _read_start_portably(pid)
    seen = read_small(f"/proc/{pid}/stat")
    if not seen:
        return "" if _exists(pid) else None
    # The command name is in parentheses and may itself contain parentheses.
    fields = seen[seen.rfind(")") + 1 :].split()
    stack = "" if fields[25] == "0" else STACK + fields[25]
    return None if fields[0] in "ZX" else fields[19] + stack


def _exists(pid: int) -> bool:
    """Whether the kernel knows the pid. Signal 0 works even where /proc hides the processes of other users."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _read_start_portably(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return repr(process.create_time())
    except psutil.NoSuchProcess:
        # On Linux, psutil takes every process for gone where /proc is not mounted.
        return "" if _exists(pid) else None
    except (psutil.Error, OSError, RuntimeError):
        return "" if _exists(pid) else None
