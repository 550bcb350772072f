"""Run ids sort by the start of their runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from exptrack import (
    Archive,
    RecordedRun,
)

BEGIN = datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)


def test_ids_sort_by_the_start_whatever_the_order_of_the_records(archive: Archive) -> None:
    starts = [BEGIN + timedelta(hours=n) for n in (5, 1, 4, 2, 3)]
    ids = archive.record_runs(RecordedRun({}, start) for start in starts)
    with archive.start_run() as live:
        pass
    assert sorted(ids) == [run_id for _start, run_id in sorted(zip(starts, ids, strict=True))]
    assert max(ids) < live.run_id
    assert [run.run_id for run in archive.list_runs()] == [live.run_id, *sorted(ids, reverse=True)]
