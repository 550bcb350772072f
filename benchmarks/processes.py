"""What happens when 16 processes log into one archive at once while another reads it?

    python -m benchmarks.processes [--processes 16] [--points 20000] [--rounds 3] [--quick]

Each process starts a run, logs its points one call each, and completes the run. Counted are errors, lost
points, the longest wait of a call, and the points a second of all processes, from the first call to the end of
the last run. The ratio compares with one process that logs as many points in all. In the last line, each
process has an archive of its own in a spool. For each look, the reader opens the archive, lists the runs and
follows one. Baseline: the same processes write one file with bare ``sqlite3``, a thousand points a transaction.
If Sacred is installed, the same processes log with it too, each into a folder of its own in one folder of runs.
That is compared with exptrack in one file, both without a reader, by the median of the ratios within a round.
At the end of a run exptrack has synced everything to the disk; Sacred syncs nothing.
"""

from __future__ import annotations

import importlib.util
import logging
import multiprocessing
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.timing import arguments, compile_package, headline, print_table
from exptrack import Archive, local_archive

BATCH = 1000
BARE_TABLE = """
CREATE TABLE point (series INTEGER, step INTEGER, seq INTEGER, time_ms INTEGER, value REAL,
                    PRIMARY KEY (series, step, seq)) WITHOUT ROWID, STRICT
"""
BARE_INSERT = "INSERT INTO point VALUES (?, ?, 0, ?, ?)"


class Outcome(NamedTuple):
    """What one process saw; moments are of the system-wide monotonic clock."""

    began: float
    ended: float
    longest_s: float
    error: str


def log_points(path: str, number: int, points: int, gate: Barrier) -> Outcome:
    """Log one run's points into an archive that all processes share."""
    return _log(Archive(path), number, points, gate)


def log_points_apart(folder: str, number: int, points: int, gate: Barrier) -> Outcome:
    """The same into an archive of this process's own."""
    return _log(local_archive(folder), number, points, gate)


def _log(archive: Archive, number: int, points: int, gate: Barrier) -> Outcome:
    longest, error = 0.0, ""
    with archive:
        gate.wait()
        began = time.monotonic()
        try:
            with archive.start_run({"number": number}) as run:
                for step in range(points):
                    before = time.perf_counter()
                    run.log_metric("loss", 1 / (1 + step), step)
                    longest = max(longest, time.perf_counter() - before)
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
        return Outcome(began, time.monotonic(), longest, error)


def insert_points(path: str, number: int, points: int, gate: Barrier) -> Outcome:
    """The same with bare ``sqlite3``."""
    longest, error = 0.0, ""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("PRAGMA synchronous = NORMAL")
    gate.wait()
    began = time.monotonic()
    try:
        for start in range(0, points, BATCH):
            rows = [(number, step, step, 1 / (1 + step)) for step in range(start, min(start + BATCH, points))]
            before = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(BARE_INSERT, rows)
            connection.execute("COMMIT")
            longest = max(longest, time.perf_counter() - before)
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
    connection.close()
    return Outcome(began, time.monotonic(), longest, error)


def log_with_sacred(folder: str, number: int, points: int, gate: Barrier) -> Outcome:
    """The same with Sacred, which writes files without any promise before the end of the run."""
    from sacred import SETTINGS, Experiment
    from sacred.observers import FileStorageObserver

    SETTINGS.CAPTURE_MODE = "no"
    logging.disable(logging.INFO)
    experiment = Experiment("benchmark", save_git_info=False)
    experiment.observers.append(FileStorageObserver(folder))
    longest = 0.0

    @experiment.main
    def main(_run: Any) -> None:
        nonlocal longest
        for step in range(points):
            before = time.perf_counter()
            _run.log_scalar("loss", 1 / (1 + step), step)
            longest = max(longest, time.perf_counter() - before)

    experiment.add_config(number=number)
    gate.wait()
    began = time.monotonic()
    experiment.run()
    return Outcome(began, time.monotonic(), longest, "")


def look_until_told(path: str, stop: Event) -> Outcome:
    """Read the archive again and again."""
    began, longest, error = time.monotonic(), 0.0, ""
    while not stop.is_set() and not error:
        before = time.perf_counter()
        try:
            with Archive(path, mode="ro") as archive:
                for summary in archive.list_runs(limit=1):
                    archive.tail(summary.run_id).read()
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
        longest = max(longest, time.perf_counter() - before)
        time.sleep(0.02)
    return Outcome(began, time.monotonic(), longest, error)


def at_once(work: Callable[..., Outcome], path: str, processes: int, points: int) -> list[Outcome]:
    """Run the work in `processes` fresh processes that begin together."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(processes) as pool:
        gate: Any = manager.Barrier(processes)
        waiting = [pool.apply_async(work, (path, number, points, gate)) for number in range(processes)]
        return [one.get() for one in waiting]


def rate(outcomes: Sequence[Outcome], points: int) -> float:
    """Points a second, from the first beginning to the last end."""
    return points / (max(one.ended for one in outcomes) - min(one.began for one in outcomes))


def beside_sacred(
    folder: Path, processes: int, points: int, rounds: int
) -> list[tuple[list[Outcome], list[Outcome]]]:
    """What the processes saw in each round, with exptrack and with Sacred in turn; none without Sacred."""
    if importlib.util.find_spec("sacred") is None:
        return []
    found = []
    for number in range(rounds):
        path = folder / f"{number}.db"
        Archive(path).close()
        ours = at_once(log_points, str(path), processes, points)
        theirs = at_once(log_with_sacred, str(folder / f"sacred {number}"), processes, points)
        assert stored_points(path) == processes * points
        found.append((ours, theirs))
    return found


def stored_points(path: Path) -> int:
    """How many points an archive has; it has to verify clean."""
    with Archive(path) as archive:
        report = archive.verify()
        assert report.ok, report.problems
        return report.points


def bare_file(path: Path) -> str:
    """A new bare file in WAL mode."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(BARE_TABLE)
    connection.close()
    return str(path)


def bare_points(path: Path) -> int:
    """How many points a bare file has."""
    connection = sqlite3.connect(path)
    (found,) = connection.execute("SELECT count(*) FROM point").fetchone()
    connection.close()
    return int(found)


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, processes=16, points=20_000, rounds=3)
    compile_package()
    processes, points = given.processes, given.points
    in_all = processes * points
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = at_once(insert_points, bare_file(folder / "bare1.db"), 1, in_all)
        bare = at_once(insert_points, bare_file(folder / "bare.db"), processes, points)
        bare_lost = in_all - bare_points(folder / "bare.db")
        one, lab, spool = folder / "one.db", folder / "lab.db", folder / "spool"
        spool.mkdir()
        for path in (one, lab):
            Archive(path).close()
        single = at_once(log_points, str(one), 1, in_all)
        stop = context.Event()
        with context.Pool(1, initializer=_remember, initargs=(stop,)) as pool:
            looking = pool.apply_async(_look, (str(lab),))
            many = at_once(log_points, str(lab), processes, points)
            stop.set()
            reader = looking.get()
        lost = in_all - stored_points(lab)
        rounds = beside_sacred(folder, processes, points, given.rounds)
        apart = at_once(log_points_apart, str(spool), processes, points)
        lost_apart = in_all - sum(stored_points(path) for path in spool.glob("*.db"))
    print(f"{processes} processes, {points:,} points each; longest wait of a call (bare: of a batch)")
    rows = []
    for title, outcomes, missing in (
        (f"bare sqlite3, 1 process, batches of {BATCH:,}", alone, 0),
        (f"bare sqlite3, {processes} processes", bare, bare_lost),
        ("exptrack, 1 process", single, 0),
        (f"exptrack, {processes} processes", many, lost),
        ("exptrack, the reader beside them", [reader], 0),
        (f"exptrack, {processes} processes, a file each", apart, lost_apart),
        *[(f"exptrack, {processes} processes, no reader", ours, 0) for ours, _ in rounds],
        *[(f"Sacred, {processes} processes, a folder each", theirs, 0) for _, theirs in rounds],
    ):
        errors = [outcome.error for outcome in outcomes if outcome.error]
        speed = "" if outcomes == [reader] else rate(outcomes, in_all)
        longest = max(outcome.longest_s for outcome in outcomes) * 1000
        rows.append((title, speed, longest, len(errors), missing))
        for error in errors:
            print(f"error: {error}")
    print_table(("", "points/s", "longest ms", "errors", "lost"), rows)
    errors = sum(1 for outcome in (*many, reader) if outcome.error)
    longest = max(outcome.longest_s for outcome in many) * 1000
    headline(
        f"{processes} processes and a reader: {errors} errors, {lost} lost, longest wait {longest:.0f} ms"
        f" (<= 500), {rate(many, in_all) / rate(single, in_all):.2f} x the points/s of one process (>= 0.8;"
        f" bare {rate(bare, in_all) / rate(alone, in_all):.2f})"
    )
    if rounds:
        ratios = [rate(ours, in_all) / rate(theirs, in_all) for ours, theirs in rounds]
        headline(
            f"{statistics.median(ratios):.2f} x the points/s of Sacred (>= 1.5), {min(ratios):.2f} to"
            f" {max(ratios):.2f} in {len(ratios)} rounds"
        )
    else:
        print("not installed, left out: Sacred")


# Set in the reader's process: an Event can be handed to a pool's processes only when they start.
_stop: Event


def _remember(stop: Event) -> None:
    global _stop
    _stop = stop


def _look(path: str) -> Outcome:
    return look_until_told(path, _stop)


if __name__ == "__main__":
    main()
