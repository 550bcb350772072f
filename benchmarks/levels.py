"""What do stored levels of ended runs save a chart, and what do they cost?

    python -m benchmarks.levels [--runs 50] [--points 100000] [--buckets 400] [--repeat 5] [--quick]

RUNS ended runs of POINTS points each are read in turn from a file with levels, and from the same without. There
a scan of all points answers: that is the baseline, in the same process.

The costs are pairs of processor time, which other programs disturb less than the clock: a run of POINTS points
that is logged and ended, and one that is recorded, each with levels and without. Verification reads both files.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from unittest.mock import patch

from benchmarks.timing import arguments, headline, in_turn, print_table, print_times
from exptrack import Archive, RecordedRun
from exptrack.metrics import series_seals, store

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
METRIC = "loss"
NEVER = 1 << 62


class WithoutLevels:
    """No series is long enough for levels in this block."""

    def __enter__(self) -> None:
        self._patches = [
            patch.object(series_seals, "LEVEL_POINTS", NEVER),
            patch.object(store, "COLLECTED_FROM", NEVER),
        ]
        for one in self._patches:
            one.start()

    def __exit__(self, *_: object) -> None:
        for one in self._patches:
            one.stop()


def make_record(points: int, number: int) -> RecordedRun:
    """An ended run with a noisy curve, whose points come every 2.5 ms on average."""
    chance = random.Random(number)
    at, times, curve = 0.0, [], []
    for step in range(points):
        at += chance.expovariate(400)
        times.append(BEGIN + timedelta(seconds=at))
        curve.append(chance.random() + 100 / (step + 100))
    return RecordedRun({"seed": number}, BEGIN, at + 1, metrics={METRIC: (range(points), curve, times)})


def record(archives: dict[str, Archive], number: int, points: int) -> dict[str, float]:
    """Record a run in both files; return the seconds of processor time."""
    made, spent = make_record(points, number), {}
    for name in sorted(archives, reverse=number % 2 == 0):
        with nullcontext() if name == "levels" else WithoutLevels():
            begin = time.process_time()
            archives[name].record_runs([made])
            spent[name] = time.process_time() - begin
    return spent


def log_and_end(path: Path, curve: Sequence[float], name: str) -> tuple[float, float]:
    """Log a run and end it; return the processor time of all, and of the end, which stores the last points."""
    with nullcontext() if name == "levels" else WithoutLevels(), Archive(path) as archive:
        begin = time.process_time()
        run = archive.start_run(system_metrics=False)
        for value in curve:
            run.log({METRIC: value})
        logged = time.process_time()
        run.complete()
        end = time.process_time()
    return end - begin, end - logged


def verify(path: Path) -> float:
    with Archive(path, mode="ro") as archive:
        begin = time.process_time()
        assert archive.verify().ok
        return time.process_time() - begin


def compare(pairs: Sequence[dict[str, float]]) -> tuple[float, float, float]:
    """Return the medians with levels and without, and the median of their ratios."""
    with_levels, without = (statistics.median(one[name] for one in pairs) for name in ("levels", "scan"))
    return with_levels, without, statistics.median(one["levels"] / one["scan"] for one in pairs)


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, runs=50, points=100_000, buckets=400, repeat=5)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = {name: folder / f"{name}.db" for name in ("levels", "scan")}
        with Archive(files["levels"]) as one, Archive(files["scan"]) as other:
            archives = {"levels": one, "scan": other}
            recorded = [record(archives, number, given.points) for number in range(given.runs)]
        measure_reading(files, given.runs, given.points, given.buckets, given.repeat)
        chance = random.Random(0)
        curve = [chance.random() for _ in range(given.points)]
        log_and_end(folder / "first.db", curve[:1000], "levels")  # imports what a first run imports
        verify(folder / "first.db")
        ends: list[dict[str, tuple[float, float]]] = [
            {name: log_and_end(folder / f"{name} {turn}.db", curve, name) for name in files}
            for turn in range(given.repeat)
        ]
        rows = {
            "record a run": recorded[1:] or recorded,
            "log and end a run": [{name: both[0] for name, both in one.items()} for one in ends],
            "of that, end it": [{name: both[1] for name, both in one.items()} for one in ends],
            "verify the file": [
                {name: verify(path) for name, path in files.items()} for _ in range(given.repeat)
            ],
        }
        sizes = {name: os.stat(path).st_size for name, path in files.items()}
    costs = {name: compare(pairs) for name, pairs in rows.items()}
    print_table(
        ("seconds of processor time", "with levels", "without", "ratio of pairs"),
        [(name, *cost) for name, cost in costs.items()],
    )
    share = sizes["levels"] / sizes["scan"] - 1
    more = {name: ratio - 1 for name, (_, _, ratio) in costs.items()}
    headline(
        f"levels cost {share:.1%} of the file (<= 3%), {more['log and end a run']:.1%} of logging and ending"
        f" a run (<= 3%), {more['record a run']:.1%} of recording one,"
        f" {more['verify the file']:.1%} of verification"
    )


def measure_reading(files: dict[str, Path], runs: int, points: int, buckets: int, repeat: int) -> None:
    """Read curves from both files in turn."""
    tasks: dict[str, Callable[[], object]] = {}
    with Archive(files["levels"], mode="ro") as one, Archive(files["scan"], mode="ro") as other:
        for name, archive in (("levels", one), ("scan", other)):
            wanted = [run.run_id for run in archive.list_runs()]
            read = partial(archive.curves, names=METRIC, buckets=buckets)
            tasks |= {
                f"{name}: 5 runs": partial(read, wanted[:5]),
                f"{name}: {runs} runs": partial(read, wanted),
                f"{name}: {runs} runs by time": partial(read, wanted, by="time"),
                f"{name}: series(buckets=1000)": partial(archive.series, wanted[0], METRIC, buckets=1000),
            }
        print(f"{runs} ended runs of {points:,} points to {buckets} buckets, {repeat} times each in turn")
        medians = print_times(in_turn(tasks, repeat), f"scan: {runs} runs")
    some, every, single = (
        f"{medians[f'levels: {what}']:.3g} ms (by scan {medians[f'scan: {what}']:.3g})"
        for what in ("5 runs", f"{runs} runs", "series(buckets=1000)")
    )
    headline(
        f"curves of 5 ended runs of {points:,} points: {some}, of {runs}: {every};"
        f" 1000 buckets of one: {single}"
    )


if __name__ == "__main__":
    main()
