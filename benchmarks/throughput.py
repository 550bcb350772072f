"""How many points a second until they are power-safe in the archive?

    python -m benchmarks.throughput [--points 1000000] [--repeat 3] [--quick]

A run is started, logged to and finished: with 1, 10 and 100 series, by ``log_metric`` and by ``log`` of all
series at once, in turn. Baselines in the same process, raw ``sqlite3`` into the same table: ``executemany`` of
10,000 rows a transaction, first of rows made at once, then of rows that the same loop appends one by one, each
with its time. A process that is killed loses those of the last transaction.

The ratios are medians of those within a round: of the time that passed, and of the time of the processors,
which other work on the machine disturbs less. A short round before the first imports what is imported late.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import exptrack
from benchmarks.timing import arguments, headline, print_table

POINT_TABLE = """
CREATE TABLE metric_point (
    series INTEGER NOT NULL, step INTEGER NOT NULL, seq INTEGER NOT NULL, time_ms INTEGER NOT NULL, value REAL,
    PRIMARY KEY (series, step, seq)
) STRICT, WITHOUT ROWID
"""
BATCH = 10_000
WARMING_POINTS = 20_000  # of one series: it has levels, too
BASELINE = "raw executemany"
IN_LOOP = "raw executemany, in the same loop"


def value_at(step: int, series: int) -> float:
    """Something like a loss."""
    return 1.0 / (1.0 + step * 0.001) + series


def raw(path: str, points: int, series: int) -> float:
    """Seconds for executemany."""
    begin = time.perf_counter()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(POINT_TABLE)
    for first in range(0, points, BATCH):
        rows = [
            (i % series, i // series, 0, i // 1000, value_at(i // series, i % series))
            for i in range(first, min(first + BATCH, points))
        ]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO metric_point VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")
    connection.close()
    return time.perf_counter() - begin


def raw_in_loop(path: str, points: int, series: int) -> float:
    """Seconds for executemany of rows that come one by one, as those of a training do."""
    insert = "INSERT INTO metric_point VALUES (?, ?, ?, ?, ?)"
    begin = time.perf_counter()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(POINT_TABLE)
    rows: list[tuple[int, int, int, int, float]] = []
    for step in range(points // series):
        for number in range(series):
            time_ms = int((time.perf_counter() - begin) * 1e3)
            rows.append((number, step, 0, time_ms, value_at(step, number)))
            if len(rows) == BATCH:
                store(connection, insert, rows)
    store(connection, insert, rows)
    connection.close()
    return time.perf_counter() - begin


def store(connection: sqlite3.Connection, sql: str, rows: list[tuple[int, int, int, int, float]]) -> None:
    """Insert the rows in one transaction, and forget them."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(sql, rows)
    connection.execute("COMMIT")
    rows.clear()


def logged(path: str, points: int, series: int, way: str) -> float:
    """Seconds until the run is completed, and so everything power-safe."""
    names = [f"metric {number}" for number in range(series)]
    with exptrack.Archive(path) as archive:
        begin = time.perf_counter()
        with archive.start_run() as run:
            if way == "log_metric":
                for step in range(points // series):
                    for number, name in enumerate(names):
                        run.log_metric(name, value_at(step, number), step)
            else:
                for step in range(points // series):
                    run.log({name: value_at(step, number) for number, name in enumerate(names)}, step)
        return time.perf_counter() - begin


class Times(NamedTuple):
    """What each round of a way took, in seconds: those that passed, and those of the processors."""

    passed: list[float]
    used: list[float]


def measure(points: int, series: int, repeat: int) -> dict[str, Times]:
    """The times of all ways, measured in turn."""
    ways: dict[str, Callable[[str], float]] = {
        BASELINE: lambda path: raw(path, points, series),
        IN_LOOP: lambda path: raw_in_loop(path, points, series),
        "log_metric": lambda path: logged(path, points, series, "log_metric"),
        "log": lambda path: logged(path, points, series, "log"),
    }
    with tempfile.TemporaryDirectory() as folder:
        logged(str(Path(folder) / "lab.db"), WARMING_POINTS, 1, "log")
    times = {name: Times([], []) for name in ways}
    for _ in range(repeat):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                used = time.process_time()
                times[name].passed.append(way(str(Path(folder) / "lab.db")))
                times[name].used.append(time.process_time() - used)
    return times


def ratio(baseline: list[float], seconds: list[float]) -> float:
    """How many times as fast as the baseline, in the median of the rounds."""
    return statistics.median(one / other for one, other in zip(baseline, seconds, strict=True))


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, points=1_000_000, repeat=3)
    rows: list[tuple[object, ...]] = []
    results = []
    for series in (1, 10, 100):
        points = given.points // series * series
        times = measure(points, series, given.repeat)
        raw_times, loop_times = times[BASELINE], times[IN_LOOP]
        for way, (passed, used) in times.items():
            rows.append(
                (
                    f"{series} series, {way}",
                    points / statistics.median(passed),
                    ratio(raw_times.passed, passed),
                    ratio(loop_times.passed, passed),
                    statistics.median(used) / points * 1e6,
                    ratio(loop_times.used, used),
                )
            )
        both = [
            f"{way} {ratio(raw_times.passed, times[way].passed):.0%} of {BASELINE} (>= 75%),"
            f" {ratio(loop_times.passed, times[way].passed):.0%} of it in the same loop (>= 90%;"
            f" {ratio(loop_times.used, times[way].used):.0%} by processor time)"
            for way in ("log_metric", "log")
        ]
        results.append(f"{series} series: {'; '.join(both)}")
    print(f"{given.points:,} points, {given.repeat} times each in turn")
    header = ("", "points/s", f"x {BASELINE}", "x in loop", "processor µs a point", "x in loop by it")
    print_table(header, rows)
    for result in results:
        headline(result)


if __name__ == "__main__":
    main()
