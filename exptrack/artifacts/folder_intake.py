"""Read a folder from the disk into an archive: the bytes of its files, and its manifest.

Invariant: a folder is read only if every system can restore it.
"""

from __future__ import annotations

import os

from exptrack.artifacts.blobs import Intake, NewBlob
from exptrack.artifacts.folders import ByteCount, Progress, decode_path, open_for_reading, walk
from exptrack.artifacts.safe_paths import check_tree, storing_folder
from exptrack.artifacts.stored_folder import FolderEntry, StoredFolder, put_entries


def put_folder(intake: Intake, path: str | os.PathLike[str], progress: Progress | None = None) -> StoredFolder:
    """Put everything in a folder into the archive. Commits if it is much.

    Raises:
        InvalidValueError: an entry cannot be read, or its name cannot be restored on every system.
    """
    with storing_folder():
        found = list(walk(decode_path(path)))
        check_tree([(entry.path, entry.source is None) for entry in found])
    count = ByteCount(progress, sum(entry.size_bytes for entry in found))
    entries: list[tuple[FolderEntry, NewBlob | None]] = []
    for entry in found:
        if entry.source is None:
            entries.append((entry, None))
            continue
        with open_for_reading(entry.source) as source:
            entries.append((entry, intake.put(count.blocks(source))))
    return put_entries(intake.put, entries)
