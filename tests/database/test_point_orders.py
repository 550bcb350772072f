"""The pages of points, read without SQLite, hold what SQLite finds in them, in whatever order it wrote them."""

from __future__ import annotations

import math
import random
import sqlite3
import struct
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exptrack.database.point_pages import PointPages

TABLE = """
CREATE TABLE metric_point (
    series INTEGER NOT NULL, step INTEGER NOT NULL, seq INTEGER NOT NULL, time_ms INTEGER NOT NULL, value REAL,
    PRIMARY KEY (series, step, seq)
) STRICT, WITHOUT ROWID
"""
# At and around the edges of the widths that SQLite stores integers in.
EDGES = [
    sign * (1 << bits) + more for bits in (0, 7, 15, 23, 31, 47, 62) for sign in (-1, 1) for more in (-1, 0)
]
WHOLE = st.one_of(st.integers(0, 5), st.sampled_from([*EDGES, -(2**63), 2**63 - 1]))
VALUES = st.one_of(
    st.none(), st.integers(-3, 3).map(float), st.sampled_from(EDGES).map(float), st.floats(allow_nan=False)
)
POINTS = st.dictionaries(
    st.tuples(st.integers(1, 3), WHOLE, st.integers(0, 2)),
    st.tuples(st.just(0) | WHOLE, VALUES),
    min_size=1,
    max_size=40,
)


def check(path: Path, rows: list[tuple[int, int, int, int, float | None]], moved: int = 0) -> None:
    """Insert rows in this order, delete so many of them, insert those again, and read the pages."""
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute(TABLE)
    connection.executemany("INSERT INTO metric_point VALUES (?, ?, ?, ?, ?)", rows)
    connection.executemany(
        "DELETE FROM metric_point WHERE series = ? AND step = ? AND seq = ?", [row[:3] for row in rows[:moved]]
    )
    connection.executemany("INSERT INTO metric_point VALUES (?, ?, ?, ?, ?)", rows[:moved])
    connection.commit()
    (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'metric_point'").fetchone()
    wanted = connection.execute("SELECT * FROM metric_point ORDER BY series, step, seq").fetchall()
    connection.close()
    found = []
    with PointPages(path, root) as pages:
        for block in pages.read():
            columns = [struct.unpack(f"<{len(one) // 8}q", one) for one in block[1:4]]
            values = struct.unpack(f"<{len(block.values) // 8}d", block.values)
            found += [
                (block.series, *rest, None if math.isnan(value) else value)
                for *rest, value in zip(*columns, values, strict=True)
            ]
        assert pages.problems == {}
    assert found == wanted


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(POINTS, st.randoms(use_true_random=False))
def test_a_few_points_in_any_order(
    tmp_path: Path, points: dict[tuple[int, int, int], tuple[int, float | None]], chance: random.Random
) -> None:
    rows = [(*key, *rest) for key, rest in points.items()]
    chance.shuffle(rows)
    check(tmp_path / "points.db", rows, chance.choice((0, 0, len(rows) // 3)))


def test_a_short_cell_where_a_longer_one_would_begin(tmp_path: Path) -> None:
    rows = [(1, 0, 0, 0, 0.5), (1, 1, 0, 0, 0.25), (1, 0, 1, 0, None), (1, 5, 0, 0, 0.0), (1, 5, 1, 0, 3.0)]
    check(tmp_path / "points.db", rows)


def test_many_pages(tmp_path: Path) -> None:
    chance = random.Random(1)
    rows: list[tuple[int, int, int, int, float | None]] = [
        (
            series,
            step,
            seq,
            chance.choice((step, step * 1000)),
            chance.choice((chance.random(), 1.0, 2.0, None)),
        )
        for series in range(1, 6)
        for step in range(-300, 3000)
        for seq in range(1 + (step % 50 == 0))
    ]
    check(tmp_path / "points.db", rows)
    chance.shuffle(rows)
    check(tmp_path / "points.db", rows, len(rows) // 5)
