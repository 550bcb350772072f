"""Classify bare texts, make errors with their place, and set the limits of reading.

Invariant: a bare text is classified as a whole and never by its beginning, so ``2.1.0`` and ``10GB`` are text.
Only ASCII digits form numbers.
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

from exptrack.errors import SdnError
from exptrack.validation import check_text

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 50
MAX_SCALARS = 1_000_000
MAX_STRING = 1024 * 1024
MAX_DIGITS = 4000

INT_LIMIT = 10**MAX_DIGITS

_DIGITS = r"[0-9]++(?:_[0-9]++)*+"
_INT = re.compile(rf"[+-]?{_DIGITS}")
_MANTISSA = rf"(?:{_DIGITS}\.(?:{_DIGITS})?|\.{_DIGITS}|{_DIGITS}(?=[eE]))"
_FLOAT = re.compile(rf"[+-]?{_MANTISSA}(?:[eE][+-]?[0-9]++)?")
_LOSES = re.compile(r"[+-]?0[0-9]|.*_")  # a number that begins with a needless zero, or has an underscore
_NUMBER_START = frozenset("+-.0123456789")
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None, "nil": None}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}


def classify(text: str, *, keep_text: bool = False) -> Value:
    """Return the value of a bare text without outer blanks: bool, null, int, float or the text.

    With `keep_text`, ``007`` and ``1_000`` are text.

    >>> [classify(text) for text in ("1_000", "1e-3", ".5", "2.1.0", "True", "nil")]
    [1000, 0.001, 0.5, '2.1.0', 'True', None]

    Raises:
        SdnError: a number has more than 4,000 digits or is too large for a float.
    """
    text = check_text(text, "an SDN value")
    try:
        return classified_whole(text) if keep_text else classified(text)
    except ValueError as error:
        raise SdnError(str(error), line=1, column=1, source=text) from None


def classified(text: str) -> Value:
    """Return the value of a bare text; raise ``ValueError`` for a number out of range."""
    if text[:1] not in _NUMBER_START:
        return _WORDS.get(text, text)
    is_int = _INT.fullmatch(text) is not None
    if not is_int and not _FLOAT.fullmatch(text):
        return text
    plain = text.replace("_", "")
    if len(plain) > MAX_DIGITS and sum(map(plain.count, "0123456789")) > MAX_DIGITS:
        raise ValueError(f"a number of more than {MAX_DIGITS:,} digits")
    if is_int:
        return int(plain)
    number = float(plain)
    if math.isinf(number):
        raise ValueError("a number too large for a float")
    return number


def classified_whole(text: str) -> Value:
    """Return the value of a bare text as :func:`classified` does, but no number that loses something of it.

    Leading zeros and underscores mean something in an id, a date or a version. So these texts stay text.
    """
    value = classified(text)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return text if is_number and _LOSES.match(text) else value


def utf8(text: str) -> bytes:
    """Encode a text; raise SdnError at its first lone surrogate."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        at = len(text[: error.start].encode("utf-8"))
        data = text.encode("utf-8", "replace")
        raise input_error(data, at, "a lone surrogate has no UTF-8 form") from None


def input_error(data: bytes, at: int, problem: str) -> SdnError:
    """Return the error for the byte at `at`; a character that is cut off there does not count."""
    head, text = data[:at].decode("utf-8", "ignore"), data.decode("utf-8", "replace")
    head, text = (part.removeprefix("\ufeff").replace("\r\n", "\n") for part in (head, text))
    return error_at(text, len(head), problem)


def error_at(text: str, at: int, problem: str) -> SdnError:
    """Return the error for the character at `at`, with its line, column and source line."""
    begin = text.rfind("\n", 0, at) + 1
    source = text[begin:].partition("\n")[0]
    return SdnError(problem, line=text.count("\n", 0, at) + 1, column=at - begin + 1, source=source)
