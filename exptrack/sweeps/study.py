"""Studies that search over configs with Optuna, where each trial is a run of the archive.

Invariants: a trial's run has the study as its group. The run's config gains each param when it is suggested. A
failed trial has a failed run, an interrupted trial an interrupted run, and a pruned trial a completed run.
However an objective ends, the end of its trial and its run is stored.

This file imports Optuna. Reading what studies found does not need it; see ``store`` and ``results``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from exptrack.capture.redaction import remove_secrets_and_paths
from exptrack.database.connection import Connection, in_reading, in_section
from exptrack.database.opening import default_connection
from exptrack.errors import ExptrackError, InvalidTypeError, InvalidValueError
from exptrack.fixed_attributes import FixedAttributes
from exptrack.frames import Frame
from exptrack.listed import listed
from exptrack.plain import attribute, plain_scalar, read_elements, read_items, reading, short_repr
from exptrack.records import TrialState
from exptrack.runs.trial_link import PROCESS_DIED, RETRY_MARK, TrialPruned, name_trial_run
from exptrack.shown import shown
from exptrack.sweeps.algorithms import Pruner, Sampler, check_limit
from exptrack.sweeps.optuna_bridge import StudyFull, allow_stop, make_waiting_trial, row_of, silence_optuna
from exptrack.sweeps.plan import check_jobs
from exptrack.sweeps.records import StudyInfo, TrialRecord
from exptrack.sweeps.results import StudyResults
from exptrack.sweeps.store import (
    StopRequests,
    ask_to_stop,
    find_study,
    read_dead_trials,
    read_inherited_trials,
    read_trial,
    read_trials,
    read_unseen_trials,
    study_info,
)
from exptrack.sweeps.study_config import StudyConfig
from exptrack.sweeps.study_core import StudyCore
from exptrack.sweeps.trial import (
    Trial,
    check_new_value,
    check_param_value,
    give_run,
    is_trial_of,
    last_step_of,
)
from exptrack.sweeps.verdict import Verdict, judge_left
from exptrack.tracking.lifecycle import start_run
from exptrack.tracking.run import Run, describe
from exptrack.validation import (
    INT64_MIN,
    check_choice,
    check_flag,
    check_function,
    check_name,
    check_number,
    check_text,
    check_whole,
)

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from exptrack.markup.notebook import View

Objective: TypeAlias = "Callable[[Trial], float | Sequence[float]]"

DIVERGED = "the objective returned NaN, which cannot be compared"


@shown
class Study(FixedAttributes):
    """A search over configs, kept in the archive under its name.

    >>> from exptrack import Archive
    >>> study = Study.create("parabola", sampler=Sampler.tpe(seed=1), archive=Archive(tmp_path / "lab.db"))
    >>> def objective(trial):
    ...     x = trial.suggest_float("x", -10, 10)
    ...     return (x - 2) ** 2
    >>> study.optimize(objective, n_trials=20)
    >>> len(study.completed_trials()), abs(study.best_params["x"] - 2) < 2
    (20, True)
    """

    _NOUN: ClassVar[str] = "study"
    name: str
    directions: tuple[str, ...]
    metrics: tuple[str, ...]
    settings: dict[str, Any]

    def __init__(self, core: StudyCore) -> None:
        self._core = core
        self._connection = core.connection
        self._set_fixed(
            name=core.name, directions=core.directions, metrics=core.metrics, settings=core.settings
        )

    @classmethod
    def create(
        cls,
        name: str | StudyConfig,
        direction: str | Sequence[str] = "minimize",
        *,
        archive: object = None,
        sampler: Sampler | BaseSampler | str | None = None,
        pruner: Pruner | BasePruner | str | None = None,
        max_trials: int | None = None,
        time_limit: float | None = None,
        metric: str | Sequence[str] | None = None,
        base: object = None,
    ) -> Study:
        """Make a study in `archive` (the default one if None); see :class:`StudyConfig`. Commits.

        Raises:
            StudyExistsError: the archive has a study of this name.
            InvalidValueError: an option is invalid; the message names it.
        """
        config = (
            name
            if isinstance(name, StudyConfig)
            else StudyConfig(name, direction, sampler, pruner, max_trials, time_limit, metric, base)
        )
        connection = default_connection() if archive is None else attribute(archive, "_connection")
        if not isinstance(connection, Connection):
            raise InvalidTypeError(f"archive must be an Archive, not {short_repr(archive)}")
        return cls(StudyCore.create(connection, config))

    def __repr__(self) -> str:
        return f"<Study {self.name!r} in {self._connection.path.name}>"

    def _view(self) -> View:
        return self.results()._view()

    # Reading

    @property
    @listed
    def trials(self) -> list[TrialRecord]:
        """All trials, by number."""
        self.fail_dead_trials()
        return self._read()

    @in_reading
    def _read(self, *states: TrialState) -> list[TrialRecord]:
        with self._connection.snapshot():
            self._core.require_present()
            return read_trials(self._connection, self._core.row, states or tuple(TrialState))

    @listed
    def completed_trials(self) -> list[TrialRecord]:
        """Return the trials that ended with their values."""
        return self._read(TrialState.COMPLETE)

    @listed
    def pruned_trials(self) -> list[TrialRecord]:
        """Return the trials that were given up early."""
        return self._read(TrialState.PRUNED)

    @listed
    def failed_trials(self) -> list[TrialRecord]:
        """Return the trials that failed, each with its reason."""
        self.fail_dead_trials()
        return self._read(TrialState.FAIL)

    @property
    def info(self) -> StudyInfo:
        """The study in a few facts."""
        return study_info(self._connection, find_study(self._connection, self.name))

    @property
    def best_trial(self) -> TrialRecord:
        """The completed trial with the best value, among those that met all constraints.

        Raises:
            InvalidValueError: there is no such trial yet, or the study has several objectives (see
                `best_trials`).
        """
        info = self.info
        if len(self.directions) > 1:
            raise InvalidValueError(f"study {self.name!r} has several objectives; use best_trials")
        if info.best_number is None:
            raise InvalidValueError(
                f"study {self.name!r} has no completed trial (within its constraints) yet; run some first"
            )
        return self.trial(info.best_number)

    @property
    @listed
    def best_trials(self) -> list[TrialRecord]:
        """The best trial; with several objectives, the Pareto front. See :attr:`StudyResults.best_trials`."""
        return self.results().best_trials

    @property
    def best_value(self) -> float:
        """The value of :attr:`best_trial`."""
        return self.best_trial.values[0]

    @property
    def best_params(self) -> dict[str, Any]:
        """The params of :attr:`best_trial`."""
        return self.best_trial.params

    def trial(self, number: int) -> TrialRecord:
        """Read one trial by its number.

        Raises:
            InvalidValueError: the study has no trial of this number.
        """
        number = check_whole(number, "the number of a trial", INT64_MIN)
        found = read_trial(self._connection, self._core.row, number)
        if found is None:
            raise InvalidValueError(f"study {self.name!r} has no trial {short_repr(number)}")
        return found

    # Tables of the results

    def results(self) -> StudyResults:
        """Read all results so far, as of one moment; the methods below return parts of them."""
        self.fail_dead_trials()
        return StudyResults(self._connection, self.name)

    def frame(self) -> Frame:
        """Return a row for each trial with its values and params; see :meth:`StudyResults.frame`."""
        return self.results().frame()

    def history(self) -> Frame:
        """Return a row for each trial with the best value until then; see :meth:`StudyResults.history`."""
        return self.results().history()

    def slices(self, params: Iterable[str] | None = None) -> Frame:
        """Return a row for each param of each trial; see :meth:`StudyResults.slices`."""
        return self.results().slices(params)

    def reports(self) -> Frame:
        """Return a row for each reported value; see :meth:`StudyResults.reports`."""
        return self.results().reports()

    def importances(self, method: str | None = None, *, metric: str | None = None) -> Frame:
        """Compute how much each param matters; see :meth:`StudyResults.importances`."""
        return self.results().importances(method, metric=metric)

    # Searching

    @property
    def optuna_study(self) -> optuna.Study:
        """Optuna's own study, with sampler and pruner: for its visualisations and all else that it offers.

        Raises:
            InvalidValueError: the study was made with a sampler or pruner object, which must be given again.
        """
        return self._core.optuna_study

    def optimize(
        self,
        objective: Objective,
        n_trials: int | None = None,
        *,
        time_limit: float | None = None,
        jobs: int = 1,
        on_error: str = "stop",
        start_runs: bool = True,
        after: Callable[[TrialRecord], None] | None = None,
    ) -> None:
        """Run `n_trials` more trials, or fewer if `max_trials` or the time limit is reached first. Commits.

        `objective` takes a :class:`Trial` and returns its value, or one value for each objective; it raises
        :class:`TrialPruned` to give up. `time_limit` in seconds replaces the study's. `jobs` trials run at
        once, in threads; other processes may search the same study meanwhile. An exception of the objective
        fails its trial and its run and is raised here too; with ``on_error="continue"`` the search goes on. If
        the objective returns NaN, its trial and its run fail, and the search goes on.
        `after` is called with each trial that ended. With `start_runs` false the objective starts the run.

        Raises:
            InvalidValueError: an option is invalid; the message names it.
            StudyNotFoundError: the study was deleted in the meantime.
        """
        if objective is None or not callable(check_function(objective, "objective")):
            raise InvalidTypeError("objective must be a function that takes a Trial, not None")
        after = check_function(after, "after")
        on_error = check_choice(on_error, "on_error", ("stop", "continue"))
        n_trials = None if n_trials is None else check_whole(n_trials, "n_trials", 1)
        jobs = check_jobs(jobs)
        start_runs = check_flag(start_runs, "start_runs")
        given = self.settings.get("time_limit_s") if time_limit is None else time_limit
        seconds = check_limit(given, "time_limit")
        # Optuna's own limit follows the time of day, which may be set meanwhile.
        deadline_s = math.inf if seconds is None else time.monotonic() + seconds
        stops = StopRequests(self._connection, self._core.row)
        self.fail_dead_trials()
        study = self.optuna_study

        def ended(_study: object, frozen: FrozenTrial) -> None:
            if after is not None:
                after(self.trial(frozen.number))
            if stops.came() or time.monotonic() >= deadline_s:
                study.stop()

        if time.monotonic() >= deadline_s:
            return
        with silence_optuna(), suppress(StudyFull), self._core.translate_errors():
            study.optimize(
                lambda source: self._attempt(objective, source, start_runs),
                n_trials=n_trials,
                n_jobs=jobs,
                catch=(Exception,) if on_error == "continue" else (),
                callbacks=[ended],
            )

    def _attempt(
        self, objective: Objective, source: optuna.trial.Trial, start_runs: bool
    ) -> float | Sequence[float]:
        """Run one trial from its start to its value, and end its run accordingly."""
        trial = Trial(self._core, source)
        try:
            if start_runs:
                give_run(trial, self._start_run(trial))
            with trial.run or nullcontext():
                try:
                    values = self._convert_values(objective(trial))
                except (TrialPruned, optuna.TrialPruned) as pruned:
                    raise TrialPruned(step=last_step_of(trial)) from pruned
                diverged = any(map(math.isnan, values))
                if trial.run is not None:
                    self._log_values(trial.run, values)
                    if diverged:
                        trial.run.fail(DIVERGED)
            if diverged:  # then Optuna fails the trial, and goes on
                self._core.note_failure(row_of(source), DIVERGED)
            return values
        except (TrialPruned, optuna.TrialPruned) as pruned:
            raise optuna.TrialPruned(str(pruned)) from None
        except BaseException as error:
            self._core.note_failure(row_of(source), describe(error)[0])
            if not isinstance(error, (Exception, KeyboardInterrupt)):
                # Optuna lets others, like SystemExit, pass without ending the trial in the storage.
                self._core.storage.set_trial_state_values(row_of(source), OptunaState.FAIL)
            raise

    def _start_run(self, trial: Trial) -> Run:
        return start_run(
            self._connection,
            trial.config,
            name=name_trial_run(self.name, trial.number),
            group=self.name,
            trial=row_of(trial.optuna_trial),
        )

    def _log_values(self, run: Run, values: Sequence[float]) -> None:
        """Log each value that an objective returned, unless it is the last value of its metric already."""
        for name, value in zip(self.metrics, values, strict=True):
            last = run.get_last_metric(name)
            if last is None or last.value != value:
                run.log_metric(name, value)

    def _check_values(self, given: object) -> list[float]:
        values = self._convert_values(given)
        if any(map(math.isnan, values)):
            raise InvalidValueError(
                "a value is NaN, which cannot be compared; end the trial with a reason instead"
            )
        return values

    def _convert_values(self, returned: object) -> list[float]:
        with reading("the value of an objective"):
            is_one = not isinstance(returned, Sequence) or isinstance(returned, (str, bytes))
        given = [returned] if is_one else read_elements(returned, "the values of an objective")
        if len(given) != len(self.directions):
            raise InvalidValueError(
                f"the objective returned {len(given)} values; study {self.name!r} needs {len(self.directions)}"
            )
        return [check_number(value, "the returned value") for value in given]

    # One trial at a time

    def ask(self) -> Trial:
        """Begin a trial whose objective runs elsewhere; :meth:`tell` ends it. Commits.

        Raises:
            InvalidValueError: the study has `max_trials` trials already.
        """
        source = self._core.begin_trial()
        if source is None:
            raise InvalidValueError(
                f"study {self.name!r} has its {self.settings['max_trials']} trials and takes no more"
            )
        return Trial(self._core, source)

    def tell(
        self,
        trial: Trial,
        values: float | Sequence[float] | None = None,
        *,
        pruned: bool = False,
        reason: str | None = None,
    ) -> None:
        """End a trial of :meth:`ask`: with its values, as pruned, or as failed for a `reason`. Commits.

        Raises:
            InvalidValueError: the values are invalid, more than one of the three is given, the trial has ended,
                or it belongs to another study.
        """
        if not isinstance(trial, Trial):
            raise InvalidTypeError(f"a trial must come from Study.ask(), not {short_repr(trial)}")
        if not is_trial_of(trial, self._core):
            raise InvalidValueError(f"{trial!r} does not belong to study {self.name!r}")
        pruned = check_flag(pruned, "pruned")
        if (values is not None) + pruned + (reason is not None) != 1:
            raise InvalidValueError(
                "a trial ends with its values, as pruned, or as failed for a reason: give one of them"
            )
        checked = None if values is None else self._check_values(values)
        words = None if reason is None else remove_secrets_and_paths(check_text(reason, "reason"))
        chosen = OptunaState.COMPLETE if checked else OptunaState.PRUNED if pruned else OptunaState.FAIL
        try:
            with allow_stop(self.optuna_study), self._core.translate_errors():
                if words is not None:
                    self._core.note_failure(row_of(trial.optuna_trial), words)
                self.optuna_study.tell(trial.number, checked, chosen)
        except ExptrackError:
            raise
        except (ValueError, RuntimeError) as error:
            raise InvalidValueError(f"{trial!r} cannot be ended like this: {error}") from None

    def enqueue(self, params: Mapping[str, Any], *, retry_of: int | None = None) -> None:
        """Let the next trial take these params instead of the sampler's. Commits.

        `retry_of` is the number of a trial that is tried again.

        Raises:
            InvalidTypeError, InvalidValueError: params are not names with texts, numbers, bools or None.
        """
        chosen = {
            check_name(name, "param name"): plain_scalar(value, f"param {short_repr(name)}")
            for name, value in read_items(params, "params")
        }
        for name, value in chosen.items():
            (check_new_value if retry_of is None else check_param_value)(name, value)
        self._core.config_for(chosen)
        marks = {} if retry_of is None else {RETRY_MARK: check_whole(retry_of, "retry_of", 0)}
        with self._core.translate_errors():
            self._core.storage.create_new_trial(self._core.row, make_waiting_trial(chosen, marks))

    @in_section
    def fail_dead_trials(self, *, take_over: bool = False) -> list[int]:
        """Fail running trials whose process is dead; return their numbers. Commits if there is any.

        A process that was forked from it, or the command of a sweep, keeps a trial running. If the run of a
        sweep's trial completed, the trial gets its value. A trial whose command had not begun waits to be begun
        again. `take_over` also fails trials that a forked process keeps running, and those of processes that
        cannot be seen from here, as on another host. Only you can know that nothing runs them.
        """
        take_over = check_flag(take_over, "take_over")
        if self._connection.mode != "rw":
            return []
        plan = self.settings.get("sweep")
        failed = []
        dead = read_dead_trials(self._connection, self._core.row)
        if take_over:
            dead += read_unseen_trials(self._connection, self._core.row)
            dead += read_inherited_trials(self._connection, self._core.row)
        for row in dead:
            try:
                with self._connection.transaction():
                    if self._core.is_unbegun(row["id"]):
                        self._core.storage.set_trial_state_values(row["id"], OptunaState.WAITING)
                        continue
                    verdict = judge_left(self._connection, plan, row["id"]) or Verdict(reason=PROCESS_DIED)
                    self._core.end_trial(row["id"], verdict)
            except RuntimeError:
                continue  # another process has ended it meanwhile
            if verdict.reason is not None:
                failed.append(row["number"])
        return failed

    def unseen_trials(self) -> list[int]:
        """Return the numbers of the running trials whose process cannot be seen from here, dead or not."""
        return [row["number"] for row in read_unseen_trials(self._connection, self._core.row)]

    # Stopping

    @in_section
    def stop(self) -> None:
        """Ask every process that searches this study to begin no more trials. Commits.

        Running trials go on to their end. A later :meth:`optimize` begins trials again.
        """
        with self._connection.transaction():
            self._core.require_present()
            ask_to_stop(self._connection, self._core.row)


def open_study(connection: Connection, name: object, *, sampler: object = None, pruner: object = None) -> Study:
    """Open a study of the archive; see :meth:`exptrack.Archive.study`."""
    return Study(StudyCore.open(connection, name, sampler=sampler, pruner=pruner))
