"""Read values of a config by dotted paths, find out which key was meant, and replace a value.

Invariants: what a caller gets is a copy, or cannot be changed. A key that is written like an element of a list,
such as ``a[0]``, is found before the element.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from exptrack.config.tree import ConfigValue, copied, copied_tree, encode_canonical, type_name
from exptrack.errors import ConfigError, ConfigKeyError
from exptrack.keypath import flatten_map, join_path, path_of, split_index, split_path
from exptrack.plain import is_text, short_repr
from exptrack.shown import short_map, show_as_html

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from exptrack.markup.notebook import View

MAX_SUGGESTED = 10_000  # keys among which the one that was meant is looked for
SHOWN_KEYS = 5


def find_value(tree: ConfigValue, keys: Sequence[str]) -> tuple[bool, ConfigValue]:
    """Return whether there is a value under these keys, and the value."""
    value = tree
    for key in keys:
        if not isinstance(value, dict):
            return False, None
        if key in value:
            value = value[key]
            continue
        item = split_index(key)
        if item is None or item[0] not in value:
            return False, None
        value = value[item[0]]
        for place in item[1]:
            if not isinstance(value, list) or not -len(value) <= place < len(value):
                return False, None
            value = value[place]
    return True, value


def replace_value(
    tree: dict[str, ConfigValue], keys: Sequence[str], value: ConfigValue
) -> tuple[dict[str, ConfigValue], Sequence[str] | None]:
    """Return a copy of the tree with the value under these keys, and the keys of the list it is in, if any.

    Missing maps are made. An element of a list must be there.

    Raises:
        ConfigError: the keys lead through a value that is no map, or to no element of a list.
    """
    new = copied_tree(tree)
    path = path_of(keys)
    place: dict[str, ConfigValue] = new
    outermost: Sequence[str] | None = None
    for depth, key in enumerate(keys):
        way, is_last = path_of(keys[: depth + 1]), depth == len(keys) - 1
        item = None if key in place else split_index(key)
        if item is None:
            if is_last:
                place[key] = value
                break
            inner = place.setdefault(key, {})
        else:
            outermost = outermost or (*keys[:depth], item[0])
            holder, at = _find_element(place, item, path, path_of((*keys[:depth], item[0])))
            if is_last:
                holder[at] = value
                break
            inner = holder[at]
        if not isinstance(inner, dict):
            raise ConfigError(
                f"cannot set {path!r}: {way!r} is {type_name(inner)}, not a map; set {way!r} itself", key=path
            )
        place = inner
    return new, outermost


def _find_element(
    place: dict[str, ConfigValue], item: tuple[str, list[int]], path: str, name: str
) -> tuple[list[ConfigValue], int]:
    """Return the list that holds an element, and its place there."""
    key, indexes = item
    if key not in place:
        raise ConfigError(f"cannot set {path!r}: there is no list {name!r}; set {name!r} as a whole", key=path)
    holder: ConfigValue = place[key]
    for depth, index in enumerate(indexes):
        if not isinstance(holder, list):
            raise ConfigError(
                f"cannot set {path!r}: {name!r} is {type_name(holder)}, not a list; set {name!r} as a whole",
                key=path,
            )
        if not -len(holder) <= index < len(holder):
            raise ConfigError(
                f"cannot set {path!r}: {name!r} has {len(holder)} elements; set {name!r} as a whole", key=path
            )
        if depth == len(indexes) - 1:
            return holder, index
        holder, name = holder[index], f"{name}[{index}]"
    raise AssertionError("split_index gives at least one place")


def suggest_path(tree: dict[str, ConfigValue], path: str) -> str:
    """Return the end of a sentence that says which key of a tree was meant, or which keys there are."""
    from difflib import get_close_matches

    keys = split_path(path)
    depth = 0
    while depth < len(keys) - 1 and find_value(tree, keys[: depth + 1])[0]:
        depth += 1
    around, siblings = path_of(keys[:depth]), find_value(tree, keys[:depth])[1]
    if not isinstance(siblings, dict):
        hint = f"; write {around}[0] for its first element" if isinstance(siblings, list) else ""
        return f"{around!r} is {type_name(siblings)}, not a map{hint}"
    item = split_index(keys[depth])
    if item is not None and item[0] in siblings:
        return f"{path_of((*keys[:depth], item[0]))!r} has no such element"
    close = get_close_matches(keys[depth], list(siblings)[:MAX_SUGGESTED], n=1)
    meant = [path_of((*keys[:depth], one, *keys[depth + 1 :])) for one in close]
    if not meant or not find_value(tree, split_path(meant[0]))[0]:
        every = [one for _n, one in zip(range(MAX_SUGGESTED), _iter_paths("", tree), strict=False)]
        meant = [one for one in every if one.rpartition(".")[2] == keys[-1]]
        if not meant and depth < len(keys) - 1:  # the section is misspelt
            meant = get_close_matches(path, every, n=1)
    if meant:
        return f"did you mean {meant[0]!r}?"
    shown = ", ".join(map(short_repr, list(siblings)[:SHOWN_KEYS])) + ", …" * (len(siblings) > SHOWN_KEYS)
    return f"{repr(around) if around else 'it'} has {shown or 'no key'}"


def _iter_paths(above: str, tree: dict[str, ConfigValue]) -> Iterator[str]:
    for key, value in tree.items():
        path = join_path(above, key)
        yield path
        if isinstance(value, dict):
            yield from _iter_paths(path, value)


class ConfigReading:
    """The part of a config, or of a section of one, that reads values by dotted paths.

    ``optim.lr`` is the value under ``lr`` in the section ``optim``, and ``layers[0]`` an element of a list. As
    an attribute, a section is a :class:`ConfigSection`, and everything else a copy of the value. A key that is
    no name of Python, begins with ``_``, or is the name of a method, is read by its path.
    """

    __slots__ = ()

    def _tree(self) -> dict[str, ConfigValue]:
        raise NotImplementedError

    def _shown_tree(self) -> dict[str, ConfigValue]:
        """Return the tree as it is shown, without the secrets that are known by now."""
        raise NotImplementedError

    def _section(self, key: str) -> ConfigSection:
        return ConfigSection(self, (key,))

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree())

    def __len__(self) -> int:
        return len(self._tree())

    def __contains__(self, path: object) -> bool:
        return is_text(path) and self._find(path)[0]

    def __getitem__(self, path: str) -> ConfigValue:
        return self.require(path)

    def __getattr__(self, name: str) -> Any:
        # Python itself asks for names that begin so, also before the config is filled in.
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        tree = self._tree()
        if name not in tree:
            raise AttributeError(self._describe_missing(path_of([name])))
        value = tree[name]
        return self._section(name) if isinstance(value, dict) else copied(value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *filter(str.isidentifier, self._tree())})

    def _find(self, path: str) -> tuple[bool, ConfigValue]:
        return find_value(self._tree(), split_path(path))

    def _describe_missing(self, path: str) -> str:
        return f"the config has no key {path!r}; {suggest_path(self._tree(), path)}"

    _repr_html_ = show_as_html

    def _view(self) -> View:
        from exptrack.markup.notebook import View, draw_map

        return View(type(self).__name__, draw_map(flatten_map(self._shown_tree())))

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value at a dotted path, or `default` if there is none."""
        found, value = self._find(path)
        return copied(value) if found else default

    def require(self, path: str) -> ConfigValue:
        """Return the value at a dotted path; ``config[path]`` does the same.

        Raises:
            ConfigKeyError: there is none. It is a KeyError too, and the message says which key may be meant.
        """
        found, value = self._find(path)
        if not found:
            raise ConfigKeyError(self._describe_missing(path), key=path)
        return copied(value)

    def get_text(self, path: str) -> str | None:
        """Return a scalar as text (``true``, ``3``, ``0.1``); None if it is absent, null, a list or a map."""
        value = self._find(path)[1]
        if value is None or isinstance(value, (list, dict)):
            return None
        return value if isinstance(value, str) else encode_canonical(value)

    def get_int(self, path: str) -> int | None:
        """Return an int; None if it is absent or of another type."""
        value = self._find(path)[1]
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def get_float(self, path: str) -> float | None:
        """Return a float or an int as a float; None if it is absent or of another type."""
        value = self._find(path)[1]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return float(value)

    def get_bool(self, path: str) -> bool | None:
        """Return a bool; None if it is absent or of another type."""
        value = self._find(path)[1]
        return value if isinstance(value, bool) else None


class ConfigSection(ConfigReading, Mapping[str, "Any"]):
    """A section of a config, as a mapping that cannot be changed.

    It reads like the config itself: by dotted paths, ``get`` and ``require``, and by attributes.

    >>> from exptrack import ExpConfig
    >>> optim = ExpConfig({"optim": {"lr": 0.1, "betas": [0.9, 0.99]}}).optim
    >>> optim.lr, optim["betas[1]"], dict(optim)
    (0.1, 0.99, {'lr': 0.1, 'betas': [0.9, 0.99]})
    """

    __slots__ = ("_config", "_keys")

    _config: ConfigReading
    _keys: tuple[str, ...]

    def __init__(self, config: ConfigReading, keys: tuple[str, ...]) -> None:
        object.__setattr__(self, "_config", config)
        object.__setattr__(self, "_keys", keys)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot set or delete {name}: a config never changes; see with_override()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot set or delete {name}: a config never changes; see with_override()")

    def __reduce__(self) -> tuple[Any, ...]:
        return ConfigSection, (self._config, self._keys)

    def _tree(self) -> dict[str, ConfigValue]:
        value: Any = self._config._tree()
        for key in self._keys:
            value = value[key]
        assert isinstance(value, dict)
        return value

    def _shown_tree(self) -> dict[str, ConfigValue]:
        shown = find_value(self._config._shown_tree(), self._keys)[1]
        return shown if isinstance(shown, dict) else {}  # the reference that it came from

    def _section(self, key: str) -> ConfigSection:
        return ConfigSection(self._config, (*self._keys, key))

    def _find(self, path: str) -> tuple[bool, ConfigValue]:
        # As in any mapping, what iterating gives is found: a key with a dot too.
        tree = self._tree()
        return (True, tree[path]) if is_text(path) and path in tree else super()._find(path)

    def _describe_missing(self, path: str) -> str:
        return f"the section {path_of(self._keys)!r} has no key {path!r}; {suggest_path(self._tree(), path)}"

    def __repr__(self) -> str:
        return f"ConfigSection({short_map(self._shown_tree())})"
