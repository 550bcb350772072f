"""Configs: immutable trees of typed values with a canonical form.

Invariants: an ExpConfig never changes after it was made, and nothing it hands out leads back into it.
An int is never a float and a bool is never an int, on the way in, in the hash and on the way out. What
cannot be written exactly (NaN, the infinities, integers beyond 64 bits, lone surrogates, other types) is
refused when the config is made.

A config that was interpolated has three trees: as it was written; as it is stored, with every ``${config:…}``
resolved and ``${env:…}`` left; and as the program sees it, with everything resolved. Only the second is hashed,
written, shown and sent anywhere, so it is the same on every machine and holds no secret of the environment.
Interpolated is what came from files and overrides; what code hands in is taken as it is.

The canonical form, version 1: JSON with keys sorted by code point, no blanks, text unescaped in
UTF-8 where JSON allows it, integers in decimal and floats as the shortest text that reads back (so ``1``
and ``1.0`` differ). ``hash()`` is its SHA-256.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from exptrack.config.tree import (
    MAX_VALUES,
    Leaf,
    check_value,
    check_values,
    copied,
    copied_tree,
    encode_canonical,
    iter_differing_texts,
    list_leaves,
    merged_into,
)
from exptrack.config.tree import ConfigValue as ConfigValue
from exptrack.config.tree import sha256_text as sha256_text
from exptrack.config.tree import type_name as type_name
from exptrack.errors import ConfigError, InvalidTypeError, InvalidValueError
from exptrack.keypath import path_of, split_path
from exptrack.records import ConfigSource
from exptrack.validation import check_text, shown

CANONICAL_VERSION = 1
SEED_NAMES = frozenset({"seed", "random_seed", "random_state"})

SHORTEST_SECRET = 6

# Of an override that set a key this much is kept as its name.
SHOWN_OVERRIDE = 200
IN_CODE = ConfigSource("code", "dict")
SOURCE_KINDS = ("file", "override", "default", "code", "trial")
_INTERPOLATED = frozenset({"file", "override"})

_M = TypeVar("_M")


class ExpConfig:
    """An immutable config.

    `values` is a mapping of text keys to text, int (64 bits), float, bool, None, lists and maps;
    `source_files` and `overrides` say where it came from, `sources` by dotted path what set each key (a key
    that it does not name came from code).

    >>> config = ExpConfig({"optim": {"name": "adam", "lr": 0.001}, "epochs": 20})
    >>> config.get("optim.lr"), config.get_int("epochs"), config.get("optim.beta")
    (0.001, 20, None)
    >>> config.with_override("optim.lr", "3e-4").get_float("optim.lr")
    0.0003

    Raises:
        ConfigError: a value, key or nesting that cannot be stored exactly; names its path.
    """

    __slots__ = (
        "_hash",
        "_inserted",
        "_interpolated",
        "_live",
        "_overrides",
        "_shown",
        "_source_files",
        "_sources",
        "_values",
        "_written",
    )

    _written: dict[str, ConfigValue]
    _shown: dict[str, ConfigValue] | None  # resolved by another library; the text of references is in _written
    _values: dict[str, ConfigValue]
    _live: dict[str, ConfigValue] | None  # None: not resolved yet
    _inserted: dict[str, str]
    _interpolated: bool
    _source_files: tuple[str, ...]
    _overrides: tuple[str, ...]
    _sources: dict[str, ConfigSource]
    _hash: str | None

    def __init__(
        self,
        values: Mapping[str, Any],
        source_files: Iterable[str] = (),
        overrides: Iterable[str] = (),
        sources: Mapping[str, ConfigSource] | None = None,
    ) -> None:
        checked = check_values(values)
        self._set(
            _written=checked,
            _shown=None,
            _values=checked,
            _live=checked,
            _inserted={},
            _interpolated=False,
            _source_files=_texts(source_files, "source file"),
            _overrides=_texts(overrides, "override"),
            _sources=_checked_sources(sources or {}),
            _hash=None,
        )

    def _set(self, **slots: Any) -> None:
        for name, value in slots.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a config never changes; with_override() makes a new one ({name})")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a config never changes; with_override() makes a new one ({name})")

    def __reduce__(self) -> tuple[Any, ...]:
        # What the environment filled in stays behind: whoever reads the pickle fills it in again. (What another
        # library resolved cannot be, and travels along.)
        state = (self._written, self._source_files, self._overrides, self._sources, self._shown)
        return (_rebuilt, (*state, self._interpolated))

    @classmethod
    def empty(cls) -> ExpConfig:
        """A config without a key."""
        return cls({})

    @classmethod
    def from_object(cls, thing: object) -> ExpConfig:
        """A config from whatever holds settings.

        Takes a mapping, a pydantic model, a dataclass, an ``argparse.Namespace``, an OmegaConf config or an
        ExpConfig. Paths, enums and dates become text. Fields that have their default value are recorded as
        such. What OmegaConf takes from the environment is stored as it is written.

        >>> from argparse import Namespace
        >>> ExpConfig.from_object(Namespace(lr=0.1, layers=[64, 64])).get("layers")
        [64, 64]

        Raises:
            ConfigError: it holds no settings, or something no config can hold.
        """
        if isinstance(thing, ExpConfig):
            return thing
        if type(thing) is dict:
            return cls(thing)
        from exptrack.config.objects import read_settings

        values, sources, resolved = read_settings(thing)
        named = {path_of(keys): source for keys, source in sources.items()}
        return _rebuilt(values, (), (), named, resolved, False)

    def as_model(self, model: type[_M]) -> _M:
        """The config as an instance of a pydantic model or a dataclass, validated by pydantic.

        A field is found by its name and by its alias.

        Raises:
            ConfigError: it does not fit; the message is pydantic's.
            InvalidTypeError: `model` is nothing that pydantic can validate.
        """
        from pydantic import TypeAdapter, ValidationError
        from pydantic.errors import PydanticUserError

        # As JSON, of which a strict model takes paths, dates and tuples in their written form.
        values = json.dumps(self._tree())
        try:
            return TypeAdapter(model).validate_json(values, by_alias=True, by_name=True)
        except PydanticUserError:
            raise InvalidTypeError(f"a model is a pydantic model or a dataclass, not {shown(model)}") from None
        except ValidationError as error:
            message = str(error)
            if self._inserted:
                # Without the values: pydantic cuts long ones, and half a secret is not recognised.
                lines = (
                    f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)
                )
                message = self.mask(f"{error.title}: {'; '.join(lines)}")
        raise ConfigError(message)

    def interpolate(self, *, lazily: bool = False) -> ExpConfig:
        """The same config with its references resolved: ``${config:a.b}`` and ``${env:NAME}``.

        A value that is nothing but one ``${config:…}`` keeps the type of what it refers to; a variable of the
        environment is text. ``${env:NAME,text}`` takes the text where there is no such variable. What is
        hashed and stored keeps ``${env:…}`` as it is. `lazily` looks at the environment only when a value is
        first asked for.

        Raises:
            ConfigError: a reference leads nowhere or in a circle; names the chain of keys.
        """
        # Most configs have nothing to resolve, and need not import what would do it.
        if not self._sources or "${" not in encode_canonical(self._written):
            return self
        config = _rebuilt(self._written, self._source_files, self._overrides, self._sources, self._shown, True)
        if not lazily:
            config._tree()
        return config

    def _tree(self) -> dict[str, ConfigValue]:
        """The values as the program sees them."""
        if self._live is None:
            from exptrack.config.interpolation import Interpolator

            written = self._written if self._shown is None else self._shown
            interpolator = Interpolator(written, self._applies, os.environ)
            live = check_values(interpolator.resolve())
            self._set(_live=live, _inserted=self._inserted | interpolator.inserted)
        assert self._live is not None
        return self._live

    def _applies(self, path: str) -> bool:
        return self.source_of(path).kind in _INTERPOLATED

    def mask(self, text: str) -> str:
        """`text` with what the environment filled in replaced by its reference: for messages that are kept."""
        for value in sorted(self._inserted, key=len, reverse=True):
            # Shorter ones are no secrets, and hiding them would garble every message.
            if len(value) >= SHORTEST_SECRET:
                for form in (value, repr(value)[1:-1], json.dumps(value)[1:-1]):
                    text = text.replace(form, self._inserted[value])
        return text

    @property
    def values(self) -> dict[str, ConfigValue]:
        """The whole tree, as a copy."""
        return {key: copied(value) for key, value in self._tree().items()}

    @property
    def stored_values(self) -> dict[str, ConfigValue]:
        """The whole tree as it is stored, what the environment fills in left as ``${env:…}``; a copy."""
        return {key: copied(value) for key, value in self._values.items()}

    @property
    def sources(self) -> dict[str, ConfigSource]:
        """What set each value, by the dotted path of the value as it is stored."""
        return {leaf.key: self.source_of(leaf.key) for leaf in self.leaves()}

    def source_of(self, path: str) -> ConfigSource:
        """What set the value at a dotted path (or the map it is in, where that came as one)."""
        found = self._sources.get(path)
        if found is None and self._sources:
            keys = split_path(path)
            while found is None and len(keys) > 1:
                found = self._sources.get(path_of(keys := keys[:-1]))
        return IN_CODE if found is None else found

    @property
    def source_files(self) -> tuple[str, ...]:
        """The files it was composed from, in order."""
        return self._source_files

    @property
    def overrides(self) -> tuple[str, ...]:
        """The overrides applied, in order, as ``path=text``."""
        return self._overrides

    def __repr__(self) -> str:
        return f"ExpConfig({self._values!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExpConfig) and self.hash() == other.hash()

    def __hash__(self) -> int:
        return hash(self.hash())

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree())

    def __len__(self) -> int:
        return len(self._tree())

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._find(path)[0]

    def __getitem__(self, path: str) -> ConfigValue:
        found, value = self._find(path)
        if not found:
            raise KeyError(path)
        return copied(value)

    def _find(self, path: str) -> tuple[bool, ConfigValue]:
        value: ConfigValue = self._tree()
        for part in split_path(path):
            if not isinstance(value, dict) or part not in value:
                return False, None
            value = value[part]
        return True, value

    def get(self, path: str) -> ConfigValue:
        """The value at a dotted path, or None when there is none."""
        return copied(self._find(path)[1])

    def get_text(self, path: str) -> str | None:
        """A scalar as text (``true``, ``3``, ``0.1``); None when absent, null, a list or a map."""
        value = self._find(path)[1]
        if value is None or isinstance(value, (list, dict)):
            return None
        return value if isinstance(value, str) else encode_canonical(value)

    def get_int(self, path: str) -> int | None:
        """An int; None when absent or of another type."""
        value = self._find(path)[1]
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def get_float(self, path: str) -> float | None:
        """A float or int as a float; None when absent or of another type."""
        value = self._find(path)[1]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return float(value)

    def get_bool(self, path: str) -> bool | None:
        """A bool; None when absent or of another type."""
        value = self._find(path)[1]
        return value if isinstance(value, bool) else None

    def with_override(self, path: str, value: Any) -> ExpConfig:
        """A new config with the value at `path` replaced, its parents made where missing.

        Text is typed as SDN types it (``3`` an int, ``3.0`` a float, ``true`` a bool, ``null``, ``[1, 2]`` a
        list, ``{a: 1}`` a map, ``"3"`` in quotes text); every other value is taken as it is.

        Raises:
            ConfigError: the path leads through something that is not a map, or the value cannot be kept.
        """
        parts = split_path(path)
        text = value if isinstance(value, str) else encode_canonical(check_value(value, path, 1, [MAX_VALUES]))
        if isinstance(value, str):
            from exptrack import sdn

            try:
                value = sdn.parse_value(check_text(value, f"override of {path!r}"))
            except InvalidValueError as error:
                raise ConfigError(f"override of {path!r}: {error}", key=path) from None
        override = f"{path}={text}"
        name = override if len(override) <= SHOWN_OVERRIDE else f"{override[:SHOWN_OVERRIDE]}…"
        sources = _without(self._sources, path) | {path_of(parts): ConfigSource("override", name)}
        shown_tree = None if self._shown is None else _with(self._shown, parts, value)
        written = _with(self._written, parts, value)
        overrides = (*self._overrides, override)
        interpolated = self._interpolated
        return _rebuilt(written, self._source_files, overrides, sources, shown_tree, interpolated, eagerly=True)

    def to_sdn(self) -> str:
        """The config as SDN text, in its own key order; ``${env:…}`` stays as it is."""
        from exptrack import sdn

        return sdn.dumps(self._values)

    def canonical(self) -> str:
        """The canonical form (see the top of this module)."""
        return encode_canonical(self._values)

    def hash(self) -> str:
        """SHA-256 of the canonical form, in hex; independent of the order of keys."""
        if self._hash is None:
            object.__setattr__(self, "_hash", sha256_text(self.canonical()))
        assert self._hash is not None
        return self._hash

    def family(self) -> str:
        """Sixteen hex digits that are equal for configs that differ only in their seeds.

        A seed is a key whose last part is ``seed``, ``random_seed`` or ``random_state``.
        """
        return sha256_text(encode_canonical(_without_seeds(self._values)))[:16]

    def leaves(self) -> list[Leaf]:
        """Every value that is not a non-empty map, with its dotted path."""
        return list_leaves("", self._values) if self._values else []


def _texts(items: Iterable[str], what: str) -> tuple[str, ...]:
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise ConfigError(f"{what}s are a list of texts, not {shown(items)}")
    return tuple(check_text(item, what) for item in items)


def _without_seeds(value: ConfigValue) -> ConfigValue:
    if isinstance(value, dict):
        return {key: _without_seeds(item) for key, item in value.items() if key not in SEED_NAMES}
    return value


def _rebuilt(
    written: Mapping[str, Any],
    source_files: Iterable[str],
    overrides: Iterable[str],
    sources: Mapping[str, ConfigSource],
    shown_tree: Mapping[str, Any] | None,
    interpolated: bool,
    *,
    eagerly: bool = False,
) -> ExpConfig:
    """A config from its parts; references are resolved when a value is first asked for, or `eagerly`."""
    config = ExpConfig(written, source_files, overrides, sources)
    if shown_tree is not None:
        live = check_values(shown_tree)
        inserted = dict(iter_differing_texts(config._written, live))
        config._set(_shown=live, _live=live, _inserted=inserted)
    if interpolated:
        from exptrack.config.interpolation import Interpolator

        stored = Interpolator(config._written, config._applies, None).resolve()
        config._set(_interpolated=True, _live=None, _values=check_values(stored))
        if eagerly:
            config._tree()
    return config


def _checked_sources(sources: Mapping[str, ConfigSource]) -> dict[str, ConfigSource]:
    for path, source in sources.items():
        if not isinstance(source, ConfigSource) or source.kind not in SOURCE_KINDS:
            raise ConfigError(f"the source of {path!r} is a ConfigSource of one of {', '.join(SOURCE_KINDS)}")
        check_text(source.name, f"the name of the source of {path!r}")
    return dict(sources)


def _with(tree: dict[str, ConfigValue], parts: Sequence[str], value: Any) -> dict[str, ConfigValue]:
    """A copy of the tree in which `value` stands under the keys `parts`."""
    new = {key: copied(item) for key, item in tree.items()}
    place = new
    for depth, part in enumerate(parts[:-1]):
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            path, way = path_of(parts), path_of(parts[: depth + 1])
            raise ConfigError(f"cannot set {path!r}: {way!r} is {type_name(inner)}, not a map", key=path)
        place = inner
    place[parts[-1]] = value
    return new


def _without(sources: Mapping[str, ConfigSource], path: str) -> dict[str, ConfigSource]:
    """The sources of all that is not at or below `path`."""
    return {k: v for k, v in sources.items() if k != path and not k.startswith(f"{path}.")}


def make_config(config: object) -> ExpConfig:
    """`config` as an ExpConfig: what holds settings is converted, None is empty."""
    return ExpConfig({}) if config is None else ExpConfig.from_object(config)


def replace_origin(
    config: ExpConfig,
    source_files: Iterable[str],
    overrides: Iterable[str],
    sources: Mapping[str, ConfigSource],
) -> ExpConfig:
    """The same values, stored and seen as before, said to come from elsewhere."""
    stored, live = config._values, config._tree()
    return _rebuilt(stored, source_files, overrides, sources, None if live == stored else live, False)


def merge_configs(base: ExpConfig | Mapping[str, Any], overlay: ExpConfig | Mapping[str, Any]) -> ExpConfig:
    """A new config: `overlay` laid over `base`. Maps merge; everything else replaces.

    The empty config changes nothing on either side. Merging three configs does not depend on which two are
    merged first, unless one puts something else where its neighbours have maps: ``{a: {x: 1}}``, ``{a: 5}`` and
    ``{a: {y: 2}}`` give ``{a: {y: 2}}`` from the left and ``{a: {x: 1, y: 2}}`` from the right.

    >>> merge_configs({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}).values
    {'a': {'x': 1, 'y': 3}}
    """
    below, above = make_config(base), make_config(overlay)
    written = merged_into(copied_tree(below._written), copied_tree(above._written))
    shown_tree = None
    if below._shown is not None or above._shown is not None:
        shown_tree = merged_into(
            copied_tree(below._written if below._shown is None else below._shown),
            copied_tree(above._written if above._shown is None else above._shown),
        )
    origin = {leaf.key: below.source_of(leaf.key) for leaf in list_leaves("", below._written)} if below else {}
    origin |= {leaf.key: above.source_of(leaf.key) for leaf in list_leaves("", above._written)} if above else {}
    sources: dict[str, ConfigSource] = {}
    if below._sources or above._sources:
        sources = {leaf.key: origin[leaf.key] for leaf in (list_leaves("", written) if written else ())}
    return _rebuilt(
        written,
        (*below.source_files, *above.source_files),
        (*below.overrides, *above.overrides),
        sources,
        shown_tree,
        below._interpolated or above._interpolated,
        eagerly=True,
    )


def encode_config(config: ExpConfig) -> dict[str, Any]:
    """A config for JSON, with what set each key; references to the environment stay as they are."""
    sources = {path: [one.kind, one.name, one.line] for path, one in config.sources.items() if one != IN_CODE}
    return {"values": config.stored_values, "files": list(config.source_files), "sources": sources}


def decode_config(facts: Mapping[str, Any]) -> ExpConfig:
    """The inverse of :func:`encode_config`; the environment is looked at when a value is first asked for."""
    sources = {path: ConfigSource(*source) for path, source in facts["sources"].items()}
    return ExpConfig(facts["values"], facts["files"], sources=sources).interpolate(lazily=True)


def parse_stored_config(
    snapshot: str,
    source_files: Sequence[str],
    overrides: Sequence[str],
    sources: Mapping[str, ConfigSource] | None = None,
) -> ExpConfig:
    """The config whose canonical form is `snapshot`."""
    return ExpConfig(json.loads(snapshot), source_files, overrides, sources)
