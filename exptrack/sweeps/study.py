"""Sweeps: studies that search over configs, each trial a run of the archive, Optuna the algorithms.

Invariants: a trial's run has the study as its group and takes the params into its config as they are suggested;
from its end on it is frozen as every run is. A failed trial is a failed run, an interrupted one an interrupted
run, a pruned one a completed run whose trial is pruned. Whatever ends an objective, its trial and its run are
told. There are never more trials than `max_trials`, however many processes search; one that tries the params of
another again does not count.

This module imports Optuna; reading what studies found (see ``studies``) does not.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import optuna
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from exptrack.capture.redaction import remove_secrets_and_paths
from exptrack.config.exp_config import ExpConfig, decode_config, merge_configs
from exptrack.database.connection import Connection, Row
from exptrack.database.opening import default_connection
from exptrack.errors import (
    ExptrackError,
    InvalidTypeError,
    InvalidValueError,
    StudyExistsError,
    StudyNotFoundError,
)
from exptrack.keypath import path_of, split_path
from exptrack.query.frames import Frame
from exptrack.records import ConfigSource, TrialState
from exptrack.runs.trial_link import TrialPruned, run_name, surrounding_row
from exptrack.sweeps.algorithms import Pruner, Sampler, check_limit, pruner_from, sampler_from
from exptrack.sweeps.optuna_storage import OptunaStorage
from exptrack.sweeps.records import StudyInfo, TrialRecord
from exptrack.sweeps.results import StudyResults
from exptrack.sweeps.store import (
    COUNT_ATTEMPTS,
    PROCESS_DIED,
    ask_to_stop,
    dead_trials,
    find_study,
    read_trial,
    read_trials,
    stop_asked_since,
    study_info,
)
from exptrack.sweeps.study_config import StudyConfig, default_metrics
from exptrack.sweeps.trial import Trial, check_choice
from exptrack.times import utc_text
from exptrack.tracking.lifecycle import start_run
from exptrack.tracking.run import Run, describe
from exptrack.validation import INT64_MAX, check_name, check_number, check_text, short_repr

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

SAVE_SETTINGS = "UPDATE study SET settings = ? WHERE id = ?"
SAVE_METRIC = "UPDATE study_objective SET metric = ? WHERE study = ? AND position = ?"
# What has ended keeps the reason it ended for.
NOTE_FAILURE = "UPDATE trial SET reason = ? WHERE id = ? AND state = 'running'"
TAKE_SESSION = """
INSERT INTO study_attribute (study, scope, name, value) VALUES (?, 'system', 'exptrack:sessions', '1')
ON CONFLICT (study, scope, name) DO UPDATE SET value = CAST(value AS INTEGER) + 1
"""
COUNT_SESSIONS = """
SELECT CAST(value AS INTEGER) FROM study_attribute
WHERE study = ? AND scope = 'system' AND name = 'exptrack:sessions'
"""

RETRY_MARK = "exptrack:retry_of"  # a trial that tries another's params again: that one's number

Objective: TypeAlias = "Callable[[Trial], float | Sequence[float]]"


class _Full(Exception):
    """The study has as many trials as it may have."""


class Study:
    """A search over configs, in the archive under its name.

    >>> from exptrack import Archive
    >>> study = Study.create("parabola", sampler=Sampler.tpe(seed=1), archive=Archive(tmp_path / "lab.db"))
    >>> def objective(trial):
    ...     x = trial.suggest_float("x", -10, 10)
    ...     return (x - 2) ** 2
    >>> study.optimize(objective, n_trials=20)
    >>> len(study.completed_trials()), abs(study.best_params["x"] - 2) < 2
    (20, True)
    """

    def __init__(self, connection: Connection, row: Row, sampler: object = None, pruner: object = None) -> None:
        info = study_info(connection, row)
        self._connection = connection
        self._id: int = row["id"]
        self.name: str = row["name"]
        self.directions = info.directions
        # Optuna itself makes studies without names for their objectives, and without settings.
        names = zip(info.metrics, default_metrics(len(info.metrics)), strict=True)
        self.metrics = tuple(name or default for name, default in names)
        self.settings = info.settings
        self._given = (sampler, pruner)
        self._limited = _Limited(connection, self.settings.get("max_trials"))
        self._storage: OptunaStorage = self._limited
        origin = self.settings.get("base_origin", {"files": [], "sources": {}})
        self._base = decode_config({"values": self.settings.get("base") or {}, **origin})
        self._optuna: optuna.Study | None = None
        self._opening = threading.Lock()

    @classmethod
    def create(
        cls,
        name: str | StudyConfig,
        direction: str | Sequence[str] = "minimize",
        *,
        archive: Any = None,
        sampler: Sampler | BaseSampler | str | None = None,
        pruner: Pruner | BasePruner | str | None = None,
        max_trials: int | None = None,
        time_limit: float | None = None,
        metric: str | Sequence[str] | None = None,
        base: object = None,
    ) -> Study:
        """Make a study in `archive` (the default one if None); see :class:`StudyConfig`. Commits.

        Raises:
            StudyExistsError: there is one of this name.
            InvalidValueError: something in it that cannot be.
        """
        config = (
            name
            if isinstance(name, StudyConfig)
            else StudyConfig(name, direction, sampler, pruner, max_trials, time_limit, metric, base)
        )
        if archive is not None and not isinstance(getattr(archive, "_connection", None), Connection):
            raise InvalidTypeError(f"archive is an Archive, not {short_repr(archive)}")
        return create_study(default_connection() if archive is None else archive._connection, config)

    def __repr__(self) -> str:
        return f"<Study {self.name!r} in {self._connection.path.name}>"

    # Reading

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials, by number."""
        self.fail_dead_trials()
        return self._read()

    def _read(self, *states: TrialState) -> list[TrialRecord]:
        with self._connection.snapshot():
            self._require()
            return read_trials(self._connection, self._id, states or tuple(TrialState))

    def _require(self) -> None:
        """Refuse to go on with a study that was deleted, even if there is another of its name."""
        if find_study(self._connection, self.name)["id"] != self._id:
            raise StudyNotFoundError(self.name, str(self._connection.path))

    def completed_trials(self) -> list[TrialRecord]:
        """Those that came to their end."""
        return self._read(TrialState.COMPLETE)

    def pruned_trials(self) -> list[TrialRecord]:
        """Those that were given up."""
        return self._read(TrialState.PRUNED)

    def failed_trials(self) -> list[TrialRecord]:
        """Those that failed, each with its reason."""
        self.fail_dead_trials()
        return self._read(TrialState.FAIL)

    @property
    def info(self) -> StudyInfo:
        """The study in a few facts."""
        return study_info(self._connection, find_study(self._connection, self.name))

    @property
    def best_trial(self) -> TrialRecord:
        """The completed trial with the best value; of those that met all constraints, if there are any.

        Raises:
            InvalidValueError: none is completed yet, or there are several objectives (see `best_trials`).
        """
        info = self.info
        if len(self.directions) > 1:
            raise InvalidValueError(f"study {self.name!r} has several objectives: best_trials, not best_trial")
        if info.best_number is None:
            raise InvalidValueError(
                f"no trial of study {self.name!r} is completed (within its constraints) yet"
            )
        return self.trial(info.best_number)

    @property
    def best_trials(self) -> list[TrialRecord]:
        """The completed trials that no other one beats in all objectives: the Pareto front."""
        return self.results().best_trials

    @property
    def best_value(self) -> float:
        """The value of :attr:`best_trial`."""
        return self.best_trial.values[0]

    @property
    def best_params(self) -> dict[str, Any]:
        """The params of :attr:`best_trial`."""
        return self.best_trial.params

    # Tables of what was found

    def results(self) -> StudyResults:
        """All that was found until now, read at one moment; the methods below are parts of it."""
        self.fail_dead_trials()
        return StudyResults(self._connection, self.name)

    def frame(self) -> Frame:
        """A row for each trial with its values and params; see :meth:`StudyResults.frame`."""
        return self.results().frame()

    def history(self) -> Frame:
        """A row for each trial with the best value until then; see :meth:`StudyResults.history`."""
        return self.results().history()

    def slices(self, params: Iterable[str] | None = None) -> Frame:
        """A row for each param of each trial; see :meth:`StudyResults.slices`."""
        return self.results().slices(params)

    def reports(self) -> Frame:
        """A row for each reported value; see :meth:`StudyResults.reports`."""
        return self.results().reports()

    def importances(self, method: str = "ped-anova", *, metric: str | None = None) -> Frame:
        """How much each param matters; see :meth:`StudyResults.importances`."""
        return self.results().importances(method, metric=metric)

    # Searching

    @property
    def optuna_study(self) -> optuna.Study:
        """Optuna's own study, with sampler and pruner: for its visualisations and whatever else it offers.

        Raises:
            InvalidValueError: it was made with a sampler or pruner object, which has to be given again.
        """
        with self._opening:
            if self._optuna is None:
                self._optuna = optuna.load_study(
                    study_name=self.name,
                    storage=self._storage,
                    sampler=self._sampler().build(self._take_session()),
                    pruner=self._pruner().build(),
                )
            return self._optuna

    def _sampler(self) -> Sampler:
        given = self._given[0]
        return sampler_from(self.settings.get("sampler"), self.name) if given is None else Sampler.of(given)

    def _pruner(self) -> Pruner:
        given = self._given[1]
        return pruner_from(self.settings.get("pruner"), self.name) if given is None else Pruner.of(given)

    def _take_session(self) -> int:
        if self._connection.mode != "rw":
            return 0
        with self._connection.transaction():
            self._connection.execute(TAKE_SESSION, (self._id,))
            return int(self._connection.value(COUNT_SESSIONS, (self._id,))) - 1

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
        """Run trials until there are `n_trials` more, or `max_trials` in all, or the time is over. Commits.

        `objective` takes a :class:`Trial` and returns its value (several objectives: one each); it raises
        :class:`TrialPruned` to give up. `time_limit` in seconds replaces the study's. `jobs` trials run at
        once, in threads; more processes may search the same study. What an objective raises makes its trial
        and its run failed, and is raised here too; with ``on_error="continue"`` the search goes on. `after` is
        called with each trial that ended. With `start_runs` false the objective starts the run itself.

        Raises:
            InvalidValueError: arguments that cannot be.
            StudyNotFoundError: the study was deleted in the meantime.
        """
        for function, what in ((objective, "objective"), (after, "after")):
            if not callable(function) and (what == "objective" or function is not None):
                raise InvalidTypeError(f"{what} is a function, not {short_repr(function)}")
        if on_error not in ("stop", "continue"):
            raise InvalidValueError(f"on_error is 'stop' or 'continue', not {short_repr(on_error)}")
        for count, what in ((n_trials, "n_trials"), (jobs, "jobs")):
            if (count is not None or what == "jobs") and (type(count) is not int or count < 1):
                raise InvalidValueError(f"{what} is a whole number above 0, not {short_repr(count)}")
        seconds = self.settings.get("time_limit_s") if time_limit is None else time_limit
        self.fail_dead_trials()
        study, began = self.optuna_study, utc_text()

        def ended(_study: object, frozen: optuna.trial.FrozenTrial) -> None:
            if after is not None:
                after(self.trial(frozen.number))
            if stop_asked_since(self._connection, self._id, began):
                study.stop()

        with _quiet(), suppress(_Full), self._own_errors():
            study.optimize(
                lambda source: self._attempt(objective, source, start_runs),
                n_trials=n_trials,
                timeout=check_limit(seconds, "time_limit"),
                n_jobs=jobs,
                catch=(Exception,) if on_error == "continue" else (),
                callbacks=[ended],
            )

    def _attempt(
        self, objective: Objective, source: optuna.trial.Trial, start_runs: bool
    ) -> float | Sequence[float]:
        """One trial from its start to its value, the run told of its end."""
        trial = Trial(self, source)
        try:
            if not start_runs:
                return self._checked_values(objective(trial))
            trial.run = self._start_run(trial)
            with trial.run:
                try:
                    values = self._checked_values(objective(trial))
                except (TrialPruned, optuna.TrialPruned) as pruned:
                    raise TrialPruned(step=max(trial._reported, default=None)) from pruned
                self._log_values(trial.run, values)
            return values
        except (TrialPruned, optuna.TrialPruned) as pruned:
            raise optuna.TrialPruned(str(pruned)) from None
        except BaseException as error:
            self._note_failure(trial, describe(error, trial.config.mask)[0])
            if not isinstance(error, (Exception, KeyboardInterrupt)):
                # Optuna passes these on without a word to the storage.
                self._storage.set_trial_state_values(trial._id, OptunaState.FAIL)
            raise

    def _start_run(self, trial: Trial) -> Run:
        return start_run(
            self._connection,
            trial.config,
            name=run_name(self.name, trial.number),
            group=self.name,
            trial=trial._id,
        )

    def _log_values(self, run: Run, values: Sequence[float]) -> None:
        """What an objective returned is the last value of its metric."""
        for name, value in zip(self.metrics, values, strict=True):
            last = run.get_last_metric(name)
            if last is None or last.value != value:
                run.log_metric(name, value)

    def _checked_values(self, returned: object) -> list[float]:
        values = (
            [returned]
            if not isinstance(returned, Sequence) or isinstance(returned, (str, bytes))
            else list(returned)
        )
        if len(values) != len(self.directions):
            raise InvalidValueError(
                f"the objective returned {len(values)} values; study {self.name!r} has {len(self.directions)}"
            )
        numbers = [check_number(value, "what the objective returned") for value in values]
        if any(map(math.isnan, numbers)):
            raise InvalidValueError("the objective returned NaN, which cannot be compared")
        return numbers

    def _note_failure(self, trial: Trial, reason: str) -> None:
        with self._connection.transaction():
            self._connection.execute(NOTE_FAILURE, (reason, trial._id))

    # One trial at a time

    def ask(self) -> Trial:
        """Begin a trial whose objective is run elsewhere; :meth:`tell` ends it. Commits.

        Raises:
            InvalidValueError: the study has as many trials as it may have.
        """
        trial = self._ask()
        if trial is None:
            raise InvalidValueError(
                f"study {self.name!r} has its {self.settings['max_trials']} trials; it takes no more"
            )
        return trial

    def _ask(self) -> Trial | None:
        """Begin a trial; None where there are as many as there may be."""
        try:
            with self._own_errors():
                return Trial(self, self.optuna_study.ask())
        except _Full:
            return None

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
            InvalidValueError: values that cannot be, more than one of the three, a trial that has ended, or one
                of another study.
        """
        if not isinstance(trial, Trial):
            raise InvalidTypeError(f"a trial comes from Study.ask(), unlike {short_repr(trial)}")
        if trial._study._id != self._id or trial._study._connection.path != self._connection.path:
            raise InvalidValueError(f"{trial!r} is no trial of study {self.name!r}")
        if not isinstance(pruned, bool):
            raise InvalidTypeError(f"pruned is True or False, not {short_repr(pruned)}")
        if (values is not None) + pruned + (reason is not None) != 1:
            raise InvalidValueError(
                "a trial ends with its values, as pruned, or as failed for a reason: one of them"
            )
        numbers = None if values is None else self._checked_values(values)
        words = None if reason is None else remove_secrets_and_paths(check_text(reason, "reason"))
        chosen = OptunaState.COMPLETE if numbers else OptunaState.PRUNED if pruned else OptunaState.FAIL
        try:
            with _may_stop(self.optuna_study), self._own_errors():
                if words is not None:
                    self._note_failure(trial, words)
                self.optuna_study.tell(trial.number, numbers, chosen)
        except ExptrackError:
            raise
        except (ValueError, RuntimeError) as error:
            raise InvalidValueError(f"{trial!r} cannot end so: {error}") from None

    def enqueue(self, params: Mapping[str, Any], *, retry_of: int | None = None) -> None:
        """Let the next trial take these params, whatever the sampler says. Commits.

        `retry_of` is the number of a trial that is tried again.

        Raises:
            InvalidTypeError, InvalidValueError: params that are no names with texts, numbers, bools or None.
        """
        if not isinstance(params, Mapping):
            raise InvalidTypeError(f"params are names with values, not {short_repr(params)}")
        for name, value in params.items():
            check_choice(check_name(name, "param name"), value)
        self._config_of(params)
        marks: dict[str, Any] = {"fixed_params": dict(params)}
        if retry_of is not None:
            marks[RETRY_MARK] = retry_of
        with self._own_errors():
            self._storage.create_new_trial(
                self._id, create_trial(state=OptunaState.WAITING, system_attrs=marks)
            )

    def trial(self, number: int) -> TrialRecord:
        """One trial as it now stands.

        Raises:
            InvalidValueError: there is none of this number.
        """
        known = type(number) is int and 0 <= number <= INT64_MAX
        found = read_trial(self._connection, self._id, number) if known else None
        if found is None:
            raise InvalidValueError(f"study {self.name!r} has no trial {short_repr(number)}")
        return found

    def fail_dead_trials(self) -> list[int]:
        """Fail what a process left running that is dead now; return the numbers. Commits if there is any."""
        if self._connection.mode != "rw":
            return []
        failed = []
        for row in dead_trials(self._connection, self._id):
            try:
                with self._connection.transaction():
                    self._connection.execute(NOTE_FAILURE, (PROCESS_DIED, row["id"]))
                    self._storage.set_trial_state_values(row["id"], OptunaState.FAIL)
            except RuntimeError:
                continue  # another process was faster
            failed.append(row["number"])
        return failed

    # Stopping

    def stop(self) -> None:
        """Ask every process that searches this study to begin no more trials. Commits.

        Trials under way come to their end. Whoever calls :meth:`optimize` afterwards goes on.
        """
        with self._connection.transaction():
            self._require()
            ask_to_stop(self._connection, self._id)

    # Parts

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        """Say what is wrong with trial, study or archive where Optuna stumbles over it.

        Whatever it was asked to do when the archive failed, it then looks for what it has not got.
        """
        try:
            yield
        except optuna.exceptions.UpdateFinishedTrialError as error:
            raise InvalidValueError(f"{self!r}: {error}") from None
        except (KeyError, UnboundLocalError, AssertionError) as error:
            cause = _archives_error(error)
            if cause is not None:
                raise cause from None
            if not isinstance(error, AssertionError):
                self._require()
            raise

    def _remember(self, **facts: Any) -> None:
        """Keep these among the settings. Commits."""
        with self._connection.transaction():
            self.settings = {**self.info.settings, **facts}
            self._connection.execute(SAVE_SETTINGS, (json.dumps(self.settings), self._id))
        self._limited._max_trials = self.settings.get("max_trials")

    def _config_of(self, params: Mapping[str, Any]) -> ExpConfig:
        tree: dict[str, Any] = {}
        for name, value in params.items():
            level = tree
            *above, last = split_path(name)
            for part in above:
                level = level.setdefault(part, {})
                if not isinstance(level, dict):
                    raise InvalidValueError(f"param {name!r} of study {self.name!r} lies below another param")
            if isinstance(level.get(last), dict):
                raise InvalidValueError(f"param {name!r} of study {self.name!r} lies above another param")
            level[last] = value
        source = ConfigSource("trial", self.name)
        sources = {path_of(split_path(name)): source for name in params}
        return merge_configs(self._base, ExpConfig(tree, sources=sources))


def _archives_error(error: BaseException) -> ExptrackError | None:
    """What an error of Optuna's own loop hides of the archive's."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None or place.tb_frame.f_globals.get("__name__") != "optuna.study._optimize":
        return None
    hidden = error.__context__
    while hidden is not None and not isinstance(hidden, ExptrackError):
        hidden = hidden.__context__
    return hidden


class _Limited(OptunaStorage):
    """The storage of a study that makes no trial beyond `max_trials`, whoever asks."""

    def __init__(self, connection: Connection, max_trials: int | None) -> None:
        super().__init__(connection)
        self._max_trials = max_trials

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """As Optuna wants it; what is enqueued has been decided on and is not counted here."""
        if self._max_trials is None or template_trial is not None:
            return super().create_new_trial(study_id, template_trial)
        with self._connection.transaction():
            if self._connection.value(COUNT_ATTEMPTS, (study_id, RETRY_MARK)) >= self._max_trials:
                raise _Full
            return super().create_new_trial(study_id)


@contextmanager
def _may_stop(study: optuna.Study) -> Iterator[None]:
    """Let a sampler that has tried everything say so, which Optuna allows in its own loop only."""
    local = study._thread_local
    before, local.in_optimize_loop = local.in_optimize_loop, True
    try:
        yield
    finally:
        local.in_optimize_loop = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's line for every trial: what becomes of one is in the archive, and told by `after`."""
    with _quiet_lock:
        if not _quieted:
            _quieted.append(optuna.logging.get_verbosity())
            optuna.logging.set_verbosity(optuna.logging.ERROR)
        _quieted.append(0)
    try:
        yield
    finally:
        with _quiet_lock:
            _quieted.pop()
            if len(_quieted) == 1:
                optuna.logging.set_verbosity(_quieted.pop())


_quiet_lock = threading.Lock()
_quieted: list[int] = []  # the verbosity before, and an element for each search under way


# Studies of an archive


def create_study(connection: Connection, config: StudyConfig) -> Study:
    """Make a study; see :meth:`Study.create`."""
    name = check_name(config.name, "study name")
    settings, metrics = config.settings(), config.metrics
    # What Optuna refuses leaves no study behind.
    config.chosen_sampler.build()
    config.chosen_pruner.build()
    directions = [optuna.study.StudyDirection[direction.upper()] for direction in config.directions]
    try:
        with connection.transaction():
            study = OptunaStorage(connection).create_new_study(directions, name)
            connection.execute(SAVE_SETTINGS, (json.dumps(settings), study))
            for position, metric in enumerate(metrics):
                connection.execute(SAVE_METRIC, (metric, study, position))
    except optuna.exceptions.DuplicatedStudyError:
        raise StudyExistsError(name, str(connection.path)) from None
    return open_study(connection, name, sampler=config.sampler, pruner=config.pruner)


def open_study(connection: Connection, name: object, *, sampler: object = None, pruner: object = None) -> Study:
    """A study of the archive; see :meth:`exptrack.Archive.study`."""
    return Study(connection, find_study(connection, name), sampler, pruner)


def attached_trial() -> Trial | None:
    """The trial that this process is; see :func:`exptrack.current_trial`."""
    connection = default_connection()
    row = surrounding_row(connection)
    if row is None:
        return None
    study = open_study(connection, row["study"])
    return Trial(study, study._storage.get_trial(row["id"]))
