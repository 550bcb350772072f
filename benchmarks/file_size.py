"""How many bytes does a point take in the file?

    python -m benchmarks.file_size [--points 200000] [--series 10] [--quick]

The size is that of the closed file, less that of an archive with one run and no points. Baselines in the same
process: bare ``sqlite3`` files with the same points in common layouts.
"""

from __future__ import annotations

import os
import random
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.timing import arguments, headline, print_table
from exptrack import Archive

# Name of the layout: its tables.
LAYOUTS = {
    "one table: key (series, step), time, value": """
        CREATE TABLE point (
            series INTEGER, step INTEGER, time_ms INTEGER, value REAL, PRIMARY KEY (series, step)
        ) WITHOUT ROWID, STRICT""",
    "rows, index on (series, step)": """
        CREATE TABLE point (series INTEGER, step INTEGER, time_ms INTEGER, value REAL) STRICT;
        CREATE INDEX point_by_step ON point (series, step)""",
    "rows with name and run as text, index": """
        CREATE TABLE point (series TEXT, step INTEGER, time_ms REAL, value REAL) STRICT;
        CREATE INDEX point_by_step ON point (series, step)""",
}


def values(points: int, series: int) -> Iterator[dict[str, float]]:
    """One map of metrics for each step."""
    noise = random.Random(0)
    for _ in range(points // series):
        yield {f"metric{number}": noise.random() for number in range(series)}


def archive_bytes(path: Path, points: int, series: int) -> int:
    """The size of a closed archive with one run."""
    with Archive(path) as archive, archive.start_run() as run:
        for step, logged in enumerate(values(points, series)):
            run.log(logged, step)
    return os.path.getsize(path)


def layout_bytes(path: Path, tables: str, points: int, series: int) -> int:
    """The size of a closed bare file with the same points."""
    connection = sqlite3.connect(path)
    connection.executescript(tables)
    names = "TEXT" in tables
    for step, logged in enumerate(values(points, series)):
        connection.executemany(
            "INSERT INTO point VALUES (?, ?, ?, ?)",
            [
                (f"run0 {name}" if names else number, step, float(step) if names else step, value)
                for number, (name, value) in enumerate(logged.items())
            ],
        )
    connection.commit()
    connection.close()
    return os.path.getsize(path)


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, points=200_000, series=10)
    points = given.points // given.series * given.series
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = archive_bytes(folder / "empty.db", 0, given.series)
        full = archive_bytes(folder / "lab.db", points, given.series)
        ours = (full - empty) / points
        rows: list[tuple[object, ...]] = [("exptrack", full, full - empty, ours)]
        for number, (layout, tables) in enumerate(LAYOUTS.items()):
            path = folder / f"{number}.db"
            size = layout_bytes(path, tables, points, given.series)
            rows.append((f"sqlite3, {layout}", size, size, size / points))
    print(f"{points:,} points in {given.series} series")
    print_table(("file", "bytes", "of points", "per point"), rows)
    headline(f"{ours:.1f} bytes a point in the file (<= 26)")


if __name__ == "__main__":
    main()
