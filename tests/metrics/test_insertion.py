"""Large drains store the same points as small ones, whichever way they are inserted."""

from __future__ import annotations

import math
import struct
from itertools import cycle, islice
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.database import point_image
from exptrack.database.connection import Connection

# Kinds of numbers that are logged, and the floats that come back.
LOGGED: list[tuple[object, float]] = [
    (math.nan, math.nan),
    (-math.nan, math.nan),
    (math.inf, math.inf),
    (-math.inf, -math.inf),
    (-0.0, 0.0),
    (0, 0.0),
    (0.1, 0.1),
    (5e-324, 5e-324),
    (3, 3.0),
    (3.0, 3.0),
    (True, 1.0),
    (2**53 + 1, 2.0**53),
    (2**53 + 3, 2.0**53 + 4),
    (-(2**63), -(2.0**63)),
    (1e308, 1e308),
]
NAMES = [f"metric {number}" for number in range(7)]
FIRST_STEPS = [0, -5, 127, 128, 2**31 - 3, 2**53 - 1, -(2**63), 2**63 - 4000]


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


@pytest.fixture(params=["image", "bound"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "bound":
        monkeypatch.setattr(point_image, "CAN_OPEN_IMAGES", False)
    elif not point_image.CAN_OPEN_IMAGES:
        pytest.skip("this SQLite opens no bytes as a database")
    return str(request.param)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("first", FIRST_STEPS)
def test_a_large_drain_keeps_every_kind_of_number(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, way: str, first: int
) -> None:
    taken: list[str] = []
    take_image = Connection.take_image
    monkeypatch.setattr(
        Connection, "take_image", lambda self, image, sql: (taken.append(sql), take_image(self, image, sql))
    )
    run = archive.start_run()
    numbers = cycle(LOGGED)
    expected: dict[str, list[float]] = {name: [] for name in NAMES}
    for step in range(first, first + 600):
        chosen = list(islice(numbers, len(NAMES)))
        run.log(dict(zip(NAMES, (value for value, _ in chosen), strict=True)), step)
        for name, (_, value) in zip(NAMES, chosen, strict=True):
            expected[name].append(value)
    run.flush()
    assert len(taken) == (way == "image")
    for name in NAMES:
        found = run.get_metric(name)
        assert [point.step for point in found] == list(range(first, first + 600))
        assert [bits(point.value) for point in found] == [bits(value) for value in expected[name]]
    run.complete()
    assert archive.verify().problems == ()


@pytest.mark.usefixtures("quiet", "way")
def test_repeated_steps_among_many_points_are_counted(archive: Archive) -> None:
    run = archive.start_run()
    for step in range(2000):
        run.log({"rising": step / 3, "repeated": step / 7}, step)
        run.log_metric("repeated", -1.0, step)
        run.log_metric("back", 0.5, -step)
    run.flush()
    for step in range(2000):
        run.log({"rising": 1.0, "repeated": 2.0}, 1000 + step)
    run.complete()
    assert len(run.get_metric("rising")) == len(run.get_metric("back")) + 2000 == 4000
    repeated = [(point.step, point.value) for point in run.get_metric("repeated")]
    assert repeated[:4] == [(0, 0.0), (0, -1.0), (1, 1 / 7), (1, -1.0)]
    assert repeated[2000:2003] == [(1000, 1000 / 7), (1000, -1.0), (1000, 2.0)]
    assert archive.verify().problems == ()


@pytest.mark.usefixtures("quiet", "way")
def test_points_of_a_deleted_run_are_dropped_and_those_of_others_kept(archive: Archive) -> None:
    """A large drain checks no foreign key, and stores nothing for a run that is gone."""
    kept, deleted = archive.start_run(), archive.start_run()
    for step in range(2000):
        kept.log_metric("loss", 0.5, step)
        deleted.log_metric("loss", 0.5, step)
    with Archive(archive.path) as other:
        sql = "DELETE FROM run WHERE run_id = ?"
        other._connection.section(lambda: delete(other._connection, sql, deleted.run_id))
    kept.flush()
    assert len(kept.get_metric("loss")) == 2000
    assert archive.sql("SELECT count(*) FROM metric_point").rows == ((2000,),)
    assert archive._connection.all("PRAGMA foreign_key_check") == []
    kept.complete()


def delete(connection: Connection, sql: str, *values: str) -> None:
    with connection.transaction():
        connection.execute(sql, values)


@pytest.mark.usefixtures("way")
def test_a_series_that_another_process_removed_is_begun_again(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, Archive(archive.path) as other:
        run = archive.start_run()
        run.log_metric("loss", 0.5)
        run.flush()
        other._connection.section(lambda: delete(other._connection, "DELETE FROM metric_series"))
        for step in range(1, 3001):
            run.log_metric("loss", 0.25, step)
        run.flush()
        assert len(run.get_metric("loss")) == 3000
        assert archive._connection.all("PRAGMA foreign_key_check") == []


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("count", [1, 2, 3, 5, 100, 1023])
def test_rows_that_fill_up_a_statement_are_not_inserted(archive: Archive, count: int) -> None:
    with archive.start_run() as run:
        for step in range(count):
            run.log_metric("loss", step / 2, step)
    total = count * (count - 1) // 2
    points = archive._connection.all(
        "SELECT count(*), min(series) > 0, sum(step), sum(value) FROM metric_point"
    )
    assert [tuple(row) for row in points] == [(count, 1, total, total / 2)]
    assert [tuple(row) for row in archive._connection.all("SELECT count FROM metric_series")] == [(count,)]
    assert archive.verify().ok
