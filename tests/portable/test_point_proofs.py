"""The proof of points in a merge: damage and lies of all kinds are found, and nothing sound is refused."""

from __future__ import annotations

import math
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveCorruptError
from exptrack.database.row_sums import wrap_sum
from exptrack.metrics.store import hash_summary
from exptrack.metrics.summary import SUMMARY_COLUMNS
from exptrack.portable import run_copier
from exptrack.portable.foreign import open_source
from exptrack.portable.point_proofs import PointProofs

NAMES = "SELECT s.id, n.name FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric ORDER BY s.id"
SERIES = "SELECT s.*, n.name FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE n.name = ?"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with series of many kinds: two ended runs, and one that a process left running."""
    path = tmp_path_factory.mktemp("sound") / "lab.db"
    with Archive(path) as archive:
        with archive.start_run(name="long") as run:
            for count in (1, 1023, 1024, 1025, 3000):
                run.log_many(f"points{count}", range(count), [math.sin(step) * 10 for step in range(count)])
        with archive.start_run(name="odd") as run:
            steps = [step // 3 for step in range(1500)]
            run.log_many("repeated", steps, [float(step % 7) for step in range(1500)])
            run.log_many("nans", range(40), [math.nan if step % 4 else step / 3 for step in range(40)])
            run.log_many("all_nan", range(3), [math.nan] * 3)
            run.log_many("infinite", range(4), [math.inf, 1.0, -math.inf, 0.0])
            run.log_many("backwards", range(30, -30, -1), [-step / 7 for step in range(60)])
            run.log_many("large", [2**62, 2**40, -(2**50)], [1e300, -1e300, 5e-324])
        run = archive.start_run(name="open")
        run.log_many("live", range(20), [step / 3 for step in range(20)])
        run.flush()
        archive.backup(path.with_name("copy.db"))
        run.complete()
    return path.with_name("copy.db")


def prove(path: Path) -> dict[str, str]:
    """What is wrong with each metric, by its name."""
    with open_source(path) as source, PointProofs(source.connection) as proofs:
        names = dict(source.connection.fold(NAMES, (), list))
        for _ in proofs.prove(names):
            pass
        return {names[series]: problem for series, problem in proofs.problems.items()}


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def of(name: str) -> str:
    """The row id of a series in SQL."""
    named = f"(SELECT id FROM metric_name WHERE name = '{name}')"
    return f"(SELECT id FROM metric_series WHERE metric = {named})"


def test_sound_points_are_proved(sound: Path) -> None:
    with closing(sqlite3.connect(sound)) as connection:
        assert len(connection.execute(NAMES).fetchall()) == 12
    assert prove(sound) == {}


POINT_CHANGES = {
    "step": "UPDATE metric_point SET step = step + 90000 WHERE series = {series} AND step = {step}",
    "seq": "UPDATE metric_point SET seq = 70 WHERE series = {series} AND step = {step} AND seq = 0",
    "time_ms": "UPDATE metric_point SET time_ms = time_ms + 1 WHERE series = {series} AND step = {step}",
    "value": "UPDATE metric_point SET value = 0.25 WHERE series = {series} AND step = {step}",
    "nan": "UPDATE metric_point SET value = NULL WHERE series = {series} AND step = {step}",
    "lost": "DELETE FROM metric_point WHERE series = {series} AND step = {step}",
    "all lost": "DELETE FROM metric_point WHERE series = {series}",
    "more": "INSERT INTO metric_point VALUES ({series}, 50000, 0, 1, 1.0)",
}


@pytest.mark.parametrize("what", POINT_CHANGES)
def test_a_changed_point_is_found(sound: Path, tmp_path: Path, what: str) -> None:
    wanted = {
        "points3000": 1700,
        "points1024": 1023,
        "points1025": 1024,
        "repeated": 0,
        "live": 7,
        "points1": 0,
    }
    copy = tmp_path / "lab.db"
    shutil.copyfile(sound, copy)
    changes = [POINT_CHANGES[what].format(series=of(name), step=step) for name, step in wanted.items()]
    change(copy, *changes)
    problems = prove(copy)
    assert set(problems) == set(wanted)
    assert problems["points3000"] == "the points of the metric 'points3000' do not match their checksum"
    assert problems["live"].startswith("the metric 'live' is damaged: ")


LIES = {
    "count": "count + 1",
    "nan_count": "nan_count + 1",
    "first_step": "first_step + 1",
    "first_value": "first_value + 1",
    "last_step": "last_step - 1",
    "last_value": "last_value - 1",
    "last_time_ms": "last_time_ms + 1",
    "top_step": "top_step + 1",
    "min_step": "min_step + 1",
    "min_value": "min_value - 1",
    "max_step": "max_step - 1",
    "max_value": "max_value + 1",
    "value_sum": "value_sum + 0.001",
}


def recompute(path: Path, name: str, points_sum: int) -> None:
    """Let the sum of a series be right again, as a program does that means harm."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute(SERIES, (name,)).fetchone()
        summary = hash_summary(row["id"], row["run"], name, [row[column] for column in SUMMARY_COLUMNS])
        total = wrap_sum(summary + points_sum)
        connection.execute("UPDATE metric_series SET rows_sum = ? WHERE id = ?", (total, row["id"]))
        connection.commit()


def read_points_sum(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute(SERIES, (name,)).fetchone()
        numbers = [row[column] for column in SUMMARY_COLUMNS]
        return wrap_sum(row["rows_sum"] - hash_summary(row["id"], row["run"], name, numbers))


def test_a_summary_that_lies_is_found_though_its_sum_is_right(sound: Path, tmp_path: Path) -> None:
    assert set(LIES) == set(SUMMARY_COLUMNS)
    names = ("points1023", "points1024", "points1025", "points3000", "live", "points1", "backwards")
    for begin in (0, len(names)):
        copy = tmp_path / f"{begin}.db"
        shutil.copyfile(sound, copy)
        lies = dict(zip(names, list(LIES.items())[begin:], strict=False))
        for name, (column, lie) in lies.items():
            total = read_points_sum(copy, name)
            change(copy, f"UPDATE metric_series SET {column} = {lie} WHERE id = {of(name)}")
            recompute(copy, name, total)
        problems = prove(copy)
        assert set(problems) == set(lies)
        assert not any("checksum" in one for one in problems.values())


def test_checksums_and_sums_that_are_wrong(sound: Path, tmp_path: Path) -> None:
    changes: dict[str, str] = {
        "points3000": f"UPDATE metric_check SET crc = crc + 1 WHERE series = {of('points3000')}",
        "points1025": f"DELETE FROM metric_check WHERE series = {of('points1025')}",
        "points1024": f"INSERT INTO metric_check VALUES ({of('points1024')}, 0, 0, 5)",
        "points1023": f"UPDATE metric_series SET checksum = checksum + 1 WHERE id = {of('points1023')}",
        "live": f"UPDATE metric_series SET rows_sum = rows_sum + 1 WHERE id = {of('live')}",
        "nans": f"UPDATE metric_series SET rows_sum = rows_sum - 1 WHERE id = {of('nans')}",
    }
    copy = tmp_path / "lab.db"
    shutil.copyfile(sound, copy)
    change(copy, *changes.values())
    assert set(prove(copy)) == set(changes)


Rows = list[tuple[object, ...]]


def rebuild_points(path: Path, rows: Callable[[Rows], Rows]) -> None:
    """Write the table of points anew, with columns of any type under the statement of exptrack."""
    columns = "series, step, seq, time_ms, value, PRIMARY KEY (series, step, seq)"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (text,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'metric_point'").fetchone()
        points = connection.execute("SELECT * FROM metric_point").fetchall()
        connection.execute("BEGIN")
        connection.execute("DROP TABLE metric_point")
        connection.execute(f"CREATE TABLE metric_point ({columns}) WITHOUT ROWID")
        connection.executemany("INSERT INTO metric_point VALUES (?, ?, ?, ?, ?)", rows(points))
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'metric_point'", (text,))
        connection.execute("COMMIT")


def test_other_programs_may_write_the_same_points_in_other_ways(sound: Path, tmp_path: Path) -> None:
    """Whole values as floats, points in no order, and the file vacuumed to another page size."""
    copy = tmp_path / "lab.db"
    shutil.copyfile(sound, copy)
    rebuild_points(copy, lambda rows: sorted(rows, key=lambda row: hash(row[1:])))
    assert prove(copy) == {}
    for page_size in (512, 65536):
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute(f"PRAGMA page_size = {page_size}")
            connection.execute("PRAGMA auto_vacuum = FULL")
            connection.execute("VACUUM")
        assert prove(copy) == {}


def test_values_of_a_wrong_type_are_found(sound: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lab.db"
    shutil.copyfile(sound, copy)
    with closing(sqlite3.connect(copy)) as connection:
        (wrong,) = connection.execute(f"SELECT {of('nans')}").fetchone()

    def spoil(rows: Rows) -> Rows:
        return [(*row[:4], "1e9" if row[0] == wrong and row[1] == 2 else row[4]) for row in rows]

    rebuild_points(copy, spoil)
    assert prove(copy) == {
        "nans": "the metric 'nans' is damaged: the time or value of its point at step 2 has no right type"
    }


def test_a_merge_leaves_out_runs_whose_points_are_wrong(sound: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lab.db"
    shutil.copyfile(sound, copy)
    change(copy, POINT_CHANGES["value"].format(series=of("points3000"), step=1700))
    told: list[tuple[str, int, int]] = []
    with Archive(tmp_path / "target.db") as target:
        dry = target.merge(copy, dry_run=True)
        assert target.list_runs() == []
        report = target.merge(copy, progress=lambda *args: told.append(args))
        assert {run.name for run in target.list_runs()} == {"odd", "open"}
        assert target.verify().problems == ()
    (left,) = report.files[0].left_out
    assert left.reason == "the points of the metric 'points3000' do not match their checksum"
    assert dry.files[0].left_out == report.files[0].left_out
    assert told[-1][1:] == (3, 3)


def test_a_damaged_tree_is_an_error_and_says_what_to_do(sound: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lab.db"
    data = bytearray(sound.read_bytes())
    with closing(sqlite3.connect(sound)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'metric_point'"
        ).fetchone()
    begin = (root - 1) * 4096
    child = int.from_bytes(data[begin + 8 : begin + 12], "big")
    leaf = (child - 1) * 4096
    data[leaf + 8 : leaf + 10], data[leaf + 10 : leaf + 12] = (
        data[leaf + 10 : leaf + 12],
        data[leaf + 8 : leaf + 10],
    )
    copy.write_bytes(data)
    with (
        Archive(tmp_path / "target.db") as target,
        pytest.raises(ArchiveCorruptError, match=r"metric_point: .* do not rise; 'exptrack salvage' gets"),
    ):
        target.merge(copy)


def test_runs_that_were_live_together_merge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their series lie between each other, and every batch is one run."""
    monkeypatch.setattr(run_copier, "POINTS_AT_ONCE", 1)
    with Archive(tmp_path / "lab.db") as archive:
        runs = [archive.start_run(name=f"run {number}") for number in range(4)]
        for step in range(30):
            for number, run in enumerate(runs if step % 2 else reversed(runs)):
                run.log({f"metric{step % 5}": number / 3, f"other{number * step % 7}": 0.5}, step)
        for run in runs:
            run.complete()
        with Archive(tmp_path / "target.db") as target:
            report = target.merge(tmp_path / "lab.db")
            assert len(report.files[0].new) == 4
            assert target.verify().problems == ()
            assert target.digest() == archive.digest()
