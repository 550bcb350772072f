"""Add to a draft the points that stand only in journals beside the damaged archive.

A record of a journal has its own checksum, so its points are proved. Those before the address up to which the
journal is drained are in the archive. Where that address is lost, a point that the draft has is passed over.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from exptrack.database.connection import Connection
from exptrack.metrics.journal_file import Header, list_journals
from exptrack.metrics.journal_reader import Damage, JournalPoint, read_header, read_points
from exptrack.metrics.store import NewPoints, SeriesRow, append_points
from exptrack.portable.salvage_intake import Draft
from exptrack.portable.salvage_report import count_of

POINTS_AT_ONCE = 10_000

RUN_OF = "SELECT id, status FROM run WHERE run_id = ?"
IS_STORED = """
SELECT 1 FROM metric_point AS p JOIN metric_series AS s ON s.id = p.series
JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? AND n.name = ? AND p.step = ? AND p.time_ms = ? AND p.value IS ?
"""


def take_journals(draft: Draft, path: Path) -> dict[int, int]:
    """Add the points of all journals to runs that were running; return how many each run got, by row id."""
    taken: dict[int, int] = defaultdict(int)
    try:
        journals = list_journals(path)
    except OSError:
        draft.findings.others.append(f"journals: the folder of {path} cannot be listed")
        return taken
    for journal in journals:
        header = read_header(journal)
        if header is None:
            draft.findings.others.append(f"the journal {journal.name}: it has no sound header")
        elif draft.birth is None or header.archive == draft.birth:
            _take_journal(draft, journal, header, taken)
    return taken


def _take_journal(draft: Draft, journal: Path, header: Header, taken: dict[int, int]) -> None:
    damage = Damage()
    drained = draft.drained.get(header.key)
    left_out = 0
    series: dict[tuple[str, str], SeriesRow] = {}
    batch: list[JournalPoint] = []

    def store() -> None:
        nonlocal left_out
        left_out += _store(draft.connection, batch, series, taken, drained is None)

    for point in read_points(journal, header, drained or 0, damage):
        batch.append(point)
        if len(batch) == POINTS_AT_ONCE:
            draft.change(store)
            batch.clear()
    draft.change(store)
    if left_out:
        draft.findings.others.append(
            f"{count_of(left_out, 'point')} in the journal {journal.name}: their runs had ended or are lost"
        )
    if damage:
        draft.findings.others.append(f"the journal {journal.name}: {damage.describe()}")


def _store(
    connection: Connection,
    points: list[JournalPoint],
    series: dict[tuple[str, str], SeriesRow],
    taken: dict[int, int],
    may_be_stored: bool,
) -> int:
    """Add points to the runs that were running; return how many were left out."""
    left_out = 0
    columns: dict[tuple[str, str], tuple[list[int], list[int], list[float]]] = {}
    runs = {run_id: connection.one(RUN_OF, (run_id,)) for run_id in {point.run_id for point in points}}
    for run_id, name, step, time_ms, value in points:
        row = runs[run_id]
        if row is None or row["status"] != "running":
            left_out += 1
            continue
        stored = value if value == value else None
        if may_be_stored and connection.one(IS_STORED, (row["id"], name, step, time_ms, stored)):
            continue
        series.setdefault((run_id, name), SeriesRow(row["id"], name))
        steps, times_ms, values = columns.setdefault((run_id, name), ([], [], []))
        steps.append(step)
        times_ms.append(time_ms)
        values.append(value)
        taken[row["id"]] = taken.get(row["id"], 0) + 1
    append_points(connection, [NewPoints(series[key], *lists) for key, lists in columns.items()])
    return left_out
