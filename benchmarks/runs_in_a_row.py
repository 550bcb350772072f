"""How fast do small runs follow each other, and how fast are ended runs recorded?

    python -m benchmarks.runs_in_a_row [--runs 300] [--recorded 3000] [--quick]

A run has 10 params, 3 tags, and 10 metrics of 10 steps. It is started, logged one step a call, and completed.
``record_runs`` stores ended runs of 20 params and 10 metrics of 10 points, in one call.

Baseline, in turn in the same process: bare ``sqlite3`` writes the same params, tags and points, and commits
once a run, with ``synchronous = FULL`` as the end of a run does. It promises nothing before that commit, and
keeps no checksum, fingerprint, event, environment or summary. Processor time is that of the whole process.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.timing import arguments, headline, print_table, quantile
from exptrack import Archive, RecordedRun

PARAMS, TAGS, METRICS, STEPS = 10, 3, 10, 10
RECORDED_PARAMS = 20
AT_ONCE = 20  # runs of one kind before it is the other's turn
BARE_TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE run (id INTEGER PRIMARY KEY, name TEXT, status TEXT, started REAL) STRICT;
CREATE TABLE param (run INTEGER, key TEXT, value ANY, PRIMARY KEY (run, key)) WITHOUT ROWID, STRICT;
CREATE TABLE tag (run INTEGER, tag TEXT, PRIMARY KEY (run, tag)) WITHOUT ROWID, STRICT;
CREATE TABLE point (run INTEGER, metric TEXT, step INTEGER, time_ms INTEGER, value REAL,
                    PRIMARY KEY (run, metric, step)) WITHOUT ROWID, STRICT;
"""


def params(count: int, number: int) -> dict[str, object]:
    """The params of a run: floats, ints and texts, some of which differ from run to run."""
    found: dict[str, object] = {"lr": 0.1 / (1 + number), "seed": number, "optimizer": "adam"}
    return found | {f"layer{place}": place * 16 for place in range(count - len(found))}


def steps() -> list[dict[str, float]]:
    """What a run logs, a step a time."""
    chance = random.Random(0)
    return [{f"metric{place}": chance.random() for place in range(METRICS)} for _ in range(STEPS)]


def track(archive: Archive, number: int, curves: list[dict[str, float]]) -> None:
    """A run of exptrack."""
    with archive.start_run(params(PARAMS, number), tags=[f"tag{place}" for place in range(TAGS)]) as run:
        for step, values in enumerate(curves):
            run.log(values, step)


def write_bare(connection: sqlite3.Connection, number: int, curves: list[dict[str, float]]) -> None:
    """The same with bare ``sqlite3``."""
    began = time.time()
    connection.execute("BEGIN IMMEDIATE")
    sql = "INSERT INTO run (name, status, started) VALUES (?, 'completed', ?)"
    run = connection.execute(sql, (f"run{number}", began)).lastrowid
    values = [(run, key, value) for key, value in params(PARAMS, number).items()]
    connection.executemany("INSERT INTO param VALUES (?, ?, ?)", values)
    connection.executemany("INSERT INTO tag VALUES (?, ?)", [(run, f"tag{place}") for place in range(TAGS)])
    points = [
        (run, name, step, int((time.time() - began) * 1000), value)
        for step, logged in enumerate(curves)
        for name, value in logged.items()
    ]
    connection.executemany("INSERT INTO point VALUES (?, ?, ?, ?, ?)", points)
    connection.execute("COMMIT")


def measure(work: Callable[[int], None], first: int, count: int) -> list[tuple[float, float]]:
    """Milliseconds of each run: wall time and processor time."""
    found = []
    for number in range(first, first + count):
        wall, cpu = time.perf_counter(), time.process_time()
        work(number)
        found.append(((time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000))
    return found


def recorded(count: int) -> list[RecordedRun]:
    """Ended runs to be stored at once."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    columns = {name: (range(STEPS), [one[name] for one in steps()]) for name in steps()[0]}
    return [
        RecordedRun(params(RECORDED_PARAMS, number), began + timedelta(seconds=number), 60.0, metrics=columns)
        for number in range(count)
    ]


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, runs=300, recorded=3000)
    curves = steps()
    times: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        bare = sqlite3.connect(Path(name) / "bare.db", isolation_level=None)
        bare.executescript(BARE_TABLES)
        bare.execute("PRAGMA synchronous = FULL")
        with Archive(Path(name) / "lab.db") as archive:
            works: dict[str, Callable[[int], None]] = {
                "bare sqlite3": lambda number: write_bare(bare, number, curves),
                "exptrack": lambda number: track(archive, number, curves),
            }
            for title, work in works.items():
                measure(work, 0, 3)  # caches and imports
                times[title] = []
            for first in range(3, 3 + given.runs, AT_ONCE):
                for title, work in works.items():
                    times[title] += measure(work, first, min(AT_ONCE, 3 + given.runs - first))
            assert archive.verify().ok
        bare.close()
        with Archive(Path(name) / "recorded.db") as archive:
            archive.record_runs(recorded(10))
            records = recorded(given.recorded)
            wall, cpu = time.perf_counter(), time.process_time()
            archive.record_runs(records)
            rate = given.recorded / (time.perf_counter() - wall)
            cpu_rate = given.recorded / (time.process_time() - cpu)
            assert archive.verify().ok
    medians = {}
    rows: list[tuple[object, ...]] = []
    for title, found in times.items():
        walls, cpus = [wall for wall, _ in found], [cpu for _, cpu in found]
        medians[title] = statistics.median(walls), statistics.median(cpus)
        ratios = [mine / bare for mine, bare in zip(medians[title], medians["bare sqlite3"], strict=True)]
        rows.append((title, medians[title][0], quantile(walls, 0.9), ratios[0], medians[title][1], ratios[1]))
    print_table(("milliseconds a run", "median", "P90", "x bare", "processor", "x bare"), rows)
    headline(
        f"a run of {PARAMS} params and {METRICS} x {STEPS} points: {rows[-1][3]:.2f} x bare sqlite3 (<= 3);"
        f" record_runs: {rate:,.0f} runs/s with {RECORDED_PARAMS} params (>= 1,500),"
        f" {cpu_rate:,.0f} for each second of processor time"
    )


if __name__ == "__main__":
    main()
