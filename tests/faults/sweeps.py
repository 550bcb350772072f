"""Run one sweep by several processes at once; kill them, stop them, and set their clocks by years.

Each process resumes the sweep with ``--retry``, and others take the place of those that were killed. A kill
takes a runner, a runner with its commands, or one command. Where libfaketime is there, the clock of each
process jumps. In the end a runner that nothing disturbs finishes the sweep. Then each combination of params
has completed once, and each failure was tried again once. Nothing ends before it began. Every value that a
runner printed or a run logged is there.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from exptrack import Archive, Dimension, RunStatus, Sampler, SweepPlan, TrialRecord, TrialState
from exptrack.sweeps.store import RETRY_MARK
from tests.faults.clocks import fake_clock, set_clock
from tests.faults.tally import Tally, begin, end, kill, sum_tries
from tests.faults.tools import missing_tool

ROOT = Path(__file__).parent.parent.parent
MODULE = "tests.faults.sweeps"
WITHIN_S = 120.0
TRIALS, ROUNDS, RUNNERS = 8, 6, 3
LONGEST_PAUSE_S = 2.5
JUMPS_S = (1, 3_600, 30 * 86_400, 5 * 365 * 86_400)
MOST_RETRIES = 1_000
NAME = "swept"


def plan_of(seed: int, trials: int) -> SweepPlan:
    if seed % 2:
        space = {"x": Dimension("float", 0.0, 1.0)}
        return SweepPlan(
            NAME,
            "loss",
            "minimize",
            space,
            sampler=Sampler.random(seed),
            max_trials=trials,
            retries=MOST_RETRIES,
        )
    space = {"x": Dimension("int", 1, trials)}
    return SweepPlan(NAME, "loss", "minimize", space, sampler=Sampler.grid(seed=seed), retries=MOST_RETRIES)


def _sleep(seconds: float) -> None:
    # time.sleep() waits for a moment of the monotonic clock, from which libfaketime takes its offset off.
    select.select([], [], [], seconds)


def train() -> None:
    """Be the command of a trial: log twice its param, the last value some time after the first."""
    time.sleep = _sleep
    import exptrack

    param = json.loads(os.environ["EXPTRACK_PARAMS"])["x"]
    with exptrack.start_run({"x": param}) as run:
        for value in (0.0, 2.0 * param):
            run.log({"loss": value})
            _sleep(random.uniform(0, 0.4))
    _sleep(random.uniform(0, 0.1))  # a kill after the run has completed


def resume(path: Path) -> None:
    """Be a runner."""
    time.sleep = _sleep
    from exptrack.cli import main

    main(["--db", str(path), "sweep", "resume", NAME, "--retry", "--jobs", "2", "--json"], prog_name="exptrack")


class _Runner:
    """A process that resumes the sweep, with a clock of its own and a file for what it prints."""

    def __init__(self, folder: Path, number: int, *, true_clock: bool = False) -> None:
        self.said = folder / f"{number}.said"
        self.clock = folder / f"{number}.clock"
        self._fakes = not true_clock and not missing_tool("clocks")
        set_clock(self.clock, 0)
        environment = fake_clock(self.clock) if self._fakes else None
        with self.said.open("w") as said:
            command = [sys.executable, "-m", MODULE, "resume", str(folder / "lab.db")]
            self.process = begin(command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT)

    def jump(self, chance: random.Random) -> None:
        """Set the clock of the runner and its commands."""
        if self._fakes:
            set_clock(self.clock, chance.choice((-1, 1)) * chance.choice(JUMPS_S))

    def commands(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children()
        return []


def _disturb(runner: _Runner, chance: random.Random) -> None:
    """Do one thing to a runner that no value may suffer from."""
    runner.jump(chance)
    deed = chance.choice(("kill it", "kill all", "kill a command", "stop it"))
    commands = runner.commands()
    if deed == "stop it":
        with suppress(ProcessLookupError):
            runner.process.send_signal(signal.SIGSTOP)
            time.sleep(chance.uniform(0, 1.5))
            runner.process.send_signal(signal.SIGCONT)
        return
    if deed != "kill a command":
        runner.process.kill()
        runner.process.wait()
    for one in commands if deed == "kill all" else commands[:1] if deed == "kill a command" else ():
        with suppress(psutil.NoSuchProcess):
            one.kill()


def try_one(seed: int, trials: int = TRIALS, rounds: int = ROUNDS, most: int = RUNNERS) -> Tally:
    tally = Tally(tries=1)
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp())
    with Archive(folder / "lab.db") as archive:
        archive.run_sweep(plan_of(seed, trials), [sys.executable, "-m", MODULE, "train"], time_limit=1e-9)
        archive.study(NAME)._core.remember(time_limit_s=None, sweep=plan_of(seed, trials).to_settings())
    runners: list[_Runner] = []
    orphans: list[psutil.Process] = []
    for _ in range(rounds):
        while sum(runner.process.poll() is None for runner in runners) < most:
            runners.append(_Runner(folder, len(runners)))
        time.sleep(chance.uniform(0.5, LONGEST_PAUSE_S))
        victim = chance.choice(runners)
        orphans += victim.commands()
        _disturb(victim, chance)
    for runner in runners:
        _await_end(runner, tally)
    for orphan in orphans:
        with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            orphan.wait(WITHIN_S)
    last = _Runner(folder, len(runners), true_clock=True)
    _await_end(last, tally)
    _judge(folder, [*runners, last], trials, tally)
    shutil.rmtree(folder)
    return tally


def _await_end(runner: _Runner, tally: Tally) -> None:
    code, _ = end(runner.process, WITHIN_S)
    kill(runner.process)
    said = runner.said.read_text(encoding="utf-8", errors="replace")
    if code is None:
        tally.blame("hung", f"a runner did not end: {said[-2000:]}")
    elif code not in (0, 1, -signal.SIGKILL) or "Traceback" in said:
        tally.blame("unreported", f"a runner ended with {code}: {said[-2000:]}")


def _judge(folder: Path, runners: list[_Runner], wanted: int, tally: Tally) -> None:
    with Archive(folder / "lab.db") as archive:
        trials = archive.trials(NAME)
        for problem in archive.verify().problems:
            tally.blame("lost", f"verify: {problem}")
        completed = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        for params, count in Counter(trial.params["x"] for trial in completed).items():
            if count > 1:
                tally.blame("doubled", f"x = {params} completed {count} times")
        if len({trial.params["x"] for trial in completed}) != wanted:
            tally.blame(
                "lost", f"{len(completed)} trials completed, of {wanted}: {list(map(_describe, trials))}"
            )
        failed = [trial for trial in trials if trial.state == TrialState.FAIL]
        marks = [one.system_attrs.get(RETRY_MARK) for one in archive.study(NAME).optuna_study.get_trials()]
        if len(failed) != len(marks) - marks.count(None):
            tally.blame("doubled", f"{len(failed)} failures, repeated by trials {marks}")
        for trial in trials:
            _judge_trial(archive, trial, tally)
        by_number = {trial.number: trial for trial in trials}
        for runner in runners:
            for number, state, value in _told(runner.said):
                trial = by_number[number]
                if (str(trial.state), trial.value) != (state, value):
                    tally.blame("lost", f"a runner printed {state} {value} of trial {_describe(trial)}")
        runs_of_trials = {trial.run_id for trial in trials}
        for run in archive.list_runs():
            if run.run_id not in runs_of_trials:
                tally.blame("unreported", f"run {run.name} belongs to no trial")


def _judge_trial(archive: Archive, trial: TrialRecord, tally: Tally) -> None:
    if trial.started_at is None or trial.ended_at is None or trial.ended_at < trial.started_at:
        tally.blame(
            "unreported", f"trial {_describe(trial)} began {trial.started_at} and ended {trial.ended_at}"
        )
    if trial.run_id is None:
        return
    run = archive.show_run(trial.run_id).summary
    if run.ended_at is None or run.ended_at < run.started_at or not 0 <= run.duration_s <= 2 * WITHIN_S:
        tally.blame("unreported", f"run {run.name} lasted {run.duration_s} s to {run.ended_at}, {run.status}")
    if trial.state == TrialState.COMPLETE and trial.values != (2.0 * trial.params["x"],):
        tally.blame("lost", f"trial {_describe(trial)} has not the value that its run logged last")
    # A command that is killed after its run has completed fails its trial, in words.
    if (
        trial.state == TrialState.FAIL
        and run.status is RunStatus.COMPLETED
        and "killed by" not in str(trial.reason)
    ):
        tally.blame("lost", f"trial {_describe(trial)} failed, although its run completed")


def _told(said: Path) -> list[tuple[int, str, float | None]]:
    """Return what a runner printed about trials that have ended; the last line may be torn."""
    told = []
    for line in said.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError):
            fact: Any = json.loads(line)
            if "number" in fact:
                told.append((fact["number"], fact["state"], fact["value"]))
    return told


def _describe(trial: TrialRecord) -> str:
    return f"{trial.number} {trial.params} {trial.state} {trial.values} {trial.reason}"


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    return sum_tries(try_one, tries, seed)


def missing() -> str:
    """Return what this system lacks, or nothing."""
    return missing_tool("sweeps")


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train()
    else:
        resume(Path(sys.argv[2]))
