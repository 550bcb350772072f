"""Merge the named views of the page of another archive, once each of its rows is proved.

Invariant: of two rows of one name the greatest by the time of the change is taken. Of equal times a deletion
counts more, and then the greater path. So every order of merging gives the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from exptrack.database.connection import Connection, in_section
from exptrack.database.damage import decoding_rows
from exptrack.database.failures import DAMAGE
from exptrack.database.row_sums import hash_row
from exptrack.errors import ExptrackError
from exptrack.portable.stranger_values import check_time
from exptrack.query.page_views import TABLE, check_page_path, check_page_view_name, insert_row

Row: TypeAlias = tuple[Any, ...]  # name, path, changed_at, deleted_at

PAGE_VIEW = "SELECT name, path, changed_at, deleted_at, checksum FROM page_view WHERE name = ?"


@in_section
def merge_page_views(connection: Connection, other: Connection, names: Iterable[str], *, dry_run: bool) -> None:
    """Take the newer of the two rows of each of these names. Commits, power-safe."""
    newer = [] if dry_run else _find_newer(connection, other, names)
    if newer:
        with connection.transaction(durable=True):
            # Another process may have changed a view meanwhile.
            for row in _find_newer(connection, other, [name for name, *_ in newer]):
                insert_row(connection, row)


def find_new_page_views(connection: Connection, other: Connection, names: Iterable[str]) -> set[str]:
    """Return those of these names of which the other file has the newer row."""
    return {row[0] for row in _find_newer(connection, other, names)}


def _find_newer(connection: Connection, other: Connection, names: Iterable[str]) -> list[Row]:
    found = []
    for name in sorted(names):
        theirs, ours = _read(other, name), _read(connection, name)
        if theirs is not None and (ours is None or _rank(theirs) > _rank(ours)):
            found.append(theirs)
    return found


@decoding_rows
def _read(connection: Connection, name: str) -> Row | None:
    row = connection.one(PAGE_VIEW, (name,))
    return None if row is None else tuple(row)[:-1]


def _rank(row: Row) -> Row:
    _name, path, changed_at, deleted_at = row
    return changed_at, deleted_at is not None, path, deleted_at or ""


def prove_page_views(connection: Connection, names: Iterable[str]) -> dict[str, list[str]]:
    """Return what is wrong with each of these views, by name: an empty list for a sound one."""

    def attempt(name: str) -> list[str]:
        try:
            row = connection.one(PAGE_VIEW, (name,))
            return ["its row is missing"] if row is None else find_row_problems(*row)
        except DAMAGE as error:
            return [f"it cannot be read: {error or type(error).__name__}"]

    return connection.reading(lambda: {name: attempt(name) for name in sorted(names)})


def find_row_problems(*row: Any) -> list[str]:
    """Return what is wrong with a row: its checksum, or a value that exptrack would not store."""
    *facts, checksum = row
    if hash_row(TABLE, facts) != checksum:
        return ["it does not match its checksum"]
    name, path, *times = facts
    try:
        check_page_view_name(name)
        check_page_path(path)
        for time in times:
            check_time(time, "change")
    except (ExptrackError, ValueError, TypeError) as error:
        return [str(error)]
    return []
