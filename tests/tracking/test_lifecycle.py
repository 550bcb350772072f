"""Starting and resuming runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exptrack import Archive, RunBusyError
from tests.metrics.points import killed


def test_a_live_run_is_not_resumed_twice(archive: Archive) -> None:
    run = archive.start_run()
    with pytest.raises(RunBusyError):
        archive.resume_run(run.run_id)
    with pytest.raises(RunBusyError):
        archive.delete_run(run.run_id)
    run.complete()


def test_a_killed_run_ends_at_its_last_point(tmp_path: Path) -> None:
    killed(tmp_path, "import time; run.log_metric('x', 1.0); time.sleep(0.2); run.log_metric('x', 2.0)")
    with Archive(tmp_path / "lab.db") as archive:
        (run,) = archive.list_runs()
        last = archive.get_run(run.run_id).get_metric("x")[-1]
        assert run.ended_at is not None
        assert run.ended_at == run.heartbeat_at == last.time
        assert run.duration_s >= 0.2
        assert abs(run.ended_at - run.started_at - timedelta(seconds=run.duration_s)) < timedelta(seconds=0.002)
        assert archive.verify().problems == ()


def test_a_point_of_a_time_to_come_does_not_end_a_killed_run_later_than_now(tmp_path: Path) -> None:
    killed(tmp_path, "run.log({'x': 1.0}, time=32503680000)  # in the year 3000")
    with Archive(tmp_path / "lab.db") as archive:
        (run,) = archive.list_runs()
        assert run.ended_at is not None
        assert run.started_at <= run.ended_at <= datetime.now(UTC)
