"""Take apart the orders and lists of fields that the user writes."""

from __future__ import annotations

import re

PART = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')


def split_fields(text: str) -> tuple[str, ...]:
    """Return the fields that a text names, separated by commas outside of quotes."""
    return tuple(part.strip() for part in PART.findall(text) if part.strip())


def list_sorted(text: str) -> list[str]:
    """Return the fields of an order, without their directions."""
    return [_split_direction(part)[0] for part in split_fields(text)]


def _split_direction(part: str) -> tuple[str, bool]:
    """Return a field of an order, and whether the greatest comes first."""
    field, _, word = part.rpartition(" ")
    if field and word.lower() in ("asc", "desc"):
        part, is_descending = field.strip(), word.lower() == "desc"
        return part.removeprefix("-"), is_descending != part.startswith("-")
    return part.removeprefix("-").strip(), part.startswith("-")


def turn_order(order: str) -> str:
    """Return the opposite of an order; that of the usual one is the oldest run first."""
    parts = [_split_direction(part) for part in split_fields(order)]
    turned = ", ".join(f"{'' if is_descending else '-'}{field}" for field, is_descending in parts)
    return {"": "started", "-started": ""}.get(turned, turned)
