"""Starting and resuming runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
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


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("until", ["2001-01-01", "2100-01-01"])
def test_a_clock_that_is_set_moves_neither_the_end_nor_the_duration_of_a_killed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: str, resumed: bool
) -> None:
    resume = """
        run.log_metric("x", 1.0)
        run.complete()
        run = archive.resume_run(run.run_id)
        """
    killed(
        tmp_path,
        f"""
        import time
        from exptrack.runs import ownership
        from exptrack.tracking import run as running
        ownership.utc_text = running.utc_text = lambda: "2001-01-01 00:00:00.000000"
        time.sleep(0.2)
        {resume if resumed else ""}
        run.beat()
        run.log_metric("x", 2.0)
        """,
    )

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromisoformat(until).replace(tzinfo=tz)

    monkeypatch.setattr("exptrack.tracking.lifecycle.datetime", Clock)
    with Archive(tmp_path / "lab.db") as archive:
        (run,) = archive.list_runs()
        last = archive.get_run(run.run_id).get_metric("x")[-1]
        assert run.ended_at == run.heartbeat_at == last.time
        lived_s = (last.time - run.started_at) / timedelta(seconds=1)
        assert 0.2 <= run.duration_s == pytest.approx(lived_s, abs=0.002)
        archive.resume_run(run.run_id).complete()
        assert archive.verify().problems == ()
