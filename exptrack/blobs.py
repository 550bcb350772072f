"""The blob store: bytes by content, in chunks, compressed, verified on the way out.

Invariants: a blob is named by the SHA-256 of its bytes, taken while it is written. Every chunk holds at
most 1 MiB and is stored once, however many blobs contain it; zstd level 1 where that saves at least
3 %, raw where not. Bytes are handed out only after chunk and blob hashes were checked, and decompression
never yields more than the chunk's recorded size. Memory stays bounded by a few chunks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from exptrack.connection import Connection
from exptrack.errors import ArchiveCorruptError

CHUNK_BYTES = 1024 * 1024
CUTTER = "fixed-1MiB"
ZSTD_LEVEL = 1
WORTH_IT = 0.97

SELECT_CHUNK = "SELECT id FROM chunk WHERE sha256 = ?"
INSERT_CHUNK = "INSERT INTO chunk (sha256, raw_bytes, stored_bytes, codec) VALUES (?, ?, ?, ?)"
INSERT_CHUNK_DATA = "INSERT INTO chunk_data (chunk, data) VALUES (?, ?)"
SELECT_BLOB = "SELECT id FROM blob WHERE hash = ?"
INSERT_BLOB = "INSERT INTO blob (hash, size_bytes, cutter) VALUES (?, ?, ?)"
INSERT_BLOB_CHUNK = "INSERT INTO blob_chunk (blob, offset_bytes, chunk) VALUES (?, ?, ?)"
BLOB_CHUNKS = """
SELECT bc.offset_bytes, c.sha256, c.raw_bytes, c.codec, d.data
FROM blob_chunk AS bc
JOIN chunk AS c ON c.id = bc.chunk
LEFT JOIN chunk_data AS d ON d.chunk = c.id
WHERE bc.blob = ? ORDER BY bc.offset_bytes
"""
BLOB_FACTS = "SELECT hash, size_bytes FROM blob WHERE id = ?"
ALL_BLOBS = "SELECT id FROM blob ORDER BY id"
DELETE_UNUSED_BLOBS = """
DELETE FROM blob WHERE NOT EXISTS (SELECT 1 FROM artifact AS a WHERE a.blob = blob.id)
"""
UNUSED_CHUNKS = """
SELECT count(*), coalesce(sum(stored_bytes), 0) FROM chunk
WHERE NOT EXISTS (SELECT 1 FROM blob_chunk AS bc WHERE bc.chunk = chunk.id)
"""
DELETE_UNUSED_CHUNKS = """
DELETE FROM chunk WHERE NOT EXISTS (SELECT 1 FROM blob_chunk AS bc WHERE bc.chunk = chunk.id)
"""
COUNT_CHUNKS = "SELECT count(*) FROM chunk"


class StoredBlob(NamedTuple):
    """A blob in the file."""

    id: int
    hash: str
    size_bytes: int


class Collected(NamedTuple):
    """What a collection removed."""

    blobs: int
    chunks: int
    stored_bytes: int


def put_blob(connection: Connection, source: BinaryIO) -> StoredBlob:
    """Store everything `source` has to read; inside the caller's transaction. Storing again is free."""
    whole = hashlib.sha256()
    size = 0
    parts: list[tuple[int, int]] = []
    while piece := _read_full(source):
        whole.update(piece)
        parts.append((size, _put_chunk(connection, piece)))
        size += len(piece)
    name = f"sha256:{whole.hexdigest()}"
    known = connection.value(SELECT_BLOB, (name,))
    if known is not None:
        return StoredBlob(int(known), name, size)
    blob = connection.execute(INSERT_BLOB, (name, size, CUTTER)).lastrowid
    assert blob is not None
    connection.execute_many(INSERT_BLOB_CHUNK, [(blob, offset, chunk) for offset, chunk in parts])
    return StoredBlob(blob, name, size)


def _read_full(source: BinaryIO) -> bytes:
    """One chunk's worth of bytes; raw files and pipes may answer with less than was asked."""
    pieces: list[bytes] = []
    missing = CHUNK_BYTES
    while missing and (piece := source.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _put_chunk(connection: Connection, piece: bytes) -> int:
    digest = hashlib.sha256(piece).digest()
    known = connection.value(SELECT_CHUNK, (digest,))
    if known is not None:
        return int(known)
    codec, data = _packed(piece)
    chunk = connection.execute(INSERT_CHUNK, (digest, len(piece), len(data), codec)).lastrowid
    assert chunk is not None
    connection.execute(INSERT_CHUNK_DATA, (chunk, data))
    return chunk


def _packed(piece: bytes) -> tuple[str, bytes]:
    import zstandard

    packed = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(piece)
    return ("zstd", packed) if len(packed) < WORTH_IT * len(piece) else ("raw", piece)


def _unpacked(codec: str, data: bytes, raw_bytes: int) -> bytes:
    """The chunk's bytes; a frame that declares another size is refused before it is expanded."""
    if codec == "raw":
        return data
    if codec != "zstd":
        raise ValueError(f"unknown codec {codec!r}")
    import zstandard

    try:
        if zstandard.frame_content_size(data) != raw_bytes:
            raise ValueError("its compressed frame declares another size")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=raw_bytes)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


def iter_blob(connection: Connection, blob: int) -> Iterator[bytes]:
    """The blob's bytes in order, a chunk at a time, each checked against its hash.

    The hash of the whole is checked after the last chunk: a caller that keeps what it got must
    exhaust the iterator first.

    Raises:
        ArchiveCorruptError: a chunk is missing or is not what was stored.
    """
    facts = connection.one(BLOB_FACTS, (blob,))
    assert facts is not None, "callers take the id from a foreign key"
    whole = hashlib.sha256()
    position = 0
    for row in connection.iterate(BLOB_CHUNKS, (blob,)):
        where = f"{facts['hash']} in {connection.path}, bytes {position:,} and after"
        problem = ""
        piece = b""
        if row["offset_bytes"] != position:
            problem = "a chunk is missing"
        elif row["data"] is None:
            problem = "a chunk has lost its data"
        else:
            try:
                piece = _unpacked(row["codec"], row["data"], row["raw_bytes"])
            except ValueError as error:
                problem = str(error)
            else:
                if hashlib.sha256(piece).digest() != row["sha256"]:
                    problem = "a chunk is not what was stored"
        if problem:
            raise ArchiveCorruptError(f"artifact damaged: {where}: {problem}", path=str(connection.path))
        whole.update(piece)
        position += len(piece)
        yield piece
    if position != facts["size_bytes"] or f"sha256:{whole.hexdigest()}" != facts["hash"]:
        raise ArchiveCorruptError(
            f"artifact damaged: {facts['hash']} in {connection.path}: {position:,} of"
            f" {facts['size_bytes']:,} bytes, and not the ones that were stored",
            path=str(connection.path),
        )


def blob_problems(connection: Connection) -> Iterator[tuple[str, str]]:
    """Read every blob; yield (hash, what is wrong) for each that is damaged."""
    for row in connection.all(ALL_BLOBS):
        facts = connection.one(BLOB_FACTS, (row["id"],))
        try:
            for _piece in iter_blob(connection, row["id"]):
                pass
        except ArchiveCorruptError as error:
            yield (facts["hash"] if facts else "?"), str(error)


def collect_unused(connection: Connection) -> Collected:
    """Delete blobs no artifact names and chunks no blob holds; inside the caller's transaction."""
    blobs = connection.execute(DELETE_UNUSED_BLOBS).rowcount
    unused = connection.one(UNUSED_CHUNKS)
    assert unused is not None
    chunks, stored_bytes = unused
    if chunks:
        connection.execute(DELETE_UNUSED_CHUNKS)
    return Collected(blobs, chunks, stored_bytes)
