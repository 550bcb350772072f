"""Starting and resuming runs."""

from __future__ import annotations

import pytest

from exptrack import Archive, RunBusyError


def test_a_live_run_is_not_resumed_twice(archive: Archive) -> None:
    run = archive.start_run()
    with pytest.raises(RunBusyError):
        archive.resume_run(run.run_id)
    with pytest.raises(RunBusyError):
        archive.delete_run(run.run_id)
    run.complete()
