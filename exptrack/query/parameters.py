"""Read the values that a caller gives for the question marks of a filter.

Invariant: what comes back is of Python's own types, whatever the caller's objects are.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import cast

from exptrack.config.tree import TreeCheck, check_value, encode_canonical
from exptrack.errors import FilterError, InvalidValueError
from exptrack.plain import attribute, is_iterable, is_mapping, is_text, plain, reading, short_repr
from exptrack.query.conditions import Field, Scalar
from exptrack.times import is_moment, read_moment
from exptrack.validation import check_text

MAX_LIST = 10_000  # values in a list that a value is compared with
MAX_NUMBERS = 5_000  # of them, if they are no texts: each is bound by itself
FLOAT_BITS = 1024  # of the whole part of the greatest float
BEYOND = "the number is beyond every float; compare with inf"


def is_listing(value: object) -> bool:
    """Whether a value stands for several: a list, a set, an array, a column of a table."""
    is_one = is_text(value) or isinstance(value, (bytes, bytearray)) or is_mapping(value)
    return not is_one and is_iterable(value) and attribute(value, "ndim", 1) != 0


def check_parameter(value: object, field: Field, error: Callable[[str], FilterError]) -> Scalar | datetime:
    """Return the value of a question mark as it will be compared with a field.

    Raises:
        FilterError: it is of no type that is compared; `error` makes it of its message.
    """
    if value is None:
        raise error(f"None cannot be compared; write: {field} is null")
    if is_moment(value):
        try:
            return read_moment(value, "the time")
        except InvalidValueError as problem:
            raise error(str(problem)) from None
    value = plain(value)
    if issubclass(type(value), (list, tuple)):
        check = TreeCheck(most=MAX_LIST + 1)  # the list itself counts too
        try:
            # A list of a config, to be compared with one: it may hold what a config may.
            held = check_value(value, "", 1, check)
            check_text(encode_canonical(held), "list")
        except InvalidValueError as problem:
            if check.left < 0:
                raise error(f"a list holds at most {MAX_LIST:,} values; give fewer") from None
            raise error(f"a list can hold only JSON values: {problem}") from None
        assert isinstance(held, list)
        return cast(Scalar, held)
    if isinstance(value, (str, bool, float)):
        return value
    if isinstance(value, int):
        if value.bit_length() > FLOAT_BITS:
            raise error(BEYOND)
        return value
    item = attribute(value, "item")
    if callable(item):
        with reading("a parameter"):
            held = plain(item())
        if isinstance(held, (str, bool, int, float, list, datetime)):
            return check_parameter(held, field, error)
    raise error(f"expected text, a number, a bool, a list or a datetime, not {short_repr(value)}")
