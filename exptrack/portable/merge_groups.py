"""Merge the groups of runs of another archive: their names, times and attributes.

Invariants: of two states of a group the one changed last is taken, and of two values of an attribute the one
set last. A group that a run outside the trash names is outside the trash.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from exptrack.database.connection import Connection, in_reading, in_section
from exptrack.portable.history import rank_attribute
from exptrack.runs.groups import SET_GROUP_ATTRIBUTE
from exptrack.runs.row_sums import begin_group_sum, changing_group, changing_group_attribute

SELECT_GROUP = "SELECT id, created_at, changed_at, deleted_at FROM run_group WHERE name = ?"
ATTRIBUTES = "SELECT key, type, num, text, set_at FROM run_group_attribute WHERE run_group = ? ORDER BY key"
INSERT_GROUP = "INSERT INTO run_group (name, created_at, changed_at, deleted_at) VALUES (?, ?, ?, ?)"
UPDATE_GROUP = "UPDATE run_group SET created_at = ?, changed_at = ?, deleted_at = ? WHERE id = ?"
UNDELETE_GROUP = "UPDATE run_group SET deleted_at = NULL WHERE id = ?"
HAS_RUNS = "SELECT EXISTS (SELECT 1 FROM run WHERE group_name = ? AND deleted_at IS NULL)"


class _State(NamedTuple):
    created_at: str
    changed_at: str
    deleted_at: str | None

    def rank(self) -> tuple[Any, ...]:
        return self.changed_at, self.deleted_at is None, self.created_at, self.deleted_at or ""


class _News(NamedTuple):
    """What another file brings of a group: its state, and attributes that are new or newer."""

    state: _State
    attributes: list[tuple[Any, ...]]


@in_reading
def find_new_groups(connection: Connection, other: Connection, names: Iterable[str]) -> list[str]:
    """Return those of these groups of which the other file brings something, by their names."""
    return [name for name in sorted(names) if _find_news(connection, other, name) is not None]


@in_section
def merge_groups(connection: Connection, other: Connection, names: Iterable[str], *, dry_run: bool) -> None:
    """Bring the groups with these names, of which the other file says something else, up to date. Commits."""
    if dry_run or not names:
        return
    with connection.transaction():
        for name in sorted(names):
            _merge_group(connection, other, name)


def _merge_group(connection: Connection, other: Connection, name: str) -> None:
    news = _find_news(connection, other, name)
    if news is None:
        return
    row = connection.one(SELECT_GROUP, (name,))
    group = _insert(connection, name, news.state) if row is None else int(row["id"])
    if row is not None and _State(*row[1:]) != news.state:
        with changing_group(connection, group):
            connection.execute(UPDATE_GROUP, (*news.state, group))
    for attribute in news.attributes:
        with changing_group_attribute(connection, group, attribute[0]):
            connection.execute(SET_GROUP_ATTRIBUTE, (group, *attribute))


def _find_news(connection: Connection, other: Connection, name: str) -> _News | None:
    theirs = other.one(SELECT_GROUP, (name,))
    if theirs is None:
        return None
    states = [_State(*theirs[1:])]
    row = connection.one(SELECT_GROUP, (name,))
    own: dict[str, tuple[Any, ...]] = {}
    if row is not None:
        states.append(_State(*row[1:]))
        own = {one[0]: one for one in connection.fold(ATTRIBUTES, (row["id"],), list)}
    state = max(states, key=_State.rank)
    if state.deleted_at is not None and connection.value(HAS_RUNS, (name,)):
        state = state._replace(deleted_at=None)
    attributes = [
        tuple(one)
        for one in other.fold(ATTRIBUTES, (theirs["id"],), list)
        if one[0] not in own or rank_attribute(one) > rank_attribute(own[one[0]])
    ]
    is_known = row is not None and _State(*row[1:]) == state
    return None if is_known and not attributes else _News(state, attributes)


def restore_groups(connection: Connection, other: Connection, names: Iterable[str | None]) -> None:
    """Let groups that runs outside the trash name be outside the trash. Call inside a transaction."""
    for name in sorted(name for name in names if name is not None):
        row = connection.one(SELECT_GROUP, (name,))
        if row is None:
            theirs = other.one(SELECT_GROUP, (name,))
            if theirs is not None:
                _insert(connection, name, _State(*theirs[1:])._replace(deleted_at=None))
        elif row["deleted_at"] is not None:
            with changing_group(connection, row["id"]):
                connection.execute(UNDELETE_GROUP, (row["id"],))


def _insert(connection: Connection, name: str, state: _State) -> int:
    group = connection.execute(INSERT_GROUP, (name, *state)).lastrowid
    assert group is not None
    begin_group_sum(connection, group)
    return group
