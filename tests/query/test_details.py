"""Runs are listed newest first."""

from __future__ import annotations

from exptrack import Archive


def test_all_runs_are_listed_newest_first(archive: Archive) -> None:
    ids = []
    for _ in range(5):
        with archive.start_run() as run:
            run.log_metric("x", 1)
        ids.append(run.run_id)
    assert [r.run_id for r in archive.list_runs()] == ids[::-1]
    assert sorted(ids) == ids
    assert len(archive.list_runs(limit=2)) == 2
