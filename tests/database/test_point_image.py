"""An image of a table is what SQLite itself would read: every number, and a sound tree."""

from __future__ import annotations

import math
import sqlite3
from array import array
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.database.connection import Connection
from exptrack.database.point_image import (
    CAN_OPEN_IMAGES,
    CELLS_A_PAGE,
    LEAST_POINTS,
    MOST_POINTS,
    MOST_SERIES,
    lay_out,
)
from exptrack.metrics.insertion import TAKE_POINTS, Part

pytestmark = pytest.mark.skipif(not CAN_OPEN_IMAGES, reason="this SQLite opens no bytes as a database")

INTEGERS = [0, 1, -1, 127, 128, 255, 1 << 15, (1 << 53) + 1, -(1 << 53) - 1, 2**63 - 1, -(2**63)]
VALUES = [0.0, 0.1, -0.1, 1.0, 3.0, 1e308, 5e-324, 2.0**53 + 2, math.inf, -math.inf, math.nan]


def part(series: int, count: int) -> Part:
    """Points of many kinds: each number of each list beside each of the others, sooner or later."""
    return Part(
        series,
        array("q", [INTEGERS[place % len(INTEGERS)] for place in range(count)]),
        array("q", [INTEGERS[place // len(INTEGERS) % len(INTEGERS)] for place in range(count)]),
        array("d", [VALUES[place // len(VALUES) ** 2 % len(VALUES)] for place in range(count)]),
    )


def rows(parts: list[Part]) -> list[tuple[int, int, int, int, float | None]]:
    return [
        (one.series, step, 0, time_ms, None if math.isnan(value) else value)
        for one in parts
        for step, time_ms, value in zip(one.steps, one.times_ms, one.values, strict=True)
    ]


@pytest.mark.parametrize(
    "counts",
    [
        (LEAST_POINTS,),
        (1, LEAST_POINTS - 1),
        (CELLS_A_PAGE, CELLS_A_PAGE),
        (CELLS_A_PAGE, CELLS_A_PAGE, 1),
        (1,) * 3000,
        (MOST_POINTS,),
    ],
)
def test_sqlite_reads_an_image_as_it_was_laid_out(counts: tuple[int, ...]) -> None:
    ids = [MOST_SERIES, *range(1, len(counts))]
    parts = [part(series, count) for series, count in zip(ids, counts, strict=True)]
    raw = sqlite3.connect(":memory:")
    raw.execute("PRAGMA cell_size_check = ON")
    raw.execute("ATTACH ':memory:' AS batch")
    raw.deserialize(lay_out(parts), name="batch")
    found = raw.execute("SELECT series, step, seq, time_ms, value FROM batch.point ORDER BY rowid").fetchall()
    assert found == rows(parts)
    kinds = "SELECT DISTINCT typeof(series), typeof(step), typeof(seq), typeof(time_ms) FROM batch.point"
    assert raw.execute(kinds).fetchall() == [("integer",) * 4]
    assert set(raw.execute("SELECT DISTINCT typeof(value) FROM batch.point")) <= {("real",), ("null",)}
    if sum(counts) % CELLS_A_PAGE == 0:  # otherwise the last leaf has room that no list of free bytes tells
        assert raw.execute("PRAGMA batch.integrity_check").fetchall() == [("ok",)]
    raw.close()


def foreign_keys(connection: Connection) -> bool:
    return bool(connection.value("PRAGMA foreign_keys"))


def schemas(connection: Connection) -> list[str]:
    return [row["name"] for row in connection.all("PRAGMA database_list")]


def take(connection: Connection, *, fails: bool) -> None:
    with connection.in_bulk():
        assert not foreign_keys(connection)
        with connection.transaction():
            for series in (1, 2):
                connection.take_image(lay_out([part(series, LEAST_POINTS)]), "SELECT count(*) FROM batch.point")
            if fails:
                connection.take_image(lay_out([part(3, LEAST_POINTS)]), "no statement")


@pytest.mark.parametrize("fails", [False, True])
def test_after_the_block_foreign_keys_are_checked_and_nothing_is_attached(
    archive: Archive, fails: bool
) -> None:
    connection = archive._connection

    def look() -> None:
        for _ in range(2):
            if fails:
                with pytest.raises(sqlite3.OperationalError, match="syntax error"):
                    take(connection, fails=True)
            else:
                take(connection, fails=False)
            assert foreign_keys(connection)
            assert schemas(connection) == ["main"]

    connection.section(look)


def test_a_connection_that_cannot_be_put_right_is_opened_again(archive: Archive) -> None:
    connection = archive._connection

    def look() -> None:
        with pytest.raises(sqlite3.DatabaseError, match="not authorized"), connection.in_bulk():
            with connection.transaction():
                connection.take_image(lay_out([part(1, LEAST_POINTS)]), "SELECT count(*) FROM batch.point")
            raw = connection._handle().raw
            assert raw is not None
            raw.set_authorizer(
                lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_DETACH else sqlite3.SQLITE_OK
            )
        assert foreign_keys(connection)
        assert schemas(connection) == ["main"]

    connection.section(look)


def test_an_image_takes_as_many_bytes_in_the_archive_as_bound_rows(tmp_path: Path) -> None:
    """The numbers are stored as SQLite stores bound ones, not in a longer form."""
    taken, bound = (sqlite3.connect(tmp_path / name, isolation_level=None) for name in ("taken.db", "bound.db"))
    parts = [
        Part(
            series,
            array("q", range(2000)),
            array("q", range(series, 2000 + series)),
            array("d", [place / 8 for place in range(2000)]),
        )
        for series in range(1, 4)
    ]
    for raw in (taken, bound):
        raw.execute(
            "CREATE TABLE metric_point (series INTEGER NOT NULL, step INTEGER NOT NULL, seq INTEGER NOT NULL,"
            " time_ms INTEGER NOT NULL, value REAL, PRIMARY KEY (series, step, seq)) STRICT, WITHOUT ROWID"
        )
    taken.execute("ATTACH ':memory:' AS batch")
    taken.deserialize(lay_out(parts), name="batch")
    taken.execute(TAKE_POINTS)
    bound.execute("BEGIN")
    bound.executemany("INSERT INTO metric_point VALUES (?, ?, ?, ?, ?)", rows(parts))
    bound.execute("COMMIT")
    everything = "SELECT *, typeof(value) FROM metric_point"
    assert taken.execute(everything).fetchall() == bound.execute(everything).fetchall()
    used = "SELECT sum(payload) FROM dbstat WHERE name = 'metric_point'"
    try:
        assert taken.execute(used).fetchall() == bound.execute(used).fetchall()
    except sqlite3.OperationalError:
        pages = "PRAGMA page_count"  # this build has no dbstat
        assert taken.execute(pages).fetchall() == bound.execute(pages).fetchall()
    taken.close()
    bound.close()
