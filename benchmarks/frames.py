"""How long does it take to make a frame of 1000 runs with 20 config keys and 10 metrics?

    python -m benchmarks.frames [--runs 1000] [--repeat 15] [--quick]

Baseline in the same process: the same rows (runs, tags, config values, metric summaries) fetched by bare
``sqlite3``; for points, the points of the same series.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.timing import arguments, headline, in_turn, print_times
from exptrack import Archive

KEYS, METRICS, POINTS = 20, 10, 10
ROWS = (
    "SELECT * FROM run ORDER BY started_at DESC",
    "SELECT run, tag FROM run_tag",
    "SELECT v.run, k.key, v.type, v.num, v.text FROM config_value AS v JOIN config_key AS k ON k.id = v.key",
    "SELECT s.run, n.name, s.last_value FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric",
)
POINT_ROWS = """
SELECT r.run_id, n.name, p.step, p.value, p.time_ms
FROM metric_point AS p JOIN metric_series AS s ON s.id = p.series
JOIN metric_name AS n ON n.id = s.metric JOIN run AS r ON r.id = s.run
"""
BARE, BARE_POINTS = "sqlite3: the same rows", "sqlite3: the same points"


def make_runs(archive: Archive, runs: int, seed: int = 0) -> None:
    """Runs with whole numbers, floats, texts, bools and lists in their configs."""
    chance = random.Random(seed)
    for number in range(runs):
        config = {
            "seed": number,
            "lr": chance.choice([0.1, 0.03, 0.01]),
            "optimizer": chance.choice(["adam", "sgd"]),
            "amp": chance.random() < 0.5,
            "layers": [64, 64, chance.choice([10, 100])],
            "model": {f"size{i}": chance.randrange(100) for i in range(KEYS - 5)},
        }
        with archive.start_run(config, ["bench"], name="frame") as run:
            for step in range(POINTS):
                run.log({f"metric{i}": chance.random() for i in range(METRICS)}, step)


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, runs=1000, repeat=15)
    with tempfile.TemporaryDirectory() as folder, Archive(Path(folder) / "lab.db") as archive:
        make_runs(archive, given.runs)
        query = archive.runs()
        assert query.to_pandas().shape == (given.runs, 17 + KEYS + METRICS)
        assert len(query.metrics_to_pandas()) == given.runs * METRICS * POINTS
        bare = sqlite3.connect(Path(archive.path).as_uri() + "?mode=ro", uri=True)
        bare.execute("PRAGMA cache_size = -16000")
        tasks = {
            BARE: lambda: [bare.execute(sql).fetchall() for sql in ROWS],
            "to_dicts()": query.to_dicts,
            "to_pandas()": query.to_pandas,
            "to_polars()": query.to_polars,
            "to_pandas(), 3 columns": lambda: query.to_pandas(["run_id", "config.lr", "metrics.metric0"]),
            BARE_POINTS: lambda: bare.execute(POINT_ROWS).fetchall(),
            "metrics_to_pandas()": query.metrics_to_pandas,
            "metrics_to_polars()": query.metrics_to_polars,
        }
        print(
            f"{given.runs:,} runs, {KEYS} keys, {METRICS} metrics of {POINTS} points, {given.repeat} times each"
        )
        medians = print_times(in_turn(tasks, given.repeat), BARE)
        bare.close()
    ours, points = medians["to_pandas()"], medians["metrics_to_pandas()"]
    headline(
        f"{given.runs:,} runs into pandas: {ours:.0f} ms (<= 150), {ours / medians[BARE]:.1f} x sqlite3"
        f" fetching the same rows; their {given.runs * METRICS * POINTS:,} points: {points:.0f} ms,"
        f" {points / medians[BARE_POINTS]:.2f} x"
    )


if __name__ == "__main__":
    main()
