"""Artifacts come back as they were registered, whole, and go only where they were asked to."""

from __future__ import annotations

import io
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import (
    Archive,
    ArchiveClosedError,
    ArchiveCorruptError,
    ArtifactNotFoundError,
    ArtifactStore,
    ConfigError,
    ExportError,
    InvalidTypeError,
    InvalidValueError,
    NotFoundError,
    Run,
    RunNotFoundError,
    UnsafePathError,
)
from tests.artifacts.contents import DATA, made, tree
from tests.changes import changing
from tests.effort import tries

NAN = float("nan")


def type_name(value: object) -> str:
    return type(value).__name__


# Registering


@pytest.mark.parametrize(
    "content", ["", "words", "ä\0日\n", "x" * 100_000], ids=["none", "some", "odd", "many"]
)
def test_text_comes_back_as_text_and_is_stored_as_utf8(store: ArtifactStore, content: str) -> None:
    digest = store.register_data("a", content)
    assert store.get_blob("a") == content
    assert store.get_blob(digest) == content
    with store.open("a") as file:
        assert file.read() == content.encode()


@pytest.mark.parametrize("size", [0, 1, 1000, len(DATA)])
def test_bytes_come_back_as_bytes_however_they_were_handed_in(store: ArtifactStore, size: int) -> None:
    data = DATA[:size]
    ways = [data, bytearray(data), memoryview(data), io.BytesIO(data), iter([data[:7], data[7:]])]
    assert len({store.register_data("a", way) for way in ways}) == 1
    assert {store.get_blob("a", version) for version in range(1, 6)} == {data}


@pytest.mark.parametrize("content", [None, 5, ["text"], io.StringIO("text"), object(), {"a": 1}], ids=type_name)
def test_what_has_no_bytes_is_refused_and_nothing_is_stored(store: ArtifactStore, content: object) -> None:
    with pytest.raises(InvalidTypeError):
        store.register_data("a", content)
    assert store.list_artifacts() == []


def test_names_and_metadata_are_checked_before_a_byte_is_read(store: ArtifactStore) -> None:
    source = io.BytesIO(b"content")
    for name in ("", "\n", "\ud800", 5):
        with pytest.raises(InvalidValueError):
            store.register_data(name, source)  # type: ignore[arg-type]
    for metadata in ({"a": NAN}, {"a": object()}, [1]):
        with pytest.raises(ConfigError):
            store.register_data("a", source, metadata)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError):
        store.register_data("a", "\ud800")
    assert source.tell() == 0


def test_a_run_that_is_gone_takes_nothing(archive: Archive) -> None:
    run = archive.start_run()
    run.complete()
    store = run.artifacts
    archive.delete_run(run.run_id)
    source = io.BytesIO(b"content")
    with pytest.raises(RunNotFoundError):
        store.register_data("a", source)
    with pytest.raises(RunNotFoundError):
        store.remove("a")
    assert source.tell() == 0


def test_what_is_said_of_an_artifact_is_kept(store: ArtifactStore, run: Run, tmp_path: Path) -> None:
    (tmp_path / "weights.json").write_bytes(b"{}")
    digest = store.register_checkpoint("w", tmp_path / "weights.json", 7, {"loss": 0.5})
    found = store.get_artifact("w")
    assert found is not None
    assert (found.kind, found.step, found.metadata, found.size_bytes) == ("checkpoint", 7, {"loss": 0.5}, 2)
    assert (found.hash, found.version, found.run_id) == (digest, 1, run.run_id)
    store.register_file("f", tmp_path / "weights.json")
    told = store.get_artifact("f")
    assert told is not None
    assert (told.kind, told.media_type) == ("file", "application/json")
    assert store.referenced_hashes() == {digest}
    event = run.read_events()[-1]
    assert (event.kind, event.data) == ("artifact", {"name": "f", "version": 1, "hash": digest})


def test_files_that_cannot_be_read_are_refused(store: ArtifactStore, tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path, "a\0b"):
        with pytest.raises(InvalidValueError):
            store.register_file("f", path)
    with pytest.raises(InvalidValueError):
        store.register_dir("f", tmp_path / "absent")
    with pytest.raises(InvalidValueError):
        store.register_dir("f", "a\0b")
    with pytest.raises(InvalidTypeError):
        store.register_file("f", 5)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError):
        store.register_checkpoint("f", tmp_path, -(2**63) - 1)
    assert store.list_artifacts() == []


def test_progress_tells_of_every_byte(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA)
    said: list[tuple[int, int]] = []
    store.register_file("f", tmp_path / "f", progress=lambda done, total: said.append((done, total)))
    assert said[-1] == (len(DATA), len(DATA))
    said.clear()
    store.export("f", tmp_path / "g", progress=lambda done, total: said.append((done, total)))
    assert said[-1] == (len(DATA), len(DATA))
    assert said == sorted(said)


# Versions


def test_a_name_registered_again_is_a_new_version_and_the_old_one_stays(store: ArtifactStore) -> None:
    for number in range(1, 4):
        store.register_data("a", str(number))
    assert [store.get_blob("a", n) for n in (1, 2, 3, None)] == ["1", "2", "3", "3"]
    assert store.get_blob("a", 4) is None
    with pytest.raises(ArtifactNotFoundError):
        store.open("a", 4)


# Opening


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArtifactStore]:
    with Archive(tmp_path_factory.mktemp("open") / "lab.db") as archive, archive.start_run() as run:
        run.artifacts.register_data("a", DATA)
        yield run.artifacts


@settings(max_examples=tries(60), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END]),
            st.integers(-len(DATA) - 10, len(DATA) + 10),
            st.integers(-1, 300_000),
        ),
        max_size=8,
    )
)
def test_reading_and_seeking_is_as_in_a_file(opened: ArtifactStore, moves: list[tuple[int, int, int]]) -> None:
    expected = io.BytesIO(DATA)
    with opened.open("a") as file:
        assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
        for whence, offset, size in moves:
            start = {io.SEEK_SET: 0, io.SEEK_CUR: expected.tell(), io.SEEK_END: len(DATA)}[whence]
            if start + offset < 0:
                with pytest.raises(ValueError, match="no position"):
                    file.seek(offset, whence)
                file.seek(expected.tell())
                continue
            assert file.seek(offset, whence) == expected.seek(offset, whence)
            assert file.read(size) == expected.read(size)
            assert file.tell() == expected.tell()


def test_a_seek_that_means_nothing_is_refused(opened: ArtifactStore) -> None:
    with opened.open("a") as file, pytest.raises(ValueError, match="whence"):
        file.seek(0, 3)


def test_only_the_chunks_that_are_needed_are_read(archive: Archive, store: ArtifactStore) -> None:
    store.register_data("a", DATA)
    with changing(archive._connection):
        row = "(SELECT chunk FROM blob_chunk WHERE offset_bytes = 0)"
        (sound,) = archive._connection.one(f"SELECT data FROM chunk_data WHERE chunk = {row}") or (b"",)
        archive._connection.execute(f"UPDATE chunk_data SET data = x'00' WHERE chunk = {row}")
    with store.open("a") as file:
        file.seek(-1000, io.SEEK_END)
        assert file.read() == DATA[-1000:]
        file.seek(0)
        with pytest.raises(ArchiveCorruptError, match="'a' version 1"):
            file.read(1)
    with changing(archive._connection):
        archive._connection.execute(f"UPDATE chunk_data SET data = ? WHERE chunk = {row}", (sound,))


def test_a_version_removed_while_it_is_read_is_an_error_and_no_other_bytes(
    store: ArtifactStore,
) -> None:
    store.register_data("a", DATA)
    with store.open("a") as file:
        begin = file.read(1000)
        store.remove("a")
        with pytest.raises(NotFoundError, match="'a' version 1"):
            file.read()
    assert begin == DATA[:1000]


def test_a_file_that_is_read_after_the_archive_was_closed_says_so(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
        run.artifacts.register_data("a", DATA)
        file = run.artifacts.open("a")
        file.read(1)
    with pytest.raises(ArchiveClosedError):
        file.read()


# Exporting


def test_export_goes_to_the_name_it_is_given_or_into_the_folder(store: ArtifactStore, tmp_path: Path) -> None:
    store.register_data("models/w.bin", DATA)
    assert store.export("models/w.bin", tmp_path / "w").read_bytes() == DATA
    (tmp_path / "there").mkdir()
    assert store.export("models/w.bin", str(tmp_path / "there")) == tmp_path / "there" / "w.bin"
    with pytest.raises(ExportError, match="folder is missing"):
        store.export("models/w.bin", tmp_path / "absent" / "w")
    with pytest.raises(ArtifactNotFoundError):
        store.export("absent", tmp_path / "x")
    with pytest.raises(InvalidTypeError):
        store.export("models/w.bin", 5)  # type: ignore[arg-type]
    names = {path.name for path in tmp_path.iterdir() if not path.name.startswith("lab.db")}
    assert names == {"there", "w"}


def test_nothing_is_replaced_unasked_and_a_folder_never(store: ArtifactStore, tmp_path: Path) -> None:
    store.register_data("a", b"new")
    store.register_dir("d", made(tmp_path / "in", {"x": b"x"}))
    old = tmp_path / "old"
    old.write_bytes(b"old")
    with pytest.raises(ExportError, match="exists"):
        store.export("a", old)
    assert old.read_bytes() == b"old"
    store.export("a", old, overwrite=True)
    assert old.read_bytes() == b"new"
    with pytest.raises(ExportError):
        store.export("d", old, overwrite=True)
    (tmp_path / "there" / "a").mkdir(parents=True)
    (tmp_path / "there" / "d").mkdir()
    (tmp_path / "there" / "d" / "mine").write_bytes(b"mine")
    with pytest.raises(ExportError):
        store.export("a", tmp_path / "there", overwrite=True)
    with pytest.raises(ExportError):
        store.export("d", tmp_path / "there", overwrite=True)
    assert tree(tmp_path / "there") == {"a": None, "d": None, "d/mine": b"mine"}


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a/..", "NUL", "a:b", "x.", "a\\b"])
def test_a_name_that_leads_elsewhere_is_refused_into_a_folder(
    archive: Archive, store: ArtifactStore, tmp_path: Path, name: str
) -> None:
    store.register_data(name, b"x")
    (tmp_path / "there").mkdir()
    with pytest.raises(UnsafePathError):
        store.export(name, tmp_path / "there")
    assert store.export(name, tmp_path / "named").read_bytes() == b"x"
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("lab.db")) == ["named", "there"]
    (content,) = [found for found in tree(store.export_all(tmp_path / "all")).values() if found is not None]
    assert content == b"x"
    beside = sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("lab.db"))
    assert beside == ["all", "named", "there"]


def test_export_all_writes_the_newest_of_each_under_its_name(store: ArtifactStore, tmp_path: Path) -> None:
    store.register_data("a", b"old")
    store.register_data("a", b"new")
    store.register_data("models/w", DATA)
    store.register_dir("d", made(tmp_path / "in", {"x/y": b"x", "empty": None}))
    store.register_data("gone", b"")
    store.remove("gone")
    expected = {
        "a": b"new",
        "models": None,
        "models/w": DATA,
        "d": None,
        "d/x": None,
        "d/x/y": b"x",
        "d/empty": None,
    }
    assert tree(store.export_all(tmp_path / "all")) == expected
    with pytest.raises(ExportError):
        store.export_all(tmp_path / "all")
    (tmp_path / "hollow").mkdir()
    assert tree(store.export_all(tmp_path / "hollow")) == expected


def test_export_all_gives_names_that_cannot_be_side_by_side_other_ones(
    store: ArtifactStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, name in enumerate(["a", "A", "a/b", "val:best"]):
        store.register_data(name, str(number))
    found = {path: content for path, content in tree(store.export_all(tmp_path / "all")).items() if content}
    assert sorted(found.values()) == [b"0", b"1", b"2", b"3"]
    assert found["val_best"] == b"3"
    assert len({path.casefold() for path in found}) == 4
    assert "'val:best' as 'val_best'" in caplog.text


def test_damaged_content_leaves_every_target_as_it_was(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
        run.artifacts.register_data("a", DATA)
        run.artifacts.register_dir("d", made(tmp_path / "in", {"x": b"x", "y": DATA}))
    connection = sqlite3.connect(tmp_path / "lab.db")
    last = "(SELECT max(chunk) FROM blob_chunk WHERE blob = 1)"
    connection.execute(f"UPDATE chunk_data SET data = x'00' WHERE chunk = {last}")
    connection.commit()
    connection.close()
    target = made(tmp_path / "targets", {"old": b"old", "hollow": None})
    before = tree(target)
    with Archive(tmp_path / "lab.db") as archive:
        store = archive.artifacts(run.run_id)
        for attempt in (
            lambda: store.export("a", target / "old", overwrite=True),
            lambda: store.export("a", target / "new"),
            lambda: store.export("d", target / "folder"),
            lambda: store.export_all(target / "hollow"),
            lambda: store.export("d", target / "y", file="y"),
        ):
            with pytest.raises(ArchiveCorruptError):
                attempt()
            assert tree(target) == before
        assert store.open("d", file="x").read() == b"x"


# Memory

STREAM = """
import random, resource, sys, exptrack
from pathlib import Path
BLOCK = 1_000_000
def stream():
    known = [random.Random(number).randbytes(BLOCK) for number in range(5)]
    for number in range(300):
        yield known[number % 5] if number % 4 else random.Random(300 + number).randbytes(BLOCK)
archive = exptrack.Archive("lab.db")
run = archive.start_run()
run.artifacts.register_data("warm", b"x")
run.artifacts.export("warm", "warm")
scale = 1 if sys.platform == "darwin" else 1024
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
start = peak() + 5 * BLOCK  # what the stream itself keeps
run.artifacts.register_data("big", stream())
put = peak() - start
place = run.artifacts.export("big", "big")
print(put, peak() - start, place.stat().st_size)
run.complete()
"""


def test_three_hundred_megabytes_go_in_and_out_within_64_megabytes(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", STREAM], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    put, both, size = done.stdout.split()
    assert int(size) == 300_000_000
    assert int(put) <= int(both) <= 64 * 1024 * 1024
