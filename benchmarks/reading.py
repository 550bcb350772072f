"""How long does reading a series of 100,000 points take?

    python -m benchmarks.reading [--points 100000] [--repeat 31] [--quick]

Baseline in the same process: ``numpy.fromiter`` over a bare ``sqlite3`` cursor on the same file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy

from benchmarks.learning_curve import METRIC, bare_connection, make_curve
from benchmarks.timing import arguments, headline, in_turn, print_times
from exptrack import Archive

STEP_VALUE = "SELECT step, value FROM metric_point WHERE series = ? ORDER BY step, seq"
ALL_COLUMNS = "SELECT step, value, time_ms FROM metric_point WHERE series = ? ORDER BY step, seq"
BASELINE = "fromiter: step, value, time"


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, points=100_000, repeat=31)
    two = numpy.dtype([("step", "i8"), ("value", "f8")])
    three = numpy.dtype([("step", "i8"), ("value", "f8"), ("time_ms", "i8")])
    with tempfile.TemporaryDirectory() as folder, Archive(Path(folder) / "lab.db") as archive:
        run = make_curve(archive, given.points)
        bare, series = bare_connection(archive, run)
        tail = archive.tail(run)
        assert sum(len(update.series) for update in tail.read()) == 2 * given.points
        assert len(run.series(METRIC)) == given.points
        tasks = {
            BASELINE: lambda: numpy.fromiter(bare.execute(ALL_COLUMNS, (series,)), three),
            "fromiter: step, value": lambda: numpy.fromiter(bare.execute(STEP_VALUE, (series,)), two),
            "fetchall": lambda: bare.execute(ALL_COLUMNS, (series,)).fetchall(),
            "run.series(): step, value, time": lambda: run.series(METRIC),
            "run.series().lists()": lambda: run.series(METRIC).lists(),
            "run.get_metric(): objects": lambda: run.get_metric(METRIC),
            "archive.tail().read(): all": lambda: archive.tail(run, METRIC).read(),
            "tail.read(): nothing new": tail.read,
        }
        print(f"one series of {given.points:,} points, {given.repeat} times each in turn")
        medians = print_times(in_turn(tasks, given.repeat), BASELINE)
        bare.close()
    ours = medians["run.series(): step, value, time"]
    headline(
        f"{given.points:,} points into numpy: {ours:.1f} ms, {ours / medians[BASELINE]:.2f} x fromiter of the"
        f" same columns, {ours / medians['fromiter: step, value']:.2f} x fromiter without times (<= 1.2)"
    )
    headline(f"asking for what is new when nothing is: {medians['tail.read(): nothing new'] * 1000:.0f} µs")


if __name__ == "__main__":
    main()
