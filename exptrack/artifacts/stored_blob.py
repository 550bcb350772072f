"""Read blobs: the bytes that an archive holds under their hash, verified chunk by chunk.

Invariants: the list of chunks is verified first, so reading may begin at any chunk. Bytes are returned only
after their chunk is verified.
"""

from __future__ import annotations

import hashlib
import io
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator

from exptrack.artifacts.blobs import SELECT_BLOB
from exptrack.artifacts.chunks import CODECS, MAX_STORED_BYTES, Packed, Piece, Unpacker
from exptrack.database.connection import Connection, Row, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.errors import ArchiveCorruptError, NotFoundError
from exptrack.helper_threads import Helper, Outcome

CHUNKS_AHEAD = 4  # verified in a thread while a blob is read from end to end

BLOB_FACTS = "SELECT id, hash, size_bytes, list_sha256 FROM blob WHERE id = ?"
CHUNK_LIST = """
SELECT bc.offset_bytes, c.sha256, c.raw_bytes
FROM blob_chunk AS bc LEFT JOIN chunk AS c ON c.id = bc.chunk
WHERE bc.blob = ? ORDER BY bc.offset_bytes
"""
# A hostile row may hold more bytes than any chunk, or a codec that is not text. SQLite replaces both here, so
# they are never loaded.
CODEC = f"CASE WHEN c.codec IN ({', '.join(map(repr, CODECS))}) THEN c.codec ELSE 'other' END AS codec"
CHUNK_DATA = f"""
SELECT c.raw_bytes, {CODEC}, length(d.data) AS stored_bytes,
       CASE WHEN length(d.data) <= {MAX_STORED_BYTES} THEN d.data END AS data
FROM chunk AS c LEFT JOIN chunk_data AS d ON d.chunk = c.id
WHERE c.sha256 = ?
"""


class StoredBlob:
    """Reads a blob, whole or from any place; `what` names it in errors.

    Creating it verifies the list of chunks; each chunk is verified when it is read.

    Raises:
        ArchiveCorruptError: the blob or a chunk is missing, or the list is damaged.
    """

    def __init__(self, connection: Connection, blob: int, what: str) -> None:
        self._connection = connection
        self._what = what
        self._unpacker = Unpacker()
        self._offsets = array("q")
        self._read_list(blob)

    @in_reading
    @decoding_rows
    def _read_list(self, blob: int) -> None:
        connection = self._connection
        digests = bytearray()
        position = 0
        with connection.snapshot():
            row = connection.one(BLOB_FACTS, (blob,))
            if row is None:
                raise self._corrupt("its bytes are not in the file")
            for offset, sha256, raw_bytes in connection.iterate(CHUNK_LIST, (blob,)):
                if offset != position or sha256 is None:
                    raise self._corrupt("a chunk is missing")
                self._offsets.append(offset)
                digests += sha256
                position += raw_bytes
        self.hash: str = row["hash"]
        self.size_bytes: int = row["size_bytes"]
        self._digests = bytes(digests)
        if position != self.size_bytes:
            raise self._corrupt("chunks are missing")
        if hashlib.sha256(self._digests).digest() != row["list_sha256"]:
            raise self._corrupt("its list of chunks does not match its checksum")

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self._offsets)

    def _corrupt(self, problem: str) -> ArchiveCorruptError:
        return corrupt_error(self._connection, self._what, problem)

    def read_chunk(self, index: int) -> bytes:
        """Read one chunk and verify it.

        Raises:
            ArchiveCorruptError: the chunk is damaged or missing.
            NotFoundError: the blob was removed since it was opened.
        """
        return self._verify(index, self._read_row(index))

    def _read_row(self, index: int) -> Row | None:
        row = self._connection.one(CHUNK_DATA, (self._digest(index),))
        if row is None and self._connection.value(SELECT_BLOB, (self.hash,)) is None:
            path = self._connection.path
            raise NotFoundError(
                f"{self._what} was removed from {path} while it was read; list the artifacts again"
            )
        return row

    def _digest(self, index: int) -> bytes:
        return self._digests[32 * index : 32 * index + 32]

    def _verify(self, index: int, row: Row | None) -> bytes:
        where = f"bytes {self._offsets[index]:,} and after"
        try:
            data = unpack_chunk(row, self._unpacker)
        except ValueError as error:
            raise self._corrupt(f"{where}: {error}") from None
        if hashlib.sha256(data).digest() != self._digest(index):
            raise self._corrupt(f"{where}: the chunk does not match its hash")
        return data

    def __iter__(self) -> Iterator[bytes]:
        """Read and verify every chunk in order. A thread verifies a large blob while the next rows are read."""
        if len(self) <= CHUNKS_AHEAD:
            yield from map(self.read_chunk, range(len(self)))
            return
        with Helper("exptrack-checker") as helper:
            ahead: deque[Outcome[bytes]] = deque()
            for index in range(len(self)):
                ahead.append(helper.submit(self._verify, index, self._read_row(index)))
                if len(ahead) > CHUNKS_AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def iter_packed(self) -> Iterator[tuple[Piece, Packed]]:
        """Read and verify every chunk in order; yield it with its codec and its packed bytes."""
        for index in range(len(self)):
            row = self._read_row(index)
            data = self._verify(index, row)
            assert row is not None
            yield Piece(self._digest(index), memoryview(data)), (row["codec"], row["data"])

    def locate(self, position: int) -> tuple[int, int]:
        """Return the index of the chunk that contains a byte, and the offset at which the chunk begins."""
        index = bisect_right(self._offsets, position) - 1
        return index, self._offsets[index]


def corrupt_error(connection: Connection, what: str, problem: str) -> ArchiveCorruptError:
    """Build the error for damaged content; `what` names it."""
    path = connection.place  # not that of a private copy
    return ArchiveCorruptError(
        f"{what} in {path} is damaged: {problem}; run 'exptrack verify' to find all damage", path=str(path)
    )


def unpack_chunk(row: Row | None, unpacker: Unpacker) -> bytes:
    """Unpack the data of a row of `CHUNK_DATA`.

    Raises:
        ValueError: the row or its data is missing, or the data cannot be unpacked.
    """
    if row is None:
        raise ValueError("a chunk is missing")
    if row["stored_bytes"] is None:
        raise ValueError("a chunk has lost its data")
    if not isinstance(row["data"], bytes):
        raise ValueError(f"a chunk never takes {row['stored_bytes']:,} stored bytes")
    return unpacker.unpack(row["codec"], row["data"], row["raw_bytes"])


class BlobStream(io.RawIOBase):
    """Presents a blob as a seekable binary file that reads only the chunks it needs."""

    def __init__(self, blob: StoredBlob) -> None:
        super().__init__()
        self._blob = blob
        self._position = 0
        self._begin = 0
        self._chunk = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position and return it. Reading beyond the end returns nothing."""
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._blob.size_bytes}
        if whence not in bases:
            raise ValueError(f"unknown whence {whence}; give 0, 1 or 2")
        if bases[whence] + offset < 0:
            raise ValueError(f"there is no position {bases[whence] + offset}; seek to 0 or later")
        self._position = bases[whence] + offset
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fill the buffer from the current chunk, up to its end, and return the number of bytes."""
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if self._position >= self._blob.size_bytes or not len(target):
            return 0
        if not self._begin <= self._position < self._begin + len(self._chunk):
            index, self._begin = self._blob.locate(self._position)
            self._chunk = self._blob.read_chunk(index)
        inside = self._position - self._begin
        part = memoryview(self._chunk)[inside : inside + len(target)]
        target[: len(part)] = part
        self._position += len(part)
        return len(part)
