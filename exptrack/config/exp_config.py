"""ExpConfig: an immutable tree of typed values with a canonical form.

Invariants: an ExpConfig never changes after it was made, and it returns only copies of its values. An int is
never a float and a bool is never an int, on the way in, in the hash and on the way out. A value that cannot be
written exactly (NaN, the infinities, integers beyond 64 bits, lone surrogates, other types) is refused when the
config is made.

A config that was interpolated has three trees. The written tree is the text of files and overrides. The stored
tree has every ``${config:…}`` resolved and every ``${env:…}`` left. The live tree, which the program sees, has
everything resolved. Only the stored tree is hashed, saved, shown and encoded as JSON. It is the same on every
machine and contains no secret of the environment. Only values from files and overrides are interpolated;
values that code passes in are taken as they are.

The canonical form, version 1: JSON with keys sorted by code point, no blanks, text unescaped in
UTF-8 where JSON allows it, integers in decimal and floats as the shortest text that reads back (so ``1``
and ``1.0`` differ). ``hash()`` is its SHA-256.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence

from exptrack.capture.redaction import know_secrets_of_command
from exptrack.config.origin import check_sources, check_texts, say_inexact
from exptrack.config.reading import ConfigReading, find_value, replace_value
from exptrack.config.tree import (
    ConfigValue,
    Leaf,
    TreeCheck,
    check_settings,
    check_value,
    check_values,
    copied,
    copied_tree,
    encode_canonical,
    hide_secrets,
    iter_differing_texts,
    leaf_value,
    list_leaves,
    merge_into,
    sha256_text,
)
from exptrack.digests import sha256
from exptrack.errors import ConfigError, InvalidTypeError, InvalidValueError
from exptrack.hashed_lists import encode_list
from exptrack.keypath import path_of, split_index, split_path
from exptrack.known_secrets import (
    REDACTED,
    know_filled_in,
    know_secret,
    know_variables,
    mask_secrets,
)
from exptrack.plain import is_text, reading, short_repr
from exptrack.records import ConfigSource
from exptrack.shown import short_map
from exptrack.validation import MAX_NAME_CHARS, check_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _M = TypeVar("_M")


CANONICAL_VERSION = 1
SEED_NAMES = frozenset({"seed", "random_seed", "random_state"})
SHOWN_OVERRIDE = 200  # characters of an override that name it as a source
IN_CODE = ConfigSource("code", "dict")
_INTERPOLATED = frozenset({"file", "override"})


class ExpConfig(ConfigReading):
    """An immutable config.

    `values` maps text keys to text, int (64 bits), float, bool, None, lists and maps. `source_files` and
    `overrides` list the files and overrides it was composed from. `sources` names, by dotted path, the source
    that set each key; keys it does not name were set by code.

    >>> config = ExpConfig({"optim": {"name": "adam", "lr": 0.001}, "epochs": 20})
    >>> config.get("optim.lr"), config.get_int("epochs"), config.get("optim.beta")
    (0.001, 20, None)
    >>> config.with_override("optim.lr", "3e-4").get_float("optim.lr")
    0.0003

    Raises:
        ConfigError: a value, key or nesting cannot be stored exactly; the message names its path.
    """

    __slots__ = (
        "_hash",
        "_interpolated",
        "_live",
        "_loose_keys",
        "_overrides",
        "_shown",
        "_source_files",
        "_sources",
        "_values",
        "_written",
    )

    _written: dict[str, ConfigValue]
    _shown: dict[str, ConfigValue] | None  # resolved by another library; _written has the references
    _values: dict[str, ConfigValue]
    _live: dict[str, ConfigValue] | None  # None: not resolved yet
    _interpolated: bool
    _loose_keys: tuple[str, ...]
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
        self._fill(check_values(values), source_files, overrides, sources)

    def _fill(
        self,
        checked: dict[str, ConfigValue],
        source_files: Iterable[str] = (),
        overrides: Iterable[str] = (),
        sources: Mapping[str, ConfigSource] | None = None,
    ) -> None:
        self._set(
            _written=checked,
            _shown=None,
            _values=checked,
            _live=checked,
            _interpolated=False,
            _loose_keys=(),
            _source_files=check_texts(source_files, "source file"),
            _overrides=check_texts(overrides, "override"),
            _sources={} if sources is None else check_sources(sources),
            _hash=None,
        )

    def _set(self, **slots: Any) -> None:
        for name, value in slots.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"cannot set or delete {name}: a config never changes; make a new one with with_override()"
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(
            f"cannot set or delete {name}: a config never changes; make a new one with with_override()"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Values of the environment stay out of the pickle; the process that reads it looks them up again.
        # Values that another library resolved cannot be looked up again, and are pickled.
        state = (self._written, self._source_files, self._overrides, self._sources, self._shown)
        return (_rebuild, (*state, self._interpolated))

    @classmethod
    def empty(cls) -> ExpConfig:
        """Return a config without any key."""
        return cls({})

    @classmethod
    def from_object(cls, thing: object) -> ExpConfig:
        """Make a config from an object that holds settings.

        Takes a mapping, a pydantic model, a dataclass, an ``argparse.Namespace``, an OmegaConf config or an
        ExpConfig. What they hold becomes text, numbers, lists and maps by one rule, whatever they are:

        - settings within settings become maps, and keys that are numbers become text;
        - paths, dates and members of an enum become the one text or value that they have;
        - scalars of numpy become numbers; arrays of at most 256 values, tuples and sets become lists;
        - NaN, the infinities, larger arrays, and values like a Decimal or a UUID become text.

        :attr:`loose_keys` names the keys whose values are not stored exactly, and one warning says so. Fields
        that have their default value are recorded as defaults. References of OmegaConf to the environment are
        stored unresolved.

        >>> from argparse import Namespace
        >>> ExpConfig.from_object(Namespace(lr=0.1, layers=[64, 64])).get("layers")
        [64, 64]

        Raises:
            ConfigError: `thing` holds no settings, or a value that has no form in a config, like a function.
        """
        config = cls._read(thing)
        if not isinstance(thing, ExpConfig):
            say_inexact(config._loose_keys)
        return config

    @classmethod
    def _read(cls, thing: object) -> ExpConfig:
        with reading("the config", ConfigError):
            if isinstance(thing, ExpConfig):
                return thing
            check = TreeCheck(is_noting=True)
            values, live = check_settings(thing, check), None
            if check.has_environment:
                live = check_settings(thing, TreeCheck(is_noting=True, is_live=True))
        if live is None:
            made = cls.__new__(cls)
            made._fill(values, sources=check.sources)
        else:
            made = _rebuild(values, (), (), check.sources or {}, live, False)
        config = made.hide_secrets()
        if check.told:
            config._set(_loose_keys=tuple(check.told))
        return config

    @classmethod
    def from_loose(cls, thing: object) -> ExpConfig:
        """Make a config from whatever a framework calls its config. No value makes it raise.

        What :meth:`from_object` takes gives the same config. Otherwise the settings are read from a mapping, a
        model, an object with ``to_dict()`` or the public attributes of an object, at any depth. Every value
        that a config cannot hold becomes text, like a function or class by its qualified name. So does every
        key. :attr:`loose_keys` says which; no warning does.

        >>> config = ExpConfig.from_loose({"lr": float("nan"), "act": len, "layers": {1: 64}})
        >>> config.get("lr"), config.get("act"), config.loose_keys
        ('nan', 'len', ('lr', 'act', 'layers.1'))
        """
        try:
            return cls._read(thing)
        except Exception:  # of the caller's object too
            from exptrack.config.loose import read_loosely

        values, sources, told = read_loosely(thing)
        config = _rebuild(values, (), (), sources, None, False).hide_secrets()
        config._set(_loose_keys=told)
        return config

    def as_model(self, model: type[_M]) -> _M:
        """Convert the config to a pydantic model or a dataclass, validated by pydantic.

        Fields are matched by name or by alias.

        Raises:
            ConfigError: the config does not fit the model; the message is pydantic's.
            InvalidTypeError: `model` is not a type that pydantic can validate.
        """
        from pydantic import TypeAdapter, ValidationError

        # pydantic takes text as an expression, and asks an object for its schema.
        if is_text(model):
            raise InvalidTypeError(f"a model is a type, not the text {short_repr(model)}; give the type itself")
        # As JSON: from JSON even a strict model accepts paths, dates and tuples in their written form.
        values = json.dumps(self._tree())
        try:
            adapter = TypeAdapter(model)
        except Exception as error:  # pydantic asks the object and its class for a schema
            raise InvalidTypeError(
                f"a model is a pydantic model or a dataclass, not {short_repr(model)}; give one of these"
            ) from error
        try:
            return adapter.validate_json(values, by_alias=True, by_name=True)
        except ValidationError as error:
            message = str(error)
            if self._tree() != self._values:
                # Without the values: pydantic shortens long ones, and no mask recognises a short part.
                lines = (
                    f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)
                )
                message = self.mask(f"{error.title}: {'; '.join(lines)}")
        raise ConfigError(message)

    def interpolate(self, *, lazily: bool = False) -> ExpConfig:
        """Return this config with its references resolved: ``${config:a.b}`` and ``${env:NAME}``.

        A value that consists of one ``${config:…}`` takes the type of the value it refers to. Environment
        variables are text; ``${env:NAME,text}`` takes `text` if the variable is not set. The hashed and stored
        config keeps every ``${env:…}``. With `lazily`, the environment is read when a value is first asked for.

        Raises:
            ConfigError: a reference leads nowhere or in a circle; the message names the chain of keys.
        """
        # Most configs contain no reference, and do not pay for importing the interpolator.
        if not self._sources or "${" not in encode_canonical(self._written):
            return self.hide_secrets()
        config = _rebuild(self._written, self._source_files, self._overrides, self._sources, self._shown, True)
        if not lazily:
            config._tree()
        return config.hide_secrets()

    def hide_secrets(self) -> ExpConfig:
        """Return this config such that what is stored and shown of it holds no secret that is known by now.

        The program sees the same values. A value that the environment filled in may come back in a model, and a
        secret may be an argument of the command line.
        """
        if hide_secrets(self._values, self._kind_of) is self._values:
            return self
        sources = {
            path: ConfigSource(one.kind, mask_secrets(one.name), one.line)
            for path, one in self._sources.items()
        }
        seen = self._written if self._shown is None else self._shown
        written, overrides = hide_secrets(self._written, self._kind_of), map(mask_secrets, self._overrides)
        config = _rebuild(written, self._source_files, overrides, sources, seen, self._interpolated)
        config._set(_live=self._live)
        return config

    def _tree(self) -> dict[str, ConfigValue]:
        """Return the live tree; resolve it first if necessary."""
        if self._live is None:
            from exptrack.config.interpolation import Interpolator

            written = self._written if self._shown is None else self._shown
            interpolator = Interpolator(written, self._applies, os.environ)
            live = check_values(interpolator.resolve())
            for value, reference in interpolator.inserted.items():
                know_secret(value, reference)
            for path, value, stored in iter_differing_texts(self._values, live):
                know_filled_in(path, value, stored)
            self._set(_live=live)
        assert self._live is not None
        return self._live

    def _shown_tree(self) -> dict[str, ConfigValue]:
        return hide_secrets(self._values, self._kind_of)

    def _kind_of(self, path: str) -> str:
        return self.source_of(path).kind

    def _applies(self, path: str) -> bool:
        return self._kind_of(path) in _INTERPOLATED

    def mask(self, text: str) -> str:
        """Replace values of the environment in `text` by their references, for messages that are stored."""
        return mask_secrets(check_text(text, "text"))

    @property
    def values(self) -> dict[str, ConfigValue]:
        """The whole tree as the program sees it, as a copy."""
        return {key: copied(value) for key, value in self._tree().items()}

    @property
    def stored_values(self) -> dict[str, ConfigValue]:
        """The whole tree as it is stored, with every ``${env:…}`` unresolved, as a copy."""
        return {key: copied(value) for key, value in self._values.items()}

    @property
    def sources(self) -> dict[str, ConfigSource]:
        """The source of each value, by the dotted path of the stored value."""
        return {leaf.key: self.source_of(leaf.key) for leaf in self.leaves()}

    def source_of(self, path: str) -> ConfigSource:
        """Return the source that set the value at a dotted path, or that set a map or list around it."""
        path = check_text(path, "config path")
        found = self._sources.get(path)
        if found is None and self._sources:
            keys = split_path(path)
            while found is None and keys:
                *above, last = keys
                item = split_index(last)
                found = self._sources.get(path_of(keys))
                if found is None and item is not None:
                    found = self._sources.get(path_of((*above, item[0])))
                keys = above
        return IN_CODE if found is None else found

    @property
    def loose_keys(self) -> tuple[str, ...]:
        """The paths of what could not be stored exactly; a config that is made from this one has none."""
        return self._loose_keys

    @property
    def source_files(self) -> tuple[str, ...]:
        """The files that the config was composed from, in order."""
        return self._source_files

    @property
    def overrides(self) -> tuple[str, ...]:
        """The overrides applied, in order, as ``path=text``."""
        return self._overrides

    def __repr__(self) -> str:
        return f"ExpConfig({short_map(self._shown_tree())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExpConfig) and self.hash() == other.hash()

    def __hash__(self) -> int:
        return hash(self.hash())

    def with_override(self, path: str, value: Any) -> ExpConfig:
        """Return a new config with the value at `path` replaced; missing parents are made.

        ``layers[0]`` is an element of a list, which must be there. Text is read as SDN (``3`` an int, ``3.0`` a
        float, ``true`` a bool, ``null``, ``[1, 2]`` a list, ``{a: 1}`` a map, ``"3"`` in quotes text), but
        ``007`` and ``1_000`` stay text, as :func:`exptrack.sdn.parse_override` has it. Every other value has
        the form that :meth:`from_object` gives it.

        Raises:
            ConfigError: a part of the path is not a map, or no list that long, or a config cannot hold the
                value.
        """
        path = check_text(path, "config path", max_chars=2 * MAX_NAME_CHARS)
        parts = split_path(path)
        if is_text(value):
            from exptrack import sdn

            try:
                text = check_text(value, f"override of {path!r}")
                value = sdn.parse_override(text)
            except InvalidValueError as error:
                raise ConfigError(f"override of {path!r}: {error}", key=path) from None
        else:
            value = check_value(value, path, 1, TreeCheck())
            text = encode_canonical(value)
        for leaf in list_leaves(path_of(parts), value):
            _know_secret_setting(leaf)
        override, source = _name_override(path, text)
        written, in_list = replace_value(self._written, parts, value)
        shown_tree = None if self._shown is None else replace_value(self._shown, parts, value)[0]
        if in_list is None:
            sources = _drop_sources(self._sources, path) | {path_of(parts): source}
        else:
            sources = self._sources | {path_of(in_list): self._source_of_list(written, in_list, source)}
        overrides = (*self._overrides, override)
        interpolated = self._interpolated
        config = _rebuild(
            written, self._source_files, overrides, sources, shown_tree, interpolated, eagerly=True
        )
        return config.hide_secrets()

    def _source_of_list(
        self, tree: dict[str, ConfigValue], keys: Sequence[str], source: ConfigSource
    ) -> ConfigSource:
        """Return the one source of a list that an override has changed."""
        before = self.source_of(path_of(keys))
        # In what code has set, ${…} is text, and an override would make references of it.
        is_text_of_code = before.kind not in _INTERPOLATED and "${" in encode_canonical(
            find_value(tree, keys)[1]
        )
        return before if is_text_of_code else source

    def to_sdn(self) -> str:
        """Write the config as SDN text, in its own order of keys.

        Every ``${env:…}`` stays unresolved, and a secret that is known is hidden as in the archive.
        """
        from exptrack import sdn

        return sdn.dumps(self._shown_tree())

    def canonical(self) -> str:
        """Return the canonical form (described at the top of this module)."""
        return encode_canonical(self._values)

    def hash(self) -> str:
        """Return the SHA-256 of the canonical form, in hex. The order of keys does not change it."""
        if self._hash is None:
            object.__setattr__(self, "_hash", sha256_text(self.canonical()))
        assert self._hash is not None
        return self._hash

    def family(self) -> str:
        """Return sixteen hex digits that are the same for configs that differ only in their seeds.

        A seed is a key whose last part is ``seed``, ``random_seed`` or ``random_state``.
        """
        return family_of_leaves(self.leaves())

    def leaves(self) -> list[Leaf]:
        """List every value except non-empty maps, with its dotted path."""
        return list_leaves("", self._values) if self._values else []


def sources_of_leaves(config: ExpConfig, leaves: Iterable[Leaf]) -> list[ConfigSource]:
    """Return the source of each of these leaves of a config."""
    return [config.source_of(leaf.key) if config._sources else IN_CODE for leaf in leaves]


def family_of_leaves(leaves: Iterable[Leaf]) -> str:
    """Return what :meth:`ExpConfig.family` returns for a config with these leaves."""
    # A quoted part ends with a quote, so it is no seed whatever is in it.
    kept = [tuple(leaf) for leaf in leaves if leaf.key.rpartition(".")[2] not in SEED_NAMES]
    return sha256(encode_list(sorted(kept))).hexdigest()[:16]


def _rebuild(
    written: Mapping[str, Any],
    source_files: Iterable[str],
    overrides: Iterable[str],
    sources: Mapping[str, ConfigSource],
    shown_tree: Mapping[str, Any] | None,
    interpolated: bool,
    *,
    eagerly: bool = False,
) -> ExpConfig:
    """Make a config from its parts; resolve references `eagerly`, or when a value is first asked for."""
    config = ExpConfig(written, source_files, overrides, sources)
    if shown_tree is not None:
        live = check_values(shown_tree)
        know_variables(encode_canonical(config._written))
        for path, value, stored in iter_differing_texts(config._written, live):
            know_secret(value, stored)
            know_filled_in(path, value, stored)
        config._set(_shown=live, _live=live)
    if interpolated:
        from exptrack.config.interpolation import Interpolator

        values = Interpolator(config._written, config._applies, None).resolve()
        know_variables(encode_canonical(values))
        config._set(_interpolated=True, _live=None, _values=check_values(values))
        if eagerly:
            config._tree()
    return config


def _name_override(path: str, text: str) -> tuple[str, ConfigSource]:
    """Return an override as it is stored, without secrets, and the source that it is."""
    override = mask_secrets(know_secrets_of_command([f"{path}={text}"])[0])
    name = override if len(override) <= SHOWN_OVERRIDE else f"{override[:SHOWN_OVERRIDE]}…"
    return override, ConfigSource("override", name)


def _know_secret_setting(leaf: Leaf) -> None:
    """Hide the value of a setting that the command line would hide, because its name is that of a secret."""
    if leaf.type == "text" or leaf.num is not None:
        text = encode_canonical(leaf_value(*leaf[1:])) if leaf.type != "text" else leaf.text or ""
        (word,) = know_secrets_of_command([f"{leaf.key}={text}"])
        if word == f"{leaf.key}={REDACTED}":
            know_filled_in(leaf.key, text, REDACTED)


def _drop_sources(sources: Mapping[str, ConfigSource], path: str) -> dict[str, ConfigSource]:
    """Return the sources without those of values at or below `path`."""
    return {k: v for k, v in sources.items() if k != path and not k.startswith(f"{path}.")}


def make_config(config: object) -> ExpConfig:
    """Convert `config` to an ExpConfig, as :meth:`ExpConfig.from_object` does; None gives an empty config."""
    return ExpConfig({}) if config is None else ExpConfig.from_object(config)


def replace_origin(
    config: ExpConfig,
    source_files: Iterable[str],
    overrides: Iterable[str],
    sources: Mapping[str, ConfigSource],
) -> ExpConfig:
    """Return a config with the same stored and live values, but other files, overrides and sources."""
    stored, live = config._values, config._tree()
    return _rebuild(stored, source_files, overrides, sources, None if live == stored else live, False)


def merge_configs(base: ExpConfig | Mapping[str, Any], overlay: ExpConfig | Mapping[str, Any]) -> ExpConfig:
    """Lay `overlay` over `base` and return the new config. Maps merge; everything else replaces.

    The empty config changes nothing on either side. The result of merging three configs does not depend on
    which two are merged first, with one exception: the middle config has another value where its neighbours
    have maps. For example, ``{a: {x: 1}}``, ``{a: 5}`` and ``{a: {y: 2}}`` give ``{a: {y: 2}}`` from the left
    and ``{a: {x: 1, y: 2}}`` from the right.

    >>> merge_configs({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}).values
    {'a': {'x': 1, 'y': 3}}
    """
    below, above = make_config(base), make_config(overlay)
    written = merge_into(copied_tree(below._written), copied_tree(above._written))
    shown_tree = None
    if below._shown is not None or above._shown is not None:
        shown_tree = merge_into(
            copied_tree(below._written if below._shown is None else below._shown),
            copied_tree(above._written if above._shown is None else above._shown),
        )
    origin = {leaf.key: below.source_of(leaf.key) for leaf in list_leaves("", below._written)} if below else {}
    origin |= {leaf.key: above.source_of(leaf.key) for leaf in list_leaves("", above._written)} if above else {}
    sources: dict[str, ConfigSource] = {}
    if below._sources or above._sources:
        sources = {leaf.key: origin[leaf.key] for leaf in (list_leaves("", written) if written else ())}
    return _rebuild(
        written,
        (*below.source_files, *above.source_files),
        (*below.overrides, *above.overrides),
        sources,
        shown_tree,
        below._interpolated or above._interpolated,
        eagerly=True,
    )


def parse_stored_config(
    canonical: str,
    source_files: Sequence[str],
    overrides: Sequence[str],
    sources: Mapping[str, ConfigSource] | None = None,
) -> ExpConfig:
    """Make a config from its stored parts: the canonical form, source files, overrides and sources."""
    return ExpConfig(json.loads(canonical), source_files, overrides, sources)
