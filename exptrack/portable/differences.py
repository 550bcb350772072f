"""Find which runs, groups, studies and page views of a file another file does not know as they are.

Two files are compared by the rows of their content digests, so equal runs cost no more than reading those.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from exptrack.database.connection import Connection, in_reading
from exptrack.portable.digest import PARTS, Said, read_content

_Rows = set[tuple[Any, ...]]


class Unknown(NamedTuple):
    """The runs, groups, studies and page views of which a file says something that another does not.

    Runs are named by their ids, studies by their uids, the others by their names.
    """

    runs: frozenset[str]
    groups: frozenset[str]
    studies: frozenset[str]
    page_views: frozenset[str]

    def __bool__(self) -> bool:
        return any(self)


class Known:
    """What a file says, read once to be compared with several others."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._parts: dict[tuple[Said, ...], list[_Rows]] = {}

    def read(self, part: tuple[Said, ...]) -> list[_Rows]:
        """Return the rows of each kind, as they were when they were first read."""
        if part not in self._parts:
            self._parts[part] = _read(self.connection, part)
        return self._parts[part]

    def forget(self) -> None:
        """Read anew. Call it when the file has changed."""
        self._parts.clear()


def find_unknown(known: Known, other: Connection) -> Unknown:
    """Return of what the file `other` says something that the known file does not say."""
    return Unknown(*(_subtract(_read(other, part), known.read(part)) for part in PARTS))


@in_reading
def _read(connection: Connection, part: tuple[Said, ...]) -> list[_Rows]:
    return [_distinguish(rows) for _, rows in read_content(connection, part)]


def _distinguish(rows: list[tuple[Any, ...]]) -> _Rows:
    """Return the rows as a set, in which the second of equal rows has a number more, and so on."""
    found = set(rows)
    if len(found) < len(rows):
        found |= {(*row, place) for row, count in Counter(rows).items() for place in range(1, count)}
    return found


def _subtract(rows: list[_Rows], known: list[_Rows]) -> frozenset[str]:
    pairs = zip(rows, known, strict=True)
    return frozenset(row[0] for one, other in pairs for row in one - other)
