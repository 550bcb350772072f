"""Find where metrics became NaN."""

from __future__ import annotations

import json
from collections.abc import Sequence

from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows

# Only series that have a NaN are read, each up to its first one.
FIRST_NANS = """
SELECT s.run, n.name,
       (SELECT p.step FROM metric_point AS p WHERE p.series = s.id AND p.value IS NULL
        ORDER BY p.step, p.seq LIMIT 1)
FROM json_each(?) AS e CROSS JOIN metric_series AS s ON s.run = e.value JOIN metric_name AS n ON n.id = s.metric
WHERE s.nan_count > 0 ORDER BY n.name
"""


@decoding_rows
def read_nan_steps(connection: Connection, runs: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return the first step at which a metric was NaN, by run and metric, for the metrics that ever were."""
    found: dict[int, dict[str, int]] = {}
    for run, name, step in connection.fold(FIRST_NANS, (json.dumps(list(runs)),), list):
        found.setdefault(run, {})[name] = step
    return found
