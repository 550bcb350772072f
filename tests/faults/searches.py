"""Make the public calls of studies, and tell a ledger about each before and after it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from exptrack import Archive, Dimension, Sampler, Study, SweepPlan, Trial, TrialRecord
from exptrack.sweeps.sweep_study import open_sweep, repeat_failed
from tests.faults.deeds import Deeds
from tests.faults.ledger import Ledger, State

STUDY, LEFT = "searched", "left"
PLAN = SweepPlan(LEFT, "loss", "minimize", {"x": Dimension("float", 0.0, 1.0)}, sampler=Sampler.random(seed=1))


def describe(trial: TrialRecord) -> str:
    """Return a trial's state as the ledger has it."""
    end = trial.reason if trial.reason is not None else trial.value
    return str(trial.state) if end is None else f"{trial.state} {end}"


class Searches(Deeds):
    """The calls of one process that searches with a study of its archive."""

    study: Study | None = None
    trial: Trial | None = None
    waiting: Sequence[str] = ()

    def create(self) -> None:
        self.study = self.act({}, lambda: self.archive.create_study(STUDY, sampler=Sampler.random(seed=1)))

    def ask(self) -> None:
        self.ledger.will(dict.fromkeys(self.waiting, "running"))  # it begins the trial that waits, if one does
        if (study := self.study) is not None and (trial := self.act({}, study.ask)) is not None:
            self.trial = trial
            self.ledger.did({f"trial {STUDY}/{trial.number}": "running"})

    def suggest(self) -> None:
        if (trial := self.trial) is not None:
            self.act({}, lambda: trial.suggest_float("x", 0.0, 1.0))

    def report(self) -> None:
        if (trial := self.trial) is not None:
            step = self.next()
            self.act({f"report {STUDY}/{trial.number}/{step}": step / 7}, lambda: trial.report(step, step / 7))

    def tell(self, value: float | None = None) -> None:
        """End the trial: with a value, or as failed."""
        if (study := self.study) is not None and (trial := self.trial) is not None:
            state = "fail no good" if value is None else f"complete {value}"
            reason = "no good" if value is None else None
            states: dict[str, State] = {f"trial {STUDY}/{trial.number}": state}
            self.act(states, lambda: study.tell(trial, value, reason=reason))

    def enqueue(self) -> None:
        if (study := self.study) is None or self.act({}, lambda: (study.enqueue({"x": 0.5}),)) is None:
            return
        trials = self.act({}, lambda: self.archive.trials(STUDY))
        if trials:
            self.waiting = [f"trial {STUDY}/{trials[-1].number}"]
            self.ledger.did(dict.fromkeys(self.waiting, "waiting"))

    def stop(self) -> None:
        if (study := self.study) is not None:
            self.act({}, study.stop)

    def one_trial(self, value: float | None = None) -> None:
        for deed in (self.ask, self.suggest, self.report):
            deed()
        self.tell(value)

    # What a dead process left

    def open_left(self) -> None:
        self.study = self.act({}, lambda: self.archive.study(LEFT))

    def take_over(self) -> None:
        """End the trials of the dead process, and try the one again that has no value."""
        if (study := self.study) is None:
            return
        states: dict[str, State] = {
            f"trial {LEFT}/0": "complete 0.25",
            f"trial {LEFT}/1": "fail its process died",
        }
        self.act(states, lambda: study.fail_dead_trials(take_over=True))
        core, plan, _words = open_sweep(self.archive._connection, LEFT)
        for _ in range(2):
            self.act(
                {f"trial {LEFT}/2": "waiting", f"trial {LEFT}/3": None},
                lambda: repeat_failed(study, core, plan, only_cut_short=True),
            )


def leave_trials(archive: Archive, ledger: Ledger) -> None:
    """Begin two trials of a sweep, of which the first has a run that completed. The process is to be killed."""
    archive.run_sweep(PLAN, [sys.executable], time_limit=1e-9)
    study = archive.study(LEFT)
    for number in range(2):
        study.ask().suggest_float("x", 0.0, 1.0)
        os.environ["EXPTRACK_TRIAL"] = f"{LEFT}/{number}"
        run = archive.start_run()
        run.log({"loss": 0.25})
        if number == 0:
            run.complete()
        name = f"{LEFT} #{number}"
        ledger.did({f"run {name}": "running" if number else "completed", f"point {name}/loss/0": 0.25})
    del os.environ["EXPTRACK_TRIAL"]
