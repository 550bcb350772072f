"""Streams are cut by their bytes alone, packed without loss, unpacked to the recorded size or not at all."""

from __future__ import annotations

import hashlib
import io
import random
import threading
import tracemalloc
from array import array
from collections.abc import Iterator

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import InvalidTypeError
from exptrack.artifacts import chunks
from exptrack.artifacts.chunks import (
    BLOCK_BYTES,
    LEAST_BYTES,
    MAX_CHUNK_BYTES,
    MAX_STORED_BYTES,
    WIDTHS,
    Cutter,
    PackedStream,
    Packer,
    Piece,
    Unpacker,
    iter_blocks,
)
from tests.effort import tries

SEEDED = random.Random(1).randbytes(3_000_000)
GOLDEN_SIZES = [278914, 292048, 305716, 477575, 270770, 304431, 291710, 347199, 386146, 45491]
GOLDEN_LIST = "4a6dd6260095838a7b0145f863e15e9cdbb7961f1903abb895400dbc8d68ff6b"
GOLDEN_CODECS = {
    "float16": "shuffle2+zstd",
    "float32": "shuffle4+zstd",
    "float64": "shuffle8+zstd",
    "text": "zstd",
    "random": "raw",
}
GOLDEN_PACKED = {"float16": 101532, "float32": 202914, "float64": 191836, "text": 41, "random": 100000}


def type_name(value: object) -> str:
    return type(value).__name__


def sizes(pieces: list[Piece]) -> list[int]:
    return [len(piece.data) for piece in pieces]


def cut(data: bytes, *places: int) -> list[Piece]:
    """The pieces of data that arrives in blocks which end at `places`."""
    cutter, pieces, begin = Cutter(), list[Piece](), 0
    for end in (*sorted(places), len(data)):
        pieces += cutter.feed(data[begin:end])
        begin = end
    return pieces + cutter.finish()


# Cutting


@settings(max_examples=tries(30), deadline=None)
@given(st.lists(st.integers(0, len(SEEDED)), max_size=6))
def test_where_a_stream_is_cut_does_not_depend_on_how_it_arrives(places: list[int]) -> None:
    assert [p.sha256 for p in cut(SEEDED, *places)] == [p.sha256 for p in cut(SEEDED)]


def test_the_cuts_of_known_bytes_are_the_known_ones() -> None:
    """Another version of the cutter that cuts elsewhere would share nothing with what is stored."""
    assert sizes(cut(SEEDED)) == GOLDEN_SIZES
    digest = hashlib.sha256(b"".join(p.sha256 for p in cut(SEEDED))).hexdigest()
    assert digest == GOLDEN_LIST


def test_pieces_are_the_stream_within_bounds_and_hashed() -> None:
    pieces = cut(SEEDED, 1000, 1_000_000)
    assert b"".join(p.data for p in pieces) == SEEDED
    assert all(LEAST_BYTES <= size <= MAX_CHUNK_BYTES for size in sizes(pieces)[:-1])
    assert all(hashlib.sha256(p.data).digest() == p.sha256 for p in pieces)
    assert sizes(cut(bytes(3 * MAX_CHUNK_BYTES))) == [MAX_CHUNK_BYTES] * 3


def test_an_insertion_changes_the_pieces_around_it_only() -> None:
    before = {p.sha256 for p in cut(SEEDED)}
    after = {p.sha256 for p in cut(b"header" + SEEDED[:1_500_000] + b"x" + SEEDED[1_500_000:])}
    assert len(after - before) <= 4


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES])
def test_a_stream_ends_with_its_size_and_its_hash(size: int) -> None:
    data = (SEEDED * 3)[:size]
    stream = PackedStream(data, lambda _: True)
    assert b"".join(piece.data for piece, _ in stream) == data
    assert stream.size_bytes == size
    assert stream.hash == f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("size", [LEAST_BYTES - 1, LEAST_BYTES, 400_000, 3 * BLOCK_BYTES, 30_000_000])
def test_a_stream_is_cut_and_packed_as_if_one_thread_did_it(size: int) -> None:
    data = np.random.default_rng(2).normal(size=size // 4 + 1).astype("<f4").tobytes()[:size]
    packer, known = Packer(), {piece.sha256 for piece in cut(data)[::3]}
    expected = [(piece, None if piece.sha256 in known else packer.pack(piece.data)) for piece in cut(data)]
    assert list(PackedStream(io.BytesIO(data), known.__contains__)) == expected


def test_a_source_is_read_and_hashed_no_further_ahead_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "AHEAD_OF_KNOWN_BYTES", 3 * BLOCK_BYTES)
    monkeypatch.setattr(chunks, "PACKED_AHEAD_BYTES", 0)
    read, taken = 0, 0

    def blocks() -> Iterator[bytes]:
        nonlocal read
        for _ in range(12):
            assert read - taken <= 4 * BLOCK_BYTES + MAX_CHUNK_BYTES
            read += BLOCK_BYTES
            yield SEEDED[:BLOCK_BYTES]

    for piece, _ in PackedStream(blocks(), lambda _: True):
        taken += len(piece.data)
    assert read == taken == 12 * BLOCK_BYTES


def test_an_error_of_the_source_ends_the_threads_of_a_stream() -> None:
    def blocks() -> Iterator[bytes]:
        yield from [SEEDED] * 3
        raise OSError("gone")

    before = threading.active_count()
    with pytest.raises(OSError, match="gone"):
        list(PackedStream(blocks(), lambda _: False))
    assert threading.active_count() == before


def test_a_stream_that_is_left_early_ends_its_threads() -> None:
    before = threading.active_count()
    stream = iter(PackedStream(SEEDED * 5, lambda _: False))
    next(stream)
    assert threading.active_count() == before + 3
    stream.close()
    assert threading.active_count() == before


# Packing


def golden_inputs() -> dict[str, bytes]:
    numbers = np.random.default_rng(1)
    return {
        "float16": numbers.normal(size=60_000).astype("<f2").tobytes(),
        "float32": numbers.normal(size=60_000).astype("<f4").tobytes(),
        "float64": np.cumsum(numbers.normal(size=30_000)).astype("<f8").tobytes(),
        "text": b"to be or not to be " * 5000,
        "random": SEEDED[:100_000],
    }


def test_what_known_bytes_pack_to_is_known() -> None:
    found = {name: Packer().pack(data) for name, data in golden_inputs().items()}
    assert {name: codec for name, (codec, _) in found.items()} == GOLDEN_CODECS
    for name, (_, packed) in found.items():
        # Versions of zstd differ by some bytes.
        assert len(packed) == pytest.approx(GOLDEN_PACKED[name], rel=0.02), name


@settings(max_examples=tries(150), deadline=None)
@given(st.binary(min_size=1, max_size=40), st.integers(1, 300), st.integers(0, 7), st.sampled_from([*WIDTHS]))
def test_every_codec_gives_back_what_went_in(unit: bytes, times: int, odd: int, codec: str) -> None:
    data = unit * times + unit[:odd]
    packed = Packer()._compress(data, WIDTHS[codec])
    assert Unpacker().unpack(codec, packed, len(data)) == data
    chosen, stored = Packer().pack(memoryview(data))
    assert Unpacker().unpack(chosen, stored, len(data)) == data
    assert len(stored) <= len(data)


def test_the_largest_chunk_fits_into_what_is_read_back() -> None:
    data = SEEDED[:MAX_CHUNK_BYTES]
    for width in WIDTHS.values():
        assert len(Packer()._compress(data, width)) <= MAX_STORED_BYTES


def test_what_saves_less_than_three_percent_is_stored_raw() -> None:
    assert Packer().pack(SEEDED[:1000]) == ("raw", SEEDED[:1000])


# Unpacking what somebody else wrote


HOSTILE = {
    "a gigabyte in some kilobytes": ("zstd", zstandard.ZstdCompressor().compress(bytes(2**28)), 1000),
    "no declared size": (
        "zstd",
        zstandard.ZstdCompressor(write_content_size=False).compress(bytes(2**28)),
        1000,
    ),
    "a smaller frame": ("zstd", zstandard.ZstdCompressor().compress(bytes(999)), 1000),
    "half a frame": ("zstd", zstandard.ZstdCompressor().compress(SEEDED[:1000])[:500], 1000),
    "no frame": ("zstd", b"no frame at all", 1000),
    "nothing": ("zstd", b"", 1000),
    "raw and longer": ("raw", bytes(1001), 1000),
    "raw and shorter": ("raw", b"", 1000),
    "a shuffled gigabyte": ("shuffle4+zstd", zstandard.ZstdCompressor().compress(bytes(2**28)), 1000),
    "an unknown codec": ("lzma", bytes(1000), 1000),
    "no bytes": ("raw", b"", 0),
    "too many bytes": ("raw", bytes(MAX_CHUNK_BYTES + 1), MAX_CHUNK_BYTES + 1),
    "fewer than none": ("raw", b"", -1),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_chunk_of_its_size_is_refused_without_being_expanded(what: str) -> None:
    unpacker = Unpacker()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"."):
            unpacker.unpack(*HOSTILE[what])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


def test_a_frame_that_declares_a_size_and_holds_more_is_refused() -> None:
    """The declared size alone would let through a frame whose header was rewritten."""
    honest = zstandard.ZstdCompressor().compress(bytes(2**20))
    at = honest.index((2**20).to_bytes(4, "little"))
    lying = honest[:at] + (1000).to_bytes(4, "little") + honest[at + 4 :]
    assert zstandard.frame_content_size(lying) == 1000
    with pytest.raises(ValueError, match=r"."):
        Unpacker().unpack("zstd", lying, 1000)


# Sources


class ShortReads(io.RawIOBase):
    """Reads a few bytes whatever it is asked for."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self.file.read(min(size, 7001) if size >= 0 else 7001)


def all_blocks(source: object) -> bytes:
    blocks = [bytes(block) for block in iter_blocks(source)]
    assert all(len(block) == BLOCK_BYTES for block in blocks[:-1])
    assert all(0 < len(block) <= BLOCK_BYTES for block in blocks[-1:])
    return b"".join(blocks)


SOME = SEEDED[:100_001]
SOURCES: dict[str, object] = {
    "bytes": SOME,
    "a bytearray": bytearray(SOME),
    "a view": memoryview(SOME),
    "a file": io.BytesIO(SOME),
    "short reads": ShortReads(SOME),
    "a list": [SOME[:5], b"", SOME[5:50_000], bytearray(SOME[50_000:])],
    "a generator": (SOME[n : n + 1000] for n in range(0, len(SOME), 1000)),
    "a set of one": {SOME},
}


@pytest.mark.parametrize("what", SOURCES)
def test_whatever_has_bytes_is_read_to_its_end(what: str) -> None:
    assert all_blocks(SOURCES[what]) == SOME


@pytest.mark.parametrize(
    "view",
    [
        memoryview(SOME)[::3],
        memoryview(SOME)[::-1],
        memoryview(array("d", [1.5, 2.5])),
        memoryview(array("d")),
        memoryview(np.arange(6.0).reshape(2, 3)),
        memoryview(np.arange(6.0).reshape(2, 3).T),
        memoryview(np.arange(6.0, dtype=">f8")),
        memoryview(np.zeros((3, 0))),
        memoryview(np.array(2.5)),
        memoryview(np.arange(6, dtype="f2")),
        memoryview(np.array([True, False])),
    ],
    ids=lambda view: f"{view.format}{view.shape}",
)
def test_a_view_of_any_shape_order_and_format_gives_its_bytes(view: memoryview) -> None:
    assert all_blocks(view) == view.tobytes()


@pytest.mark.parametrize("source", [b"", [], io.BytesIO(), [b"", b""], bytearray()], ids=type_name)
def test_nothing_is_no_block(source: object) -> None:
    assert list(iter_blocks(source)) == []


@pytest.mark.parametrize(
    "source",
    ["text", io.StringIO("text"), io.StringIO(""), ["text"], [b"", 1], [None], 5, None, object(), [[b"x"]]],
    ids=type_name,
)
def test_what_has_no_bytes_is_refused(source: object) -> None:
    with pytest.raises(InvalidTypeError):
        list(iter_blocks(source))


def test_a_huge_piece_comes_in_blocks() -> None:
    huge = SEEDED * 4
    assert all_blocks([huge]) == huge
    assert all_blocks([b"x", huge]) == b"x" + huge


def test_a_buffer_that_is_filled_again_gives_what_it_held() -> None:
    def refilled() -> Iterator[bytearray]:
        buffer = bytearray(1000)
        for number in range(5):
            buffer[:] = bytes([number]) * 1000
            yield buffer

    assert all_blocks(refilled()) == b"".join(bytes([n]) * 1000 for n in range(5))


def test_a_buffer_that_changes_after_its_block_was_taken_changes_no_chunk() -> None:
    """Weights are trained on while they are stored: chunks and the hash of the whole must agree."""
    for source in (bytearray(BLOCK_BYTES), [bytearray(BLOCK_BYTES)]):
        buffer = source if isinstance(source, bytearray) else source[0]
        block = next(iter_blocks(source))
        buffer[0] = 1
        assert block[0] == 0


def test_pieces_of_one_byte_take_no_more_memory_than_a_block() -> None:
    tracemalloc.start()
    try:
        taken = sum(len(block) for block in iter_blocks(b"x" for _ in range(100_000)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken == 100_000
    assert peak < 2_000_000
