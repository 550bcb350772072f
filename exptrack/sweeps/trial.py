"""A trial as an objective uses it: it suggests params and takes reports.

Invariants: a suggested param is in the archive when the call returns, and in the config of the trial's run if
it has one. A call that is refused changes nothing. A step is reported once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import optuna

from exptrack.capture.redaction import require_no_secret
from exptrack.config.exp_config import ExpConfig
from exptrack.database.opening import default_connection
from exptrack.errors import ExptrackError, InvalidTypeError, InvalidValueError
from exptrack.fixed_attributes import FixedAttributes
from exptrack.plain import is_text, plain, plain_scalar, read_elements, short_repr
from exptrack.runs.trial_link import TrialPruned, find_surrounding_trial
from exptrack.shown import shown
from exptrack.sweeps.algorithms import MAX_WHOLE
from exptrack.sweeps.optuna_bridge import put_together, row_of, take_apart
from exptrack.sweeps.study_core import StudyCore
from exptrack.sweeps.verdict import PRUNE_MARK, find_run
from exptrack.tracking.lifecycle import open_run
from exptrack.tracking.run import Run
from exptrack.validation import check_flag, check_name, check_number, check_step, check_text, check_whole

if TYPE_CHECKING:
    from exptrack.markup.notebook import View

MAX_CHOICES = 100_000


@shown
class Trial(FixedAttributes):
    """One attempt of a study: it suggests params, takes reports and tells when to give up.

    Made by :meth:`Study.optimize`, :meth:`Study.ask` and :func:`current_trial`.
    """

    number: int
    run: Run | None

    _NOUN: ClassVar[str] = "trial"
    _CALLS: ClassVar[Mapping[str, str]] = {"params": "trial.suggest_float(name, low, high) or one like it"}
    _OTHERWISE: ClassVar[str] = "to store a value, call trial.run.set_attribute(key, value)"

    def __init__(
        self,
        core: StudyCore,
        source: optuna.trial.Trial | optuna.trial.FrozenTrial,
        run: Run | None = None,
    ) -> None:
        self._core = core
        self._source = source
        self._row = row_of(source)
        self._set_fixed(number=source.number, run=run)
        self._reported: dict[int, float] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_source": take_apart(self._source)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._source = put_together(lambda: self._core.optuna_study, state["_source"])

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __repr__(self) -> str:
        return f"<Trial {self.number} of study {self._core.name!r}>"

    def _view(self) -> View:
        from exptrack.markup.notebook import View, draw_map

        return View(f"Trial {self.number} of study {self._core.name}", draw_map(self.params, "param"))

    @property
    def optuna_trial(self) -> optuna.trial.Trial | optuna.trial.FrozenTrial:
        """Optuna's own trial, for constraints, attributes and all else that this class does not offer."""
        return self._source

    @property
    def params(self) -> dict[str, Any]:
        """The params suggested so far."""
        return dict(self._source.params)

    @property
    def config(self) -> ExpConfig:
        """The study's base config with the params laid over it."""
        return self._core.config_for(self.params)

    # Suggesting

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Suggest a number from `low` to `high`, both included. Commits.

        With `step` it is `low` plus a multiple of that; with `log` it is drawn on a logarithmic scale.

        Raises:
            InvalidValueError: the bounds are invalid, or differ from those used earlier in this study.
        """
        bounds = [self._check_bound(name, bound) for bound in (low, high)]
        self._check_bound(name, bounds[1] - bounds[0])
        exact = None if step is None else self._check_bound(name, step)
        scaled = check_flag(log, "log")
        return float(self._suggest("suggest_float", name, *bounds, step=exact, log=scaled))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Suggest a whole number from `low` to `high`, both included. Commits.

        The bounds lie within 2^53, above which Optuna cannot tell one integer from the next. Otherwise as
        :meth:`suggest_float`.
        """
        low, high, exact = (self._check_whole(name, bound) for bound in (low, high, step))
        scaled = check_flag(log, "log")
        return int(self._suggest("suggest_int", name, low, high, step=exact, log=scaled))

    def suggest_choice(self, name: str, choices: Iterable[Any]) -> Any:
        """Suggest one of these texts, numbers, bools or None. Commits; raises as :meth:`suggest_float`."""
        given = read_elements(
            choices, f"choices of {short_repr(name)}", like="['relu', 'tanh']", most=MAX_CHOICES
        )
        found = tuple(plain_scalar(choice, f"a choice of {short_repr(name)}") for choice in given)
        for choice in found:
            check_new_value(name, choice)
        seen: dict[Any, Any] = {}
        for choice in found:
            other = seen.setdefault(choice, choice)
            if type(choice) is not type(other):
                raise InvalidValueError(
                    f"the choices {short_repr(other)} and {short_repr(choice)} of {short_repr(name)} are"
                    " equal, so that Optuna cannot tell them apart; leave one out"
                )
        return self._suggest("suggest_categorical", name, found)

    def _check_bound(self, name: str, given: object) -> float:
        bound = check_number(given, f"a bound or step of param {short_repr(name)}")
        if not math.isfinite(bound):
            raise InvalidValueError(f"bounds and step of param {short_repr(name)} must be finite, not {bound}")
        return bound

    def _check_whole(self, name: str, given: object) -> int:
        what = f"a bound or step of param {short_repr(name)}"
        return check_whole(given, what, -MAX_WHOLE, MAX_WHOLE)

    def _suggest(self, method: str, name: str, *args: Any, **kwargs: Any) -> Any:
        checked = check_name(name, "param name")
        require_no_secret(checked, "the param name")
        before = None if self.run is None else self.config
        self._core.config_for({**self.params, checked: None})
        try:
            with self._core.translate_errors():
                suggested = getattr(self._source, method)(checked, *args, **kwargs)
        except (ValueError, TypeError, AssertionError, OverflowError) as error:
            if isinstance(error, ExptrackError):
                raise
            raise InvalidValueError(
                f"param {checked!r} of trial {self.number} of study {self._core.name!r}: {error}"
            ) from None
        if self.run is not None and before is not None:
            self.run._take_config(self.config, before)
        return suggested

    # Reporting

    def report(self, step: int, value: float) -> None:
        """Report how well the trial does at a step, for the pruner, and log it in the trial's run. Commits.

        A step is reported once: a later value for it is only logged.

        Raises:
            InvalidTypeError, InvalidValueError: the step is not a whole number from 0, or the value is not a
                number.
        """
        checked_step = check_step(step)
        if checked_step < 0:
            raise InvalidValueError(f"the step of a report must be 0 or more, not {checked_step}")
        checked_value = check_number(value, "report")
        if self.run is not None:
            self.run.log_metric(self._core.metrics[0], checked_value, checked_step)
        self._store_report(checked_step, checked_value)

    def _store_report(self, step: int, value: float) -> None:
        if step not in self._reported:
            with self._core.translate_errors():
                self._core.storage.set_trial_intermediate_value(self._row, step, value)
            self._reported[step] = value

    def should_prune(self) -> bool:
        """Ask the pruner whether to give this trial up, judged by its reports so far.

        In a script that a sweep runs, points of the objective's metric in the run count as reports.
        """
        if self.run is None:
            self._report_logged()
        storage = self._core.storage
        with self._core.translate_errors():
            trial = storage.get_trial(self._row)
            study = self._core.optuna_study
            prune = bool(study.pruner.prune(study, trial))
            if prune:
                last = max(trial.intermediate_values, default=None)
                storage.set_trial_system_attr(self._row, PRUNE_MARK, last)
        return prune

    def _report_logged(self) -> None:
        run = find_run(self._core.connection, self._row)
        if run is None:
            return
        point = open_run(self._core.connection, run).get_last_metric(self._core.metrics[0])
        if point is not None and point.step >= 0:
            self._store_report(point.step, point.value)

    def prune(self, message: str = "") -> None:
        """Give the trial up.

        Raises:
            TrialPruned: always; the objective must not catch it.
        """
        message = check_text(message, "message")
        step = last_step_of(self)
        if self.run is None:
            with self._core.translate_errors():
                self._core.storage.set_trial_system_attr(self._row, PRUNE_MARK, step)
        raise TrialPruned(message, step=step)


# For this subpackage; kept out of the class, because its names are public


def give_run(trial: Trial, run: Run) -> None:
    """Let the trial suggest its params into this run."""
    trial._set_fixed(run=run)


def last_step_of(trial: Trial) -> int | None:
    """Return the last step that this object reported."""
    return max(trial._reported, default=None)


def is_trial_of(trial: Trial, core: StudyCore) -> bool:
    """Return whether the trial belongs to this very study: the same row in the same file."""
    own = trial._core
    return own.row == core.row and own.connection.path == core.connection.path


def attached_trial() -> Trial | None:
    """Return the trial that this process runs for; see :func:`exptrack.current_trial`."""
    connection = default_connection(create=False)
    row = find_surrounding_trial(connection)
    if row is None:
        return None
    core = StudyCore.open(connection, row["study"])
    return Trial(core, core.storage.get_trial(row["id"]))


def check_new_value(name: str, value: object) -> None:
    """Refuse what :func:`check_param_value` refuses, and a secret that no trial has yet.

    Raises:
        InvalidTypeError, InvalidValueError: the value is one of these.
    """
    check_param_value(name, value)
    if is_text(value):
        require_no_secret(str.__str__(value), f"a value of param {short_repr(name)},")


def check_param_value(name: str, value: object) -> None:
    """Refuse a value that no param takes or no config stores.

    Raises:
        InvalidTypeError, InvalidValueError: the value is one of these.
    """
    if value is not None and not isinstance(plain(value), (str, int, float)):
        raise InvalidTypeError(
            f"param {short_repr(name)} must be text, a number, a bool or None, not {short_repr(value)}"
        )
    try:
        ExpConfig({"value": value})
    except InvalidValueError as error:
        raise InvalidValueError(
            f"param {short_repr(name)} cannot be set to {short_repr(value)}: {error}"
        ) from None
