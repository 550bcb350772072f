"""A damaged archive gives back what can be proved, and says what it cannot give."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import exptrack
from exptrack import (
    Archive,
    ArchiveLockedError,
    ArchiveNotFoundError,
    ExportError,
    InvalidTypeError,
    InvalidValueError,
    NotAnArchiveError,
    OwnFileError,
    SalvagedRun,
    SalvageReport,
)
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS
from exptrack.database.layout import known_layouts
from exptrack.portable.cells import parse_page
from exptrack.portable.pages import PageFile
from exptrack.portable.tables import TableReader

PAGE = 4096
POINTS = 1100


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed archive: four runs with three blocks of points each, one with a folder, and a study."""
    folder = tmp_path_factory.mktemp("salvage")
    tree = folder / "tree"
    tree.mkdir()
    (tree / "a.txt").write_text("a" * 5000)
    (tree / "b.txt").write_text("b" * 5000)
    chance = random.Random(1)
    with Archive(folder / "lab.db") as archive:
        for number in range(4):
            config = {"lr": number / 8, "model": {"depth": number}}
            with archive.start_run(config, ["a", f"t{number}"], name=f"run {number}", group="all") as run:
                run.log_many("loss", range(POINTS), [chance.random() for _ in range(POINTS)])
                run.log({"last": float(number)}, 0)
                run.add_note(f"note {number}")
                run.set_attributes({"score": number})
                run.artifacts.register_data("weights", chance.randbytes(9_000))
            if number == 0:
                run.artifacts.register_dir("tree", tree)
        archive.create_study("widths", "maximize", metric="loss")
        archive.create_view("mine", ["config.lr"])
    return folder / "lab.db"


def damaged(lab: Path, folder: Path, change: Callable[[bytearray], None], name: str = "damaged.db") -> Path:
    data = bytearray(lab.read_bytes())
    change(data)
    (folder / name).write_bytes(data)
    return folder / name


def zero(*pages: int) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        for page in pages:
            data[(page - 1) * PAGE : page * PAGE] = bytes(PAGE)

    return change


def pages_of(lab: Path, table: str) -> list[int]:
    with PageFile(lab) as file:
        return list(TableReader(file)._pages[table])


def save(path: Path, **options: object) -> tuple[SalvageReport, Path]:
    """Salvage a file, which stays as it is, into an archive that verifies clean."""
    out = path.with_name(f"out{len(os.listdir(path.parent))}.db")
    before = path.read_bytes()
    report = exptrack.salvage(path, out, **options)  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert not [name for name in os.listdir(path.parent) if name.startswith(".")]
    with Archive(out, mode="ro") as archive:
        assert archive.verify().problems == ()
    return report, out


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


VIEWS = ["runs", "configs", "tags", "notes", "attributes", "events", "metrics", "points", "artifacts", "inputs"]
VIEWS += ["artifact_files", "studies", "groups", "mine"]


def same(out: Path, lab: Path, but: tuple[str, ...] = ()) -> None:
    for view in VIEWS:
        if view not in but:
            sql = f"SELECT * FROM {view} ORDER BY {', '.join(str(n) for n in range(1, 4))}"
            assert ask(out, sql) == ask(lab, sql), view


def test_a_sound_archive_comes_back_as_it_is(lab: Path, tmp_path: Path) -> None:
    path = damaged(lab, tmp_path, lambda data: None)
    told: list[tuple[str, int, int]] = []
    report, out = save(path, progress=lambda *one: told.append(one))
    assert report.ok
    assert (len(report.runs), report.points, report.artifacts) == (4, 4 * (POINTS + 1), 5)
    assert all(run.whole and run.sealed and not run.unproven for run in report.runs)
    assert {part for part, _, _ in told} == {"pages", "chunks", "artifacts", "runs"}
    assert all(done <= total for _, done, total in told)
    same(out, lab)
    with Archive(lab, mode="ro") as one, Archive(out, mode="ro") as other:
        assert one.digest() == other.digest()
    assert out.stat().st_mode & 0o777 == lab.stat().st_mode & 0o777


def test_a_block_of_points_is_lost_and_told_and_the_rest_of_the_run_comes_back(
    lab: Path, tmp_path: Path
) -> None:
    leaf = pages_of(lab, "metric_point")[2]
    report, out = save(damaged(lab, tmp_path, zero(leaf)))
    hurt = [run for run in report.runs if not run.whole]
    assert not report.ok
    assert [run.sealed for run in hurt] == [False] * len(hurt)
    assert 1 <= len(hurt) <= 2
    assert "the metric 'loss' from step" in hurt[0].missing[0]
    assert 4 * (POINTS + 1) - 2 * 1024 <= report.points < 4 * (POINTS + 1)
    points = set(ask(lab, "SELECT * FROM points"))
    assert set(ask(out, "SELECT * FROM points")) < points
    with Archive(out, mode="ro") as archive:
        for run in archive.list_runs():
            ended = run.run_id in {one.run_id for one in hurt}
            assert run.status == ("interrupted" if ended else "completed")
            events = archive.show_run(run.run_id).events
            assert [one.kind for one in events if one.kind == "salvage"] == ["salvage"] * ended
        last = archive.show_run(hurt[0].run_id)
        assert last.events[-1].data == {"status": "completed", "missing": list(hurt[0].missing)}
        assert last.summary.reason == "salvaged: some of it was lost"
    same(out, lab, but=("runs", "events", "metrics", "points", "mine"))


def test_of_a_lost_inner_page_only_its_own_points_are_overwritten(tmp_path: Path) -> None:
    """The points below it are read, but lack one in each block that proves them."""
    count = 20_000
    with Archive(tmp_path / "long.db") as archive, archive.start_run(system_metrics=False) as run:
        run.log_many("loss", range(count), [step / 7 for step in range(count)])
    with PageFile(tmp_path / "long.db") as file:
        reader = TableReader(file)
        inner = [page for page in reader._pages["metric_point"] if page in reader._owners][-1]
        found = parse_page(file, inner)
        leaves = [page for page in reader._pages["metric_point"] if page not in reader._owners]
    assert found is not None
    own = len(found.pointers)
    path = damaged(tmp_path / "long.db", tmp_path, zero(inner))
    report, _ = save(path)
    (saved,) = report.runs
    assert report.points + saved.unproven_points + own == count
    assert saved.unproven_points > 100 * own
    assert f"the metric 'loss': {own} points overwritten" in saved.missing
    unproven, more = save(path, unproven=True)
    assert unproven.points == count - own
    assert unproven.runs[0].unproven_points == 0
    points = "SELECT * FROM points"
    assert set(ask(more, points)) < set(ask(tmp_path / "long.db", points))
    report, _ = save(path, others=[tmp_path / "long.db"])
    assert report.points == count
    assert report.runs[0].whole

    # All pages of a block: nothing of it is left that could fail.
    report, _ = save(damaged(tmp_path / "long.db", tmp_path, zero(*leaves[10:30]), "block.db"))
    assert any("overwritten" in what for what in report.runs[0].missing)


def test_the_points_of_a_series_whose_row_is_lost_need_their_own_proof(lab: Path, tmp_path: Path) -> None:
    """Nothing is left that says how many points there were, and what their sum was."""
    series, page = known_layouts()[0]["metric_series"].root, pages_of(lab, "metric_point")[3]
    begin = (page - 1) * PAGE
    pointer = begin + struct.unpack_from(">H", lab.read_bytes(), begin + 8 + 20)[0]
    last = pointer + lab.read_bytes()[pointer]  # of the value of a point

    def flip(data: bytearray) -> None:
        zero(series)(data)
        data[last] ^= 16

    for change in (flip, zero(series, page)):
        report, out = save(damaged(lab, tmp_path, change))
        hurt = [run for run in report.runs if not run.whole]
        assert 1 <= len(hurt) <= 2
        assert all("without a proof" in run.missing[0] for run in hurt)
        assert set(ask(out, "SELECT * FROM points")) < set(ask(lab, "SELECT * FROM points"))


def test_one_wrong_or_lost_point_is_mended(lab: Path, tmp_path: Path) -> None:
    page = pages_of(lab, "metric_point")[3]
    begin = (page - 1) * PAGE
    pointer = struct.unpack_from(">H", lab.read_bytes(), begin + 8 + 20)[0]
    size = lab.read_bytes()[begin + pointer]
    last = begin + pointer + size  # of the record: it begins with its length
    # The value, its type, the length of the record, and the step: to a new one, and to that of another point.
    for place, bit in (
        (last, 16),
        (begin + pointer + 6, 1),
        (begin + pointer, 2),
        (last - 10, 32),
        (last - 9, 4),
    ):

        def flip(data: bytearray, place: int = place, bit: int = bit) -> None:
            data[place] ^= bit

        report, out = save(damaged(lab, tmp_path, flip))
        assert all(run.whole and run.sealed for run in report.runs), place - begin - pointer
        same(out, lab)


def test_a_wrong_checksum_of_a_row_that_the_sum_proves_is_mended(lab: Path, tmp_path: Path) -> None:
    path = tmp_path / "checksums.db"
    shutil.copyfile(lab, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE event SET checksum = checksum + 1 WHERE seq = 1")
        connection.execute("UPDATE artifact SET checksum = checksum + 1")
        connection.execute("UPDATE metric_check SET crc = crc + 1")
        connection.execute("UPDATE event SET seq = 9 WHERE seq = 0")
        connection.execute("UPDATE run SET rows_sum = rows_sum + 8192 WHERE id = 1")
        connection.execute("UPDATE run SET checksum = 'lost' WHERE id = 2")
    report, out = save(path)
    assert report.ok
    same(out, lab)


def test_names_and_facts_come_back_from_indexes(lab: Path, tmp_path: Path) -> None:
    """Tables whose only page is lost, while indexes have the rows too."""
    roots = known_layouts()[0]
    for table in ("metric_name", "config_key", "config_source", "chunk", "blob"):
        report, out = save(damaged(lab, tmp_path, zero(roots[table].root)))
        assert all(run.whole and run.sealed for run in report.runs), table
        same(out, lab)
    report, out = save(damaged(lab, tmp_path, zero(roots["metric_series"].root)))
    assert all(run.whole and run.sealed for run in report.runs)
    same(out, lab)
    report, out = save(damaged(lab, tmp_path, zero(roots["run"].root)))
    assert [run.status for run in report.runs] == ["interrupted"] * 4
    assert report.points == 4 * (POINTS + 1)
    same(
        out, lab, but=("runs", "configs", "events", "tags", "notes", "attributes", "metrics", "groups", "mine")
    )
    leaves = "SELECT run_id, key, type, value FROM configs"
    assert ask(out, leaves) == ask(lab, leaves)
    assert ask(out, "SELECT run_id, started_at FROM runs") == ask(lab, "SELECT run_id, started_at FROM runs")


def test_a_config_is_proved_by_its_text_or_by_its_leaves(lab: Path, tmp_path: Path) -> None:
    roots = known_layouts()[0]
    report, out = save(damaged(lab, tmp_path, zero(roots["run_config"].root)))
    assert all(run.whole for run in report.runs)
    same(out, lab)
    report, out = save(damaged(lab, tmp_path, zero(roots["config_value"].root)))
    assert ask(out, "SELECT run_id, key, value FROM configs") == ask(
        lab, "SELECT run_id, key, value FROM configs"
    )
    report, out = save(damaged(lab, tmp_path, zero(roots["config_value"].root, roots["run_config"].root)))
    assert all("its config" in run.missing for run in report.runs)
    assert ask(out, "SELECT * FROM configs") == []
    assert report.points == 4 * (POINTS + 1)


def test_runs_whose_ids_are_lost_get_new_ones_with_unproven(lab: Path, tmp_path: Path) -> None:
    """As if the first pages were overwritten: those of the runs and of their indexes."""
    roots = known_layouts()[0]
    path = damaged(
        lab, tmp_path, zero(*range(1, 1 + max(roots[name].root for name in ("run", "run_by_start"))))
    )
    report, _ = save(path)
    assert (report.runs, report.points) == ((), 0)
    report, out = save(path, unproven=True)
    assert report.points == 4 * (POINTS + 1)
    assert all(run.unproven for run in report.runs)
    assert all("its id, in place of which it has a new one" in run.missing for run in report.runs)
    points = "SELECT name, step, value FROM points ORDER BY 1, 2, 3"
    assert ask(out, points) == ask(lab, points)
    assert report.artifacts == 5
    again, _ = save(path, unproven=True)
    assert [run.run_id for run in again.runs] == [run.run_id for run in report.runs]


def test_a_run_without_a_config_has_lost_none(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run(system_metrics=False) as run:
        run.add_note("a note")
    path = damaged(tmp_path / "lab.db", tmp_path, zero(known_layouts()[0]["note"].root))
    assert "its config" not in save(path)[0].runs[0].missing


def test_what_is_lost_of_artifacts_is_told_and_their_rows_stay(lab: Path, tmp_path: Path) -> None:
    report, out = save(damaged(lab, tmp_path, zero(*pages_of(lab, "chunk_data"))))
    assert report.artifacts == 0
    assert any("the artifact 'weights' version 1: 1 of 1 chunk" in what for what in report.runs[0].missing)
    assert all(run.sealed for run in report.runs)
    assert ask(out, "SELECT count(*), count(removed_at), count(blob) FROM artifact") == [(5, 5, 0)]
    entries = known_layouts()[0]["artifact_entry"].root
    report, out = save(damaged(lab, tmp_path, zero(entries)))
    assert all(run.whole for run in report.runs)
    same(out, lab)


def test_only_with_unproven_comes_back_what_nothing_proves(lab: Path, tmp_path: Path) -> None:
    """Tags have no checksum but the sum of the run's rows, which a lost note makes wrong."""
    leaf = pages_of(lab, "metric_point")[2]
    path = damaged(lab, tmp_path, zero(known_layouts()[0]["note"].root, leaf))
    report, out = save(path)
    assert ask(out, "SELECT * FROM tags") == ask(out, "SELECT * FROM attributes") == []
    assert all("2 tags without a proof" in run.missing for run in report.runs)
    unproven, more = save(path, unproven=True)
    assert report.points < unproven.points < 4 * (POINTS + 1)
    assert all(run.unproven for run in unproven.runs)
    tags = [row for row in ask(more, "SELECT * FROM tags") if row[1] != "unproven"]
    assert sorted(tags) == sorted(ask(lab, "SELECT * FROM tags"))
    assert ask(more, "SELECT * FROM attributes") == ask(lab, "SELECT * FROM attributes")


def test_a_lost_trial_leaves_a_failed_one_and_a_lost_sum_costs_attributes(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with Archive(path) as archive:
        study = archive.create_study("widths", "maximize", metric="loss")
        study.optimize(lambda trial: trial.suggest_float("lr", 0.1, 1.0), n_trials=4, start_runs=False)
        study.optuna_study.set_user_attr("owner", "a word that stands once")
        archive.create_group("some")
        archive.set_group_attribute("some", "who", "another word")
        uid = ask(path, "SELECT uid FROM trial WHERE number = 1")[0][0]
    root = known_layouts()[0]["trial"].root

    def change(data: bytearray) -> None:
        begin = (root - 1) * PAGE
        at = data.index(str(uid).encode(), begin)
        assert at < begin + PAGE
        data[at + 17] ^= 1  # behind the uid
        for word in (b"a word that stands once", b"another word"):
            data[data.index(word)] ^= 1

    report, out = save(damaged(path, tmp_path, change))
    trials = ask(out, "SELECT number, state, reason, uid FROM trial ORDER BY number")
    assert [row[1] for row in trials] == ["complete", "fail", "complete", "complete"]
    assert trials[1][2] == "salvaged: its rows were lost"
    assert [row[3] for row in trials] == sorted(str(row[3]) for row in trials)
    assert ask(out, "SELECT number, value FROM trials WHERE number <> 1") == ask(
        path, "SELECT number, value FROM trials WHERE number <> 1"
    )
    assert ask(out, "SELECT count(*) FROM study_attribute") == [(0,)]
    assert ask(out, "SELECT count(*) FROM run_group") == [(0,)]
    assert len(report.lost) == 3
    _, whole = save(damaged(path, tmp_path, change), others=[path])
    assert ask(whole, "SELECT count(*) FROM trial_param") == [(4,)]


def test_another_copy_fills_what_is_missing(lab: Path, tmp_path: Path) -> None:
    points, chunks = pages_of(lab, "metric_point"), pages_of(lab, "chunk_data")
    first = damaged(lab, tmp_path, zero(points[6], *chunks, known_layouts()[0]["note"].root))
    second = damaged(lab, tmp_path, zero(points[-3]), "second.db")
    alone, _ = save(first)
    assert not any(run.whole for run in alone.runs)
    report, out = save(first, others=[second])
    assert [run.whole for run in report.runs].count(False) == 1  # the one that is damaged in both
    assert all(run.sealed for run in report.runs)
    same(out, lab, but=("events", "tags", "notes", "attributes"))
    # Each copy lacks another block.
    one = damaged(lab, tmp_path, zero(points[2], 1), "one.db")
    other = damaged(lab, tmp_path, zero(points[12]), "other.db")
    report, out = save(one, others=[other])
    assert all(run.whole and run.sealed for run in report.runs)
    same(out, lab)


def test_a_run_that_only_another_copy_has_comes_from_there(lab: Path, tmp_path: Path) -> None:
    shorter = tmp_path / "shorter.db"
    shutil.copyfile(lab, shorter)
    with Archive(shorter) as archive:
        gone = archive.list_runs()[0].run_id
        archive.delete_run(gone)
        archive.delete_study("widths")
    report, out = save(shorter, others=[lab])
    assert gone in {run.run_id for run in report.runs}
    same(out, lab)


def test_deleted_runs_and_tags_do_not_come_back(lab: Path, tmp_path: Path) -> None:
    path = tmp_path / "deleted.db"
    shutil.copyfile(lab, path)
    with Archive(path) as archive:
        kept, gone = [run.run_id for run in archive.list_runs()][:2]
        archive.delete_run(gone)
        archive.get_run(kept).remove_tag("a")
    for change in (lambda data: None, zero(1), zero(known_layouts()[0]["run"].root)):
        report, out = save(damaged(path, tmp_path, change))
        assert gone not in {run.run_id for run in report.runs}
        assert (kept, "a") not in ask(out, "SELECT run_id, tag FROM tags")


def test_hostile_schema_is_not_read(lab: Path, tmp_path: Path) -> None:
    """Triggers, views over our names and other roots in page 1 change nothing: roots come from the library."""
    path = tmp_path / "hostile.db"
    shutil.copyfile(lab, path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TRIGGER bad AFTER INSERT ON run BEGIN DELETE FROM run; END")
        connection.execute(
            "CREATE VIEW theirs AS WITH RECURSIVE x AS (SELECT 1 UNION ALL SELECT 2 FROM x) TABLE x"
            if False
            else "CREATE VIEW theirs AS SELECT * FROM runs, runs, runs"
        )
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = 'CREATE VIEW tags AS SELECT 1' WHERE name = 'tags'")
        connection.execute("UPDATE sqlite_schema SET rootpage = 9, sql = sql || ' ' WHERE name = 'note'")
    report, out = save(path)
    assert report.ok
    same(out, lab)
    assert ask(out, "SELECT name FROM sqlite_schema WHERE name IN ('bad', 'theirs')") == []


def test_a_file_that_changes_meanwhile_is_refused(lab: Path, tmp_path: Path) -> None:
    path, out = damaged(lab, tmp_path, lambda data: None), tmp_path / "out.db"

    def write(*_told: object) -> None:
        os.utime(path, (1, 1))

    with pytest.raises(ArchiveLockedError, match="end that process"):
        exptrack.salvage(path, out, progress=write)
    if HAS_OPEN_FILE_LOCKS:
        code = "import exptrack, sys; a = exptrack.Archive(sys.argv[1])"
        code += "; print(len(a.list_runs()), flush=True); sys.stdin.read()"
        command = [sys.executable, "-c", code, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == b"4"
            with pytest.raises(ArchiveLockedError, match="another process has"):
                exptrack.salvage(path, out)
            with pytest.raises(ArchiveLockedError, match="another process has"):
                exptrack.salvage(lab, out, others=[path])
    assert not out.exists()
    assert save(path)[0].ok


def test_a_folder_in_the_place_of_the_log_is_told(lab: Path, tmp_path: Path) -> None:
    path = damaged(lab, tmp_path, lambda data: None)
    (tmp_path / "damaged.db-wal").mkdir()
    report, out = save(path)
    assert report.lost == ("damaged.db-wal is no file, so nothing was read from it",)
    same(out, lab)


def test_arguments_and_files_that_are_refused(lab: Path, tmp_path: Path) -> None:
    taken, out = tmp_path / "taken.db", tmp_path / "new.db"
    taken.write_text("kept")
    with pytest.raises(ExportError):
        exptrack.salvage(lab, taken)
    with pytest.raises(ExportError):
        exptrack.salvage(lab, tmp_path / "no folder" / "new.db")
    with pytest.raises(ArchiveNotFoundError):
        exptrack.salvage(tmp_path / "absent.db", out)
    with pytest.raises(NotAnArchiveError):
        exptrack.salvage(tmp_path, out)
    with pytest.raises(InvalidValueError, match="it is empty"):
        exptrack.salvage("", out)
    with pytest.raises(NotAnArchiveError):
        exptrack.salvage(lab, out, others=[taken])
    with pytest.raises(InvalidTypeError):
        exptrack.salvage(lab, out, progress=1)  # type: ignore[arg-type]
    with Archive(lab, mode="ro"), pytest.raises(OwnFileError):
        exptrack.salvage(lab, out)
    assert sorted(os.listdir(tmp_path)) == ["taken.db"]
    assert taken.read_text() == "kept"
    with pytest.raises(RuntimeError):
        exptrack.salvage(lab, out, progress=_fail)
    assert sorted(os.listdir(tmp_path)) == ["taken.db"]


def _fail(_part: str, _done: int, _total: int) -> None:
    raise RuntimeError("the caller's own")


def test_the_report_says_whether_all_is_whole() -> None:
    whole = SalvagedRun("a", "completed", 3, True)
    hurt = SalvagedRun("b", "interrupted", 2, False, ("a note",))
    report = SalvageReport("in", "out", 1, (whole,), 3, 0)
    assert (whole.whole, hurt.whole, report.ok) == (True, False, True)
    assert not SalvageReport("in", "out", 1, (whole, hurt), 5, 0).ok
    assert not SalvageReport("in", "out", 1, (whole,), 3, 0, ("a page",)).ok


def test_a_sum_that_only_nearly_comes_back_is_told(tmp_path: Path) -> None:
    """It is added up by step, and was added up as it was logged."""
    with Archive(tmp_path / "lab.db") as archive, pytest.raises(MemoryError), archive.start_run() as run:
        for step, value in ((2, -1e16), (0, 1e16), (1, 1.0)):
            run.log_metric("x", value, step)
        raise MemoryError
    with closing(sqlite3.connect(tmp_path / "lab.db")) as connection, connection:
        connection.execute("UPDATE metric_series SET value_sum = 7")
    report = exptrack.salvage(tmp_path / "lab.db", tmp_path / "out.db")
    assert not report.ok
    assert report.runs[0].missing == ("how it ended",)
    with Archive(tmp_path / "out.db", mode="ro") as archive:
        assert [point.value for point in archive.get_run(run.run_id).get_metric("x")] == [1e16, 1.0, -1e16]
        assert archive.verify().ok
