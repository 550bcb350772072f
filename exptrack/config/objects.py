"""Read settings from objects of other libraries: pydantic, dataclasses, argparse and OmegaConf.

Invariants: only packages that the caller has already imported are imported. The values come back as they are;
`tree` gives them their form. A field that has its default value is told apart from one that was set.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from exptrack.errors import ConfigError

if TYPE_CHECKING:
    import dataclasses

# Each field by name: its value, and whether that is its declared default.
Fields: TypeAlias = dict[str, tuple[Any, bool]]


def read_fields(thing: object) -> Fields | None:
    """Read the fields of a dataclass, model or namespace; None for any other object."""
    if isinstance(thing, type):
        return None
    dataclasses = sys.modules.get("dataclasses")
    if dataclasses is not None and dataclasses.is_dataclass(thing):
        return {f.name: (getattr(thing, f.name), _is_default(f, thing)) for f in dataclasses.fields(thing)}
    given = getattr(thing, "model_fields_set", None)
    if isinstance(given, set) and hasattr(type(thing), "model_fields"):
        return _read_model_fields(thing, given)
    if type(thing).__name__ in ("Namespace", "SimpleNamespace"):
        return {name: (value, False) for name, value in vars(thing).items()}
    return None


def _read_model_fields(thing: Any, given: set[str]) -> Fields:
    fields: Fields = {}
    # model_dump() has pydantic's own text for secrets and the like. Models inside are read field by field, to
    # learn which fields have their defaults. It writes sets in any order, and NaN as null in some versions.
    dumped = thing.model_dump(mode="json", warnings=False)
    # A computed field is no setting, and the model would refuse it when it is made again.
    for name in (name for name in dumped if name not in type(thing).model_computed_fields):
        value = getattr(thing, name, None)
        is_default = name not in given and name in type(thing).model_fields
        fields[name] = (value if _is_read_whole(value) else dumped[name], is_default)
    return fields


def _is_read_whole(value: object) -> bool:
    """Whether a value, or one within it, is a model, a set or no finite float: not taken as it is dumped."""
    if isinstance(value, Mapping):
        return any(map(_is_read_whole, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_is_read_whole, value))
    if isinstance(value, (set, frozenset, float)):
        return not isinstance(value, float) or not math.isfinite(value)
    return read_fields(value) is not None


def _is_default(field: dataclasses.Field[Any], thing: object) -> bool:
    from dataclasses import MISSING

    value = getattr(thing, field.name)
    default = field.default
    if default is MISSING and field.default_factory is not MISSING:
        default = field.default_factory()
    # Compared by their text, because 1, 1.0 and True are equal, and comparing arrays gives no bool.
    return default is not MISSING and type(default) is type(value) and repr(default) == repr(value)


# OmegaConf


def is_omegaconf(thing: object) -> bool:
    return type(thing).__module__.startswith("omegaconf.")


def read_omegaconf(thing: Any) -> tuple[Any, Any]:
    """Read a config or list of OmegaConf: the values to store, and those that the program sees if they differ.

    The stored ones have references to the environment unresolved. Without a difference the second is None.

    Raises:
        ConfigError: OmegaConf cannot resolve it, or a value is missing.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        resolved = OmegaConf.to_container(thing, resolve=True, throw_on_missing=True)
        # References may lead out of a part of a config, so the whole is read.
        way: str = thing._get_full_key(None)
        found: list[bool] = []
        whole = OmegaConf.to_container(thing._get_root(), resolve=False)
        escaped = OmegaConf.create(_escape_environment(whole, found))
        part = OmegaConf.select(escaped, way) if way else escaped
        stored = OmegaConf.to_container(part, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"OmegaConf cannot resolve the config: {error}") from None
    return stored, resolved if found else None


def _escape_environment(value: Any, found: list[bool]) -> Any:
    """Escape references to the environment, so that OmegaConf takes them as text; report them in `found`."""
    if isinstance(value, dict):
        return {key: _escape_environment(item, found) for key, item in value.items()}
    if isinstance(value, list):
        return [_escape_environment(item, found) for item in value]
    if isinstance(value, str) and "oc.env:" in value:
        found.append(True)
        return value.replace("${", "\\${")
    return value
