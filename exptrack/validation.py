"""Check the texts and numbers that callers give: every public call checks its arguments here.

Invariants: a value that passes is stored and read back exactly. Any other value is refused at the call, before
anything is written. SQLite cannot store lone surrogates or integers beyond 64 bits. Some of its functions end a
text at NUL (``length('a\\0b')`` is 1), so names contain no control characters; free text may.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator
from typing import Any, SupportsFloat, SupportsIndex

from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.known_secrets import mask_secrets
from exptrack.records import RunStatus

MAX_NAME_CHARS = 1_000
MAX_TEXT_CHARS = 16 * 1024 * 1024
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
SHOWN_CHARS = 40
MANY_AT_ONCE = 50_000
DIRECTIONS = ("minimize", "maximize")


def short_repr(value: object) -> str:
    """Return ``repr(value)`` without known secrets, cut to 40 characters: it fits into one line of an error."""
    try:
        text = repr(value)
    except ValueError:  # an int of thousands of digits
        text = f"<{type(value).__name__} too long to show>"
    # Before the cut, since no mask recognises a short part of a secret.
    text = mask_secrets(text)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


def check_text(value: object, what: str, *, max_chars: int = MAX_TEXT_CHARS) -> str:
    """Return `value` if it is text that SQLite stores exactly.

    Raises:
        InvalidTypeError: it is not text.
        InvalidValueError: it is too long or contains a lone surrogate.
    """
    if not isinstance(value, str):
        raise InvalidTypeError(f"{what} must be text, not {type(value).__name__} {short_repr(value)}")
    if len(value) > max_chars:
        raise InvalidValueError(
            f"{what} has {len(value):,} characters, more than {max_chars:,};"
            " shorten it, or register it as an artifact"
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidValueError(
            f"{what} {short_repr(value)} contains a lone surrogate at position {error.start},"
            " which has no UTF-8 form; remove it"
        ) from None
    return str(value)


def check_name(value: object, what: str) -> str:
    """Return `value` if it is a name: 1 to 1,000 characters and no control characters.

    Raises:
        InvalidTypeError: it is not text.
        InvalidValueError: it is empty or too long, or contains a control character or a lone surrogate.
    """
    text = check_text(value, what, max_chars=MAX_NAME_CHARS)
    if not text:
        raise InvalidValueError(f"{what} is empty; give at least one character")
    if not text.isprintable():
        for position, character in enumerate(text):
            if character < " " or character == "\x7f":
                raise InvalidValueError(
                    f"{what} {short_repr(text)} contains the control character {character!r}"
                    f" at position {position}; remove it"
                )
    return text


def check_step(value: object) -> int:
    """Return `value` as a step: a whole number of 64 bits.

    Raises:
        InvalidTypeError: it is not a whole number, or it is a ``bool``.
        InvalidValueError: it does not fit into 64 bits.
    """
    if type(value) is int and INT64_MIN <= value <= INT64_MAX:
        return value
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise InvalidTypeError(f"a step must be a whole number, not {type(value).__name__} {short_repr(value)}")
    try:
        step = operator.index(value)
    except TypeError as error:  # an array or tensor of several elements, or of floats
        raise InvalidTypeError(f"a step must be one whole number, not {short_repr(value)}: {error}") from None
    if not INT64_MIN <= step <= INT64_MAX:
        raise InvalidValueError(f"step {short_repr(step)} does not fit into 64 bits; give a smaller one")
    return step


def check_number(value: object, what: str) -> float:
    """Return `value` as a float: the value of a metric, a time or another number.

    Takes everything with ``__float__`` (int, float, Decimal, Fraction, numpy and torch scalars), arrays of one
    element, else everything with ``.item()``, and ``bool`` as 0 or 1. NaN and the infinities pass.

    Raises:
        InvalidTypeError: it is text, bytes, a complex number, a time of numpy, or an array with more than one
            element.
        InvalidValueError: it is an int or a Decimal too large for a float.
    """
    if type(value) is float:
        return value
    number = value
    try:
        # From numpy 2.4 on, float() takes no array of one element that has a dimension.
        is_array = bool(getattr(value, "ndim", 0)) or not isinstance(value, (SupportsFloat, str))
        if is_array and hasattr(value, "item"):
            number = value.item()
        if isinstance(number, SupportsFloat) and not _is_no_number(value) and not _is_no_number(number):
            found = float(number)
            if math.isinf(found) and callable(finite := getattr(number, "is_finite", None)) and finite():
                raise OverflowError  # float() turns a large Decimal into an infinity without an error
            return found
    except OverflowError:
        raise InvalidValueError(
            f"{what} {short_repr(value)} is too large for a float; give a smaller one"
        ) from None
    except (TypeError, ValueError, RuntimeError) as error:  # torch raises RuntimeError
        raise InvalidTypeError(
            f"{what} must be one number, not {type(value).__name__} {short_repr(value)}: {error}"
        ) from None
    raise InvalidTypeError(f"{what} must be a number, not {type(value).__name__} {short_repr(value)}")


def _is_no_number(value: object) -> bool:
    """Whether `value` is text, complex or a time.

    ``float()`` takes them from numpy: it drops the imaginary part, and the unit of a time.
    """
    if isinstance(value, (str, bytes, bytearray, complex)):
        return True
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    return isinstance(kind, str) and kind in "cSUmM"


def iter_elements(values: Any, what: str) -> Iterator[Any]:
    """Iterate over the elements of a column; an array is turned into Python numbers 50,000 at a time.

    The times of an array stay those of numpy.

    Raises:
        InvalidTypeError: `values` is text, or has no elements to iterate over, like a number or a 0-d array.
    """
    if type(values) in (list, tuple):
        return iter(values)
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InvalidTypeError(f"{what} must be a list or an array, not {short_repr(values)}")
    if hasattr(values, "to_numpy"):  # pandas slices by label
        values = values.to_numpy()
    if not hasattr(values, "tolist") or not hasattr(values, "__getitem__"):
        return iter(values)
    try:
        len(values)
    except TypeError:
        raise InvalidTypeError(f"{what} must be a list or an array, not {short_repr(values)}") from None
    return _iter_array(values)


def _iter_array(values: Any) -> Iterator[Any]:
    # As Python numbers, times would lose their unit.
    are_times = getattr(getattr(values, "dtype", None), "kind", None) in ("m", "M")
    for begin in range(0, len(values), MANY_AT_ONCE):
        some = values[begin : begin + MANY_AT_ONCE]
        yield from some if are_times else some.tolist()


def check_status(status: object) -> RunStatus:
    """Return `status`, a RunStatus or its text, as a RunStatus.

    Raises:
        InvalidValueError: there is no such status.
    """
    try:
        return RunStatus(status)  # type: ignore[arg-type]
    except ValueError:
        known = ", ".join(RunStatus)
        raise InvalidValueError(f"status must be one of {known}, not {short_repr(status)}") from None


def check_direction(direction: object) -> str:
    """Return `direction` if it is ``"minimize"`` or ``"maximize"``.

    Raises:
        InvalidValueError: it is neither.
    """
    if not isinstance(direction, str) or direction not in DIRECTIONS:
        raise InvalidValueError(f"direction must be 'minimize' or 'maximize', not {short_repr(direction)}")
    return direction
