"""Keep the groups of runs: their names, their attributes, and which of them are in the trash.

Invariants:

- A run names its group. Each name that a run outside the trash has is that of a group outside the trash.
- A group that was renamed leaves its row, marked as deleted, with the new name as an attribute. So a copy of
  the file can learn of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from exptrack.config.tree import ConfigValue
from exptrack.database.connection import Connection, Row, in_reading, in_section
from exptrack.database.damage import decoding_rows
from exptrack.errors import GroupExistsError, GroupNotFoundError, InvalidValueError
from exptrack.known_secrets import mask_secrets
from exptrack.plain import short_repr
from exptrack.runs.attributes import check_attribute_key, decode_attribute, encode_attribute
from exptrack.runs.events import record_event, time_of_event
from exptrack.runs.lookup import RUN_COLUMNS
from exptrack.runs.row_sums import changing_group, changing_group_attribute, changing_run
from exptrack.runs.store import SET_GROUP, begin_group
from exptrack.runs.trash import mark_as_trash, unmark_as_trash
from exptrack.shown import shown
from exptrack.times import moment, time_after, utc_text
from exptrack.validation import check_name

OWN_KEYS = "exptrack:"  # attributes that callers cannot set
RENAMED_TO = "exptrack:renamed_to"

_WAS_RENAMED = f"""
EXISTS (
    SELECT 1 FROM run_group_attribute AS a
    WHERE g.deleted_at IS NOT NULL AND a.run_group = g.id AND a.key = '{RENAMED_TO}' AND a.type <> 'removed'
)
"""
SELECT_GROUP = f"""
SELECT g.id, g.created_at, g.deleted_at, {_WAS_RENAMED} AS was_renamed FROM run_group AS g WHERE g.name = ?
"""
LIST_GROUPS = f"""
SELECT g.id, g.name, g.created_at, g.deleted_at,
       (SELECT count(*) FROM run AS r
        WHERE r.group_name = g.name AND (r.deleted_at IS NULL) = (g.deleted_at IS NULL)) AS runs
FROM run_group AS g
WHERE (g.deleted_at IS NOT NULL) = ? AND NOT {_WAS_RENAMED}
ORDER BY g.name
"""
GROUP_ATTRIBUTES = """
SELECT run_group, key, type, num, text FROM run_group_attribute
WHERE type <> 'removed' ORDER BY run_group, key
"""
ATTRIBUTES_OF_GROUP = "SELECT key, type, num, text FROM run_group_attribute WHERE run_group = ? ORDER BY key"
SET_GROUP_ATTRIBUTE = """
INSERT INTO run_group_attribute (run_group, key, type, num, text, set_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (run_group, key) DO UPDATE
SET type = excluded.type, num = excluded.num, text = excluded.text, set_at = excluded.set_at
"""
SET_AT = "SELECT set_at FROM run_group_attribute WHERE run_group = ? AND key = ?"
DELETE_GROUP_ATTRIBUTE = """
UPDATE run_group_attribute SET type = 'removed', num = NULL, text = NULL, set_at = ?
WHERE run_group = ? AND key = ? AND type <> 'removed'
"""
MARK_GROUP = "UPDATE run_group SET deleted_at = ?, changed_at = ? WHERE id = ?"
SET_CREATION = "UPDATE run_group SET created_at = ? WHERE id = ?"
RUNS_OF_GROUP = f"{RUN_COLUMNS}WHERE r.group_name = ? ORDER BY r.id"


@shown
class RunGroup(NamedTuple):
    """A group of runs; `runs` counts those outside the trash.

    Of a group that is in the trash since `deleted_at`, `runs` counts those inside.
    """

    name: str
    runs: int
    created_at: datetime
    attributes: dict[str, ConfigValue]
    deleted_at: datetime | None = None


def check_group(name: object) -> str:
    """Return the name of a group, without secrets."""
    return mask_secrets(check_name(name, "group"))


@in_section
def create_group(connection: Connection, name: str) -> None:
    """Make a group; see :meth:`exptrack.Archive.create_group`."""
    with connection.transaction():
        row = connection.one(SELECT_GROUP, (name,))
        if row is not None and row["deleted_at"] is None:
            raise GroupExistsError(name, str(connection.path))
        now = utc_text()
        begin_group(connection, name, now)
        if row is not None:
            with changing_group(connection, row["id"]):
                connection.execute(SET_CREATION, (now, row["id"]))
            _remove_attributes(connection, row["id"], now)


@in_reading
@decoding_rows
def list_groups(connection: Connection, *, trash: bool) -> list[RunGroup]:
    """List the groups by name; see :meth:`exptrack.Archive.list_groups`."""
    attributes: dict[int, dict[str, ConfigValue]] = {}
    for group, key, *stored in connection.fold(GROUP_ATTRIBUTES, (), list):
        if not key.startswith(OWN_KEYS):
            attributes.setdefault(group, {})[key] = decode_attribute(*stored)
    return [
        RunGroup(
            row["name"],
            row["runs"],
            moment(row["created_at"]),
            attributes.get(row["id"], {}),
            None if row["deleted_at"] is None else moment(row["deleted_at"]),
        )
        for row in connection.all(LIST_GROUPS, (int(trash),))
    ]


@in_section
def rename_group(connection: Connection, old: str, new: str) -> int:
    """Rename a group, and return how many runs it has; see :meth:`exptrack.Archive.rename_group`."""
    with connection.transaction():
        row = _get(connection, old)
        if new == old:
            return len(connection.all(RUNS_OF_GROUP, (old,)))
        target = connection.one(SELECT_GROUP, (new,))
        if target is not None and target["deleted_at"] is None:
            raise GroupExistsError(new, str(connection.path))
        now = utc_text()
        begin_group(connection, new, now)
        target = _get(connection, new)
        with changing_group(connection, target["id"]):
            connection.execute(SET_CREATION, (row["created_at"], target["id"]))
        _remove_attributes(connection, target["id"], now)
        for key, kind, num, text in connection.fold(ATTRIBUTES_OF_GROUP, (row["id"],), list):
            if kind != "removed":
                _set_attribute(connection, target["id"], key, (kind, num, text), now)
        _remove_attributes(connection, row["id"], now)
        _set_attribute(connection, row["id"], RENAMED_TO, ("text", None, new), now)
        with changing_group(connection, row["id"]):
            connection.execute(MARK_GROUP, (now, now, row["id"]))
        runs = connection.all(RUNS_OF_GROUP, (old,))
        for run in runs:
            with changing_run(connection, run["id"]):
                connection.execute(SET_GROUP, (new, run["id"]))
            # Also those in the trash, which take no other change.
            late = run["status"] != "running"
            at = time_of_event(connection, run["id"], now)
            record_event(connection, run["id"], "group", {"group": new, "before": old}, at=at, late=late)
    return len(runs)


@in_section
def set_group_attribute(connection: Connection, name: str, key: object, value: object) -> None:
    """Set an attribute of a group; see :meth:`exptrack.Archive.set_group_attribute`."""
    checked, stored = encode_attribute(key, value)
    if checked.startswith(OWN_KEYS):
        raise InvalidValueError(
            f"{short_repr(key)} is a key of exptrack, as it begins with {OWN_KEYS!r}; choose another"
        )
    with connection.transaction():
        _set_attribute(connection, _get(connection, name)["id"], checked, stored, utc_text())


@in_section
def delete_group_attribute(connection: Connection, name: str, key: object) -> None:
    """Delete an attribute of a group; see :meth:`exptrack.Archive.delete_group_attribute`."""
    checked = check_attribute_key(key)
    with connection.transaction():
        _remove_attribute(connection, _get(connection, name)["id"], checked, utc_text())


@in_section
def trash_group(connection: Connection, name: str) -> list[str]:
    """Move a group and its runs to the trash; see :meth:`exptrack.Archive.trash_group`."""
    with connection.transaction():
        row = _get(connection, name)
        runs = [run for run in connection.all(RUNS_OF_GROUP, (name,)) if run["deleted_at"] is None]
        now = utc_text()
        mark_as_trash(connection, runs, now)
        # It was renamed once, and has come into being again.
        _remove_attribute(connection, row["id"], RENAMED_TO, now)
        with changing_group(connection, row["id"]):
            connection.execute(MARK_GROUP, (now, now, row["id"]))
    return [run["run_id"] for run in runs]


@in_section
def restore_group(connection: Connection, name: str) -> list[str]:
    """Take a group and its runs out of the trash; see :meth:`exptrack.Archive.restore_group`."""
    with connection.transaction():
        row = connection.one(SELECT_GROUP, (name,))
        if row is None or row["was_renamed"]:
            raise GroupNotFoundError(name, str(connection.path))
        if row["deleted_at"] is None:
            return []
        runs = [run for run in connection.all(RUNS_OF_GROUP, (name,)) if run["deleted_at"] == row["deleted_at"]]
        now = utc_text()
        begin_group(connection, name, now)
        unmark_as_trash(connection, runs)
    return [run["run_id"] for run in runs]


def _get(connection: Connection, name: str) -> Row:
    row = connection.one(SELECT_GROUP, (name,))
    if row is None or row["deleted_at"] is not None:
        in_trash = row is not None and not row["was_renamed"]
        raise GroupNotFoundError(name, str(connection.path), in_trash=in_trash)
    return row


@decoding_rows
def _time_of_change(connection: Connection, group: int, key: str, at: str) -> str:
    return time_after(at, connection.value(SET_AT, (group, key)))


def _set_attribute(
    connection: Connection, group: int, key: str, stored: tuple[str, float | None, str | None], at: str
) -> None:
    with changing_group_attribute(connection, group, key):
        set_at = _time_of_change(connection, group, key, at)
        connection.execute(SET_GROUP_ATTRIBUTE, (group, key, *stored, set_at))


def _remove_attributes(connection: Connection, group: int, at: str) -> None:
    for key, *_stored in connection.fold(ATTRIBUTES_OF_GROUP, (group,), list):
        _remove_attribute(connection, group, key, at)


def _remove_attribute(connection: Connection, group: int, key: str, at: str) -> None:
    with changing_group_attribute(connection, group, key):
        set_at = _time_of_change(connection, group, key, at)
        connection.execute(DELETE_GROUP_ATTRIBUTE, (set_at, group, key))
