"""Blobs are stored once, collected when nothing needs them, and never come back as other bytes."""

from __future__ import annotations

import hashlib
import io
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import exptrack
from exptrack import (
    Archive,
    ArchiveCorruptError,
    ConflictError,
    InvalidValueError,
    Run,
    RunNotFoundError,
    helper_threads,
)
from exptrack.artifacts import blobs, chunks, lineage, retention
from exptrack.artifacts import store as artifacts
from exptrack.artifacts.blobs import Intake
from exptrack.artifacts.chunks import BLOCK_BYTES
from exptrack.artifacts.registration import Registration
from exptrack.helper_threads import Helper
from tests.changes import altering, changing, trace
from tests.effort import tries

BIG = random.Random(2).randbytes(12_000_000)
SMALL = random.Random(3).randbytes(300_000)


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + b"changed" + data[at:]


def stored(archive: Archive) -> tuple[int, int, int, int]:
    """Rows of the store: blobs, chunks, their data, holds."""
    tables = ("blob", "chunk", "chunk_data", "blob_writer")
    return tuple(archive._connection.value(f"SELECT count(*) FROM {t}") for t in tables)  # type: ignore[return-value]


def is_exactly_what_is_needed(archive: Archive) -> bool:
    """Nothing to collect, and nothing wrong."""
    report = archive.gc_artifacts()
    return archive.verify().problems == () and (report.blobs, report.chunks) == (0, 0)


# Sharing


def test_equal_content_is_stored_once_whatever_holds_it(archive: Archive, run: Run, tmp_path: Path) -> None:
    run.artifacts.register_data("a", SMALL)
    once = stored(archive)
    run.artifacts.register_data("a", SMALL)
    run.artifacts.register_data("b", iter([SMALL[:1000], SMALL[1000:]]))
    with archive.start_run() as other:
        other.artifacts.register_data("c", SMALL)
    assert stored(archive) == once
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(SMALL)
    run.artifacts.register_dir("d", tmp_path / "folder")
    assert stored(archive)[:2] == (once[0] + 1, once[1] + 1)  # the manifest


def test_a_version_with_a_change_adds_the_chunks_around_it_only(archive: Archive, run: Run) -> None:
    run.artifacts.register_data("w", BIG)
    before = stored(archive)[1]
    run.artifacts.register_data("w", changed(BIG, 6_000_000))
    assert stored(archive)[1] - before <= 3


def test_what_another_cutter_stored_is_used_and_its_own_chunks_are_not_left(
    archive: Archive, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in (SMALL, BIG):
        with monkeypatch.context() as patch:
            patch.setattr(chunks, "AVERAGE_BYTES", 128 * 1024)
            patch.setattr(chunks, "MAX_CHUNK_BYTES", 512 * 1024)
            run.artifacts.register_data("w", content)
        run.artifacts.register_data("again", content)
        assert run.artifacts.get_blob("again") == content
    assert is_exactly_what_is_needed(archive)


@pytest.fixture
def late_cuts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let cuts wait until all is hashed, and later ones until the intake has asked; the sizes of cut blocks."""
    cut, streams, sizes = chunks.Cutter.feed, list[chunks.PackedStream](), list[int]()
    begin, take, verdicts = chunks.PackedStream.__init__, Intake._take_stored, list[bool]()
    helpers: dict[str, Helper] = {}

    class KnownHelper(Helper):
        def __init__(self, name: str) -> None:
            super().__init__(name)
            helpers[name] = self

    def note(stream: chunks.PackedStream, *args: Any) -> None:
        begin(stream, *args)
        streams.append(stream)
        verdicts.clear()
        sizes.clear()

    def ask(intake: Intake, *args: Any) -> bool:
        verdicts.append(take(intake, *args))
        return verdicts[-1]

    def must_wait() -> bool:
        if not streams[-1].is_hashed_ahead:
            return True
        if not sizes:
            return False
        return not verdicts or (verdicts[-1] and not helpers["exptrack-cutter"]._leaves_out)

    def feed(cutter: chunks.Cutter, block: bytes) -> list[chunks.Piece]:
        while must_wait():
            time.sleep(0.001)
        sizes.append(len(block))
        return cut(cutter, block)

    for name in ("AHEAD_BYTES", "AHEAD_OF_KNOWN_BYTES"):
        monkeypatch.setattr(chunks, name, 2 * len(BIG))
    monkeypatch.setattr(chunks, "PACKED_AHEAD_BYTES", 0)
    monkeypatch.setattr(helper_threads, "Helper", KnownHelper)
    monkeypatch.setattr(chunks.PackedStream, "__init__", note)
    monkeypatch.setattr(chunks.Cutter, "feed", feed)
    monkeypatch.setattr(Intake, "_take_stored", ask)
    return sizes


def blocks_of(data: bytes) -> Iterator[bytes]:
    for begin in range(0, len(data), BLOCK_BYTES):
        yield data[begin : begin + BLOCK_BYTES]


def test_a_content_that_is_stored_is_hashed_and_not_cut_to_its_end(
    archive: Archive, run: Run, late_cuts: list[int]
) -> None:
    run.artifacts.register_data("w", BIG)
    before, all_of_it = stored(archive), sum(late_cuts)
    assert all_of_it == len(BIG)
    for content in (BIG, io.BytesIO(BIG), blocks_of(BIG)):
        late_cuts.clear()
        run.artifacts.register_data("again", content)
        assert sum(late_cuts) < all_of_it / 2
    assert run.artifacts.get_blob("again") == BIG
    assert stored(archive) == before
    assert is_exactly_what_is_needed(archive)


def test_a_stored_content_that_goes_while_it_is_taken_is_stored_again(
    archive: Archive, run: Run, late_cuts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run.artifacts.register_data("w", BIG)
    take = Intake._take_stored_once

    def remove_before(intake: Intake, *args: Any) -> bool:
        if late_cuts:
            late_cuts.clear()
            run.artifacts.remove("w")
        return take(intake, *args)

    monkeypatch.setattr(Intake, "_take_stored_once", remove_before)
    run.artifacts.register_data("again", BIG)
    assert run.artifacts.get_blob("again") == BIG
    assert is_exactly_what_is_needed(archive)


def test_a_stored_content_that_is_taken_stays_until_it_has_its_new_name(
    archive: Archive, run: Run, late_cuts: list[int]
) -> None:
    run.artifacts.register_data("w", BIG)
    late_cuts.clear()
    with Intake(archive._connection) as intake:
        taken = intake.put(BIG)
        assert sum(late_cuts) < len(BIG) / 2
        run.artifacts.remove("w")
        archive.gc_artifacts()
        said = Registration("again", "data")
        intake.attach(lambda: run.artifacts._insert(said, "{}", taken))
    assert run.artifacts.get_blob("again") == BIG
    with Intake(archive._connection) as intake:
        intake.put(BIG)
        run.artifacts.remove("again")
    assert stored(archive) == (0, 0, 0, 0)


# Transactions


def wal_bytes(archive: Archive) -> int:
    return Path(f"{archive.path}-wal").stat().st_size


def test_the_wal_of_a_large_content_is_left_to_the_next_transaction_of_another_kind(
    archive: Archive, run: Run
) -> None:
    run.flush()
    run.artifacts.register_data("w", BIG)
    assert wal_bytes(archive) > len(BIG)
    run.add_tag("next")
    run.add_tag("starts the WAL afresh")
    assert wal_bytes(archive) < len(BIG) / 2


def test_the_wal_has_a_limit_within_one_large_content(
    archive: Archive, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "WAL_BYTES", 5_000_000)
    most = 0

    def looking() -> Iterator[bytes]:
        nonlocal most
        for _ in range(5):
            yield from blocks_of(random.randbytes(len(BIG)))
            most = max(most, wal_bytes(archive))

    run.artifacts.register_data("w", looking())
    assert 0 < most < 2 * len(BIG)


def commits_of(archive: Archive, content: object) -> int:
    seen: list[str] = []
    with Archive(archive.path) as traced:
        trace(traced._connection, seen.append)
        store = traced.artifacts(archive.list_runs()[0].run_id)
        store.register_data("traced", content)
    return seen.count("COMMIT")


def test_small_content_is_one_transaction_and_large_content_several(archive: Archive, run: Run) -> None:
    assert commits_of(archive, SMALL) == 1
    assert commits_of(archive, BIG) >= 2


LOGGER = """
import sys, time, exptrack
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run()
print("ready", flush=True)
for step in range(20):
    run.log({"x": 1.0}, step)
    run.flush()
    print(step, flush=True)
run.complete()
archive.close()
"""


def test_another_process_commits_between_the_blocks_of_a_large_put(archive: Archive, run: Run) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LOGGER, archive.path], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"

        def slowly() -> Iterator[bytes]:
            # Every block waits for a commit of the other process: a put that locked it out would never end.
            assert other.stdout is not None
            for begin in range(0, len(BIG), BLOCK_BYTES):
                assert other.stdout.readline() != ""
                yield BIG[begin : begin + BLOCK_BYTES]

        run.artifacts.register_data("slow", slowly())
        other.stdout.read()
    assert run.artifacts.get_blob("slow") == BIG


PUTTER = """
import random, sys, exptrack
archive = exptrack.Archive(sys.argv[1])
content = random.Random(int(sys.argv[3])).randbytes(9_000_000)
store = archive.artifacts(sys.argv[2])
for number in range(3):
    print(store.register_data(f"same{sys.argv[4]}", content), flush=True)
archive.close()
"""


def test_processes_that_put_the_same_at_once_store_it_once(archive: Archive, run: Run) -> None:
    putters = [
        subprocess.Popen(
            [sys.executable, "-c", PUTTER, archive.path, run.run_id, "5", str(number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    while any(putter.poll() is None for putter in putters):
        archive.gc_artifacts()
    said = {putter.communicate()[0] for putter in putters}
    content = random.Random(5).randbytes(9_000_000)
    assert said == {f"sha256:{hashlib.sha256(content).hexdigest()}\n" * 3}
    assert all(run.artifacts.get_blob(f"same{number}") == content for number in range(3))
    assert stored(archive)[0] == 1
    assert is_exactly_what_is_needed(archive)


# Failures leave nothing


class SourceError(Exception):
    """What a source of bytes may raise."""


def failing(data: bytes) -> Iterator[bytes]:
    for begin in range(0, len(data), BLOCK_BYTES):
        yield data[begin : begin + BLOCK_BYTES]
    raise SourceError


@pytest.mark.parametrize("content", [b"", SMALL, BIG], ids=["nothing", "small", "big"])
def test_a_source_that_fails_leaves_nothing(archive: Archive, run: Run, content: bytes) -> None:
    with pytest.raises(InvalidValueError, match="SourceError") as raised:
        run.artifacts.register_data("w", failing(content))
    assert isinstance(raised.value.__cause__, SourceError)
    assert stored(archive) == (0, 0, 0, 0)
    assert run.artifacts.list_artifacts() == []


@pytest.mark.parametrize("is_known", [False, True])
def test_a_put_into_a_run_that_is_deleted_meanwhile_leaves_nothing(archive: Archive, is_known: bool) -> None:
    run = archive.start_run()
    run.complete()
    with archive.start_run() as other:
        if is_known:
            other.artifacts.register_data("w", BIG)
        before = stored(archive)

        def deleting() -> Iterator[bytes]:
            yield from (BIG[begin : begin + 1_000_000] for begin in range(0, len(BIG), 1_000_000))
            archive.delete_run(run.run_id)

        with pytest.raises(RunNotFoundError):
            run.artifacts.register_data("w", deleting())
    assert stored(archive) == before
    assert is_exactly_what_is_needed(archive)


FULL = """
import os, random, resource, signal, sys, exptrack
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run()
keep = random.Random(1).randbytes(300_000)
run.artifacts.register_data("keep", keep)
no_limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
resource.setrlimit(resource.RLIMIT_FSIZE, (14_000_000, resource.RLIM_INFINITY))
def endless():
    chance = random.Random(2)
    while True:
        yield chance.randbytes(1_000_000)
try:
    run.artifacts.register_data("big", endless())
except exptrack.ExptrackError as error:
    print(type(error).__name__)
resource.setrlimit(resource.RLIMIT_FSIZE, no_limit)
archive.gc_artifacts()
rows = [archive._connection.value("SELECT count(*) FROM " + t) for t in ("blob", "blob_writer")]
print(rows, run.artifacts.get_blob("keep") == keep, archive.verify().problems)
print(run.artifacts.register_data("big", random.Random(3).randbytes(9_000_000))[:7])
run.complete()
archive.close()
"""


def test_a_disk_that_fills_is_an_error_and_nothing_stays_of_the_put(tmp_path: Path) -> None:
    """Also in the process that goes on: it does not hold what it could not remove on the full disk."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "lab.db")], capture_output=True, text=True
    )
    # The full disk may fail a checkpoint too, of which a process warns once.
    warnings = done.stderr.splitlines()
    assert len(warnings) <= 1
    assert all(line.startswith("the checkpoint of ") for line in warnings), done.stderr
    first, *rest = done.stdout.splitlines()
    assert first in ("ArchiveFullError", "ArchiveIOError")
    assert rest == ["[1, 0] True ()", "sha256:"]


# Holds


def begin_put(archive: Archive, content: bytes = BIG) -> Intake:
    """An intake that has stored chunks and named nothing yet."""
    intake = Intake(archive._connection)
    intake.__enter__()
    intake.put(content)
    assert stored(archive)[3] == 1
    return intake


def test_a_collection_takes_nothing_from_a_put_at_work(archive: Archive, run: Run) -> None:
    def collecting() -> Iterator[bytes]:
        for begin in range(0, len(BIG), BLOCK_BYTES):
            collector = threading.Thread(target=archive.gc_artifacts)
            collector.start()
            collector.join()
            with Archive(archive.path) as other:
                other.gc_artifacts()
            yield BIG[begin : begin + BLOCK_BYTES]

    run.artifacts.register_data("w", collecting())
    assert run.artifacts.get_blob("w") == BIG
    assert stored(archive)[3] == 0


def test_a_chunk_that_is_collected_between_look_up_and_writing_is_written_again(
    archive: Archive, run: Run
) -> None:
    run.artifacts.register_data("w", SMALL)

    def removing() -> Iterator[bytes]:
        yield changed(SMALL, 10)
        run.artifacts.remove("w")

    with Intake(archive._connection) as intake:
        known = intake.put(SMALL)
        run.artifacts.remove("w")
        assert stored(archive) == (0, 0, 0, 0)
        said = Registration("again", "data")
        intake.attach(lambda: run.artifacts._insert(said, "{}", known))
    assert run.artifacts.get_blob("again") == SMALL
    run.artifacts.register_data("w", SMALL)
    run.artifacts.register_data("v", removing())
    assert run.artifacts.get_blob("v") == changed(SMALL, 10)


def set_owner(archive: Archive, **columns: object) -> None:
    for column, value in columns.items():
        with altering(archive._connection):
            archive._connection.execute(f"UPDATE blob_writer SET {column} = ?", (value,))


DEAD = {"pid": 2**22 - 7, "holder": "of a dead process"}


def test_what_a_dead_process_held_is_collected(archive: Archive, run: Run) -> None:
    begin_put(archive)
    set_owner(archive, **DEAD)
    assert archive.verify().problems == ()
    report = archive.gc_artifacts()
    assert report.blobs == 1
    assert report.stored_bytes >= 0.9 * chunks.BLOCK_BYTES
    assert stored(archive) == (0, 0, 0, 0)


def test_another_hosts_hold_is_collected_only_after_a_day(archive: Archive, run: Run) -> None:
    begin_put(archive)
    set_owner(archive, host_id="elsewhere", **DEAD)
    assert archive.gc_artifacts().blobs == 0
    set_owner(archive, written_at="2020-01-01 00:00:00.000000")
    assert archive.gc_artifacts().blobs == 1
    assert stored(archive) == (0, 0, 0, 0)


def test_a_put_whose_chunks_were_collected_as_a_dead_ones_is_refused_and_meddles_with_no_other(
    archive: Archive, run: Run
) -> None:
    """Row numbers are given again: without a look at its hold it would finish somebody else's blob."""
    intake = begin_put(archive)
    with changing(archive._connection):
        archive._connection.execute("DELETE FROM blob_writer")
    archive.gc_artifacts()
    run.artifacts.register_data("other", SMALL)
    with pytest.raises(ConflictError, match="register the content again"):
        intake.attach(lambda: pytest.fail("not reached"))
    intake.__exit__(None, None, None)
    assert run.artifacts.get_blob("other") == SMALL
    assert is_exactly_what_is_needed(archive)


# Collecting


def test_a_collection_tells_exactly_by_how_much_the_file_shrank(archive: Archive, run: Run) -> None:
    run.artifacts.register_data("stays", SMALL)
    begin_put(archive)
    set_owner(archive, **DEAD)
    archive._connection.checkpoint()
    before = Path(archive.path).stat().st_size
    report = archive.gc_artifacts()
    after = Path(archive.path).stat().st_size
    assert report.file_bytes == before - after
    assert report.file_bytes >= report.stored_bytes >= 4_000_000
    assert archive.gc_artifacts() == exptrack.GcReport(0, 0, 0, 0)


def damage(path: str | Path, *statements: str, values: tuple[Any, ...] = ()) -> int:
    """Change the file past all its rules; return how many rows changed."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            connection.execute(statement, values)
        connection.commit()
        return connection.total_changes
    finally:
        connection.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An archive with a large artifact, a text, a folder and a second run that shares; and the run's id."""
    folder = tmp_path_factory.mktemp("sound")
    with Archive(folder / "lab.db") as archive:
        with archive.start_run(name="one") as run:
            run.artifacts.register_data("big", DATA)
            run.artifacts.register_data("words", "to be or not to be " * 20_000)
            (folder / "tree" / "sub").mkdir(parents=True)
            (folder / "tree" / "sub" / "file").write_bytes(SMALL)
            (folder / "tree" / "copy").write_bytes(DATA)
            run.artifacts.register_dir("tree", folder / "tree")
        with archive.start_run(name="two") as other:
            other.artifacts.register_data("shared", DATA)
        assert archive.verify().problems == ()
    return folder / "lab.db", run.run_id


DATA = b"".join(random.Random(7).randbytes(50_000) * 4 for _ in range(6))
CONTENT: dict[str, object] = {"big": DATA, "words": "to be or not to be " * 20_000}
LOST = {
    "an artifact's blob": "DELETE FROM blob WHERE id = (SELECT blob FROM artifact WHERE name = 'words')",
    "an entry's blob": "DELETE FROM blob WHERE id = (SELECT blob FROM artifact_entry WHERE path = 'sub/file')",
    "a chunk": "DELETE FROM chunk WHERE id = (SELECT max(chunk) FROM blob_chunk)",
    "a chunk's data": "DELETE FROM chunk_data WHERE chunk = (SELECT max(id) FROM chunk)",
    "a blob's list": "DELETE FROM blob_chunk WHERE blob = (SELECT blob FROM artifact WHERE name = 'words')",
}


@pytest.mark.parametrize("what", LOST)
def test_a_collection_that_finds_something_lost_deletes_nothing(
    sound: tuple[Path, str], tmp_path: Path, what: str
) -> None:
    path = Path(shutil.copy(sound[0], tmp_path / "lab.db"))
    damage(path, "INSERT INTO blob (hash, size_bytes) VALUES ('writing:x', 0)")
    assert damage(path, LOST[what]) > 0
    with Archive(path) as archive:
        before = stored(archive)
        with pytest.raises(ArchiveCorruptError, match="nothing was deleted"):
            archive.gc_artifacts()
        assert stored(archive) == before
        assert not archive.verify().ok


# Damage


def outcome(archive: Archive, run_id: str, target: Path) -> dict[str, str]:
    """What reading each artifact in each way says: "" for the right bytes, else the error.

    Raises:
        AssertionError: other bytes than were stored came back.
    """
    store, found = archive.artifacts(run_id), {}
    files = {"copy": DATA, "sub/file": SMALL}

    def tried(how: str, name: str, read: Any, wanted: object) -> None:
        with suppress(ArchiveCorruptError):
            assert read() == wanted, how
            found[how] = ""
            return
        with pytest.raises(ArchiveCorruptError, match=name) as error:
            read()
        found[how] = str(error.value)

    for name, content in CONTENT.items():
        raw = content.encode() if isinstance(content, str) else content
        tried(f"get {name}", name, lambda name=name: store.get_blob(name), content)
        tried(f"open {name}", name, lambda name=name: store.open(name).read(), raw)
        place = target / name
        tried(f"export {name}", name, lambda name=name, p=place: store.export(name, p).read_bytes(), raw)
        assert place.exists() == (found[f"export {name}"] == "")
    for path, raw in files.items():
        tried(f"open {path}", "tree", lambda path=path: store.open("tree", file=path).read(), raw)

    def tree() -> dict[str, bytes]:
        place = store.export("tree", target / "tree")
        return {str(f.relative_to(place)): f.read_bytes() for f in place.rglob("*") if f.is_file()}

    tried("export tree", "tree", tree, files)
    assert {path.name for path in target.iterdir()} <= {*CONTENT, "tree"}
    return found


ONE_CHUNK = "(SELECT id FROM chunk ORDER BY id LIMIT 1 OFFSET ?1 % (SELECT count(*) FROM chunk))"
ONE_BLOB_ID = "1 + ?1 % (SELECT max(id) FROM blob)"
ONE_BLOB = f"id = {ONE_BLOB_ID}"
BOMB = (
    zstandard.ZstdCompressor()
    .compress(bytes(2**20))
    .replace((2**20).to_bytes(4, "little"), (2**30).to_bytes(4, "little"), 1)
)
DAMAGES = {
    "flip a byte": f"UPDATE chunk_data SET data = CAST(substr(data, 1, ?2 % length(data)) || "
    f"CASE substr(data, ?2 % length(data) + 1, 1) WHEN x'00' THEN x'01' ELSE x'00' END || "
    f"substr(data, ?2 % length(data) + 2) AS BLOB) WHERE chunk = {ONE_CHUNK}",
    "truncate": f"UPDATE chunk_data SET data = substr(data, 1, ?2 % length(data)) WHERE chunk = {ONE_CHUNK}",
    "append": f"UPDATE chunk_data SET data = CAST(data || x'00' AS BLOB) WHERE chunk = {ONE_CHUNK} AND ?2",
    "lose a chunk": f"DELETE FROM chunk WHERE id = {ONE_CHUNK} AND ?2",
    "lose its data": f"DELETE FROM chunk_data WHERE chunk = {ONE_CHUNK} AND ?2",
    "another size": f"UPDATE chunk SET raw_bytes = ?2 WHERE id = {ONE_CHUNK}",
    "no size": f"UPDATE chunk SET raw_bytes = -?2 WHERE id = {ONE_CHUNK}",
    "another codec": f"UPDATE chunk SET codec = CASE codec WHEN 'raw' THEN 'zstd' ELSE 'raw' END"
    f" WHERE id = {ONE_CHUNK} AND ?2",
    "another width": f"UPDATE chunk SET codec = CASE codec WHEN 'zstd' THEN 'shuffle4+zstd' ELSE 'zstd' END"
    f" WHERE id = {ONE_CHUNK} AND ?2",
    "an unknown codec": f"UPDATE chunk SET codec = 'lz4' WHERE id = {ONE_CHUNK} AND ?2",
    "another name": f"UPDATE chunk SET sha256 = zeroblob(32) WHERE id = {ONE_CHUNK} AND ?2",
    "a bomb": f"UPDATE chunk_data SET data = x'{BOMB.hex()}' WHERE chunk = {ONE_CHUNK} AND ?2",
    "an over-long row": f"UPDATE chunk_data SET data = zeroblob(20000000) WHERE chunk = {ONE_CHUNK} AND ?2",
    "another list": f"UPDATE blob SET list_sha256 = zeroblob(32) WHERE {ONE_BLOB} AND ?2",
    "no list": f"UPDATE blob SET list_sha256 = NULL WHERE {ONE_BLOB} AND ?2",
    "a blob's size": f"UPDATE blob SET size_bytes = ?2 WHERE {ONE_BLOB}",
    "a blob's hash": f"UPDATE blob SET hash = 'sha256:0' WHERE {ONE_BLOB} AND ?2",
    "lose a blob": f"DELETE FROM blob WHERE {ONE_BLOB} AND ?2",
    "swap two chunks": "UPDATE blob_chunk SET chunk = (SELECT c.chunk FROM blob_chunk AS c WHERE c.chunk <>"
    f" blob_chunk.chunk ORDER BY c.chunk LIMIT 1) WHERE blob = {ONE_BLOB_ID} AND ?2",
    "shift chunks": f"UPDATE blob_chunk SET offset_bytes = offset_bytes + ?2 WHERE blob = {ONE_BLOB_ID}",
    "no text for a codec": f"UPDATE chunk SET codec = CAST(x'ff' AS TEXT) WHERE id = {ONE_CHUNK} AND ?2",
    "lose an entry": "DELETE FROM artifact_entry"
    " WHERE path = CASE ?1 % 2 WHEN 0 THEN 'copy' ELSE 'sub' END AND ?2",
    "rename an entry": "UPDATE artifact_entry SET path = 'other' WHERE path = 'copy' AND ?1 + ?2",
    "another entry's blob": "UPDATE artifact_entry SET blob = 1 WHERE path = 'sub/file' AND ?1 + ?2",
    "an entry's mode": "UPDATE artifact_entry SET mode = 511 WHERE path = 'copy' AND ?1 + ?2",
    "another artifact's blob": "UPDATE artifact SET blob = (SELECT blob FROM artifact WHERE name = 'words')"
    " WHERE name = 'big' AND ?1 + ?2",
    "another kind": "UPDATE artifact SET is_text = 1 - is_text WHERE name = 'words' AND ?1 + ?2",
    "other metadata": """UPDATE artifact SET metadata = '{"a":1}' WHERE name = 'big' AND ?1 + ?2""",
    "no folder": "UPDATE artifact SET media_type = NULL WHERE name = 'tree' AND ?1 + ?2",
}
# Bytes after the end of a frame change nothing that it says.
HARMLESS_TO_READ = {"append"}


# The others change the same row in the same way, whatever the numbers are.
AT_A_PLACE = [what for what, statement in DAMAGES.items() if "?1 + ?2" not in statement]


@pytest.mark.parametrize("what", AT_A_PLACE)
@settings(max_examples=tries(5), deadline=None)
@given(which=st.integers(0, 50), place=st.integers(1, 200_000))
def test_damaged_bytes_never_come_back_and_verify_names_the_run(
    sound: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory, what: str, which: int, place: int
) -> None:
    require_told(sound, tmp_path_factory.mktemp("damaged"), what, which, place)


@pytest.mark.parametrize("what", [what for what in DAMAGES if what not in AT_A_PLACE])
def test_a_damaged_row_never_comes_back_and_verify_names_the_run(
    sound: tuple[Path, str], tmp_path: Path, what: str
) -> None:
    require_told(sound, tmp_path / "damaged", what, 0, 1)


def require_told(sound: tuple[Path, str], folder: Path, what: str, which: int, place: int) -> None:
    path, run_id = sound
    folder.mkdir(exist_ok=True)
    copy = Path(shutil.copy(path, folder / "lab.db"))
    assert damage(copy, DAMAGES[what], values=(which, place)) > 0
    (folder / "out").mkdir()
    with Archive(copy) as archive:
        said = outcome(archive, run_id, folder / "out")
        assert what in HARMLESS_TO_READ or any(said.values()), what
        problems = archive.verify().problems
        assert any(run_id in f"{problem.where} {problem.message}" for problem in problems), problems
    shutil.rmtree(folder)


NO_TEXT = {
    "a path": "UPDATE artifact_entry SET path = CAST(x'ff' AS TEXT) WHERE path = 'copy'",
    "metadata": "UPDATE artifact SET metadata = CAST(x'ff' AS TEXT) WHERE name = 'tree'",
    "a hash": "UPDATE blob SET hash = CAST(x'ff' AS TEXT) WHERE id = (SELECT max(id) FROM blob)",
}


@pytest.mark.parametrize("what", NO_TEXT)
def test_what_is_no_text_any_more_is_damage_too(sound: tuple[Path, str], tmp_path: Path, what: str) -> None:
    path = Path(shutil.copy(sound[0], tmp_path / "lab.db"))
    damage(path, NO_TEXT[what])
    with Archive(path) as archive:
        with pytest.raises(ArchiveCorruptError):
            archive.artifacts(sound[1]).export("tree", tmp_path / "out")
        assert not (tmp_path / "out").exists()
        assert not archive.verify().ok


def test_the_bomb_declares_a_gigabyte() -> None:
    assert zstandard.frame_content_size(BOMB) == 2**30
    assert len(BOMB) < 1000


def test_a_damaged_chunk_is_reported_with_every_run_it_touches(sound: tuple[Path, str], tmp_path: Path) -> None:
    path = Path(shutil.copy(sound[0], tmp_path / "lab.db"))
    damage(path, "UPDATE chunk_data SET data = x'00' WHERE chunk = 1")
    with Archive(path) as archive:
        (problem,) = archive.verify().problems
        ids = [row.run_id for row in archive.list_runs()]
    assert len(ids) == 2
    assert all(f"of run {run_id}" in problem.message for run_id in ids)


def test_verify_finds_nothing_wrong_while_artifacts_come_and_go(archive: Archive, run: Run) -> None:
    """What is removed between two of its looks is not damaged."""
    for number in range(4):
        run.artifacts.register_data(f"a{number}", changed(SMALL, number))

    def removing(part: str, done: int, _total: int) -> None:
        if (part, done) == ("chunks", 1):
            run.artifacts.remove("a1")
        if (part, done) == ("artifacts", 1):
            run.artifacts.remove("a2")
            run.artifacts.remove("a3")

    assert archive.verify(removing).problems == ()


# Plans

READS_A_TABLE = {
    "MISSING": "a collection of everything",
    "UNUSED_BLOBS": "a collection of everything",
    "UNUSED_CHUNKS": "a collection of everything",
    "DELETE_UNUSED_CHUNKS": "a collection of everything",
    "HOLDS": "has as many rows as puts are at work",
    "STORAGE": "a summary of everything",
}
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b")
QUERIES = {
    name: text
    for module in (blobs, artifacts, retention, lineage)
    for name, text in vars(module).items()
    if name.isupper()
    and name[0] != "_"
    and not name.endswith("_COLUMNS")
    and isinstance(text, str)
    and re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b", text)
}


def test_every_query_of_the_store_is_found() -> None:
    assert len(QUERIES) >= 35
    assert set(READS_A_TABLE) <= set(QUERIES)


@pytest.mark.parametrize("name", QUERIES)
def test_no_query_reads_a_whole_table_but_those_that_must(archive: Archive, name: str) -> None:
    text = QUERIES[name]
    named = dict.fromkeys(re.findall(r":(\w+)", text), 1)
    values: Any = named or (1,) * text.count("?")
    plan = [row[3] for row in archive._connection.all(f"EXPLAIN QUERY PLAN {text}", values)]
    scans = [step for step in plan if step.startswith("SCAN") and "json_each" not in step]
    if name in READS_A_TABLE:
        assert scans != [], "it need not be allowed"
    else:
        assert scans == [] or scans == ["SCAN CONSTANT ROW"], plan
    if name == "VALUE_AT":
        assert not any("TEMP B-TREE" in step for step in plan), "a series can have ten million points"
