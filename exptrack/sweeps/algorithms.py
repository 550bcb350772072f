"""What searches and what gives up: samplers and pruners by name, built by Optuna when they are needed.

Invariants: a named sampler or pruner is data, so that a study remembers it and goes on with it in another
process. An object of Optuna's own is used as it is; no file can hold it, only its name. Two sessions of one
study with one seed never draw the same numbers: each derives its own.
"""

from __future__ import annotations

import inspect
import json
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from exptrack.errors import InvalidTypeError, InvalidValueError, MissingPackageError
from exptrack.extras import require_optuna
from exptrack.validation import short_repr

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

MAX_LIMIT_S = sys.float_info.max
DEFAULT_SAMPLER, DEFAULT_PRUNER = "tpe", "median"
SAMPLERS = {"random": "RandomSampler", "tpe": "TPESampler"}
PRUNERS = {
    "none": "NopPruner",
    "median": "MedianPruner",
    "successive_halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
}
MAX_SEED = 2**32 - 1
MAX_WHOLE = 2**53  # Optuna keeps settings as floats
_GOLDEN = 0x9E3779B97F4A7C15  # spreads sessions over the seeds


def optuna_module(name: str) -> Any:
    """A module of Optuna.

    Raises:
        MissingPackageError: it is not installed, or too old.
    """
    require_optuna()
    return import_module(name)


@dataclass(frozen=True)
class Sampler:
    """What chooses the params of the next trial.

    >>> Sampler.tpe(seed=1)
    Sampler(name='tpe', seed=1, options={})
    >>> Sampler.of("CmaEsSampler", seed=1, sigma0=0.2).settings()
    {'name': 'CmaEsSampler', 'seed': 1, 'options': {'sigma0': 0.2}}
    """

    name: str
    seed: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    given: BaseSampler | None = field(default=None, repr=False)

    @classmethod
    def random(cls, seed: int | None = None) -> Self:
        """Independent draws."""
        return cls("random", seed)

    @classmethod
    def grid(cls, space: Mapping[str, Iterable[Any]] | None = None, seed: int | None = None) -> Self:
        """Every combination once, in random order.

        Without a `space` of values for each param: of all that the objective's steps and choices allow.
        """
        if space is not None and not (
            isinstance(space, Mapping)
            and all(isinstance(values, Iterable) and not isinstance(values, str) for values in space.values())
        ):
            raise InvalidTypeError(
                f"the space of a grid maps params to lists of values, not {short_repr(space)}"
            )
        options = {} if space is None else {"space": {name: list(values) for name, values in space.items()}}
        return cls("grid", seed, options)

    @classmethod
    def tpe(cls, seed: int | None = None, **options: Any) -> Self:
        """Tree-structured Parzen estimators; `options` are those of ``optuna.samplers.TPESampler``."""
        return cls("tpe", seed, options)

    @classmethod
    def of(cls, sampler: object, seed: int | None = None, **options: Any) -> Self:
        """Any sampler: a name (one of ours, or a class of ``optuna.samplers``) with its options, or an object.

        Raises:
            InvalidTypeError: it is none of these.
        """
        if isinstance(sampler, cls):
            return sampler
        if isinstance(sampler, str):
            return cls(sampler, seed, options)
        if not _is_optunas(sampler, "samplers", "BaseSampler"):
            raise InvalidTypeError(
                f"a sampler is 'tpe', Sampler.tpe() or one of Optuna's, not {short_repr(sampler)}"
            )
        return cls(type(sampler).__name__, None, {}, sampler)  # type: ignore[arg-type]

    def settings(self) -> dict[str, Any]:
        """How a study remembers it."""
        return _settings("sampler", self.name, self.options, self.given, {"seed": self.seed})

    def build(self, session: int = 0) -> BaseSampler:
        """The sampler itself, for the n-th session (from 0) of a study.

        Raises:
            MissingPackageError: Optuna, or what this sampler needs beside it, is not installed.
            InvalidValueError: there is no such sampler, or it does not take these options.
        """
        if self.given is not None:
            return self.given
        if self.seed is not None and (type(self.seed) is not int or not 0 <= self.seed <= MAX_SEED):
            raise InvalidValueError(
                f"a seed is a whole number from 0 to {MAX_SEED}, not {short_repr(self.seed)}"
            )
        options = dict(self.options)
        if self.name == "grid":
            kind = "GridSampler" if "space" in options else "BruteForceSampler"
            if "space" in options:
                options["search_space"] = options.pop("space")
        else:
            kind = SAMPLERS.get(self.name, self.name)
        found = _class_named("samplers", kind, "BaseSampler", [*SAMPLERS, "grid"], self.name)
        if self.seed is not None and "seed" in inspect.signature(found).parameters:
            # A grid is told apart by its order, which must be the same in all sessions.
            shift = 0 if kind == "GridSampler" else session * _GOLDEN
            options["seed"] = (self.seed + shift) % 2**32 if shift else self.seed
        built: BaseSampler = _built(found, options, f"sampler {self.name!r}")
        return built


@dataclass(frozen=True)
class Pruner:
    """What decides that a trial is not worth going on with.

    >>> Pruner.median(n_startup_trials=3)
    Pruner(name='median', options={'n_startup_trials': 3})
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    given: BasePruner | None = field(default=None, repr=False)

    @classmethod
    def none(cls) -> Self:
        """Every trial goes to its end."""
        return cls("none")

    @classmethod
    def median(cls, **options: Any) -> Self:
        """Gives up what is worse than the median at the same step; see ``optuna.pruners.MedianPruner``."""
        return cls("median", options)

    @classmethod
    def successive_halving(cls, **options: Any) -> Self:
        """Gives more steps to fewer and fewer trials; see ``optuna.pruners.SuccessiveHalvingPruner``."""
        return cls("successive_halving", options)

    @classmethod
    def hyperband(cls, **options: Any) -> Self:
        """Several brackets of successive halving; see ``optuna.pruners.HyperbandPruner``."""
        return cls("hyperband", options)

    @classmethod
    def of(cls, pruner: object, **options: Any) -> Self:
        """Any pruner: a name (one of ours, or a class of ``optuna.pruners``) with its options, or an object.

        Raises:
            InvalidTypeError: it is none of these.
        """
        if isinstance(pruner, cls):
            return pruner
        if isinstance(pruner, str):
            return cls(pruner, options)
        if not _is_optunas(pruner, "pruners", "BasePruner"):
            raise InvalidTypeError(
                f"a pruner is 'median', Pruner.median() or one of Optuna's, not {short_repr(pruner)}"
            )
        return cls(type(pruner).__name__, {}, pruner)  # type: ignore[arg-type]

    def settings(self) -> dict[str, Any]:
        """How a study remembers it."""
        return _settings("pruner", self.name, self.options, self.given, {})

    def build(self) -> BasePruner:
        """The pruner itself.

        Raises:
            MissingPackageError: Optuna, or what this pruner needs beside it, is not installed.
            InvalidValueError: there is no such pruner, or it does not take these options.
        """
        if self.given is not None:
            return self.given
        kind = PRUNERS.get(self.name, self.name)
        found = _class_named("pruners", kind, "BasePruner", list(PRUNERS), self.name)
        built: BasePruner = _built(found, dict(self.options), f"pruner {self.name!r}")
        return built


def sampler_from(settings: Mapping[str, Any] | None, study: str) -> Sampler:
    """The sampler that a study remembers, or the default.

    Raises:
        InvalidValueError: it was an object, which has to be given again.
    """
    if settings is None:
        return Sampler(DEFAULT_SAMPLER)
    _require_rebuildable(settings, "sampler", study)
    return Sampler(settings["name"], settings["seed"], settings["options"])


def pruner_from(settings: Mapping[str, Any] | None, study: str) -> Pruner:
    """The pruner that a study remembers, or the default; raises as :func:`sampler_from`."""
    if settings is None:
        return Pruner(DEFAULT_PRUNER)
    _require_rebuildable(settings, "pruner", study)
    return Pruner(settings["name"], settings["options"])


def _require_rebuildable(settings: Mapping[str, Any], what: str, study: str) -> None:
    if settings.get("given"):
        raise InvalidValueError(
            f"study {study!r} was made with a {what} object ({settings['name']}), which no file can hold:"
            f" give it again, archive.study({study!r}, {what}=…)"
        )


def _settings(
    what: str, name: str, options: Mapping[str, Any], given: object, more: dict[str, Any]
) -> dict[str, Any]:
    if not isinstance(name, str) or not isinstance(options, Mapping):
        raise InvalidTypeError(f"a {what} has a name and a map of options, not {short_repr((name, options))}")
    try:
        json.dumps(dict(options))
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(
            f"a study cannot remember these options of {what} {name!r} ({error}); give the object of Optuna's"
        ) from None
    return {"name": name, **more, "options": dict(options), **({} if given is None else {"given": True})}


def _is_optunas(thing: object, module: str, base: str) -> bool:
    return isinstance(thing, getattr(optuna_module(f"optuna.{module}"), base))


def _class_named(module: str, kind: str, base: str, ours: list[str], name: str) -> Any:
    home = optuna_module(f"optuna.{module}")
    found = getattr(home, kind, None)
    if not (inspect.isclass(found) and issubclass(found, getattr(home, base))) or kind == base:
        theirs = [one for one in home.__all__ if one.endswith(base[4:]) and one != base]
        raise InvalidValueError(f"no {module[:-1]} {name!r}; there are {', '.join([*ours, *sorted(theirs)])}")
    return found


def _built(kind: Any, options: dict[str, Any], what: str) -> Any:
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        # Whoever names one has chosen it.
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            return kind(**options)
        except ImportError as error:
            raise MissingPackageError(str(error.name or error), what, "sweep") from error
        except (TypeError, ValueError) as error:
            raise InvalidValueError(f"{what}: {error}") from None


def check_limit(value: object, what: str) -> float | None:
    """A limit above zero, or None for none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_LIMIT_S:
        raise InvalidValueError(f"{what} is a number above 0, not {short_repr(value)}")
    return value
