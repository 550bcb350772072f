"""An open artifact is read in pieces by any thread, and holds nothing of the archive between two of them."""

from __future__ import annotations

import io
import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import Archive, NotFoundError
from tests.artifacts.contents import DATA
from tests.effort import tries


def test_another_thread_goes_on_where_one_was(archive: Archive) -> None:
    with archive.start_run() as run:
        run.artifacts.register_data("weights", DATA)
    with run.artifacts.open("weights") as file:
        assert file.seekable()
        assert file.seek(0, io.SEEK_END) == len(DATA)
        file.seek(0)
        pieces = []
        for _ in range(100):
            with ThreadPoolExecutor(1) as pool:
                piece = pool.submit(file.read, 70_000).result()
            pieces.append(piece)
            if not piece:
                break
        assert b"".join(pieces) == DATA


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_nothing_stays_in_use_between_two_pieces(tmp_path: Path, mode: str) -> None:
    with Archive(tmp_path / "lab.db") as writing:
        with writing.start_run() as run:
            run.artifacts.register_data("weights", DATA)
        with (
            Archive(tmp_path / "lab.db", mode=mode) as reading,
            reading.get_run(run.run_id).artifacts.open("weights") as file,
        ):
            assert file.read(1000) == DATA[:1000]
            writing.start_run().complete()
            other = sqlite3.connect(tmp_path / "lab.db")
            busy, frames, copied = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            other.close()
            # A reader in the middle of a snapshot would keep the log from being emptied.
            assert (busy, frames, copied) == (0, 0, 0)
            assert file.read() == DATA[1000:]


@settings(max_examples=tries(60), deadline=None)
@given(data=st.data())
def test_any_range_is_that_of_the_content(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    with Archive(tmp_path_factory.mktemp("ranges") / "lab.db") as archive, archive.start_run() as run:
        run.artifacts.register_data("weights", DATA[:600_000])
        content = io.BytesIO(DATA[:600_000])
        with run.artifacts.open("weights") as file:
            for _ in range(data.draw(st.integers(1, 6))):
                begin, size = data.draw(st.integers(0, 650_000)), data.draw(st.integers(-1, 300_000))
                assert file.seek(begin) == content.seek(begin)
                assert file.read(size) == content.read(size)


def test_a_removal_meanwhile_is_told_and_never_reads_other_bytes(archive: Archive) -> None:
    chance = random.Random(5)
    with archive.start_run() as run:
        run.artifacts.register_data("old", DATA)
        with run.artifacts.open("old") as file:
            assert file.read(10) == DATA[:10]
            run.artifacts.remove("old")
            archive.gc_artifacts()
            # The numbers of the rows that are gone are given to other bytes.
            run.artifacts.register_data("new", chance.randbytes(len(DATA)))
            file.seek(2_000_000)
            with pytest.raises(NotFoundError, match=r"was removed from .* while it was read"):
                file.read(10)


def test_bytes_that_another_artifact_shares_are_read_on(archive: Archive) -> None:
    with archive.start_run() as run:
        run.artifacts.register_data("one", DATA)
        run.artifacts.register_data("two", DATA)
        with run.artifacts.open("one") as file:
            file.read(10)
            run.artifacts.remove("one")
            archive.gc_artifacts()
            assert file.read() == DATA[10:]
