"""Run a sweep: a command for each trial, each in a process of its own.

Invariants: every trial that began here ends here, as complete, pruned or failed. If this process is killed,
its trials stay running in the file. Readers show them as failed, and the next search stores that. Every trial
has a run: its command started it, or this file records one. The command's output is the artifact ``output.txt``
of that run. A trial's value is what its run logged, never what the command printed. The trial ends before its
output is stored, and an output that cannot be stored is a warning. A command is told to end before it is
killed.
"""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from exptrack.artifacts.store import ArtifactStore
from exptrack.capture.redaction import remove_secrets
from exptrack.config.store import read_stored_config
from exptrack.database.connection import Connection, in_section
from exptrack.errors import ArchiveError, ExptrackError, InvalidValueError, warn
from exptrack.known_secrets import CHANNEL_VARIABLE, know_secret, know_variables
from exptrack.process import identify_child
from exptrack.records import RunStatus, TrialState
from exptrack.runs.trial_link import TRIAL_VARIABLE, join_run, name_trial_run
from exptrack.secret_channel import SecretChannel
from exptrack.sweeps.command import TrialCommand
from exptrack.sweeps.early_failures import EarlyFailures
from exptrack.sweeps.optuna_bridge import row_of
from exptrack.sweeps.plan import SweepPlan, check_time_limit
from exptrack.sweeps.records import SweepReport, SweepTrial, TrialRecord
from exptrack.sweeps.store import ENDS, StopRequests, name_command
from exptrack.sweeps.study import Study
from exptrack.sweeps.study_core import StudyCore
from exptrack.sweeps.sweep_study import (
    BROKE_OFF,
    INTERRUPTED,
    STOPPED,
    begin_or_continue,
    fail_and_retry,
    go_on,
    open_sweep,
    repeat_failed,
    warn_of_unseen,
)
from exptrack.sweeps.trial import Trial
from exptrack.sweeps.verdict import Verdict, find_run, judge_command, read_reports
from exptrack.termination import SIGTERM_EXIT, Terminated
from exptrack.times import steady_s
from exptrack.tracking.child_process import Child, Ended, Listener
from exptrack.tracking.lifecycle import interrupt_dead_runs
from exptrack.tracking.recorded_run import RecordedRun
from exptrack.tracking.recording import record_runs
from exptrack.validation import check_flag, check_function

RUN_ID = "SELECT run_id FROM run WHERE id = ?"

PARAMS_VARIABLE = "EXPTRACK_PARAMS"  # the params as JSON, in the environment of a command
OUTPUT = "output.txt"

POLL_S = 0.2
PATIENCE_S = 10.0  # from telling a command to end until it is terminated, then until it is killed
TAIL_LINES, TAIL_CHARS = 12, 500  # of what the command of a failed trial printed; characters of each line
# A command cannot begin now, and can once another has ended.
SHORTAGES = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


def run_sweep(
    connection: Connection,
    sweep: SweepPlan | str,
    command: Sequence[str] | None = None,
    *,
    args: str | None = None,
    dashes: bool = False,
    flags: bool = False,
    jobs: int | None = None,
    max_trials: int | None = None,
    time_limit: float | str | None = None,
    retries: int | None = None,
    retry: bool = False,
    retry_failed: bool = False,
    take_over: bool = False,
    accept_changes: bool = False,
    stop_on_failure: bool = False,
    keep_going: bool = False,
    before: Callable[[SweepPlan], None] | None = None,
    after: Callable[[SweepTrial], None] | None = None,
    listener: Listener | None = None,
) -> SweepReport:
    """Run a sweep or go on with it; see :meth:`exptrack.Archive.run_sweep`."""
    given = {"jobs": jobs, "max_trials": max_trials, "retries": retries}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if time_limit is not None:
        changes["time_limit_s"] = check_time_limit(time_limit)
    retry, repeat = check_flag(retry, "retry"), check_flag(retry_failed, "retry_failed")
    take_over, accept = check_flag(take_over, "take_over"), check_flag(accept_changes, "accept_changes")
    stop_on_failure, keep_going = (
        check_flag(stop_on_failure, "stop_on_failure"),
        check_flag(keep_going, "keep_going"),
    )
    before, after = check_function(before, "before"), check_function(after, "after")
    listener = check_function(listener, "listener")
    chosen = None if command is None else TrialCommand.of(command, args, dashes, flags)
    if chosen is None and (args is not None or dashes or flags):
        raise InvalidValueError("args, dashes and flags are those of a command; give the command too")
    if isinstance(sweep, SweepPlan):
        if chosen is None:
            raise InvalidValueError("the command is missing; give one that trains, like ['python', 'train.py']")
        plan = replace(sweep, **changes)
        core = begin_or_continue(connection, plan, chosen, accept_changes=accept)
    else:
        core, stored, remembered = open_sweep(connection, sweep)
        plan, chosen = replace(stored, **changes), chosen or remembered
        if chosen is None:
            raise InvalidValueError(f"sweep {core.name!r} remembers no command; give it after --")
        core = go_on(core, stored, plan, chosen, accept_changes=accept)
    stops = StopRequests(connection, core.row)
    study = Study(core)
    study.fail_dead_trials(take_over=take_over)
    warn_of_unseen(study)
    if before is not None:
        before(plan)
    if retry or repeat:
        repeat_failed(study, core, plan, only_cut_short=not repeat)
    early = None if keep_going else EarlyFailures()
    with core.translate_errors():
        return _Runner(core, plan, chosen, stops, stop_on_failure, early, after, listener).run()


# Running


class _Runner:
    """Run the trials of one call: each worker thread drives one child, and the calling thread watches."""

    def __init__(
        self,
        core: StudyCore,
        plan: SweepPlan,
        command: TrialCommand,
        stops: StopRequests,
        stop_on_failure: bool,
        early: EarlyFailures | None,
        after: Callable[[SweepTrial], None] | None,
        listener: Listener | None,
    ) -> None:
        self._core = core
        self._study = Study(core)
        self._connection = core.connection
        self._plan = plan
        self._settings = plan.to_settings()
        self._command = command
        self._stop_on_failure = stop_on_failure
        self._early = early
        self._after = after
        self._listener = listener
        self._stops = stops
        self._deadline = math.inf if plan.time_limit_s is None else time.monotonic() + plan.time_limit_s
        self._asking = threading.Lock()  # Optuna's samplers are not safe to share between threads
        self._telling = threading.Lock()  # so that `after` is called for one trial at a time
        self._counts = dict.fromkeys((TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL), 0)
        self._closed: str | None = None  # why no more trials begin
        self._broken: SweepTrial | None = None  # the last of the trials that all failed the same way
        self._changing = threading.Lock()  # guards the next three
        self._children: set[Child] = set()
        self._ending: str | None = None  # why the children are being ended
        self._ending_since = 0.0
        self._pushed = 0  # 0: the children were interrupted at most, 1: terminated, 2: killed
        self._workers = 0  # that were begun
        self._ended: SimpleQueue[BaseException | None] = SimpleQueue()  # an entry of each worker at its end
        self._untold: list[tuple[Trial, Verdict]] = []  # trials whose end could not be stored
        self._channel = SecretChannel()
        self._signals: list[int] = []  # those that came, in their order

    def run(self) -> SweepReport:
        """Run trials until no more may begin and all have ended."""
        self._core.require_sampler()
        with self._channel, _note_signals(self._signals):
            try:
                self._watch()
            finally:
                self._tell_again()
        if signal.SIGTERM in self._signals:
            raise Terminated(SIGTERM_EXIT)
        if self._signals:
            raise KeyboardInterrupt
        info = self._study.info
        broken = self._broken
        return SweepReport(
            self._study.name,
            self._counts,
            self._closed or "done",
            info.best_number,
            info.best_value,
            None if broken is None else broken.trial.reason,
            () if broken is None else broken.tail,
        )

    def _watch(self) -> None:
        """Wait for the workers and obey signals and requests to stop; raise the first error of a worker."""
        problem: BaseException | None = None
        ended = 0
        self._begin_worker()
        while ended < self._workers:  # each begins the next one before it ends
            try:
                with suppress(Empty):
                    error = self._ended.get(timeout=POLL_S)
                    ended += 1
                    if error is not None:
                        raise error
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
        elif asked and self._stops.came():
            self._close("stopped")
            if self._stops.came(now=True):
                self._end_children(STOPPED)
        with self._changing:
            if self._ending is None:
                return
            if len(self._signals) > 1:
                self._push(2)  # a second Ctrl-C kills at once
            elif time.monotonic() - self._ending_since > PATIENCE_S:
                # One step at a time: this process may itself have been stopped for long.
                self._ending_since = time.monotonic()
                self._push(min(self._pushed + 1, 2))

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

    def _begin_worker(self) -> None:
        """Begin one more worker; without room for its thread, go on with those that there are."""
        self._workers += 1
        try:
            threading.Thread(target=self._work, name="exptrack-sweep", daemon=True).start()
        except RuntimeError:
            self._workers -= 1
            if not self._workers:
                raise ExptrackError(
                    "the process may begin no thread for the sweep; allow it more threads"
                ) from None
            warn(
                "the process may begin no more threads; allow it more threads. Trials run at once until then:"
                f" {self._workers}"
            )

    def _work(self) -> None:
        error: BaseException | None = None
        is_first = True
        try:
            while (trial := self._begin_trial()) is not None:
                if is_first and self._workers < self._plan.jobs:
                    self._begin_worker()  # now that there was work for this one
                is_first = False
                self._attempt(trial)
        except BaseException as problem:
            error = problem
        self._ended.put(error)

    def _begin_trial(self) -> Trial | None:
        """Begin a trial and suggest its params; return None when no more may begin."""
        with self._asking:
            if time.monotonic() >= self._deadline:
                self._close("time")
            if self._stops.came():
                self._close("stopped")
            if self._closed is not None:
                return None
            trial, error = self._draw_alone() if self._plan.sampler.is_exhaustive else self._draw()
            if error is not None:
                raise error
            return trial

    def _draw(self) -> tuple[Trial | None, ExptrackError | None]:
        """Begin a trial with its params; return it, or the error for which it has failed."""
        source = self._core.begin_trial()
        if source is None:
            return None, None
        trial = Trial(self._core, source)
        try:
            self._suggest(trial)
        except ExptrackError as error:
            self._study.tell(trial, reason=str(error))
            return None, error
        return trial, None

    @in_section
    def _draw_alone(self) -> tuple[Trial | None, ExptrackError | None]:
        """Begin a trial while no other process begins one, so that no two try the same combination."""
        with self._connection.transaction():
            self._core.require_present()
            return (None, None) if self._is_exhausted() else self._draw()

    def _is_exhausted(self) -> bool:
        """Return whether a sampler that tries every combination has tried all of them."""
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
        row = row_of(trial.optuna_trial)
        started_at, started_s = datetime.now(UTC), steady_s()
        try:
            ended = self._run_child(trial)
        except OSError as error:
            problem = f"cannot run {self._command.words[0]}: {error.strerror or error}"
            self._study.tell(trial, reason=problem)
            raise InvalidValueError(problem) from None
        lasted_s = steady_s() - started_s
        try:
            interrupt_dead_runs(self._connection)
        except ArchiveError as error:  # other runs; storing the end of this trial may work all the same
            warn(f"the ends of runs whose process died are not stored yet: {error}")
        self._know_secrets(row)
        ended = ended._replace(errors=remove_secrets(ended.errors))
        verdict = judge_command(self._connection, self._settings, row, ended, self._ending)
        retried = self._tell(trial, verdict, killed=ended.killed)
        record = self._study.trial(trial.number)
        if record.state == TrialState.FAIL and self._stop_on_failure and not retried:
            self._close("failure")
        output = ""
        try:
            output = remove_secrets(ended.output)
            if find_run(self._connection, row) is None:
                self._record_run(trial, record, started_at, lasted_s)
            self._keep_output(row, output)
        except Exception as error:  # the disk is full, for instance; the trial has ended all the same
            warn(f"what trial {trial.number} of {self._study.name!r} printed is not stored: {error}")
        # A trial that was cut short from outside tells nothing of the command.
        cut_short = retried or ended.killed or self._ending is not None
        self._report(trial.number, output, retried, None if cut_short or verdict.diverged else lasted_s)

    def _run_child(self, trial: Trial) -> Ended:
        environment = {
            "PYTHONUNBUFFERED": "1",
            **os.environ,
            "EXPTRACK_DB": str(self._connection.path),
            "EXPTRACK_SPOOL": "",  # which would win
            TRIAL_VARIABLE: f"{self._study.name}/{trial.number}",
            PARAMS_VARIABLE: json.dumps(trial.params),
            CHANNEL_VARIABLE: self._channel.variable,
        }
        words = self._command.fill(trial.params)
        while (child := self._begin_child(words, environment)) is None:
            time.sleep(POLL_S)
        if isinstance(child, Ended):
            return child
        try:
            self._name_command(trial, child)
            return child.wait()
        finally:
            with self._changing:
                self._children.discard(child)

    def _begin_child(self, words: Sequence[str], environment: Mapping[str, str]) -> Child | Ended | None:
        """Begin a command, unless commands are being ended; None if it must wait until another has ended.

        Raises:
            OSError: the command cannot be run.
        """
        with self._changing:
            if self._ending is not None:
                return Ended(1, False, "not started", "", "")
            try:
                child = Child(words, environment, self._listener, self._know_told_secrets)
            except OSError as error:
                if error.errno not in SHORTAGES or not self._children:
                    raise
                return None
            self._children.add(child)
            return child

    def _name_command(self, trial: Trial, child: Child) -> None:
        try:
            name_command(self._connection, row_of(trial.optuna_trial), identify_child(child.pid))
        except ArchiveError as error:  # the command runs; that matters only if this process is killed before it
            warn(f"the process of trial {trial.number} of {self._study.name!r} is not stored: {error}")

    def _know_told_secrets(self) -> None:
        for value, shown in self._channel.listen():
            know_secret(value, shown)

    def _know_secrets(self, trial: int) -> None:
        """Know the secrets that the command has told, and those of its run's config."""
        self._know_told_secrets()
        run = find_run(self._connection, trial)
        if run is not None:
            # A command in a container cannot tell; it has the variables of this process all the same.
            know_variables(read_stored_config(self._connection, run).canonical)

    def _record_run(self, trial: Trial, ended: TrialRecord, started_at: datetime, lasted_s: float) -> None:
        """Record a run for a command that started none, so that its output is kept."""
        failed = ended.state == TrialState.FAIL
        reports = read_reports(self._connection, row_of(trial.optuna_trial))
        metrics = {self._plan.metric: (list(reports), list(reports.values()))} if reports else {}
        record = RecordedRun(
            trial.config,
            started_at,
            lasted_s,
            RunStatus.FAILED if failed else RunStatus.COMPLETED,
            ended.reason,
            name=name_trial_run(self._study.name, trial.number),
            group=self._study.name,
            metrics=metrics,
        )
        self._store_run(trial, record)

    @in_section
    def _store_run(self, trial: Trial, record: RecordedRun) -> None:
        with self._connection.transaction():
            (run_id,) = record_runs(self._connection, [record])
            join_run(self._connection, row_of(trial.optuna_trial), run_id)

    def _keep_output(self, trial: int, output: str) -> None:
        run = find_run(self._connection, trial)
        run_id = None if run is None else self._connection.value(RUN_ID, (run,))
        if output and run is not None and run_id is not None:
            ArtifactStore(self._connection, run, run_id).register_data(OUTPUT, output)

    def _tell(self, trial: Trial, verdict: Verdict, *, killed: bool = False) -> bool:
        """End a trial in its study, unless it has been ended; return whether its params are tried again."""
        try:
            cut_short = killed and verdict.reason is not None and self._ending is None
            if cut_short and fail_and_retry(self._core, trial, str(verdict.reason), self._plan.retries):
                return True
            with self._asking:
                self._study.tell(trial, verdict.value, pruned=verdict.pruned, reason=verdict.reason)
        except InvalidValueError:
            # Its command told it, or another process has taken it over. What it was told stays.
            self._core.require_present()
            if self._study.trial(trial.number).state not in ENDS:
                raise
        except ArchiveError:
            self._untold.append((trial, verdict))
            raise
        return False

    def _tell_again(self) -> None:
        """Try once more to store the end of trials, now that the sweep ends; say what is lost if that fails."""
        untold, self._untold = self._untold, []
        for trial, verdict in untold:
            try:
                self._tell(trial, verdict)
            except ArchiveError as error:
                end = f"value {verdict.value}" if verdict.reason is None else f"reason {verdict.reason!r}"
                warn(f"the {end} of trial {trial.number} of {self._study.name!r} is not stored: {error}")

    def _report(self, number: int, output: str, retried: bool, lasted_s: float | None) -> None:
        """Count a trial that has ended, and call `after`; without `lasted_s` its failure is no early one."""
        with self._telling:
            record, info = self._study.trial(number), self._study.info
            self._counts[record.state] += 1
            failed = record.state == TrialState.FAIL
            lines = output.rstrip().splitlines()[-TAIL_LINES:] if failed else []
            tail = tuple(line if len(line) <= TAIL_CHARS else f"{line[:TAIL_CHARS]} …" for line in lines)
            done = SweepTrial(record, info.best_number, info.best_value, retried, tail)
            if self._early is not None and self._early.are_enough_with(record, lasted_s):
                self._broken = done
                self._close("failing")
            if self._after is not None:
                self._after(done)


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
