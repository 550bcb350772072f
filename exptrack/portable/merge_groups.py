"""Merge the groups of runs of another archive: their names, times and attributes.

Invariants: of two states of a group the one changed last is taken, and of two values of an attribute the one
set last. A group that a run outside the trash names is outside the trash.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from exptrack.database.connection import Connection, in_section
from exptrack.portable.history import rank_attribute
from exptrack.portable.study_proofs import prove_groups
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


class _Change(NamedTuple):
    """What a merge changes of a group: its state, None if that stays; and rows of attributes."""

    group: int | None  # None: the group is new
    state: _State | None
    attributes: list[tuple[Any, ...]]

    def __bool__(self) -> bool:
        return self.state is not None or bool(self.attributes)


@in_section
def merge_groups(connection: Connection, other: Connection, names: Iterable[str], *, dry_run: bool) -> None:
    """Bring the groups with these names, of which the other file says something else, up to date.

    Commits, power-safe.
    """
    if dry_run or not names:
        return
    with connection.transaction(durable=True):
        for name in sorted(names):
            _apply(connection, name, _find_change(connection, other, name))


def find_new_groups(connection: Connection, other: Connection, names: Iterable[str]) -> set[str]:
    """Return those of these groups of which the other file says something newer."""
    return {name for name in names if _find_change(connection, other, name)}


def _find_change(connection: Connection, other: Connection, name: str) -> _Change:
    theirs, row = other.one(SELECT_GROUP, (name,)), connection.one(SELECT_GROUP, (name,))
    if theirs is None:
        return _Change(None, None, [])
    before = None if row is None else _State(*row[1:])
    state = max((one for one in (before, _State(*theirs[1:])) if one is not None), key=_State.rank)
    if state.deleted_at is not None and connection.value(HAS_RUNS, (name,)):
        state = state._replace(deleted_at=None)
    group = None if row is None else int(row["id"])
    own = {one[0]: one for one in connection.fold(ATTRIBUTES, (group,), list)}
    newer = [
        one
        for one in other.fold(ATTRIBUTES, (theirs["id"],), list)
        if one[0] not in own or rank_attribute(one) > rank_attribute(own[one[0]])
    ]
    return _Change(group, None if state == before else state, newer)


def _apply(connection: Connection, name: str, change: _Change) -> None:
    group = change.group
    if group is None:
        if change.state is None:
            return
        group = _insert(connection, name, change.state)
    elif change.state is not None:
        with changing_group(connection, group):
            connection.execute(UPDATE_GROUP, (*change.state, group))
    for row in change.attributes:
        with changing_group_attribute(connection, group, row[0]):
            connection.execute(SET_GROUP_ATTRIBUTE, (group, *row))


def restore_groups(connection: Connection, other: Connection, names: Iterable[str | None]) -> None:
    """Let groups that runs outside the trash name be outside the trash. Call inside a transaction."""
    for name in sorted(name for name in names if name is not None):
        row = connection.one(SELECT_GROUP, (name,))
        if row is None:
            theirs = other.one(SELECT_GROUP, (name,))
            if theirs is not None and not prove_groups(other, [name])[name]:
                _insert(connection, name, _State(*theirs[1:])._replace(deleted_at=None))
        elif row["deleted_at"] is not None:
            with changing_group(connection, row["id"]):
                connection.execute(UNDELETE_GROUP, (row["id"],))


def _insert(connection: Connection, name: str, state: _State) -> int:
    group = connection.execute(INSERT_GROUP, (name, *state)).lastrowid
    assert group is not None
    begin_group_sum(connection, group)
    return group
