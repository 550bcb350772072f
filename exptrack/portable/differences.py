"""Find which runs, groups and studies of a file another file does not know as they are.

Two files are compared by the rows of their content digests, so equal runs cost no more than reading those.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from exptrack.database.connection import Connection, in_reading
from exptrack.portable.digest import OF_GROUPS, OF_RUNS, OF_STUDIES, Said, read_content

_Rows = set[tuple[Any, ...]]


class Unknown(NamedTuple):
    """The run ids, names of groups and uids of studies of which a file says something that another does not."""

    runs: frozenset[str]
    groups: frozenset[str]
    studies: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.runs or self.groups or self.studies)


def find_unknown(known: Connection, other: Connection) -> Unknown:
    """Return of what the file `other` says something that the file `known` does not say."""
    parts = (OF_RUNS, OF_GROUPS, OF_STUDIES)
    return Unknown(*(_subtract(_read(other, part), _read(known, part)) for part in parts))


@in_reading
def _read(connection: Connection, part: tuple[Said, ...]) -> list[_Rows]:
    return [_distinguish(rows) for _, rows in read_content(connection, part)]


def _distinguish(rows: list[tuple[Any, ...]]) -> _Rows:
    """Return the rows as a set, in which equal rows are numbered."""
    found = set(rows)
    if len(found) == len(rows):
        return found
    return {(*row, place) for row, count in Counter(rows).items() for place in range(count)}


def _subtract(rows: list[_Rows], known: list[_Rows]) -> frozenset[str]:
    pairs = zip(rows, known, strict=True)
    return frozenset(row[0] for one, other in pairs for row in one - other)
