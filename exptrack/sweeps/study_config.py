"""What a study is made with: its objectives, what searches, what gives up, and how far.

Invariant: settings that no study could work with are refused here, before there is a study.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exptrack.config.exp_config import encode_config, make_config
from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.sweeps.algorithms import DEFAULT_PRUNER, DEFAULT_SAMPLER, Pruner, Sampler, check_limit
from exptrack.validation import check_direction, check_name, short_repr

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler


@dataclass(frozen=True)
class StudyConfig:
    """What a study is.

    `direction` is ``"minimize"`` or ``"maximize"``, or one for each objective. `metric` is the name under which
    a trial's run logs what it reports and returns (one for each objective). `base` is the config the params
    are laid over. `max_trials` bounds the whole study, `time_limit` (seconds) each :meth:`Study.optimize`.

    >>> StudyConfig("digits", "maximize", Sampler.tpe(seed=1), max_trials=50).max_trials
    50
    """

    name: str
    direction: str | Sequence[str] = "minimize"
    sampler: Sampler | BaseSampler | str | None = None
    pruner: Pruner | BasePruner | str | None = None
    max_trials: int | None = None
    time_limit: float | None = None
    metric: str | Sequence[str] | None = None
    base: object = None

    @property
    def directions(self) -> tuple[str, ...]:
        """One for each objective.

        Raises:
            InvalidValueError: another word, or none.
        """
        given = _listed(self.direction, "a direction is 'minimize' or 'maximize', or a list of these")
        if not given:
            raise InvalidValueError("a study has at least one objective: a direction each")
        return tuple(check_direction(direction) for direction in given)

    @property
    def metrics(self) -> tuple[str, ...]:
        """One name for each objective."""
        count = len(self.directions)
        if self.metric is None:
            return default_metrics(count)
        given = _listed(self.metric, "a metric is a name, or a list of them")
        if len(given) != count or len(set(given)) != count:
            raise InvalidValueError(
                f"{count} objectives have {count} different metrics, not {short_repr(given)}"
            )
        return tuple(check_name(name, "metric name") for name in given)

    @property
    def chosen_sampler(self) -> Sampler:
        """The sampler, or the one of a study that names none."""
        return Sampler.of(DEFAULT_SAMPLER if self.sampler is None else self.sampler)

    @property
    def chosen_pruner(self) -> Pruner:
        """The pruner, or the one of a study that names none."""
        return Pruner.of(DEFAULT_PRUNER if self.pruner is None else self.pruner)

    def settings(self) -> dict[str, Any]:
        """What of it the study remembers beside name, directions and metrics.

        Raises:
            InvalidValueError: a limit, sampler, pruner or base that cannot be.
        """
        if self.max_trials is not None and (type(self.max_trials) is not int or self.max_trials < 1):
            raise InvalidValueError(f"max_trials is a whole number above 0, not {short_repr(self.max_trials)}")
        base = encode_config(make_config(self.base))
        origin = {"base_origin": {key: base[key] for key in ("files", "sources")}} if base["sources"] else {}
        return {
            "sampler": self.chosen_sampler.settings(),
            "pruner": self.chosen_pruner.settings(),
            "max_trials": self.max_trials,
            "time_limit_s": check_limit(self.time_limit, "time_limit"),
            "base": base["values"],
            **origin,
        }


def _listed(given: object, form: str) -> list[Any]:
    """One word, or several, as a list."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, (bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidTypeError(f"{form}, not {short_repr(given)}")
    return list(given)


def default_metrics(count: int) -> tuple[str, ...]:
    """The names of so many objectives that have none."""
    return ("objective",) if count == 1 else tuple(f"objective_{position}" for position in range(count))
