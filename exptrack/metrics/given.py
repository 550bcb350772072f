"""Read what a call hands over to be logged: nested maps, and columns in which values are missing.

Invariants: everything is read before anything is written. No two values of a call end under one name.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import compress, islice

from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.named_tuples import NamedTuple
from exptrack.plain import is_mapping, is_text, is_whole, read_items, short_repr
from exptrack.validation import EXACT_INT, check_name, check_number, check_step, iter_elements

MAX_DEPTH = 20
MAX_VALUES = 100_000

_Items = list[tuple[object, object]]


def flatten_values(items: _Items) -> _Items:
    """Return the values of one call of log() by name; those of maps within it under dotted names.

    Raises:
        InvalidTypeError: a key of a map is neither text nor a whole number.
        InvalidValueError: a map holds itself, is nested too deep, or there are too many values.
    """
    found: _Items = []
    _flatten(items, "", 0, set(), found)
    return found


def _flatten(items: _Items, above: str, depth: int, within: set[int], found: _Items) -> None:
    for key, value in items:
        name = f"{above}.{_read_key(key, above)}" if above else key
        if not is_mapping(value):
            found.append((name, value))
        else:
            if id(value) in within:
                raise InvalidValueError(
                    f"the values of log() hold themselves under {short_repr(name)}; copy them"
                )
            if depth == MAX_DEPTH:
                raise InvalidValueError(
                    f"the values of log() are nested deeper than {MAX_DEPTH} levels at {short_repr(name)};"
                    " flatten them"
                )
            within.add(id(value))
            text = check_name(_read_key(name, above), "metric name")
            _flatten(read_items(value, f"the values under {text!r}"), text, depth + 1, within, found)
            within.discard(id(value))
        if len(found) > MAX_VALUES:
            raise InvalidValueError(
                f"log() takes at most {MAX_VALUES:,} values at once; log them in several calls"
            )


def _read_key(key: object, above: str) -> str:
    if is_text(key):
        return str.__str__(key)
    if is_whole(key) and above:
        return str(int(key))
    raise InvalidTypeError(f"metric name must be text, not {type(key).__name__} {short_repr(key)}")


class Columns(NamedTuple):
    """The points of one metric. `steps` counts from 0 if none were given; `times` may be missing."""

    values: array[float]
    steps: array[int] | range
    times: array[int] | None
    has_steps: bool
    has_none: bool


def read_columns(
    name: str,
    steps: Iterable[int] | None,
    values: Iterable[object],
    times: Iterable[datetime | float] | None,
    read_time: Callable[[object], int],
) -> Columns:
    """Read the columns of one metric. Elements whose value is None are left out, with their steps and times.

    Raises:
        InvalidTypeError, InvalidValueError: the lengths differ, or an element cannot be stored.
    """
    what = f"metric {name!r}"
    numbers, missing, count = array("d"), [], 0
    append = numbers.append
    for value in iter_elements(values, "values"):
        # Nearly all are these, and asking what else one is takes ten times as long.
        if type(value) is float or (type(value) is int and -EXACT_INT <= value <= EXACT_INT):
            append(value)
        elif value is None:
            missing.append(count)
        else:
            append(check_number(value, what))
        count += 1
    # One element more shows that a column is longer; it may be endless.
    given = moments = None
    if steps is not None:
        given = array("q", map(check_step, islice(iter_elements(steps, "steps"), count + 1)))
    if times is not None:
        moments = array("q", map(read_time, islice(iter_elements(times, "times"), count + 1)))
    if any(column is not None and len(column) != count for column in (given, moments)):
        raise InvalidValueError(f"{what}: steps, values and times differ in length")
    has_steps = given is not None
    chosen: array[int] | range = range(count) if given is None else given
    if missing:
        is_there = bytearray(b"\1") * count
        for place in missing:
            is_there[place] = 0
        chosen = array("q", compress(chosen, is_there))
        moments = None if moments is None else array("q", compress(moments, is_there))
    return Columns(numbers, chosen, moments, has_steps, bool(missing))
