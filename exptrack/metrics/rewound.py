"""Hide what a run logged past a step, when it goes on from there: kept, under another name.

The points of a metric past the step become those of another metric, such as ``exptrack:rewound/1/loss``. So
every curve, summary and ranking of ``loss`` is right without asking, and all checks and copies hold for both.

Invariants: no point is lost or changed. The first rewinding of a run has the number 1, the next one 2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

from exptrack.database.connection import Connection, Row
from exptrack.database.row_sums import ADD_TO_RUN, METRIC_KIND, hash_row, sum_points, wrap_sum
from exptrack.metrics.series_seals import SERIES_OF_RUN
from exptrack.metrics.store import (
    INSERT_SERIES,
    SAVE_SUM,
    hash_summary,
    metric_row_id,
    nan_if_null,
)
from exptrack.metrics.summary import SUMMARY_COLUMNS, Summary
from exptrack.records import REWOUND
from exptrack.validation import MAX_NAME_CHARS

HASH_CHARS = 16
POINTS_AT_ONCE = 4096

MOVE_POINTS = "UPDATE metric_point SET series = ? WHERE series = ? AND step > ?"
# By time, as that is the order of logging.
POINTS_IN_ORDER = """
SELECT step, seq, time_ms, value FROM metric_point WHERE series = ? ORDER BY time_ms, step, seq
"""
SAVE_SUMMARY = f"""
UPDATE metric_series SET {", ".join(f"{column} = ?" for column in SUMMARY_COLUMNS)} WHERE id = ?
"""
DELETE_SERIES = "DELETE FROM metric_series WHERE id = ?"


def rewind(connection: Connection, run: int, step: int) -> tuple[int, int, int]:
    """Hide the points of a run past `step`. Return the number of the rewinding, of metrics, and of points.

    Call inside a transaction, of a run whose series have no seals.
    """
    rows = connection.all(SERIES_OF_RUN, (run,))
    number = 1 + max((int(row["name"].split("/")[1]) for row in rows if is_rewound(row["name"])), default=0)
    metrics = points = 0
    for row in rows:
        if row["top_step"] > step and not is_rewound(row["name"]):
            metrics += 1
            points += _split(connection, run, row, name_rewound(row["name"], number), step)
    return number, metrics, points


def is_rewound(name: str) -> bool:
    """Whether a metric holds points that a rewinding has hidden."""
    return find_original(name) is not None


def name_rewound(name: str, number: int) -> str:
    """Return the name under which a rewinding hides points. Of a long name, a hash stands for the end."""
    hidden = f"{REWOUND}{number}/{name}"
    if len(hidden) <= MAX_NAME_CHARS:
        return hidden
    digest = hashlib.sha256(name.encode()).hexdigest()[:HASH_CHARS]
    return f"{hidden[: MAX_NAME_CHARS - HASH_CHARS - 1]}~{digest}"


def find_original(name: str) -> str | None:
    """Return the name from which a metric was hidden, cut if that is long; None if it was not hidden."""
    if not name.startswith(REWOUND):
        return None
    number, slash, original = name[len(REWOUND) :].partition("/")
    return original if slash and number.isascii() and number.isdigit() else None


def is_hidden_from(hidden: str, name: str) -> bool:
    """Whether a rewinding hid points of the metric `name` under the name `hidden`."""
    if not is_rewound(hidden):
        return False
    return name_rewound(name, int(hidden[len(REWOUND) :].partition("/")[0])) == hidden


def _split(connection: Connection, run: int, row: Row, hidden: str, step: int) -> int:
    """Give the points of a series past `step` to a new one; return their number."""
    series = row["id"]
    metric = metric_row_id(connection, hidden)
    new = connection.execute(INSERT_SERIES, (run, metric, *Summary().columns())).lastrowid
    moved = connection.execute(MOVE_POINTS, (new, series, step)).rowcount
    names = hash_row(METRIC_KIND, (hidden,))
    _summarize(connection, new, run, hidden)
    if moved == row["count"]:
        connection.execute(DELETE_SERIES, (series,))
        names -= hash_row(METRIC_KIND, (row["name"],))
    else:
        _summarize(connection, series, run, row["name"], row, step)
    connection.execute(ADD_TO_RUN, (wrap_sum(names), run))
    return moved


def _summarize(
    connection: Connection, series: Any, run: int, name: str, before: Row | None = None, step: int = 0
) -> None:
    """Save the summary of the points that a series has now; `before` is its row when it had more of them."""
    summary, total = Summary(), 0
    for batch in _batches(connection, series):
        steps, seqs, times_ms, stored = map(list, zip(*batch, strict=True))
        values = [nan_if_null(value) for value in stored]
        summary.extend(steps, times_ms, values)
        total += sum_points(steps, seqs, times_ms, values)
    if before is not None:
        _keep_places(summary, before, step)
    numbers = summary.columns()
    connection.execute(SAVE_SUMMARY, (*numbers, series))
    connection.execute(SAVE_SUM, (wrap_sum(hash_summary(series, run, name, numbers) + total), series))


def _batches(connection: Connection, series: int) -> Iterator[list[Row]]:
    rows = connection.iterate(POINTS_IN_ORDER, (series,))
    while batch := list(islice(rows, POINTS_AT_ONCE)):
        yield batch


def _keep_places(summary: Summary, before: Row, step: int) -> None:
    """Take over what is still right of a summary: it knows the order of points of one millisecond."""
    if before["first_step"] <= step:
        summary.first_step, summary.first_value = before["first_step"], before["first_value"]
    if before["last_step"] <= step:
        summary.last_step, summary.last_value = before["last_step"], before["last_value"]
        summary.last_time_ms = before["last_time_ms"]
    if before["min_step"] is not None and before["min_step"] <= step:
        summary.min_step, summary.min_value = before["min_step"], before["min_value"]
    if before["max_step"] is not None and before["max_step"] <= step:
        summary.max_step, summary.max_value = before["max_step"], before["max_value"]
