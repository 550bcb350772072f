"""Hold a folder as an archive does: its manifest, its entries, and the blobs of both.

Invariants: a manifest contains everything that is kept of a folder, so equal folders have equal manifests.
Starting a run imports this file, so it imports nothing that reads folders from the disk or writes them there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from exptrack.artifacts.blobs import Intake, NewBlob
from exptrack.database.connection import Connection, Row
from exptrack.digests import sha256_of
from exptrack.named_tuples import NamedTuple

MANIFEST_FORMAT = 1
FOLDER_MODE = 0o755  # of folders that were given without a mode

BLOBS_WITH_HASHES = "SELECT hash, id FROM blob WHERE hash IN (SELECT value FROM json_each(?))"
INSERT_ENTRY = "INSERT INTO artifact_entry (artifact, path, mode, blob) VALUES (?, ?, ?, ?)"


class FolderEntry(NamedTuple):
    """A file or folder inside a folder: its path there, and `source`, the file to read (None for a folder)."""

    path: str
    mode: int
    source: str | None
    size_bytes: int = 0


class StoredFolder(NamedTuple):
    """The blob of a folder's manifest, and each entry with the blob of its bytes; a folder has none."""

    manifest: NewBlob
    entries: list[tuple[FolderEntry, NewBlob | None]]

    @property
    def size_bytes(self) -> int:
        """The bytes of all its files."""
        return sum(blob.size_bytes for _entry, blob in self.entries if blob is not None)


def build_manifest(lines: Iterable[tuple[str, int, tuple[str, int] | None]]) -> bytes:
    """Build the manifest: its format, and for each entry path, mode and (for a file) hash and size, as JSON."""
    entries = [[path, mode, *(facts or ())] for path, mode, facts in sorted(lines)]
    text = json.dumps([MANIFEST_FORMAT, entries], separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def build_manifest_of_rows(entries: Iterable[Row]) -> bytes:
    """Build the manifest of a stored folder from rows of `store.ENTRIES_OF`."""
    return build_manifest(
        (e["path"], e["mode"], None if e["blob"] is None else (e["hash"], e["size_bytes"])) for e in entries
    )


def put_entries(
    put: Callable[[bytes], NewBlob], entries: list[tuple[FolderEntry, NewBlob | None]]
) -> StoredFolder:
    """Put the manifest of a folder whose files are put already, by a method of an intake."""
    lines = [
        (entry.path, entry.mode, None if blob is None else (blob.hash, blob.size_bytes))
        for entry, blob in entries
    ]
    return StoredFolder(put(build_manifest(lines)), entries)


class HashedFolder(NamedTuple):
    """A folder whose bytes are not stored yet: its entries with the hashes of their bytes, and its manifest."""

    entries: list[tuple[FolderEntry, str | None]]
    manifest_hash: str
    manifest_bytes: int


def hash_files(files: Mapping[str, tuple[int, bytes]]) -> HashedFolder:
    """Hash what :func:`put_files` would store."""
    hashes = {path: f"sha256:{sha256_of(data).hexdigest()}" for path, (_mode, data) in files.items()}
    entries = [(entry, hashes.get(entry.path)) for entry in _list_entries(files)]
    lines = [
        (entry.path, entry.mode, None if known is None else (known, entry.size_bytes))
        for entry, known in entries
    ]
    manifest = build_manifest(lines)
    return HashedFolder(entries, f"sha256:{sha256_of(manifest).hexdigest()}", len(manifest))


def find_stored_folder(connection: Connection, hashed: HashedFolder) -> StoredFolder | None:
    """Return a folder if the archive has all its bytes already. Call inside the transaction that names them."""
    hashes = {known for _entry, known in hashed.entries if known is not None} | {hashed.manifest_hash}
    ids = dict(connection.fold(BLOBS_WITH_HASHES, (json.dumps(sorted(hashes)),), list))
    if len(ids) < len(hashes):
        return None
    return StoredFolder(
        NewBlob.stored(ids[hashed.manifest_hash], hashed.manifest_hash, hashed.manifest_bytes),
        [
            (entry, None if known is None else NewBlob.stored(ids[known], known, entry.size_bytes))
            for entry, known in hashed.entries
        ],
    )


def _list_entries(files: Mapping[str, tuple[int, bytes]]) -> list[FolderEntry]:
    folders = {path[:end] for path in files for end, sign in enumerate(path) if sign == "/"}
    entries = [FolderEntry(path, FOLDER_MODE, None) for path in folders]
    entries += [FolderEntry(path, mode, None, len(data)) for path, (mode, data) in files.items()]
    return sorted(entries)


def put_files(intake: Intake, files: Mapping[str, tuple[int, bytes]]) -> StoredFolder:
    """Put files that are in memory, as one folder: the mode and the bytes of each, by its path there.

    The caller has checked the paths.
    """
    entries = [
        (entry, intake.put_small(files[entry.path][1]) if entry.path in files else None)
        for entry in _list_entries(files)
    ]
    return put_entries(intake.put_small, entries)


def insert_entries(connection: Connection, artifact: int, folder: StoredFolder) -> None:
    """Write the rows of a folder's entries. Call inside the transaction that makes its blobs."""
    rows = [
        (artifact, entry.path, entry.mode, None if blob is None else blob.id) for entry, blob in folder.entries
    ]
    connection.execute_many(INSERT_ENTRY, rows)
