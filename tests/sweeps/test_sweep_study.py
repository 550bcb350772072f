"""A sweep goes on after a kill, and what was cut short is tried again once."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from exptrack import Archive, Dimension, Sampler, SweepPlan, TrialState
from tests.warm_python import run_code

GRID = SweepPlan(
    "grid",
    "acc",
    "maximize",
    {"lr": Dimension("choice", choices=(0.1, 0.2, 0.3))},
    sampler=Sampler.grid(seed=1),
)
TRAINS = """
import exptrack
with exptrack.start_run(exptrack.current_trial().config) as run:
    run.log({"acc": 1.0})
"""


def script(code: str) -> list[str]:
    return [sys.executable, "-c", code]


CUT_OFF = """
import os, signal, sys, exptrack
from dataclasses import replace
from exptrack.sweeps import runner
places = {
    "begun": (runner.StudyCore, "begin_trial"),
    "one param": (runner.Trial, "suggest_choice"),
    "suggested": (runner._Runner, "_run_child"),
    "run": (runner, "judge_command"),
    "told": (runner._Runner, "_report"),
}
place, name = places[sys.argv[2]]
real = getattr(place, name)
def die(*given, **named):
    if sys.argv[2] in ("begun", "one param"):
        real(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(place, name, die)
space = {"lr": exptrack.Dimension("choice", choices=(0.1, 0.2)), "n": exptrack.Dimension("int", 1, 1)}
sampler = exptrack.Sampler(sys.argv[4], 1)
plan = exptrack.SweepPlan("cut", "acc", "maximize", space, sampler=sampler, max_trials=2)
with exptrack.Archive(sys.argv[1]) as archive:
    archive.run_sweep(plan, [sys.executable, "-c", sys.argv[3]])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("sampler", ["random", "grid"])
@pytest.mark.parametrize("moment", ["begun", "one param", "suggested", "run", "told"])
def test_a_runner_killed_at_any_moment_leaves_a_sweep_that_goes_on(
    archive: Archive, moment: str, sampler: str
) -> None:
    words = (archive.path, moment, TRAINS, sampler)
    done = run_code(CUT_OFF, *words, imports=("optuna", "exptrack.sweeps.runner"))
    assert done.returncode == -signal.SIGKILL, done.stderr
    archive.study("cut").fail_dead_trials()
    archive.run_sweep("cut", retry=True)
    trials = archive.trials("cut")
    completed = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    failed = 1 if moment == "suggested" else 0  # a run that completed gives its trial the value
    assert (len(trials), len(completed)) == (2 + failed, 2)
    assert all(trial.params.keys() == {"lr", "n"} for trial in completed)
    if sampler == "grid":
        assert len({tuple(trial.params.values()) for trial in completed}) == 2
    assert archive.verify().ok


def test_two_that_resume_at_once_try_each_trial_again_once(archive: Archive) -> None:
    plan = replace(
        GRID, sampler=Sampler.random(seed=1), space={"lr": Dimension("float", 0.0, 1.0)}, max_trials=9
    )
    archive.run_sweep(plan, script(TRAINS), max_trials=1)
    study = archive.study("grid")
    study._core.remember(max_trials=9)
    for _ in range(8):
        trial = study.ask()
        trial.suggest_float("lr", 0.0, 1.0)
        study.tell(trial, reason="interrupted")
    command = [sys.executable, "-m", "exptrack", "--db", archive.path, "sweep", "resume", "grid", "--retry"]
    both = [subprocess.Popen([*command, "--trials", "9"], stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    values = [trial.params["lr"] for trial in study.completed_trials()]
    assert len(values) == len(set(values)) == 9


FAILS_ONCE = """
import os, exptrack
with exptrack.start_run(exptrack.current_trial().config) as run:
    marker = f"tried {run.config['lr']}"
    if not os.path.exists(marker):
        open(marker, "w").close()
        raise ValueError("no licence")
    run.log({"acc": 1.0})
"""


def test_failed_trials_are_repeated_once_each_within_the_budget(archive: Archive) -> None:
    plan = replace(
        GRID, sampler=Sampler.random(seed=1), space={"lr": Dimension("float", 0.0, 1.0)}, max_trials=2
    )
    archive.run_sweep(plan, script(FAILS_ONCE))
    failed = archive.trials("grid")
    assert [trial.reason for trial in failed] == ["exit code 1: ValueError: no licence"] * 2
    # What was not cut short is not repeated unless that is asked for.
    assert sum(archive.run_sweep(plan, script(FAILS_ONCE), retry=True).counts.values()) == 0
    report = archive.run_sweep(plan, script(FAILS_ONCE), retry_failed=True)
    assert report.counts[TrialState.COMPLETE] == 2
    trials = archive.trials("grid")
    assert [trial.params for trial in trials[2:]] == [trial.params for trial in failed]
    assert sum(archive.run_sweep("grid", retry_failed=True).counts.values()) == 0
    # Two more count, although four trials have run.
    assert sum(archive.run_sweep("grid", max_trials=4).counts.values()) == 2


def test_a_grid_repeats_what_failed(archive: Archive) -> None:
    archive.run_sweep(GRID, script(FAILS_ONCE))
    report = archive.run_sweep("grid", retry_failed=True)
    assert (report.counts[TrialState.COMPLETE], len(archive.trials("grid"))) == (3, 6)
    assert sum(archive.run_sweep("grid").counts.values()) == 0
