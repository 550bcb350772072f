"""The plan of a sweep: its parameters, its metric, and how and for how long they are searched.

Invariants: a plan is checked when it is made, so its users check nothing again. Every parameter is a key of the
config that a command line can override. No optimiser is imported here, so only the form of the names of
samplers and pruners is checked. Optuna checks their options when a study is made of the plan.
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
from exptrack.config.encoding import decode_config, encode_config
from exptrack.config.exp_config import ExpConfig
from exptrack.errors import InvalidValueError, SweepPlanError
from exptrack.keypath import split_path
from exptrack.plain import describe_error, plain, plain_scalar, read_items, short_repr
from exptrack.shown import shown
from exptrack.sweeps.algorithms import MAX_SEED, MAX_WHOLE, PRUNERS, SAMPLERS, Pruner, Sampler, check_limit
from exptrack.times import seconds_of
from exptrack.validation import (
    DIRECTIONS,
    INT64_MAX,
    INT64_MIN,
    SHORT_DIRECTIONS,
    check_name,
    check_text,
    check_whole,
)

_T = TypeVar("_T")
Choice: TypeAlias = "str | int | float | bool | None"

RANGES = ("float", "int")
REDUCTIONS = ("last", "min", "max")
MAX_STEPS = 10**15
MAX_JOBS = 1000  # each is a process, with two open files and three threads of the sweep


@shown
@dataclass(frozen=True, slots=True)
class Dimension:
    """The values of one parameter: a range of ``float`` or ``int``, or a ``choice`` of several.

    A range has `low` and `high`, both included. It may have a `step`, or be drawn on a logarithmic scale
    (`log`), but not both. Choices are texts, numbers, bools and None.

    >>> Dimension("float", 1e-4, 1e-1, log=True).low, Dimension("choice", choices=("adam", None)).choices
    (0.0001, ('adam', None))

    Raises:
        SweepPlanError: a part is missing, invalid or contradicts another; `key` names it.
    """

    kind: str
    low: float | int | None = None
    high: float | int | None = None
    step: float | int | None = None
    log: bool = False
    choices: tuple[Choice, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", _check_word(self.kind, (*RANGES, "choice"), "kind"))
        if self.kind == "choice":
            for name, nothing in (("low", None), ("high", None), ("step", None), ("log", False)):
                if getattr(self, name) is not nothing:
                    raise SweepPlanError(f"choices take no {name}; leave it out", key=name)
            object.__setattr__(self, "choices", _check_choices(self.choices))
            return
        if type(self.choices) is not tuple or self.choices:
            raise SweepPlanError(f"a range of kind {self.kind} takes no choices; leave them out", key="choices")
        low, high = self._convert_bound("low"), self._convert_bound("high")
        step = None if self.step is None else self._convert_bound("step")
        if self.log is not True and self.log is not False:
            raise SweepPlanError(f"log must be true or false, not {short_repr(self.log)}", key="log")
        if low > high:
            raise SweepPlanError(f"low {low} is above high {high}; exchange them", key="low")
        if not math.isfinite(high - low):
            raise SweepPlanError(f"a range from {low} to {high} is too wide to draw from", key="low")
        if self.log and low <= 0:
            raise SweepPlanError(f"with log, low must be above 0, not {low}", key="low")
        if self.log and step is not None:
            raise SweepPlanError("log and step cannot be combined; leave one out", key="step")
        if step is not None:
            _check_step_of_range(low, high, step)

    @property
    def count(self) -> int | None:
        """The number of values; None if it is infinite."""
        if self.kind == "choice":
            return len(self.choices)
        step = self.step if self.step is not None or self.kind == "float" else 1
        if step is None:
            return 1 if self.low == self.high else None
        return int((Decimal(repr(self.high)) - Decimal(repr(self.low))) / Decimal(repr(step))) + 1

    def _convert_bound(self, name: str) -> float | int:
        """Check a bound or step of the range, and keep it in the type of its kind."""
        value = _check_part(name, plain_scalar, getattr(self, name), name)
        if type(value) not in (int, float) or not math.isfinite(value):
            problem = (
                f"a range needs {name}"
                if value is None
                else f"{name} must be a number, not {short_repr(value)}"
            )
            raise SweepPlanError(problem, key=name)
        assert isinstance(value, (int, float))
        if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
            raise SweepPlanError(f"{name} does not fit into 64 bits: {short_repr(value)}", key=name)
        if self.kind == "int" and abs(value) > MAX_WHOLE:
            raise SweepPlanError(
                f"{name} of a range of ints must be within 2^53, not {short_repr(value)}", key=name
            )
        if self.kind == "int" and isinstance(value, float):
            raise SweepPlanError(f"{name} of a range of ints must be a whole number, not {value!r}", key=name)
        bound = float(value) if self.kind == "float" else value
        object.__setattr__(self, name, bound)
        return bound


@shown
@dataclass(frozen=True, slots=True)
class SweepPlan:
    """A planned sweep: a space of parameters and how it is searched.

    A trial's value is the `metric` of its run; `reduce` chooses its ``last`` value, ``min`` or ``max``. The
    keys of `space` are dotted paths of the config, in order. `max_trials` and `time_limit_s` bound the search.
    `jobs` trials run at the same time. A trial whose process was killed is tried again up to `retries` times.
    `base` is the config that the parameters are laid over. Without a `pruner` it is the median, or none if
    every combination is tried.

    >>> plan = SweepPlan("digits", "acc", "maximize", {"lr": Dimension("float", 1e-4, 1e-1, log=True)})
    >>> SweepPlan.from_settings(plan.to_settings()) == plan
    True

    Raises:
        SweepPlanError: a part is missing or invalid; `key` names it.
    """

    name: str
    metric: str
    direction: str
    space: Mapping[str, Dimension]
    reduce: str = "last"
    sampler: Sampler = field(default_factory=Sampler.tpe)
    pruner: Pruner = None  # type: ignore[assignment]  # never None once the plan is made
    max_trials: int | None = None
    time_limit_s: float | None = None
    jobs: int = 1
    retries: int = 0
    base: ExpConfig | None = None

    def __post_init__(self) -> None:
        for name in ("name", "metric"):
            self._set(name, _check_part(name, check_name, getattr(self, name), name))
        direction = plain(self.direction)
        if type(direction) is str:  # what cannot be hashed would not be looked up
            direction = SHORT_DIRECTIONS.get(direction, direction)
        self._set("direction", _check_word(direction, DIRECTIONS, "direction"))
        self._set("reduce", _check_word(self.reduce, REDUCTIONS, "reduce"))
        _check_algorithm(self.sampler, Sampler, (*SAMPLERS, "grid"))
        if self.pruner is None:
            self._set("pruner", self.sampler.usual_pruner)
        _check_algorithm(self.pruner, Pruner, tuple(PRUNERS))
        if self.max_trials is not None:
            self._set("max_trials", _check_count(self.max_trials, "max_trials", least=1))
        self._set("jobs", check_jobs(self.jobs))
        self._set("retries", _check_count(self.retries, "retries", least=0))
        if self.time_limit_s is not None:
            self._set("time_limit_s", check_time_limit(self.time_limit_s))
        if self.base is not None and not isinstance(self.base, ExpConfig):
            raise SweepPlanError(f"base must be an ExpConfig, not {short_repr(self.base)}", key="base")
        self._set("space", self._check_space())

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_space(self) -> dict[str, Dimension]:
        found: dict[str, Dimension] = {}
        taken: dict[tuple[str, ...], str] = {}
        for name, dimension in _check_part("space", read_items, self.space, "space"):
            key = _check_part(place_of(name), check_name, name, "a parameter")
            if not isinstance(dimension, Dimension):
                raise SweepPlanError(
                    f"a parameter must be a Dimension, not {short_repr(dimension)}", key=place_of(key)
                )
            taken[_split_key(key, taken)] = key
            self._check_searchable(key, dimension)
            found[key] = dimension
        if not found:
            raise SweepPlanError("there is no parameter to search; give one in space or choices", key="space")
        return found

    def _check_searchable(self, key: str, dimension: Dimension) -> None:
        if dimension.count is None and self.sampler.is_exhaustive:
            raise SweepPlanError(
                f"{self.sampler.name} tries every value, and there is no end of them from {dimension.low} to"
                f" {dimension.high}; give a step or choices",
                key=place_of(key),
            )
        if self.base is not None:
            # The stored values keep their ${env:…}, so a plan can be read where these variables are not set.
            _check_part(place_of(key), ExpConfig(self.base.stored_values).with_override, key, 0)

    def to_settings(self) -> dict[str, Any]:
        """Return the plan as JSON holds it; :meth:`from_settings` is the inverse."""
        return {
            "name": self.name,
            "metric": self.metric,
            "direction": self.direction,
            "reduce": self.reduce,
            "space": [{"param": key, **_dimension_settings(one)} for key, one in self.space.items()],
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
        """Rebuild the plan that :meth:`to_settings` described.

        A ``${env:…}`` in its base config is looked up when its value is first read.

        Raises:
            SweepPlanError: the settings describe no plan.
        """
        try:
            facts = dict(read_items(settings, "the settings"))
            space: dict[str, Dimension] = {}
            for one in facts.pop("space"):
                values = dict(one)
                key = values.pop("param")
                if key in space:
                    raise SweepPlanError(f"the parameter {key} appears twice; remove one", key=place_of(key))
                space[key] = Dimension(**values | {"choices": tuple(values.get("choices", ()))})
            sampler, pruner = Sampler(**facts.pop("sampler")), Pruner(**facts.pop("pruner"))
            base = facts.pop("base")
            config = None if base is None else decode_config(base)
            return cls(space=space, sampler=sampler, pruner=pruner, base=config, **facts)
        except SweepPlanError:
            raise
        except Exception as error:  # they may be anything
            raise SweepPlanError(f"these settings describe no sweep: {describe_error(error)}") from error

    def describe(self, key: str) -> str:
        """Say what a param of the space is drawn from; empty if the space does not have it."""
        return "" if key not in self.space else _describe_dimension(self.space[key])


# What plan_file shares


def place_of(key: object) -> str:
    """Name a parameter in an error, so that it is not mistaken for a part of the plan of the same name."""
    return f"space.{key if type(key) is str else short_repr(key)}"


def find_meant(word: object, known: Iterable[str]) -> str | None:
    """Return the known word nearest to this one; None if none is near."""
    close = difflib.get_close_matches(word, known, n=1) if type(word) is str and len(word) < 100 else []
    return close[0] if close else None


def suggest_word(word: object, known: Iterable[str]) -> str:
    """Return the end of an error that suggests the known word nearest to this one; empty if none is near."""
    meant = find_meant(word, known)
    return "" if meant is None else f"; did you mean {meant}?"


# Checks of the parts


def check_time_limit(time: object) -> float:
    """Return a time limit in seconds; it may be given as text like ``"2h 30m"``.

    Raises:
        SweepPlanError: `time` is not a length of time above 0, or it is more than a hundred years.
    """
    try:
        seconds = seconds_of(time)
        check_limit(seconds, "a time limit")
    except InvalidValueError as error:
        raise SweepPlanError(str(error), key="time_limit_s") from None
    return seconds


def check_jobs(jobs: object) -> int:
    """Return a number of trials that run at once.

    Raises:
        SweepPlanError: it is not a whole number from 1 to `MAX_JOBS`.
    """
    return _check_part("jobs", check_whole, jobs, "jobs", 1, MAX_JOBS)


def _check_part(key: str, check: Callable[..., _T], *arguments: object) -> _T:
    """Call a check and raise its InvalidValueError as an error of this part of the plan."""
    try:
        return check(*arguments)
    except InvalidValueError as error:
        raise SweepPlanError(str(error), key=key) from None


def _join_words(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}"


def _check_word(word: object, known: tuple[str, ...], what: str) -> str:
    word = plain(word)
    if type(word) is not str or word not in known:
        hint = suggest_word(word, known)
        raise SweepPlanError(f"{what} must be {_join_words(known)}, not {short_repr(word)}{hint}", key=what)
    return word


def _check_count(value: object, what: str, *, least: int) -> int:
    value = _check_part(what, plain_scalar, value, what)
    if type(value) is not int or not least <= value <= INT64_MAX:
        raise SweepPlanError(
            f"{what} must be a whole number, {least} or more, not {short_repr(value)}", key=what
        )
    return value


def _check_step_of_range(low: float | int, high: float | int, step: float | int) -> None:
    if step <= 0:
        raise SweepPlanError(f"step must be above 0, not {step}", key="step")
    # Decimals, because 0.3 is not three times 0.1 in binary floats.
    start, width, exact = Decimal(repr(low)), Decimal(repr(high)) - Decimal(repr(low)), Decimal(repr(step))
    if width / exact > MAX_STEPS:
        raise SweepPlanError(
            f"steps of {step} are too small for a range up to {high}; give larger ones", key="step"
        )
    if width % exact:
        last = float(start + width // exact * exact)
        problem = f"steps of {step} from {low} do not reach {high}; the last before it is {last:g}"
        raise SweepPlanError(problem, key="step")


def _check_choices(choices: object) -> tuple[Choice, ...]:
    if type(choices) is not tuple or not choices:
        raise SweepPlanError("choices is empty or not a list; give at least one value", key="choices")
    seen: list[Choice] = []
    for one in choices:
        choice = _check_part("choices", plain_scalar, one, "a choice")
        _check_choice(choice)
        for other in seen:
            if choice == other:
                same = "appears twice" if type(choice) is type(other) else f"equals {short_repr(other)}"
                raise SweepPlanError(f"the choice {short_repr(choice)} {same}; remove one", key="choices")
        seen.append(choice)
    return tuple(seen)


def _check_choice(choice: object) -> None:
    problem = ""
    if isinstance(choice, str):
        _check_part("choices", check_text, choice, "a choice")
        problem = "holds NUL, which no command line takes" if "\0" in choice else ""
    elif choice is not None and type(choice) not in (bool, int, float):
        problem = "must be text, a number, true, false or null"
    elif type(choice) is float and not math.isfinite(choice):
        problem = "is not a number that a config can hold; write it as text"
    elif type(choice) is int and not INT64_MIN <= choice <= INT64_MAX:
        problem = "does not fit into 64 bits"
    if problem:
        raise SweepPlanError(f"the choice {short_repr(choice)} {problem}", key="choices")


def _check_algorithm(algorithm: object, kind: type[Sampler] | type[Pruner], known: tuple[str, ...]) -> None:
    ending = kind.__name__
    what = ending.lower()
    if not isinstance(algorithm, (Sampler, Pruner)) or type(algorithm) is not kind:
        raise SweepPlanError(f"{what} must be a {ending}, not {short_repr(algorithm)}", key=what)
    name, options = algorithm.name, algorithm.options
    if type(name) is not str or (name not in known and not re.fullmatch(rf"[A-Z][A-Za-z0-9]*{ending}", name)):
        problem = (
            f"a {what} must be {_join_words(known)}, or a class of Optuna whose name ends in {ending},"
            f" not {short_repr(name)}"
        )
        raise SweepPlanError(problem + suggest_word(name, known), key=f"{what}.name")
    if algorithm.given is not None:
        raise SweepPlanError(f"a plan cannot hold the object of a {what}; give its name and options", key=what)
    for option, _value in _check_part(what, read_items, options, f"options of a {what}"):
        if type(option) is not str or not option.isidentifier():
            raise SweepPlanError(
                f"{short_repr(option)} cannot name an option of a {what}; use letters, digits and _",
                key=f"{what}.{option if type(option) is str else short_repr(option)}",
            )
    seed = _check_part(f"{what}.seed", plain_scalar, getattr(algorithm, "seed", None), "seed")
    if seed is not None and (type(seed) is not int or not 0 <= seed <= MAX_SEED):
        raise SweepPlanError(
            f"seed must be a whole number from 0 to {MAX_SEED}, not {short_repr(seed)}", key=f"{what}.seed"
        )


def _split_key(key: str, taken: Mapping[tuple[str, ...], str]) -> tuple[str, ...]:
    """Return the parts of a parameter's key, which a command line must be able to override.

    `taken` maps the parts of the earlier parameters to their keys.
    """
    place = place_of(key)
    if key != key.strip() or "=" in key or not parse_cli_overrides([f"{key}=1"]):
        raise SweepPlanError(f"a command line cannot set the key {short_repr(key)}; rename it", key=place)
    _check_part(place, split_path, key)
    parts = tuple(split_path(key))
    for other, name in taken.items():
        if parts == other:
            raise SweepPlanError(f"the parameter {name} appears twice; remove one", key=place)
        if parts[: len(other)] == other or other[: len(parts)] == parts:
            raise SweepPlanError(
                f"{key} and {name} cannot both be parameters: one is inside the other", key=place
            )
    return parts


def _describe_dimension(dimension: Dimension) -> str:
    if dimension.kind == "choice":
        return f"one of {', '.join(map(short_repr, dimension.choices))}"
    step = "" if dimension.step is None else f" in steps of {dimension.step}"
    return f"{dimension.kind} from {dimension.low} to {dimension.high}{step}{', logarithmic' * dimension.log}"


def _dimension_settings(dimension: Dimension) -> dict[str, Any]:
    if dimension.kind == "choice":
        return {"kind": "choice", "choices": list(dimension.choices)}
    return {name: getattr(dimension, name) for name in ("kind", "low", "high", "step", "log")}
