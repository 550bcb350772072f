"""Find out on which kind of file system a path is, and whether other machines share it.

SQLite's write-ahead log needs memory that all processes share, so it is not for a file that several machines
open. Locks may be missing there too, and a write may reach the other machines late.

On Linux the table of mounts names the kind. It is read in 0.08 ms; a call of ``statfs`` takes 0.01 ms, but
loading `ctypes` for it takes 5 ms, and it knows one number for all kinds of FUSE.
"""

from __future__ import annotations

import os
import re
import sys

from exptrack.errors import warn

MOUNTS = "/proc/self/mountinfo"
# Kinds of file systems whose files other machines reach too, as Linux, macOS and Windows name them.
SHARED = frozenset(
    "9p acfs afpfs afs auristorfs beegfs ceph cifs coda gfs gfs2 gpfs lustre ncpfs nfs nfs4 nfsd ocfs2 orangefs"
    " panfs prl_fs pvfs2 remote smb3 smbfs vboxsf virtiofs webdav wekafs".split()
)
# FUSE serves many kinds that are on the network; these are not.
LOCAL_FUSE = frozenset(
    "bindfs cryfs encfs exfat ext2 fuse-overlayfs gocryptfs lxcfs mergerfs ntfs ntfs-3g overlayfs portal"
    " squashfuse unionfs unionfs-fuse".split()
)
OCTAL = r"\\([0-7]{3})"  # how the table of mounts writes blanks and backslashes
ADVICE = (
    "let each process write an archive of its own: set EXPTRACK_SPOOL to a folder, and merge that afterwards"
)


def find_file_system(path: str | os.PathLike[str]) -> str:
    """Return the kind of file system of the file or folder at `path`, such as ``ext4``; "" if it is unknown."""
    real = os.path.realpath(path)
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as table:
            return _find_in_table(real, table.read())
    except OSError:
        return _ask_psutil(real)


def find_network(path: str | os.PathLike[str]) -> str:
    """Return the kind of file system at `path` if other machines share it; else ""."""
    kind = find_file_system(path)
    return kind if _is_shared(kind) else ""


def warn_of_network(path: str | os.PathLike[str]) -> None:
    """Warn that an archive was made on a file system that other machines share, and say what to do."""
    kind = find_network(path)
    if kind:
        warn(
            f"{os.fspath(path)} lies on a network file system ({kind}), where two machines that open it at once"
            f" can damage it; {ADVICE}"
        )


def _is_shared(kind: str) -> bool:
    base, _, of_fuse = kind.partition(".")
    if base in ("fuse", "macfuse", "osxfuse"):
        return of_fuse not in LOCAL_FUSE
    return kind in SHARED


def _find_in_table(real: str, table: str) -> str:
    """Look the mount of a path up: the deepest folder that it is in, and of equal ones the newest."""
    found, depth = "", -1
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        folder = fields[4]
        if "\\" in folder:
            folder = re.sub(OCTAL, lambda digits: chr(int(digits[1], 8)), folder)
        if len(folder) >= depth and _is_below(real, folder):
            found, depth = after.split(" ")[0], len(folder)
    return found


def _is_below(real: str, folder: str) -> bool:
    return real == folder or real.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


def _ask_psutil(real: str) -> str:
    """Do the same on macOS and Windows. A path like ``\\\\server\\share`` is in no list of drives there."""
    if sys.platform == "win32" and real.startswith("\\\\"):
        return "remote"
    import psutil

    found, depth = "", -1
    try:
        parts = psutil.disk_partitions(all=True)
    except (psutil.Error, OSError, RuntimeError):
        return ""
    for part in parts:
        if len(part.mountpoint) >= depth and _is_below(real, part.mountpoint):
            is_remote = "remote" in part.opts.split(",")  # a network drive of Windows names the server's kind
            found, depth = "remote" if is_remote else part.fstype.lower(), len(part.mountpoint)
    return found
