"""What does a logging call cost the training loop? Percentiles over the clock's own cost.

    python -m benchmarks.log_latency [--calls 300000] [--work-us 150]

Baselines in the same process: an empty method call, and raw ``sqlite3`` that appends to a list and writes
10,000 rows at a time from a thread. Then a loop of pure Python work with five logging calls, against the same
loop without them, in turn.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import exptrack

clock = time.perf_counter_ns


class Nothing:
    """The cost of a call that does nothing."""

    def log_metric(self, name: str, value: float, step: int) -> None:
        """Do nothing."""


class RawQueue:
    """A list, and a thread that writes it 10,000 rows at a time: fast, and lost with the process."""

    def __init__(self, path: str) -> None:
        self.rows: list[tuple[str, int, float]] = []
        self.connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("CREATE TABLE point (name TEXT, step INTEGER, value REAL)")
        self.full = threading.Event()
        self.done = False
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def log_metric(self, name: str, value: float, step: int) -> None:
        """Append; wake the thread now and then."""
        self.rows.append((name, step, value))
        if len(self.rows) == 10_000:
            self.full.set()

    def work(self) -> None:
        """Write what has come."""
        while not self.done:
            self.full.wait(1.0)
            self.full.clear()
            rows, self.rows = self.rows, []
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany("INSERT INTO point VALUES (?, ?, ?)", rows)
            self.connection.execute("COMMIT")


def percentiles(call: Callable[[int], object], calls: int) -> tuple[float, float, float, float]:
    """P50, P90, P99 and the worst in microseconds, the clock's own cost taken off."""
    ticks = sorted(clock_pair() for _ in range(20_000))
    own = ticks[len(ticks) // 2]
    found = []
    for step in range(calls):
        begin = clock()
        call(step)
        found.append(clock() - begin - own)
    found.sort()
    return tuple(found[min(int(calls * part), calls - 1)] / 1000 for part in (0.5, 0.9, 0.99, 1.0))  # type: ignore[return-value]


def clock_pair() -> int:
    """Two looks at the clock, one after the other."""
    begin = clock()
    return clock() - begin


def slowdown(run: exptrack.Run, work_us: float, repeat: int) -> tuple[float, float]:
    """Median seconds of 10,000 turns of pure Python work, without and with five logging calls each."""
    turns = range(10_000)
    count = 1000
    begin = clock()
    for _ in range(100):
        sum(range(count))
    unit = range(int(count * work_us * 1000 / ((clock() - begin) / 100)))
    times: dict[bool, list[float]] = {False: [], True: []}
    for number in range(repeat * 2):
        logging = bool(number % 2)
        begin = clock()
        if logging:
            for step in turns:
                loss = sum(unit) / 1e12
                run.log_metric("train/loss", loss, step)
                run.log_metric("train/accuracy", 0.5, step)
                run.log_metric("train/lr", 0.1, step)
                run.log_metric("train/norm", loss, step)
                run.log_metric("train/speed", 1.0, step)
        else:
            for _step in turns:
                loss = sum(unit) / 1e12
        times[logging].append((clock() - begin) / 1e9)
    return statistics.median(times[False]), statistics.median(times[True])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=300_000)
    parser.add_argument("--work-us", type=float, default=150.0)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    ten = {f"metric {i}": 0.5 for i in range(10)}
    hundred = {f"metric {i}": 0.5 for i in range(100)}
    with tempfile.TemporaryDirectory() as folder, exptrack.Archive(Path(folder) / "lab.db") as archive:
        nothing, raw = Nothing(), RawQueue(str(Path(folder) / "raw.db"))
        print(f"{'µs per call':34} {'P50':>8} {'P90':>8} {'P99':>8} {'worst':>10}")

        def show(what: str, call: Callable[[int], object], calls: int) -> None:
            values = percentiles(call, calls)
            print(f"{what:34} {values[0]:8.2f} {values[1]:8.2f} {values[2]:8.2f} {values[3]:10.1f}")

        show("empty method", lambda step: nothing.log_metric("loss", 0.5, step), options.calls)
        show(
            "raw list and thread (loses it all)", lambda step: raw.log_metric("loss", 0.5, step), options.calls
        )
        raw.done = True
        raw.thread.join()
        with archive.start_run() as run:
            log_metric = run.log_metric
            show("log_metric", lambda step: log_metric("loss", 0.5, step), options.calls)
            show("log_metric, automatic step", lambda _step: log_metric("auto", 0.5), options.calls)
            show("log, 10 metrics", lambda step: run.log(ten, step), options.calls // 10)
            show("log, 100 metrics", lambda step: run.log(hundred, step), options.calls // 100)
        with archive.start_run() as run:
            without, with_calls = slowdown(run, options.work_us, options.repeat)
        print(f"loop of {options.work_us:g} µs with 5 calls: {(with_calls / without - 1) * 100:.1f} % slower")


if __name__ == "__main__":
    main()
