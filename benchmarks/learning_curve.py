"""An archive with one long learning curve, for the benchmarks that read it."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

from exptrack import Archive, Run

METRIC = "loss"


def make_curve(archive: Archive, points: int, seed: int = 0) -> Run:
    """Make a completed run with `points` points of a metric, and two more metrics so that keys interleave."""
    noise = random.Random(seed)
    with archive.start_run({"seed": seed}) as run:
        for step in range(points):
            run.log({METRIC: 1 / (1 + step) + noise.random() / 10, "accuracy": noise.random()}, step)
    return run


def bare_connection(archive: Archive, run: Run) -> tuple[sqlite3.Connection, int]:
    """What a user of plain ``sqlite3`` has: a connection to the file, and the number of the curve in it."""
    connection = sqlite3.connect(Path(archive.path).as_uri() + "?mode=ro", uri=True, isolation_level=None)
    connection.execute("PRAGMA cache_size = -16000")
    (series,) = connection.execute(
        "SELECT s.id FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric"
        " JOIN run AS r ON r.id = s.run WHERE r.run_id = ? AND n.name = ?",
        (run.run_id, METRIC),
    ).fetchone()
    return connection, series
