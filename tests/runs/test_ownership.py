"""A run is dead when its process is: told by pid, start time and boot, and on its own host only."""

from __future__ import annotations

import pytest

from exptrack import Archive, RunBusyError, RunStatus
from exptrack.process import current_process
from tests.changes import altering


def _pretend_owner(archive: Archive, column: str, value: object) -> None:
    with altering(archive._connection):
        archive._connection.execute(f"UPDATE run_owner SET {column} = ?", (value,))


@pytest.mark.parametrize(
    ("column", "value"), [("pid_started", "0"), ("boot_id", "an earlier boot"), ("pid", 2**22 - 7)]
)
def test_a_run_is_dead_by_pid_start_and_boot_never_by_pid_alone(
    archive: Archive, column: str, value: object
) -> None:
    """A recycled pid, a reboot or a missing pid each show the run as interrupted."""
    run = archive.start_run()
    assert archive.list_runs()[0].status is RunStatus.RUNNING
    _pretend_owner(archive, column, value)
    assert archive.list_runs()[0].status is RunStatus.INTERRUPTED
    assert run.status is RunStatus.INTERRUPTED


def test_a_run_of_another_host_is_never_declared_dead(archive: Archive) -> None:
    run = archive.start_run()
    _pretend_owner(archive, "host_id", "elsewhere")
    _pretend_owner(archive, "pid", 2**22 - 7)
    assert archive.list_runs()[0].status is RunStatus.RUNNING
    with pytest.raises(RunBusyError, match="take_over=True"):
        archive.resume_run(run.run_id)
    archive.resume_run(run.run_id, take_over=True).complete()
    assert current_process().pid
