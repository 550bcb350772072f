"""Run a sweep: a command for each trial, each in a process of its own.

Invariants: every trial that began here ends here, as complete, pruned or failed. If this process is killed,
its trials stay running in the file. Readers show them as failed, and the next search stores that. Every trial
has a run: its command started it, or this file records one. The command's output is the artifact ``output.txt``
of that run. A trial's value is what its run logged, never what the command printed. The trial ends before its
output is stored, and an output that cannot be stored is a warning. A command is told to end before it is
killed.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import shlex
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
from exptrack.capture.redaction import remove_secrets
from exptrack.config.store import read_stored_config
from exptrack.database.connection import Connection, in_section
from exptrack.errors import ExptrackError, InvalidValueError, warn
from exptrack.known_secrets import CHANNEL_VARIABLE, know_secret, know_variables
from exptrack.metrics.store import read_summaries
from exptrack.records import RunStatus, TrialState
from exptrack.runs.events import read_events
from exptrack.runs.lookup import resolve_run
from exptrack.runs.recorded import RecordedRun, record_runs
from exptrack.runs.trial_link import TRIAL_VARIABLE, join_run, name_trial_run
from exptrack.secret_channel import SecretChannel
from exptrack.sweeps.optuna_bridge import row_of
from exptrack.sweeps.plan import EXHAUSTIVE, SweepPlan, check_time_limit
from exptrack.sweeps.records import SweepReport, SweepTrial
from exptrack.sweeps.store import PRUNE_MARK, RETRY_MARK, find_run, stop_asked_since
from exptrack.sweeps.study import Study
from exptrack.sweeps.study_core import StudyCore
from exptrack.sweeps.sweep_study import (
    BROKE_OFF,
    INTERRUPTED,
    STOPPED,
    begin_or_continue,
    check_command,
    open_sweep,
    remember,
    retry_cut_short,
    warn_of_unseen,
)
from exptrack.sweeps.trial import Trial
from exptrack.times import utc_text
from exptrack.tracking.child_process import Child, Ended, Listener
from exptrack.tracking.lifecycle import interrupt_dead_runs
from exptrack.tracking.run import PRUNE_EVENT, Terminated
from exptrack.validation import check_flag, check_function

RUN_ENDING = "SELECT run_id, status, reason FROM run WHERE id = ?"

PARAMS_VARIABLE = "EXPTRACK_PARAMS"  # the params as JSON, in the environment of a command
OVERRIDES = "{overrides}"
OUTPUT = "output.txt"

POLL_S = 0.2
PATIENCE_S = 10.0  # from telling a command to end until it is terminated, then until it is killed
REASON_LINES, REASON_CHARS = 3, 500
TRACEBACK = "Traceback (most recent call last):\n"
TAIL_LINES = 12


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
    take_over: bool = False,
    stop_on_failure: bool = False,
    after: Callable[[SweepTrial], None] | None = None,
    listener: Listener | None = None,
) -> SweepReport:
    """Run a sweep or go on with it; see :meth:`exptrack.Archive.run_sweep`."""
    given = {"jobs": jobs, "max_trials": max_trials, "retries": retries}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if time_limit is not None:
        changes["time_limit_s"] = check_time_limit(time_limit)
    retry, take_over = check_flag(retry, "retry"), check_flag(take_over, "take_over")
    stop_on_failure = check_flag(stop_on_failure, "stop_on_failure")
    after, listener = check_function(after, "after"), check_function(listener, "listener")
    words = None if command is None else check_command(command)
    if isinstance(sweep, SweepPlan):
        if words is None:
            raise InvalidValueError("the command is missing; give one that trains, like ['python', 'train.py']")
        plan = replace(sweep, **changes)
        core = begin_or_continue(connection, plan, words)
    else:
        core, stored, remembered = open_sweep(connection, sweep)
        plan, words = replace(stored, **changes), words or remembered
        if words is None:
            raise InvalidValueError(f"sweep {core.name!r} remembers no command; give it after --")
        remember(core, plan, words)
    study = Study(core)
    study.fail_dead_trials(take_over=take_over)
    warn_of_unseen(study)
    if retry:
        retry_cut_short(study, core, plan)
    with core.translate_errors():
        return _Runner(core, plan, words, stop_on_failure, after, listener).run()


# Running


class _Verdict(NamedTuple):
    """How a trial ends: with a value, as pruned, or failed with a reason."""

    value: float | None = None
    pruned: bool = False
    reason: str | None = None


class _Runner:
    """Run the trials of one call: each worker thread drives one child, and the calling thread watches."""

    def __init__(
        self,
        core: StudyCore,
        plan: SweepPlan,
        command: Sequence[str],
        stop_on_failure: bool,
        after: Callable[[SweepTrial], None] | None,
        listener: Listener | None,
    ) -> None:
        self._core = core
        self._study = Study(core)
        self._connection = core.connection
        self._plan = plan
        self._command = list(command)
        self._stop_on_failure = stop_on_failure
        self._after = after
        self._listener = listener
        self._began = utc_text()
        self._deadline = math.inf if plan.time_limit_s is None else time.monotonic() + plan.time_limit_s
        self._asking = threading.Lock()  # Optuna's samplers are not safe to share between threads
        self._telling = threading.Lock()  # so that `after` is called for one trial at a time
        self._counts = dict.fromkeys((TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL), 0)
        self._closed: str | None = None  # why no more trials begin
        self._changing = threading.Lock()  # guards the next three
        self._children: set[Child] = set()
        self._ending: str | None = None  # why the children are being ended
        self._ending_since = 0.0
        self._pushed = 0  # 0: the children were interrupted at most, 1: terminated, 2: killed
        self._channel = SecretChannel()
        self._signals: list[int] = []  # those that came, in their order

    def run(self) -> SweepReport:
        """Run trials until no more may begin and all have ended."""
        with (
            self._channel,
            _note_signals(self._signals),
            ThreadPoolExecutor(self._plan.jobs) as pool,
        ):
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
        """Wait for the workers and obey signals and requests to stop; raise the first error of a worker."""
        problem: BaseException | None = None
        pending = set(workers)
        while pending:
            done, pending = wait(pending, POLL_S)
            try:
                for worker in done:
                    worker.result()
                self._obey(asked=problem is None)
            except BaseException as error:
                problem = problem or error
                self._end_children(BROKE_OFF)
        if problem is not None:
            raise problem

    def _obey(self, *, asked: bool) -> None:
        """End the children if a signal or, with `asked`, another process wants it; push those that linger."""
        if self._signals:
            self._end_children(INTERRUPTED)
        elif asked and stop_asked_since(self._connection, self._core.row, self._began):
            self._close("stopped")
            if stop_asked_since(self._connection, self._core.row, self._began, now=True):
                self._end_children(STOPPED)
        with self._changing:
            if self._ending is not None:
                patience_over = int((time.monotonic() - self._ending_since) / PATIENCE_S)
                # A second Ctrl-C kills at once.
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

    def _push(self, force: int) -> None:
        if force > self._pushed:
            self._pushed = force
            for child in self._children:
                child.kill() if force == 2 else child.terminate()

    # The work of one thread

    def _work(self) -> None:
        while (trial := self._begin_trial()) is not None:
            self._attempt(trial)

    def _begin_trial(self) -> Trial | None:
        """Begin a trial and suggest its params; return None when no more may begin."""
        with self._asking:
            if time.monotonic() >= self._deadline:
                self._close("time")
            if stop_asked_since(self._connection, self._core.row, self._began):
                self._close("stopped")
            if self._closed is not None or self._is_exhausted():
                return None
            source = self._core.begin_trial()
            if source is None:
                return None
            trial = Trial(self._core, source)
            try:
                self._suggest(trial)
            except ExptrackError as error:
                self._study.tell(trial, reason=str(error))
                raise
            return trial

    def _is_exhausted(self) -> bool:
        """Return whether a sampler that tries every combination has tried all of them."""
        if self._plan.sampler.name not in EXHAUSTIVE:
            return False
        trials = self._core.frozen_trials()
        if any(trial.state.name == "WAITING" for trial in trials):
            return False
        space = self._plan.space
        tried = {tuple(map(trial.params.get, space)) for trial in trials if trial.params.keys() >= space.keys()}
        return len(tried) >= math.prod(dimension.count or 1 for dimension in space.values())

    def _suggest(self, trial: Trial) -> None:
        for key, drawn in self._plan.space.items():
            if drawn.kind == "choice":
                trial.suggest_choice(key, drawn.choices)
                continue
            assert drawn.low is not None
            assert drawn.high is not None
            if drawn.kind == "float":
                trial.suggest_float(key, drawn.low, drawn.high, step=drawn.step, log=drawn.log)
            else:
                low, high, step = int(drawn.low), int(drawn.high), int(drawn.step or 1)
                trial.suggest_int(key, low, high, step=step, log=drawn.log)

    def _attempt(self, trial: Trial) -> None:
        """Run one trial from its command to its end."""
        started_at = datetime.now(UTC)
        try:
            ended = self._run_child(trial)
        except OSError as error:
            problem = f"cannot run {self._command[0]}: {error.strerror or error}"
            self._study.tell(trial, reason=problem)
            raise InvalidValueError(problem) from None
        interrupt_dead_runs(self._connection)
        row = row_of(trial.optuna_trial)
        ended = self._hide_secrets(row, ended)
        reports = self._core.storage.get_trial(row).intermediate_values
        verdict = self._judge(row, ended, reports)
        retried = self._ending is None and ended.killed and verdict.reason is not None and self._retry(trial)
        self._tell(trial, verdict, retried)
        try:
            if find_run(self._connection, row) is None:
                self._record_run(trial, verdict, started_at, reports)
            self._keep_output(trial, ended.output)
        except Exception as error:  # the disk is full, for instance; the trial has ended all the same
            warn(f"what trial {trial.number} of {self._study.name!r} printed is not stored: {error}")
        self._report(trial, verdict, ended, retried)

    def _run_child(self, trial: Trial) -> Ended:
        environment = {
            "PYTHONUNBUFFERED": "1",
            **os.environ,
            "EXPTRACK_DB": str(self._connection.path),
            TRIAL_VARIABLE: f"{self._study.name}/{trial.number}",
            PARAMS_VARIABLE: json.dumps(trial.params),
            CHANNEL_VARIABLE: self._channel.variable,
        }
        with self._changing:
            if self._ending is not None:
                return Ended(1, False, "not started", "", "")
            words = command_words(self._command, trial.params)
            child = Child(words, environment, self._listener, self._know_told_secrets)
            self._children.add(child)
        try:
            return child.wait()
        finally:
            with self._changing:
                self._children.discard(child)

    def _know_told_secrets(self) -> None:
        for value, shown in self._channel.listen():
            know_secret(value, shown)

    def _hide_secrets(self, trial: int, ended: Ended) -> Ended:
        """Remove the secrets that the command has told from its output, and those of its run's config."""
        self._know_told_secrets()
        run = find_run(self._connection, trial)
        if run is not None:
            # A command in a container cannot tell; it has the variables of this process all the same.
            know_variables(read_stored_config(self._connection, run).canonical)
        return ended._replace(output=remove_secrets(ended.output), errors=remove_secrets(ended.errors))

    def _judge(self, trial: int, ended: Ended, reports: Mapping[int, float]) -> _Verdict:
        """Decide how a trial ends; `trial` is its row id."""
        run = find_run(self._connection, trial)
        row = None if run is None else self._connection.one(RUN_ENDING, (run,))
        if not ended.killed and self._gave_up(trial, run, reports):
            return _Verdict(pruned=True)
        if ended.returncode == 0 and (row is None or row["status"] == RunStatus.COMPLETED):
            return self._read_value(run, reports)
        if self._ending is not None:
            return _Verdict(reason=self._ending)
        if ended.returncode == 0 and row is not None:
            return _Verdict(reason=_describe_ending(row["status"], row["reason"]))
        what = row["reason"] if row is not None and row["status"] == RunStatus.FAILED else None
        return _Verdict(reason=f"{ended.words}: {what or _last_lines(ended.errors)}".rstrip(": "))

    def _gave_up(self, trial: int, run: int | None, reports: Mapping[int, float]) -> bool:
        """Return whether the command ended because it was told to give up: it reported nothing after that."""
        attributes = self._core.storage.get_trial_system_attrs(trial)
        if PRUNE_MARK in attributes and attributes[PRUNE_MARK] == max(reports, default=None):
            return True
        return run is not None and any(
            event.kind == PRUNE_EVENT for event in read_events(self._connection, run)
        )

    def _read_value(self, run: int | None, reports: Mapping[int, float]) -> _Verdict:
        """Read the trial's value from its run, or else from its reports."""
        metric, reduce = self._plan.metric, self._plan.reduce
        summaries = () if run is None else read_summaries(self._connection, [run])[run]
        logged = {summary.name: summary for summary in summaries}
        value: float | None = None
        if metric in logged:
            value = getattr(logged[metric], reduce)
            value = math.nan if value is None else value
        elif reports:
            comparable = [one for one in reports.values() if not math.isnan(one)] or [math.nan]
            value = {"last": reports[max(reports)], "min": min(comparable), "max": max(comparable)}[reduce]
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
        """Record a run for a command that started none, so that its output is kept."""
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
        self._store_run(trial, record)

    @in_section
    def _store_run(self, trial: Trial, record: RecordedRun) -> None:
        with self._connection.transaction():
            (run_id,) = record_runs(self._connection, [record])
            run = resolve_run(self._connection, run_id)["id"]
            join_run(self._connection, row_of(trial.optuna_trial), run)

    def _keep_output(self, trial: Trial, output: str) -> None:
        run = find_run(self._connection, row_of(trial.optuna_trial))
        row = None if run is None else self._connection.one(RUN_ENDING, (run,))
        if output and run is not None and row is not None:
            store = ArtifactStore(self._connection, run, row["run_id"])
            store.register_data(OUTPUT, output)

    def _retry(self, trial: Trial) -> bool:
        """Enqueue a trial's params again, unless that was done `retries` times; return whether it was."""
        trials = self._core.frozen_trials()
        first = trials[trial.number].system_attrs.get(RETRY_MARK, trial.number)
        if sum(one.system_attrs.get(RETRY_MARK) == first for one in trials) >= self._plan.retries:
            return False
        self._study.enqueue(trial.params, retry_of=first)
        return True

    def _tell(self, trial: Trial, verdict: _Verdict, retried: bool) -> None:
        """End the trial in its study."""
        if verdict.reason is not None and self._stop_on_failure and not retried:
            self._close("failure")
        with self._asking:
            self._study.tell(trial, verdict.value, pruned=verdict.pruned, reason=verdict.reason)

    def _report(self, trial: Trial, verdict: _Verdict, ended: Ended, retried: bool) -> None:
        """Count a trial that has ended, and call `after`."""
        with self._telling:
            record, info = self._study.trial(trial.number), self._study.info
            self._counts[record.state] += 1
            if self._after is not None:
                failed = verdict.reason is not None
                tail = ended.output.rstrip().splitlines()[-TAIL_LINES:] if failed else []
                self._after(SweepTrial(record, info.best_number, info.best_value, retried, tuple(tail)))


def command_words(command: Sequence[str], params: Mapping[str, Any]) -> list[str]:
    """Add the params to a command as overrides: in the place of ``{overrides}``, else at its end.

    A word that is ``{overrides}`` becomes a word for each param. Inside a word, as for ``sh -c``, the params
    are quoted.

    >>> command_words(["python", "train.py"], {"optim.lr": 0.1, "name": "3"})
    ['python', 'train.py', 'optim.lr=0.1', 'name="3"']
    """
    overrides = [f"{key}={_format_override(value)}" for key, value in params.items()]
    words: list[str] = []
    for word in command:
        words += overrides if word == OVERRIDES else [word.replace(OVERRIDES, shlex.join(overrides))]
    return words if any(OVERRIDES in word for word in command) else [*command, *overrides]


def _format_override(value: object) -> str:
    """Return the text that an override reads as this value; unquoted if possible, as it may name a file."""
    if isinstance(value, str) and not value.startswith(('"', "[", "{")) and sdn.parse_value(value) == value:
        return value
    return sdn.dumps({"value": value}).partition(" ")[2].rstrip("\n")  # type: ignore[dict-item]


def _describe_ending(status: str, reason: str | None) -> str:
    """Say why a run that did not complete leaves its trial without a value, although the command succeeded."""
    if reason:
        return f"its run is {status}: {reason}"
    words = "failed without a reason" if status == RunStatus.FAILED else f"is {status}"
    return f"its run {words}: the script did not call complete() or fail()"


def _last_lines(text: str) -> str:
    """Return the end of standard error; of a Python traceback only the error, without the lines of code."""
    lines = [line.rstrip() for line in text.rpartition(TRACEBACK)[2].splitlines() if line.strip()]
    lines = [line.strip() for line in lines if not line.startswith("  ")] or [line.strip() for line in lines]
    return " / ".join(lines[-REASON_LINES:])[-REASON_CHARS:]


@contextmanager
def _note_signals(heard: list[int]) -> Iterator[None]:
    """Collect SIGINT and SIGTERM instead of ending by them; a signal that is ignored stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(heard_now: int, _frame: FrameType | None) -> None:
        heard.append(heard_now)

    former = {}
    for which in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(which) is not signal.SIG_IGN:
            former[which] = signal.signal(which, note)
    try:
        yield
    finally:
        for which, handler in former.items():
            signal.signal(which, signal.SIG_DFL if handler is None else handler)
