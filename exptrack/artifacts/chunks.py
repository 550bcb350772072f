"""Cut bytes into content-defined chunks, compress each where that saves at least 3 %, and unpack them again.

Invariants: the bytes of a stream alone decide where it is cut, not the sizes in which they arrive. Two versions
of a file therefore share the chunks around a change (FastCDC, Xia et al., "The Design of Fast Content-Defined
Chunking", IEEE TPDS 2020). A chunk has at most 1 MiB. `unpack` returns exactly the recorded number of bytes or
refuses: a frame that declares another size is never expanded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import cached_property
from itertools import chain

from exptrack.digests import sha256_of
from exptrack.errors import InvalidTypeError
from exptrack.named_tuples import NamedTuple
from exptrack.plain import plain, reading, short_repr
from exptrack.shuffling import compress_shuffled, unshuffle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

    import zstandard

    from exptrack.helper_threads import Helper, Outcome

MAX_CHUNK_BYTES = 1024 * 1024
AVERAGE_BYTES = 256 * 1024
LEAST_BYTES = 64 * 1024
# Normalised chunking of level 2: sizes vary half as much as with level 1, and versions share as much.
NORMALIZATION: Literal[2] = 2

BLOCK_BYTES = 2 * 1024 * 1024
# Read and hashed, but not yet cut: more while all pieces are known, so that the whole may turn out to be known.
AHEAD_BYTES, AHEAD_OF_KNOWN_BYTES = 4 * 1024 * 1024, 8 * 1024 * 1024
PACKED_AHEAD_BYTES = 2 * 1024 * 1024  # cut, and being packed
PLAIN_FORMATS = frozenset("cbB?hHiIlLqQnNfd")  # of a memoryview, in the machine's byte order
ZSTD_LEVEL = 1
WORTH_IT = 0.97  # a saving below 3 % does not pay for the decompression

# Shuffling sorts the bytes of numbers by their place in the number. Exponents then lie together and compress;
# mantissas do not. A sample decides which width pays, and its choice serves the next chunks too, because
# neighbours in a file are mostly alike.
WIDTHS = {"zstd": 1, "shuffle2+zstd": 2, "shuffle4+zstd": 4, "shuffle8+zstd": 8}
CODECS = ("raw", *WIDTHS)
SAMPLE_BYTES = 8192
SAMPLE_EVERY = 8  # chunks
Packed: TypeAlias = tuple[str, bytes | memoryview]  # the codec chosen, and the bytes to store
# The largest frame that zstd makes of MAX_CHUNK_BYTES.
MAX_STORED_BYTES = MAX_CHUNK_BYTES + MAX_CHUNK_BYTES // 128 + 1024


class Piece(NamedTuple):
    """A chunk that was cut from a stream, with its hash."""

    sha256: bytes
    data: memoryview


class Cutter:
    """Cuts one stream: takes its blocks and returns pieces as soon as their end is certain."""

    def __init__(self) -> None:
        from pyfastcdc import FastCDC

        self._cdc = FastCDC(
            AVERAGE_BYTES,
            min_size=LEAST_BYTES,
            max_size=MAX_CHUNK_BYTES,
            normalized_chunking=NORMALIZATION,
        )
        self._rest = b""

    def feed(self, block: bytes | memoryview) -> list[Piece]:
        """Cut the next block. Its last piece stays here until the next block shows where it ends."""
        views = self._cut(b"".join((self._rest, block)))
        self._rest = bytes(views.pop()) if views else b""
        return [Piece(sha256_of(view).digest(), view) for view in views]

    def finish(self) -> list[Piece]:
        """End the stream and return the last piece."""
        views, self._rest = self._cut(self._rest), b""
        return [Piece(sha256_of(view).digest(), view) for view in views]

    def _cut(self, data: bytes) -> list[memoryview]:
        whole, found, begin = memoryview(data), [], 0
        for chunk in self._cdc.cut_buf(data):
            found.append(whole[begin : begin + chunk.length])
            begin += chunk.length
        return found


def iter_blocks(source: object) -> Iterator[bytes | memoryview]:
    """Stream the bytes of `source` (bytes, a binary file or an iterable of bytes) in blocks of bounded size.

    Raises:
        InvalidTypeError: the source is of another type, or returns anything but bytes.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield from _iter_slices(source)
        return
    read = getattr(source, "read", None)
    if callable(read):
        pieces: Iterable[Any] = iter(lambda: read(BLOCK_BYTES), b"")
    elif isinstance(source, Iterable) and not isinstance(source, str):
        pieces = source
    else:
        raise InvalidTypeError(
            f"content cannot be {short_repr(source)}; give text, bytes, a binary file or an iterable of bytes"
        )
    # One buffer, because a list of pieces of a few bytes takes many times their size.
    waiting = bytearray()
    for piece in pieces:
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise InvalidTypeError(
                f"the content returned {type(piece).__name__} {short_repr(piece)}; open a file in binary mode,"
                " or encode text to bytes"
            )
        for part in _iter_slices(piece):
            if not waiting and len(part) == BLOCK_BYTES:
                yield part
                continue
            waiting += part
            if len(waiting) >= BLOCK_BYTES:
                with memoryview(waiting) as view:
                    block = bytes(view[:BLOCK_BYTES])
                del waiting[:BLOCK_BYTES]
                yield block
    if waiting:
        yield bytes(waiting)


def guard_content(content: object) -> object:
    """Return the content that a caller gives, such that an error of its reading is an InvalidValueError."""
    content = plain(content)
    if isinstance(content, (bytes, bytearray)):
        return content
    return _iter_guarded(content)


def _iter_guarded(content: object) -> Iterator[bytes | memoryview]:
    with reading("the content"):
        yield from iter_blocks(content)


def _iter_slices(data: bytes | bytearray | memoryview) -> Iterator[bytes | memoryview]:
    """Stream the bytes in blocks. Mutable data is copied: if it changed, chunks and hash would not agree."""
    view = memoryview(data)
    # Python casts only these formats to bytes; others are copied.
    castable = view.c_contiguous and view.nbytes and view.format in PLAIN_FORMATS
    flat = view.cast("B") if castable else memoryview(bytes(view))
    for begin in range(0, len(flat), BLOCK_BYTES):
        part = flat[begin : begin + BLOCK_BYTES]
        yield part if isinstance(data, bytes) else bytes(part)


class PackedStream:
    """Streams the pieces of a source, each with its codec and packed bytes, or None if `is_known` says so.

    Of a source longer than a block, three threads hash the whole, cut and hash the pieces, and pack them, while
    the caller stores what came before. The caller's thread reads the source ahead, and calls `is_known`
    with the hash of a piece. So the hash of the whole may be known before all of it is cut.
    """

    def __init__(self, source: object, is_known: Callable[[bytes], bool]) -> None:
        import hashlib  # not where a run only starts

        self._blocks = iter_blocks(source)
        self._is_known = is_known
        self._packer = Packer()
        self._hash = hashlib.sha256()
        self._bytes_ahead = AHEAD_BYTES
        self._last: Outcome[None] | None = None  # of the block with which a long source ends, once it was read
        self.size_bytes = 0  # of what was read

    @property
    def hash(self) -> str:
        """The hash of all bytes that were hashed so far."""
        return f"sha256:{self._hash.hexdigest()}"

    @property
    def is_hashed_ahead(self) -> bool:
        """Whether all of a long source is hashed, though perhaps not all of it is cut."""
        if self._last is None or not self._last.is_over:
            return False
        self._last.result()
        return True

    def __iter__(self) -> Generator[tuple[Piece, Packed | None]]:
        block, following = next(self._blocks, b""), next(self._blocks, None)
        if following is not None:
            yield from self._stream(chain((block, following), self._blocks))
            return
        self._hash.update(block)
        self.size_bytes = len(block)
        if 0 < self.size_bytes < LEAST_BYTES:  # one chunk, however it is cut
            pieces = [Piece(self._hash.digest(), memoryview(block))]
        else:
            cutter = Cutter()
            pieces = [*cutter.feed(block), *cutter.finish()]
        for piece in pieces:
            yield piece, None if self._is_known(piece.sha256) else self._packer.pack(piece.data)

    def _stream(self, blocks: Iterator[bytes | memoryview]) -> Iterator[tuple[Piece, Packed | None]]:
        from exptrack.helper_threads import Helper

        with (
            Helper("exptrack-hasher") as hasher,
            Helper("exptrack-cutter") as cutting,
            Helper("exptrack-packer") as packing,
        ):
            packed: deque[tuple[Piece, Outcome[Packed] | None]] = deque()
            waiting = 0  # bytes in it
            for pieces in self._cut(blocks, hasher, cutting):
                for piece in pieces:
                    known = self._is_known(piece.sha256)
                    self._bytes_ahead = AHEAD_OF_KNOWN_BYTES if known else AHEAD_BYTES
                    packed.append((piece, None if known else packing.submit(self._packer.pack, piece.data)))
                    waiting += len(piece.data)
                while waiting > PACKED_AHEAD_BYTES:
                    piece, outcome = packed.popleft()
                    waiting -= len(piece.data)
                    yield piece, None if outcome is None else outcome.result()
            for piece, outcome in packed:
                yield piece, None if outcome is None else outcome.result()

    def _cut(
        self, blocks: Iterator[bytes | memoryview], hasher: Helper, cutting: Helper
    ) -> Iterator[list[Piece]]:
        cutter, is_read = Cutter(), False
        ahead: deque[tuple[Outcome[None], Outcome[list[Piece]]]] = deque()
        hashed: Outcome[None] | None = None
        while True:
            while not is_read and len(ahead) * BLOCK_BYTES < self._bytes_ahead:
                block = next(blocks, None)
                if block is None:
                    is_read, self._last = True, hashed
                else:
                    self.size_bytes += len(block)
                    hashed = hasher.submit(self._hash.update, block)
                    ahead.append((hashed, cutting.submit(cutter.feed, block)))
            if not ahead:
                break
            _, cut = ahead[0]
            yield cut.result()
            ahead.popleft()[0].result()  # a block that waits for its hashing takes memory too
        yield cutter.finish()


class Packer:
    """Packs the chunks of one stream; keeps a chunk raw if compression saves less than 3 %."""

    def __init__(self) -> None:
        self._codec = "zstd"
        self._packed = 0

    @cached_property
    def _zstd(self) -> zstandard.ZstdCompressor:
        import zstandard  # a run whose code is packed already, or is small, does without

        return zstandard.ZstdCompressor(level=ZSTD_LEVEL)

    def pack(self, data: bytes | memoryview) -> Packed:
        """Pack one chunk; return the codec chosen and the bytes to store."""
        if self._packed % SAMPLE_EVERY == 0:
            self._codec = self._choose_codec(data)
        self._packed += 1
        packed = self._compress(data, WIDTHS[self._codec])
        if len(packed) < WORTH_IT * len(data):
            return self._codec, packed
        return "raw", data

    def _compress(self, data: bytes | memoryview, width: int) -> bytes:
        return self._zstd.compress(data) if width == 1 else compress_shuffled(self._zstd, data, width)

    def _choose_codec(self, data: bytes | memoryview) -> str:
        middle = len(data) // 2 & ~7  # a multiple of every width, so that a number begins there
        sample = bytes(data[:SAMPLE_BYTES]) + bytes(data[max(middle, SAMPLE_BYTES) :][:SAMPLE_BYTES])
        sizes = {
            codec: sum(len(self._zstd.compress(sample[place::width])) for place in range(width))
            for codec, width in WIDTHS.items()
        }
        best = min(sizes, key=lambda codec: sizes[codec])
        return best if sizes[best] < WORTH_IT * sizes["zstd"] else "zstd"


class Unpacker:
    """Unpacks chunks."""

    def __init__(self) -> None:
        self._zstd: zstandard.ZstdDecompressor | None = None

    def unpack(self, codec: str, data: bytes, raw_bytes: int) -> bytes:
        """Unpack a chunk of exactly `raw_bytes` bytes.

        Raises:
            ValueError: the data is not a chunk of this size; nothing beyond it was expanded.
        """
        if not 0 < raw_bytes <= MAX_CHUNK_BYTES:
            raise ValueError(f"a chunk never has {raw_bytes:,} bytes")
        if codec == "raw":
            found = data
        elif codec in WIDTHS:
            found = unshuffle(self._decompress(data, raw_bytes), WIDTHS[codec])
        else:
            raise ValueError(f"unknown codec {codec!r}")
        if len(found) != raw_bytes:
            raise ValueError(f"it has {len(found):,} bytes, not {raw_bytes:,}")
        return found

    def _decompress(self, data: bytes, raw_bytes: int) -> bytes:
        import zstandard

        if self._zstd is None:
            self._zstd = zstandard.ZstdDecompressor()
        try:
            if zstandard.frame_content_size(data) != raw_bytes:
                raise ValueError("its compressed frame declares another size")
            return self._zstd.decompress(data, max_output_size=raw_bytes)
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from None
