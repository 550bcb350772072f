"""How many points a second until they are power-safe in the archive?

    python -m benchmarks.throughput [--points 1000000] [--repeat 3] [--quick]

A run is started, logged to and finished: with 10 and with 100 series, by ``log_metric`` and by ``log`` of all
series at once, in turn. Baseline in the same process: raw ``sqlite3``, ``executemany`` of 10,000 rows a
transaction into the same table.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import exptrack
from benchmarks.timing import arguments, headline, print_table

POINT_TABLE = """
CREATE TABLE metric_point (
    series INTEGER NOT NULL, step INTEGER NOT NULL, seq INTEGER NOT NULL, time_ms INTEGER NOT NULL, value REAL,
    PRIMARY KEY (series, step, seq)
) STRICT, WITHOUT ROWID
"""
BATCH = 10_000
BASELINE = "raw executemany"


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


def measure(points: int, series: int, repeat: int) -> dict[str, float]:
    """Points a second of all ways, medians, measured in turn."""
    times: dict[str, list[float]] = {BASELINE: [], "log_metric": [], "log": []}
    for _ in range(repeat):
        for way, seconds in times.items():
            with tempfile.TemporaryDirectory() as folder:
                path = str(Path(folder) / "lab.db")
                if way == BASELINE:
                    seconds.append(raw(path, points, series))
                else:
                    seconds.append(logged(path, points, series, way))
    return {way: points / statistics.median(seconds) for way, seconds in times.items()}


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, points=1_000_000, repeat=3)
    rows: list[tuple[object, ...]] = []
    results = []
    for series in (10, 100):
        rates = measure(given.points // series * series, series, given.repeat)
        rows += [(f"{series} series, {way}", rate, rate / rates[BASELINE]) for way, rate in rates.items()]
        results.append(
            f"{series} series: log_metric {rates['log_metric'] / rates[BASELINE]:.0%},"
            f" log {rates['log'] / rates[BASELINE]:.0%} of {BASELINE} at {rates[BASELINE]:,.0f} points/s"
            " (>= 75%)"
        )
    print(f"{given.points:,} points, {given.repeat} times each in turn")
    print_table(("", "points/s", f"x {BASELINE}"), rows)
    for result in results:
        headline(result)


if __name__ == "__main__":
    main()
