"""Lay more values over the config of a run, and tell what they add to it and change in it.

Invariant: a value that a config already has, with its type, stays as it is, and so does its source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from exptrack.config.exp_config import (
    ExpConfig,
    _know_secret_setting,
    _name_override,
    _rebuild,
    make_config,
)
from exptrack.config.tree import ConfigValue, copied, copied_tree, encode_canonical, leaf_value, list_leaves
from exptrack.errors import ConfigConflictError
from exptrack.keypath import join_path
from exptrack.plain import short_repr
from exptrack.records import ConfigSource
from exptrack.validation import check_choice

Tree: TypeAlias = dict[str, ConfigValue]

SOURCES = ("default", "override", "code")


class Addition(NamedTuple):
    """Values to lay over a config. `stored` and `live` are as the archive and as the program see them.

    `overrides` are texts with the key that each sets, or None. `resolved_elsewhere` says that another library
    has resolved references of the values.
    """

    stored: Tree
    live: Tree
    sources: Mapping[str, ConfigSource]
    source_files: tuple[str, ...] = ()
    overrides: tuple[tuple[str | None, str], ...] = ()
    interpolated: bool = False
    resolved_elsewhere: bool = False


class Growth(NamedTuple):
    """A config with an addition, the keys that are new in it, and for each changed key the value before."""

    config: ExpConfig
    added: tuple[str, ...]
    changed: dict[str, ConfigValue]


def read_addition(values: object, source: str | None = None) -> Addition:
    """Check values that are to be laid over a config.

    `source` is what set them: default, override or code. Without it, a config or a model tells of each value.

    Raises:
        ConfigError: a config cannot hold them.
        InvalidValueError: there is no such source.
    """
    source = None if source is None else check_choice(source, "source", SOURCES)
    given = make_config(values).interpolate()
    if source is None:
        return _take(given)
    if source == "override":
        for leaf in given.leaves():
            _know_secret_setting(leaf)
        given = given.hide_secrets()
    kind = type(values).__name__
    sources, overrides = {}, []
    for leaf in given.leaves():
        text = leaf.text if leaf.type == "text" else encode_canonical(leaf_value(*leaf[1:]))
        # References are resolved where an override has them. The program has this value as it is.
        if source == "override" and "${" not in (text or ""):
            override, sources[leaf.key] = _name_override(leaf.key, text or "")
            overrides.append((leaf.key, override))
        else:
            sources[leaf.key] = ConfigSource("code" if source == "override" else source, kind)
    return _take(given)._replace(sources=sources, overrides=tuple(overrides))


def read_suggestion(config: ExpConfig, before: ExpConfig) -> Addition:
    """Return what a search put into a config since it was `before`: its params, and references to them."""

    def is_new(path: str, value: ConfigValue, old: ConfigValue, is_there: bool) -> bool:
        return config.source_of(path).kind == "trial" or not is_there or not _is_same(value, old)

    whole = _take(config)
    return whole._replace(stored=_select("", whole.stored, before.stored_values, is_new))


def _take(given: ExpConfig) -> Addition:
    return Addition(
        given.stored_values,
        given.values,
        given.sources,
        given.source_files,
        tuple((None, override) for override in given.overrides),
        given._interpolated,
        given._shown is not None,
    )


def _select(
    path: str, tree: Tree, before: Tree, is_new: Callable[[str, ConfigValue, ConfigValue, bool], bool]
) -> Tree:
    """Return the part of a tree whose values are new."""
    found: Tree = {}
    for key, value in tree.items():
        where, old = join_path(path, key), before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            inner = _select(where, value, old, is_new)
            if inner:
                found[key] = inner
        elif is_new(where, value, old, key in before):
            found[key] = value
    return found


# Growing


def grow(stored: ExpConfig, addition: Addition, *, allow_change: bool) -> Growth:
    """Lay an addition over a config as it is stored. Maps merge; everything else replaces.

    Raises:
        ConfigConflictError: a key has another value already, and `allow_change` is false.
        ConfigError: the config becomes too large or too deep.
    """
    tree = stored.stored_values
    added: dict[str, ConfigValue] = {}
    changed: dict[str, tuple[ConfigValue, ConfigValue]] = {}
    _lay("", tree, addition.stored, added, changed)
    if changed and not allow_change:
        raise _make_conflict(changed)
    if not added and not changed:
        return Growth(stored, (), {})
    new = [leaf.key for path, value in added.items() for leaf in list_leaves(path, value)]
    replaced = [leaf.key for path, (_old, value) in changed.items() for leaf in list_leaves(path, value)]
    set_keys = {*new, *replaced}
    sources = stored.sources | {key: addition.sources[key] for key in set_keys}
    overrides = (text for key, text in addition.overrides if key is None or key in set_keys)
    leaves = list_leaves("", tree) if tree else []
    config = ExpConfig(
        tree,
        _append(stored.source_files, addition.source_files),
        _append(stored.overrides, overrides),
        {leaf.key: sources[leaf.key] for leaf in leaves},
    )
    return Growth(config, tuple(new), {key: old for key, (old, _new) in changed.items()})


def _make_conflict(changed: Mapping[str, tuple[ConfigValue, ConfigValue]]) -> ConfigConflictError:
    key, (old, new) = next(iter(changed.items()))
    more = len(changed) - 1
    others = f" ({more} more differ{'s' * (more == 1)})" if more else ""
    return ConfigConflictError(
        f"the config of the run has {key} = {short_repr(old)}, which cannot become {short_repr(new)}{others};"
        " give the value it has, or pass allow_change=True",
        key=key,
        old=old,
        new=new,
    )


def _lay(
    path: str,
    below: Tree,
    above: Tree,
    added: dict[str, ConfigValue],
    changed: dict[str, tuple[ConfigValue, ConfigValue]],
) -> None:
    """Lay a tree over `below`, which it changes. Note new values, and both of those that differ."""
    for key, value in above.items():
        where, old = join_path(path, key), below.get(key)
        if key not in below:
            added[where] = below[key] = copied(value)
        elif isinstance(old, dict) and isinstance(value, dict):
            _lay(where, old, value, added, changed)
        elif not _is_same(old, value):
            changed[where] = (old, value)
            below[key] = copied(value)


def _is_same(one: ConfigValue, other: ConfigValue) -> bool:
    """Whether two values are equal, and of one type."""
    return one is other or encode_canonical(one) == encode_canonical(other)


def _append(texts: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*texts, *more)))


def follow(grown: ExpConfig, addition: Addition, seen: ExpConfig) -> ExpConfig:
    """Return the grown config as the program sees it, which saw `seen` before. Its keys keep their order.

    Nothing is looked up in the environment again. Values that other processes added keep ``${env:…}`` as it is.
    """
    origin = (grown.source_files, grown.overrides, grown.sources)
    stored = _sort_like(copied_tree(grown._values), seen._values, addition.stored)
    if seen._live is None:
        # A resumed run looks each value up when the program first asks for it.
        return _rebuild(stored, *origin, None, True)
    live = _see(stored, ((addition.stored, addition.live), (seen._values, seen._live)))
    assert isinstance(live, dict)
    shown = live if seen._shown is not None or addition.resolved_elsewhere else None
    config = _rebuild(stored, *origin, shown, seen._interpolated or addition.interpolated)
    config._set(_values=stored, _live=live)
    return config


def _sort_like(tree: Tree, *models: ConfigValue) -> Tree:
    """Return a tree with its keys in the order of the first model that has them; the rest comes last."""
    maps = [model for model in models if isinstance(model, dict)]
    keys = dict.fromkeys([*(key for model in maps for key in model if key in tree), *tree])
    found: Tree = {}
    for key in keys:
        value = tree[key]
        inner = (model.get(key) for model in maps)
        found[key] = _sort_like(value, *inner) if isinstance(value, dict) else value
    return found


def _see(value: ConfigValue, views: tuple[tuple[ConfigValue, ConfigValue], ...]) -> ConfigValue:
    """Return what the program sees in place of a stored value, by trees of which it sees the other side."""
    if isinstance(value, dict):
        return {
            key: _see(
                item,
                tuple(
                    (stored[key], live[key])
                    for stored, live in views
                    if isinstance(stored, dict) and isinstance(live, dict) and key in stored and key in live
                ),
            )
            for key, item in value.items()
        }
    for stored, live in views:
        if _is_same(value, stored):
            return live
    return value
