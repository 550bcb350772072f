"""What a child writes is kept as a terminal would show it, however it comes in pieces."""

from __future__ import annotations

import os
import threading

from hypothesis import given
from hypothesis import strategies as st

from exptrack.tracking.child_output import READ_BYTES, OutputReader, Source


def read(*pieces: bytes) -> tuple[str, bytes]:
    """Return what is kept and what is passed on of a stream that comes in these pieces."""
    ours, theirs = os.pipe()
    kept: list[str] = []
    passed: list[bytes] = []
    source = Source(os.fdopen(ours, "rb", buffering=0), passed.append, kept.append)
    for piece in pieces[:-1]:
        os.write(theirs, piece)
        assert source.take_piece()

    def write_last() -> None:
        with os.fdopen(theirs, "wb") as file:
            file.write(pieces[-1])

    writer = threading.Thread(target=write_last)
    writer.start()
    while source.take_piece():
        pass
    writer.join()
    return "".join(kept), b"".join(passed)


def test_a_carriage_return_lets_what_follows_overwrite() -> None:
    assert read(b"12345\rab\n")[0] == "ab345\n"
    assert read(b"one\r\ntwo\r\n")[0] == "one\ntwo\n"
    assert read(b"long line\r\x1b[Kab\n")[0] == "ab\n"
    assert read(b"50%|###  |\r          \rdone\n")[0] == "done\n"
    assert read(b"bar 1\rbar 2", b"\rbar 3\n")[0] == "bar 3\n"


def test_bytes_that_are_no_text_stay_readable_across_pieces() -> None:
    assert read(b"a\xff\xc3", b"\xa4b\xc3")[0] == r"a\xffäb\xc3"


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=8))
def test_the_pieces_do_not_matter_and_all_is_passed_on(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert read(*pieces) == (read(whole)[0], whole)


def test_memory_has_a_bound_without_line_ends() -> None:
    ours, theirs = os.pipe()
    source = Source(os.fdopen(ours, "rb", buffering=0), lambda _data: None, lambda _text: None)
    for number in range(200):
        os.write(theirs, b"\r%d " % number * 100 + b"x" * 3000)
        source.take_piece()
        assert len(source.begun) <= READ_BYTES
    os.close(theirs)
    while source.take_piece():
        pass


def test_output_and_errors_come_in_the_order_of_writing() -> None:
    pairs = [os.pipe() for _ in range(2)]
    seen: list[bytes] = []
    done = threading.Event()

    def note(data: bytes) -> None:
        seen.append(data)
        done.set()

    sources = [Source(os.fdopen(ours, "rb", buffering=0), note, lambda _text: None) for ours, _ in pairs]
    reader = OutputReader(*sources)
    reader.begin()
    expected = []
    for number in range(50):
        expected.append(b"%d" % number)
        done.clear()
        os.write(pairs[number % 2][1], expected[-1])
        assert done.wait(30)
    for _, theirs in pairs:
        os.close(theirs)
    assert reader.join()
    assert [data for data in seen if data] == expected
