"""A sweep whose file or command has changed: what is told, what may go on, and what is never mixed."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exptrack import (
    Archive,
    ConflictError,
    Dimension,
    ExpConfig,
    Pruner,
    Sampler,
    SweepDiffersError,
    SweepPlan,
    TrialState,
)

PLAN = SweepPlan(
    "s",
    "acc",
    "maximize",
    {"lr": Dimension("float", 0.1, 1.0), "kind": Dimension("choice", choices=("a", "b"))},
    sampler=Sampler.random(seed=1),
    max_trials=2,
)
TRAINS = """
import exptrack
with exptrack.start_run(exptrack.current_trial().config) as run:
    run.log({"acc": run.config.get("lr")})
"""
COMMAND = [sys.executable, "-c", TRAINS]
OTHER = [sys.executable, "-c", TRAINS, "--fast"]


def told(
    archive: Archive, plan: SweepPlan | str, command: list[str] | None, **options: Any
) -> SweepDiffersError:
    """Return the error that tells what has changed, and check that nothing was stored."""
    before = archive.study("s").settings
    with pytest.raises(SweepDiffersError) as refused:
        archive.run_sweep(plan, command, **options)
    assert archive.study("s").settings == before
    return refused.value


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({"sampler": Sampler.tpe(seed=2)}, ["sampler: random, seed 1", "    now: tpe, seed 2"]),
        ({"pruner": Pruner.none()}, ["pruner: median", "    now: none"]),
        (
            {"space": {**PLAN.space, "lr": Dimension("float", 0.1, 2.0)}},
            ["lr: float from 0.1 to 1.0", "    now: float from 0.1 to 2.0"],
        ),
        (
            {"space": {**PLAN.space, "n": Dimension("int", 1, 9, 2)}},
            ["n: not searched", "    now: int from 1 to 9 in steps of 2"],
        ),
        (
            {"space": {"lr": PLAN.space["lr"]}},
            ["kind: one of 'a', 'b'", "    now: not searched"],
        ),
        ({"base": ExpConfig({"a": {"b": 1}, "c": 2})}, ["base: a.b, c"]),
    ],
)
def test_another_search_is_told_and_goes_on_once_it_is_accepted(
    change: dict[str, Any], lines: list[str], archive: Archive
) -> None:
    archive.run_sweep(PLAN, COMMAND)
    plan = replace(PLAN, **change, max_trials=6)
    error = told(archive, plan, COMMAND)
    assert (list(error.changes), error.may_continue) == (lines, True)
    assert all(line in str(error) for line in lines)
    report = archive.run_sweep(plan, COMMAND, accept_changes=True)
    assert report.counts[TrialState.COMPLETE] == 4
    trials = archive.trials("s")
    assert [trial.params.keys() for trial in trials] == [PLAN.space.keys()] * 2 + [plan.space.keys()] * 4
    study = archive.study("s")
    assert (study.settings["sampler"], study.settings["pruner"]) == (
        plan.sampler.settings(),
        plan.pruner.settings(),
    )
    if plan.base is not None:
        assert archive.show_run(trials[-1].run_id).config["a"] == {"b": 1}
    # It is the plan of the sweep from now on.
    assert sum(archive.run_sweep(plan, COMMAND).counts.values()) == 0
    assert archive.verify().ok


@pytest.mark.parametrize("sampler", ["tpe", "CmaEsSampler"])
def test_a_range_may_grow_or_shrink_with_a_sampler_that_learns(sampler: str, archive: Archive) -> None:
    space = {"lr": Dimension("float", 0.0, 1.0), "n": Dimension("int", 1, 9)}
    plan = replace(PLAN, space=space, sampler=Sampler.of(sampler, seed=1, n_startup_trials=2), max_trials=4)
    archive.run_sweep(plan, COMMAND, jobs=2)
    for low, high in ((0.0, 3.0), (0.5, 0.75)):
        space = {"lr": Dimension("float", low, high), "n": Dimension("int", 2, 5)}
        plan = replace(plan, space=space, max_trials=(plan.max_trials or 0) + 3)
        report = archive.run_sweep(plan, COMMAND, jobs=2, accept_changes=True)
        assert report.counts[TrialState.COMPLETE] == 3
        for trial in archive.trials("s")[-3:]:
            assert low <= trial.params["lr"] <= high


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "loss"},
        {"direction": "minimize"},
        {"reduce": "max"},
        {"space": {**PLAN.space, "kind": Dimension("choice", choices=("a", "b", "c"))}},
        {"space": {**PLAN.space, "lr": Dimension("float", 0.1, 1.0, log=True)}},
        {"space": {**PLAN.space, "lr": Dimension("int", 1, 2)}},
        {"sampler": Sampler.grid(), "space": {**PLAN.space, "lr": Dimension("float", 0.0, 1.0, 0.5)}},
    ],
)
def test_trials_that_no_study_can_hold_together_need_another_name(
    change: dict[str, Any], archive: Archive
) -> None:
    archive.run_sweep(PLAN, COMMAND)
    error = told(archive, replace(PLAN, **change), COMMAND, accept_changes=True)
    assert not error.may_continue
    assert "choose another name" in str(error)
    assert "accept_changes" not in str(error)


def test_the_space_of_a_grid_needs_another_name(archive: Archive) -> None:
    space = {"lr": Dimension("float", 0.0, 1.0, 0.5)}
    grid = replace(PLAN, sampler=Sampler.grid(), space=space)
    archive.run_sweep(grid, COMMAND)
    wider = replace(grid, space={"lr": Dimension("float", 0.0, 1.5, 0.5)})
    assert not told(archive, wider, COMMAND, accept_changes=True).may_continue
    assert told(archive, replace(grid, sampler=Sampler.grid(seed=3)), COMMAND).may_continue


@pytest.mark.parametrize("by_name", [False, True])
def test_another_command_is_told_and_runs_once_it_is_accepted(by_name: bool, archive: Archive) -> None:
    archive.run_sweep(PLAN, COMMAND)
    sweep = "s" if by_name else PLAN
    error = told(archive, sweep, OTHER, max_trials=3)
    assert (error.differing, error.may_continue) == (("command",), True)
    before, now = error.changes
    assert before.startswith("command: ")
    assert now.endswith(" --fast")
    report = archive.run_sweep(sweep, OTHER, max_trials=3, accept_changes=True)
    assert report.counts[TrialState.COMPLETE] == 1
    assert archive.study("s").settings["command"] == OTHER
    # Another form of the params is another command.
    changed = told(archive, sweep, OTHER, args="{key}={value}")
    assert "--args '{key}={value}'" in changed.changes[1]


def test_a_command_with_a_secret_is_told_without_it(archive: Archive) -> None:
    archive.run_sweep(PLAN, COMMAND)
    secret = "0123456789abcdef0123456789abcdef"
    error = told(archive, PLAN, [*COMMAND, f"--api-key={secret}"])
    assert error.changes[1] == "    now: one with a secret, which is not stored"
    assert secret not in str(error)


WAITS = """
import os, time, exptrack
with exptrack.start_run(exptrack.current_trial().config) as run:
    run.log({"acc": 1.0})
    open("begun", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.01)
"""


def test_no_change_is_accepted_while_earlier_trials_run(archive: Archive, tmp_path: Path) -> None:
    waits = [sys.executable, "-c", WAITS]
    runner = threading.Thread(target=lambda: archive.run_sweep(PLAN, waits))
    runner.start()
    while not (tmp_path / "begun").exists():
        runner.join(0.01)
        assert runner.is_alive()
    try:
        before = archive.study("s").settings
        with pytest.raises(ConflictError, match="1 trial of sweep 's' run with its earlier command"):
            archive.run_sweep(PLAN, COMMAND, accept_changes=True)
        assert archive.study("s").settings == before
    finally:
        (tmp_path / "go").touch()
        runner.join()
    assert archive.run_sweep(PLAN, COMMAND, max_trials=3, accept_changes=True).counts[TrialState.COMPLETE] == 1
