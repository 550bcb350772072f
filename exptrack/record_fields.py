"""Tell the fields of records: of named tuples and dataclasses."""

from __future__ import annotations

from collections.abc import Iterable


def fields_of(record: object) -> tuple[str, ...]:
    """Return the names of the fields that a record shows; none if it is no record."""
    kind = type(record)
    declared = getattr(kind, "__dataclass_fields__", None) or {}
    names: Iterable[str] = [name for name, one in declared.items() if one.repr] or getattr(kind, "_fields", ())
    return tuple(name for name in names if not name.startswith("_"))
