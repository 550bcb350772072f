"""Read what is searched, by which metric and how, from a sweep file (SDN)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from exptrack import sdn
from exptrack.config.composition import load_exp_config
from exptrack.config.exp_config import ExpConfig
from exptrack.errors import (
    ConfigError,
    ConfigNotFoundError,
    InvalidTypeError,
    SdnError,
    SweepFileError,
    SweepPlanError,
)
from exptrack.keypath import path_of, split_path
from exptrack.records import ConfigSource
from exptrack.sweeps.algorithms import Pruner, Sampler
from exptrack.sweeps.plan import _T, Dimension, SweepPlan, _place_of, _suggestion
from exptrack.validation import short_repr


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
                raise self.error(f"there is no {short_repr(key)} here{hint}", (*above, key), at_key=True)

    def map_at(self, key: str, known: Sequence[str]) -> dict[str, sdn.Value]:
        """A section of the file; empty where there is none."""
        found = self.values.get(key)
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise self.error(f"{key} is a map of {', '.join(known)}, not {short_repr(found)}", (key,))
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
            raise self.error(f"base is a map or the path of a config, not {short_repr(found)}", ("base",))
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
            raise self.error(f"space is a map or a table of parameters, not {short_repr(found)}", ("space",))
        choices = self.values.get("choices")
        if choices is not None and not isinstance(choices, dict):
            raise self.error(
                f"choices are a map of parameters to lists, not {short_repr(choices)}", ("choices",)
            )
        for key, value in (choices or {}).items():
            if not isinstance(value, list):
                raise self.error(f"the choices of {key} are a list, not {short_repr(value)}", ("choices", key))
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
            raise self.error(
                f"param is the key of a value in the config, not {short_repr(key)}", (*home, "param")
            )
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
