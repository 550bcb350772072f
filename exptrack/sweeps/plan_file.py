"""Read the plan of a sweep from a sweep file: SDN, YAML or JSON.

Invariants: a file is read whole or refused, and the error shows the place that is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from exptrack import own_files, sdn
from exptrack.config.composition import load_exp_config, read_foreign
from exptrack.config.exp_config import ExpConfig
from exptrack.errors import (
    ConfigError,
    ConfigNotFoundError,
    SdnError,
    SweepFileError,
    SweepPlanError,
)
from exptrack.keypath import path_of, split_path
from exptrack.plain import read_path, short_repr
from exptrack.records import ConfigSource
from exptrack.sweeps.algorithms import Pruner, Sampler
from exptrack.sweeps.plan import Dimension, SweepPlan, find_meant, place_of
from exptrack.sweeps.plan_places import ForeignPlaces

TOP = ("name", "objective", "space", "choices", "sampler", "pruner", "budget", "jobs", "retries", "base")
FIELDS = ("param", "kind", "low", "high", "step", "log", "choices")

Keys: TypeAlias = "tuple[str | int, ...]"  # the way to a value in the file
# The parts of a plan that do not stand at the top of a file.
HOMES: dict[str, Keys] = {
    "metric": ("objective", "metric"),
    "direction": ("objective", "direction"),
    "reduce": ("objective", "reduce"),
    "max_trials": ("budget", "max_trials"),
    "time_limit_s": ("budget", "time_limit"),
}
# The section of each key that stands in one.
SECTIONS = {str(home[-1]): str(home[0]) for home in HOMES.values()} | {"seed": "sampler"}
_T = TypeVar("_T")


def load_sweep(path: str | os.PathLike[str]) -> SweepPlan:
    """Read the plan of a sweep from a file: YAML or JSON if its name ends so, else SDN.

    ``objective`` names the metric, as in ``{metric: acc, direction: maximize, reduce: max}``; without `reduce`
    its last value counts. ``space`` holds the parameters, in a map
    (``optim.lr: {low: 1e-4, high: 0.1, log: true}``, ``optim.name: [adam, sgd]``) or a table
    (``space |param, low, high, log|``). ``choices`` maps more parameters to lists. All else may be left out:

    - ``name``: of the study; by default the file's name.
    - ``sampler``, ``pruner``: a name, or a map of a name, options and for samplers a seed. By default TPE with
      the median; a grid is not pruned unless a pruner is given.
    - ``budget``: ``{max_trials: 100, time_limit: 2h 30m}``.
    - ``jobs``, ``retries``: whole numbers.
    - ``base``: a map, or the path of a config file or folder, relative to this file and composed by
      :func:`load_exp_config`.

    Raises:
        ConfigNotFoundError: the file does not exist.
        SweepFileError: the file describes no sweep; the message shows where.
        SdnError, ConfigError: the file, or the base config, cannot be read.
    """
    file = Path(read_path(path))
    try:
        with own_files.open_for_reading(file) as opened:
            data = opened.read(sdn.MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigNotFoundError(f"there is no sweep file {file}; check the path", path=str(file)) from None
    except OSError as error:
        raise ConfigError(f"cannot read {file} ({error.strerror}); check the path") from None
    suffix = file.suffix.lower()
    if suffix in (".json", ".yaml", ".yml"):
        values, _lines = read_foreign(data, suffix, str(file))
        text = data.decode().removeprefix("\ufeff")
        make = ForeignPlaces.of_json if suffix == ".json" else ForeignPlaces.of_yaml
        return _SweepFile(file, values, make(text)).read_plan()
    try:
        values, places = sdn.loads_with_places(data)
    except SdnError as error:
        raise SdnError(
            error.problem, line=error.line, column=error.column, source=error.source, file=str(file)
        ) from None
    return _SweepFile(file, values, places).read_plan()


class _SweepFile:
    """The document of a sweep file, and the line and column of each value in it."""

    def __init__(self, file: Path, values: dict[str, sdn.Value], places: sdn.Places | ForeignPlaces) -> None:
        self.file = file
        self.values = values
        self.places = places
        self.homes: dict[str, Keys] = dict(HOMES)  # by the key of an error

    def read_plan(self) -> SweepPlan:
        self.refuse_unknown(self.values, TOP)
        objective = self.read_map("objective", ("metric", "direction", "reduce"))
        for needed in ("metric", "direction"):
            if needed not in objective:
                form = "objective: {metric: NAME, direction: minimize or maximize}"
                raise self.make_error(f"{needed} is missing; write {form}", ("objective",))
        budget = self.read_map("budget", ("max_trials", "time_limit"))
        facts: dict[str, Any] = {"name": self.file.stem} | objective
        facts |= {key: self.values[key] for key in ("name", "jobs", "retries") if key in self.values}
        facts |= {"max_trials": budget.get("max_trials"), "time_limit_s": budget.get("time_limit")}
        facts["sampler"] = self.read_sampler()
        facts["pruner"] = self.read_pruner()
        facts["space"] = self.read_space()
        facts["base"] = self.read_base()
        return self.locate_errors((), lambda: SweepPlan(**facts))

    def make_error(self, problem: str, keys: Sequence[str | int], *, at_key: bool = False) -> SweepFileError:
        place = self.places.of_key(*keys) if at_key else self.places.of_value(*keys)
        key = path_of(part for part in keys if isinstance(part, str))
        return SweepFileError(problem, **place._asdict(), file=str(self.file), key=key)

    def locate_errors(self, keys: Sequence[str | int], make: Callable[[], _T]) -> _T:
        """Return what `make` makes; turn its error into one that shows the place, below these keys."""
        try:
            return make()
        except SweepPlanError as error:
            where = (*keys, error.key) if keys else self.homes.get(error.key, error.key.split(".")[:1])
            raise self.make_error(str(error), where) from None

    def refuse_unknown(self, values: Mapping[str, object], known: Sequence[str], *above: str | int) -> None:
        for key in values:
            if key not in known:
                problem = f"there is no {short_repr(key)} here; {_suggest_key(key, known, above)}"
                raise self.make_error(problem, (*above, key), at_key=True)

    def read_map(self, key: str, known: Sequence[str]) -> dict[str, sdn.Value]:
        """Read a section of the file; it is empty if the file has none."""
        found = self.values.get(key)
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise self.make_error(f"{key} must be a map of {', '.join(known)}, not {short_repr(found)}", (key,))
        self.refuse_unknown(found, known, key)
        return found

    def read_sampler(self) -> Sampler:
        found = self.values.get("sampler")
        if found is None:
            return Sampler.tpe()
        name, options = self.split_algorithm("sampler", found)
        seed: Any = options.pop("seed", None)
        return Sampler(name, seed, options)

    def read_pruner(self) -> Pruner | None:
        found = self.values.get("pruner")
        return None if found is None else Pruner(*self.split_algorithm("pruner", found))

    def split_algorithm(self, key: str, value: sdn.Value) -> tuple[Any, dict[str, sdn.Value]]:
        """Return the name of an algorithm and its options; a bare name has no options."""
        if not isinstance(value, dict):
            return value, {}
        if "name" not in value:
            raise self.make_error(f"name is missing; give the name of the {key}", (key,))
        options = dict(value)
        for option in options:
            self.homes[f"{key}.{option}"] = (key, option)
        return options.pop("name"), options

    def read_base(self) -> ExpConfig | None:
        found = self.values.get("base")
        if found is None:
            return None
        if isinstance(found, dict):
            return self.read_inline_base(found)
        if not isinstance(found, str):
            raise self.make_error(
                f"base must be a map or the path of a config, not {short_repr(found)}", ("base",)
            )
        file = self.file.parent / found
        if not os.path.exists(file):
            raise self.make_error(f"there is no config {found} beside {self.file.name}", ("base",))
        return load_exp_config(file)

    def read_inline_base(self, values: dict[str, sdn.Value]) -> ExpConfig:
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
            raise self.make_error(str(error), ("base", *keys)) from None

    # The space

    def read_space(self) -> dict[str, Dimension]:
        """Read the dimensions by key, and note in `homes` where each stands."""
        found = self.values.get("space")
        entries: list[tuple[str, Keys, sdn.Value]] = []
        if isinstance(found, dict):
            entries += [(key, ("space", key), value) for key, value in found.items()]
        elif isinstance(found, list):
            entries += [self.read_row(place, row) for place, row in enumerate(found)]
        elif found is not None:
            raise self.make_error(
                f"space must be a map or a table of parameters, not {short_repr(found)}", ("space",)
            )
        choices = self.values.get("choices")
        if choices is not None and not isinstance(choices, dict):
            raise self.make_error(
                f"choices must be a map of parameters to lists, not {short_repr(choices)}", ("choices",)
            )
        for key, value in (choices or {}).items():
            if not isinstance(value, list):
                raise self.make_error(
                    f"the choices of {key} must be a list, not {short_repr(value)}", ("choices", key)
                )
            entries.append((key, ("choices", key), value))
        space: dict[str, Dimension] = {}
        for key, home, value in entries:
            if key in space:
                raise self.make_error(f"the parameter {key} appears twice; remove one", home, at_key=True)
            space[key] = self.read_dimension(key, home, value)
            self.homes[place_of(key)] = home
        return space

    def read_row(self, place: int, row: sdn.Value) -> tuple[str, Keys, sdn.Value]:
        """Read a row of a table: the key, its place and the range; empty cells are left out."""
        home = ("space", place)
        if not isinstance(row, dict) or "param" not in row:
            form = "space |param, low, high|"
            raise self.make_error(f"the table has no column param; begin it with a line like {form}", home)
        self.refuse_unknown(row, FIELDS, *home)
        cells = {name: cell for name, cell in row.items() if cell != ""}
        key = cells.pop("param", "")
        if not isinstance(key, str) or not key:
            raise self.make_error(
                f"param must be the key of a value in the config, not {short_repr(key)}", (*home, "param")
            )
        return key, home, cells

    def read_dimension(self, key: str, home: Keys, value: sdn.Value) -> Dimension:
        if isinstance(value, list):
            value = {"choices": value}
        if not isinstance(value, dict):
            problem = (
                f"{key} is a range, {{low: …, high: …}}, or a list of choices; a fixed value belongs in base"
            )
            raise self.make_error(problem, home)
        self.refuse_unknown(value, FIELDS[1:], *home)
        facts: dict[str, Any] = {name: one for name, one in value.items() if one is not None}
        if "choices" in facts:
            facts = {"kind": "choice"} | facts
            if not isinstance(facts["choices"], list):
                raise self.make_error(f"the choices of {key} must be a list", (*home, "choices"))
            facts["choices"] = tuple(facts["choices"])
        elif "kind" not in facts:
            bounds = [facts.get(name) for name in ("low", "high", "step")]
            facts["kind"] = "float" if any(isinstance(bound, float) for bound in bounds) else "int"
        return self.locate_errors(home, lambda: Dimension(**facts))


def _suggest_key(key: str, known: Sequence[str], above: Sequence[str | int]) -> str:
    """Say which key of this section is meant, or in which other section the key stands."""
    elsewhere = [name for name, section in SECTIONS.items() if above[:1] != (section,)]
    here = find_meant(key, known)
    there = key if key in elsewhere else None if here else find_meant(key, elsewhere)
    if there is not None:
        return f"{there} belongs in {SECTIONS[there]}: {{{there}: …}}"
    return f"there are {', '.join(known)}" if here is None else f"did you mean {here}?"
