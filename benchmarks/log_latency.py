"""What does a logging call cost the training loop? Percentiles, less the cost of the clock itself.

    python -m benchmarks.log_latency [--calls 300000] [--laps 10] [--turns 10000] [--quick]

Baselines in the same process: an empty method call, raw ``sqlite3`` that appends to a list and writes
10,000 rows at a time from a thread, and work without a call that takes as long as a call of a hundred metrics.
The P99 of that work is what the machine does to any code. Calls of a hundred metrics without a pause make
points faster than SQLite takes them, so some wait for room. So they are also timed with 200 µs of work between.

Then turns of 150 µs of pure Python work are timed with five logging calls each, without them, and with five
calls of the raw baseline. The three take laps in a rotating order, so that other work of the machine meets all
three. The result is the median of the ratios within a lap.

A lap is timed after a quarter of its turns, once the thread that stores points is at work, and the next lap
waits until all is stored. So a lap pays for its own points alone. Besides the time that passed, ratios are
given of the loop's own processor time, which leaves out that it waits, and of that of all threads.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import exptrack
from benchmarks.timing import arguments, compile_package, headline, print_table, quantile

WORK_US = 150
SETTLE_S = 0.2  # more than storing what waits takes
PAUSE_US = 200  # between calls of a hundred metrics: half a million points a second
HUNDRED_US = 20  # about what a call of a hundred metrics takes

clock = time.perf_counter_ns


class Logs(Protocol):
    """What takes a value."""

    def log_metric(self, name: str, value: float, step: int) -> None:
        """Take it."""


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

    def stop(self) -> None:
        """End the thread and close the file."""
        self.done = True
        self.full.set()
        self.thread.join()
        self.connection.close()


def percentiles(call: Callable[[int], object], calls: int, pause: range = range(0)) -> list[float]:
    """P50, P90, P99 and the worst in microseconds, less the clock's own cost; `pause` is summed in between."""
    own = statistics.median(clock_pair() for _ in range(20_000))
    found = []
    for step in range(calls):
        sum(pause)
        begin = clock()
        call(step)
        found.append(clock() - begin - own)
    found.sort()
    return [quantile(found, share) / 1000 for share in (0.5, 0.9, 0.99, 1.0)]


def clock_pair() -> int:
    """Return the nanoseconds between two readings of the clock."""
    begin = clock()
    return clock() - begin


def work_of(microseconds: float) -> range:
    """Return a range whose sum takes this long."""
    thousand = range(1000)
    times = []
    for _ in range(2000):
        begin = clock()
        sum(thousand)
        times.append(clock() - begin)
    return range(int(1000 * microseconds * 1000 / statistics.median(times)))


class Lap(NamedTuple):
    """What a lap took: the time that passed, the processor time of its thread, and that of all threads."""

    passed: float
    own: float
    used: float

    def over(self, other: Lap) -> Lap:
        """How many times as long as another one it took."""
        return Lap(*(one / max(base, 1) for one, base in zip(self, other, strict=True)))


def lap(work: range, turns: int, target: Logs | None) -> Lap:
    """Return the nanoseconds of `turns` turns, each with five calls if there is a target."""
    begin, own, used = clock(), time.thread_time_ns(), time.process_time_ns()
    if target is None:
        for _ in range(turns):
            loss = sum(work) / 1e12
    else:
        log_metric = target.log_metric
        for step in range(turns):
            loss = sum(work) / 1e12
            log_metric("train/loss", loss, step)
            log_metric("train/accuracy", 0.5, step)
            log_metric("train/lr", 0.1, step)
            log_metric("train/norm", loss, step)
            log_metric("train/speed", 1.0, step)
    return Lap(clock() - begin, time.thread_time_ns() - own, time.process_time_ns() - used)


def slowdowns(
    targets: Sequence[Logs], laps: int, turns: int, settle: Callable[[], object] = lambda: None
) -> list[list[Lap]]:
    """For each target, how many times as long as bare work each lap took. `settle` waits for what is stored."""
    work = work_of(WORK_US)
    ways = [None, *targets]
    ratios: list[list[Lap]] = [[] for _ in targets]
    for number in range(laps):
        taken: dict[int, Lap] = {}
        for place in range(len(ways)):
            way = (number + place) % len(ways)
            lap(work, turns // 4, ways[way])
            taken[way] = lap(work, turns, ways[way])
            settle()
        for way, found in enumerate(ratios, 1):
            found.append(taken[way].over(taken[0]))
    return ratios


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, calls=300_000, laps=10, turns=10_000)
    compile_package()
    ten = {f"metric {i}": 0.5 for i in range(10)}
    hundred = {f"metric {i}": 0.5 for i in range(100)}
    short, pause = work_of(HUNDRED_US), work_of(PAUSE_US)
    with tempfile.TemporaryDirectory() as folder, exptrack.Archive(Path(folder) / "lab.db") as archive:
        nothing, raw = Nothing(), RawQueue(str(Path(folder) / "raw.db"))
        with archive.start_run() as run:
            log_metric = run.log_metric
            tasks: dict[str, tuple[Callable[[int], object], int]] = {
                "empty method": (lambda step: nothing.log_metric("loss", 0.5, step), 1),
                "raw list and thread": (lambda step: raw.log_metric("loss", 0.5, step), 1),
                "log_metric": (lambda step: log_metric("loss", 0.5, step), 1),
                "log_metric, automatic step": (lambda _step: log_metric("auto", 0.5), 1),
                "log, 10 metrics": (lambda step: run.log(ten, step), 10),
                "log, 100 metrics": (lambda step: run.log(hundred, step), 100),
                f"{HUNDRED_US} µs of work": (lambda _step: sum(short), 100),
            }
            found = {
                name: percentiles(call, max(given.calls // values, 1)) for name, (call, values) in tasks.items()
            }
            apart = f"log, 100 metrics, {PAUSE_US} µs apart"
            found[apart] = percentiles(tasks["log, 100 metrics"][0], max(given.calls // 100, 1), pause)
        with archive.start_run() as run:

            def settle() -> None:
                run.flush()
                raw.full.set()
                time.sleep(SETTLE_S)

            ours, theirs = slowdowns([run, raw], given.laps, given.turns, settle)
        raw.stop()
    print("the raw list loses what it holds when the process is killed")
    print_table(("µs per call", "P50", "P90", "P99", "worst"), [(name, *row) for name, row in found.items()])
    single = found["log_metric"]
    headline(f"log_metric: {single[0]:.2f} µs median (<= 1.0), {single[2]:.2f} µs P99 (<= 4)")
    headline(
        f"log of 10: {found['log, 10 metrics'][0]:.1f} µs (<= 5), of 100:"
        f" {found['log, 100 metrics'][0]:.1f} µs (<= 40), {found['log, 100 metrics'][2]:.0f} µs P99,"
        f" {found[apart][2]:.0f} with {PAUSE_US} µs between them (<= 60;"
        f" {HUNDRED_US} µs of work alone {found[f'{HUNDRED_US} µs of work'][2]:.0f})"
    )
    passed = [one.passed for one in ours]
    headline(
        f"{WORK_US} µs of work with 5 calls: {percent(passed):.1f} % slower (<= 4;"
        f" raw list {percent([one.passed for one in theirs]):.1f}), middle half of {given.laps} laps"
        f" {(quantile(passed, 0.25) - 1) * 100:.1f} to {(quantile(passed, 0.75) - 1) * 100:.1f}"
    )
    headline(
        f"by processor time: {percent([one.own for one in ours]):.1f} % in the loop's thread (raw list"
        f" {percent([one.own for one in theirs]):.1f}), {percent([one.used for one in ours]):.1f} % with the"
        f" thread that stores (raw list {percent([one.used for one in theirs]):.1f})"
    )


def percent(ratios: Sequence[float]) -> float:
    """By how many percent the median ratio is beyond one."""
    return (statistics.median(ratios) - 1) * 100


if __name__ == "__main__":
    main()
