"""How long does it take to reduce 100,000 points to 1000 buckets that keep minima and maxima?

    python -m benchmarks.downsampling [--points 100000] [--buckets 1000] [--repeat 31] [--quick]

A live run is looked at for the first time by asking without its first step: nothing is kept of that. Another
one is looked at again each time that it has gained 1,000 points. Baselines in the same process, by bare
``sqlite3`` on the same file: one scan for minimum and maximum, one that counts and sums too, as each bucket
does (no SQL for this is faster), and GROUP BY.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.learning_curve import METRIC, bare_connection, make_curve
from benchmarks.timing import arguments, headline, in_turn, print_times
from exptrack import Archive

SCAN = "SELECT min(value), max(value) FROM metric_point WHERE series = ?"
SUMMED = "SELECT count(*), min(value), max(value), total(value) FROM metric_point WHERE series = ?"
GROUPED = """
SELECT step / :width, min(value), max(value) FROM metric_point WHERE series = :series GROUP BY step / :width
"""
FETCHED = "SELECT step, value FROM metric_point WHERE series = ? ORDER BY step, seq"
FIRST, ENDED = "series(buckets=…), live run", "series(buckets=…), ended run"
AGAIN = "series(…) after that, live run"
ADDED = 1000
BASELINE = "one scan: minimum, maximum"
SUMS = "one scan: these, count and sum"


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, points=100_000, buckets=1000, repeat=31)
    with tempfile.TemporaryDirectory() as folder, Archive(Path(folder) / "lab.db") as archive:
        run = make_curve(archive, given.points)
        bare, series = bare_connection(archive, run)
        downsampled = run.series(METRIC, buckets=given.buckets)
        width, found = downsampled.width, downsampled.lists()
        grouped = bare.execute(GROUPED, {"series": series, "width": width}).fetchall()
        assert [row[1:] for row in grouped] == list(zip(found["min"], found["max"], strict=True))
        live = archive.resume_run(make_curve(archive, given.points, seed=1).run_id, system_metrics=False)
        growing = archive.resume_run(make_curve(archive, given.points, seed=2).run_id, system_metrics=False)
        assert live.series(METRIC, buckets=given.buckets, start=1).width == width
        assert growing.series(METRIC, buckets=given.buckets).width == width
        noise = random.Random(3)

        def grow() -> None:
            for _ in range(ADDED):
                growing.log({METRIC: noise.random()})
            growing.flush()

        tasks = {
            BASELINE: lambda: bare.execute(SCAN, (series,)).fetchone(),
            SUMS: lambda: bare.execute(SUMMED, (series,)).fetchone(),
            "GROUP BY": lambda: bare.execute(GROUPED, {"series": series, "width": width}).fetchall(),
            "fetchall": lambda: bare.execute(FETCHED, (series,)).fetchall(),
            FIRST: lambda: live.series(METRIC, buckets=given.buckets, start=1),
            f"log {ADDED:,} points and flush": grow,
            AGAIN: lambda: growing.series(METRIC, buckets=given.buckets),
            ENDED: lambda: run.series(METRIC, buckets=given.buckets),
        }
        print(f"{given.points:,} points to {given.buckets:,} buckets, {given.repeat} times each in turn")
        medians = print_times(in_turn(tasks, given.repeat), BASELINE)
        bare.close()
        live.complete()
        growing.complete()
    ours = medians[FIRST]
    headline(
        f"{given.points:,} points of a live run to {given.buckets:,} buckets: {ours:.1f} ms (<= 12),"
        f" {ours / medians[SUMS]:.2f} x one bare scan for as much, {ours / medians['GROUP BY']:.2f} x GROUP BY;"
        f" again {medians[AGAIN]:.2f} ms; of an ended one {medians[ENDED]:.2f} ms (<= 1)"
    )


if __name__ == "__main__":
    main()
