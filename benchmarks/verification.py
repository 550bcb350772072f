"""How fast does verification prove an archive, and what does it cost to pack it?

    python -m benchmarks.verification [--runs 100] [--points 1000] [--long 1000000] [--repeat 5] [--quick]

(also: --metrics 10 of each run)

Two archives: one of many runs whose metrics have some points each, and one of a single run with one long
metric. Verification reads everything: structure, references, each point by its checksums and summary.

Baseline in the same process, in turn: bare ``sqlite3`` reads all points with ``fetchall``, series by series,
and does nothing with them.
"""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.timing import arguments, headline, print_table
from exptrack import Archive, RecordedRun

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
READ = "SELECT step, seq, time_ms, value FROM metric_point WHERE series = ? ORDER BY step, seq"


def make_records(runs: int, metrics: int, points: int) -> Iterator[RecordedRun]:
    """Completed runs with random walks."""
    for number in range(runs):
        chance = random.Random(number)
        times = [BEGIN.timestamp() + 0.05 * step for step in range(points)]
        curves = {}
        for metric in range(metrics):
            values = [chance.gauss(0, 1) for _ in range(points)]
            curves[f"metric{metric}"] = (range(points), values, times)
        yield RecordedRun({"lr": chance.random()}, BEGIN, 0.05 * points, "completed", metrics=curves)


def read_bare(path: Path) -> int:
    """Read all points with ``fetchall``; return how many there are."""
    with closing(sqlite3.connect(path)) as connection:
        series = connection.execute("SELECT id FROM metric_series").fetchall()
        return sum(len(connection.execute(READ, one).fetchall()) for one in series)


def verify(path: Path) -> int:
    with Archive(path, mode="ro") as archive:
        report = archive.verify()
    assert report.ok, report.problems
    return report.points


def pack(path: Path) -> int:
    target = path.with_suffix(".packed")
    with Archive(path, mode="ro") as archive:
        points = archive.pack(target).points
    target.unlink()
    return points


def rates(path: Path, repeat: int) -> dict[str, list[tuple[float, float]]]:
    """Points a second of each task, in turn; by the clock, and by the time of all cores together."""
    tasks: dict[str, Callable[[Path], int]] = {"bare fetchall": read_bare, "verify": verify, "pack": pack}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for _ in range(repeat):
        for name, task in tasks.items():
            begin, begin_cpu = time.perf_counter(), time.process_time()
            points = task(path)
            spent, spent_cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
            found[name].append((points / spent, points / spent_cpu))
    return found


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, runs=100, metrics=10, points=1000, long=1_000_000, repeat=5)
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name, sizes in {
            "many series": (given.runs, given.metrics, given.points),
            "a long series": (1, 1, given.long),
        }.items():
            path = Path(folder) / "lab.db"
            with Archive(path) as archive:
                archive.record_runs(make_records(*sizes))
            found = rates(path, given.repeat)
            medians = {
                task: tuple(statistics.median(rate) for rate in zip(*both, strict=True))
                for task, both in found.items()
            }
            base, base_cpu = medians["bare fetchall"]
            rows += [
                (f"{name}, {task}", rate, rate / base, cpu, cpu / base_cpu)
                for task, (rate, cpu) in medians.items()
            ]
            rate = medians["verify"][0]
            what = f"{name}: verified at {rate:,.0f} points/s"
            headline(f"{what}, {rate / base:.2f} times the rate of bare fetchall (>= 900,000/s)")
            os.unlink(path)
    print_table(("", "points/s", "x bare", "points/s of all cores", "x bare"), rows)


if __name__ == "__main__":
    main()
