"""How many points a second until they are safe in the archive, at how many bytes, in how much memory?

    python -m benchmarks.throughput [--points 1000000] [--repeat 3] [--processes 16] [--flat 0]

Log and finish against raw ``sqlite3`` in the same process: ``executemany`` of 10,000 rows a transaction into
the same table, for 10 and for 100 series, by ``log_metric`` and by ``log`` of all series at once, in turn. Then
processes that log at once into one archive beside a reader. ``--flat 50000000`` logs so many points and shows
the peak of memory on the way.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import exptrack

POINT_TABLE = """
CREATE TABLE metric_point (
    series INTEGER NOT NULL, step INTEGER NOT NULL, seq INTEGER NOT NULL, time_ms INTEGER NOT NULL, value REAL,
    PRIMARY KEY (series, step, seq)
) STRICT, WITHOUT ROWID
"""
BATCH = 10_000


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


def compare(points: int, series: int, repeat: int) -> None:
    """Print the medians of all ways, measured in turn."""
    times: dict[str, list[float]] = {"raw executemany": [], "log_metric": [], "log": []}
    sizes: dict[str, float] = {}
    for _ in range(repeat):
        for way, seconds in times.items():
            with tempfile.TemporaryDirectory() as folder:
                path = str(Path(folder) / "lab.db")
                if way == "raw executemany":
                    seconds.append(raw(path, points, series))
                else:
                    seconds.append(logged(path, points, series, way))
                sizes[way] = os.stat(path).st_size / points
    ratios = [statistics.median(times["raw executemany"]) / statistics.median(times[way]) for way in times]
    for (way, seconds), ratio in zip(times.items(), ratios, strict=True):
        rate, size = points / statistics.median(seconds), sizes[way]
        print(f"{series:4} series  {way:16} {rate:12,.0f} points/s  {ratio:5.0%} of raw  {size:5.1f} B/point")


def log_beside_others(path: str, points: int, answers: Any) -> None:
    """One of the processes: the longest any call took is its answer."""
    worst = 0.0
    with exptrack.Archive(path) as archive, archive.start_run(group="many") as run:
        for step in range(points):
            begin = time.perf_counter()
            run.log_metric("loss", 0.5, step)
            worst = max(worst, time.perf_counter() - begin)
    answers.put(worst)


def together(processes: int, points: int) -> None:
    """All at once, with a reader; nothing may be lost, nobody may fail."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "lab.db")
        exptrack.Archive(path).close()
        begin = time.perf_counter()
        log_beside_others(path, points, context.SimpleQueue())
        alone = points / (time.perf_counter() - begin)
        answers = context.Queue()
        workers = [
            context.Process(target=log_beside_others, args=(path, points, answers)) for _ in range(processes)
        ]
        begin = time.perf_counter()
        for worker in workers:
            worker.start()
        reads = 0
        with exptrack.Archive(path, mode="ro") as archive:
            while any(worker.is_alive() for worker in workers):
                archive.list_runs(limit=20)
                reads += 1
        seconds = time.perf_counter() - begin
        failed = sum(worker.exitcode != 0 for worker in workers)
        worst = max(answers.get() for _ in range(processes - failed))
        with exptrack.Archive(path) as archive:
            stored = archive.sql("SELECT sum(count) FROM metrics").rows[0][0]
            clean = not archive.verify().problems
    lost = (processes + 1) * points - stored
    print(f"{processes} processes and a reader ({reads:,} reads): {failed} failed, {lost} points lost,")
    print(f"  verified {'clean' if clean else 'WITH PROBLEMS'}, worst call {worst * 1000:.0f} ms,")
    print(f"  {processes * points / seconds:,.0f} points/s in sum with start and end, alone {alone:,.0f}")


def flat(points: int) -> None:
    """Log many points and print the peak of memory on the way."""
    with (
        tempfile.TemporaryDirectory() as folder,
        exptrack.Archive(Path(folder) / "lab.db") as archive,
        archive.start_run() as run,
    ):
        for part in range(10):
            for step in range(points * part // 10, points * (part + 1) // 10):
                run.log_metric("loss", 0.5, step)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{points * (part + 1) // 10:12,} points, peak {peak:.1f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--flat", type=int, default=0)
    options = parser.parse_args()
    if options.flat:
        flat(options.flat)
        return
    for series in (10, 100):
        compare(options.points, series, options.repeat)
    if options.processes:
        together(options.processes, max(options.points // 50, 1))


if __name__ == "__main__":
    main()
