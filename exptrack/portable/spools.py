"""Merge the archives of a folder, and clear a spool of those that are merged.

Invariant: a file is removed only if the archive knows everything that it says, found by reading it once more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from exptrack.database.connection import Connection
from exptrack.database.spooled_file import lacks_tables
from exptrack.tracking.spool import AT_REST, SpooledArchive, list_spooled, remove_merged, settle_spool


class Given(NamedTuple):
    """A file to merge. `is_listed` says that its folder was named, not the file.

    `path` is empty if there is no file on this machine. `missing` says what is not in it; else it is empty.
    """

    place: str | os.PathLike[str]
    path: str | os.PathLike[str]
    is_listed: bool = False
    missing: str = ""


def expand_folders(sources: Iterable[str | os.PathLike[str]]) -> Iterator[Given]:
    """Yield each source; in place of a folder, the archives in it.

    Raises:
        ArchiveIOError: a folder cannot be listed.
    """
    for source in sources:
        if not os.path.isdir(source):
            yield Given(source, source)
            continue
        for file in list_spooled(source):
            if (file.path or file.advice) and not _is_just_begun(file):
                yield Given(file.place, file.path, is_listed=True, missing=file.advice)


def _is_just_begun(file: SpooledArchive) -> bool:
    """Whether its process is making the archive, or was killed as it did: then there is nothing in it."""
    try:
        return file.state != AT_REST and not file.advice and lacks_tables(Path(file.path))
    except OSError:
        return False  # the merge tells


def settle_folders(sources: Iterable[str | os.PathLike[str]]) -> None:
    """Bring to rest what dead processes left in the folders among the sources."""
    for source in sources:
        if os.path.isdir(source):
            settle_spool(source)


def clear_folders(
    connection: Connection, sources: Iterable[str | os.PathLike[str]], is_stored: Callable[[Path], bool]
) -> list[str]:
    """Remove the files of the spools among the sources if `is_stored` says so; return their paths.

    Raises:
        ArchiveError: the archive could not be synced; nothing is removed.
    """
    removed = []
    for source in sources:
        if os.path.isdir(source):
            removed += remove_merged(connection, list_spooled(source), is_stored)[0]
    return removed
