"""The points of a file read from its pages: what SQLite reads, or an error."""

from __future__ import annotations

import math
import random
import sqlite3
import struct
from collections.abc import Iterable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exptrack.database.point_pages import Block, PageError, PointPages, find_page_problem
from tests.effort import tries

Point = tuple[int, int, int, int, float | None]

TABLE = """
CREATE TABLE metric_point (
    series INTEGER NOT NULL, step INTEGER NOT NULL, seq INTEGER NOT NULL, time_ms INTEGER NOT NULL, value REAL,
    PRIMARY KEY (series, step, seq)
) STRICT, WITHOUT ROWID
"""
LOOSE_TABLE = TABLE.replace("INTEGER NOT NULL", "").replace("STRICT, ", "").replace("value REAL", "value")
INSERT = "INSERT INTO metric_point VALUES (?, ?, ?, ?, ?)"
ROOT = "SELECT rootpage FROM sqlite_schema WHERE name = 'metric_point'"
ALL = "SELECT series, step, seq, time_ms, value FROM metric_point ORDER BY series, step, seq"
WIDE = (0, 1, -1, 127, -128, 300, 40_000, -9_000_000, 2**31, -(2**40), 2**47, 2**63 - 1, -(2**63))
VALUES = (0.0, -0.0, 1.0, 0.1, -2.5, math.inf, -math.inf, None, 7.0, 1e300, -5e-324, 2.0**52, 3e9, 1.7e308)


def make(path: Path, points: Iterable[Iterable[object]], *pragmas: str, table: str = TABLE) -> int:
    """Write a file with these points; return the first page of their table."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(table)
        connection.execute("BEGIN")
        connection.executemany(INSERT, points)
        connection.execute("COMMIT")
        return int(connection.execute(ROOT).fetchone()[0])


def read_pages(path: Path, root: int) -> tuple[list[Point], dict[int, str]]:
    """All points by their pages, and the problems of series."""
    with PointPages(path, root) as pages:
        blocks = list(pages.read())
        for block, other in pairwise(blocks):
            assert other.series > block.series or len(block.steps) == 8 * 1024
        return [point for block in blocks for point in unpack(block)], pages.problems


def unpack(block: Block) -> Iterable[Point]:
    count = len(block.steps) // 8
    columns = [struct.unpack(f"<{count}{kind}", column) for kind, column in zip("qqqd", block[1:], strict=True)]
    for step, seq, time_ms, value in zip(*columns, strict=True):
        yield (block.series, step, seq, time_ms, None if math.isnan(value) else value)


def read_rows(path: Path) -> list[Point]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(ALL).fetchall()


def odd_points(count: int) -> list[Point]:
    """Points of all widths and kinds, in no order."""
    chance = random.Random(count)
    found: dict[tuple[int, int, int], Point] = {}
    for _ in range(count):
        key = (chance.choice((1, 2, 3, 300, 2**40)), chance.choice(WIDE), chance.choice((0, 0, 1, 2, 500)))
        found[key] = (*key, chance.choice(WIDE), chance.choice(VALUES))
    for series in (5, 6):
        for step in range(1500):
            found[series, step, 0] = (series, step, 0, step * 37, chance.choice((step / 7, step, None)))
    points = list(found.values())
    chance.shuffle(points)
    return points


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
@pytest.mark.parametrize("pragma", ["auto_vacuum = NONE", "auto_vacuum = FULL"])
def test_pages_say_what_sqlite_says(tmp_path: Path, page_size: int, pragma: str) -> None:
    path = tmp_path / "odd.db"
    root = make(path, odd_points(400), f"page_size = {page_size}", pragma)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM metric_point WHERE step % 5 = 0")
        connection.executemany(INSERT, [(5, step, 9, 0, 0.5) for step in range(0, 300, 3)])
        connection.commit()
    points, problems = read_pages(path, root)
    rows = read_rows(path)
    assert points == rows
    assert [str(point[4]) for point in points] == [str(row[4]) for row in rows]  # -0.0 equals 0.0
    assert problems == {}
    assert find_page_problem(path, root) is None


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 2048, 5000])
def test_a_series_comes_in_blocks(tmp_path: Path, count: int) -> None:
    path = tmp_path / "one.db"
    points = [(7, step, 0, step, step / 3) for step in range(count)] + [(8, 1, 0, 0, 1.0)]
    root = make(path, points)
    with PointPages(path, root) as pages:
        blocks = list(pages.read())
    assert [point for block in blocks for point in unpack(block)] == points
    sizes = [len(block.steps) // 8 for block in blocks if block.series == 7]
    assert sizes == [1024] * (count // 1024) + [count % 1024] * (count % 1024 > 0)


@pytest.mark.parametrize(
    ("point", "is_damage"),
    [
        ((1, 5, 0, 3, "text"), False),
        ((1, 5, 0, 3, b"x" * 10_000), False),
        ((1, 5, 0, 3, "x" * 40), False),
        ((1, 5, 0, None, 1.0), False),
        ((1, 5, 0, 2.5, 1.0), False),
        ((1, 5, 0, "3", 1.0), False),
        ((1, "5", 0, 3, 1.0), True),
        ((1, 5.5, 0, 3, 1.0), True),
        (("x" * 9000, 5, 0, 3, 1.0), True),
    ],
)
def test_a_value_of_a_wrong_type(tmp_path: Path, point: tuple[object, ...], is_damage: bool) -> None:
    """It is a problem of its series if the key can be read; else nothing tells where SQLite would look."""
    path = tmp_path / "wrong.db"
    sound: list[tuple[object, ...]] = [(series, step, 0, 1, 0.5) for series in (1, 2) for step in range(400)]
    sound = [one for one in sound if one[:3] != point[:3]]
    root = make(path, [*sound, point], table=LOOSE_TABLE)
    if is_damage:
        with pytest.raises(PageError):
            read_pages(path, root)
        return
    points, problems = read_pages(path, root)
    assert list(problems) == [1]
    assert "at step 5 has no right type" in problems[1]
    assert [one for one in points if one[0] == 2] == [one for one in sound if one[0] == 2]


def test_a_damaged_byte_is_an_error_or_changes_nothing(tmp_path: Path) -> None:
    """Whatever byte is another one: what the pages say is what SQLite says, unless an error was raised."""
    path, other = tmp_path / "sound.db", tmp_path / "damaged.db"
    points = [(1 + step % 3, step, 0, step * 50, step / 4 if step % 9 else None) for step in range(150)]
    root = make(path, points, "page_size = 512", "auto_vacuum = NONE")
    data = path.read_bytes()
    chance = random.Random(5)
    told = same = 0
    for place in range((root - 1) * 512 + chance.randrange(7), len(data), 7):
        damaged = bytearray(data)
        damaged[place] ^= chance.choice((1, 2, 4, 8, 16, 32, 64, 128, 255))
        other.write_bytes(damaged)
        try:
            found, problems = read_pages(other, root)
        except PageError:
            told += 1
            continue
        if find_page_problem(other, root) is not None:
            told += 1
            continue
        try:
            rows = read_rows(other)
        except sqlite3.DatabaseError:
            told += 1  # the copy would be refused as it is made
            continue
        same += 1
        assert [one for one in found if one[0] not in problems] == [
            one for one in rows if one[0] not in problems
        ]
    assert told > 40
    assert same > 40


def test_a_key_of_null_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "null.db"
    root = make(path, [(1, 5, -77, 3, 0.5)])
    data, cell = path.read_bytes(), bytes((17, 6, 9, 1, 1, 1, 7, 5, 256 - 77, 3))
    assert data.count(cell) == 1
    path.write_bytes(data.replace(cell, cell[:4] + b"\0" + cell[5:]))
    with pytest.raises(PageError, match="has no key"):
        read_pages(path, root)


def pages_of(path: Path, page_bytes: int = 4096) -> list[bytearray]:
    data = path.read_bytes()
    return [bytearray(data[at : at + page_bytes]) for at in range(0, len(data), page_bytes)]


def rewrite(path: Path, pages: list[bytearray]) -> None:
    path.write_bytes(b"".join(pages))


def cell_pointers(page: bytearray, begin: int) -> list[int]:
    count = int.from_bytes(page[3:5], "big")
    return list(struct.unpack_from(f">{count}H", page, begin))


def test_pages_made_to_harm(tmp_path: Path) -> None:
    path = tmp_path / "harm.db"
    root = make(path, [(1, step, 0, step, step / 3) for step in range(4000)])
    sound = pages_of(path)

    def problem(change: str, leaves_only: bool = False) -> str:
        pages = [bytearray(page) for page in sound]
        inner = pages[root - 1]
        assert inner[0] == 2
        first, second = cell_pointers(inner, 12)[:2]
        leaf = pages[int.from_bytes(inner[first : first + 4], "big") - 1]
        if change == "cycle":
            inner[first : first + 4] = root.to_bytes(4, "big")
        elif change == "diamond":
            inner[first : first + 4] = inner[second : second + 4]
        elif change == "beyond":
            inner[8:12] = (2**31).to_bytes(4, "big")
        elif change == "first page":
            inner[8:12] = (1).to_bytes(4, "big")
        elif change == "kind":
            leaf[0] = 13
        elif change == "no cells":
            inner[3:5] = b"\0\0"
        elif change == "many cells":
            inner[3:5] = b"\xff\xff"
        elif change == "many leaf cells":
            leaf[3:5] = b"\xff\xff"
        elif change == "empty leaf":
            leaf[3:5] = b"\0\0"
        elif change == "inner order":
            inner[12:14], inner[14:16] = inner[14:16], inner[12:14]
        elif change == "leaf order":
            leaf[8:10], leaf[10:12] = leaf[10:12], leaf[8:10]
        elif change == "same cell":
            leaf[8:10] = leaf[10:12]
        elif change == "header":
            leaf[8:10] = b"\0\x02"
        elif change == "end":
            leaf[8:10] = b"\x0f\xfe"
        elif change == "overlap":
            at = int.from_bytes(leaf[8:10], "big")
            leaf[at + 1 :][:1] = b"\x06"
            leaf[10:12] = (at - 3).to_bytes(2, "big")
        rewrite(path, pages)
        if leaves_only:
            assert find_page_problem(path, root) is None
        else:
            assert find_page_problem(path, root) is not None
        with pytest.raises(PageError) as caught:
            read_pages(path, root)
        return str(caught.value)

    assert problem("cycle").endswith("is used twice")
    assert problem("diamond").endswith("is used twice")
    assert problem("beyond").endswith("is not there")
    assert problem("first page") == "page 1 is not there"
    assert problem("kind").endswith("is of no known kind")
    assert "has no cells" in problem("no cells")
    assert "more cells than room" in problem("many cells")
    assert "more cells than room" in problem("many leaf cells", leaves_only=True)
    assert problem("empty leaf", leaves_only=True).endswith("is empty")
    assert "do not rise" in problem("inner order")
    assert "do not rise" in problem("leaf order", leaves_only=True)
    assert "share bytes" in problem("same cell", leaves_only=True)
    assert "lies outside it" in problem("header", leaves_only=True)
    assert problem("end", leaves_only=True)
    assert problem("overlap", leaves_only=True)
    rewrite(path, sound[:-1])
    with pytest.raises(PageError, match="is not there"):
        read_pages(path, root)


def test_a_forged_page_behind_a_series_is_found_before_the_series_is_told(tmp_path: Path) -> None:
    """A search for a series must not be led to points that the walk has not reached yet."""
    path = tmp_path / "forged.db"
    root = make(path, [(series, step, 0, 0, 0.5) for series in (1, 2, 3) for step in range(100)])
    pages = pages_of(path)
    forged, found = bytes((3, 2, 63, 224, 0)), 0  # series 3, step 2, value 0.5
    for page in pages[root - 1 :]:
        if forged in page:
            page[page.index(forged)] = 1
            found += 1
    assert found == 1
    rewrite(path, pages)
    with PointPages(path, root) as reader, pytest.raises(PageError, match="series do not rise"):
        next(iter(reader.read()))


# In whatever order SQLite wrote them

# At and around the edges of the widths that SQLite stores integers in.
EDGES = [
    sign * (1 << bits) + more for bits in (0, 7, 15, 23, 31, 47, 62) for sign in (-1, 1) for more in (-1, 0)
]
WHOLE = st.one_of(st.integers(0, 5), st.sampled_from([*EDGES, -(2**63), 2**63 - 1]))
ANY_VALUES = st.one_of(
    st.none(), st.integers(-3, 3).map(float), st.sampled_from(EDGES).map(float), st.floats(allow_nan=False)
)
POINTS = st.dictionaries(
    st.tuples(st.integers(1, 3), WHOLE, st.integers(0, 2)),
    st.tuples(st.just(0) | WHOLE, ANY_VALUES),
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


@settings(max_examples=tries(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
