"""Verification finds every kind of damage, and says in which part."""

from __future__ import annotations

import math
import os
import random
import sqlite3
from pathlib import Path

import optuna
import pytest
from optuna.trial import create_trial

import exptrack
from exptrack import Archive, Problem
from exptrack.database.connection import Connection
from exptrack.portable import quick_points, verification
from exptrack.portable.findings import PointsMeter
from exptrack.portable.verification import prove
from tests.changes import changing


def test_damage_is_reported_and_never_handed_out(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run({"lr": 0.1}) as run:
        run.log({"x": 1.0})
        run.artifacts.register_data("words", "to be or not to be " * 1000)
    changes = {
        "blob": "UPDATE chunk_data SET data = zeroblob(length(data))",
        "metric": "UPDATE metric_point SET value = 2.0",
        "config": "UPDATE config_value SET num = 0.2",
        "event": "UPDATE event SET data = '{}' WHERE kind = 'end'",
        "run": "UPDATE run SET name = 'other'",
        "summary": "UPDATE metric_series SET max_value = 5.0",
    }
    for part, change in changes.items():
        copy = tmp_path / f"{part}.db"
        copy.write_bytes(path.read_bytes())
        connection = sqlite3.connect(copy)
        connection.execute(change)
        connection.commit()
        connection.close()
        with Archive(copy) as archive:
            assert not archive.verify().ok, part
            if part == "blob":
                with pytest.raises(exptrack.ArchiveCorruptError, match="artifact 'words' version 1"):
                    archive.artifacts(run.run_id).get_blob("words")
    with Archive(path) as archive:
        assert archive.verify().ok


@pytest.mark.parametrize(
    "change",
    [
        "first_step = 7",
        "last_value = 7",
        "last_time_ms = 7777777",
        "min_step = 7",
        "max_step = 7",
        "value_sum = 7",
    ],
)
def test_verify_recomputes_the_summaries(archive: Archive, change: str) -> None:
    run = archive.start_run()
    run.log_many("x", [0, 1, 2], [3.0, 1.0, 2.0])
    run.flush()
    with changing(archive._connection):
        (before,) = archive._connection.all(f"SELECT {change.split()[0]} FROM metric_series")
        archive._connection.execute(f"UPDATE metric_series SET {change}")
    assert {problem.part for problem in archive.verify().problems} == {"metric"}
    with changing(archive._connection):
        archive._connection.execute(f"UPDATE metric_series SET {change.split()[0]} = ?", tuple(before))
    run.complete()


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        ("DELETE FROM trial WHERE number = 1", "checked", "has 2 trials, the last one number 2"),
        ("DELETE FROM trial_value WHERE trial = 1", "checked #0", "has 0 values for 1 objectives"),
        ("UPDATE trial_value SET position = 1 WHERE trial = 1", "checked #0", "has 0 values for 1 objectives"),
        ("UPDATE trial SET ended_at = NULL WHERE number = 0", "checked #0", "is complete without an end"),
        ("UPDATE trial SET state = 'running' WHERE number = 2", "checked #2", "is running with an end"),
    ],
)
def test_verification_finds_what_is_wrong_with_a_study(
    tmp_path: Path, change: str, where: str, what: str
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        study = optuna.create_study(storage=archive.optuna_storage(), study_name="checked")
        study.add_trials([create_trial(value=value) for value in range(3)])
        assert archive.verify().ok
    connection = sqlite3.connect(tmp_path / "lab.db")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(change)
    connection.commit()
    connection.close()
    with Archive(tmp_path / "lab.db") as archive:
        assert Problem("study", where, what) in archive.verify().problems


def test_a_changed_view_of_the_user_is_told_and_a_strangers_is_let_be(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        with archive.start_run({"lr": 0.1, "seed": 1}):
            pass
        archive.create_view("mine", ["config.lr"])
        assert archive.verify().ok
    connection = sqlite3.connect(tmp_path / "lab.db")
    connection.execute("CREATE VIEW theirs AS SELECT 1 AS one")
    connection.commit()
    with Archive(tmp_path / "lab.db") as archive:
        assert archive.verify().ok
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_schema SET sql = replace(sql, 'key = 1', 'key = 2') WHERE name = 'mine'")
    connection.commit()
    connection.close()
    with Archive(tmp_path / "lab.db") as archive:
        assert Problem("schema", "mine", "the text of this view does not match its checksum") in (
            archive.verify().problems
        )


def test_the_structure_of_a_large_file_is_checked_beside_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "PAGES_FOR_A_THREAD", 1)
    with Archive(tmp_path / "lab.db") as archive:
        with archive.start_run(name="first") as run:
            run.log_many("x", range(3000), [0.5] * 3000)
        assert archive.verify().ok
        with pytest.raises(ZeroDivisionError):
            archive.verify(lambda _part, done, _total: print(1 // (done - done)))
        with pytest.raises(exptrack.QueryStoppedError), exptrack.TimeLimit(1e-9):
            archive.verify()
    connection = sqlite3.connect(tmp_path / "lab.db")
    (index,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'run_by_name'").fetchone()
    connection.close()
    with open(tmp_path / "lab.db", "r+b") as file:
        file.seek((index - 1) * 4096)
        page = file.read(4096)
        file.seek((index - 1) * 4096)
        file.write(page.replace(b"first", b"worse"))
    with Archive(tmp_path / "lab.db", mode="ro") as archive:
        assert [problem.part for problem in archive.verify().problems] == ["structure"]


def test_points_of_every_shape_are_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeated and falling steps, NaN, infinities, sums that rounding moves, more points than a block."""
    archive = Archive(tmp_path / "lab.db")
    chance = random.Random(3)
    values = [chance.gauss(0, 1) * 10 ** chance.randrange(-9, 9) for _ in range(3000)]
    with archive.start_run() as run:
        run.log_many("wide", range(3000), values)
        run.log_many("cancels", range(3000), [one for value in values[:1500] for one in (value, -value)])
        run.log_many("repeats", [step // 3 for step in range(3000)], values)
        run.log_many("falls", range(3000, 0, -1), values)
        run.log_many("same", [7] * 2500, values[:2500])
        run.log_many("nan", range(1100), [math.nan] * 1100)
        run.log_many("some nan", range(3000), [math.nan if one < 0 else one for one in values])
        run.log_many("infinite", range(3), [math.inf, -math.inf, 1.0])
        run.log_many("large", range(4), [1.7e308, 1.7e308, -1.7e308, 2.0**62])
        run.log_many("far", [-(2**63), 0, 2**62], [0.0, -0.0, 5e-324])
    assert archive.verify().problems == ()
    assert archive.verify().points == 5 * 3000 + 2500 + 1100 + 3 + 4 + 3
    archive.close()
    with Archive(tmp_path / "lab.db", mode="ro") as reader:
        connection = reader._connection
        by_pages = prove(connection, sealing=True)
        # Without bytes in its WAL, all of the file can be read from its pages.
        assert len(connection.reading(lambda: find_sound(connection))) == (10 if hasattr(os, "pread") else 0)
        monkeypatch.setattr(quick_points, "FEW_POINTS", 10**9)
        assert connection.reading(lambda: find_sound(connection)) == {}
        assert prove(connection, sealing=True) == by_pages
        assert by_pages.report.ok


def find_sound(connection: Connection) -> dict[int, str]:
    assert connection.value("SELECT count(*) FROM run") == 1
    meter = PointsMeter(lambda _part, _done, _total: None, 0)
    return quick_points.find_sound_series(connection, 20_000, meter, hashing=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE metric_point SET step = 9 WHERE step = 8", "its points do not match their checksum"),
        ("UPDATE metric_point SET seq = 9 WHERE step = 8", "its points do not match their checksum"),
        ("UPDATE metric_point SET value = NULL WHERE step = 5", "nan_count is 0, but its points give 1"),
        ("UPDATE metric_point SET value = -7.0 WHERE step = 5", "min_value is 0.0, but its points give -7.0"),
        ("DELETE FROM metric_point WHERE step = 7", "top_step is 7, but its points give 6"),
        (
            "UPDATE metric_point SET time_ms = time_ms + 5 WHERE step = 7",
            "has a last point that was not logged",
        ),
        ("UPDATE metric_series SET value_sum = value_sum + 1e-6", "value_sum is"),
        ("INSERT INTO metric_check VALUES (1, 0, 0, 7)", "do not match the checksums of their blocks"),
        ("UPDATE metric_name SET id = 99", "the name of its metric is missing"),
    ],
)
def test_what_is_wrong_with_a_series_is_named(
    tmp_path: Path, change: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_points, "FEW_POINTS", 0)
    with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
        steps = [0, 1, 8] if "= 9" in change else list(range(8))
        run.log_many("x", steps, list(map(float, range(len(steps)))))
    connection = sqlite3.connect(tmp_path / "lab.db")
    connection.execute(change)
    connection.commit()
    connection.close()
    with Archive(tmp_path / "lab.db", mode="ro") as archive:
        problems = archive.verify().problems
    assert any(message in problem.message for problem in problems), problems
