"""Warn of a checkpoint that fails after a commit. The commit stands, so it is no error of the caller.

Without a warning, the WAL beside the archive would grow for ever and nothing would say why.
"""

from __future__ import annotations

import os
from pathlib import Path

from exptrack.errors import ArchiveClosedError, warn

# Archives of whose checkpoints this process has warned.
_warned: set[Path] = set()


def warn_of_checkpoint(path: Path, error: Exception) -> None:
    """Warn, once per process and archive, that a checkpoint failed. A closed archive is no failure."""
    if path in _warned or isinstance(error, ArchiveClosedError):
        return
    _warned.add(path)
    wal_mib = _size(f"{path}-wal") / 2**20
    warn(
        f"the checkpoint of {path} failed: {error}. Nothing is lost, but {path.name}-wal ({wal_mib:.1f} MiB)"
        " grows until a checkpoint succeeds; remove the cause, or end every process that uses the archive"
    )


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
