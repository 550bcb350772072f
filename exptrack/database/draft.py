"""Open a file that this process is making and that has no name yet: a draft.

Invariants: no file appears beside a draft, and nothing is synced while it is written. If the work on it fails
or is killed, the draft is thrown away.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from exptrack.database.connection import Connection
from exptrack.database.failures import translate


class DraftConnection(Connection):
    """A connection to a draft, a file in rollback mode. Its errors name `place`, which the draft becomes."""

    def __init__(self, path: Path, place: Path) -> None:
        super().__init__(path)
        self.place = place

    def _configure(self, raw: sqlite3.Connection) -> None:
        raw.execute("PRAGMA journal_mode = MEMORY")
        super()._configure(raw)
        raw.execute("PRAGMA synchronous = OFF")

    def translate(self, error: Exception, waited_s: float = 0.0) -> Exception:
        """Return exptrack's error, which names the file that the draft becomes."""
        return super().translate(error, waited_s) if self.closed else translate(error, self.place, waited_s)
