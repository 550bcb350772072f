"""Prove the chunks, blobs and artifacts of a draft, and take out those that are damaged.

A chunk is proved by its SHA-256, whatever its row says: the way in which it is packed can be tried. A blob is
proved by the SHA-256 of all its bytes, an artifact by the checksum of its row.

Invariant: an artifact whose bytes are lost keeps its row, as a version that was removed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import zstandard

from exptrack.artifacts.chunks import CODECS, MAX_CHUNK_BYTES, Unpacker
from exptrack.artifacts.registration import artifact_checksum
from exptrack.artifacts.store import ENTRIES_OF
from exptrack.artifacts.stored_blob import unpack_chunk
from exptrack.artifacts.stored_folder import build_manifest_of_rows
from exptrack.database.connection import Row
from exptrack.database.failures import DAMAGE
from exptrack.portable.artifact_checks import ONE_CHUNK
from exptrack.portable.salvage_copies import OtherCopies, PackedChunk
from exptrack.portable.salvage_intake import Draft
from exptrack.portable.salvage_report import count_of
from exptrack.records import FOLDER_TYPE

CHUNKS_AT_ONCE = 64

CHUNK_IDS_FROM = "SELECT id FROM chunk WHERE id > ? ORDER BY id LIMIT ?"
DATA_OF = "SELECT data FROM chunk_data WHERE chunk = ?"
SAVE_CHUNK = """
INSERT INTO chunk (id, sha256, raw_bytes, stored_bytes, codec) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET sha256 = excluded.sha256, raw_bytes = excluded.raw_bytes,
    stored_bytes = excluded.stored_bytes, codec = excluded.codec
"""
SAVE_DATA = "INSERT OR REPLACE INTO chunk_data (chunk, data) VALUES (?, ?)"
DELETE_CHUNK = "DELETE FROM chunk WHERE id = ?"
DELETE_DATA = "DELETE FROM chunk_data WHERE chunk = ?"
BLOB_IDS = "SELECT id FROM blob UNION SELECT blob FROM blob_chunk ORDER BY 1"
ONE_BLOB = "SELECT hash, size_bytes, list_sha256 FROM blob WHERE id = ?"
PARTS_OF = """
SELECT bc.offset_bytes, c.id, c.sha256 FROM blob_chunk AS bc LEFT JOIN chunk AS c ON c.id = bc.chunk
WHERE bc.blob = ? ORDER BY bc.offset_bytes
"""
SAVE_BLOB = """
INSERT INTO blob (id, hash, size_bytes, list_sha256) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, size_bytes = excluded.size_bytes,
    list_sha256 = excluded.list_sha256
"""
DELETE_BLOB = "DELETE FROM blob WHERE id = ?"
DELETE_PARTS = "DELETE FROM blob_chunk WHERE blob = ?"
BLOB_NAMED = "SELECT id FROM blob WHERE hash = ?"
ARTIFACTS_OF = """
SELECT a.id, r.run_id, a.name, a.version, a.kind, a.blob, a.hash, a.is_text, a.media_type, a.step, a.metadata,
       a.description, a.created_at, a.removed_at, a.checksum, b.hash AS blob_hash
FROM artifact AS a JOIN run AS r ON r.id = a.run LEFT JOIN blob AS b ON b.id = a.blob
WHERE a.run = ? ORDER BY a.id
"""
DELETE_ARTIFACT = "DELETE FROM artifact WHERE id = ?"
DELETE_ENTRIES = "DELETE FROM artifact_entry WHERE artifact = ?"
INSERT_ENTRY = "INSERT INTO artifact_entry (artifact, path, mode, blob) VALUES (?, ?, ?, ?)"
SET_CHECKSUM = "UPDATE artifact SET checksum = ? WHERE id = ?"
SET_BLOB = "UPDATE artifact SET blob = ?, removed_at = ? WHERE id = ?"
FORGET_DESCRIPTIONS = "UPDATE artifact SET description = NULL WHERE run = ?"
ALIASES_WITHOUT_VERSION = """
DELETE FROM artifact_alias WHERE run = ?1 AND version IS NOT NULL AND NOT EXISTS
    (SELECT 1 FROM artifact AS a WHERE a.run = ?1 AND a.name = artifact_alias.name
     AND a.version = artifact_alias.version AND a.blob IS NOT NULL)
"""


class ArtifactProof:
    """Proves the chunks and blobs of a draft, then the artifacts of each run."""

    def __init__(self, draft: Draft, others: OtherCopies) -> None:
        self._draft = draft
        self._connection = draft.connection
        self._others = others
        self._unpacker = Unpacker()
        self._lost_parts: dict[str, tuple[int, int]] = {}  # by hash of a blob: lost chunks, and all

    # Chunks

    def prove_chunks(self, told: Callable[[], None]) -> None:
        """Keep the chunks whose bytes match their hash; find the way in which others are packed."""
        others = self._draft.read_others("chunk", "sqlite_autoindex_chunk_1")
        last = -1 << 63
        while ids := [row[0] for row in self._connection.all(CHUNK_IDS_FROM, (last, CHUNKS_AT_ONCE))]:
            last = ids[-1]
            self._draft.change(self._prove_chunks, ids, others)
            for _ in ids:
                told()

        def restore() -> None:
            for chunk, sha256 in others.items():
                self._restore_chunk(chunk, [sha256])

        self._draft.change(restore)

    def _prove_chunks(self, ids: list[int], others: dict[int, bytes]) -> None:
        for chunk in ids:
            self._prove_chunk(chunk, others.pop(chunk, None))

    def _prove_chunk(self, chunk: int, other: bytes | None) -> None:
        row = self._connection.one(ONE_CHUNK, (chunk,))
        if row is None:
            return
        try:
            found = unpack_chunk(row, self._unpacker)
        except DAMAGE:
            found = b""
        if hashlib.sha256(found).digest() != row["sha256"] or row["recorded_bytes"] != row["stored_bytes"]:
            self._restore_chunk(chunk, [sha256 for sha256 in (row["sha256"], other) if sha256])

    def _restore_chunk(self, chunk: int, hashes: list[bytes]) -> None:
        """Find how a chunk is packed, in this copy or another one; delete it if that does not help."""
        data = self._connection.value(DATA_OF, (chunk,))
        found = self._guess(data, hashes) if isinstance(data, bytes) else None
        found = found or next((one for one in map(self._others.find_chunk, hashes) if one is not None), None)
        self._connection.execute(DELETE_CHUNK, (chunk,))
        self._connection.execute(DELETE_DATA, (chunk,))
        if found is not None:
            size = len(found.data)
            self._connection.execute(SAVE_CHUNK, (chunk, found.sha256, found.raw_bytes, size, found.codec))
            self._connection.execute(SAVE_DATA, (chunk, found.data))

    def _guess(self, data: bytes, hashes: list[bytes]) -> PackedChunk | None:
        for codec in CODECS:
            try:
                size = len(data) if codec == "raw" else zstandard.frame_content_size(data)
                if not 0 < size <= MAX_CHUNK_BYTES:
                    continue
                raw = self._unpacker.unpack(codec, data, size)
            except (*DAMAGE, zstandard.ZstdError):
                continue
            sha256 = hashlib.sha256(raw).digest()
            if sha256 in hashes:
                return PackedChunk(sha256, len(raw), codec, data)
        return None

    # Blobs

    def prove_blobs(self, told: Callable[[], None]) -> None:
        """Keep the blobs whose bytes match their hash, and let their rows say what their bytes are."""
        others = self._draft.read_others("blob", "sqlite_autoindex_blob_1")
        ids = [row[0] for row in self._connection.all(BLOB_IDS)]
        for blob in dict.fromkeys([*ids, *others]):
            self._draft.change(self._prove_blob, blob, others.get(blob))
            told()

    def _prove_blob(self, blob: int, other: str | None) -> None:
        row = self._connection.one(ONE_BLOB, (blob,))
        names = [name for name in (None if row is None else row["hash"], other) if name is not None]
        parts = self._connection.all(PARTS_OF, (blob,))
        lost = sum(1 for part in parts if part["id"] is None)
        whole, chunks, size = hashlib.sha256(), hashlib.sha256(), 0
        for part in parts if not lost else ():
            if part["offset_bytes"] != size:
                lost += 1
                break
            found = unpack_chunk(self._connection.one(ONE_CHUNK, (part["id"],)), self._unpacker)
            whole.update(found)
            chunks.update(part["sha256"])
            size += len(found)
        name = f"sha256:{whole.hexdigest()}"
        if lost or name not in names:
            self._lost_parts.update({one: (lost, len(parts)) for one in names})
            self._connection.execute(DELETE_PARTS, (blob,))
            self._connection.execute(DELETE_BLOB, (blob,))
        elif row is None or tuple(row) != (name, size, chunks.digest()):
            self._connection.execute(SAVE_BLOB, (blob, name, size, chunks.digest()))

    # Artifacts

    def settle(self, run: int, *, proved: bool, now: str) -> bool:
        """Keep the artifacts of a run that are proved; return whether a row changed. Call in a transaction.

        `proved` says that the sum of the run's rows holds, so that its descriptions are as they were.
        """
        changed = False
        if not proved and not self._draft.unproven:
            changed = bool(self._connection.execute(FORGET_DESCRIPTIONS, (run,)).rowcount)
        for row in self._connection.all(ARTIFACTS_OF, (run,)):
            checksum = artifact_checksum(row)
            if proved and row["checksum"] != checksum:
                self._connection.execute(SET_CHECKSUM, (checksum, row["id"]))
            elif row["checksum"] != checksum:
                what = f"the artifact {row['name']!r} version {row['version']}"
                self._draft.findings.miss(run, f"{what}: its row does not match its checksum")
                if self._draft.unproven:  # it covers the id of the run too, which may be new
                    self._connection.execute(SET_CHECKSUM, (checksum, row["id"]))
                    changed |= self._settle_one(run, row, now)
                    continue
                self._delete(row["id"])
                changed = True
                continue
            changed |= self._settle_one(run, row, now)
        return bool(self._connection.execute(ALIASES_WITHOUT_VERSION, (run,)).rowcount) or changed

    def _settle_one(self, run: int, row: Row, now: str) -> bool:
        what = f"the artifact {row['name']!r} version {row['version']}"
        if row["removed_at"] is not None:
            return False
        if row["blob_hash"] != row["hash"]:
            blob = self._connection.value(BLOB_NAMED, (row["hash"],))
            self._connection.execute(SET_BLOB, (blob, now if blob is None else None, row["id"]))
            if blob is None:
                lost, parts = self._lost_parts.get(row["hash"], (0, 0))
                some = f"{lost:,} of {count_of(parts, 'chunk')}" if lost else "its bytes"
                return self._lose(run, row, f"{what}: {some} cannot be proved", now)
            return self._settle_entries(run, row, what, blob, now) or True
        return self._settle_entries(run, row, what, row["blob"], now)

    def _settle_entries(self, run: int, row: Row, what: str, blob: int, now: str) -> bool:
        """Let the entries of a folder be those of its manifest; return whether they changed."""
        if row["media_type"] != FOLDER_TYPE:
            return False
        manifest = self._read_blob(blob)
        if build_manifest_of_rows(self._connection.all(ENTRIES_OF, (row["id"],))) == manifest:
            return False
        entries = _parse_manifest(manifest)
        if entries is None:
            return self._lose(run, row, f"{what}: its list of files cannot be read", now)
        found = {
            entry[2]: self._connection.value(BLOB_NAMED, (entry[2],)) for entry in entries if len(entry) > 2
        }
        lost = [entry[0] for entry in entries if len(entry) > 2 and found[entry[2]] is None]
        if lost:
            files = f"{', '.join(lost[:5])}{' and more' if len(lost) > 5 else ''}"
            return self._lose(run, row, f"{what}: {count_of(len(lost), 'file')} of the folder ({files})", now)
        self._connection.execute(DELETE_ENTRIES, (row["id"],))
        rows: Iterable[tuple[Any, ...]] = (
            (row["id"], entry[0], entry[1], found[entry[2]] if len(entry) > 2 else None) for entry in entries
        )
        self._connection.execute_many(INSERT_ENTRY, list(rows))
        return True

    def _lose(self, run: int, row: Row, what: str, now: str) -> bool:
        """Note that the bytes of an artifact are lost, and mark it as removed."""
        self._draft.findings.miss(run, what)
        self._connection.execute(DELETE_ENTRIES, (row["id"],))
        self._connection.execute(SET_BLOB, (None, now, row["id"]))
        return True

    def _delete(self, artifact: int) -> None:
        self._connection.execute(DELETE_ENTRIES, (artifact,))
        self._connection.execute(DELETE_ARTIFACT, (artifact,))

    def _read_blob(self, blob: int) -> bytes:
        parts = self._connection.all(PARTS_OF, (blob,))
        rows = (self._connection.one(ONE_CHUNK, (part["id"],)) for part in parts)
        return b"".join(unpack_chunk(row, self._unpacker) for row in rows)


def _parse_manifest(manifest: bytes) -> list[list[Any]] | None:
    """Return the entries of a folder, or None if this is no list of them."""
    try:
        entries = json.loads(manifest)[1]
        for path, mode, *file in entries:
            if (
                not isinstance(path, str)
                or not isinstance(mode, int)
                or (file and not isinstance(file[0], str))
            ):
                return None
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return list(entries)
