"""Store blobs: bytes named by their content, cut into chunks, each stored once. `stored_blob` reads them.

Invariants: a blob is named by the SHA-256 of its bytes, computed while it is written. It is an ordered list of
chunks and records the SHA-256 of that list. A chunk is stored once, however many blobs contain it.

A blob becomes visible in the same transaction as the row that names it. The chunks of a large blob are stored
before that, in short transactions that let other processes write in between. Until then a row of `blob_writer`
names the process at work. A collection keeps the blobs of living processes and deletes those of dead ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from exptrack.artifacts.chunks import Packed, PackedStream, Packer, Piece
from exptrack.database.connection import Connection, Row, in_section
from exptrack.database.row_sums import hash_row
from exptrack.digests import sha256
from exptrack.errors import ArchiveCorruptError, ConflictError, ExptrackError
from exptrack.named_tuples import NamedTuple
from exptrack.process import ProcessIdentity, current_process, is_alive
from exptrack.times import utc_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _hashlib import HASH
    from typing import Self

FLUSH_BYTES = 4 * 1024 * 1024  # stored in one transaction
# So large may the WAL become meanwhile. To copy it into the file takes as long as to write it did, and the next
# transaction of another kind does so, mostly that of a thread.
WAL_BYTES = 128 * 1024 * 1024
# A process on another host cannot be looked at. After this time without a write it counts as dead.
SILENCE = timedelta(days=1)
RAW_BYTES = (
    16 * 1024
)  # so few bytes are stored as they are where a run starts: packing them takes longer to load

SELECT_CHUNK = "SELECT id FROM chunk WHERE sha256 = ?"
INSERT_CHUNK = "INSERT INTO chunk (sha256, raw_bytes, stored_bytes, codec) VALUES (?, ?, ?, ?)"
INSERT_CHUNK_DATA = "INSERT INTO chunk_data (chunk, data) VALUES (?, ?)"
SELECT_BLOB = "SELECT id FROM blob WHERE hash = ?"
INSERT_BLOB = "INSERT INTO blob (hash, size_bytes, list_sha256) VALUES (?, ?, ?)"
FINISH_BLOB = "UPDATE blob SET hash = ?, size_bytes = ?, list_sha256 = ? WHERE id = ?"
GROW_BLOB = "UPDATE blob SET size_bytes = ? WHERE id = ?"
DELETE_BLOB = "DELETE FROM blob WHERE id = ?"
INSERT_BLOB_CHUNK = "INSERT INTO blob_chunk (blob, offset_bytes, chunk) VALUES (?, ?, ?)"
HELD_BLOBS = "SELECT blob FROM blob_writer WHERE holder = ?"
INSERT_HOLD = """
INSERT INTO blob_writer (blob, holder, host_id, boot_id, pid, pid_started, written_at, checksum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (blob, holder)
DO UPDATE SET written_at = excluded.written_at, checksum = excluded.checksum
"""
DELETE_HOLDS = "DELETE FROM blob_writer WHERE holder = ?"
HOLDS = """
SELECT holder, host_id, boot_id, pid, pid_started, max(written_at) AS at FROM blob_writer GROUP BY holder
"""
UNUSED_BLOBS = """
SELECT b.id FROM blob AS b
WHERE NOT EXISTS (SELECT 1 FROM artifact AS a WHERE a.blob = b.id)
  AND NOT EXISTS (SELECT 1 FROM artifact_entry AS e WHERE e.blob = b.id)
  AND NOT EXISTS (SELECT 1 FROM blob_writer AS w WHERE w.blob = b.id)
"""
UNUSED_BLOBS_AMONG = f"{UNUSED_BLOBS} AND b.id IN (SELECT value FROM json_each(:among))"
CHUNKS_OF = "SELECT DISTINCT chunk FROM blob_chunk WHERE blob IN (SELECT value FROM json_each(?))"
DELETE_BLOBS = "DELETE FROM blob WHERE id IN (SELECT value FROM json_each(?))"
_UNUSED_CHUNKS = """
FROM chunk WHERE NOT EXISTS (SELECT 1 FROM blob_chunk AS bc WHERE bc.chunk = chunk.id)
"""
_AMONG = "AND chunk.id IN (SELECT value FROM json_each(:among))"
UNUSED_CHUNKS = f"SELECT count(*), coalesce(sum(stored_bytes), 0) {_UNUSED_CHUNKS}"
UNUSED_CHUNKS_AMONG = f"{UNUSED_CHUNKS} {_AMONG}"
DELETE_UNUSED_CHUNKS = f"DELETE {_UNUSED_CHUNKS}"
DELETE_UNUSED_CHUNKS_AMONG = f"{DELETE_UNUSED_CHUNKS} {_AMONG}"
BLOBS_OF_RUN = """
SELECT blob FROM artifact WHERE run = :run AND blob IS NOT NULL
UNION
SELECT e.blob FROM artifact AS a JOIN artifact_entry AS e ON e.artifact = a.id
WHERE a.run = :run AND e.blob IS NOT NULL
"""
# A collection deletes nothing if a row names a blob or chunk that is missing.
MISSING = """
SELECT 'artifact ' || a.name || ' has lost its blob' FROM artifact AS a
WHERE a.blob IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blob AS b WHERE b.id = a.blob)
UNION ALL
SELECT 'file ' || e.path || ' of a folder has lost its blob' FROM artifact_entry AS e
WHERE e.blob IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blob AS b WHERE b.id = e.blob)
UNION ALL
SELECT b.hash || ' has lost chunks' FROM blob AS b
WHERE b.list_sha256 IS NOT NULL AND b.size_bytes <> (
    SELECT coalesce(sum(c.raw_bytes), 0) FROM blob_chunk AS bc JOIN chunk AS c ON c.id = bc.chunk
    WHERE bc.blob = b.id
)
UNION ALL
SELECT 'a chunk has lost its data' FROM chunk AS c
WHERE NOT EXISTS (SELECT 1 FROM chunk_data AS d WHERE d.chunk = c.id)
LIMIT 1
"""

# The holders at work in this process.
_INTAKES: set[str] = set()


class NewBlob:
    """A blob that is being stored; `id` is its row id, once it has one."""

    def __init__(self) -> None:
        self.id: int | None = None
        self.hash = ""
        self.name = ""  # in the file: its hash, once all of it was read
        self.size_bytes = 0
        self.list_sha256 = sha256()
        self.parts: list[tuple[int, bytes]] = []  # offset and sha256 of the chunks still to be written
        self.whole = False  # all its bytes were read
        self.written = False  # all its rows were written

    @classmethod
    def stored(cls, row_id: int, name: str, size_bytes: int) -> Self:
        """Return a blob that the archive has already."""
        found = cls()
        found.id, found.hash, found.name, found.size_bytes = row_id, name, name, size_bytes
        found.whole = found.written = True
        return found

    def add(self, piece: Piece) -> None:
        """Append the next piece."""
        self.parts.append((self.size_bytes, piece.sha256))
        self.list_sha256.update(piece.sha256)
        self.size_bytes += len(piece.data)


class _Pending(NamedTuple):
    """A chunk to be written; `packed` is None if the file seemed to have it already."""

    piece: Piece
    packed: Packed | None


class Intake:
    """Stores blobs: :meth:`put` each one, then give :meth:`attach` a function that writes the rows naming them.

    Small blobs are written only there, in the same transaction as those rows. Use it as a context manager: at
    the end of the block, it deletes the blobs that no row names.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._holder = os.urandom(8).hex()
        self._pending: list[_Pending] = []
        self._pending_bytes = 0
        self._blobs: list[NewBlob] = []
        self._holding = False
        self._held: set[int] = set()  # blobs with a committed row in blob_writer
        self._chunks: list[int] = []  # row ids of the chunks added for these blobs
        self._has_spare = False  # a blob turned out to be in the file already

    def __enter__(self) -> Intake:
        _INTAKES.add(self._holder)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        try:
            if self._holding:
                self._release()
        except ExptrackError as problem:
            if error is None:
                raise
            # The first error says more. On a full disk deleting fails too.
            error.add_note(f"chunks stored so far could not be deleted ({problem}); call gc_artifacts() later")
        finally:
            _INTAKES.discard(self._holder)

    @in_section
    def _release(self) -> None:
        """Delete the stored blobs that no row names."""
        with self._connection.transaction():
            blobs = self._held_blobs()
            self._connection.execute(DELETE_HOLDS, (self._holder,))
            collect_unused(self._connection, list(blobs))

    def put(self, source: object) -> NewBlob:
        """Read all of `source` (bytes, a binary file or an iterable of bytes) and store it as a blob.

        Commits whenever `FLUSH_BYTES` are waiting to be written. Memory stays bounded by a few blocks.

        Raises:
            InvalidTypeError: the source is of another type, or returns anything but bytes.
        """
        blob, stream = NewBlob(), PackedStream(source, self._has_chunk)
        self._blobs.append(blob)
        asks = True
        with closing(iter(stream)) as pieces:
            for piece, packed in pieces:
                self._add(blob, piece, packed)
                if asks and stream.is_hashed_ahead:
                    if self._take_stored(blob, stream.hash, stream.size_bytes):
                        return blob
                    asks = False
        blob.hash, blob.whole = stream.hash, True
        return blob

    def _has_chunk(self, sha256: bytes) -> bool:
        return self._connection.value(SELECT_CHUNK, (sha256,)) is not None

    def _add(self, blob: NewBlob, piece: Piece, packed: Packed | None) -> None:
        """Let one more piece of a blob wait to be written; write what waits if that is much."""
        blob.add(piece)
        self._pending.append(_Pending(piece, packed))
        self._pending_bytes += len(piece.data)
        if self._pending_bytes >= FLUSH_BYTES:
            self._flush()

    def _take_stored(self, blob: NewBlob, whole: str, size_bytes: int) -> bool:
        """Let a blob whose rest is not cut yet be the one that is stored with its hash, if there is one."""
        if self._connection.value(SELECT_BLOB, (whole,)) is None:
            return False
        return self._connection.section(partial(self._take_stored_once, blob, whole, size_bytes))

    def _take_stored_once(self, blob: NewBlob, whole: str, size_bytes: int) -> bool:
        connection = self._connection
        self._holding = True
        with connection.transaction(wal_bytes=WAL_BYTES):
            self._require_held()
            same = connection.value(SELECT_BLOB, (whole,))
            if same is None:
                return False
            if blob.id is not None:
                connection.execute(DELETE_BLOB, (blob.id,))
            self._hold(int(same), whole)
            held = self._held_blobs()
        self._held, self._has_spare = held, True
        blob.id, blob.parts, blob.written = int(same), [], True
        blob.hash, blob.name, blob.size_bytes, blob.whole = whole, whole, size_bytes, True
        return True

    def put_small(self, data: bytes) -> NewBlob:
        """Store bytes as :meth:`put` does; if they are few, without loading what cuts and packs.

        Fewer bytes than the least chunk are one chunk, however they are cut.
        """
        if not 0 < len(data) <= RAW_BYTES:
            return self.put(data)
        piece = Piece(sha256(data).digest(), memoryview(data))
        return self._put_packed([(piece, ("raw", data))], sha256())

    def put_packed(self, chunks: Iterable[tuple[Piece, Packed]]) -> NewBlob:
        """Store a blob of chunks that another file holds: each piece, and its codec and packed bytes.

        The bytes stay cut and packed as they are. Commits as :meth:`put` does.
        """
        import hashlib

        return self._put_packed(chunks, hashlib.sha256())

    def _put_packed(self, chunks: Iterable[tuple[Piece, Packed]], whole: HASH) -> NewBlob:
        blob = NewBlob()
        self._blobs.append(blob)
        for piece, packed in chunks:
            whole.update(piece.data)
            self._add(blob, piece, None if self._has_chunk(piece.sha256) else packed)
        blob.hash, blob.whole = f"sha256:{whole.hexdigest()}", True
        return blob

    def _flush(self) -> None:
        self._connection.section(self._flush_once)

    def _flush_once(self) -> None:
        self._holding = True
        with self._pending_again(), self._connection.transaction(wal_bytes=WAL_BYTES):
            self._write(packing=Packer(), hold=True)
            held = self._held_blobs()
        self._held = held

    @contextmanager
    def _pending_again(self) -> Iterator[None]:
        """Let everything wait to be written as before if the transaction in the block is undone."""
        pending = self._pending, self._pending_bytes, self._has_spare
        chunks = len(self._chunks)
        blobs = [(blob, blob.id, blob.parts, blob.written) for blob in self._blobs]
        try:
            yield
        except BaseException:
            self._pending, self._pending_bytes, self._has_spare = pending
            del self._chunks[chunks:]
            for blob, row, parts, written in blobs:
                blob.id, blob.parts, blob.written = row, parts, written
            raise

    def _held_blobs(self) -> set[int]:
        return {row[0] for row in self._connection.all(HELD_BLOBS, (self._holder,))}

    def attach(self, name: Callable[[], object], *, durable: bool = False) -> None:
        """Call `name` in a transaction in which every blob put so far is in the file, to be named there."""
        self._connection.section(partial(self._attach_once, name, durable))

    def _attach_once(self, name: Callable[[], object], durable: bool) -> None:
        with self._pending_again(), self._transaction_to_attach(durable):
            self._write(packing=Packer(), hold=False)
            name()
            if self._holding:
                self._connection.execute(DELETE_HOLDS, (self._holder,))
            if self._has_spare and self._chunks:
                # The file had the blob already, perhaps cut otherwise: the chunks added for it are not needed.
                _collect_chunks(self._connection, self._chunks)
        self._holding = False
        self._blobs.clear()

    def _transaction_to_attach(self, durable: bool) -> AbstractContextManager[None]:
        if self._holding and not durable:
            return self._connection.transaction(wal_bytes=WAL_BYTES)
        return self._connection.transaction(durable=durable)

    def _write(self, *, packing: Packer, hold: bool) -> None:
        connection = self._connection
        self._require_held()
        ids: dict[bytes, int] = {}
        for piece, packed in self._pending:
            known = connection.value(SELECT_CHUNK, (piece.sha256,))
            if known is None:
                # The file had it when put() looked; a collection has deleted it since.
                codec, data = packed or packing.pack(piece.data)
                facts = (piece.sha256, len(piece.data), len(data), codec)
                known = connection.execute(INSERT_CHUNK, facts).lastrowid
                assert known is not None
                self._chunks.append(known)
                connection.execute(INSERT_CHUNK_DATA, (known, data))
            ids[piece.sha256] = int(known)
        for blob in self._blobs:
            if not blob.written:
                self._write_blob(blob, ids)
                if hold:
                    assert blob.id is not None
                    self._hold(blob.id, blob.name)
        self._pending, self._pending_bytes = [], 0

    def _require_held(self) -> None:
        if self._held and self._held_blobs() != self._held:
            # By now their row ids may belong to other blobs.
            raise ConflictError(
                f"{self._connection.path}: another process deleted the bytes stored so far, because this one"
                " seemed dead; register the content again"
            )

    def _hold(self, blob: int, name: str) -> None:
        row = (blob, self._holder, *current_process(), utc_text())
        self._connection.execute(INSERT_HOLD, (*row, hash_row("blob_writer", (*row, name))))

    def _write_blob(self, blob: NewBlob, ids: dict[bytes, int]) -> None:
        connection = self._connection
        same = None
        if blob.whole:
            blob.name = blob.hash
            same = connection.value(SELECT_BLOB, (blob.hash,))
        if same is not None:
            self._has_spare = True
            if blob.id is not None:
                connection.execute(DELETE_BLOB, (blob.id,))
            blob.id, blob.parts, blob.written = int(same), [], True
            return
        if blob.id is None:
            blob.name = blob.name or f"writing:{self._holder}-{os.urandom(4).hex()}"
            digest = blob.list_sha256.digest() if blob.whole else None
            blob.id = connection.execute(INSERT_BLOB, (blob.name, blob.size_bytes, digest)).lastrowid
        elif blob.whole:
            facts = (blob.hash, blob.size_bytes, blob.list_sha256.digest(), blob.id)
            connection.execute(FINISH_BLOB, facts)
        else:
            connection.execute(GROW_BLOB, (blob.size_bytes, blob.id))
        rows = [(blob.id, offset, ids[sha256]) for offset, sha256 in blob.parts]
        connection.execute_many(INSERT_BLOB_CHUNK, rows)
        blob.parts, blob.written = [], blob.whole


class Collected(NamedTuple):
    """The numbers of blobs, chunks and bytes that a collection deleted."""

    blobs: int
    chunks: int
    stored_bytes: int


def list_blobs_of_run(connection: Connection, run: int) -> list[int]:
    """List the row ids of the blobs that artifacts of a run name."""
    return [row[0] for row in connection.all(BLOBS_OF_RUN, {"run": run})]


def collect_unused(connection: Connection, among: Sequence[int] | None = None) -> Collected:
    """Delete blobs that no row names or holds, and chunks that no blob contains. Call inside a transaction.

    `among` limits the search to these blobs. Without it, this searches all blobs, and first ends the holds of
    dead processes.

    Raises:
        ArchiveCorruptError: a row names a blob or chunk that is missing; nothing is deleted.
    """
    if among is None:
        missing = connection.value(MISSING)
        if missing is not None:
            raise ArchiveCorruptError(
                f"{missing} in {connection.file}; nothing was deleted; run 'exptrack verify' to see the damage",
                path=connection.file,
            )
        for row in connection.all(HOLDS):
            if not _is_held(row):
                connection.execute(DELETE_HOLDS, (row["holder"],))
        unused = json.dumps([row[0] for row in connection.all(UNUSED_BLOBS)])
        blobs = connection.execute(DELETE_BLOBS, (unused,)).rowcount
        return Collected(blobs, *_delete_unused_chunks(connection, UNUSED_CHUNKS, DELETE_UNUSED_CHUNKS, {}))
    chosen = {"among": json.dumps(list(among))}
    unused = json.dumps([row[0] for row in connection.all(UNUSED_BLOBS_AMONG, chosen)])
    chunks = [row[0] for row in connection.all(CHUNKS_OF, (unused,))]
    blobs = connection.execute(DELETE_BLOBS, (unused,)).rowcount
    return Collected(blobs, *_collect_chunks(connection, chunks))


def _collect_chunks(connection: Connection, among: Sequence[int]) -> tuple[int, int]:
    chosen = {"among": json.dumps(list(among))}
    return _delete_unused_chunks(connection, UNUSED_CHUNKS_AMONG, DELETE_UNUSED_CHUNKS_AMONG, chosen)


def _delete_unused_chunks(
    connection: Connection, count: str, delete: str, chosen: dict[str, str]
) -> tuple[int, int]:
    """Delete the chunks; return their number and their stored bytes."""
    counted = connection.one(count, chosen)
    assert counted is not None
    if counted[0]:
        connection.execute(delete, chosen)
    return counted[0], counted[1]


def _is_held(row: Row) -> bool:
    owner = ProcessIdentity(row["host_id"], row["boot_id"], row["pid"], row["pid_started"])
    if owner == current_process():
        # The intake may have ended without cleaning up, and then holds nothing.
        return row["holder"] in _INTAKES
    alive = is_alive(owner)
    if alive is None:
        return datetime.fromisoformat(row["at"]).replace(tzinfo=UTC) > datetime.now(UTC) - SILENCE
    return alive
