"""Tell the fields of records: of named tuples and dataclasses."""

from __future__ import annotations

from collections.abc import Iterable


def fields_of(record: object) -> tuple[str, ...]:
    """Return the names of a record's public fields; none if it is no record."""
    kind = type(record)
    names: Iterable[str] = getattr(kind, "_fields", None) or getattr(kind, "__dataclass_fields__", None) or ()
    return tuple(name for name in names if not name.startswith("_"))
