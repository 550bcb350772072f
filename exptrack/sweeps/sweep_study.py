"""Begin the study of a sweep, or go on with it: the plan and command that it remembers, what to try again.

Invariants: a sweep goes on only with a plan that searches the same space for the same objective. A command with
secrets is not remembered. A trial that was cut short is tried again once, however many processes ask for it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence

from exptrack.capture.redaction import know_secrets_of_command, remove_secrets_and_paths
from exptrack.database.connection import Connection, in_section
from exptrack.errors import (
    InvalidTypeError,
    InvalidValueError,
    StudyExistsError,
    StudyNotFoundError,
    SweepDiffersError,
    warn,
)
from exptrack.known_secrets import mask_secrets
from exptrack.plain import read_elements, short_repr
from exptrack.records import TrialState
from exptrack.runs.trial_link import PROCESS_DIED, RETRY_MARK
from exptrack.sweeps.optuna_bridge import row_of
from exptrack.sweeps.plan import SweepPlan
from exptrack.sweeps.records import describe_unseen
from exptrack.sweeps.store import read_retried_numbers, read_trials
from exptrack.sweeps.study import Study
from exptrack.sweeps.study_config import StudyConfig
from exptrack.sweeps.study_core import StudyCore
from exptrack.sweeps.trial import Trial
from exptrack.sweeps.verdict import Verdict
from exptrack.validation import check_text

# Reasons of trials that were ended from outside. They are stored, so that `retry` finds these trials.
INTERRUPTED = "interrupted"
BROKE_OFF = "the sweep broke off"
STOPPED = "stopped by 'exptrack sweep stop --now'"
CUT_SHORT = (INTERRUPTED, BROKE_OFF, STOPPED, PROCESS_DIED)


# The study, its plan and its command


def check_command(command: Sequence[str]) -> list[str]:
    """Return the words of a command that can be run.

    Raises:
        InvalidTypeError, InvalidValueError: it cannot; the message says why.
    """
    given = read_elements(command, "a command", like="['python', 'train.py']")
    if not given:
        raise InvalidTypeError("a command must be a list of words, like ['python', 'train.py']")
    words = [check_text(word, "a word of the command") for word in given]
    if any("\0" in word for word in words):
        raise InvalidValueError("a word of the command holds NUL, which no command line takes; remove it")
    if shutil.which(words[0]) is None:
        raise InvalidValueError(_describe_missing(words[0]))
    return words


def _describe_missing(program: str) -> str:
    """Say why a program cannot be run."""
    if os.path.isdir(program):
        return f"{short_repr(program)} is a folder; give the program to run"
    if os.path.exists(program):
        return (
            f"you may not execute {short_repr(program)}; make it executable, or name what runs it, like python"
        )
    return f"there is no program {short_repr(program)} to run; give its path"


def begin_or_continue(connection: Connection, plan: SweepPlan, words: Sequence[str]) -> StudyCore:
    """Open the study of a plan, or make it if the archive has none of its name."""
    try:
        return _continue(connection, plan, words)
    except StudyNotFoundError:
        try:
            return _begin(connection, plan, words)
        except StudyExistsError:  # another process has made it meanwhile
            return _continue(connection, plan, words)


def _begin(connection: Connection, plan: SweepPlan, words: Sequence[str]) -> StudyCore:
    config = StudyConfig(
        plan.name,
        plan.direction,
        plan.sampler,
        plan.pruner,
        plan.max_trials,
        plan.time_limit_s,
        plan.metric,
        plan.base,
    )
    return _store_study(connection, config, plan, words)


@in_section
def _store_study(
    connection: Connection, config: StudyConfig, plan: SweepPlan, words: Sequence[str]
) -> StudyCore:
    with connection.transaction():
        core = StudyCore.create(connection, config)
        remember(core, plan, words)
    return core


def _continue(connection: Connection, plan: SweepPlan, words: Sequence[str]) -> StudyCore:
    core, stored, _remembered = open_sweep(connection, plan.name)
    differing = _find_differences(stored, plan)
    if differing:
        raise SweepDiffersError(plan.name, str(connection.path), differing)
    remember(core, plan, words)
    return core


def open_sweep(connection: Connection, name: str) -> tuple[StudyCore, SweepPlan, list[str] | None]:
    """Open the study of a sweep that has begun; return its plan, and its command if that was stored."""
    core = StudyCore.open(connection, name)
    settings = core.settings
    if "sweep" not in settings:
        raise InvalidValueError(
            f"study {name!r} was created from Python, so only a program can continue it; choose another name"
        )
    plan = SweepPlan.from_settings(settings["sweep"])
    words = settings.get("command")
    return core, plan, None if words is None else [_expand_home(str(word)) for word in words]


def remember(core: StudyCore, plan: SweepPlan, words: Sequence[str]) -> None:
    """Store a plan, and its command if that holds no secret. Commits."""
    # A command with secrets is not stored: without them it would not run, and secrets are never stored.
    hidden = list(map(mask_secrets, know_secrets_of_command(words)))
    kept = [_shorten_home(word) for word in words] if hidden == list(words) else None
    core.remember(
        max_trials=plan.max_trials, time_limit_s=plan.time_limit_s, sweep=plan.to_settings(), command=kept
    )


def _shorten_home(word: str) -> str:
    home = os.path.expanduser("~")
    return f"~{word[len(home) :]}" if word == home or word.startswith(home + os.sep) else word


def _expand_home(word: str) -> str:
    return os.path.expanduser(word) if word == "~" or word.startswith(f"~{os.sep}") else word


def _find_differences(stored: SweepPlan, plan: SweepPlan) -> list[str]:
    """Name the parts in which a plan would search differently; budget, jobs and retries may change."""
    old, new = stored.to_settings(), plan.to_settings()
    parts = ("metric", "direction", "reduce", "sampler", "pruner")
    differing = [part for part in parts if _dump_exactly(old[part]) != _dump_exactly(new[part])]
    old_space, new_space = (
        {one["param"]: _dump_exactly(one) for one in settings["space"]} for settings in (old, new)
    )
    if list(old_space.items()) != list(new_space.items()):
        params = [key for key in {**old_space, **new_space} if old_space.get(key) != new_space.get(key)]
        differing.append(f"space ({', '.join(params) or 'its order'})")
    bases = [None if settings["base"] is None else settings["base"]["values"] for settings in (old, new)]
    return [*differing, "base"] if _dump_exactly(bases[0]) != _dump_exactly(bases[1]) else differing


def _dump_exactly(value: object) -> str:
    """Return JSON, in which 1, 1.0 and true differ; with == they are equal."""
    return json.dumps(value, sort_keys=True)


# Trials that were cut short


@in_section
def retry_cut_short(study: Study, core: StudyCore, plan: SweepPlan) -> None:
    """Enqueue again the params of trials that died or were interrupted, unless that was done before. Commits.

    All in one transaction, so that of several processes at once only one tries a trial again.
    """
    with core.connection.transaction():
        core.require_present()
        study.fail_dead_trials()
        failed = read_trials(core.connection, core.row, (TrialState.FAIL,))
        retried = read_retried_numbers(core.connection, core.row)
        for trial in failed:
            # Without an end, it has died since. As that is not stored, its command may yet begin its run.
            is_whole = trial.ended_at is not None and trial.params.keys() >= plan.space.keys()
            if trial.reason in CUT_SHORT and is_whole and trial.number not in retried:
                study.enqueue(trial.params, retry_of=trial.number)


@in_section
def fail_and_retry(core: StudyCore, trial: Trial, reason: str, retries: int) -> bool:
    """Fail a trial and enqueue its params again, unless that was done `retries` times. Commits.

    Both in one transaction: a kill in between would let it be tried again twice, or never. Returns False, and
    changes nothing, if the trial has ended or is not tried again.
    """
    with core.connection.transaction():
        core.require_present()
        trials = core.frozen_trials()
        this = trials[trial.number]
        first = this.system_attrs.get(RETRY_MARK, trial.number)
        tries = sum(one.system_attrs.get(RETRY_MARK) == first for one in trials)
        if this.state.is_finished() or tries >= retries:
            return False
        core.end_trial(row_of(this), Verdict(reason=remove_secrets_and_paths(reason)))
        Study(core).enqueue(trial.params, retry_of=first)
    return True


def warn_of_unseen(study: Study) -> None:
    """Warn of running trials whose process may be dead, if nothing here can tell."""
    unseen = study.unseen_trials()
    if unseen:
        warn(describe_unseen(study.name, unseen))
