"""Reach the parts of Optuna that Optuna keeps private, each in one function that says what it relies on.

Invariants: only files named ``optuna_*`` use names of Optuna that begin with an underscore, or know how its
loop and its queue work inside. ``tests/sweeps/test_optuna_bridge.py`` holds this rule. After an update of
Optuna, compare this file with it, then ``optuna_storage`` and ``optuna_rows``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from exptrack.database.connection import Connection, in_section
from exptrack.errors import ExptrackError
from exptrack.runs.trial_link import RETRY_MARK
from exptrack.sweeps.optuna_storage import OptunaStorage
from exptrack.sweeps.store import COUNT_ATTEMPTS

OPTIMIZE_LOOP = "optuna.study._optimize"  # the module whose loop drives Study.optimize()
FIXED_PARAMS = "fixed_params"  # the attribute in which Study.enqueue_trial() leaves params for the next trial

_verbosity_lock = threading.Lock()
_verbosities: list[int] = []  # Optuna's verbosity before the first search, then an element for each search


class StudyFull(Exception):
    """The study has `max_trials` trials."""


class LimitedStorage(OptunaStorage):
    """Store a study's trials, and refuse in every process to begin more than `max_trials`."""

    def __init__(self, connection: Connection, max_trials: int | None) -> None:
        super().__init__(connection)
        self.max_trials = max_trials

    @in_section
    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Add a trial; see :meth:`OptunaStorage.create_new_trial`. Enqueued trials are not refused here.

        Raises:
            StudyFull: the study has `max_trials` trials.
        """
        if self.max_trials is None or template_trial is not None:
            return super().create_new_trial(study_id, template_trial)
        with self._connection.transaction():
            if self._connection.value(COUNT_ATTEMPTS, (study_id, RETRY_MARK)) >= self.max_trials:
                raise StudyFull
            return super().create_new_trial(study_id)


def take_apart(trial: optuna.trial.Trial | FrozenTrial) -> dict[str, Any] | FrozenTrial:
    """Return what a pickle holds of a trial: all but its study, which the other process opens itself.

    Relies on the two attributes of a Trial that hold its study and the storage.
    """
    if isinstance(trial, FrozenTrial):
        return trial
    return {name: value for name, value in vars(trial).items() if name not in ("study", "storage")}


def put_together(
    study: Callable[[], optuna.Study], parts: dict[str, Any] | FrozenTrial
) -> optuna.trial.Trial | FrozenTrial:
    """Undo :func:`take_apart` without asking the sampler, as making a Trial would."""
    if isinstance(parts, FrozenTrial):
        return parts
    trial = optuna.trial.Trial.__new__(optuna.trial.Trial)
    opened = study()
    vars(trial).update(parts, study=opened, storage=opened._storage)
    return trial


def row_of(trial: optuna.trial.Trial | FrozenTrial) -> int:
    """Return the row id of a trial, which is the id that our storage gave it."""
    return trial._trial_id


class Grid(optuna.samplers.GridSampler):
    """Optuna's sampler of a grid, whose trials may also be enqueued: these have no place in the grid."""

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Stop the search once the whole grid was tried."""
        if "grid_id" in trial.system_attrs:
            super().after_trial(study, trial, state, values)
        elif self.is_exhausted(study):
            study.stop()


def make_waiting_trial(params: Mapping[str, Any], attributes: Mapping[str, Any]) -> FrozenTrial:
    """Build a trial that waits to be begun with these params, as ``Study.enqueue_trial`` does."""
    return create_trial(state=TrialState.WAITING, system_attrs={FIXED_PARAMS: dict(params), **attributes})


@contextmanager
def allow_stop(study: optuna.Study) -> Iterator[None]:
    """Let a sampler that has tried everything stop the study outside of ``Study.optimize``.

    ``Study.stop`` raises unless the thread is marked as inside the loop.
    """
    local = study._thread_local
    before, local.in_optimize_loop = local.in_optimize_loop, True
    try:
        yield
    finally:
        local.in_optimize_loop = before


def find_hidden_error(error: BaseException) -> ExptrackError | None:
    """Return the archive's error behind an error that Optuna's loop raised; None if there is none.

    When the storage raises, the loop goes on to results that it never got. Its own error then hides the cause.
    """
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None or place.tb_frame.f_globals.get("__name__") != OPTIMIZE_LOOP:
        return None
    hidden = error.__context__
    while hidden is not None and not isinstance(hidden, ExptrackError):
        hidden = hidden.__context__
    return hidden


@contextmanager
def silence_optuna() -> Iterator[None]:
    """Suppress Optuna's line for each trial: the archive has the trial, and `after` is called with it.

    The verbosity belongs to the process, so the search that ends last restores it.
    """
    with _verbosity_lock:
        if not _verbosities:
            _verbosities.append(optuna.logging.get_verbosity())
            optuna.logging.set_verbosity(optuna.logging.ERROR)
        _verbosities.append(0)
    try:
        yield
    finally:
        with _verbosity_lock:
            _verbosities.pop()
            if len(_verbosities) == 1:
                optuna.logging.set_verbosity(_verbosities.pop())
