"""Sweeps from files: what is searched, by which metric, how and for how long.

Invariants: a plan that was made holds nothing that no search could do, so whoever takes one checks nothing
again. A file is read whole or refused, at the place that is wrong. Every parameter is a key of the config that
a command line can override. No optimiser is imported here: names of samplers and pruners are checked by their
form, and their options when a study is made of them.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar

from exptrack.config.composition import parse_cli_overrides
from exptrack.config.exp_config import ExpConfig, decode_config, encode_config
from exptrack.errors import (
    InvalidValueError,
    SweepPlanError,
)
from exptrack.keypath import split_path
from exptrack.sweeps.algorithms import MAX_SEED, MAX_WHOLE, PRUNERS, SAMPLERS, Pruner, Sampler
from exptrack.times import seconds_of
from exptrack.validation import DIRECTIONS, INT64_MAX, INT64_MIN, check_name, check_text, short_repr

Choice: TypeAlias = "str | int | float | bool | None"

RANGES = ("float", "int")
REDUCTIONS = ("last", "min", "max")
# These try every value there is, so there must be an end to them.
EXHAUSTIVE = ("grid", "BruteForceSampler")
MAX_STEPS = 10**15
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Dimension:
    """What one parameter may be: a range of ``float`` or ``int``, or one ``choice`` of some.

    A range has `low` and `high`, both included, and either a `step` or `log` (even on a logarithmic scale) or
    neither. Choices are texts, numbers, bools and None.

    >>> Dimension("float", 1e-4, 1e-1, log=True).low, Dimension("choice", choices=("adam", None)).choices
    (0.0001, ('adam', None))

    Raises:
        SweepPlanError: nothing could be drawn from it, or not as it says.
    """

    kind: str
    low: float | int | None = None
    high: float | int | None = None
    step: float | int | None = None
    log: bool = False
    choices: tuple[Choice, ...] = ()

    def __post_init__(self) -> None:
        _check_word(self.kind, (*RANGES, "choice"), "kind")
        if self.kind == "choice":
            for name, nothing in (("low", None), ("high", None), ("step", None), ("log", False)):
                if getattr(self, name) is not nothing:
                    raise SweepPlanError(f"choices have no {name}", key=name)
            _check_choices(self.choices)
            return
        if self.choices != ():
            raise SweepPlanError(f"a range of kind {self.kind} has no choices", key="choices")
        low, high = self._number("low"), self._number("high")
        step = None if self.step is None else self._number("step")
        if not isinstance(self.log, bool):
            raise SweepPlanError(f"log is true or false, not {short_repr(self.log)}", key="log")
        if low > high:
            raise SweepPlanError(f"low {low} is above high {high}", key="low")
        if not math.isfinite(high - low):
            raise SweepPlanError(f"a range from {low} to {high} is too wide to draw from", key="low")
        if self.log and low <= 0:
            raise SweepPlanError(f"on a logarithmic scale low is above 0, not {low}", key="low")
        if self.log and step is not None:
            raise SweepPlanError("log and step exclude each other", key="step")
        if step is not None:
            _check_step_of_range(low, high, step)

    @property
    def count(self) -> int | None:
        """How many values there are; None if there is no end of them."""
        if self.kind == "choice":
            return len(self.choices)
        step = self.step if self.step is not None or self.kind == "float" else 1
        if step is None:
            return 1 if self.low == self.high else None
        return int((Decimal(repr(self.high)) - Decimal(repr(self.low))) / Decimal(repr(step))) + 1

    def _number(self, name: str) -> float | int:
        """A bound of the range, kept in the type of its kind."""
        value: object = getattr(self, name)
        if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
            problem = (
                f"a range needs {name}" if value is None else f"{name} is a number, not {short_repr(value)}"
            )
            raise SweepPlanError(problem, key=name)
        assert isinstance(value, (int, float))
        if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
            raise SweepPlanError(f"{name} does not fit into 64 bits: {short_repr(value)}", key=name)
        if self.kind == "int" and abs(value) > MAX_WHOLE:
            raise SweepPlanError(f"{name} of a range of ints is within 2^53, not {short_repr(value)}", key=name)
        if self.kind == "int" and isinstance(value, float):
            raise SweepPlanError(f"{name} of a range of ints is a whole number, not {value!r}", key=name)
        number = float(value) if self.kind == "float" else value
        object.__setattr__(self, name, number)
        return number


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """A sweep as it is planned: a space of parameters and how it is searched.

    A trial's value is the `metric` of its run: its ``last`` value, ``min`` or ``max``, as `reduce` says. The
    keys of `space` are dotted paths of the config, in order. `max_trials` and `time_limit_s` bound the search.
    `jobs` trials run at the same time; one whose process was killed is tried again up to `retries` times.
    `base` is the config that the parameters are laid over.

    >>> plan = SweepPlan("digits", "acc", "maximize", {"lr": Dimension("float", 1e-4, 1e-1, log=True)})
    >>> SweepPlan.from_settings(plan.to_settings()) == plan
    True

    Raises:
        SweepPlanError: there is something in it that no search could do.
    """

    name: str
    metric: str
    direction: str
    space: Mapping[str, Dimension]
    reduce: str = "last"
    sampler: Sampler = field(default_factory=Sampler.tpe)
    pruner: Pruner = field(default_factory=Pruner.median)
    max_trials: int | None = None
    time_limit_s: float | None = None
    jobs: int = 1
    retries: int = 0
    base: ExpConfig | None = None

    def __post_init__(self) -> None:
        for name in ("name", "metric"):
            _refused(name, check_name, getattr(self, name), name)
        _check_word(self.direction, DIRECTIONS, "direction")
        _check_word(self.reduce, REDUCTIONS, "reduce")
        _check_algorithm(self.sampler, (*SAMPLERS, "grid"), "Sampler")
        _check_algorithm(self.pruner, tuple(PRUNERS), "Pruner")
        if self.max_trials is not None:
            _check_count(self.max_trials, "max_trials", least=1)
        _check_count(self.jobs, "jobs", least=1)
        _check_count(self.retries, "retries", least=0)
        if self.time_limit_s is not None:
            object.__setattr__(self, "time_limit_s", seconds_of(self.time_limit_s))
        if not self.space:
            raise SweepPlanError("there is no parameter to search", key="space")
        taken: dict[tuple[str, ...], str] = {}
        for key, dimension in self.space.items():
            taken[_checked_key(key, taken)] = key
            self._check_searchable(key, dimension)

    def _check_searchable(self, key: str, dimension: Dimension) -> None:
        if dimension.count is None and self.sampler.name in EXHAUSTIVE:
            raise SweepPlanError(
                f"{self.sampler.name} tries every value, and there is no end of them from {dimension.low} to"
                f" {dimension.high}; give a step or choices",
                key=_place_of(key),
            )
        if self.base is not None:
            # As it is stored: nobody who only reads a plan needs the environment.
            _refused(_place_of(key), ExpConfig(self.base.stored_values).with_override, key, 0)

    def to_settings(self) -> dict[str, Any]:
        """The plan as JSON has it; :meth:`from_settings` is the inverse."""
        return {
            "name": self.name,
            "metric": self.metric,
            "direction": self.direction,
            "reduce": self.reduce,
            "space": [{"param": key, **_settings_of(one)} for key, one in self.space.items()],
            "sampler": self.sampler.settings(),
            "pruner": self.pruner.settings(),
            "max_trials": self.max_trials,
            "time_limit_s": self.time_limit_s,
            "jobs": self.jobs,
            "retries": self.retries,
            "base": None if self.base is None else encode_config(self.base),
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> SweepPlan:
        """The plan that :meth:`to_settings` described.

        What ``${env:…}`` stands for in its base config is looked up when it is first asked for.

        Raises:
            SweepPlanError: the settings describe none.
        """
        try:
            facts = dict(settings)
            space: dict[str, Dimension] = {}
            for one in facts.pop("space"):
                values = dict(one)
                key = values.pop("param")
                if key in space:
                    raise SweepPlanError(f"the parameter {key} stands twice", key=_place_of(key))
                space[key] = Dimension(**values | {"choices": tuple(values.get("choices", ()))})
            sampler, pruner = Sampler(**facts.pop("sampler")), Pruner(**facts.pop("pruner"))
            base = facts.pop("base")
            config = None if base is None else decode_config(base)
            return cls(space=space, sampler=sampler, pruner=pruner, base=config, **facts)
        except SweepPlanError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise SweepPlanError(f"these settings describe no sweep: {error}") from None


def _refused(key: str, check: Callable[..., object], *arguments: object) -> None:
    """Do a check; what it refuses is an error of this part of the plan."""
    try:
        check(*arguments)
    except InvalidValueError as error:
        raise SweepPlanError(str(error), key=key) from None


def _either(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}"


def _suggestion(word: object, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1) if isinstance(word, str) else []
    return f"; did you mean {close[0]}?" if close else ""


def _check_word(word: object, known: tuple[str, ...], what: str) -> None:
    if word not in known:
        hint = _suggestion(word, known)
        raise SweepPlanError(f"{what} is {_either(known)}, not {short_repr(word)}{hint}", key=what)


def _check_count(value: object, what: str, *, least: int) -> None:
    if type(value) is not int or not least <= value <= INT64_MAX:
        raise SweepPlanError(f"{what} is a whole number from {least}, not {short_repr(value)}", key=what)


def _check_step_of_range(low: float | int, high: float | int, step: float | int) -> None:
    if step <= 0:
        raise SweepPlanError(f"step is above 0, not {step}", key="step")
    # In decimal digits: in binary ones, 0.3 is not three times 0.1.
    start, width, exact = Decimal(repr(low)), Decimal(repr(high)) - Decimal(repr(low)), Decimal(repr(step))
    if width / exact > MAX_STEPS:
        raise SweepPlanError(f"steps of {step} are too small for a range up to {high}", key="step")
    if width % exact:
        last = float(start + width // exact * exact)
        problem = f"steps of {step} from {low} pass {high} by; the last before it is {last:g}"
        raise SweepPlanError(problem, key="step")


def _check_choices(choices: object) -> None:
    if not isinstance(choices, tuple) or not choices:
        raise SweepPlanError("there is nothing to choose from", key="choices")
    seen: list[Choice] = []
    for one in choices:
        _check_choice(one)
        for other in seen:
            if one == other:
                same = (
                    "twice" if type(one) is type(other) else f"beside {short_repr(other)}, which is equal to it"
                )
                raise SweepPlanError(f"the choice {short_repr(one)} stands {same}", key="choices")
        seen.append(one)


def _check_choice(one: object) -> None:
    problem = ""
    if isinstance(one, str):
        _refused("choices", check_text, one, "a choice")
        problem = "holds NUL, which no command line takes" if "\0" in one else ""
    elif one is not None and type(one) not in (bool, int, float):
        problem = "is no text, number, true, false or null"
    elif type(one) is float and not math.isfinite(one):
        problem = "is no number a config can hold; write it as text"
    elif type(one) is int and not INT64_MIN <= one <= INT64_MAX:
        problem = "does not fit into 64 bits"
    if problem:
        raise SweepPlanError(f"the choice {short_repr(one)} {problem}", key="choices")


def _check_algorithm(algorithm: Sampler | Pruner, known: tuple[str, ...], ending: str) -> None:
    what = ending.lower()
    name, options = algorithm.name, algorithm.options
    if name not in known and not re.fullmatch(
        rf"[A-Z][A-Za-z0-9]*{ending}", name if isinstance(name, str) else ""
    ):
        problem = (
            f"a {what} is {_either(known)}, or a class of Optuna that ends in {ending}, not {short_repr(name)}"
        )
        raise SweepPlanError(problem + _suggestion(name, known), key=f"{what}.name")
    if algorithm.given is not None:
        raise SweepPlanError(f"a plan names its {what}; it cannot hold the object", key=what)
    if not isinstance(options, Mapping):
        raise SweepPlanError(f"options of a {what} are a map, not {short_repr(options)}", key=what)
    for option in options:
        if not isinstance(option, str) or not option.isidentifier():
            raise SweepPlanError(
                f"no option of a {what} is called {short_repr(option)}", key=f"{what}.{option}"
            )
    seed = getattr(algorithm, "seed", None)
    if seed is not None and (type(seed) is not int or not 0 <= seed <= MAX_SEED):
        raise SweepPlanError(
            f"seed is a whole number from 0 to {MAX_SEED}, not {short_repr(seed)}", key=f"{what}.seed"
        )


def _place_of(key: object) -> str:
    """A parameter as errors name it, apart from the parts of the plan."""
    return f"space.{key}"


def _checked_key(key: object, taken: Mapping[tuple[str, ...], str]) -> tuple[str, ...]:
    """The parts of a parameter's key, which a command line must be able to override."""
    place = _place_of(key)
    _refused(place, check_name, key, "a parameter")
    assert isinstance(key, str)
    if key != key.strip() or "=" in key or not parse_cli_overrides([f"{key}=1"]):
        raise SweepPlanError(f"no command line can override a key like {short_repr(key)}", key=place)
    _refused(place, split_path, key)
    parts = tuple(split_path(key))
    for other, name in taken.items():
        if parts == other:
            raise SweepPlanError(f"the parameter {name} stands twice", key=place)
        if parts[: len(other)] == other or other[: len(parts)] == parts:
            raise SweepPlanError(f"{key} and {name} exclude each other: one holds the other", key=place)
    return parts


def _settings_of(dimension: Dimension) -> dict[str, Any]:
    if dimension.kind == "choice":
        return {"kind": "choice", "choices": list(dimension.choices)}
    return {name: getattr(dimension, name) for name in ("kind", "low", "high", "step", "log")}
