"""Copy a live archive to one new file: all that it held at one moment.

Invariants: the copy appears under its name whole and synced, or not at all; nothing that exists is replaced. It
has the archive's mode, and no ``-wal``, ``-shm`` or journal beside it. The archive is only read. The copy keeps
the state of every run: one that was running is running in it, with the process that owns it. No journal belongs
to the copy, as journals are found by the name of their file; so opening it stores no point of the original, and
marks only its own rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from exptrack import own_files
from exptrack.artifacts.folders import decode_path
from exptrack.artifacts.restore import new_file
from exptrack.database.connection import Connection
from exptrack.database.copying import copy_file
from exptrack.database.opening import archive_path
from exptrack.database.places import SIDE_ENDINGS, find_owner_of_side_file
from exptrack.errors import ArchiveIOError, ExportError
from exptrack.metrics.journal_file import list_journals
from exptrack.metrics.waiting import list_waiting_journals
from exptrack.shown import shown
from exptrack.validation import check_function

WRITABLE = 0o600  # at least, where an archive is made of a part of one that may be on a read-only medium


@shown
@dataclass(frozen=True, slots=True)
class BackupReport:
    """A copy of an archive. `waiting` names journals of ended processes whose points are not in it."""

    path: str
    file_bytes: int
    waiting: tuple[str, ...]


def copy_archive(
    connection: Connection,
    target: str | os.PathLike[str],
    progress: Callable[[int, int], None] | None = None,
) -> BackupReport:
    """Copy the archive to `target`; see :meth:`exptrack.Archive.backup`."""
    place = archive_path(decode_path(target))
    tell = check_function(progress, "progress")
    own_files.require_foreign(place)
    require_free_name(place)
    connection.require_open()
    connection.check_identity()
    with new_file(place, mode_of(connection.path)) as draft:
        copy_file(connection, draft, place, tell)
        size = os.stat(draft).st_size
    return BackupReport(str(place), size, tuple(one.path for one in list_waiting_journals(connection)))


def require_free_name(place: Path) -> None:
    """Refuse a name that is taken, or that would make one file a part of another for SQLite."""
    if os.path.lexists(place):
        raise ExportError(f"cannot write {place}: it exists; remove it or choose another name", path=str(place))
    owner = find_owner_of_side_file(place)
    if owner is not None:
        raise ExportError(
            f"cannot write {place}: SQLite would take it for a part of {owner}; choose another name",
            path=str(place),
        )
    sides = [Path(f"{place}{end}") for end in SIDE_ENDINGS]
    with suppress(OSError):  # a folder that is missing or cannot be listed
        sides += list_journals(place)
    for side in sides:
        if os.path.lexists(side):
            raise ExportError(
                f"cannot write {place}: {side.name} lies there, left by an earlier archive of this name, and"
                " would become a part of the copy; remove it or choose another name",
                path=str(place),
            )


def mode_of(place: Path) -> int:
    """Return the permission bits of an archive, which a copy of it or of a part of it gets."""
    try:
        return os.stat(place).st_mode & 0o777
    except OSError as error:
        raise ArchiveIOError(
            f"{place} cannot be reached ({error.strerror}); put it back or open it at its new place",
            path=str(place),
        ) from None
