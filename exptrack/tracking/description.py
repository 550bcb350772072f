"""Say what a run is: its tags, notes and events.

Invariants:

- All of it may change, also after the run's end. The seal of a run does not cover it; the sum of its rows does.
- Every change is one transaction together with its event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exptrack.config.exp_config import ExpConfig
from exptrack.config.tree import hide_secrets
from exptrack.database.connection import Connection, in_section
from exptrack.database.row_sums import hash_row
from exptrack.errors import ConfigError, InvalidValueError, RunNotFoundError
from exptrack.known_secrets import mask_facts, mask_secrets
from exptrack.records import Event, Note
from exptrack.runs.events import read_events, record_event
from exptrack.runs.lookup import read_notes
from exptrack.runs.row_sums import removing_tag
from exptrack.runs.store import INSERT_TAG, check_note, check_tags, insert_note
from exptrack.times import utc_text
from exptrack.validation import check_name

HAS_RUN = "SELECT id FROM run WHERE id = ?"
DELETE_TAG = "DELETE FROM run_tag WHERE run = ? AND tag = ?"
SELECT_TAGS = "SELECT tag FROM run_tag WHERE run = ? ORDER BY tag"


class Description:
    """The part of a run that describes it."""

    _connection: Connection
    _run: int
    run_id: str

    def add_tag(self, *tags: str) -> None:
        """Add tags, all or none. A tag that the run has is left as it is. Commits."""
        self._store_tags(check_tags(tags))

    @in_section
    def _store_tags(self, checked: list[str]) -> None:
        with self._connection.transaction():
            self._require_present()
            for tag in checked:
                now = utc_text()
                if self._connection.execute(INSERT_TAG, (self._run, tag, now)).rowcount:
                    rows = hash_row("run_tag", (tag, now))
                    record_event(self._connection, self._run, "tag", {"tag": tag}, at=now, rows=rows)

    def remove_tag(self, *tags: str) -> None:
        """Remove tags. A tag that the run does not have is ignored. Commits."""
        self._delete_tags(check_tags(tags))

    @in_section
    def _delete_tags(self, checked: list[str]) -> None:
        with self._connection.transaction():
            self._require_present()
            for tag in checked:
                with removing_tag(self._connection, self._run, tag):
                    removed = self._connection.execute(DELETE_TAG, (self._run, tag)).rowcount
                if removed:
                    record_event(self._connection, self._run, "untag", {"tag": tag})

    def add_note(self, text: str) -> None:
        """Add a note. Commits."""
        self._store_note(check_note(text))

    @in_section
    def _store_note(self, checked: str) -> None:
        with self._connection.transaction():
            self._require_present()
            insert_note(self._connection, self._run, checked)

    def append_event(self, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Append an event to the run's log. `data` holds values that a config may hold. Commits."""
        checked = mask_secrets(check_name(kind, "event kind"))
        try:
            facts = mask_facts(hide_secrets(ExpConfig({} if data is None else data).values))
        except ConfigError as error:
            raise InvalidValueError(f"event data: {error}") from None
        self._store_event(checked, facts)

    @in_section
    def _store_event(self, checked: str, facts: Mapping[str, Any]) -> None:
        with self._connection.transaction():
            self._require_present()
            record_event(self._connection, self._run, checked, facts)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags, sorted."""
        return tuple(row["tag"] for row in self._connection.all(SELECT_TAGS, (self._run,)))

    @property
    def notes(self) -> tuple[Note, ...]:
        """The notes, oldest first."""
        return read_notes(self._connection, self._run)

    def read_events(self) -> tuple[Event, ...]:
        """Return the events of the run, oldest first."""
        return read_events(self._connection, self._run)

    def _require_present(self) -> None:
        if self._connection.value(HAS_RUN, (self._run,)) is None:
            raise RunNotFoundError(self.run_id, str(self._connection.path))
