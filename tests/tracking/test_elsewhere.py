"""Runs that are written for another process: what is said of them, and their lease."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exptrack import (
    Archive,
    InvalidTypeError,
    InvalidValueError,
    Run,
    RunBusyError,
    RunFinishedError,
    current_run,
)
from exptrack.runs import lease

LOGS = """
import sys
import exptrack
run = exptrack.Archive(sys.argv[1]).get_run(sys.argv[2])
run.log({"loss": 0.5})
run.log_metric("loss", 0.4)
run.add_tag("seen")
"""
STARTS = """
import os, sys
import exptrack
run = exptrack.Archive(sys.argv[1]).start_run(owner="lease", lease_s=3600, code={}, environment={})
run.log({"loss": 0.9})
print(run.run_id, flush=True)
if sys.argv[2] == "die":
    os._exit(3)
"""


def in_another_process(code: str, archive: Archive, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, archive.path, *words], stdout=subprocess.PIPE, text=True, check=False
    )
    return done.stdout.strip()


def heard(run: Run) -> str:
    return str(run._connection.value("SELECT heartbeat_at FROM run WHERE id = ?", (run._run,)))


class Clock:
    """The time of day as leases see it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta()
        clock = self

        class Moved(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + clock.ahead

        monkeypatch.setattr(lease, "datetime", Moved)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_run_tells_what_its_caller_said(archive: Archive) -> None:
    began = datetime.now(UTC).replace(microsecond=250_000) - timedelta(days=400)
    run = archive.start_run(
        {"lr": 0.1},
        started_at=began,
        code={"commit": "abc", "dirty": True, "branch": "main", "script": "train.py"},
        environment={"host": "node7", "python": "CPython 3.14.1", "platform": "Linux"},
    )
    assert run.started_at == began
    assert run.elapsed_s == pytest.approx(400 * 86400, abs=60)
    run.log({"loss": 1.0}, time=began + timedelta(seconds=1))
    (point,) = run.get_metric("loss")
    assert point.time == began + timedelta(seconds=1)
    run.log({"loss": 0.5})
    found = archive.show_run(run)
    assert found.summary.heartbeat_at > began + timedelta(days=399)
    summary = found.summary
    assert (summary.host, summary.vcs_commit, summary.vcs_dirty) == ("node7", "abc", True)
    facts = ("python", "platform", "script", "vcs_branch", "command", "variables", "system")
    told = ["CPython 3.14.1", "Linux", "train.py", "main", [], {}, {}]
    assert [found.environment[name] for name in facts] == told
    run.complete()
    # Its id sorts by its start.
    later = archive.start_run(code={}, environment={})
    assert run.run_id < later.run_id
    assert (archive.show_run(later).summary.host, archive.show_run(later).environment["python"]) == ("", "")
    later.complete()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"started_at": datetime(1969, 1, 1, tzinfo=UTC)}, InvalidValueError),
        ({"started_at": datetime(2999, 1, 1, tzinfo=UTC)}, InvalidValueError),
        ({"started_at": "yesterday"}, InvalidTypeError),
        ({"code": {"hash": "abc"}}, InvalidValueError),
        ({"code": "abc"}, InvalidTypeError),
        ({"code": {"dirty": "yes"}}, InvalidTypeError),
        ({"environment": {"host": 7}}, InvalidTypeError),
        ({"owner": "me"}, InvalidValueError),
        ({"owner": "lease"}, InvalidValueError),
        ({"lease_s": 60}, InvalidValueError),
        ({"owner": "lease", "lease_s": 0}, InvalidValueError),
        ({"owner": "lease", "lease_s": float("inf")}, InvalidValueError),
        ({"owner": "lease", "lease_s": 60, "system_metrics": True}, InvalidValueError),
    ],
)
def test_what_cannot_be_is_refused(archive: Archive, options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        archive.start_run(**options)
    assert archive.list_runs() == []


def test_any_process_writes_a_run_with_a_lease_and_ends_it(archive: Archive) -> None:
    run = archive.start_run(owner="lease", lease_s=3600)
    run.log({"loss": 0.6}, step=4)
    in_another_process(LOGS, archive, run.run_id)
    run.log({"loss": 0.3})
    assert [(point.step, point.value) for point in run.get_metric("loss")] == [
        (4, 0.6),
        (5, 0.5),
        (6, 0.4),
        (7, 0.3),
    ]
    assert run.tags == ("seen",)
    # Nothing of it waits in a journal.
    assert [name for name in os.listdir() if name.endswith(".points")] == []
    with pytest.raises(RunBusyError, match="under a lease of 3600 s"):
        archive.resume_run(run)
    archive.get_run(run.run_id).complete()
    with pytest.raises(RunFinishedError):
        run.log({"loss": 0.2})


@pytest.mark.parametrize("ending", ["die", "exit"])
def test_the_end_of_the_process_that_started_it_does_not_end_it(archive: Archive, ending: str) -> None:
    run_id = in_another_process(STARTS, archive, ending)
    summary = archive.show_run(run_id).summary
    assert (summary.status, summary.metrics) == ("running", {"loss": 0.9})
    assert archive.recover(take_over=True).runs == ()
    assert archive.end_run(run_id, "completed", exit_code=3) == "completed"


def test_a_run_with_a_lease_dies_when_nothing_is_heard_of_it(archive: Archive, clock: Clock) -> None:
    run = archive.start_run(owner="lease", lease_s=60)
    clock.ahead = timedelta(seconds=59)
    assert archive.show_run(run).summary.status == "running"
    clock.ahead = timedelta(seconds=61)
    with Archive(archive.path, mode="ro") as reader:
        # A reader, which marks nothing, sees the same.
        assert [one.status for one in reader.list_runs()] == ["interrupted"]
        assert reader.runs().where("status = interrupted").count() == 1
    assert str(run.status) == "running"
    # Until it is marked, any write revives it.
    run.add_note("late")
    assert archive.show_run(run).summary.status == "running"
    clock.ahead = timedelta(seconds=200)
    assert archive.recover().runs == (run.run_id,)
    summary = archive.show_run(run).summary
    assert (str(summary.status), summary.reason) == (
        "interrupted",
        "its lease ran out: nothing was heard of it for longer than that",
    )
    assert 60 < summary.duration_s < 65
    with pytest.raises(RunFinishedError):
        run.log({"loss": 1.0})
    # A supervisor's word replaces the verdict.
    assert archive.end_run(run, "completed") == "completed"


def test_a_clock_that_is_set_back_does_not_end_it(archive: Archive, clock: Clock) -> None:
    clock.ahead = timedelta(days=3)
    run = archive.start_run(owner="lease", lease_s=60)
    run.beat()
    clock.ahead = timedelta()
    assert archive.show_run(run).summary.status == "running"
    before = heard(run)
    run.log({"loss": 1.0})
    assert heard(run) < before
    run.complete()
    summary = archive.show_run(run).summary
    assert summary.ended_at is not None
    assert summary.ended_at >= summary.started_at


def test_every_write_renews_the_lease_when_that_is_due(archive: Archive, clock: Clock) -> None:
    run = archive.start_run(owner="lease", lease_s=60)
    handle = archive.get_run(run.run_id)
    writes: list[Callable[[], object]] = [
        lambda: handle.log({"loss": 1.0}),
        lambda: handle.log_many("loss", None, [1.0]),
        lambda: handle.log_rows([("loss", 1.0)]),
        lambda: handle.add_tag("tag"),
        lambda: handle.add_note("note"),
        lambda: handle.append_event("kind"),
        lambda: handle.set_attribute("key", 1),
        lambda: handle.artifacts.register_data("w", b"1"),
        lambda: handle.update_config({"a": 1}),
        handle.flush,
        handle.beat,
    ]
    for write in writes:
        clock.ahead += timedelta(seconds=14)
        before = heard(run)
        handle.add_note("not due yet")
        assert heard(run) == before
        clock.ahead += timedelta(seconds=2)
        write()
        assert heard(run) > before
    with run:
        pass
    assert str(run.status) == "completed"


def test_the_block_of_a_run_with_a_lease_ends_it(archive: Archive) -> None:
    with pytest.raises(ZeroDivisionError), archive.start_run(owner="lease", lease_s=60) as run:
        raise ZeroDivisionError
    assert str(run.status) == "failed"
    closed = Archive(archive.path)
    with pytest.raises(ZeroDivisionError), closed.start_run(owner="lease", lease_s=60):
        closed.close()
        raise ZeroDivisionError
    (left,) = archive.runs().with_status("running")
    archive.end_run(left, "failed")
    with archive.start_run(owner="lease", lease_s=60) as other:
        assert current_run() is other
        # The block of another handle does not.
        with archive.get_run(other.run_id):
            pass
        assert str(other.status) == "running"
        archive.get_run(other.run_id).interrupt("stopped")
    assert str(other.status) == "interrupted"


def test_a_run_is_resumed_with_a_lease_and_without(archive: Archive) -> None:
    with archive.start_run() as run:
        run.log({"loss": 1.0})
    leased = archive.resume_run(run, owner="lease", lease_s=60)
    leased.log({"loss": 0.5})
    own = archive.resume_run(run, take_over=True)
    own.log({"loss": 0.25})
    assert [point.value for point in own.get_metric("loss")] == [1.0, 0.5, 0.25]
    own.complete()
