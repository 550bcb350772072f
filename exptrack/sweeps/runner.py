"""Running a sweep: a command for each trial, in processes of their own.

Invariants: every trial that began ends here as complete, pruned or failed, unless this process is killed; then
its trials are failed by whoever looks at the study next. Every trial has a run, with what its command wrote as
the artifact ``output.txt``: the run that the command started, or one that is recorded for it. A trial's value
is what that run logged; what a command prints decides nothing. Commands are told to end before they are killed.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import shlex
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType
from typing import Any, NamedTuple

from exptrack import sdn
from exptrack.artifacts.store import ArtifactStore
from exptrack.capture.redaction import redact_command, redact_text
from exptrack.database.connection import Connection
from exptrack.errors import (
    ExptrackError,
    InvalidTypeError,
    InvalidValueError,
    StudyExistsError,
    StudyNotFoundError,
    SweepDiffersError,
)
from exptrack.metrics.store import read_summaries
from exptrack.records import RecordedRun, RunStatus, TrialState
from exptrack.runs.events import read_events
from exptrack.runs.lookup import resolve_run
from exptrack.runs.recorded import record_runs
from exptrack.runs.trial_link import TRIAL_VARIABLE, join_run, name_trial_run
from exptrack.sweeps.plan import EXHAUSTIVE, SweepPlan
from exptrack.sweeps.records import SweepReport, SweepTrial
from exptrack.sweeps.store import PROCESS_DIED, stop_asked_since
from exptrack.sweeps.study import RETRY_MARK, Study, create_study, open_study
from exptrack.sweeps.study_config import StudyConfig
from exptrack.sweeps.trial import PRUNE_MARK, RUN_OF_TRIAL, Trial
from exptrack.times import seconds_of, utc_text
from exptrack.tracking.child_process import Child, Ended, Listener
from exptrack.tracking.lifecycle import interrupt_dead_runs
from exptrack.tracking.run import PRUNE_EVENT, Terminated
from exptrack.validation import check_text

RUN_ENDING = "SELECT run_id, status, reason FROM run WHERE id = ?"

PARAMS_VARIABLE = "EXPTRACK_PARAMS"
OVERRIDES = "{overrides}"
OUTPUT = "output.txt"

POLL_S = 0.2
# So long a command has between being told to end, being terminated and being killed.
PATIENCE_S = 10.0
REASON_LINES, REASON_CHARS = 3, 500
TRACEBACK = "Traceback (most recent call last):\n"
TAIL_LINES = 12

INTERRUPTED = "interrupted"
BROKE_OFF = "the sweep broke off"
STOPPED = "stopped by 'exptrack sweep stop --now'"
CUT_SHORT = (INTERRUPTED, BROKE_OFF, STOPPED, PROCESS_DIED)


def run_sweep(
    connection: Connection,
    sweep: SweepPlan | str,
    command: Sequence[str] | None = None,
    *,
    jobs: int | None = None,
    max_trials: int | None = None,
    time_limit: float | str | None = None,
    retries: int | None = None,
    retry: bool = False,
    stop_on_failure: bool = False,
    after: Callable[[SweepTrial], None] | None = None,
    listener: Listener | None = None,
) -> SweepReport:
    """Run or go on with a sweep; see :meth:`exptrack.Archive.run_sweep`."""
    given = {"jobs": jobs, "max_trials": max_trials, "retries": retries}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if time_limit is not None:
        changes["time_limit_s"] = seconds_of(time_limit)
    words = None if command is None else _checked_command(command)
    if isinstance(sweep, SweepPlan):
        if words is None:
            raise InvalidValueError("a sweep needs a command that trains, like ['python', 'train.py']")
        plan = replace(sweep, **changes)
        study = _begun(connection, plan, words)
    else:
        study, stored, remembered = _stored(connection, sweep)
        plan, words = replace(stored, **changes), words or remembered
        if words is None:
            raise InvalidValueError(f"sweep {study.name!r} remembers no command; give it after --")
        _remember(study, plan, words)
    study.fail_dead_trials()
    if retry:
        _retry_what_was_cut_short(study)
    with study._own_errors():
        return _Runner(study, plan, words, stop_on_failure, after, listener).run()


# The study of a sweep


def _checked_command(command: Sequence[str]) -> list[str]:
    is_list = isinstance(command, Sequence) and not isinstance(command, str)
    if not is_list or not command or not all(isinstance(word, str) for word in command):
        raise InvalidTypeError("a command is a list of words, like ['python', 'train.py']")
    for word in command:
        if "\0" in check_text(word, "a word of the command"):
            raise InvalidValueError("no word of a command holds NUL")
    if shutil.which(command[0]) is None:
        raise InvalidValueError(f"there is no program {command[0]!r} to run")
    return list(command)


def _begun(connection: Connection, plan: SweepPlan, words: Sequence[str]) -> Study:
    """The study of a plan: a new one, or the one that has been made of it before."""
    try:
        return _continued(connection, plan, words)
    except StudyNotFoundError:
        try:
            return _created(connection, plan, words)
        except StudyExistsError:  # another process was faster
            return _continued(connection, plan, words)


def _created(connection: Connection, plan: SweepPlan, words: Sequence[str]) -> Study:
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
    with connection.transaction():
        study = create_study(connection, config)
        _remember(study, plan, words)
    return study


def _continued(connection: Connection, plan: SweepPlan, words: Sequence[str]) -> Study:
    study, stored, _words = _stored(connection, plan.name)
    differing = _differences(stored, plan)
    if differing:
        raise SweepDiffersError(plan.name, str(connection.path), differing)
    _remember(study, plan, words)
    return study


def _stored(connection: Connection, name: str) -> tuple[Study, SweepPlan, list[str] | None]:
    """The study of a sweep that has begun, its plan, and its command if that could be kept."""
    study = open_study(connection, name)
    settings = study.settings
    if "sweep" not in settings:
        raise InvalidValueError(
            f"study {name!r} was made by a program, which has to go on with it; choose another name"
        )
    plan = SweepPlan.from_settings(settings["sweep"])
    words = settings.get("command")
    return study, plan, None if words is None else [_with_home(str(word)) for word in words]


def _remember(study: Study, plan: SweepPlan, words: Sequence[str]) -> None:
    # A command without its secrets would not run, and one with them is not kept.
    kept = [_without_home(word) for word in words] if redact_command(words) == list(words) else None
    study._remember(
        max_trials=plan.max_trials, time_limit_s=plan.time_limit_s, sweep=plan.to_settings(), command=kept
    )


def _without_home(word: str) -> str:
    home = os.path.expanduser("~")
    return f"~{word[len(home) :]}" if word == home or word.startswith(home + os.sep) else word


def _with_home(word: str) -> str:
    return os.path.expanduser(word) if word == "~" or word.startswith(f"~{os.sep}") else word


def _differences(stored: SweepPlan, plan: SweepPlan) -> list[str]:
    """In what another plan would search something else, or otherwise; budget, jobs and retries may change."""
    old, new = stored.to_settings(), plan.to_settings()
    parts = ("metric", "direction", "reduce", "sampler", "pruner")
    differing = [part for part in parts if _text(old[part]) != _text(new[part])]
    old_space, new_space = ({one["param"]: _text(one) for one in settings["space"]} for settings in (old, new))
    if list(old_space.items()) != list(new_space.items()):
        params = [key for key in {**old_space, **new_space} if old_space.get(key) != new_space.get(key)]
        differing.append(f"space ({', '.join(params) or 'its order'})")
    bases = [None if settings["base"] is None else settings["base"]["values"] for settings in (old, new)]
    return [*differing, "base"] if _text(bases[0]) != _text(bases[1]) else differing


def _text(value: object) -> str:
    """JSON: unlike ==, it tells 1, 1.0 and true apart."""
    return json.dumps(value, sort_keys=True)


def _retry_what_was_cut_short(study: Study) -> None:
    """Try again the params of trials that died or were interrupted and have not been tried again."""
    trials = study._storage.get_all_trials(study._id, deepcopy=False)
    retried = {trial.system_attrs[RETRY_MARK] for trial in trials if RETRY_MARK in trial.system_attrs}
    for trial in study.failed_trials():
        if trial.reason in CUT_SHORT and trial.params and trial.number not in retried:
            study.enqueue(trial.params, retry_of=trial.number)


# Running


class _Verdict(NamedTuple):
    """What a trial has come to: a value, or pruned, or a reason why it failed."""

    value: float | None = None
    pruned: bool = False
    reason: str | None = None


class _Runner:
    """One call's work on a sweep: threads that each drive one child, and the main thread that watches."""

    def __init__(
        self,
        study: Study,
        plan: SweepPlan,
        command: Sequence[str],
        stop_on_failure: bool,
        after: Callable[[SweepTrial], None] | None,
        listener: Listener | None,
    ) -> None:
        self._study = study
        self._connection = study._connection
        self._plan = plan
        self._command = list(command)
        self._stop_on_failure = stop_on_failure
        self._after = after
        self._listener = listener
        self._began = utc_text()
        self._deadline = math.inf if plan.time_limit_s is None else time.monotonic() + plan.time_limit_s
        self._asking = threading.Lock()  # samplers are not made for threads
        self._telling = threading.Lock()
        self._counts = dict.fromkeys((TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL), 0)
        self._closed: str | None = None  # why no more trials begin
        self._children: set[Child] = set()
        self._changing = threading.Lock()  # of the two below and above
        self._ending: str | None = None  # why the children are being ended
        self._ending_since = 0.0
        self._pushed = 0  # how hard the children have been pushed to end
        self._signals: list[int] = []

    def run(self) -> SweepReport:
        """Run trials until there is no reason to begin another, and all have ended."""
        with _heeded_signals(self._signals), ThreadPoolExecutor(self._plan.jobs) as pool:
            self._watch([pool.submit(self._work) for _ in range(self._plan.jobs)])
        if signal.SIGTERM in self._signals:
            raise Terminated(128 + signal.SIGTERM)
        if self._signals:
            raise KeyboardInterrupt
        info = self._study.info
        return SweepReport(
            self._study.name, self._counts, self._closed or "done", info.best_number, info.best_value
        )

    def _watch(self, workers: Sequence[Future[None]]) -> None:
        """Wait for the workers, heeding signals and requests to stop; raise what one of them raised."""
        problem: BaseException | None = None
        pending = set(workers)
        while pending:
            done, pending = wait(pending, POLL_S)
            try:
                for worker in done:
                    worker.result()
                self._look(asked=problem is None)
            except BaseException as error:
                problem = problem or error
                self._end_children(BROKE_OFF)
        if problem is not None:
            raise problem

    def _look(self, *, asked: bool) -> None:
        """Do what signals and other processes ask for, and push children that do not heed."""
        if self._signals:
            self._end_children(INTERRUPTED)
        elif asked and stop_asked_since(self._connection, self._study._id, self._began):
            self._close("stopped")
            if stop_asked_since(self._connection, self._study._id, self._began, now=True):
                self._end_children(STOPPED)
        with self._changing:
            if self._ending is not None:
                patience_over = int((time.monotonic() - self._ending_since) / PATIENCE_S)
                # Whoever presses ctrl-C again wants no more patience.
                self._push(2 if len(self._signals) > 1 else min(patience_over, 2))

    def _close(self, why: str) -> None:
        if self._closed is None:
            self._closed = why

    def _end_children(self, why: str) -> None:
        self._close("stopped")
        with self._changing:
            if self._ending is None:
                self._ending, self._ending_since = why, time.monotonic()
                for child in self._children:
                    child.interrupt()

    def _push(self, hard: int) -> None:
        if hard > self._pushed:
            self._pushed = hard
            for child in self._children:
                child.kill() if hard == 2 else child.terminate()

    # What a worker does

    def _work(self) -> None:
        while (trial := self._next()) is not None:
            self._attempt(trial)

    def _next(self) -> Trial | None:
        """The next trial with its params, or None when there is none to begin."""
        with self._asking:
            if time.monotonic() >= self._deadline:
                self._close("time")
            if stop_asked_since(self._connection, self._study._id, self._began):
                self._close("stopped")
            if self._closed is not None or self._is_exhausted():
                return None
            trial = self._study._ask()
            if trial is not None:
                try:
                    self._suggest(trial)
                except ExptrackError as error:
                    self._study.tell(trial, reason=str(error))
                    raise
            return trial

    def _is_exhausted(self) -> bool:
        """Whether a sampler that tries everything has tried it."""
        if self._plan.sampler.name not in EXHAUSTIVE:
            return False
        trials = self._study._storage.get_all_trials(self._study._id, deepcopy=False)
        if any(trial.state.name == "WAITING" for trial in trials):
            return False
        space = self._plan.space
        tried = {tuple(map(trial.params.get, space)) for trial in trials if trial.params.keys() >= space.keys()}
        return len(tried) >= math.prod(one.count or 1 for one in space.values())

    def _suggest(self, trial: Trial) -> None:
        for key, one in self._plan.space.items():
            if one.kind == "choice":
                trial.suggest_choice(key, one.choices)
                continue
            assert one.low is not None
            assert one.high is not None
            if one.kind == "float":
                trial.suggest_float(key, one.low, one.high, step=one.step, log=one.log)
            else:
                low, high, step = int(one.low), int(one.high), int(one.step or 1)
                trial.suggest_int(key, low, high, step=step, log=one.log)

    def _attempt(self, trial: Trial) -> None:
        """One trial from its command to its end."""
        started_at = datetime.now(UTC)
        try:
            ended = self._run_child(trial)
        except OSError as error:
            problem = f"cannot run {self._command[0]}: {error.strerror or error}"
            self._study.tell(trial, reason=problem)
            raise InvalidValueError(problem) from None
        interrupt_dead_runs(self._connection)
        reports = self._study._storage.get_trial(trial._id).intermediate_values
        verdict = self._judged(trial, ended, reports)
        if verdict.reason is not None:
            verdict = _Verdict(reason=trial.config.mask(verdict.reason))
        if self._connection.value(RUN_OF_TRIAL, (trial._id,)) is None:
            self._record_run(trial, verdict, started_at, reports)
        self._keep_output(trial, ended.output)
        retried = self._ending is None and ended.killed and verdict.reason is not None and self._retry(trial)
        self._tell(trial, verdict, ended, retried)

    def _run_child(self, trial: Trial) -> Ended:
        environment = {
            "PYTHONUNBUFFERED": "1",
            **os.environ,
            "EXPTRACK_DB": str(self._connection.path),
            TRIAL_VARIABLE: f"{self._study.name}/{trial.number}",
            PARAMS_VARIABLE: json.dumps(trial.params),
        }
        with self._changing:
            if self._ending is not None:
                return Ended(1, False, "not begun", "", "")
            child = Child(command_words(self._command, trial.params), environment, self._listener)
            self._children.add(child)
        try:
            return child.wait()
        finally:
            with self._changing:
                self._children.discard(child)

    def _judged(self, trial: Trial, ended: Ended, reports: Mapping[int, float]) -> _Verdict:
        run = self._connection.value(RUN_OF_TRIAL, (trial._id,))
        row = None if run is None else self._connection.one(RUN_ENDING, (run,))
        if not ended.killed and self._gave_up(trial, run, reports):
            return _Verdict(pruned=True)
        if ended.returncode == 0 and (row is None or row["status"] == RunStatus.COMPLETED):
            return self._valued(run, reports)
        if self._ending is not None:
            return _Verdict(reason=self._ending)
        if ended.returncode == 0 and row is not None:
            return _Verdict(reason=f"its run is {row['status']}: {row['reason'] or 'nobody ended it'}")
        what = row["reason"] if row is not None and row["status"] == RunStatus.FAILED else None
        return _Verdict(reason=f"{ended.words}: {what or _last_lines(ended.errors)}".rstrip(": "))

    def _gave_up(self, trial: Trial, run: int | None, reports: Mapping[int, float]) -> bool:
        """Whether the command ended because it was told to give up, and not in spite of it."""
        attributes = self._study._storage.get_trial_system_attrs(trial._id)
        if PRUNE_MARK in attributes and attributes[PRUNE_MARK] == max(reports, default=None):
            return True
        return run is not None and any(
            event.kind == PRUNE_EVENT for event in read_events(self._connection, run)
        )

    def _valued(self, run: int | None, reports: Mapping[int, float]) -> _Verdict:
        metric, reduce = self._plan.metric, self._plan.reduce
        summaries = () if run is None else read_summaries(self._connection, [run])[run]
        logged = {summary.name: summary for summary in summaries}
        value: float | None = None
        if metric in logged:
            value = getattr(logged[metric], reduce)
            value = math.nan if value is None else value
        elif reports:
            sound = [one for one in reports.values() if not math.isnan(one)] or [math.nan]
            value = {"last": reports[max(reports)], "min": min(sound), "max": max(sound)}[reduce]
        if value is None:
            if run is None:
                return _Verdict(reason=f"it started no run (exptrack.start_run) that logs {metric}")
            close = difflib.get_close_matches(metric, logged)
            others = f"; did it mean {close[0]}?" if close else f", only {', '.join(logged)}" if logged else ""
            return _Verdict(reason=f"its run logged no {metric}{others}")
        if math.isnan(value):
            return _Verdict(reason=f"{metric} is NaN, which cannot be compared")
        return _Verdict(value=value)

    def _record_run(
        self, trial: Trial, verdict: _Verdict, started_at: datetime, reports: Mapping[int, float]
    ) -> None:
        """Record a run for a command that started none, so that what it wrote is kept."""
        failed = verdict.reason is not None
        metrics = {self._plan.metric: (list(reports), list(reports.values()))} if reports else {}
        record = RecordedRun(
            trial.config,
            started_at,
            (datetime.now(UTC) - started_at).total_seconds(),
            RunStatus.FAILED if failed else RunStatus.COMPLETED,
            verdict.reason,
            name=name_trial_run(self._study.name, trial.number),
            group=self._study.name,
            metrics=metrics,
        )
        with self._connection.transaction():
            (run_id,) = record_runs(self._connection, [record])
            join_run(self._connection, trial._id, resolve_run(self._connection, run_id)["id"])

    def _keep_output(self, trial: Trial, output: str) -> None:
        run = self._connection.value(RUN_OF_TRIAL, (trial._id,))
        row = self._connection.one(RUN_ENDING, (run,))
        if output and row is not None:
            store = ArtifactStore(self._connection, run, row["run_id"])
            store.register_data(OUTPUT, redact_text(trial.config.mask(output)))

    def _retry(self, trial: Trial) -> bool:
        """Let a trial be tried again unless that was done as often as it may be."""
        trials = self._study._storage.get_all_trials(self._study._id, deepcopy=False)
        first = trials[trial.number].system_attrs.get(RETRY_MARK, trial.number)
        if sum(one.system_attrs.get(RETRY_MARK) == first for one in trials) >= self._plan.retries:
            return False
        self._study.enqueue(trial.params, retry_of=first)
        return True

    def _tell(self, trial: Trial, verdict: _Verdict, ended: Ended, retried: bool) -> None:
        failed = verdict.reason is not None
        if failed and self._stop_on_failure and not retried:
            self._close("failure")
        with self._telling:
            with self._asking:
                self._study.tell(trial, verdict.value, pruned=verdict.pruned, reason=verdict.reason)
            record, info = self._study.trial(trial.number), self._study.info
            self._counts[record.state] += 1
            if self._after is not None:
                tail = ended.output.rstrip().splitlines()[-TAIL_LINES:] if failed else []
                self._after(SweepTrial(record, info.best_number, info.best_value, retried, tuple(tail)))


def command_words(command: Sequence[str], params: Mapping[str, Any]) -> list[str]:
    """A command with the params as overrides: in the place of ``{overrides}``, else behind it.

    A word that is ``{overrides}`` stands for all of them; inside a word, such as a shell's, they are quoted.

    >>> command_words(["python", "train.py"], {"optim.lr": 0.1, "name": "3"})
    ['python', 'train.py', 'optim.lr=0.1', 'name="3"']
    """
    overrides = [f"{key}={_override_text(value)}" for key, value in params.items()]
    words: list[str] = []
    for word in command:
        words += overrides if word == OVERRIDES else [word.replace(OVERRIDES, shlex.join(overrides))]
    return words if any(OVERRIDES in word for word in command) else [*command, *overrides]


def _override_text(value: object) -> str:
    """The text that an override types as this value; bare where it can be, so that it may select a file."""
    if isinstance(value, str) and not value.startswith(('"', "[", "{")) and sdn.parse_value(value) == value:
        return value
    return sdn.dumps({"value": value}).partition(" ")[2].rstrip("\n")  # type: ignore[dict-item]


def _last_lines(text: str) -> str:
    """What standard error ended with; of a Python traceback the error, without the code that led to it."""
    lines = [line.rstrip() for line in text.rpartition(TRACEBACK)[2].splitlines() if line.strip()]
    lines = [line.strip() for line in lines if not line.startswith("  ")] or [line.strip() for line in lines]
    return " / ".join(lines[-REASON_LINES:])[-REASON_CHARS:]


@contextmanager
def _heeded_signals(heard: list[int]) -> Iterator[None]:
    """Note ctrl-C and SIGTERM instead of being ended by them; those that are ignored stay so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, _frame: FrameType | None) -> None:
        heard.append(number)

    former = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            former[number] = signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
