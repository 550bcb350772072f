"""Read a folder into an archive: the bytes of its files, its manifest, and the rows of its entries.

Invariant: a folder is read only if every system can restore it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from exptrack.artifacts.blobs import Intake, NewBlob
from exptrack.artifacts.folders import (
    ByteCount,
    FolderEntry,
    Progress,
    build_manifest,
    decode_path,
    open_for_reading,
    walk,
)
from exptrack.artifacts.restore import check_tree, storing_folder
from exptrack.database.connection import Connection

INSERT_ENTRY = "INSERT INTO artifact_entry (artifact, path, mode, blob) VALUES (?, ?, ?, ?)"


class StoredFolder(NamedTuple):
    """The blob of a folder's manifest, and each entry with the blob of its bytes; a folder has none."""

    manifest: NewBlob
    entries: list[tuple[FolderEntry, NewBlob | None]]

    @property
    def size_bytes(self) -> int:
        """The bytes of all its files."""
        return sum(blob.size_bytes for _entry, blob in self.entries if blob is not None)


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
    lines = [
        (entry.path, entry.mode, None if blob is None else (blob.hash, blob.size_bytes))
        for entry, blob in entries
    ]
    return StoredFolder(intake.put(build_manifest(lines)), entries)


def insert_entries(connection: Connection, artifact: int, folder: StoredFolder) -> None:
    """Write the rows of a folder's entries. Call inside the transaction that makes its blobs."""
    rows = [
        (artifact, entry.path, entry.mode, None if blob is None else blob.id) for entry, blob in folder.entries
    ]
    connection.execute_many(INSERT_ENTRY, rows)
