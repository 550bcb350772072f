"""Decide whether one copy of a run has all points of another copy.

Invariant: a point counts, whatever a rewinding of the run has made of the name of its metric since.
"""

from __future__ import annotations

import json

from exptrack.database.connection import Connection
from exptrack.metrics.rewound import is_hidden_from, is_rewound
from exptrack.portable.history import Copy

# Whether a series has a point that others do not have. The gaps are the schemas of the two.
HAS_MORE = """
SELECT EXISTS (
    SELECT 1 FROM {one}.metric_point AS p WHERE p.series = ? AND NOT EXISTS (
        SELECT 1 FROM {other}.metric_point AS q
        WHERE q.series IN (SELECT value FROM json_each(?)) AND q.step = p.step AND q.seq = p.seq
          AND q.time_ms = p.time_ms AND q.value IS p.value
    )
)
"""


def contains_points(connection: Connection, one: Copy, other: Copy) -> bool:
    """Whether a copy has all points of another one, perhaps hidden by a rewinding that the other lacks."""
    held = {series.name: series for series in one.rows.series}
    hidden = [series for series in one.rows.series if is_rewound(series.name)]
    for series in other.rows.series:
        mine = held.get(series.name)
        is_sealed = mine is not None and mine.checksum is not None and series.checksum is not None
        if mine and is_sealed and (mine.numbers[0], mine.checksum) == (series.numbers[0], series.checksum):
            continue
        places = [] if mine is None else [mine]
        places += [each for each in hidden if is_hidden_from(each.name, series.name)]
        if sum(each.numbers[0] for each in places) < series.numbers[0]:
            return False
        sql = HAS_MORE.format(one=other.where, other=one.where)
        among = json.dumps([each.row_id for each in places])
        if connection.value(sql, (series.row_id, among)):
            return False
    return True
