"""A RunFilter admits runs by status, tag and time."""

from __future__ import annotations

from exptrack import Archive, RunFilter, RunStatus


def test_runs_are_listed_by_status_and_tag(archive: Archive) -> None:
    done = archive.start_run(tags=["a"])
    done.complete()
    broken = archive.start_run(tags=["a", "b"])
    broken.fail("out of memory")
    live = archive.start_run()
    assert [r.run_id for r in archive.list_runs(RunFilter.by_status("failed"))] == [broken.run_id]
    assert archive.list_runs(RunFilter.by_status("failed"))[0].reason == "out of memory"
    tagged = RunFilter.by_tag("a")
    assert [r.run_id for r in archive.list_runs(tagged)] == [broken.run_id, done.run_id]
    assert [r.run_id for r in archive.list_runs(tagged.by_status(RunStatus.COMPLETED))] == [done.run_id]
    assert archive.list_runs(RunFilter.all(after="2999-01-01")) == []
    assert len(archive.list_runs(RunFilter.all(before="2999-01-01"))) == 3
    live.complete()
