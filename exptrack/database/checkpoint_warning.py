"""Warn of a checkpoint that fails after a commit, or that a reader holds up. The commit stands, so it is no
error of the caller.

Without a warning, the WAL beside the archive would grow for ever and nothing would say why.
"""

from __future__ import annotations

import os

from exptrack.errors import ArchiveClosedError, warn

# Archives of whose checkpoints, and of whose long readers, this process has warned.
_warned: set[str] = set()
_read: set[str] = set()

LARGE_WAL_BYTES = 256 * 1024 * 1024


def warn_of_checkpoint(path: str, error: Exception) -> None:
    """Warn, once per process and archive, that a checkpoint failed. A closed archive is no failure."""
    if path in _warned or isinstance(error, ArchiveClosedError):
        return
    _warned.add(path)
    name, wal_mib = os.path.basename(path), _size(f"{path}-wal") / 2**20
    warn(
        f"the checkpoint of {path} failed: {error}. Nothing is lost, but {name}-wal ({wal_mib:.1f} MiB)"
        " grows until a checkpoint succeeds; remove the cause, or end every process that uses the archive"
    )


def warn_of_long_reader(path: str) -> None:
    """Warn, once per process and archive, that a reader keeps a large WAL from being copied whole."""
    size = _size(f"{path}-wal")
    if path in _read or size < LARGE_WAL_BYTES:
        return
    _read.add(path)
    warn(
        f"{path}-wal has grown to {size / 2**20:.0f} MiB, because a process has been reading the archive for"
        " long. Nothing is lost, and the file shrinks once that reader ends; end readings that hang, such as"
        " the open cursor of a notebook"
    )


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
