"""Archives of somebody else: private copies of live, killed, older and read-only ones, and hostile files."""

from __future__ import annotations

import errno
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from exptrack import (
    Archive,
    ArchiveCorruptError,
    ArchiveFullError,
    ArchiveIOError,
    ArchiveNotFoundError,
    InvalidValueError,
    NotAnArchiveError,
    RecordedRun,
    diff_archives,
    unpack,
)
from exptrack.database import migrations, point_pages, private_copy, stranger
from exptrack.database.connection import Connection
from exptrack.database.point_pages import find_page_problem
from exptrack.database.stranger import POINTS, ROOT_PAGE
from exptrack.portable import foreign
from exptrack.portable.content_proofs import ContentProof
from exptrack.portable.foreign import is_same_file, look_at_source, open_source
from exptrack.portable.proofs import prove_runs
from exptrack.portable.study_proofs import prove_groups, prove_studies
from tests.faults.wrong_values import sound
from tests.portable.hostile.journals import journal, running_id
from tests.portable.hostile.structure import make_diamond

RUN_IDS = "SELECT run_id FROM run ORDER BY id"


def make(path: Path, runs: int = 3) -> list[str]:
    """Write an archive of completed runs; return their ids."""
    with Archive(path) as archive:
        for number in range(runs):
            with archive.start_run({"lr": number / 10}, ["t"], name=f"run {number}") as run:
                run.log_many("loss", range(5), [1.0, 0.5, 0.25, 0.2, 0.1])
                run.artifacts.register_data("words", f"to be or not {number}")
        return [run.run_id for run in reversed(archive.list_runs())]


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """The bytes and times of every file of a folder."""
    return {one.name: (one.read_bytes(), one.stat().st_mtime_ns) for one in folder.iterdir() if one.is_file()}


def read_ids(path: Path) -> tuple[list[str], list[str]]:
    """The run ids by both ways of opening."""
    with look_at_source(path) as looked:
        first = [row[0] for row in looked.all(RUN_IDS)]
    with open_source(path) as source:
        second = [row[0] for row in source.connection.all(RUN_IDS)]
        assert source.copy.parent.stat().st_mode & 0o777 == 0o700 or os.name != "posix"
        assert sorted(one.name for one in source.copy.parent.glob("archive.db*")) == ["archive.db"]
    assert not source.copy.exists()
    return first, second


def test_a_closed_archive_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    ids = make(tmp_path / "lab.db")
    before = state(tmp_path)
    assert read_ids(tmp_path / "lab.db") == (ids, ids)
    assert state(tmp_path) == before


WRITER = """
import os, sys, exptrack
archive = exptrack.Archive(sys.argv[1])
with archive.start_run(name="done") as run:
    run.log({"x": 1.0}, 0)
run = archive.start_run(name="open")
run.log({"x": 1.0}, 0)
run.flush()
run.log({"x": 2.0}, 1)
print(run.run_id, flush=True)
sys.stdin.readline()
os._exit(9)
"""


def test_a_live_archive_and_that_of_a_killed_process_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdin is not None
        run_id = writer.stdout.readline().strip()
        with open_source(path) as source:
            assert source.is_live
            assert source.connection.value("SELECT count(*) FROM run") == 2
            stored = source.connection.value("SELECT count(*) FROM metric_point")
            (journal,) = source.journals
            assert [point.step for point in journal.read_points()] == list(range(stored - 1, 2))
            assert set(journal.count_points()) <= {run_id}
        with look_at_source(path) as looked:
            assert looked.value("SELECT count(*) FROM run") == 2
        writer.stdin.write("\n")
    before = state(tmp_path)
    assert "lab.db-wal" in before
    with open_source(path) as source:
        assert not source.is_live
        points = [*source.journals[0].read_points()]
        stored = source.connection.value("SELECT count(*) FROM metric_point")
        assert stored + len(points) == 3
        assert all(point.run_id == run_id for point in points)
    with look_at_source(path) as looked:
        assert looked.value("SELECT count(*) FROM run") == 2
    assert state(tmp_path) == before


def test_an_archive_open_in_this_process_keeps_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    make(path)
    with Archive(path) as archive:
        run = archive.start_run(name="open")
        with open_source(path) as source, look_at_source(path) as looked:
            assert source.is_live
            assert source.connection.value("SELECT count(*) FROM run") == 4
            assert looked.value("SELECT count(*) FROM run") == 4
        run.complete()
        probe = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA journal_mode = DELETE')"
        done = subprocess.run([sys.executable, "-c", probe, path], capture_output=True, text=True, check=False)
        assert "locked" in done.stderr


def test_a_file_that_the_user_has_open_by_sqlite3_keeps_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as user:
        user.execute("BEGIN IMMEDIATE")
        user.execute("CREATE TABLE mine (x)")
        with open_source(path) as source, look_at_source(path) as looked:
            assert looked.value("SELECT count(*) FROM run") == source.connection.value(
                "SELECT count(*) FROM run"
            )
        probe = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        done = subprocess.run([sys.executable, "-c", probe, path], capture_output=True, text=True, check=False)
        assert "locked" in done.stderr
        user.execute("COMMIT")


def test_two_names_of_one_file_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    make(path, 1)
    (tmp_path / "link.db").symlink_to(path)
    os.link(path, tmp_path / "hard.db")
    (tmp_path / "other.db").write_bytes(path.read_bytes())
    same = [
        name for name in ("lab.db", "link.db", "hard.db", "other.db") if is_same_file(path, tmp_path / name)
    ]
    assert same == ["lab.db", "link.db", "hard.db"]
    assert not is_same_file(tmp_path / "none.db", tmp_path / "no.db")
    assert is_same_file(tmp_path / "none.db", tmp_path / "none.db")
    assert [len(ids) for ids in read_ids(tmp_path / "link.db")] == [1, 1]


def test_a_hard_link_to_an_open_archive_is_read_with_what_its_log_holds(tmp_path: Path) -> None:
    make(tmp_path / "lab.db")
    os.link(tmp_path / "lab.db", tmp_path / "other.db")
    with Archive(tmp_path / "lab.db") as archive:
        archive.start_run().complete()
        ids = [run.run_id for run in reversed(archive.list_runs())]
        assert read_ids(tmp_path / "other.db") == (ids, ids)
        assert diff_archives(tmp_path / "lab.db", tmp_path / "other.db").same
        assert sorted(path.name for path in tmp_path.glob("other*")) == ["other.db"]


def test_objects_of_strangers_are_taken_out_of_the_copy(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    ids = make(path)
    with closing(sqlite3.connect(path)) as program:
        program.executescript(
            """
            CREATE TABLE mine (x CHECK (x > abs(-1)), y AS (hex(x)));
            CREATE INDEX by_host ON run (host, length(name));
            CREATE TRIGGER late AFTER INSERT ON mine BEGIN DELETE FROM note; END;
            CREATE VIEW newest AS SELECT * FROM run;
            ANALYZE;
            """
        )
    before = state(tmp_path)
    with open_source(path) as source:
        names = {row[0] for row in source.connection.all("SELECT name FROM sqlite_schema")}
        assert not names & {"mine", "by_host", "late", "newest", "sqlite_stat1"}
        assert [row[0] for row in source.connection.all(RUN_IDS)] == ids
    assert state(tmp_path) == before


def test_a_read_only_folder_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "medium"
    folder.mkdir()
    ids = make(folder / "lab.db")
    (folder / "lab.db").chmod(0o400)
    folder.chmod(0o500)
    try:
        assert read_ids(folder / "lab.db") == (ids, ids)
    finally:
        folder.chmod(0o700)


def test_a_folder_is_no_source(tmp_path: Path) -> None:
    for way in (look_at_source, open_source):
        with pytest.raises(NotAnArchiveError, match="is a folder"), way(tmp_path):
            pass


def test_an_archive_that_is_just_being_made_is_waited_for(tmp_path: Path) -> None:
    for number in range(8):  # each meets another moment of the making
        path = tmp_path / f"{number}.db"
        path.touch()
        maker = threading.Timer(0.02, lambda path=path: Archive(path).close())
        maker.start()
        with look_at_source(path) as looked:
            assert looked.all(RUN_IDS) == []
        maker.join()
    old = tmp_path / "old.db"
    old.touch()
    os.utime(old, (0, 0))
    with pytest.raises(NotAnArchiveError, match="is empty"), look_at_source(old):
        pass


def test_an_archive_that_another_thread_closes_or_opens_is_copied_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab.db"
    ids = make(path, 1)
    archive, find = Archive(path), private_copy.find_opened

    def find_and_close(real: str) -> Connection | None:
        found = find(real)
        archive.close()
        return found

    monkeypatch.setattr(private_copy, "find_opened", find_and_close)
    with open_source(path) as source:
        assert source.connection.value(RUN_IDS) == ids[0]
    monkeypatch.setattr(private_copy, "find_opened", lambda _real: opened.pop())
    monkeypatch.setattr(private_copy, "has_descriptor", lambda _real: False)
    with Archive(path) as again:
        opened = [again._connection, None]  # at first it seems not to be open
        with open_source(path) as source:
            assert source.connection.value(RUN_IDS) == ids[0]
        assert opened == []


def test_a_merge_writes_nothing_if_a_source_is_missing(tmp_path: Path) -> None:
    make(tmp_path / "lab.db")
    with Archive(tmp_path / "all.db") as archive:
        with pytest.raises(ArchiveNotFoundError, match=r"no archive at .*nope\.db; check the path"):
            archive.merge(tmp_path / "lab.db", tmp_path / "nope.db")
        with pytest.raises(InvalidValueError, match="it is empty"):
            archive.merge(tmp_path / "lab.db", "")
        assert archive.list_runs() == []


# While it is copied


def write_meanwhile(monkeypatch: pytest.MonkeyPatch, path: Path, times: int) -> None:
    """Let a program add a tag to the archive during each of the first copies of its bytes."""
    copy, calls = private_copy._copy_file, []

    def copy_and_write(*args: Any) -> None:
        copy(*args)
        calls.append(args)
        if len(calls) <= times:
            with closing(sqlite3.connect(path)) as program:
                program.execute("INSERT INTO run_tag VALUES (1, ?, '2026-01-01')", (f"tag {len(calls)}",))
                program.commit()

    monkeypatch.setattr(private_copy, "_copy_file", copy_and_write)


@pytest.mark.parametrize(("times", "is_live"), [(1, False), (3, False), (100, True)])
def test_a_file_that_is_written_meanwhile_is_copied_at_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, is_live: bool
) -> None:
    path = tmp_path / "lab.db"
    make(path, 1)
    write_meanwhile(monkeypatch, path, times)
    with open_source(path) as source:
        assert source.is_live == is_live
        tags = source.connection.value("SELECT count(*) FROM run_tag")
    with closing(sqlite3.connect(path)) as program:
        assert program.execute("SELECT count(*) FROM run_tag").fetchone()[0] == tags


def test_a_live_archive_is_read_whole_where_locks_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab.db"
    monkeypatch.setattr(private_copy, "HAS_OPEN_FILE_LOCKS", False)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdin is not None
        writer.stdout.readline()
        with open_source(path) as source, look_at_source(path) as looked:
            assert source.connection.value("SELECT count(*) FROM run") == 2
            assert looked.value("SELECT count(*) FROM run") == 2
        writer.stdin.write("\n")


KILLED = """
import os, sqlite3, sys
program = sqlite3.connect(sys.argv[1], isolation_level=None)
program.execute("PRAGMA cache_size = 1")
program.execute("BEGIN IMMEDIATE")
program.execute("UPDATE metric_point SET value = -1")
program.execute("UPDATE run SET host = 'nowhere'")
os._exit(9)
"""


def test_a_transaction_that_a_kill_cut_short_is_undone_in_the_copy(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    make(path)
    with closing(sqlite3.connect(path)) as program:
        program.execute("PRAGMA journal_mode = DELETE")
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    before = state(tmp_path)
    assert before["lab.db-journal"][0]
    for way in (look_at_source, open_source):
        with way(path) as found:
            connection = found if isinstance(found, Connection) else found.connection
            assert connection.value("SELECT count(*) FROM metric_point WHERE value < 0") == 0
            assert connection.value("SELECT count(*) FROM run WHERE host = 'nowhere'") == 0
    assert state(tmp_path) == before


# Journals beside it


def test_the_points_of_a_journal_are_told_and_what_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab.db"
    path.write_bytes(sound().data)
    run_id = running_id(path)

    def told() -> tuple[str | None, dict[str, int]]:
        with open_source(path) as source:
            (one,) = source.journals
            assert one.name.endswith(".points")
            return one.problem, one.count_points()

    place = journal(path, loss=(run_id, 99, 1.0, 0.5), acc=(run_id, 99, 1.0, math.nan))
    assert told() == (None, {run_id: 2})
    with open_source(path) as source:
        assert [point[1:3] for point in source.journals[0].read_points()] == [("loss", 99), ("acc", 99)]
    with closing(sqlite3.connect(path)) as program:
        program.execute("INSERT INTO metric_journal VALUES ('00000007', 4, 0)")
        program.commit()
    assert told() == ("the note on how far it is stored is damaged", {})
    place.write_bytes(b"x" * 10_000)
    assert told() == ("it is damaged, or of another version of exptrack", {})
    journal(path, archive="2020-01-01 00:00:00.000000 " + "ab" * 32, loss=(run_id, 99, 1.0, 0.5))
    assert told() == ("it belongs to another archive", {})
    monkeypatch.setattr(foreign, "MOST_JOURNALS", 0)
    assert told() == ("more than 0 journals lie there", {})


# Room


def test_the_copy_goes_where_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, beside = tmp_path / "lab.db", tmp_path / "beside"
    make(path, 1)
    beside.mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Room(1 << 40 if folder == beside else 1000))
    with pytest.raises(ArchiveFullError, match=r"no room for .* bytes in .*; set TMPDIR"), open_source(path):
        pass
    with open_source(path, beside=beside) as source:
        assert source.copy.parent.parent == beside
    assert list(beside.iterdir()) == []


def test_a_large_copy_is_not_made_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, beside = tmp_path / "lab.db", tmp_path / "beside"
    make(path, 1)
    beside.mkdir()
    monkeypatch.setattr(private_copy, "find_file_system", lambda _folder: "tmpfs")
    with open_source(path, beside=beside) as source:
        assert source.copy.parent.parent != beside
    monkeypatch.setattr(private_copy, "MUCH_MEMORY_BYTES", 1000)
    with open_source(path, beside=beside) as source:
        assert source.copy.parent.parent == beside


class Room(NamedTuple):
    """What a look at a disk tells."""

    free: int


@pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="this system does not tell holes")
@pytest.mark.parametrize("tells_holes", [True, False])
def test_holes_of_a_file_are_not_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tells_holes: bool
) -> None:
    sparse, copy = tmp_path / "sparse", tmp_path / "copy"
    with open(sparse, "wb") as file:
        file.write(b"begin")
        file.seek(4 << 20)
        file.write(b"middle")
        file.truncate(8 << 20)
    if not tells_holes:
        monkeypatch.delattr(os, "SEEK_DATA")
    told: list[int] = []
    with open(sparse, "rb") as file:
        one = private_copy._Opened("", file.fileno(), os.fstat(file.fileno()))
        private_copy._copy_file(sparse, one, copy, told.append)
    assert copy.read_bytes() == sparse.read_bytes()
    assert told == sorted(told)
    if tells_holes and sparse.stat().st_blocks < 1000:  # a file system that knows holes
        assert copy.stat().st_blocks < 1000


def test_progress_is_told_up_to_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    make(path, 1)
    told: list[tuple[int, int]] = []
    with open_source(path, progress=lambda done, total: told.append((done, total))):
        assert told[-1] == (path.stat().st_size, path.stat().st_size)


# Formats


def test_an_older_format_is_brought_up_to_date_in_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab.db"
    ids = make(path)
    number = migrations.latest_version() + 1
    text = "CREATE TABLE extra (id INTEGER PRIMARY KEY);"
    both = (*migrations.migrations(), migrations.Migration(number, f"{number:04}_add_extra.sql", text))
    for module in (migrations, stranger):
        monkeypatch.setattr(module, "migrations", lambda: both)
        monkeypatch.setattr(module, "latest_version", lambda: number)
    monkeypatch.setattr(stranger, "require_own_schema", lambda _connection: None)
    stranger._objects_of.cache_clear()
    before = state(tmp_path)
    with open_source(path) as source:
        assert source.connection.value("PRAGMA user_version") == number
        assert source.connection.value("SELECT count(*) FROM extra") == 0
        assert [row[0] for row in source.connection.all(RUN_IDS)] == ids
    assert state(tmp_path) == before


# Limits


def test_a_look_takes_no_value_that_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run() as run:
        run.add_note("\N{SNOWMAN}" * 7_000_000)
    with (
        look_at_source(path) as looked,
        pytest.raises(ArchiveCorruptError, match="longer than exptrack"),
    ):
        looked.value("SELECT text FROM note")
    with open_source(path) as source:
        assert source.connection.value("SELECT length(text) FROM note") == 7_000_000


def test_what_a_look_cannot_read_is_merged_and_compared_by_way_of_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "LOOK_VALUE_BYTES", 50_000)
    path, target = tmp_path / "lab.db", tmp_path / "all.db"
    with Archive(path) as archive, archive.start_run() as run:
        run.add_note("n" * 60_000)
    with Archive(target) as archive:
        (merged,) = archive.merge(path).files
        assert merged.new == (run.run_id,)
        (merged,) = archive.merge(path).files
        assert (merged.new, merged.unchanged) == ((), 1)
    assert diff_archives(path, target).same


@pytest.mark.parametrize("sql", ["SELECT count(*) FROM event", "SELECT total(1) FROM event"])
def test_a_look_at_rows_that_never_end_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    path = tmp_path / "lab.db"
    make(path)
    with closing(sqlite3.connect(path)) as program:
        program.execute("PRAGMA journal_mode = DELETE")
    make_diamond(path, "event")
    monkeypatch.setattr(foreign, "LOOK_S", 0.3)
    with look_at_source(path) as looked, pytest.raises(ArchiveCorruptError, match="longer than 0 s"):
        looked.value(sql)


def test_the_pages_of_sound_points_are_each_used_once(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run() as run:
        run.log_many("loss", range(20_000), [0.5] * 20_000)
    with closing(sqlite3.connect(path)) as program:
        (root,) = program.execute(ROOT_PAGE, (POINTS,)).fetchone()
    assert find_page_problem(path, root) is None
    assert find_page_problem(path, 99_999) == "page 99999 is not there"


# Proofs


def test_everything_of_a_sound_archive_is_proved(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    path.write_bytes(sound().data)
    with open_source(path) as source:
        lab = source.connection
        ids = [row[0] for row in lab.all("SELECT id FROM run")]
        assert prove_runs(lab, ids) == {run: [] for run in ids}
        assert ContentProof(lab, path.stat().st_size).prove_runs(ids) == {run: [] for run in ids}
        groups = [row[0] for row in lab.all("SELECT name FROM run_group")]
        studies = [row[0] for row in lab.all("SELECT uid FROM study")]
        assert prove_groups(lab, groups) == {name: [] for name in groups}
        assert prove_studies(lab, studies) == {uid: [] for uid in studies}
        assert groups
        assert studies


def test_what_unusual_calls_write_is_proved(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    config = {"a": -0.0, "b": 2**62, "c": {"x": [], "y": {}}, 'é."q': [1, {"z": None}]}
    with Archive(path) as archive:
        archive.record_runs(
            [
                RecordedRun({}, datetime(2020, 1, 1, tzinfo=UTC)),
                RecordedRun(
                    config,
                    datetime(2020, 1, 1, tzinfo=UTC),
                    metrics={"loss": ([1, 1], [math.nan, math.inf])},
                    external_id="mlflow:x",
                    code_digest="as told by another tracker",
                ),
            ]
        )
        ended = archive.start_run({"x": 1})
        ended.log({"loss": 1.0})
        ended.complete()
        ended.log_rows([("loss", 2.0, 5), ("new", 1.0, 1)], source="worker", sequence=1)
        failed = archive.start_run(parent=ended)
        failed.fail("NUL \0, and \x1b")
        with archive.resume_run(failed.run_id) as resumed:
            resumed.log({"loss": 2.0}, 7)
        study = archive.create_study("widths", "minimize")
        study.optimize(lambda trial: math.inf if trial.number else trial.suggest_float("x", 0, 1), n_trials=2)
        study.optuna_study.set_user_attr("worst", math.nan)
    with Archive(tmp_path / "all.db") as archive:
        (merged,) = archive.merge(path).files
        assert merged.left_out == ()
        assert len(merged.new) == 6
        assert merged.studies == ("widths",)


def test_a_run_or_study_that_is_not_there_is_no_sound_one(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    make(path, 1)
    with open_source(path) as source:
        assert "its row is missing" in prove_runs(source.connection, [99])[99]
        assert prove_studies(source.connection, ["0" * 16])["0" * 16] == ["its row is missing"]
        assert prove_groups(source.connection, ["none"])["none"] == ["its row is missing"]


def test_a_disk_that_fails_to_read_a_copy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "lab.db", 1)
    with Archive(tmp_path / "lab.db") as archive:
        archive.pack(tmp_path / "packed.db")

    def fail(_pages: object, _number: int) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(point_pages._Pages, "enter", fail)
    with Archive(tmp_path / "all.db") as archive, pytest.raises(ArchiveIOError, match="check the disk"):
        archive.merge(tmp_path / "lab.db")
    monkeypatch.setattr(point_pages._Pages, "enter_leaf", fail)
    with pytest.raises(ArchiveIOError, match="check the disk"):
        unpack(tmp_path / "packed.db", tmp_path / "living.db")
    assert not (tmp_path / "living.db").exists()
