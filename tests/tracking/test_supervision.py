"""A run that is ended by the process that started its process."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

from exptrack import Archive, InvalidTypeError, InvalidValueError, RunBusyError, RunStatus, RunTrashedError

TRAINS = """
import os, sys
from exptrack.metrics import writer
writer.DRAIN_S = 3600.0  # the points stay in the journal
import exptrack
run = exptrack.Archive(sys.argv[1]).start_run(name="child")
run.log({"loss": 0.5}, 0)
run.log({"loss": 0.4}, 1)
print(run.run_id, flush=True)
sys.stdin.readline()
if sys.argv[2] == "die":
    os._exit(5)
run.fail("my own reason")
"""


class Child:
    """A training in another process, which ends as it is told."""

    def __init__(self, archive: Archive, ending: str) -> None:
        words = [sys.executable, "-c", TRAINS, archive.path, ending]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.run_id = self.process.stdout.readline().strip()

    def end(self) -> int:
        self.process.communicate("\n")
        return self.process.returncode


def last_event(archive: Archive, run_id: str) -> tuple[str, dict[str, Any]]:
    event = archive.read_events(run_id)[-1]
    return event.kind, event.data


def test_a_run_whose_process_is_gone_is_ended_with_its_points(archive: Archive) -> None:
    child = Child(archive, "die")
    with pytest.raises(RunBusyError, match=f"in process {child.process.pid}"):
        archive.end_run(child.run_id, "failed")
    assert child.end() == 5
    assert archive.end_run(child.run_id[:-1], "failed", "exit code 5", exit_code=5) is RunStatus.FAILED
    summary = archive.show_run(child.run_id).summary
    assert (summary.status, summary.reason, summary.metrics) == ("failed", "exit code 5", {"loss": 0.4})
    ended = {"status": "failed", "reason": "exit code 5", "exit_code": 5}
    assert last_event(archive, child.run_id) == ("end", ended)
    assert archive.get_run(child.run_id).attributes == {"exit_code": 5}
    # The second supervisor comes too late.
    assert archive.end_run(child.run_id, "completed") is RunStatus.FAILED
    assert last_event(archive, child.run_id) == ("end", ended)


def test_the_verdict_of_an_opener_is_replaced(archive: Archive) -> None:
    child = Child(archive, "die")
    child.process.kill()
    child.process.communicate()
    found = archive.show_run(child.run_id).summary
    assert (found.status, found.reason) == ("interrupted", "its process died without ending the run")
    # The number means this name on every system that has the signal.
    given: Any = signal.SIGTERM
    assert archive.end_run(child.run_id, "completed", signal=given) is RunStatus.COMPLETED
    after = archive.show_run(child.run_id)
    assert (after.summary.status, after.summary.reason) == ("completed", None)
    assert found.ended_at is not None
    assert after.summary.ended_at is not None
    assert after.summary.ended_at > found.ended_at
    assert after.attributes == {"signal": "SIGTERM"}
    # It is ranked from now on.
    assert [run.run_id for run, _value in archive.best_runs("loss", "minimize")] == [child.run_id]


def test_a_run_keeps_the_end_that_it_gave_itself(archive: Archive) -> None:
    child = Child(archive, "itself")
    assert child.end() == 0
    assert archive.end_run(child.run_id, "completed", exit_code=0, signal="SIGUSR9") is RunStatus.FAILED
    assert archive.show_run(child.run_id).summary.reason == "my own reason"
    assert last_event(archive, child.run_id) == ("end", {"status": "failed", "reason": "my own reason"})
    assert archive.get_run(child.run_id).attributes == {"exit_code": 0, "signal": "SIGUSR9"}
    archive.trash_run(child.run_id)
    with pytest.raises(RunTrashedError):
        archive.end_run(child.run_id, "completed")


def test_what_an_end_cannot_be_is_refused(archive: Archive) -> None:
    run = archive.start_run()
    with pytest.raises(RunBusyError, match="in process"):
        archive.end_run(run, "completed")
    for error, call in (
        (InvalidValueError, lambda: archive.end_run(run, "running")),
        (InvalidValueError, lambda: archive.end_run(run, "gone")),
        (InvalidValueError, lambda: archive.end_run(run, "failed", exit_code=2**32)),
        (InvalidTypeError, lambda: archive.end_run(run, "failed", exit_code=1.5)),  # type: ignore[arg-type]
        (InvalidValueError, lambda: archive.end_run(run, "failed", signal=0)),
        (InvalidValueError, lambda: archive.end_run(run, "failed", signal="")),
        (InvalidTypeError, lambda: archive.end_run(run, "failed", 5)),  # type: ignore[arg-type]
    ):
        with pytest.raises(error):
            call()
    run.complete()
    assert archive.end_run(run, "failed", signal=60_000) is RunStatus.COMPLETED
    assert run.attributes == {"signal": "signal 60000"}
