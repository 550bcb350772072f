"""Describe samplers (they choose params) and pruners (they give trials up), and build them with Optuna.

Invariants: a named sampler or pruner is data, so a study stores it and another process goes on with it. An
object of Optuna's own is used as it is; the archive stores only its name. Two sessions of a study with a seed
never draw the same values, because each session derives a seed of its own.
"""

from __future__ import annotations

import difflib
import inspect
import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self, cast

from exptrack.errors import InvalidTypeError, InvalidValueError, MissingPackageError
from exptrack.extras import require_optuna
from exptrack.plain import (
    describe_error,
    is_text,
    plain,
    plain_scalar,
    read_elements,
    read_items,
    short_repr,
)
from exptrack.shown import shown
from exptrack.validation import check_name, check_whole

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

MAX_LIMIT_S = 100 * 365.25 * 86_400  # a hundred years, so that it can be shown and added to a clock
DEFAULT_SAMPLER, DEFAULT_PRUNER = "tpe", "median"
# These samplers try every value, so each parameter needs a finite number of them.
EXHAUSTIVE = ("grid", "BruteForceSampler")
SAMPLERS = {"random": "RandomSampler", "tpe": "TPESampler"}
PRUNERS = {
    "none": "NopPruner",
    "median": "MedianPruner",
    "successive_halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
}
MAX_SEED = 2**32 - 1
MAX_WHOLE = 2**53  # Optuna stores params as floats
_GOLDEN = 0x9E3779B97F4A7C15  # spreads sessions over the seeds


def optuna_module(name: str) -> Any:
    """Import a module of Optuna.

    Raises:
        MissingPackageError: Optuna is not installed, or too old.
    """
    require_optuna()
    return import_module(name)


@shown
@dataclass(frozen=True)
class Sampler:
    """A sampler, which chooses the params of the next trial.

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
        """Draw each trial's params at random, independently of the others."""
        return cls("random", seed)

    @classmethod
    def grid(cls, space: Mapping[str, Iterable[Any]] | None = None, seed: int | None = None) -> Self:
        """Try every combination once, in random order.

        `space` maps each param to its values. Without it, the steps and choices of the objective give them.
        """
        if space is None:
            return cls("grid", seed, {})
        lists = {
            check_name(name, "param name"): [
                plain_scalar(value, f"a value of param {short_repr(name)}")
                for value in read_elements(values, f"the values of param {short_repr(name)}")
            ]
            for name, values in read_items(space, "the space of a grid")
        }
        return cls("grid", seed, {"space": lists})

    @classmethod
    def tpe(cls, seed: int | None = None, **options: Any) -> Self:
        """Draw by tree-structured Parzen estimators; `options` are those of ``optuna.samplers.TPESampler``."""
        return cls("tpe", seed, options)

    @classmethod
    def of(cls, sampler: object, seed: int | None = None, **options: Any) -> Self:
        """Take any sampler: a name with its options, or an object of Optuna's.

        A name is one of exptrack's or that of a class in ``optuna.samplers``.

        Raises:
            InvalidTypeError: `sampler` is neither a name nor a sampler.
        """
        if type(sampler) is cls:
            return sampler
        if is_text(sampler):
            return cls(check_name(sampler, "a sampler"), seed, options)
        if not _is_instance(sampler, "samplers", "BaseSampler"):
            raise InvalidTypeError(
                f"a sampler must be 'tpe', Sampler.tpe() or one of Optuna's, not {short_repr(sampler)}"
            )
        return cls(type(sampler).__name__, None, {}, sampler)  # type: ignore[arg-type]

    @property
    def is_exhaustive(self) -> bool:
        """Whether it tries every combination of the values."""
        return self.name in EXHAUSTIVE

    @property
    def usual_pruner(self) -> Pruner:
        """The pruner of a search with this sampler, if none is asked for: none where all is to be tried."""
        return Pruner.none() if self.name in (*EXHAUSTIVE, "GridSampler") else Pruner(DEFAULT_PRUNER)

    def settings(self) -> dict[str, Any]:
        """Return it as a study stores it."""
        seed = None if self.seed is None else check_whole(self.seed, "a seed", 0, MAX_SEED)
        return _dump_settings("sampler", self.name, self.options, self.given, {"seed": seed})

    def build(self, session: int = 0) -> BaseSampler:
        """Build Optuna's sampler, for the n-th session (from 0) of a study.

        Raises:
            MissingPackageError: Optuna, or a package that this sampler needs, is not installed.
            InvalidValueError: there is no such sampler, or it does not take these options.
        """
        if self.given is not None:
            _require_instance(self.given, "samplers", "BaseSampler")
            return self.given
        seed = None if self.seed is None else check_whole(self.seed, "a seed", 0, MAX_SEED)
        session = check_whole(session, "session", 0)
        name, options = _check_named("sampler", self.name, self.options)
        if name == "grid":
            kind = "GridSampler" if "space" in options else "BruteForceSampler"
            if "space" in options:
                options["search_space"] = options.pop("space")
        else:
            kind = SAMPLERS.get(name, name)
        found = _find_class("samplers", kind, "BaseSampler", [*SAMPLERS, "grid"], name)
        if seed is not None and "seed" in inspect.signature(found).parameters:
            # GridSampler shuffles its combinations by the seed and knows them by their place in that order.
            shift = 0 if kind == "GridSampler" else session * _GOLDEN
            options["seed"] = (seed + shift) % 2**32 if shift else seed
        if kind == "GridSampler":
            found = optuna_module("exptrack.sweeps.optuna_bridge").Grid
        built: BaseSampler = _build(found, options, f"sampler {name!r}")
        return built


@shown
@dataclass(frozen=True)
class Pruner:
    """A pruner, which decides whether a trial is given up early.

    >>> Pruner.median(n_startup_trials=3)
    Pruner(name='median', options={'n_startup_trials': 3})
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    given: BasePruner | None = field(default=None, repr=False)

    @classmethod
    def none(cls) -> Self:
        """Give no trial up."""
        return cls("none")

    @classmethod
    def median(cls, **options: Any) -> Self:
        """Give up trials worse than the median at the same step; see ``optuna.pruners.MedianPruner``."""
        return cls("median", options)

    @classmethod
    def successive_halving(cls, **options: Any) -> Self:
        """Give more steps to fewer and fewer trials; see ``optuna.pruners.SuccessiveHalvingPruner``."""
        return cls("successive_halving", options)

    @classmethod
    def hyperband(cls, **options: Any) -> Self:
        """Run several brackets of successive halving; see ``optuna.pruners.HyperbandPruner``."""
        return cls("hyperband", options)

    @classmethod
    def of(cls, pruner: object, **options: Any) -> Self:
        """Take any pruner: a name with its options, or an object of Optuna's.

        A name is one of exptrack's or that of a class in ``optuna.pruners``.

        Raises:
            InvalidTypeError: `pruner` is neither a name nor a pruner.
        """
        if type(pruner) is cls:
            return pruner
        if is_text(pruner):
            return cls(check_name(pruner, "a pruner"), options)
        if not _is_instance(pruner, "pruners", "BasePruner"):
            raise InvalidTypeError(
                f"a pruner must be 'median', Pruner.median() or one of Optuna's, not {short_repr(pruner)}"
            )
        return cls(type(pruner).__name__, {}, pruner)  # type: ignore[arg-type]

    def settings(self) -> dict[str, Any]:
        """Return it as a study stores it."""
        return _dump_settings("pruner", self.name, self.options, self.given, {})

    def build(self) -> BasePruner:
        """Build Optuna's pruner.

        Raises:
            MissingPackageError: Optuna, or a package that this pruner needs, is not installed.
            InvalidValueError: there is no such pruner, or it does not take these options.
        """
        if self.given is not None:
            _require_instance(self.given, "pruners", "BasePruner")
            return self.given
        name, options = _check_named("pruner", self.name, self.options)
        found = _find_class("pruners", PRUNERS.get(name, name), "BasePruner", list(PRUNERS), name)
        built: BasePruner = _build(found, options, f"pruner {name!r}")
        return built


def restore_sampler(settings: Mapping[str, Any] | None, study: str) -> Sampler:
    """Return the sampler that a study stores, or the default.

    Raises:
        InvalidValueError: the study was made with a sampler object, which must be given again.
    """
    if settings is None:
        return Sampler(DEFAULT_SAMPLER)
    _require_rebuildable(settings, "sampler", study)
    return Sampler(settings["name"], settings["seed"], settings["options"])


def restore_pruner(settings: Mapping[str, Any] | None, study: str) -> Pruner:
    """Return the pruner that a study stores, or the default; raises as :func:`restore_sampler`."""
    if settings is None:
        return Pruner(DEFAULT_PRUNER)
    _require_rebuildable(settings, "pruner", study)
    return Pruner(settings["name"], settings["options"])


def _require_rebuildable(settings: Mapping[str, Any], what: str, study: str) -> None:
    if settings.get("given"):
        raise InvalidValueError(
            f"study {study!r} was made with a {what} object ({settings['name']}), which no file can hold;"
            f" give it again: archive.study({study!r}, {what}=…)"
        )


def _dump_settings(
    what: str, name: str, options: Mapping[str, Any], given: object, more: dict[str, Any]
) -> dict[str, Any]:
    name, plain_options = _check_named(what, name, options)
    return {"name": name, **more, "options": plain_options, **({} if given is None else {"given": True})}


def _check_named(what: str, name: object, options: object) -> tuple[str, dict[str, Any]]:
    """Return the name of a sampler or pruner and its options, as JSON holds them."""
    checked = check_name(name, f"the name of a {what}")
    found = {check_name(key, "an option"): value for key, value in read_items(options, f"options of a {what}")}
    try:
        copy: dict[str, Any] = json.loads(json.dumps(found))
    except Exception as error:  # JSON does not hold a value, or the value raises
        raise InvalidTypeError(
            f"these options of {what} {checked!r} cannot be stored ({describe_error(error)});"
            " give Optuna's object instead"
        ) from error
    return checked, copy


def _is_instance(thing: object, module: str, base: str) -> bool:
    return issubclass(type(thing), getattr(optuna_module(f"optuna.{module}"), base))


def _require_instance(given: object, module: str, base: str) -> None:
    if not _is_instance(given, module, base):
        raise InvalidTypeError(f"given must be an object of Optuna's {base}, not {short_repr(given)}")


def _find_class(module: str, kind: str, base: str, ours: list[str], name: str) -> Any:
    home = optuna_module(f"optuna.{module}")
    found = getattr(home, kind, None)
    if not (inspect.isclass(found) and issubclass(found, getattr(home, base))) or kind == base:
        theirs = [known for known in home.__all__ if known.endswith(base[4:]) and known != base]
        raise InvalidValueError(f"no {module[:-1]} {name!r}; there are {', '.join([*ours, *sorted(theirs)])}")
    return found


def _build(kind: Any, options: dict[str, Any], what: str) -> Any:
    from optuna.exceptions import ExperimentalWarning

    known = inspect.signature(kind).parameters
    for option in options:
        if option not in known and not any(one.kind is one.VAR_KEYWORD for one in known.values()):
            close = difflib.get_close_matches(option, known, n=1) or list(known)
            words = f"did you mean {close[0]}?" if len(close) == 1 else f"there are {', '.join(close)}"
            raise InvalidValueError(f"{what} has no option {option}; {words}")
    with warnings.catch_warnings():
        # The user chose an experimental sampler or pruner by name, and needs no warning.
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            return kind(**options)
        except ImportError as error:
            raise MissingPackageError(str(error.name or error), what, "sweep") from error
        except Exception as error:  # Optuna checks some options by assertions, others where they are used
            raise InvalidValueError(f"{what}: {describe_error(error)}") from error


def check_limit(value: object, what: str) -> float | None:
    """Return a limit in seconds, a number above 0; None means no limit.

    Raises:
        InvalidValueError: the value is not a number above 0, or it is more than a hundred years.
    """
    if value is None:
        return None
    number = plain(value)
    if type(number) not in (int, float) or not number > 0:
        raise InvalidValueError(f"{what} must be a number above 0, not {short_repr(value)}")
    if number > MAX_LIMIT_S:
        raise InvalidValueError(
            f"{what} is at most 100 years, not {short_repr(value)} seconds; leave it out to have none"
        )
    return cast(float, number)
