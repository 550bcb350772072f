"""The parameters of a request, checked: what is wrong with one is an error that names it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from exptrack import Archive, InvalidValueError, RunQuery
from exptrack.plain import short_repr

MAX_PARAMETERS = 10_000
MAX_DIGITS = 19


class Question:
    """The parameters of one request."""

    def __init__(self, path: dict[str, Any], query: bytes) -> None:
        self._path = path
        try:
            self._values = parse_qs(
                query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
            )
        except ValueError as error:
            raise InvalidValueError(
                f"the query of the address is invalid ({error}); write it in UTF-8"
            ) from None

    def part(self, name: str) -> str:
        """Return a part of the path."""
        return str(self._path[name])

    def texts(self, name: str) -> list[str]:
        """Return every value of a parameter."""
        return self._values.get(name, [])

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter that is given once at most."""
        values = self._values.get(name, [default])
        if len(values) > 1:
            raise InvalidValueError(f"{name} is given {len(values)} times; give it once")
        return values[0]

    def require(self, name: str) -> str:
        """Return a parameter that must be given."""
        if name not in self._values:
            raise InvalidValueError(f"the parameter {name} is missing; give it")
        return self.text(name)

    def whole(self, name: str, default: int) -> int:
        """Return a whole number."""
        text = self.text(name)
        return default if text == "" else _read_whole(text, name)

    def wholes(self, name: str) -> list[int]:
        """Return whole numbers that commas separate."""
        return [_read_whole(one, name) for text in self.texts(name) for one in text.split(",") if one]

    def number(self, name: str) -> float | None:
        """Return a number, an int if it is written as one; None if it is missing."""
        text = self.text(name)
        if text == "":
            return None
        try:
            return int(text) if text.lstrip("-").isdecimal() else float(text)
        except ValueError:
            raise InvalidValueError(f"{name} must be a number, not {short_repr(text)}") from None

    def flag(self, name: str) -> bool:
        """Whether a parameter says yes: ``1`` or ``true``."""
        text = self.text(name, "0")
        if text not in ("0", "1", "false", "true"):
            raise InvalidValueError(f"{name} must be 0 or 1, not {short_repr(text)}")
        return text in ("1", "true")

    def runs(self, archive: Archive) -> RunQuery:
        """Return the runs that `where` and `order` ask for."""
        query = archive.runs().allow_unknown()
        for where in self.texts("where"):
            query = query.where(where)
        order = self.texts("order")
        return query.order_by(*order) if order else query


def _read_whole(text: str, name: str) -> int:
    if not text.lstrip("-").isdecimal() or len(text.lstrip("-")) > MAX_DIGITS:
        raise InvalidValueError(f"{name} must be a whole number, not {short_repr(text)}")
    return int(text)
