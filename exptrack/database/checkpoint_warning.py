"""Warn of a checkpoint that fails after a commit. The commit stands, so it is no error of the caller.

Without a warning, the WAL beside the archive would grow for ever and nothing would say why.
"""

from __future__ import annotations

from pathlib import Path

from exptrack.errors import ArchiveClosedError, warn

# Archives of whose checkpoints this process has warned.
_warned: set[Path] = set()


def warn_of_checkpoint(path: Path, error: Exception, wal_bytes: int) -> None:
    """Warn, once per process and archive, that a checkpoint failed. A closed archive is no failure."""
    if path in _warned or isinstance(error, ArchiveClosedError):
        return
    _warned.add(path)
    warn(
        f"the checkpoint of {path} failed: {error}. Nothing is lost, but {path.name}-wal"
        f" ({wal_bytes / 2**20:.1f} MiB) grows until a checkpoint succeeds; remove the cause, or end every"
        " process that uses the archive"
    )
