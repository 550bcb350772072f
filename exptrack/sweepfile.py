"""Sweeps from files: what is searched, by which metric, how and for how long.

Invariants: a plan that was made holds nothing that no search could do, so whoever takes one checks nothing
again. A file is read whole or refused, at the place that is wrong. Every parameter is a key of the config that
a command line can override. No optimiser is imported here: names of samplers and pruners are checked by their
form, and their options when a study is made of them.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from exptrack import sdn
from exptrack.algorithms import MAX_SEED, MAX_WHOLE, PRUNERS, SAMPLERS, Pruner, Sampler
from exptrack.config.composition import load_exp_config, parse_cli_overrides
from exptrack.config.exp_config import ExpConfig, config_as_json, config_from_json
from exptrack.errors import (
    ConfigError,
    ConfigNotFoundError,
    InvalidTypeError,
    InvalidValueError,
    SdnError,
    SweepFileError,
    SweepPlanError,
)
from exptrack.keypath import path_of, split_path
from exptrack.records import ConfigSource
from exptrack.times import seconds_of
from exptrack.validation import DIRECTIONS, INT64_MAX, INT64_MIN, check_name, check_text, shown

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
            raise SweepPlanError(f"log is true or false, not {shown(self.log)}", key="log")
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
            problem = f"a range needs {name}" if value is None else f"{name} is a number, not {shown(value)}"
            raise SweepPlanError(problem, key=name)
        assert isinstance(value, (int, float))
        if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
            raise SweepPlanError(f"{name} does not fit into 64 bits: {shown(value)}", key=name)
        if self.kind == "int" and abs(value) > MAX_WHOLE:
            raise SweepPlanError(f"{name} of a range of ints is within 2^53, not {shown(value)}", key=name)
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
            "base": None if self.base is None else config_as_json(self.base),
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
            config = None if base is None else config_from_json(base)
            return cls(space=space, sampler=sampler, pruner=pruner, base=config, **facts)
        except SweepPlanError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise SweepPlanError(f"these settings describe no sweep: {error}") from None


def load_sweep(path: str | os.PathLike[str]) -> SweepPlan:
    """Read the plan of a sweep from an SDN file.

    ``objective`` says what is sought: ``{metric: acc, direction: maximize, reduce: max}``; without `reduce` the
    last value counts. ``space`` has the parameters, in a map (``optim.lr: {low: 1e-4, high: 0.1, log: true}``,
    ``optim.name: [adam, sgd]``) or a table (``space |param, low, high, log|``); ``choices`` maps more of them
    to lists. The rest may be left out: ``name`` (of the study; else the file's name), ``sampler`` and
    ``pruner`` (a name, or a map of a name, options and for samplers a seed), ``budget`` (``{max_trials: 100,
    time_limit: 2h 30m}``), ``jobs``, ``retries``, and ``base``: a map, or the path of a config file or folder,
    relative to this file and composed by :func:`load_exp_config`.

    Raises:
        ConfigNotFoundError: there is no such file.
        SweepFileError: it describes no sweep; the message shows where.
        SdnError, ConfigError: it, or the base config, cannot be read.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidTypeError(f"a path is text or a Path, not {type(path).__name__}")
    file = Path(path)
    try:
        with open(file, "rb") as opened:
            data = opened.read(sdn.MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigNotFoundError(f"there is no sweep file {file}", path=str(file)) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {file}: {getattr(error, 'strerror', None) or error}") from None
    try:
        values, places = sdn.loads_with_places(data)
    except SdnError as error:
        raise SdnError(
            error.problem, line=error.line, column=error.column, source=error.source, file=str(file)
        ) from None
    return _SweepFile(file, values, places).plan()


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
        raise SweepPlanError(f"{what} is {_either(known)}, not {shown(word)}{hint}", key=what)


def _check_count(value: object, what: str, *, least: int) -> None:
    if type(value) is not int or not least <= value <= INT64_MAX:
        raise SweepPlanError(f"{what} is a whole number from {least}, not {shown(value)}", key=what)


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
                same = "twice" if type(one) is type(other) else f"beside {shown(other)}, which is equal to it"
                raise SweepPlanError(f"the choice {shown(one)} stands {same}", key="choices")
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
        raise SweepPlanError(f"the choice {shown(one)} {problem}", key="choices")


def _check_algorithm(algorithm: Sampler | Pruner, known: tuple[str, ...], ending: str) -> None:
    what = ending.lower()
    name, options = algorithm.name, algorithm.options
    if name not in known and not re.fullmatch(
        rf"[A-Z][A-Za-z0-9]*{ending}", name if isinstance(name, str) else ""
    ):
        problem = f"a {what} is {_either(known)}, or a class of Optuna that ends in {ending}, not {shown(name)}"
        raise SweepPlanError(problem + _suggestion(name, known), key=f"{what}.name")
    if algorithm.given is not None:
        raise SweepPlanError(f"a plan names its {what}; it cannot hold the object", key=what)
    if not isinstance(options, Mapping):
        raise SweepPlanError(f"options of a {what} are a map, not {shown(options)}", key=what)
    for option in options:
        if not isinstance(option, str) or not option.isidentifier():
            raise SweepPlanError(f"no option of a {what} is called {shown(option)}", key=f"{what}.{option}")
    seed = getattr(algorithm, "seed", None)
    if seed is not None and (type(seed) is not int or not 0 <= seed <= MAX_SEED):
        raise SweepPlanError(
            f"seed is a whole number from 0 to {MAX_SEED}, not {shown(seed)}", key=f"{what}.seed"
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
        raise SweepPlanError(f"no command line can override a key like {shown(key)}", key=place)
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


TOP = ("name", "objective", "space", "choices", "sampler", "pruner", "budget", "jobs", "retries", "base")
FIELDS = ("param", "kind", "low", "high", "step", "log", "choices")

# Where in a file the parts of a plan stand that do not stand at the top of it.
_HOMES: dict[str, tuple[str, ...]] = {
    "metric": ("objective", "metric"),
    "direction": ("objective", "direction"),
    "reduce": ("objective", "reduce"),
    "max_trials": ("budget", "max_trials"),
    "time_limit_s": ("budget", "time_limit"),
}


class _SweepFile:
    """The document of a sweep file, with where things stand in it."""

    def __init__(self, file: Path, values: dict[str, sdn.Value], places: sdn.Places) -> None:
        self.file = file
        self.values = values
        self.places = places
        self.homes: dict[str, tuple[str | int, ...]] = dict(_HOMES)

    def plan(self) -> SweepPlan:
        self.refuse_unknown(self.values, TOP)
        objective = self.map_at("objective", ("metric", "direction", "reduce"))
        for needed in ("metric", "direction"):
            if needed not in objective:
                form = "{metric: NAME, direction: minimize or maximize}"
                raise self.error(f"{needed} is missing: a sweep has an objective: {form}", ("objective",))
        budget = self.map_at("budget", ("max_trials", "time_limit"))
        facts: dict[str, Any] = {"name": self.file.stem} | objective
        facts |= {key: self.values[key] for key in ("name", "jobs", "retries") if key in self.values}
        facts |= {"max_trials": budget.get("max_trials"), "time_limit_s": budget.get("time_limit")}
        facts["sampler"] = self.sampler()
        facts["pruner"] = self.pruner()
        facts["space"] = self.space()
        facts["base"] = self.base()
        return self.placed((), lambda: SweepPlan(**facts))

    def error(self, problem: str, keys: Sequence[str | int], *, at_key: bool = False) -> SweepFileError:
        place = self.places.of_key(*keys) if at_key else self.places.of_value(*keys)
        key = path_of(part for part in keys if isinstance(part, str))
        return SweepFileError(problem, **place._asdict(), file=str(self.file), key=key)

    def placed(self, keys: Sequence[str | int], make: Callable[[], _T]) -> _T:
        """What `make` makes; what it refuses is shown where it stands, which is below these keys."""
        try:
            return make()
        except SweepPlanError as error:
            where = (*keys, error.key) if keys else self.homes.get(error.key, error.key.split(".")[:1])
            raise self.error(str(error), where) from None

    def refuse_unknown(self, values: Mapping[str, object], known: Sequence[str], *above: str | int) -> None:
        for key in values:
            if key not in known:
                hint = _suggestion(key, known) or f"; there are {', '.join(known)}"
                raise self.error(f"there is no {shown(key)} here{hint}", (*above, key), at_key=True)

    def map_at(self, key: str, known: Sequence[str]) -> dict[str, sdn.Value]:
        """A section of the file; empty where there is none."""
        found = self.values.get(key)
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise self.error(f"{key} is a map of {', '.join(known)}, not {shown(found)}", (key,))
        self.refuse_unknown(found, known, key)
        return found

    def sampler(self) -> Sampler:
        found = self.values.get("sampler")
        if found is None:
            return Sampler.tpe()
        name, options = self.named("sampler", found)
        seed: Any = options.pop("seed", None)
        return Sampler(name, seed, options)

    def pruner(self) -> Pruner:
        found = self.values.get("pruner")
        return Pruner.median() if found is None else Pruner(*self.named("pruner", found))

    def named(self, key: str, value: sdn.Value) -> tuple[Any, dict[str, sdn.Value]]:
        """The name of an algorithm, and its options where they stand with it in a map."""
        if not isinstance(value, dict):
            return value, {}
        if "name" not in value:
            raise self.error(f"name is missing: which {key}?", (key,))
        options = dict(value)
        for option in options:
            self.homes[f"{key}.{option}"] = (key, option)
        return options.pop("name"), options

    def base(self) -> ExpConfig | None:
        found = self.values.get("base")
        if found is None:
            return None
        if isinstance(found, dict):
            return self.inline_base(found)
        if not isinstance(found, str):
            raise self.error(f"base is a map or the path of a config, not {shown(found)}", ("base",))
        file = self.file.parent / found
        if not os.path.exists(file):
            raise self.error(f"there is no config {found} beside {self.file.name}", ("base",))
        return load_exp_config(file)

    def inline_base(self, values: dict[str, sdn.Value]) -> ExpConfig:
        try:
            leaves = ExpConfig(values).leaves()
            sources = {
                leaf.key: ConfigSource(
                    "file", self.file.name, self.places.of_value("base", *split_path(leaf.key)).line
                )
                for leaf in leaves
            }
            return ExpConfig(values, [self.file.name], sources=sources).interpolate()
        except ConfigError as error:
            keys = split_path(error.key) if error.key else []
            raise self.error(str(error), ("base", *keys)) from None

    # The space

    def space(self) -> dict[str, Dimension]:
        """The dimensions by key; where each stands is kept in `homes`."""
        found = self.values.get("space")
        entries: list[tuple[str, tuple[str | int, ...], sdn.Value]] = []
        if isinstance(found, dict):
            entries += [(key, ("space", key), value) for key, value in found.items()]
        elif isinstance(found, list):
            entries += [self.row(place, row) for place, row in enumerate(found)]
        elif found is not None:
            raise self.error(f"space is a map or a table of parameters, not {shown(found)}", ("space",))
        choices = self.values.get("choices")
        if choices is not None and not isinstance(choices, dict):
            raise self.error(f"choices are a map of parameters to lists, not {shown(choices)}", ("choices",))
        for key, value in (choices or {}).items():
            if not isinstance(value, list):
                raise self.error(f"the choices of {key} are a list, not {shown(value)}", ("choices", key))
            entries.append((key, ("choices", key), value))
        space: dict[str, Dimension] = {}
        for key, home, value in entries:
            if key in space:
                raise self.error(f"the parameter {key} stands twice", home, at_key=True)
            space[key] = self.dimension(key, home, value)
            self.homes[_place_of(key)] = home
        return space

    def row(self, place: int, row: sdn.Value) -> tuple[str, tuple[str | int, ...], sdn.Value]:
        """A row of a table: the key, its home and the range; empty cells say nothing."""
        home = ("space", place)
        if not isinstance(row, dict) or "param" not in row:
            form = "space |param, low, high|"
            raise self.error(f"a row has a param; the table begins with a line like {form}", home)
        self.refuse_unknown(row, FIELDS, *home)
        cells = {name: cell for name, cell in row.items() if cell != ""}
        key = cells.pop("param", "")
        if not isinstance(key, str) or not key:
            raise self.error(f"param is the key of a value in the config, not {shown(key)}", (*home, "param"))
        return key, home, cells

    def dimension(self, key: str, home: tuple[str | int, ...], value: sdn.Value) -> Dimension:
        if isinstance(value, list):
            value = {"choices": value}
        if not isinstance(value, dict):
            problem = (
                f"{key} is a range, {{low: …, high: …}}, or a list of choices; a fixed value belongs into base"
            )
            raise self.error(problem, home)
        self.refuse_unknown(value, FIELDS[1:], *home)
        facts: dict[str, Any] = {name: one for name, one in value.items() if one is not None}
        if "choices" in facts:
            facts = {"kind": "choice"} | facts
            if not isinstance(facts["choices"], list):
                raise self.error(f"the choices of {key} are a list", (*home, "choices"))
            facts["choices"] = tuple(facts["choices"])
        elif "kind" not in facts:
            bounds = [facts.get(name) for name in ("low", "high", "step")]
            facts["kind"] = "float" if any(isinstance(bound, float) for bound in bounds) else "int"
        return self.placed(home, lambda: Dimension(**facts))
