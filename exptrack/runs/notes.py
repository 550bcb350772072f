"""Replace and remove notes of a run, so that no merge brings them back.

Invariants: notes stay numbered from 0 without a gap. The event `note` of a removal names what was removed by
the hash of its row, never by its text. It is later than the note, so the same text can be written again.
"""

from __future__ import annotations

from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.database.row_sums import hash_row
from exptrack.errors import NotFoundError
from exptrack.records import Note
from exptrack.runs.events import record_event, time_of_event
from exptrack.runs.store import INSERT_NOTE
from exptrack.times import time_after, utc_text

NUMBERS_OF = "SELECT seq FROM note WHERE run = ? AND written_at = ? AND text = ? ORDER BY seq"
NUMBERS_AFTER = "SELECT seq FROM note WHERE run = ? AND seq > ? ORDER BY seq"
DELETE_NOTE = "DELETE FROM note WHERE run = ? AND seq = ?"
RENUMBER_NOTE = "UPDATE note SET seq = ? WHERE run = ? AND seq = ?"


def name_note(written_at: str, text: str) -> str:
    """Return the name by which an event tells of a note that is gone."""
    return str(hash_row("note", (written_at, text)))


@decoding_rows
def replace_note(connection: Connection, run: int, run_id: str, note: Note, text: str | None) -> None:
    """Remove a note, or replace it by a new text at the end. Call inside a transaction.

    Of a run that was recorded with one note twice, both are removed: nothing tells them apart.

    Raises:
        NotFoundError: the run has no such note.
    """
    written_at = utc_text(note.written_at)
    numbers = [row[0] for row in connection.all(NUMBERS_OF, (run, written_at, note.text))]
    if not numbers:
        raise NotFoundError(f"run {run_id} has no such note of {written_at}; read its notes again")
    for number in numbers:
        connection.execute(DELETE_NOTE, (run, number))
    free = numbers[0]
    for (number,) in connection.all(NUMBERS_AFTER, (run, free)):
        connection.execute(RENUMBER_NOTE, (free, run, number))
        free += 1
    at = time_of_event(connection, run)
    at = at if at > written_at else time_after(at, written_at)
    rows = -len(numbers) * hash_row("note", (written_at, note.text))
    name = name_note(written_at, note.text)
    if text is None:
        record_event(connection, run, "note", {"removed": name}, at=at, rows=rows)
        return
    connection.execute(INSERT_NOTE, {"run": run, "at": at, "text": text})
    rows += hash_row("note", (at, text))
    record_event(connection, run, "note", {"characters": len(text), "replaces": name}, at=at, rows=rows)
