"""Verify artifacts: every chunk, blob, folder and row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from exptrack.artifacts.chunks import MAX_STORED_BYTES, Unpacker
from exptrack.artifacts.registration import artifact_checksum
from exptrack.artifacts.store import ENTRIES_OF
from exptrack.artifacts.stored_blob import CHUNK_LIST, CODEC, StoredBlob, unpack_chunk
from exptrack.artifacts.stored_folder import build_manifest_of_rows
from exptrack.database.connection import Connection, Row
from exptrack.database.failures import DAMAGE
from exptrack.portable.findings import Problem, guard
from exptrack.records import FOLDER_TYPE

MAX_HOLDERS_NAMED = 20

COUNT_BLOBS = "SELECT count(*) FROM blob"
COUNT_CHUNKS = "SELECT count(*) FROM chunk"
CHUNK_IDS = "SELECT id FROM chunk ORDER BY id"
ONE_CHUNK = f"""
SELECT c.id, c.sha256, c.raw_bytes, c.stored_bytes AS recorded_bytes, {CODEC}, length(d.data) AS stored_bytes,
       CASE WHEN length(d.data) <= {MAX_STORED_BYTES} THEN d.data END AS data
FROM chunk AS c LEFT JOIN chunk_data AS d ON d.chunk = c.id
WHERE c.id = ?
"""
BLOB_IDS = "SELECT id FROM blob ORDER BY id"
ONE_BLOB = """
SELECT b.id, b.hash, b.size_bytes, b.list_sha256 IS NOT NULL AS whole,
       EXISTS (SELECT 1 FROM blob_writer AS w WHERE w.blob = b.id) AS held
FROM blob AS b WHERE b.id = ?
"""
BLOBS_WITH_CHUNK = "SELECT DISTINCT blob FROM blob_chunk WHERE chunk = ?"
HOLDERS_OF_BLOB = """
SELECT r.run_id, a.name, a.version, NULL AS path
FROM artifact AS a JOIN run AS r ON r.id = a.run WHERE a.blob = :blob
UNION ALL
SELECT r.run_id, a.name, a.version, e.path
FROM artifact_entry AS e JOIN artifact AS a ON a.id = e.artifact JOIN run AS r ON r.id = a.run
WHERE e.blob = :blob
ORDER BY 1, 2, 3, 4
"""
ARTIFACT_ROW_IDS = "SELECT id FROM artifact ORDER BY id"
ONE_ARTIFACT_WITH_RUN = """
SELECT a.id, a.blob, a.name, a.version, r.run_id, a.kind, a.hash, b.hash AS blob_hash, a.is_text, a.media_type,
       a.step, a.metadata, a.created_at, a.removed_at, a.checksum
FROM artifact AS a LEFT JOIN blob AS b ON b.id = a.blob LEFT JOIN run AS r ON r.id = a.run
WHERE a.id = ?
"""
ALIASES_WITHOUT_VERSION = """
SELECT r.run_id, x.name, x.alias, x.version
FROM artifact_alias AS x LEFT JOIN run AS r ON r.id = x.run
WHERE x.version IS NOT NULL AND NOT EXISTS
    (SELECT 1 FROM artifact AS a
     WHERE a.run = x.run AND a.name = x.name AND a.version = x.version AND a.blob IS NOT NULL)
"""


def check_artifacts(
    connection: Connection, tell: Callable[[str, int, int], None], blobs: int, chunks: int
) -> Iterator[Problem]:
    """Hash every chunk, blob and folder again."""
    damaged: set[int] = set()  # blobs with a chunk that was reported
    unpacker = Unpacker()
    for done, (chunk,) in enumerate(connection.all(CHUNK_IDS), 1):
        yield from guard("chunk", f"row {chunk}", _check_chunk(connection, chunk, unpacker, damaged))
        tell("chunks", done, chunks)
    for done, (blob,) in enumerate(connection.all(BLOB_IDS), 1):
        if blob not in damaged:
            yield from guard("artifact", f"blob row {blob}", _check_blob(connection, blob))
        tell("artifacts", done, blobs)
    for (artifact,) in connection.all(ARTIFACT_ROW_IDS):
        yield from guard("artifact", f"row {artifact}", _check_artifact(connection, artifact, damaged))
    for run_id, name, alias, version in connection.all(ALIASES_WITHOUT_VERSION):
        yield Problem("artifact", f"{run_id} {name}:{alias}", f"it names version {version}, which is not there")


def _check_chunk(
    connection: Connection, chunk: int, unpacker: Unpacker, damaged: set[int]
) -> Iterator[Problem]:
    row = connection.one(ONE_CHUNK, (chunk,))
    message = "its row is in an index only" if row is None else _find_chunk_problem(row, unpacker)
    if message is not None:
        touched = [found[0] for found in connection.all(BLOBS_WITH_CHUNK, (chunk,))]
        damaged.update(touched)
        holders = [holder for blob in touched for holder in _find_holders(connection, blob)]
        named = isinstance(row and row["sha256"], bytes)
        where = row["sha256"].hex() if row is not None and named else f"row {chunk}"
        yield Problem("chunk", where, f"{message}; {_list_holders(holders)}")


def _find_chunk_problem(row: Row, unpacker: Unpacker) -> str | None:
    try:
        found = unpack_chunk(row, unpacker)
    except DAMAGE as error:
        return str(error)
    if hashlib.sha256(found).digest() != row["sha256"]:
        return "the bytes of a chunk do not match its hash"
    if row["recorded_bytes"] != row["stored_bytes"]:
        return f"a chunk takes {row['stored_bytes']:,} bytes, not {row['recorded_bytes']!r}"
    return None


def _check_blob(connection: Connection, blob: int) -> Iterator[Problem]:
    row = connection.one(ONE_BLOB, (blob,))
    message = "its row is in an index only" if row is None else _find_blob_problem(connection, row)
    if message is not None:
        where = f"row {blob}" if row is None else str(row["hash"])
        yield Problem("artifact", where, f"{message}; {_list_holders(_find_holders(connection, blob))}")


def _find_blob_problem(connection: Connection, row: Row) -> str | None:
    if not row["whole"]:
        return _find_unfinished_problem(connection, row)
    whole = hashlib.sha256()
    try:
        for piece in StoredBlob(connection, row["id"], str(row["hash"])):
            whole.update(piece)
    except DAMAGE as error:
        return str(error)
    return None if f"sha256:{whole.hexdigest()}" == row["hash"] else "its bytes do not match its hash"


def _find_unfinished_problem(connection: Connection, row: Row) -> str | None:
    if not row["held"]:
        return "it was never written completely, and no process is writing it"
    if not str(row["hash"]).startswith("writing:"):
        return "it has a hash, but was never written completely"
    position = 0
    for offset, _sha256, raw_bytes in connection.all(CHUNK_LIST, (row["id"],)):
        if offset != position or raw_bytes is None:
            return "a chunk of what is being written is missing"
        position += raw_bytes
    return None if position == row["size_bytes"] else "chunks of what is being written are missing"


def _check_artifact(connection: Connection, artifact: int, damaged: set[int]) -> Iterator[Problem]:
    row = connection.one(ONE_ARTIFACT_WITH_RUN, (artifact,))
    if row is None:
        yield Problem("artifact", f"row {artifact}", "its row is in an index only")
        return
    where = f"{row['run_id']} {row['name']} version {row['version']}"
    if row["removed_at"] is None and row["blob_hash"] is None:
        yield Problem("artifact", where, "its blob is missing")
    elif row["removed_at"] is None and row["blob_hash"] != row["hash"]:
        yield Problem("artifact", where, "it names the blob of another hash")
    elif artifact_checksum(row) != row["checksum"]:
        yield Problem("artifact", where, "its metadata does not match its checksum")
    elif row["media_type"] == FOLDER_TYPE and row["blob"] is not None and row["blob"] not in damaged:
        if not _is_sound_folder(connection, row):
            yield Problem("artifact", where, "the files of its folder are not the registered ones")


def _is_sound_folder(connection: Connection, row: Row) -> bool:
    try:
        found = b"".join(StoredBlob(connection, row["blob"], str(row["name"])))
    except DAMAGE:
        return True  # its blob was reported already
    return found == build_manifest_of_rows(connection.all(ENTRIES_OF, (row["id"],)))


def _find_holders(connection: Connection, blob: int) -> list[str]:
    """Return each artifact that holds a blob, in words."""
    found = []
    for row in connection.all(HOLDERS_OF_BLOB, {"blob": blob}):
        path = f"/{row['path']}" if row["path"] else ""
        found.append(f"{row['name']}{path} version {row['version']} of run {row['run_id']}")
    return found


def _list_holders(holders: list[str]) -> str:
    if not holders:
        return "it belongs to no artifact"
    more = len(holders) - MAX_HOLDERS_NAMED
    rest = f" and {more:,} more" if more > 0 else ""
    return f"it belongs to {', '.join(holders[:MAX_HOLDERS_NAMED])}{rest}"
