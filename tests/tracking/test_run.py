"""The handle on a run: how it ends."""

from __future__ import annotations

import pytest

from exptrack import Archive, InvalidValueError, RunNotFoundError


@pytest.mark.parametrize("status", ["completed", "failed", "interrupted"])
def test_finish_ends_a_run_in_words(archive: Archive, status: str) -> None:
    run = archive.start_run()
    with pytest.raises(InvalidValueError):
        run.finish("running")
    run.finish(status, "enough")
    summary = archive.show_run(run.run_id).summary
    assert (summary.status, summary.reason) == (status, "enough")


def test_a_handle_on_a_deleted_run_touches_no_other(archive: Archive) -> None:
    old = archive.start_run()
    old.log({"loss": 1.0})
    store = old.artifacts
    store.register_data("weights", b"old")
    old.complete()
    archive.delete_run(old)
    new = archive.start_run()
    new.log({"loss": 7.0})
    new.artifacts.register_data("weights", b"new")
    for call in (
        lambda: old.add_tag("mine"),
        lambda: old.add_note("mine"),
        lambda: old.append_event("mine"),
        lambda: old.log({"loss": 2.0}),
        lambda: old.log_many("loss", [1], [2.0]),
        lambda: old.get_metric("loss"),
        lambda: old.get_last_metric("loss"),
        lambda: store.register_data("weights", b"mine"),
        lambda: store.get_blob("weights"),
        lambda: store.get_artifact("weights"),
        old.complete,
    ):
        with pytest.raises(RunNotFoundError):
            call()
    assert [point.value for point in new.get_metric("loss")] == [7.0]
    assert (new.tags, new.notes) == ((), ())
    new.complete()


def test_no_run_ends_before_it_began_where_the_clock_is_set_back(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = archive.start_run()
    for module in ("exptrack.tracking.run", "exptrack.runs.ownership"):
        monkeypatch.setattr(f"{module}.utc_text", lambda: "2001-01-01 00:00:00.000000")
    run.beat()
    assert archive.show_run(run.run_id).summary.heartbeat_at == run.started_at
    run.complete()
    summary = archive.show_run(run.run_id).summary
    assert summary.ended_at == summary.heartbeat_at == summary.started_at
    resumed = archive.resume_run(run.run_id)
    assert archive.show_run(run.run_id).summary.heartbeat_at == run.started_at
    resumed.complete()
    assert archive.verify().problems == ()
