"""Read settings from objects of other libraries: pydantic, dataclasses, argparse and OmegaConf.

Invariants: only packages that the caller has already imported are imported. Only types with one obvious text
(paths, enums, dates) are converted; the config accepts or refuses all others. A field that has its default
value is told apart from one that was set.
"""

from __future__ import annotations

import datetime
import enum
import sys
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

from exptrack.errors import ConfigError
from exptrack.plain import short_repr
from exptrack.records import ConfigSource

if TYPE_CHECKING:
    import dataclasses

Keys: TypeAlias = tuple[str, ...]
# Each field by name: its value, and whether that is its declared default.
_Fields: TypeAlias = dict[str, tuple[Any, bool]]


def read_settings(
    thing: object,
) -> tuple[Mapping[str, Any], dict[Keys, ConfigSource], Mapping[str, Any] | None]:
    """Return the values in `thing`, the source of each key, and the values the program sees if these differ.

    Raises:
        ConfigError: `thing` holds no settings.
    """
    sources: dict[Keys, ConfigSource] = {}
    if is_omegaconf(thing):
        stored, resolved = _read_omegaconf(thing)
        return stored, {(key,): ConfigSource("code", type(thing).__name__) for key in stored}, resolved
    if isinstance(thing, Mapping):
        return thing, {}, None
    fields = read_fields(thing)
    if fields is None:
        raise ConfigError(
            f"a config cannot be {type(thing).__name__} {short_repr(thing)}; give a map, a pydantic model,"
            " a dataclass, a Namespace or an OmegaConf config"
        )
    return _convert_fields(fields, type(thing).__name__, (), sources), sources, None


def read_fields(thing: object) -> _Fields | None:
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


def _read_model_fields(thing: Any, given: set[str]) -> _Fields:
    fields: _Fields = {}
    # model_dump() has pydantic's own text for secrets and the like. Models inside are read field by field, to
    # learn which fields have their defaults.
    dumped = thing.model_dump(mode="json", warnings=False)
    # A computed field is no setting, and the model would refuse it when it is made again.
    for name in (name for name in dumped if name not in type(thing).model_computed_fields):
        value = getattr(thing, name, None)
        is_default = name not in given and name in type(thing).model_fields
        fields[name] = (value if _holds_models(value) else dumped[name], is_default)
    return fields


def _holds_models(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(read_fields(item) is not None or _holds_models(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(read_fields(item) is not None or _holds_models(item) for item in value)
    return read_fields(value) is not None


def _is_default(field: dataclasses.Field[Any], thing: object) -> bool:
    from dataclasses import MISSING

    value = getattr(thing, field.name)
    default = field.default
    if default is MISSING and field.default_factory is not MISSING:
        default = field.default_factory()
    # Compared by their text, because 1, 1.0 and True are equal, and comparing arrays gives no bool.
    return default is not MISSING and type(default) is type(value) and repr(default) == repr(value)


def _convert_fields(
    fields: _Fields, name: str, above: Keys, sources: dict[Keys, ConfigSource]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, (value, is_default) in fields.items():
        sources[*above, key] = ConfigSource("default" if is_default else "code", name)
        values[key] = _convert(value, (*above, key), sources)
    return values


def _convert(value: object, keys: Keys, sources: dict[Keys, ConfigSource]) -> Any:
    if isinstance(value, enum.Enum):
        return _convert(value.value, keys, sources)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        # The config refuses a key that is not text, and names its path.
        return {k: _convert(v, (*keys, k) if isinstance(k, str) else keys, sources) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_convert(item, keys, {}) for item in value]
    fields = read_fields(value)
    return value if fields is None else _convert_fields(fields, type(value).__name__, keys, sources)


# OmegaConf


def is_omegaconf(thing: object) -> bool:
    return type(thing).__module__.startswith("omegaconf.")


def _read_omegaconf(thing: Any) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Read the values to store, with the environment unresolved, and the live values if they differ."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        raw = OmegaConf.to_container(thing, resolve=False)
        resolved = OmegaConf.to_container(thing, resolve=True, throw_on_missing=True)
        if not isinstance(raw, dict) or not isinstance(resolved, dict):
            raise ConfigError(f"a config cannot be {type(thing).__name__}; give a DictConfig")
        found: list[bool] = []
        escaped = OmegaConf.create(_escape_environment(raw, found))
        stored = OmegaConf.to_container(escaped, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"OmegaConf cannot resolve the config: {error}") from None
    assert isinstance(stored, dict)
    plain: dict[str, Any] = _convert(stored, (), {})
    return plain, _convert(resolved, (), {}) if found else None


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
