"""Hold the records that a call returns: a list or a tuple that a notebook shows as a table.

Invariant: they are lists and tuples in every other way, and equal to plain ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

from exptrack.frames import Column, Table, TableMaker, infer_column
from exptrack.record_fields import fields_of
from exptrack.shown import short_list, show_as_html

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _T = TypeVar("_T")

# How the fields of records are declared, and the kinds of their columns.
KIND_OF_WORDS = {
    "str": "text",
    "RunStatus": "text",
    "TrialState": "text",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "datetime": "time",
    "tuple[str, ...]": "list",
}


class _RecordTable(TableMaker):
    """What a list of records adds to a list.

    A column is a field of the records. A map in a field becomes a column for each of its keys, as
    ``metrics.loss``.
    """

    __slots__ = ()

    _repr_html_ = show_as_html

    def __repr__(self) -> str:
        return short_list(self)  # type: ignore[arg-type]

    def _make_table(self) -> Table:
        return _make_table(self)  # type: ignore[arg-type]


# Every call that lists records imports this file. In quotes, a type variable needs no ``typing``.
class RecordList(_RecordTable, list["_T"]):
    """A list of records. A notebook shows it as a table, and it becomes dicts, pandas or polars.

    >>> from exptrack import Archive
    >>> with Archive(tmp_path / "lab.db") as archive:
    ...     for seed in range(4):
    ...         with archive.start_run({"lr": 0.1, "seed": seed}) as run:
    ...             run.log({"loss": 0.5 + seed})
    ...     groups = archive.group_by("lr", "loss")
    >>> [(row["config.lr"], row["count"], row["mean"]) for row in groups.to_dicts()]
    [(0.1, 4, 2.0)]
    """

    __slots__ = ()


class RecordTuple(_RecordTable, tuple["_T", ...]):
    """A tuple of records. A notebook shows it as a table, and it becomes dicts, pandas or polars."""

    __slots__ = ()


def _make_table(records: Sequence[Any]) -> Table:
    rows = [flatten_record(one) for one in records]
    declared = {name: kind for one in {type(one) for one in records} for name, kind in _read_kinds(one)}
    table: Table = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        cells = [row.get(name) for row in rows]
        # Cells that are all missing have no type of their own.
        is_missing = name in declared and not any(cell is not None for cell in cells)
        table[name] = Column(declared[name], cells) if is_missing else infer_column(cells)
    return table


def _read_kinds(kind: type) -> Iterator[tuple[str, str]]:
    """Yield the fields of a class of records whose type is a kind of column."""
    for name, declared in getattr(kind, "__annotations__", {}).items():
        words = str(getattr(declared, "__forward_arg__", declared)).removesuffix(" | None")
        if words in KIND_OF_WORDS:
            yield name, KIND_OF_WORDS[words]


def flatten_record(record: Any) -> dict[str, Any]:
    """Return the fields of a record by name, as plain values; a map becomes a key for each of its keys.

    A tuple of a record and a number, as in a ranking, gets the number as ``value``.
    """
    names = fields_of(record)
    if not names:
        if isinstance(record, tuple) and len(record) == 2 and fields_of(record[0]):
            return flatten_record(record[0]) | {"value": record[1]}
        return {"value": _to_plain(record)}
    found: dict[str, Any] = {}
    for name in names:
        value = getattr(record, name)
        if isinstance(value, dict):
            found |= {f"{name}.{key}": _to_plain(item) for key, item in value.items()}
        else:
            found[name] = _to_plain(value)
    return found


def _to_plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if fields_of(value):
        return str(value)
    return [_to_plain(one) for one in value] if isinstance(value, tuple) else value
