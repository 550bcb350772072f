"""Encode answers: records as JSON, curves as columns of numbers, errors with their status.

Invariants: JSON has no NaN and no infinities, so they are texts. So are whole numbers that a browser would
round. A record is an object with the names of its fields. Times are ISO 8601 in UTC and end with Z. Bytes are
an object with their base64.
"""

from __future__ import annotations

import base64
import json
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from exptrack import (
    ArchiveError,
    ArchiveLockedError,
    ArchiveReadOnlyError,
    ArchiveTooNewError,
    Buckets,
    ConflictError,
    ExptrackError,
    FilterError,
    InvalidValueError,
    MissingPackageError,
    NotFoundError,
    QueryStoppedError,
)
from exptrack.web.readers import ClientLeftError

# The first class that an error belongs to decides.
STATUSES: tuple[tuple[type[ExptrackError], int], ...] = (
    (QueryStoppedError, 504),
    (InvalidValueError, 400),
    (NotFoundError, 404),
    (ConflictError, 409),
    (ArchiveReadOnlyError, 409),
    (ArchiveTooNewError, 409),
    (ArchiveLockedError, 503),
    (MissingPackageError, 501),
    (ArchiveError, 500),
)
CLIENT_LEFT = 499  # nobody reads this status; it is that of nginx
CURVE_COLUMNS = ("start", "min", "max", "sum", "count", "nan_count", "first", "last")
EXACT = 2**53  # up to here, a double holds every whole number
ALIGNMENT = 8  # of float64 in the buffer of a browser
BIG_ENDIAN = array("H", [1]).tobytes() == b"\0\1"


def to_plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int:
        return value if -EXACT <= value <= EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else write_special(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {_to_key(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: to_plain(item) for name, item in zip(value._fields, value, strict=True)}
    if is_dataclass(value):
        return {one.name: to_plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple, array)):
        return [to_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(to_plain(item) for item in value)
    return value


def write_special(number: float) -> str:
    """Return NaN or an infinity as the text that stands for it."""
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"


def _to_key(key: object) -> str:
    return key if type(key) is str else str(key)


def to_json(value: Any) -> bytes:
    """Return a value as one JSON document, in ASCII: a lone surrogate in a text is escaped too."""
    return json.dumps(to_plain(value), allow_nan=False, separators=(",", ":")).encode("ascii")


def answer_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with a JSON document."""
    return Response(to_json(value), status, headers, media_type="application/json")


def answer_bytes(content: bytes, version: str) -> Response:
    """Return an answer with columns of numbers, as of a version of the archive."""
    return Response(content, headers={"x-archive-version": version}, media_type="application/octet-stream")


def refuse(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer that says what is wrong."""
    return answer_json({"error": {"kind": kind, "message": message}}, status, headers)


def answer_error(error: ExptrackError | ClientLeftError) -> Response:
    """Return the answer to a question that ended in an error."""
    if isinstance(error, ClientLeftError):
        return Response(status_code=CLIENT_LEFT)
    status = next((code for kind, code in STATUSES if isinstance(error, kind)), 500)
    facts: dict[str, Any] = {"kind": type(error).__name__, "message": str(error)}
    if isinstance(error, FilterError):
        facts |= {"message": error.problem, "position": count_units(error.text, error.position)}
    return answer_json({"error": facts}, status)


def count_units(text: str, place: int) -> int:
    """Return how many units of UTF-16, as browsers count, stand before a place in a text."""
    return place + sum(character > "\uffff" for character in text[:place])


def pack_row_ids(row_ids: array[int]) -> bytes:
    """Return row ids as little-endian uint32."""
    return _little_endian(array("I", row_ids))


def pack_curve(curve: Buckets) -> bytes:
    """Return the columns of a curve one after the other, as little-endian float64."""
    columns = curve.buffers()
    return b"".join(_little_endian(array("d", columns[name])) for name in CURVE_COLUMNS)


def _little_endian(numbers: array[Any]) -> bytes:
    if BIG_ENDIAN:
        numbers.byteswap()
    return numbers.tobytes()


def join_curves(
    version: str, by: str, width: float, sizes: Sequence[Mapping[str, Any]], packed: Sequence[bytes]
) -> bytes:
    """Return packed curves behind the header that describes them."""
    facts = {"version": version, "by": by, "width": width, "columns": CURVE_COLUMNS, "curves": sizes}
    header = to_json(facts)
    header += b" " * (-(len(header) + 4) % ALIGNMENT)
    return b"".join((len(header).to_bytes(4, "little"), header, *packed))
