"""A sweep in trouble: what commands, clocks, threads, files and other processes do to it costs no value.

The commands are functions of the test, called where a sweep would run a process.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from exptrack import (
    Archive,
    ArchiveFullError,
    ArchiveLockedError,
    Dimension,
    ExptrackError,
    InvalidValueError,
    Pruner,
    Sampler,
    Study,
    SweepPlan,
    SweepPlanError,
    SweepTrial,
    TrialRecord,
)
from exptrack.sweeps import runner
from exptrack.sweeps.store import StopRequests
from exptrack.sweeps.sweep_study import fail_and_retry
from exptrack.sweeps.trial import Trial
from exptrack.tracking.child_process import Ended

SPACE = {"lr": Dimension("float", 0.0, 1.0)}
PLAN = SweepPlan(
    "s", "acc", "maximize", SPACE, sampler=Sampler.random(seed=1), pruner=Pruner.none(), max_trials=2
)
WELL, KILLED = Ended(0, False, "exit code 0", "printed\n", ""), Ended(-9, True, "killed by SIGKILL", "", "")
COMMAND = ["python"]


class Commands:
    """Stands for the processes of a sweep: `work` is called with the trial that a command would run."""

    def __init__(self, archive: Archive, work: Callable[[Study, Trial], Ended]) -> None:
        self._archive = archive
        self._work = work

    def __call__(self, _words: Sequence[str], environment: Mapping[str, str], *_: object) -> Commands:
        """Begin one of them."""
        begun = Commands(self._archive, self._work)
        begun._number = int(environment["EXPTRACK_TRIAL"].rpartition("/")[2])
        return begun

    _number = -1

    def wait(self) -> Ended:
        study = self._archive.study("s")
        frozen = study.optuna_study.get_trials(deepcopy=False)[self._number]
        return self._work(study, Trial(study._core, frozen))

    @property
    def pid(self) -> int:
        return os.getpid()

    def interrupt(self) -> None:
        """Nothing to end: the function returns."""


def report(_study: Study, trial: Trial) -> Ended:
    trial.report(0, 0.5)
    return WELL


Sweep = Callable[..., list[TrialRecord]]


@pytest.fixture
def sweep(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Run a sweep whose commands are calls of a function; return its trials."""
    monkeypatch.setattr("exptrack.sweeps.command.check_command", list)

    def run(work: Callable[[Study, Trial], Ended], plan: SweepPlan = PLAN, **options: Any) -> list[TrialRecord]:
        monkeypatch.setattr(runner, "Child", Commands(archive, work))
        archive.run_sweep(plan, COMMAND, **options)
        return archive.trials("s")

    return run


def ends(trials: Sequence[TrialRecord]) -> list[tuple[str, tuple[float, ...], str | None]]:
    return [(str(trial.state), trial.values, trial.reason) for trial in trials]


# Trials that their commands, or others, end


@pytest.mark.parametrize("ended", [WELL, KILLED])
def test_a_command_may_end_its_own_trial_and_what_it_told_stays(sweep: Sweep, ended: Ended) -> None:
    def tell(study: Study, trial: Trial) -> Ended:
        study.tell(trial, **({"values": 0.75} if trial.number == 0 else {"reason": "no good"}))
        return ended

    after: list[SweepTrial] = []
    trials = sweep(tell, replace(PLAN, retries=3), after=after.append)
    assert ends(trials) == [("complete", (0.75,), None), ("fail", (), "no good")]
    assert [(done.trial, done.retried) for done in after] == [(trial, False) for trial in trials]
    assert all(trial.run_id for trial in trials)


def test_a_failure_that_a_command_told_stops_the_sweep_too(sweep: Sweep) -> None:
    def tell(study: Study, trial: Trial) -> Ended:
        study.tell(trial, reason="no good")
        return WELL

    assert len(sweep(tell, stop_on_failure=True)) == 1


def test_a_killed_trial_and_its_repetition_are_stored_together_or_not_at_all(
    archive: Archive, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enqueue(*_: object, **__: object) -> None:
        raise ArchiveFullError("there is no room")

    sweep(report)
    study = archive.study("s")
    study._core.remember(max_trials=3)
    trial = study.ask()
    trial.suggest_float("lr", 0.0, 1.0)
    with monkeypatch.context() as patched:
        patched.setattr(Study, "enqueue", enqueue)
        with pytest.raises(ArchiveFullError):
            fail_and_retry(study._core, trial, "killed", 1)
    assert [str(trial.state) for trial in archive.trials("s")] == ["complete", "complete", "running"]
    assert fail_and_retry(study._core, trial, "killed", 1)
    assert not fail_and_retry(study._core, trial, "killed", 2)  # it has ended
    assert [str(trial.state) for trial in archive.trials("s")] == ["complete", "complete", "fail", "waiting"]


# Requests to stop, and clocks


def test_requests_to_stop_are_counted_so_that_an_older_one_stops_nothing(archive: Archive) -> None:
    study = archive.create_study("s")
    row = study._core.row
    first = StopRequests(archive._connection, row)
    assert (first.came(), first.came(now=True)) == (False, False)
    archive.stop_study("s")
    second = StopRequests(archive._connection, row)
    assert [(one.came(), one.came(now=True)) for one in (first, second)] == [(True, False), (False, False)]
    archive.stop_study("s", now=True)
    third = StopRequests(archive._connection, row)
    assert [(one.came(), one.came(now=True)) for one in (first, second, third)] == [
        (True, True),
        (True, True),
        (False, False),
    ]
    assert archive.verify().problems == ()


class Backwards(datetime):
    """A clock that goes back by a day each time it is read."""

    reads = 0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Backwards:
        cls.reads += 1
        return cls(2030, 1, 31, tzinfo=tz or UTC) - timedelta(days=cls.reads)


def test_a_request_to_stop_counts_although_the_clock_was_set_back(
    archive: Archive, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(study: Study, trial: Trial) -> Ended:
        monkeypatch.setattr("exptrack.times.datetime", Backwards)
        archive.stop_study("s")
        return report(study, trial)

    assert len(sweep(stop)) == 1
    # What stopped that sweep does not stop the next, although it was asked for later by the clock.
    assert len(sweep(report)) == 2


def test_a_clock_that_is_set_back_lets_no_run_or_trial_end_before_it_began(
    archive: Archive, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("sweeps.runner", "times", "tracking.recorded_run"):
        monkeypatch.setattr(f"exptrack.{module}.datetime", Backwards, raising=False)
    trials = sweep(report)
    assert Backwards.reads > 4
    for trial in trials:
        assert trial.started_at is not None
        assert trial.ended_at is not None
        assert trial.ended_at >= trial.started_at
        run = archive.get_run(trial.run_id)
        summary = archive.show_run(trial.run_id).summary
        assert summary.ended_at is not None
        assert summary.ended_at >= summary.started_at
        assert 0 <= summary.duration_s < 60
        assert run.artifacts.get_blob("output.txt") == "printed\n"


# What cannot be stored


def test_the_end_of_a_trial_that_could_not_be_stored_is_stored_at_the_end_of_the_sweep(
    archive: Archive, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refused = Study.tell, []

    def tell(self: Study, trial: Trial, *args: Any, **more: Any) -> None:
        if not refused:
            refused.append(trial)
            raise ArchiveLockedError("it is locked", path="s")
        real(self, trial, *args, **more)

    monkeypatch.setattr(Study, "tell", tell)
    with pytest.raises(ArchiveLockedError):
        sweep(report)
    assert ends(archive.trials("s")) == [("complete", (0.5,), None)]


def test_an_end_that_can_never_be_stored_is_told(
    archive: Archive, sweep: Sweep, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def tell(*_: object, **__: object) -> None:
        raise ArchiveFullError("there is no room", path="s")

    monkeypatch.setattr(Study, "tell", tell)
    with pytest.raises(ArchiveFullError):
        sweep(report)
    assert [record.getMessage() for record in caplog.records] == [
        "the value 0.5 of trial 0 of 's' is not stored: there is no room"
    ]


def test_what_other_dead_processes_left_costs_no_value(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise ArchiveFullError("there is no room", path="s")

    monkeypatch.setattr(runner, "interrupt_dead_runs", refuse)
    assert ends(sweep(report)) == [("complete", (0.5,), None)] * 2
    assert {record.getMessage() for record in caplog.records} == {
        "the ends of runs whose process died are not stored yet: there is no room"
    }


def test_of_what_a_failed_command_printed_the_last_lines_are_shown_in_part(sweep: Sweep) -> None:
    output = "\n".join(["first", *("x" * 1_000_000 for _ in range(13))])
    shown: list[SweepTrial] = []
    sweep(lambda _study, _trial: Ended(1, False, "exit code 1", output, ""), max_trials=1, after=shown.append)
    assert shown[0].tail == ("x" * 500 + " …",) * 12


# Threads and files that the system does not give


def count_threads(monkeypatch: pytest.MonkeyPatch, allowed: int = 1000) -> list[str]:
    """Return the list that gets a name for each thread of a sweep; after `allowed` of them none can begin."""
    begun: list[str] = []
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == "exptrack-sweep":
            if len(begun) >= allowed:
                raise RuntimeError("can't start new thread")
            begun.append(thread.name)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    return begun


def test_a_thousand_jobs_begin_no_more_threads_than_there_is_work_for(
    archive: Archive, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = count_threads(monkeypatch)
    assert ends(sweep(report, jobs=1000)) == [("complete", (0.5,), None)] * 2
    assert 1 <= len(begun) <= 3
    for jobs in (0, -1, 1001, 2**62, 10**30, True):
        with pytest.raises(SweepPlanError, match="jobs must be a whole number"):
            sweep(report, jobs=jobs)
        with pytest.raises(InvalidValueError, match="jobs must be a whole number"):
            archive.study("s").optimize(lambda _trial: 0.5, 1, jobs=jobs)


def test_without_room_for_threads_fewer_trials_run_at_once(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as scarce:
        count_threads(scarce, allowed=1)
        assert len(sweep(report, jobs=4)) == 2
    assert [record.getMessage() for record in caplog.records] == [
        "the process may begin no more threads; allow it more threads. Trials run at once until then: 1"
    ]
    count_threads(monkeypatch, allowed=0)
    with pytest.raises(ExptrackError, match="may begin no thread"):
        sweep(report, max_trials=3)


def test_a_command_that_finds_no_file_or_process_waits_until_another_has_ended(
    archive: Archive, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most, refused = [0], [0], threading.Event()

    class Scarce(Commands):
        """Only one command can run at a time."""

        def __call__(self, *given: Any) -> Commands:
            if running[0]:
                refused.set()
                raise OSError(errno.EMFILE, "too many open files")
            running[0] += 1
            most[0] = max(most[0], running[0])
            return super().__call__(*given)

    def work(study: Study, trial: Trial) -> Ended:
        if trial.number == 0:
            refused.wait(30)
        ended = report(study, trial)
        running[0] -= 1
        return ended

    monkeypatch.setattr("exptrack.sweeps.command.check_command", list)
    monkeypatch.setattr(runner, "Child", Scarce(archive, work))
    monkeypatch.setattr(runner, "POLL_S", 0.01)
    archive.run_sweep(PLAN, COMMAND, jobs=2)
    assert ends(archive.trials("s")) == [("complete", (0.5,), None)] * 2
    assert (refused.is_set(), most) == (True, [1])


# Commands that cannot be run


def test_a_command_that_cannot_be_run_is_named_by_its_fault(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("print()")
    for program, words in (
        (str(tmp_path), "is a folder"),
        (str(tmp_path / "train.txt"), "you may not execute"),
        ("no-such-program", "there is no program 'no-such-program' to run"),
        ("", "there is no program ''"),
    ):
        with pytest.raises(InvalidValueError, match=words):
            archive.run_sweep(PLAN, [program])
