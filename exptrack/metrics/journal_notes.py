"""The notes in the archive on how far each journal is drained.

Invariants:

- A note is believed only if its checksum agrees. A damaged one says nothing of what is stored.
- A note is written in the transaction that stores the points. It stays when the journal was replayed.
"""

from __future__ import annotations

from exptrack.database.connection import Connection
from exptrack.database.row_sums import hash_row

SAVE_DRAINED = """
INSERT INTO metric_journal (journal, drained, checksum) VALUES (?, ?, ?)
ON CONFLICT (journal) DO UPDATE SET drained = excluded.drained, checksum = excluded.checksum
"""
SELECT_DRAINED = "SELECT drained, checksum FROM metric_journal WHERE journal = ?"


def save_drained(connection: Connection, key: str, address: int) -> None:
    """Note how far a journal is drained. Call inside the transaction that stores its points."""
    connection.execute(SAVE_DRAINED, (key, address, _hash_note(key, address)))


def read_drained(connection: Connection, key: str) -> int | None:
    """Return the address up to which a journal is drained, 0 without a note; None if the note is damaged."""
    row = connection.one(SELECT_DRAINED, (key,))
    if row is None:
        return 0
    address = row["drained"]
    if not isinstance(address, int) or row["checksum"] != _hash_note(key, address):
        return None
    return address


def _hash_note(key: str, address: int) -> int:
    return hash_row("metric_journal", (key, address))
