"""A trial as an objective has it: params out, reports in.

Invariants: what a trial hands out is in the archive when the call returns, and in the config of its run if it
has one. What is refused leaves nothing behind. A step is reported once.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, SupportsIndex

import optuna

from exptrack.config.exp_config import ExpConfig
from exptrack.database.connection import Connection
from exptrack.errors import ExptrackError, InvalidTypeError, InvalidValueError
from exptrack.runs.trial_link import TrialPruned
from exptrack.sweeps.algorithms import MAX_WHOLE
from exptrack.sweeps.optuna_storage import OptunaStorage
from exptrack.tracking.lifecycle import open_run
from exptrack.tracking.run import Run
from exptrack.validation import check_name, check_number, check_step, short_repr

RUN_OF_TRIAL = "SELECT run FROM trial WHERE id = ?"

PRUNE_MARK = "exptrack:should_prune"  # a trial that was told to give up, at this step


class Searched(Protocol):
    """What a trial asks of its study."""

    name: str
    metrics: tuple[str, ...]
    _id: int
    _connection: Connection
    _storage: OptunaStorage

    @property
    def optuna_study(self) -> optuna.Study: ...
    def _config_of(self, params: Mapping[str, Any]) -> ExpConfig: ...
    def _own_errors(self) -> AbstractContextManager[None]: ...


class Trial:
    """One attempt: it hands out params, takes reports, and says when to give up.

    Made by :meth:`Study.optimize`, :meth:`Study.ask` and :func:`current_trial`.
    """

    def __init__(
        self, study: Searched, source: optuna.trial.Trial | optuna.trial.FrozenTrial, run: Run | None = None
    ) -> None:
        self._study = study
        self._source = source
        self._id = source._trial_id
        self.number = source.number
        self.run = run
        self._reported: dict[int, float] = {}

    def __repr__(self) -> str:
        return f"<Trial {self.number} of study {self._study.name!r}>"

    @property
    def optuna_trial(self) -> optuna.trial.Trial | optuna.trial.FrozenTrial:
        """Optuna's own trial, for what this class does not offer (constraints, attributes)."""
        return self._source

    @property
    def params(self) -> dict[str, Any]:
        """What was suggested so far."""
        return dict(self._source.params)

    @property
    def config(self) -> ExpConfig:
        """The study's base config with the params laid over it."""
        return self._study._config_of(self.params)

    # Suggesting

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number from `low` to `high`, both included; in steps, or evenly over its logarithm. Commits.

        Raises:
            InvalidValueError: bounds that cannot be, or others than earlier in this study.
        """
        bounds = [self._bound(name, bound) for bound in (low, high)]
        self._bound(name, bounds[1] - bounds[0])
        exact = None if step is None else self._bound(name, step)
        return float(self._suggest("suggest_float", name, *bounds, step=exact, log=log))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number from `low` to `high`, both included; otherwise as :meth:`suggest_float`.

        Both are within 2^53, beyond which Optuna does not tell one from the next.
        """
        low, high, exact = (self._whole(name, bound) for bound in (low, high, step))
        return int(self._suggest("suggest_int", name, low, high, step=exact, log=log))

    def suggest_choice(self, name: str, choices: Iterable[Any]) -> Any:
        """One of these scalars: texts, numbers, bools, None. Commits; raises as :meth:`suggest_float`."""
        if isinstance(choices, (str, bytes)) or not isinstance(choices, Iterable):
            raise InvalidTypeError(
                f"choices of {short_repr(name)} are a list of scalars, not {short_repr(choices)}"
            )
        found = tuple(choices)
        for choice in found:
            check_choice(name, choice)
        for place, choice in enumerate(found):
            for other in found[:place]:
                if choice == other and type(choice) is not type(other):
                    raise InvalidValueError(
                        f"the choices {short_repr(other)} and {short_repr(choice)} of {short_repr(name)}"
                        " are equal; Optuna cannot tell them apart"
                    )
        return self._suggest("suggest_categorical", name, found)

    def _bound(self, name: str, value: object) -> float:
        number = check_number(value, f"a bound or step of param {short_repr(name)}")
        if not math.isfinite(number):
            raise InvalidValueError(f"bounds and step of param {short_repr(name)} are finite, not {number}")
        return number

    def _whole(self, name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, SupportsIndex):
            raise InvalidTypeError(
                f"bounds and step of param {short_repr(name)} are whole numbers, not {short_repr(value)}"
            )
        number = operator.index(value)
        if abs(number) > MAX_WHOLE:
            raise InvalidValueError(
                f"bounds and step of param {short_repr(name)} are within 2^53, not {short_repr(number)}"
            )
        return number

    def _suggest(self, method: str, name: str, *args: Any, **kwargs: Any) -> Any:
        checked = check_name(name, "param name")
        self._study._config_of({**self.params, checked: None})
        try:
            with self._study._own_errors():
                value = getattr(self._source, method)(checked, *args, **kwargs)
        except (ValueError, TypeError, AssertionError, OverflowError) as error:
            if isinstance(error, ExptrackError):
                raise
            raise InvalidValueError(f"param {checked!r} of {self!r}: {error}") from None
        if self.run is not None:
            self.run._take_config(self.config)
        return value

    # Reporting

    def report(self, step: int, value: float) -> None:
        """Say how well it does at a step, which the pruner compares, and log that in the trial's run. Commits.

        A step is reported once: what comes later for it is only logged.

        Raises:
            InvalidTypeError, InvalidValueError: no step (from 0), or no number.
        """
        checked_step = check_step(step)
        if checked_step < 0:
            raise InvalidValueError(f"a report's step is 0 or more, not {checked_step}")
        number = check_number(value, "report")
        if self.run is not None:
            self.run.log_metric(self._study.metrics[0], number, checked_step)
        self._note_report(checked_step, number)

    def _note_report(self, step: int, value: float) -> None:
        if step not in self._reported:
            with self._study._own_errors():
                self._study._storage.set_trial_intermediate_value(self._id, step, value)
            self._reported[step] = value

    def should_prune(self) -> bool:
        """Whether the pruner would give this trial up, as far as it has reported.

        In a script that a sweep runs, what the run logged of the objective's metric counts as reported.
        """
        if self.run is None:
            self._report_logged()
        storage = self._study._storage
        with self._study._own_errors():
            trial = storage.get_trial(self._id)
            prune = bool(self._study.optuna_study.pruner.prune(self._study.optuna_study, trial))
            if prune:
                storage.set_trial_system_attr(
                    self._id, PRUNE_MARK, max(trial.intermediate_values, default=None)
                )
        return prune

    def _report_logged(self) -> None:
        connection = self._study._connection
        run = connection.value(RUN_OF_TRIAL, (self._id,))
        point = None if run is None else open_run(connection, run).get_last_metric(self._study.metrics[0])
        if point is not None and point.step >= 0:
            self._note_report(point.step, point.value)

    def prune(self, message: str = "") -> None:
        """Give the trial up.

        Raises:
            TrialPruned: always; the objective lets it through.
        """
        step = max(self._reported, default=None)
        if self.run is None:
            with self._study._own_errors():
                self._study._storage.set_trial_system_attr(self._id, PRUNE_MARK, step)
        raise TrialPruned(message, step=step)


def check_choice(name: str, value: object) -> None:
    """Refuse what is no setting of a param, or what no config holds."""
    if value is not None and not isinstance(value, (str, int, float)):
        raise InvalidTypeError(
            f"param {short_repr(name)} is a text, a number, a bool or None, not {short_repr(value)}"
        )
    try:
        ExpConfig({"value": value})
    except InvalidValueError as error:
        raise InvalidValueError(f"param {short_repr(name)} cannot be {short_repr(value)}: {error}") from None
