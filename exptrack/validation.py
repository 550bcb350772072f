"""Check the texts and numbers that callers give: every public call checks its arguments here or in `plain`.

Invariants: a value that passes is stored and read back exactly. Any other value is refused at the call, before
anything is written. SQLite cannot store lone surrogates or integers beyond 64 bits. Some of its functions end a
text at NUL (``length('a\\0b')`` is 1), so names contain no control characters; free text may.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Sized

from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.plain import describe_error, is_text, is_whole, plain, reading, short_repr
from exptrack.records import RunStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, SupportsFloat, TypeGuard, TypeVar

    _F = TypeVar("_F")


MAX_NAME_CHARS = 1_000
MAX_TEXT_CHARS = 16 * 1024 * 1024
EXACT_INT = 2**53  # a float holds every whole number up to here exactly
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MANY_AT_ONCE = 50_000
MAX_COLUMN = 20_000_000  # points of one call: 480 MB with their steps and times
DIRECTIONS = ("minimize", "maximize")
SHORT_DIRECTIONS = {"min": "minimize", "max": "maximize"}


def check_text(value: object, what: str, *, max_chars: int = MAX_TEXT_CHARS) -> str:
    """Return `value` as plain text if SQLite stores it exactly. A subclass of ``str`` is what it equals.

    Raises:
        InvalidTypeError: it is not text.
        InvalidValueError: it is too long or contains a lone surrogate.
    """
    if not is_text(value):
        raise InvalidTypeError(f"{what} must be text, not {type(value).__name__} {short_repr(value)}")
    text = str.__str__(value)
    if len(text) > max_chars:
        raise InvalidValueError(
            f"{what} has {len(text):,} characters, more than {max_chars:,};"
            " shorten it, or register it as an artifact"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidValueError(
            f"{what} {short_repr(text)} contains a lone surrogate at position {error.start},"
            " which has no UTF-8 form; remove it"
        ) from None
    return text


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
    if type(value) is bool or not (is_whole(value) or hasattr(type(value), "__index__")):
        raise InvalidTypeError(f"a step must be a whole number, not {type(value).__name__} {short_repr(value)}")
    step = _index(value, "a step")
    if not INT64_MIN <= step <= INT64_MAX:
        raise InvalidValueError(f"step {short_repr(step)} does not fit into 64 bits; give a smaller one")
    return step


def _index(value: object, what: str) -> int:
    if is_whole(value):
        return int.__int__(value)
    try:
        return int.__int__(operator.index(value))  # type: ignore[arg-type]
    except Exception as error:  # an array or tensor of several elements, or of floats
        raise InvalidTypeError(
            f"{what} must be one whole number, not {short_repr(value)}: {describe_error(error)}"
        ) from error


def check_whole(value: object, what: str, least: int, most: int = INT64_MAX) -> int:
    """Return `value` as a whole number from `least` to `most`: a limit, a version, a count.

    Raises:
        InvalidTypeError: it is not a whole number, or it is a ``bool``.
        InvalidValueError: it is too small or too large.
    """
    if type(value) is bool or not (is_whole(value) or hasattr(type(value), "__index__")):
        raise InvalidTypeError(f"{what} must be a whole number, not {type(value).__name__} {short_repr(value)}")
    number = _index(value, what)
    if not least <= number <= most:
        least_text = "" if least == INT64_MIN else f" from {least:,}"
        most_text = " within 64 bits" if most == INT64_MAX and number > most else f" to {most:,}"
        most_text = "" if most == INT64_MAX and number < least and least_text else most_text
        raise InvalidValueError(
            f"{what} must be a whole number{least_text}{most_text}, not {short_repr(number)}"
        )
    return number


def check_sql_value(value: object) -> str | int | float | bytes | None:
    """Return a value that a caller gives for a question mark of a statement, as SQLite takes it.

    Raises:
        InvalidTypeError: SQLite has no such type.
        InvalidValueError: it is an integer beyond 64 bits or a text without a UTF-8 form.
    """
    found = plain(value)
    if type(found).__module__ == "numpy" and type(found).__name__ != "ndarray":
        with reading("a parameter"):
            found = plain(found.item())
    if found is None or isinstance(found, float):
        return found
    if isinstance(found, int):
        return check_whole(int(found), "a parameter", INT64_MIN)
    if isinstance(found, str):
        return check_text(found, "a parameter")
    if isinstance(found, (bytes, bytearray, memoryview)):
        with reading("a parameter"):
            return bytes(found)
    raise InvalidTypeError(
        f"a parameter must be text, a number, bytes or None, not {type(value).__name__} {short_repr(value)}"
    )


def check_flag(value: object, what: str) -> bool:
    """Return `value` as a bool: True, False, or numpy's.

    Raises:
        InvalidTypeError: it is anything else.
    """
    if value is True or value is False:
        return value
    if type(value).__name__ in ("bool", "bool_") and type(value).__module__ == "numpy":
        return bool(value)
    raise InvalidTypeError(f"{what} must be True or False, not {type(value).__name__} {short_repr(value)}")


def check_function(value: _F, what: str) -> _F:
    """Return `value` if it is a function, or None.

    Raises:
        InvalidTypeError: it is anything else.
    """
    if value is not None and not callable(value):
        raise InvalidTypeError(f"{what} must be a function, not {type(value).__name__} {short_repr(value)}")
    return value


def check_choice(value: object, what: str, choices: Iterable[str]) -> str:
    """Return `value` if it is one of the choices.

    Raises:
        InvalidValueError: it is none of them.
    """
    text = plain(value)
    known = tuple(choices)
    if type(text) is not str or text not in known:
        raise InvalidValueError(f"{what} must be one of {', '.join(known)}, not {short_repr(value)}")
    return text


def check_number(value: object, what: str) -> float:
    """Return `value` as a float: the value of a metric, a time or another number.

    Takes everything with ``__float__`` (int, float, Decimal, Fraction, numpy and torch scalars), arrays of one
    element, else everything with ``.item()``, and ``bool`` as 0 or 1. NaN and the infinities pass. A subclass
    of int or float is the number that it equals.

    Raises:
        InvalidTypeError: it is text, bytes, a complex number, a time of numpy, or an array with more than one
            element.
        InvalidValueError: it is an int or a Decimal too large for a float.
    """
    if type(value) is float:
        return value
    try:
        number = plain(value)
        # From numpy 2.4 on, float() takes no array of one element that has a dimension.
        is_array = bool(getattr(number, "ndim", 0)) or not (_gives_float(number) or isinstance(number, str))
        if is_array and hasattr(number, "item"):
            number = plain(number.item())
        if _gives_float(number) and not _is_no_number(value) and not _is_no_number(number):
            found = float.__float__(float(number))
            if math.isinf(found) and callable(finite := getattr(number, "is_finite", None)) and finite():
                raise OverflowError  # float() turns a large Decimal into an infinity without an error
            return found
    except OverflowError:
        raise InvalidValueError(
            f"{what} {short_repr(value)} is too large for a float; give a smaller one"
        ) from None
    except Exception as error:  # torch raises RuntimeError, and an object of the caller's anything
        raise InvalidTypeError(
            f"{what} must be one number, not {type(value).__name__} {short_repr(value)}:"
            f" {describe_error(error)}"
        ) from error
    raise InvalidTypeError(f"{what} must be a number, not {type(value).__name__} {short_repr(value)}")


def _gives_float(value: object) -> TypeGuard[SupportsFloat]:
    return hasattr(value, "__float__")


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
        InvalidValueError: there are more than 20,000,000 elements, or they cannot be read.
    """
    if type(values) in (list, tuple):
        return iter(values)
    with reading(what):
        if is_text(values) or isinstance(values, (bytes, bytearray)) or not isinstance(values, Iterable):
            raise InvalidTypeError(
                f"{what} must be a list or an array, not {type(values).__name__} {short_repr(values)}"
            )
        if hasattr(values, "to_numpy"):  # pandas slices by label
            values = values.to_numpy()
        if isinstance(values, Sized):
            try:
                _require_few(len(values), what)
            except (TypeError, OverflowError):  # a 0-d array, or a range beyond 64 bits
                raise InvalidTypeError(f"{what} must be a list or an array, not {short_repr(values)}") from None
        if hasattr(values, "tolist") and hasattr(values, "__getitem__") and isinstance(values, Sized):
            return _iter_array(values, what)
        return _iter_column(iter(values), what)


def _require_few(count: int, what: str) -> None:
    if count > MAX_COLUMN:
        raise InvalidValueError(
            f"{what} must have at most {MAX_COLUMN:,} elements, not {count:,}; give them in several calls"
        )


def _iter_array(values: Any, what: str) -> Iterator[Any]:
    with reading(what):
        # As Python numbers, times would lose their unit.
        are_times = getattr(getattr(values, "dtype", None), "kind", None) in ("m", "M")
        for begin in range(0, len(values), MANY_AT_ONCE):
            some = values[begin : begin + MANY_AT_ONCE]
            yield from some if are_times else some.tolist()


def _iter_column(values: Iterator[Any], what: str) -> Iterator[Any]:
    with reading(what):
        for count, value in enumerate(values, 1):
            if count > MAX_COLUMN:
                _require_few(count, what)
            yield value


def check_status(status: object) -> RunStatus:
    """Return `status`, a RunStatus or its text, as a RunStatus.

    Raises:
        InvalidValueError: there is no such status.
    """
    return RunStatus(check_choice(status, "status", RunStatus))


def check_direction(direction: object) -> str:
    """Return `direction`, ``"minimize"`` or ``"maximize"``, for which ``"min"`` and ``"max"`` are short.

    Raises:
        InvalidValueError: it is none of these.
    """
    word = check_choice(direction, "direction", (*DIRECTIONS, *SHORT_DIRECTIONS))
    return SHORT_DIRECTIONS.get(word, word)
