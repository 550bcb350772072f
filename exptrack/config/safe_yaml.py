"""Read YAML as plain data, without tags and objects.

Invariants: values are those of YAML 1.2. Most Python programs read YAML 1.1, in which some plain words mean
something else, such as ``yes``, ``010`` and ``12:30``: these are refused, not guessed. ``1e-3`` is a number. A
key that appears twice in one map is an error. Depth and size are limited while reading. Values that aliases
repeat count each time, so a small file cannot unfold into a large tree. The tree is built from the parser's
events, without recursion.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from exptrack.errors import ConfigError
from exptrack.plain import short_repr

MAX_DEPTH = 50
MAX_VALUES = 100_000
MERGE = "<<"

_INT = re.compile(r"[-+]?[0-9]+")
_OTHER_INT = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DISPUTED = re.compile(
    r"(?:yes|no|on|off)|[-+]?0[0-9_]+|[-+]?0b[01_]+|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[-+]?[0-9]+(?:_[0-9]+)+|[-+]?0[xo][0-9a-f]*_[0-9a-f_]*",
    re.IGNORECASE,
)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class _OpenNode(NamedTuple):
    """A map or list that has not ended; `keys` holds the key that waits for its value, or None for <<."""

    holder: dict[str, Any] | list[Any]
    keys: list[str | None]
    anchor: str | None
    merged: list[dict[str, Any]]
    before: int


def read_yaml(text: str, name: str) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """Read a document; return its values and the line of each value's key. Messages call the file `name`.

    Raises:
        ConfigError: the text is not YAML or not one map, holds a value that no config can hold, or PyYAML is
            missing.
    """
    try:
        import yaml
    except ImportError:
        raise ConfigError(
            f"reading {name} needs PyYAML; run pip install 'exptrack-archive[yaml]', or write it in SDN or JSON"
        ) from None
    builder = _Builder(name)
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{name}{place}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: {error}") from None
    except ConfigError:
        raise
    except (ValueError, OverflowError):  # of chr() and int(), if PyYAML has no C library
        raise ConfigError(f"{name}: a number or an escape is too large; write another one") from None
    if not isinstance(builder.root, (dict, type(None))):
        raise ConfigError(f"{name}: a config is a map of names to values; write lines like 'name: value'")
    root = builder.root or {}
    lines: dict[tuple[str, ...], int] = {}
    _collect(root, (), builder.lines, lines, 1)
    return root, lines


def _collect(
    values: dict[str, Any],
    above: tuple[str, ...],
    known: dict[tuple[int, str], int],
    lines: dict[tuple[str, ...], int],
    line: int,
) -> None:
    for key, value in values.items():
        here = known.get((id(values), key), line)
        if isinstance(value, dict) and value:
            _collect(value, (*above, key), known, lines, here)
        else:
            lines[*above, key] = here


class _Builder:
    """Builds the tree from the parser's events."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Any = None
        self.open: list[_OpenNode] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.lines: dict[tuple[int, str], int] = {}
        self.count = 0
        self.documents = 0

    def error(self, event: Any, problem: str) -> ConfigError:
        mark = event.start_mark
        return ConfigError(f"{self.name}, line {mark.line + 1}, column {mark.column + 1}: {problem}")

    def take(self, event: Any) -> None:
        kind = type(event).__name__
        if kind == "DocumentStartEvent":
            self.documents += 1
            if self.documents > 1:
                raise self.error(event, "a config is one document; remove the '---'")
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self.check_tag(event)
            if self.waits_for_key():
                raise self.error(event, "a key is text, not a map or list; put it in quotes")
            if len(self.open) >= MAX_DEPTH:
                raise self.error(event, f"nested deeper than {MAX_DEPTH} levels; flatten the config")
            holder: dict[str, Any] | list[Any] = {} if kind == "MappingStartEvent" else []
            self.open.append(_OpenNode(holder, [], event.anchor, [], self.count))
            self.add(event, 1)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self.close(event)
        elif kind == "ScalarEvent":
            self.take_scalar(event)
        elif kind == "AliasEvent":
            if event.anchor not in self.anchors:
                raise self.error(event, f"nothing is anchored as &{event.anchor} before here; define it first")
            value, size = self.anchors[event.anchor]
            self.add(event, size)
            self.put(event, value)

    def add(self, event: Any, values: int) -> None:
        self.count += values
        if self.count > MAX_VALUES:
            raise self.error(event, f"more than {MAX_VALUES:,} values, aliases unfolded; use fewer")

    def check_tag(self, event: Any) -> None:
        if event.tag is not None and event.tag != "!":
            raise self.error(
                event, f"the tag {short_repr(event.tag)} is not supported; remove it and write plain data"
            )

    def waits_for_key(self) -> bool:
        return bool(self.open) and isinstance(self.open[-1].holder, dict) and not self.open[-1].keys

    def close(self, event: Any) -> None:
        done = self.open.pop()
        if isinstance(done.holder, dict):
            for other in done.merged:
                for key, value in other.items():
                    if key not in done.holder:
                        done.holder[key] = value
                        line = self.lines.get((id(other), key))
                        if line is not None:
                            self.lines[id(done.holder), key] = line
        if done.anchor is not None:
            self.anchors[done.anchor] = (done.holder, self.count - done.before)
        self.put(event, done.holder)

    def take_scalar(self, event: Any) -> None:
        self.check_tag(event)
        self.add(event, 1)
        if self.waits_for_key():
            self.take_key(event)
            return
        value = self.read_plain(event) if event.implicit[0] else event.value
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1)
        self.put(event, value)

    def take_key(self, event: Any) -> None:
        holder, keys = self.open[-1].holder, self.open[-1].keys
        if event.implicit[0] and event.value == MERGE:
            keys.append(None)
            return
        if event.implicit[0] and not isinstance(self.read_plain(event), str):
            raise self.error(event, f"the key {event.value} is not text; put it in quotes")
        if event.value in holder:
            raise self.error(event, f"the key {short_repr(event.value)} appears twice; remove one")
        keys.append(event.value)
        self.lines[id(holder), event.value] = event.start_mark.line + 1

    def put(self, event: Any, value: Any) -> None:
        if not self.open:
            self.root = value
            return
        holder, keys = self.open[-1].holder, self.open[-1].keys
        if isinstance(holder, list):
            holder.append(value)
        elif not keys:
            raise self.error(event, "a key is text, not an alias; write it out")
        elif (key := keys.pop()) is None:
            others = value if isinstance(value, list) else [value]
            if not all(isinstance(other, dict) for other in others):
                raise self.error(event, "<< merges maps; give it a map or a list of maps")
            self.open[-1].merged.extend(others)
        else:
            holder[key] = value

    def read_plain(self, event: Any) -> Any:
        """Read the value of a text without quotes."""
        text = event.value
        if text in _WORDS:
            return _WORDS[text]
        if _DISPUTED.fullmatch(text):
            raise self.error(
                event, f"readers of YAML disagree about {text}; put it in quotes, or write the value you mean"
            )
        if _NOT_FINITE.fullmatch(text):
            raise self.error(event, f"{text} is no number that a config can hold; put it in quotes")
        try:
            if _INT.fullmatch(text):
                return int(text)
            if _OTHER_INT.fullmatch(text):
                return int(text, 0)
            return float(text) if _FLOAT.fullmatch(text) else text
        except ValueError:  # thousands of digits
            raise self.error(event, "a number has too many digits; put it in quotes") from None
