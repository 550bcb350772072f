"""Refuse values of a stranger's file that exptrack cannot have written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from exptrack.config.tree import check_values
from exptrack.database.row_sums import wrap_sum
from exptrack.errors import InvalidValueError
from exptrack.runs.attributes import decode_attribute
from exptrack.times import moment
from exptrack.validation import check_name, check_text

MOST_PARTS = 1_000_000  # of a JSON text, as of a config
FEW_CHARS = 100_000  # a shorter JSON text is not counted first
MOST_DEPTH = 50
MOST_PROBLEMS = 20  # that are told of one run, group or study

is_run_id = re.compile(r"[0-9a-hjkmnp-tv-z]{16}").fullmatch
is_digest = re.compile(r"[0-9a-f]{64}").fullmatch
is_family = re.compile(r"[0-9a-f]{16}").fullmatch
is_content_hash = re.compile(r"sha256:[0-9a-f]{64}").fullmatch
_is_time = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", re.ASCII).fullmatch


class RowsProof:
    """What is known so far of rows that have one sum, and what is wrong with them."""

    __slots__ = ("problems", "stored_sum", "total")

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.stored_sum = self.total = 0

    def say(self, problem: str) -> None:
        """Note a problem."""
        if len(self.problems) < MOST_PROBLEMS and problem not in self.problems:
            self.problems.append(problem)

    def add(self, encoded: bytes) -> None:
        """Add the hash of a list to the sum of the rows."""
        self.total += first_bits(hashlib.sha256(encoded).digest())

    def end(self, what: str) -> None:
        """Compare the sum with the one that is stored."""
        if wrap_sum(self.total) != self.stored_sum:
            self.say(f"{what} are not those that were stored")


def first_bits(digest: bytes) -> int:
    """Return the first 64 bits of a SHA-256 as a row's hash has them."""
    return int.from_bytes(digest[:8], "big", signed=True)


def require(is_right: object, problem: str) -> None:
    """Refuse what is not right.

    Raises:
        InvalidValueError: it is not; the message is `problem`.
    """
    if not is_right:
        raise InvalidValueError(problem)


def check_time(text: str | None, what: str) -> None:
    """Refuse a text that is no time of the archive; None passes.

    Raises:
        ValueError, InvalidValueError: it is not such a time.
    """
    if text is not None:
        require(_is_time(text), f"the time of its {what} is not a time")
        moment(text)


def check_optional_text(text: str | None) -> None:
    """Refuse a text that is longer than exptrack stores; None passes.

    Raises:
        InvalidValueError: it is.
    """
    if text is not None:
        check_text(text, "a text of it")


def check_texts(texts: Iterable[object], what: str) -> None:
    """Refuse what is no text.

    Raises:
        InvalidTypeError, InvalidValueError: something is not such a text, or is too long.
    """
    for text in texts:
        check_text(text, f"its {what}")


def _refuse_constant(name: str) -> None:
    raise InvalidValueError(f"a JSON text of it holds {name}")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode


def parse_json(text: str, kind: type | tuple[type, ...], what: str, *, finite: bool = True) -> Any:
    """Parse a JSON text of this kind that has neither too many parts nor too many levels.

    Optuna's attributes need not be `finite`: they may hold NaN and infinities.

    Raises:
        InvalidValueError, ValueError, RecursionError: it is none, or has too many.
    """
    brackets = text.count("[") + text.count("{")
    if len(text) > FEW_CHARS:
        require(brackets + text.count(",") <= MOST_PARTS, f"its {what} has more than {MOST_PARTS:,} parts")
    found = _decode(text) if finite else json.loads(text)
    require(isinstance(found, kind), f"its {what} is {type(found).__name__}")
    if brackets > MOST_DEPTH:
        require(_measure_depth(found) <= MOST_DEPTH, f"its {what} is nested deeper than {MOST_DEPTH} levels")
    return found


def _measure_depth(value: Any) -> int:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_measure_depth, below), default=0)


def check_attribute(key: str, kind: str, num: float | None, text: str | None, set_at: str) -> None:
    """Refuse the row of an attribute that exptrack cannot have written.

    Raises:
        ExptrackError, ValueError, TypeError, RecursionError: it is one.
    """
    check_name(key, "attribute key")
    check_time(set_at, "attribute")
    if kind == "json":
        check_values({key: parse_json(text or "", (dict, list), "attribute")})
    elif kind == "removed":
        require(num is None and text is None, f"the attribute {key!r} is removed and has a value")
    else:
        require(
            text is None or len(text) <= FEW_CHARS or kind == "text",
            f"the attribute {key!r} is not of the type {kind}",
        )
        decode_attribute(kind, num, text)
        check_optional_text(text)
