"""Hold the config of a study: its objectives, its sampler and pruner, and its limits.

Invariant: invalid settings are refused here, before the study is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exptrack.capture.redaction import require_no_secret
from exptrack.config.encoding import encode_config
from exptrack.config.exp_config import make_config
from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.plain import is_mapping, read_names, short_repr
from exptrack.shown import shown
from exptrack.sweeps.algorithms import DEFAULT_SAMPLER, Pruner, Sampler, check_limit
from exptrack.validation import check_direction, check_name, check_whole

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler


@shown
@dataclass(frozen=True)
class StudyConfig:
    """The config of a study.

    `direction` is ``"minimize"`` or ``"maximize"``, or a list with one for each objective. `metric` is the name
    under which a trial's run logs its reports and its value, or a list of names. `base` is the config that the
    params are laid over. `max_trials` bounds the whole study, `time_limit` (seconds) each call of
    :meth:`Study.optimize`.

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
        """The direction of each objective.

        Raises:
            InvalidValueError: a direction is another word, or no direction is given.
        """
        if is_mapping(self.direction):
            raise InvalidTypeError(f"direction must be a word or a list, not {short_repr(self.direction)}")
        given = read_names(self.direction, "direction", like="['minimize', 'maximize']")
        if not given:
            raise InvalidValueError("a study needs at least one objective; give a direction for each")
        return tuple(check_direction(direction) for direction in given)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric of each objective."""
        count = len(self.directions)
        if self.metric is None:
            return default_metrics(count)
        names = read_names(self.metric, "metric", like="['loss', 'seconds']")
        given = [check_name(name, "metric name") for name in names]
        if len(given) != count or len(set(given)) != count:
            raise InvalidValueError(
                f"{count} objectives need {count} different metrics, not {short_repr(given)}"
            )
        for name in given:
            require_no_secret(name, "the metric")
        return tuple(given)

    @property
    def chosen_sampler(self) -> Sampler:
        """The sampler, or the default one."""
        return Sampler.of(DEFAULT_SAMPLER if self.sampler is None else self.sampler)

    @property
    def chosen_pruner(self) -> Pruner:
        """The pruner. By default it is the median, or none if the sampler tries every combination."""
        return self.chosen_sampler.usual_pruner if self.pruner is None else Pruner.of(self.pruner)

    def settings(self) -> dict[str, Any]:
        """Return the settings that a study stores beside its name, directions and metrics.

        Raises:
            InvalidValueError: a limit, the sampler, the pruner or the base is invalid; the message names it.
        """
        most = None if self.max_trials is None else check_whole(self.max_trials, "max_trials", 1)
        base = encode_config(make_config(self.base))
        origin = {"base_origin": {key: base[key] for key in ("files", "sources")}} if base["sources"] else {}
        return {
            "sampler": self.chosen_sampler.settings(),
            "pruner": self.chosen_pruner.settings(),
            "max_trials": most,
            "time_limit_s": check_limit(self.time_limit, "time_limit"),
            "base": base["values"],
            **origin,
        }


def default_metrics(count: int) -> tuple[str, ...]:
    """Return names for `count` objectives that were not given any."""
    return ("objective",) if count == 1 else tuple(f"objective_{position}" for position in range(count))
