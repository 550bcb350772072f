"""Say what a run is: its name, group, tags, notes, attributes and events.

Invariants:

- All but the events may change, also after the run's end. The seal of a run does not cover them; the sum of its
  rows does.
- Every change is one transaction together with its event. Attributes have no event: their rows tell the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from exptrack.config.tree import ConfigValue
from exptrack.database.connection import Connection, Row, in_section
from exptrack.database.damage import decoding_rows
from exptrack.errors import InvalidTypeError, RunNotFoundError
from exptrack.fixed_attributes import FixedAttributes
from exptrack.known_secrets import mask_secrets
from exptrack.listed import listed
from exptrack.plain import short_repr
from exptrack.records import Event, Note
from exptrack.runs.events import check_facts, read_events, record_event, time_of_event
from exptrack.runs.lookup import read_notes
from exptrack.runs.row_sums import changing_run
from exptrack.runs.store import (
    SET_GROUP,
    begin_group,
    check_note,
    check_optional_name,
    check_tags,
    insert_note,
)
from exptrack.shown import show_as_html
from exptrack.times import moment, read_time, utc_text
from exptrack.validation import check_name, check_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from exptrack.runs.attributes import StoredValue


NAMES = "SELECT name, group_name FROM run WHERE id = ?"
RENAME = "UPDATE run SET name = ? WHERE id = ?"
SELECT_TAGS = "SELECT tag FROM run_tag WHERE run = ? ORDER BY tag"


class Description(FixedAttributes):
    """The part of a run that describes it."""

    _repr_html_ = show_as_html

    _NOUN: ClassVar[str] = "run"
    _CALLS: ClassVar[Mapping[str, str]] = {
        "name": "run.rename(name)",
        "group": "run.set_group(name)",
        "tags": "run.add_tag(tag) or run.remove_tag(tag)",
        "notes": "run.add_note(text)",
        "attributes": "run.set_attribute(key, value)",
        "config": "run.update_config(values)",
        "metrics": "run.log(values)",
        "inputs": "run.use_artifact(reference)",
        "artifacts": "run.artifacts.register_data(name, content)",
        "status": "run.finish(status)",
        "deleted_at": "archive.trash_run(run) or archive.restore_run(run)",
    }
    _OTHERWISE: ClassVar[str] = "to store a value with the run, call run.set_attribute(key, value)"

    _connection: Connection
    _run: int
    run_id: str

    # Name and group

    @property
    def name(self) -> str | None:
        """The name in the file, read now. Change it with `rename`."""
        return self._read_names()[0]

    @property
    def group(self) -> str | None:
        """The group in the file, read now. Change it with `set_group`."""
        return self._read_names()[1]

    @decoding_rows
    def _read_names(self) -> tuple[str | None, str | None]:
        row = self._connection.one(NAMES, (self._run,))
        if row is None:
            raise RunNotFoundError(self.run_id, self._connection.file)
        return row["name"], row["group_name"]

    def rename(self, name: str | None) -> None:
        """Give the run another name, also after its end; None takes its name away. Commits.

        An event ``rename`` tells the name, and the one before.
        """
        self._store_name(check_optional_name(name, "run name"))

    @in_section
    def _store_name(self, name: str | None) -> None:
        with self._connection.transaction():
            self._require_changeable()
            before, _group = self._read_names()
            if name != before:
                with changing_run(self._connection, self._run):
                    self._connection.execute(RENAME, (name, self._run))
                record_event(self._connection, self._run, "rename", {"name": name, "before": before})

    def set_group(self, name: str | None) -> None:
        """Put the run into a group, also after its end; None takes it out of its group. Commits.

        A group of that name is made if there is none. An event ``group`` tells the group, and the one before.
        """
        self._store_group(check_optional_name(name, "group"))

    @in_section
    def _store_group(self, name: str | None) -> None:
        with self._connection.transaction():
            self._require_changeable()
            _name, before = self._read_names()
            if name != before:
                now = time_of_event(self._connection, self._run)
                if name is not None:
                    begin_group(self._connection, name, now)
                with changing_run(self._connection, self._run):
                    self._connection.execute(SET_GROUP, (name, self._run))
                facts = {"group": name, "before": before}
                record_event(self._connection, self._run, "group", facts, at=now)

    # Attributes

    def set_attribute(self, key: str, value: object) -> None:
        """Set an attribute: a key with a value that may change at any time, also after the end. Commits.

        `value` is text, a number (NaN and the infinities too), a bool, None, or a list or map of what a config
        may hold. It comes back with its type. Filters know it as ``attr.KEY``.

        Raises:
            InvalidTypeError, InvalidValueError: the key is no name, or the value cannot be stored.
        """
        from exptrack.runs.attributes import encode_attribute

        self._store_attributes(dict([encode_attribute(key, value)]))

    def set_attributes(self, values: Mapping[str, Any]) -> None:
        """Set several attributes, all or none, as `set_attribute` does. Commits."""
        from exptrack.runs.attributes import check_attributes

        self._store_attributes(check_attributes(values))

    @in_section
    def _store_attributes(self, values: Mapping[str, StoredValue]) -> None:
        from exptrack.runs.attributes import save_attributes

        with self._connection.transaction():
            self._require_changeable()
            save_attributes(self._connection, self._run, values, utc_text())

    def delete_attribute(self, key: str) -> None:
        """Delete an attribute. A key that the run does not have is ignored. Commits."""
        from exptrack.runs.attributes import check_attribute_key

        self._delete_attribute(check_attribute_key(key))

    @in_section
    def _delete_attribute(self, key: str) -> None:
        from exptrack.runs.attributes import remove_attribute

        with self._connection.transaction():
            self._require_changeable()
            remove_attribute(self._connection, self._run, key, utc_text())

    @property
    def attributes(self) -> dict[str, ConfigValue]:
        """The attributes by key, read now, as a copy."""
        from exptrack.runs.attributes import read_attributes

        return read_attributes(self._connection, self._run)

    # Tags, notes and events

    def add_tag(self, *tags: str) -> None:
        """Add tags, all or none. A tag that the run has is left as it is. Commits."""
        self._store_tags(check_tags(tags))

    @in_section
    def _store_tags(self, checked: list[str]) -> None:
        from exptrack.runs.changes import add_tags

        with self._connection.transaction():
            self._require_changeable()
            add_tags(self._connection, self._run, checked)

    def remove_tag(self, *tags: str) -> None:
        """Remove tags. A tag that the run does not have is ignored. Commits."""
        self._delete_tags(check_tags(tags))

    @in_section
    def _delete_tags(self, checked: list[str]) -> None:
        from exptrack.runs.changes import remove_tags

        with self._connection.transaction():
            self._require_changeable()
            remove_tags(self._connection, self._run, checked)

    def add_note(self, text: str) -> None:
        """Add a note. Commits."""
        self._store_note(check_note(text))

    @in_section
    def _store_note(self, checked: str) -> None:
        with self._connection.transaction():
            self._require_changeable()
            insert_note(self._connection, self._run, checked)

    def edit_note(self, note: Note, text: str) -> None:
        """Replace a note of :attr:`notes` by a new text. It becomes the last note. Commits.

        No copy of the old text stays in the archive, and no merge brings it back.

        Raises:
            NotFoundError: the run no longer has the note.
        """
        self._replace_note(_check_old_note(note), check_note(text))

    def remove_note(self, note: Note) -> None:
        """Remove a note of :attr:`notes`. Commits. An event tells that a note was removed, but not its text.

        Raises:
            NotFoundError: the run no longer has the note.
        """
        self._replace_note(_check_old_note(note), None)

    @in_section
    def _replace_note(self, note: Note, text: str | None) -> None:
        from exptrack.runs.notes import replace_note

        with self._connection.transaction():
            self._require_changeable()
            replace_note(self._connection, self._run, self.run_id, note, text)

    def append_event(self, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Append an event to the run's log. `data` holds values that a config may hold. Commits."""
        checked = mask_secrets(check_name(kind, "event kind"))
        self._store_event(checked, {} if data is None else check_facts(data, "event data"))

    @in_section
    def _store_event(self, checked: str, facts: Mapping[str, Any]) -> None:
        with self._connection.transaction():
            self._require_changeable()
            record_event(self._connection, self._run, checked, facts)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags, sorted."""
        return tuple(row["tag"] for row in self._connection.all(SELECT_TAGS, (self._run,)))

    @property
    @listed
    def notes(self) -> tuple[Note, ...]:
        """The notes, oldest first."""
        return read_notes(self._connection, self._run)

    @listed
    def read_events(self) -> tuple[Event, ...]:
        """Return the events of the run, oldest first."""
        return read_events(self._connection, self._run)

    @property
    def deleted_at(self) -> datetime | None:
        """When the run was moved to the trash, read now; None if it is not there."""
        row = self._require_present()
        return None if row["deleted_at"] is None else moment(row["deleted_at"])

    def _require_present(self) -> Row:
        from exptrack.runs.changes import require_present

        return require_present(self._connection, self._run, self.run_id)

    def _require_changeable(self) -> None:
        from exptrack.runs.changes import require_changeable

        require_changeable(self._connection, self._run, self.run_id)


def _check_old_note(note: object) -> Note:
    if not isinstance(note, Note):
        raise InvalidTypeError(f"a note must be one of run.notes, not {short_repr(note)}")
    return Note(read_time(note.written_at, "the time of the note"), check_text(note.text, "note"))
