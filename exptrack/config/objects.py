"""Settings as other libraries hold them, turned into plain maps.

Invariants: nothing is imported that the caller has not imported already. Only what has one obvious text is
converted (paths, enums, dates); everything else is left for the config to accept or refuse. A field that
still has its default is told apart from one that was set.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, TypeAlias

from exptrack.errors import ConfigError
from exptrack.records import ConfigSource
from exptrack.validation import shown

Keys: TypeAlias = tuple[str, ...]


def read_settings(
    thing: object,
) -> tuple[Mapping[str, Any], dict[Keys, ConfigSource], Mapping[str, Any] | None]:
    """The values in `thing`, what set each key, and the values as the program sees them if those differ.

    Raises:
        ConfigError: it holds no settings.
    """
    sources: dict[Keys, ConfigSource] = {}
    if _is_omegaconf(thing):
        stored, resolved = _from_omegaconf(thing)
        return stored, {(key,): ConfigSource("code", type(thing).__name__) for key in stored}, resolved
    if isinstance(thing, Mapping):
        return thing, {}, None
    fields = _fields(thing)
    if fields is None:
        raise ConfigError(
            "a config is a map, a pydantic model, a dataclass, a Namespace or an OmegaConf config, not"
            f" {type(thing).__name__} {shown(thing)}"
        )
    return _plain_fields(fields, type(thing).__name__, (), sources), sources, None


# A field: its value, and whether that is the default it was declared with.
_Fields: TypeAlias = dict[str, tuple[Any, bool]]


def _fields(thing: object) -> _Fields | None:
    """The fields of an object that is made of them, or None."""
    if isinstance(thing, type):
        return None
    if dataclasses.is_dataclass(thing):
        return {f.name: (getattr(thing, f.name), _is_default(f, thing)) for f in dataclasses.fields(thing)}
    given = getattr(thing, "model_fields_set", None)
    if isinstance(given, set) and hasattr(type(thing), "model_fields"):
        return _fields_of_model(thing, given)
    if type(thing).__name__ in ("Namespace", "SimpleNamespace"):
        return {name: (value, False) for name, value in vars(thing).items()}
    return None


def _fields_of_model(thing: Any, given: set[str]) -> _Fields:
    fields: _Fields = {}
    # Secrets and the like have a text of pydantic's own; models inside are walked, to know their defaults.
    dumped = thing.model_dump(mode="json", warnings=False)
    # What a model computes from its fields is no setting, and is not taken back.
    for name in (name for name in dumped if name not in type(thing).model_computed_fields):
        value = getattr(thing, name, None)
        is_default = name not in given and name in type(thing).model_fields
        fields[name] = (value if _holds_models(value) else dumped[name], is_default)
    return fields


def _holds_models(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_fields(item) is not None or _holds_models(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_fields(item) is not None or _holds_models(item) for item in value)
    return _fields(value) is not None


def _is_default(field: dataclasses.Field[Any], thing: object) -> bool:
    value = getattr(thing, field.name)
    default = field.default
    if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    # Compared by their text: 1, 1.0 and True are equal, and an array has no truth.
    return default is not dataclasses.MISSING and type(default) is type(value) and repr(default) == repr(value)


def _plain_fields(fields: _Fields, name: str, above: Keys, sources: dict[Keys, ConfigSource]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, (value, is_default) in fields.items():
        sources[*above, key] = ConfigSource("default" if is_default else "code", name)
        values[key] = _plain(value, (*above, key), sources)
    return values


def _plain(value: object, keys: Keys, sources: dict[Keys, ConfigSource]) -> Any:
    if isinstance(value, enum.Enum):
        return _plain(value.value, keys, sources)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        # A key that is not text is refused by the config, with its place.
        return {k: _plain(v, (*keys, k) if isinstance(k, str) else keys, sources) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, keys, {}) for item in value]
    fields = _fields(value)
    return value if fields is None else _plain_fields(fields, type(value).__name__, keys, sources)


# OmegaConf


def _is_omegaconf(thing: object) -> bool:
    return type(thing).__module__.startswith("omegaconf.")


def _from_omegaconf(thing: Any) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The values to store, in which the environment stays unresolved, and those the program sees."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        raw = OmegaConf.to_container(thing, resolve=False)
        resolved = OmegaConf.to_container(thing, resolve=True, throw_on_missing=True)
        if not isinstance(raw, dict) or not isinstance(resolved, dict):
            raise ConfigError(f"a config is a map, not {type(thing).__name__}")
        found: list[bool] = []
        escaped = OmegaConf.create(_escaped(raw, found))
        stored = OmegaConf.to_container(escaped, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"OmegaConf: {error}") from None
    assert isinstance(stored, dict)
    plain: dict[str, Any] = _plain(stored, (), {})
    return plain, _plain(resolved, (), {}) if found else None


def _escaped(value: Any, found: list[bool]) -> Any:
    """The tree with references to the environment escaped, so that OmegaConf takes them as text."""
    if isinstance(value, dict):
        return {key: _escaped(item, found) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item, found) for item in value]
    if isinstance(value, str) and "oc.env:" in value:
        found.append(True)
        return value.replace("${", "\\${")
    return value
