"""Begin the study of a sweep, or go on with it: the plan and command that it remembers, what to try again.

Invariants: a sweep goes on with another plan or command only where the user agrees, and never for another
objective. A command with secrets is not remembered. A trial that was cut short is tried again once, however
many processes ask for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from shlex import quote
from typing import Any

from exptrack.capture.redaction import remove_secrets_and_paths
from exptrack.config.exp_config import ExpConfig
from exptrack.database.connection import Connection, in_section
from exptrack.errors import (
    ConflictError,
    InvalidValueError,
    StudyExistsError,
    StudyNotFoundError,
    SweepDiffersError,
    warn,
)
from exptrack.plain import short_repr
from exptrack.records import TrialState
from exptrack.runs.trial_link import PROCESS_DIED, RETRY_MARK
from exptrack.sweeps.command import TrialCommand, describe_command
from exptrack.sweeps.optuna_bridge import row_of
from exptrack.sweeps.plan import Dimension, SweepPlan
from exptrack.sweeps.records import describe_unseen
from exptrack.sweeps.store import count_running_trials, read_retried_numbers, read_trials
from exptrack.sweeps.study import Study
from exptrack.sweeps.study_config import StudyConfig
from exptrack.sweeps.study_core import StudyCore
from exptrack.sweeps.trial import Trial
from exptrack.sweeps.verdict import Verdict

# Reasons of trials that were ended from outside. They are stored, so that `retry` finds these trials.
INTERRUPTED = "interrupted"
BROKE_OFF = "the sweep broke off"
STOPPED = "stopped by 'exptrack sweep stop --now'"
CUT_SHORT = (INTERRUPTED, BROKE_OFF, STOPPED, PROCESS_DIED)
NO_ORIGIN: dict[str, Any] = {"files": [], "sources": {}}


# The study, its plan and its command


def begin_or_continue(
    connection: Connection, plan: SweepPlan, command: TrialCommand, *, accept_changes: bool = False
) -> StudyCore:
    """Open the study of a plan, or make it if the archive has none of its name. Commits."""
    command.require_places(plan.space)
    try:
        core, stored, _remembered = open_sweep(connection, plan.name)
    except StudyNotFoundError:
        try:
            return _begin(connection, plan, command)
        except StudyExistsError:  # another process has made it meanwhile
            core, stored, _remembered = open_sweep(connection, plan.name)
    return go_on(core, stored, plan, command, accept_changes=accept_changes)


def _begin(connection: Connection, plan: SweepPlan, command: TrialCommand) -> StudyCore:
    return _store_study(connection, _config_of(plan), plan, command)


def _config_of(plan: SweepPlan) -> StudyConfig:
    return StudyConfig(
        plan.name,
        plan.direction,
        plan.sampler,
        plan.pruner,
        plan.max_trials,
        plan.time_limit_s,
        plan.metric,
        plan.base,
    )


@in_section
def _store_study(
    connection: Connection, config: StudyConfig, plan: SweepPlan, command: TrialCommand
) -> StudyCore:
    with connection.transaction():
        core = StudyCore.create(connection, config)
        _remember(core, plan, command)
    return core


def open_sweep(connection: Connection, name: str) -> tuple[StudyCore, SweepPlan, TrialCommand | None]:
    """Open the study of a sweep that has begun; return its plan, and its command if that was stored."""
    core = StudyCore.open(connection, name)
    settings = core.settings
    if "sweep" not in settings:
        raise InvalidValueError(
            f"study {name!r} was created from Python, so only a program can continue it; choose another name"
        )
    return core, SweepPlan.from_settings(settings["sweep"]), TrialCommand.restore(settings)


@in_section
def go_on(
    core: StudyCore, stored: SweepPlan, plan: SweepPlan, command: TrialCommand, *, accept_changes: bool = False
) -> StudyCore:
    """Let a sweep go on with a plan and a command, and remember them. Commits.

    Raises:
        SweepDiffersError: they would search differently; with `accept_changes`, only if no study can have the
            trials of both.
        ConflictError: they differ, and trials with the earlier ones are running.
    """
    command.require_places(plan.space)
    differences = _find_differences(stored, plan)
    told = {part: lines for part, lines, _barred in differences}
    told |= _find_change_of_command(core.settings, command)
    barred = any(barred for _part, _lines, barred in differences)
    if told and (barred or not accept_changes):
        lines = [line for lines in told.values() for line in lines]
        raise SweepDiffersError(core.name, str(core.connection.path), list(told), lines, not barred)
    with core.connection.transaction():
        core.require_present()
        if told:
            running = count_running_trials(core.connection, core.row)
            if running:
                raise ConflictError(
                    f"{running} trial{'s' * (running > 1)} of sweep {core.name!r} run with its earlier"
                    f" {' and '.join(told)}; wait for them, or `exptrack sweep stop {quote(core.name)} --now`"
                    " ends them"
                )
            core.remember(**{"base_origin": NO_ORIGIN, **_config_of(plan).settings()})
        _remember(core, plan, command)
    # Anew, since the sampler, the pruner and the base may be others now.
    return StudyCore.open(core.connection, core.name) if told else core


def _remember(core: StudyCore, plan: SweepPlan, command: TrialCommand) -> None:
    core.remember(
        max_trials=plan.max_trials,
        time_limit_s=plan.time_limit_s,
        sweep=plan.to_settings(),
        **command.remembered(),
    )


def _find_change_of_command(settings: Mapping[str, Any], command: TrialCommand) -> dict[str, list[str]]:
    """Return how a command differs from the one that a study remembers; a secret one cannot be compared."""
    before, now = {"command": None, "args": None, **settings}, command.remembered()
    same = (before["command"], before["args"]) == (now["command"], now["args"])
    if same or before["command"] is None:
        return {}
    shown = "one with a secret, which is not stored" if now["command"] is None else describe_command(now)
    return {"command": [f"command: {describe_command(before)}", f"    now: {shown}"]}


def _find_differences(stored: SweepPlan, plan: SweepPlan) -> list[tuple[str, list[str], bool]]:
    """Return the parts in which a plan would search differently; budget, jobs and retries may change.

    Each comes with lines that say how, and with whether the trials of both can not be in one study.
    """
    old, new = stored.to_settings(), plan.to_settings()
    exhaustive = stored.sampler.is_exhaustive or plan.sampler.is_exhaustive
    differing = []
    for part in ("metric", "direction", "reduce", "sampler", "pruner"):
        if _dump_exactly(old[part]) != _dump_exactly(new[part]):
            # Values of another objective cannot be compared, and a grid looks for its own combinations.
            barred = part not in ("sampler", "pruner") or (
                part == "sampler" and exhaustive and stored.sampler.name != plan.sampler.name
            )
            differing.append((part, [f"{part}: {_show(old[part])}", f"    now: {_show(new[part])}"], barred))
    old_space, new_space = (
        {one["param"]: _dump_exactly(one) for one in settings["space"]} for settings in (old, new)
    )
    if list(old_space.items()) != list(new_space.items()):
        params = [key for key in {**old_space, **new_space} if old_space.get(key) != new_space.get(key)]
        lines = [
            line
            for key in params
            for line in (
                f"{key}: {stored.describe(key) or 'not searched'}",
                f"    now: {plan.describe(key) or 'not searched'}",
            )
        ]
        barred = exhaustive or any(
            _is_another_kind(stored.space.get(key), plan.space.get(key)) for key in params
        )
        differing.append((f"space ({', '.join(params) or 'its order'})", lines, barred))
    bases = [None if settings["base"] is None else settings["base"]["values"] for settings in (old, new)]
    if _dump_exactly(bases[0]) != _dump_exactly(bases[1]):
        lines = [f"base: {', '.join(_list_changed_keys(stored.base, plan.base))}"]
        differing.append(("base", lines, False))
    return differing


def _list_changed_keys(old: ExpConfig | None, new: ExpConfig | None) -> list[str]:
    """Return the keys under which two configs have other values."""
    # The stored values keep their ${env:…}, so no secret is looked up to be compared.
    leaves = [[] if one is None else ExpConfig(one.stored_values).leaves() for one in (old, new)]
    return sorted({leaf.key for leaf in {*leaves[0]} ^ {*leaves[1]}})


def _is_another_kind(old: Dimension | None, new: Dimension | None) -> bool:
    """Whether one study cannot hold values of both: Optuna lets only the ends and steps of a range change."""
    if old is None or new is None:
        return False
    return (old.kind, old.log, old.choices) != (new.kind, new.log, new.choices)


def _show(value: object) -> str:
    """Return a setting as a person reads it."""
    if not isinstance(value, dict):
        return str(value)
    options = {name: one for name, one in value.items() if name not in ("name", "options") and one is not None}
    parts = [f"{name} {short_repr(one)}" for name, one in {**options, **value["options"]}.items()]
    return ", ".join([value["name"], *parts])


def _dump_exactly(value: object) -> str:
    """Return JSON, in which 1, 1.0 and true differ; with == they are equal."""
    return json.dumps(value, sort_keys=True)


# Trials that were cut short


@in_section
def repeat_failed(study: Study, core: StudyCore, plan: SweepPlan, *, only_cut_short: bool) -> None:
    """Enqueue again the params of failed trials, unless that was done before. Commits.

    With `only_cut_short`, only those that died or were interrupted. All in one transaction, so that of several
    processes at once only one tries a trial again.
    """
    with core.connection.transaction():
        core.require_present()
        study.fail_dead_trials()
        failed = read_trials(core.connection, core.row, (TrialState.FAIL,))
        retried = read_retried_numbers(core.connection, core.row)
        for trial in failed:
            # Without an end, it has died since. As that is not stored, its command may yet begin its run.
            is_whole = trial.ended_at is not None and trial.params.keys() >= plan.space.keys()
            is_wanted = not only_cut_short or trial.reason in CUT_SHORT
            if is_wanted and is_whole and trial.number not in retried:
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
