"""Does memory stay constant, however many points are logged?

    python -m benchmarks.memory [--points 50000000] [--quick]

One run, one call a point, as fast as it goes. The baseline is the same process after a tenth of the points.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.timing import arguments, headline, print_table
from exptrack import Archive

PARTS = 10
UNITS_PER_MB = 1024 * 1024 if sys.platform == "darwin" else 1024


def peak_mb() -> float:
    """The most memory this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / UNITS_PER_MB


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, points=50_000_000)
    before = peak_mb()
    peaks = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Archive(Path(folder) / "lab.db") as archive,
        archive.start_run() as run,
    ):
        for part in range(PARTS):
            for step in range(given.points * part // PARTS, given.points * (part + 1) // PARTS):
                run.log_metric("loss", 0.5, step)
            peaks.append((given.points * (part + 1) // PARTS, peak_mb()))
    print(f"peak of the process before the first point: {before:.1f} MB")
    print_table(("after points", "peak MB"), [(f"{points:,}", peak) for points, peak in peaks])
    headline(
        f"{given.points:,} points: peak {peaks[-1][1]:.1f} MB,"
        f" {peaks[-1][1] - peaks[0][1]:.1f} MB more than after the first tenth"
    )


if __name__ == "__main__":
    main()
