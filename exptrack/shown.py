"""Give classes the HTML that notebooks show of their objects, and records a short repr.

Invariants: a repr reads no file, and its length has a bound, however much an object holds. What draws the HTML
is imported when a notebook asks for it, since every start of a run imports this file.
"""

from __future__ import annotations

from collections.abc import Mapping

from exptrack.record_fields import fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _Kind = TypeVar("_Kind", bound=type)


MOST_ELEMENTS = 8  # of a list or a map that a repr spells out
MOST_CHARS = 300  # of one value
MOST_DEPTH = 20  # of lists and maps in each other
MOST_MAP_CHARS = 2_000  # of a config


def shown(kind: _Kind) -> _Kind:
    """Decorate a class whose objects notebooks show; a named tuple or a dataclass gets a short repr too.

    An object that has more to show than its fields gives it by a method ``_view``. A record may have a method
    ``_as_row`` that makes its row in a table.
    """
    made: Any = kind
    made._repr_html_ = show_as_html
    params = getattr(kind, "__dataclass_params__", None)
    if params.repr if params is not None else hasattr(kind, "_fields"):
        made.__repr__ = _describe
    return kind


def show_as_html(thing: object) -> str:
    """Return what a notebook shows of an object; where that cannot be read, a sentence that says why."""
    from exptrack.markup.notebook import show

    return show(thing)


def short_list(values: list[Any] | tuple[Any, ...], within: tuple[int, ...] = ()) -> str:
    """Return the repr of a list or a tuple with its first elements only, and how many more there are."""
    first = [_shorten(value, (*within, id(values))) for value in values[:MOST_ELEMENTS]]
    if len(values) > MOST_ELEMENTS:
        first.append(f"… {len(values) - MOST_ELEMENTS:,} more")
    left, right = ("[", "]") if isinstance(values, list) else ("(", ",)" if len(first) == 1 else ")")
    return f"{left}{', '.join(first)}{right}"


def short_map(values: Mapping[str, Any]) -> str:
    """Return the repr of a map; of one that is long, its first keys only, and how many more there are."""
    whole = repr(values)
    if len(whole) <= MOST_MAP_CHARS:
        return whole
    first: list[str] = []
    room = MOST_MAP_CHARS
    for key, value in values.items():
        part = f"{_shorten(key)}: {_shorten(value)}"
        room -= len(part)
        if room < 0:
            break
        first.append(part)
    if len(first) < len(values):
        first.append(f"… {len(values) - len(first):,} more")
    return f"{{{', '.join(first)}}}"


def _describe(record: object) -> str:
    parts = (f"{name}={_shorten(getattr(record, name))}" for name in fields_of(record))
    return f"{type(record).__name__}({', '.join(parts)})"


def _shorten(value: Any, within: tuple[int, ...] = ()) -> str:
    """Return the repr of a value, or where that is long, its type and size.

    `within` are the ids of the lists and maps that hold it. Of one that holds itself, or is in very many, it
    returns the type and size too.
    """
    kind = type(value)
    if kind in (str, bytes):
        return repr(value) if len(value) <= MOST_CHARS else f"{value[:MOST_CHARS]!r}…"
    if isinstance(value, int) and kind is not bool and value.bit_length() > MOST_CHARS:
        return f"<int of {value.bit_length():,} bits>"
    if fields_of(value) or not hasattr(kind, "__len__"):
        return repr(value)
    is_seen = id(value) in within or len(within) >= MOST_DEPTH
    if len(value) > MOST_ELEMENTS or kind not in (list, tuple, dict) or is_seen:
        return repr(value) if isinstance(value, str) else f"<{kind.__name__} of {len(value):,}>"
    if kind is dict:
        within = (*within, id(value))
        items = (f"{_shorten(key)}: {_shorten(item, within)}" for key, item in value.items())
        text = f"{{{', '.join(items)}}}"
    else:
        text = short_list(value, within)
    return text if len(text) <= MOST_CHARS else f"<{kind.__name__} of {len(value):,}>"
