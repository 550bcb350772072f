"""How a trial ends whose sweep was killed: with the value of its run, if that completed all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from exptrack import Archive, Dimension, Pruner, Sampler, SweepPlan, TrialState
from exptrack.sweeps.store import PROCESS_DIED

SPACE = {"lr": Dimension("float", 0.0, 1.0)}
PLAN = SweepPlan("s", "acc", "maximize", SPACE, "max", Sampler.random(seed=1), Pruner.none(), max_trials=9)
KILLS = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")

# Begins a trial for each of these and makes its run, as a sweep and its commands do; then it is killed.
LEAVES = """
import os, signal, sys, exptrack
archive = exptrack.Archive.default()
study = archive.study("s")
for kind in sys.argv[1:]:
    trial = study.ask()
    trial.suggest_float("lr", 0.0, 1.0)
    os.environ["EXPTRACK_TRIAL"] = f"s/{trial.number}"
    if kind == "reports": trial.report(0, 0.25)
    run = archive.start_run({})
    if kind in ("value", "failed", "running"): run.log({"acc": 0.5}); run.log({"acc": 0.25})
    if kind == "nan": run.log({"acc": float("nan")})
    if kind == "pruned":
        trial.report(0, 0.75)
        try:
            with run: trial.prune()
        except exptrack.TrialPruned: pass
    elif kind == "failed": run.fail("no good")
    elif kind != "running": run.complete()
os.kill(os.getpid(), signal.SIGKILL)
"""
EXPECTED = {
    "value": (TrialState.COMPLETE, (0.5,), None),
    "reports": (TrialState.COMPLETE, (0.25,), None),
    "pruned": (TrialState.PRUNED, (0.75,), None),
    "nan": (TrialState.FAIL, (), "acc is NaN, which cannot be compared"),
    "nothing": (TrialState.FAIL, (), "its run logged no acc"),
    "failed": (TrialState.FAIL, (), PROCESS_DIED),
    "running": (TrialState.FAIL, (), PROCESS_DIED),
}


def begin_sweep(archive: Archive) -> None:
    archive.run_sweep(PLAN, [sys.executable], time_limit=1e-9)


@KILLS
def test_a_run_that_completed_gives_the_trial_of_a_killed_sweep_its_value(archive: Archive) -> None:
    begin_sweep(archive)
    done = subprocess.run(
        [sys.executable, "-c", LEAVES, *EXPECTED], env={**os.environ, "EXPTRACK_DB": archive.path}
    )
    assert done.returncode == -signal.SIGKILL
    before, results = archive.trials("s"), archive.study_results("s")
    assert {
        kind: (trial.state, trial.values, trial.reason) for kind, trial in zip(EXPECTED, before, strict=True)
    } == EXPECTED
    assert (results.info.best_number, results.info.best_value) == (0, 0.5)
    assert results.info.counts[TrialState.RUNNING] == 0
    assert archive.trials("s", TrialState.PRUNED) == [before[2]]
    # What readers said beforehand is what is written.
    assert archive.study("s").fail_dead_trials() == [3, 4, 5, 6]
    after = archive.trials("s")
    assert [replace(trial, ended_at=None) for trial in after] == [
        replace(trial, ended_at=None) for trial in before
    ]
    assert archive.study_results("s").info == results.info
    assert archive.verify().problems == ()


# A sweep whose command lives on: the command says when it has its run, and waits to complete it.
OUTLIVES = """
import os, signal, subprocess, sys, exptrack
study = exptrack.Archive.default().study("s")
trial = study.ask()
trial.suggest_float("lr", 0.0, 1.0)
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], env={**os.environ, "EXPTRACK_TRIAL": "s/0"})
os.kill(os.getpid(), signal.SIGKILL)
"""
COMMAND = """
import sys, exptrack
with exptrack.start_run() as run:
    print("began", flush=True)
    sys.stdin.read()
    run.log({"acc": 0.5})
print("completed", flush=True)
"""


@KILLS
def test_a_trial_whose_command_outlives_its_sweep_goes_on(archive: Archive) -> None:
    begin_sweep(archive)
    with subprocess.Popen(
        [sys.executable, "-c", OUTLIVES, COMMAND],
        env={**os.environ, "EXPTRACK_DB": archive.path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "began\n"
        assert process.wait() == -signal.SIGKILL
        study = archive.study("s")
        assert (study.fail_dead_trials(take_over=True), study.unseen_trials()) == ([], [])
        assert [trial.state for trial in archive.trials("s")] == [TrialState.RUNNING]
        process.stdin.close()
        assert process.stdout.readline() == "completed\n"
        assert study.fail_dead_trials() == []
        (trial,) = archive.trials("s")
        assert (trial.state, trial.values) == (TrialState.COMPLETE, (0.5,))
        assert trial.ended_at is not None
        assert study.best_value == 0.5


# A sweep that is killed when its command has begun, and has no run yet.
KILLED = """
import os, signal, sys, exptrack
from exptrack.sweeps import runner
real = runner._Runner._name_command
def die(*given):
    real(*given)
    os.kill(os.getpid(), signal.SIGKILL)
runner._Runner._name_command = die
command = [sys.executable, "-c", sys.argv[1]]
exptrack.Archive.default().run_sweep("s", command, time_limit=60.0, accept_changes=True)
"""
BEGINS_LATE = """
import os, time, exptrack
while not os.path.exists("go"):
    time.sleep(0.01)
with exptrack.start_run() as run:
    run.log({"acc": 0.5})
"""


@KILLS
def test_a_command_that_has_no_run_yet_keeps_its_trial_too(archive: Archive, tmp_path: Path) -> None:
    begin_sweep(archive)
    words = [sys.executable, "-c", KILLED, BEGINS_LATE]
    done = subprocess.run(
        words, env={**os.environ, "EXPTRACK_DB": archive.path}, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    study = archive.study("s")
    assert study.fail_dead_trials(take_over=True) == []
    assert [trial.state for trial in archive.trials("s")] == [TrialState.RUNNING]
    (tmp_path / "go").touch()
    while (trial := archive.trials("s")[0]).state == TrialState.RUNNING:
        time.sleep(0.01)
    assert (trial.state, trial.values) == (TrialState.COMPLETE, (0.5,))
