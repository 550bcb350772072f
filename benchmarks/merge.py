"""How fast do two archives merge into one, against an insert of the same points into one bare table?

    python -m benchmarks.merge [--runs 1000] [--repeat 3] [--folder FOLDER] [--quick]

Two archives have so many runs each, with 10 series of 1,000 points. In turn, their points are inserted into one
bare table of a new file by ``INSERT … SELECT``, in batches of 100 runs, and the archives are merged: into a new
archive, and into one that has runs already. Then they are merged once more, which changes nothing. Digest and
extract follow. All of it happens in one process, and files are closed before the clock stops. With `--folder`
the two archives are kept there, and taken from there the next time.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from benchmarks.timing import argument_parser, headline, print_table, scaled
from exptrack import Archive, RecordedRun

BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
SERIES, POINTS = 10, 1000  # of a run, and of a series
BATCH_RUNS = 100
CHECKPOINT_BYTES = 64 * 1024 * 1024
BARE_TABLE = """
CREATE TABLE point (
    series INTEGER NOT NULL, step INTEGER NOT NULL, seq INTEGER NOT NULL, time_ms INTEGER NOT NULL, value REAL,
    PRIMARY KEY (series, step, seq)
) STRICT, WITHOUT ROWID
"""
BARE_INSERT = """
INSERT INTO point
SELECT series + ?, step, seq, time_ms, value FROM source.metric_point
WHERE series > ? AND series <= ? ORDER BY series, step, seq
"""
BARE = "bare table"


def make_records(runs: int, number: int) -> Iterator[RecordedRun]:
    """The runs of one of the archives: every value has all of its digits, as those of a training have."""
    chance = random.Random(number)
    steps = list(range(POINTS))
    for one in range(runs):
        start = BEGINS + timedelta(days=number, seconds=60 * one)
        times = [start.timestamp() + step + chance.random() for step in steps]
        yield RecordedRun(
            {"lr": chance.random(), "seed": one, "model": {"depth": one % 7}},
            start,
            POINTS + 1,
            name=f"run {number}-{one}",
            group=f"group {one // 50}",
            tags=["benchmark", f"part {one % 2}"],
            metrics={f"metric {k}": (steps, [chance.random() for _ in steps], times) for k in range(SERIES)},
        )


def make_archive(path: Path, runs: int, number: int) -> None:
    if not path.exists():
        with Archive(path) as archive:
            archive.record_runs(make_records(runs, number))


def insert_bare(target: Path, sources: Sequence[Path], runs: int) -> None:
    """Insert the points of the archives into one table without references, indexes or proofs."""
    connection = sqlite3.connect(target, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -16000")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(BARE_TABLE)
    wal = Path(f"{target}-wal")
    for place, source in enumerate(sources):
        connection.execute("ATTACH ? AS source", (str(source),))
        for first in range(0, runs, BATCH_RUNS):
            bounds = (place * runs * SERIES, first * SERIES, min(first + BATCH_RUNS, runs) * SERIES)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(BARE_INSERT, bounds)
            connection.execute("COMMIT")
            if wal.stat().st_size > CHECKPOINT_BYTES:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        connection.execute("DETACH source")
    connection.close()


def merge(target: Path, sources: Sequence[Path]) -> None:
    with Archive(target) as archive:
        report = archive.merge(*sources)
        assert report.ok, report


class Took(NamedTuple):
    """Seconds by the clock, and those in which a processor worked for this process."""

    seconds: float
    busy: float


def timed(work: Callable[[], object]) -> Took:
    begin, busy = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - begin, time.process_time() - busy)


def peak_megabytes() -> float:
    """The most memory that this process has had, where the system tells."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(folder: Path, sources: Sequence[Path], runs: int, repeat: int) -> dict[str, list[Took]]:
    """What each way took, in turn."""
    old = folder / "old.db"
    make_archive(old, max(2, runs // 20), 9)
    times: dict[str, list[Took]] = {}
    for _ in range(repeat):
        with tempfile.TemporaryDirectory(dir=folder) as name:
            for way, took in measure_once(Path(name), sources, old, runs):
                times.setdefault(way, []).append(took)
    return times


def measure_once(folder: Path, sources: Sequence[Path], old: Path, runs: int) -> Iterator[tuple[str, Took]]:
    bare, new, grown = folder / "bare.db", folder / "new.db", folder / "grown.db"
    yield BARE, timed(lambda: insert_bare(bare, sources, runs))
    bare.unlink()
    yield "merge into a new archive", timed(lambda: merge(new, sources))
    with Archive(old) as archive:
        archive.backup(grown)
    yield "merge into one with runs", timed(lambda: merge(grown, sources))
    grown.unlink()
    with Archive(new) as archive:
        yield "merge again", timed(lambda: archive.merge(*sources))
        yield "digest", timed(archive.digest)
        yield "extract half", timed(lambda: archive.extract(folder / "part.db", where="tag = 'part 0'"))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--runs", type=int, help="of each archive; default 1,000")
    parser.add_argument("--repeat", type=int, help="default 3")
    parser.add_argument("--folder", type=Path, help="where the two archives are kept")
    given = parser.parse_args(argv)
    runs, repeat = given.runs or scaled(1000, given.quick), given.repeat or scaled(3, given.quick)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = given.folder or Path(name)
        sources = [folder / f"merge-{runs}-{number}.db" for number in (1, 2)]
        for number, source in enumerate(sources, 1):
            make_archive(source, runs, number)
        times = measure(Path(name), sources, runs, repeat)
    points = 2 * runs * SERIES * POINTS
    medians = {way: statistics.median(one.seconds for one in found) for way, found in times.items()}
    busy = {way: statistics.median(one.busy for one in found) for way, found in times.items()}
    print(f"{points:,} points of {2 * runs:,} runs in two archives, {repeat} times each in turn")
    rows: list[tuple[object, ...]] = []
    for way, took in medians.items():
        figures: tuple[object, ...] = ("", "", "")
        if way not in ("merge again", "digest"):
            copied = points / 2 if way == "extract half" else points
            ratio = copied / points * medians[BARE] / took
            figures = (copied / took, ratio, copied / points * busy[BARE] / busy[way])
        rows.append((way, took, busy[way], *figures))
    print_table(("", "seconds", "busy", "points/s", f"x {BARE}", "busy x"), rows)
    ratios = [medians[BARE] / medians[way] for way in times if way.startswith("merge into")]
    headline(
        f"merge: {ratios[0]:.0%} of {BARE} into a new archive, {ratios[1]:.0%} into one with runs (>= 80%),"
        f" at {points / medians[BARE]:,.0f} points/s"
    )
    headline(
        f"merge again: {medians['merge again'] * 1000:.0f} ms for {2 * runs:,} runs (<= 50 ms),"
        f" digest {medians['digest'] * 1000:.0f} ms, peak memory {peak_megabytes():.0f} MB"
    )


if __name__ == "__main__":
    main()
