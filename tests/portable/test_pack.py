"""A packed file is whole, proved and sealed, or it is not there; unpacked, it says the same."""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from exptrack import (
    Archive,
    ArchiveError,
    ArchiveReadOnlyError,
    ConflictError,
    ExportError,
    InvalidTypeError,
    NotAnArchiveError,
    OwnFileError,
    PackReport,
    RunBusyError,
    VerificationError,
    unpack,
)
from exptrack.artifacts import blobs
from exptrack.database import copying
from exptrack.database.row_sums import hash_row
from exptrack.metrics.store import BLOCK_POINTS
from tests.changes import changing
from tests.cli.calls import asked, call


class Packed(NamedTuple):
    """An archive, the file into which it was packed, and what packing said."""

    source: Path
    file: Path
    report: PackReport


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    folder = tmp_path_factory.mktemp("packed")
    with Archive(folder / "lab.db") as archive:
        fill(archive)
        (folder / "out").mkdir()
        report = archive.pack(folder / "out" / "paper.db")
    return Packed(folder / "lab.db", folder / "out" / "paper.db", report)


def fill(archive: Archive) -> None:
    with archive.start_run({"lr": 0.1}, ["a"], name="first") as run:
        run.log_many("long", range(2 * BLOCK_POINTS + 3), [0.1 * n for n in range(2 * BLOCK_POINTS + 3)])
        run.log_many("again", [0, 0, 1], [1.0, math.nan, math.inf])
        run.artifacts.register_data("words", "to be or not to be " * 100)
    with archive.start_run({"lr": 0.2}, name="second") as second:
        second.log({"long": 1.0})
        second.use_artifact(f"{run.run_id}/words")
    gone = archive.start_run({"secret": "deleted words"})
    gone.add_note("a note that was deleted")
    gone.complete()
    archive.delete_run(gone.run_id)
    archive.create_study("widths", "minimize")
    archive.create_view("mine", ["config.lr", "metrics.long"])


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def copy_of(packed: Packed, folder: Path) -> Path:
    """A copy of the packed file that can be changed."""
    copy = folder / "copy.db"
    copy.write_bytes(packed.file.read_bytes())
    return copy


def tamper(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def told(path: Path) -> list[str]:
    """What verification says of the seal."""
    with Archive(path, mode="ro") as archive:
        return [problem.message for problem in archive.verify().problems if problem.part == "seal"]


# The packed file


def test_it_is_one_whole_file_that_says_what_the_archive_says(packed: Packed) -> None:
    assert names(packed.file.parent) == ["paper.db"]
    report = packed.report
    assert report.path == str(packed.file)
    assert (report.runs, report.points, report.blobs, report.waiting) == (2, 2 * BLOCK_POINTS + 7, 1, ())
    data = packed.file.read_bytes()
    assert report.file_bytes == len(data)
    assert report.sha256 == hashlib.sha256(data).hexdigest()
    assert data[18:20] == b"\1\1"  # any program opens it without a -wal
    assert b"a note that was deleted" not in data
    with Archive(packed.source, mode="ro") as archive, Archive(packed.file, mode="ro") as sealed:
        assert archive.digest() == sealed.digest() == report.content
        assert sealed.verify().ok
        assert [run.run_id for run in sealed.list_runs()] == [run.run_id for run in archive.list_runs()]
        assert len(sealed.sql("SELECT * FROM mine").rows) == 2
    assert names(packed.file.parent) == ["paper.db"]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_nobody_may_write_it_and_everybody_may_read_it(packed: Packed) -> None:
    assert stat.S_IMODE(os.stat(packed.file).st_mode) == 0o444


def test_the_seal_is_the_one_of_the_documented_recipe(packed: Packed) -> None:
    """Computed here from the rows alone; the reader in JavaScript does it too."""
    with closing(sqlite3.connect(packed.file)) as bare:
        (counts, content, points) = bare.execute("SELECT row_counts, content, points FROM seal").fetchone()
        series = bare.execute(
            """
            SELECT r.run_id, n.name, s.count, s.id FROM metric_series AS s JOIN run AS r ON r.id = s.run
            JOIN metric_name AS n ON n.id = s.metric ORDER BY r.run_id, n.name
            """
        ).fetchall()
        digest = hashlib.sha256()
        for run_id, name, count, row in series:
            points_of = hashlib.sha256()
            rows = bare.execute(
                "SELECT step, seq, time_ms, value FROM metric_point WHERE series = ? ORDER BY 1, 2", (row,)
            ).fetchall()
            for begin in range(0, count, 1024):
                block = rows[begin : begin + 1024]
                for place in range(3):
                    for point in block:
                        points_of.update(point[place].to_bytes(8, "little", signed=True))
                for *_, value in block:
                    points_of.update(struct.pack("<d", math.nan if value is None else value))
            digest.update(f'["{run_id}","{name}",{count},"{points_of.hexdigest()}"]\n'.encode())
        assert digest.hexdigest() == points
        assert content == packed.report.content
        counted = {
            table: bare.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for (table,) in bare.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        }
    assert json.loads(counts).items() <= counted.items()
    assert set(counted) - set(json.loads(counts)) == {"seal", "sqlite_sequence", "sqlite_stat1"} & set(counted)


def test_it_is_never_opened_for_writing(packed: Packed, tmp_path: Path) -> None:
    copy = copy_of(packed, tmp_path)
    with pytest.raises(ArchiveReadOnlyError, match="is sealed and stays as it is"):
        Archive(copy)
    assert copy.read_bytes() == packed.file.read_bytes()
    assert names(tmp_path) == ["copy.db"]


def test_it_can_be_packed_again(packed: Packed, tmp_path: Path) -> None:
    with Archive(packed.file, mode="ro") as sealed:
        report = sealed.pack(tmp_path / "again.db")
    assert report.content == packed.report.content
    assert told(tmp_path / "again.db") == []


# What verification says of a seal


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("DELETE FROM config_source WHERE id = (SELECT max(id) FROM config_source)", "config_source had"),
        (
            "INSERT INTO metric_name (name) VALUES ('more')",
            "metric_name had 2 rows when it was sealed, and has 3",
        ),
        ("UPDATE run SET name = 'other' WHERE name = 'first'", "do not say what they said"),
        ("UPDATE study SET settings = '{}'", "do not say what they said"),
        ("UPDATE metric_point SET value = 7.0 WHERE step = 7", "its points are not those that were sealed"),
        ("UPDATE metric_point SET time_ms = time_ms + 1 WHERE seq = 1", "its points are not those"),
        ("UPDATE metric_name SET name = 'zz' WHERE name = 'again'", "its points are not those"),
    ],
)
def test_what_differs_from_the_seal_is_named(packed: Packed, tmp_path: Path, change: str, what: str) -> None:
    copy = copy_of(packed, tmp_path)
    if change.startswith("DELETE"):
        tamper(copy, "INSERT INTO config_source (kind, name, line) VALUES ('file', 'x', 1)")
        with Archive(copy, mode="ro") as archive:
            archive.pack(tmp_path / "more.db")
        os.chmod(tmp_path / "more.db", 0o644)
        copy = tmp_path / "more.db"
    tamper(copy, "PRAGMA foreign_keys = OFF", change)
    assert any(what in message for message in told(copy)), told(copy)


def test_a_seal_of_a_later_format_is_told(packed: Packed, tmp_path: Path) -> None:
    copy = copy_of(packed, tmp_path)
    tamper(copy, "UPDATE seal SET format = 99")
    assert told(copy) == ["its format 99 is unknown; upgrade exptrack to prove it"]


def test_progress_tells_of_points_amid_one_run(packed: Packed) -> None:
    seen: list[tuple[str, int, int]] = []
    with Archive(packed.file, mode="ro") as archive:
        archive.verify(lambda *one: seen.append(one))
    points = [done for part, done, _ in seen if part == "points"]
    assert points == sorted(points)
    assert (points[0], points[-1], seen[0][2]) == (3, 2 * BLOCK_POINTS + 7, 2 * BLOCK_POINTS + 7)
    assert {part for part, *_ in seen} == {"runs", "points", "chunks", "artifacts"}


# Live runs


def test_a_running_run_is_refused_and_stays_running_in_a_snapshot(archive: Archive, tmp_path: Path) -> None:
    run = archive.start_run(name="live")
    run.log_many("loss", range(10), [0.5] * 10)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(RunBusyError, match=r"--snapshot") as caught:
        archive.pack(folder / "paper.db")
    assert caught.value.run_id == run.run_id
    assert names(folder) == []
    before, blobs.FLUSH_BYTES = blobs.FLUSH_BYTES, 1
    try:
        with blobs.Intake(archive._connection) as intake:
            intake.put(b"x" * 3000)
            report = archive.pack(folder / "paper.db", snapshot=True)
    finally:
        blobs.FLUSH_BYTES = before
    assert report.points == 10
    run.complete()
    with Archive(folder / "paper.db", mode="ro") as sealed:
        assert sealed.verify().ok
        assert sealed.list_runs()[0].status == "running"
        info = sealed.info(count_rows=True)
        assert info.sealed_at is not None
        assert info.first_run is not None
        assert info.sealed_at > info.first_run
        rows = info.rows
        assert [rows[table] for table in ("metric_journal", "blob_writer", "blob", "chunk")] == [0] * 4
    unpack(folder / "paper.db", folder / "living.db")
    with Archive(folder / "living.db") as living:
        assert living.get_run(run.run_id).status == "running"


def test_a_run_that_begins_while_the_rows_are_written_is_refused_too(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "exptrack.portable.pack._require_ended", lambda connection: seen.append(connection.path)
    )
    seen: list[Path] = []
    archive.pack(tmp_path / "paper.db")
    assert seen[0] == Path(archive.path)
    assert seen[1].name.startswith(".exptrack-")


# Refusals


def test_a_damaged_archive_is_not_packed(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        fill(archive)
        with changing(archive._connection):
            archive._connection.execute("UPDATE metric_point SET value = 7.0 WHERE step = 7")
            archive._connection.execute("UPDATE event SET data = '{}'")
        before = names(tmp_path)
        with pytest.raises(VerificationError, match=r"lab\.db is damaged: .*more\)") as caught:
            archive.pack(tmp_path / "paper.db")
    assert len(caught.value.problems) > 3
    assert any("its points do not match their checksum" in problem for problem in caught.value.problems)
    assert names(tmp_path) == [name for name in before if "-" not in name]


@pytest.mark.parametrize("ending", ["", "-wal", "-journal", ".0a1b2c3d-7-0a1b2c3d.points"])
def test_nothing_that_exists_is_replaced(packed: Packed, tmp_path: Path, ending: str) -> None:
    place = tmp_path / f"there.db{ending}"
    place.write_bytes(b"kept")
    with Archive(packed.source, mode="ro") as archive, pytest.raises(ExportError):
        archive.pack(tmp_path / "there.db")
    with pytest.raises(ExportError):
        unpack(packed.file, tmp_path / "there.db")
    assert place.read_bytes() == b"kept"
    assert names(tmp_path) == [place.name]


def test_the_archive_itself_is_no_target(packed: Packed, tmp_path: Path) -> None:
    with Archive(packed.source) as archive:
        with pytest.raises(OwnFileError):
            archive.pack(archive.path)
        with pytest.raises(OwnFileError):
            unpack(packed.file, archive.path)
        with pytest.raises(InvalidTypeError):
            archive.pack(tmp_path / "x", progress=3)  # type: ignore[arg-type]
        with pytest.raises(InvalidTypeError):
            archive.pack(tmp_path / "x", snapshot="yes")  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError):
        unpack(packed.file, None)  # type: ignore[arg-type]
    assert names(tmp_path) == []


def test_ctrl_c_and_errors_of_the_caller_leave_nothing(
    packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "STEPS_PER_LOOK", 100)

    def interrupt(_part: str, _done: int, _total: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with Archive(packed.source, mode="ro") as archive:
        with pytest.raises(KeyboardInterrupt):
            archive.pack(tmp_path / "paper.db", progress=interrupt)
        for part in ("rows", "points", "bytes"):

            def fail(told: str, done: int, _total: int, part: str = part) -> None:
                assert told != part or done < 0

            with pytest.raises(AssertionError):
                archive.pack(tmp_path / "paper.db", progress=fail)
            assert names(tmp_path) == [], part
        archive.pack(tmp_path / "paper.db")


LIMITED = """
import resource, signal, sys, exptrack
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
archive = exptrack.Archive(sys.argv[1], mode="ro")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    archive.pack(sys.argv[2])
except exptrack.ArchiveError as error:
    print(error.path)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files here")
def test_a_limit_of_the_system_is_an_error_that_leaves_nothing(packed: Packed, tmp_path: Path) -> None:
    words = [sys.executable, "-c", LIMITED, str(packed.source), str(tmp_path / "paper.db")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == (str(tmp_path / "paper.db"), "")
    assert names(tmp_path) == []


# Unpacking


def test_what_is_unpacked_says_the_same_and_lives(packed: Packed, tmp_path: Path) -> None:
    before = packed.file.read_bytes()
    report = unpack(packed.file, tmp_path / "living.db")
    assert names(tmp_path) == ["living.db"]
    assert report.content == packed.report.content
    assert (report.runs, report.points, report.blobs) == (2, 2 * BLOCK_POINTS + 7, 1)
    assert report.file_bytes == os.stat(tmp_path / "living.db").st_size
    if os.name == "posix":
        (tmp_path / "any other").touch()
        assert os.stat(tmp_path / "living.db").st_mode == os.stat(tmp_path / "any other").st_mode
        (tmp_path / "any other").unlink()
    with Archive(tmp_path / "living.db") as living:
        assert living.digest() == packed.report.content
        assert living.verify().ok
        assert living.info(count_rows=True).rows["seal"] == 0
        assert living.info().sealed_at is None
        assert [view.name for view in living.list_views()] == ["mine"]
        assert len(living.sql("SELECT * FROM mine").rows) == 2
        living.start_run().complete()
        assert living.digest() != packed.report.content
    assert packed.file.read_bytes() == before
    assert names(packed.file.parent) == ["paper.db"]


def test_what_no_seal_proves_is_not_unpacked(packed: Packed, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="is not sealed"):
        unpack(packed.source, tmp_path / "living.db")
    copy = copy_of(packed, tmp_path)
    tamper(copy, "UPDATE run SET name = 'other' WHERE name = 'first'")
    with pytest.raises(VerificationError, match=r"copy\.db is damaged") as caught:
        unpack(copy, tmp_path / "living.db")
    assert any(problem.startswith("seal ") for problem in caught.value.problems)
    (tmp_path / "words.db").write_text("to be or not to be")
    with pytest.raises(NotAnArchiveError):
        unpack(tmp_path / "words.db", tmp_path / "living.db")
    with pytest.raises(ArchiveError, match="no archive"):
        unpack(tmp_path / "absent.db", tmp_path / "living.db")
    assert names(tmp_path) == ["copy.db", "words.db"]


def test_what_a_stranger_added_is_not_unpacked(packed: Packed, tmp_path: Path) -> None:
    copy = copy_of(packed, tmp_path)
    tamper(copy, "CREATE TABLE mine_too (a)", "CREATE VIEW theirs AS SELECT a FROM mine_too")
    unpack(copy, tmp_path / "living.db")
    with closing(sqlite3.connect(tmp_path / "living.db")) as bare:
        found = {name for (name,) in bare.execute("SELECT name FROM sqlite_schema")}
    assert "mine" in found
    assert found.isdisjoint({"mine_too", "theirs"})


def test_fields_of_a_view_that_are_no_json_are_told(packed: Packed, tmp_path: Path) -> None:
    copy = copy_of(packed, tmp_path)
    checksum = hash_row("user_view", ("mine", "["))
    tamper(copy, f"UPDATE user_view SET fields = '[', checksum = {checksum}")
    with pytest.raises(VerificationError, match="its fields are no JSON"):
        unpack(copy, tmp_path / "living.db")
    assert names(tmp_path) == ["copy.db"]


# The commands


def test_the_commands_print_the_digest_that_goes_with_the_file(packed: Packed, tmp_path: Path) -> None:
    done = call(packed.source, "pack", str(tmp_path / "paper.db"))
    digest = hashlib.sha256((tmp_path / "paper.db").read_bytes()).hexdigest()
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == f"SHA-256 {digest}"
    assert call(packed.source, "verify", str(tmp_path / "paper.db")).exit_code == 0
    done = call(packed.source, "unpack", str(tmp_path / "paper.db"), str(tmp_path / "living.db"))
    assert done.exit_code == 0
    assert "the seal holds" in done.output
    with Archive(packed.source) as archive:
        run = archive.start_run()
        assert call(packed.source, "pack", str(tmp_path / "live.db")).exit_code == RunBusyError.exit_code
        found = asked(packed.source, "pack", str(tmp_path / "live.db"), "--snapshot", "--json")
        assert (found["runs"], found["path"]) == (3, str(tmp_path / "live.db"))
        run.complete()
        archive.delete_run(run.run_id)
