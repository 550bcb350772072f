"""A command that cannot work ends its sweep after three trials; params that do not work end nothing."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from exptrack import Archive, Dimension, Sampler, SweepPlan, TrialRecord, TrialState
from exptrack.sweeps.early_failures import EARLY_S, EarlyFailures

PLAN = SweepPlan(
    "s",
    "acc",
    "maximize",
    {"lr": Dimension("float", 0.1, 1.0), "kind": Dimension("choice", choices=("adam", "sgd"))},
    sampler=Sampler.random(seed=1),
    max_trials=6,
)
REFUSES = """
import argparse, exptrack
parser = argparse.ArgumentParser("train.py")
parser.add_argument("--lr")
print("loading")
parser.parse_args()
"""
DIVERGES = """
import exptrack
with exptrack.start_run(exptrack.current_trial().config) as run:
    run.log({"acc": float("nan")})
"""


def script(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize("jobs", [1, 2])
def test_three_trials_that_fail_the_same_way_end_the_sweep_with_the_error(jobs: int, archive: Archive) -> None:
    report = archive.run_sweep(PLAN, script(REFUSES), jobs=jobs, args="--{key}={value}")
    assert report.ended == "failing"
    assert 3 <= report.counts[TrialState.FAIL] < 3 + jobs
    # The value differs from trial to trial.
    assert str(report.reason).startswith("exit code 2: ")
    assert "train.py: error: unrecognized arguments: --kind=" in str(report.reason)
    assert "loading" in report.tail
    assert "unrecognized arguments" in report.tail[-1]
    again = archive.run_sweep("s", jobs=jobs, keep_going=True)
    assert (again.ended, again.reason, again.tail) == ("done", None, ())
    assert len(archive.trials("s")) == 6


def test_trials_that_diverge_fail_and_the_search_goes_on(archive: Archive) -> None:
    report = archive.run_sweep(PLAN, script(DIVERGES))
    assert (report.ended, report.counts[TrialState.FAIL]) == ("done", 6)
    assert {trial.reason for trial in archive.trials("s")} == {"acc is NaN, which cannot be compared"}


def test_what_a_trial_did_in_an_earlier_call_does_not_hide_a_command_that_broke(archive: Archive) -> None:
    works = script(DIVERGES.replace('float("nan")', "1.0"))
    archive.run_sweep(replace(PLAN, max_trials=1), works)
    report = archive.run_sweep(PLAN, script("raise SystemExit('no data')"), accept_changes=True)
    assert (report.ended, report.reason, report.tail) == ("failing", "exit code 1: no data", ("no data",))


def ended(reason: str | None, kind: str = "adam") -> TrialRecord:
    state = TrialState.COMPLETE if reason is None else TrialState.FAIL
    return TrialRecord(0, state, (), {"kind": kind, "lr": 0.5}, {}, None, None, None, reason)


def count(*trials: tuple[TrialRecord, float | None]) -> list[bool]:
    early = EarlyFailures()
    return [early.are_enough_with(trial, lasted_s) for trial, lasted_s in trials]


def test_failures_are_the_same_apart_from_numbers_and_params() -> None:
    words = "exit code 1: no weights for {} at 1e-{}"
    same = [
        (ended(words.format(kind, number), kind), 1.0) for number, kind in enumerate(("sgd", "adam", "sgd"))
    ]
    assert count(*same) == [False, False, True]
    other = ended("exit code 1: killed"), 1.0
    assert count(other, *same) == [False, False, False, True]
    assert count(other, *same[:2], other) == [False] * 4


@pytest.mark.parametrize("between", [(ended(None), 1.0), (ended("exit code 1: late"), EARLY_S + 1)])
def test_once_a_trial_worked_or_ran_for_a_while_no_failure_ends_the_sweep(
    between: tuple[TrialRecord, float | None],
) -> None:
    failure = ended("exit code 1: out of memory"), 1.0
    assert count(failure, between, failure, failure, failure) == [False] * 5


def test_what_was_cut_short_tells_nothing() -> None:
    failure = ended("exit code 1: no data"), 1.0
    assert count(failure, (ended("interrupted"), None), failure, failure) == [False, False, False, True]
