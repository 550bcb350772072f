"""Keep what a forked child logs where SQLite is not safe: in journals of its own, which the next opener stores.

The child has in memory all that a journal needs: the archive's identity, the run's id, the series that its
parent has logged. It never opens the archive, so it cannot drain: when a file is full it begins the next one.

Automatic steps go on from where the parent was at the fork.
"""

from __future__ import annotations

import threading

from exptrack.database.connection import Connection
from exptrack.errors import ArchiveIOError
from exptrack.metrics.journal import Journal
from exptrack.metrics.journal_file import SEGMENT_SLOTS
from exptrack.metrics.writer import Writer, use_writer
from exptrack.metrics.writer_users import Ending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from exptrack.metrics.writer_users import WriterUser


class WriterApart(Writer):
    """The journals of a process that may not use SQLite; no thread drains them."""

    is_apart = True

    def __init__(self, connection: Connection, archive: str) -> None:
        super().__init__(connection, _begin_journal(connection, archive))
        self._archive = archive
        self._turning = threading.RLock()

    def drain(self, *, told: bool = True, patience_s: float | None = None) -> None:
        """Do nothing: the next opener of the archive stores the points."""

    def drain_with(self, ending: Ending) -> None:
        """Write the end, which a process that may not use SQLite cannot."""
        ending.write()

    def wait_for_room(self, seen: int) -> bool:
        """Begin the next file if this one is full. Return True: then there is room.

        Raises:
            ArchiveFullError: the disk has no room for it.
            ArchiveIOError: the folder cannot hold it.
        """
        with self._turning:
            full = self.journal
            with full.lock:
                # No record is longer than this.
                if not full.make_room(SEGMENT_SLOTS // 2):
                    journal = _begin_journal(self.connection, self._archive)
                    journal.series_count = full.series_count
                    self.journal = journal
                    for user in list(self.users):
                        user._begin_file(journal)
                    full.give_up()
        return True


def open_writer_apart(connection: Connection, archive: str, user: WriterUser) -> Writer:
    """Return this process's writer for a connection that it may not use, made if there is none.

    Raises:
        ArchiveFullError: the disk has no room for the journal.
        ArchiveIOError: the folder cannot hold it.
    """
    return use_writer(connection, user, lambda: WriterApart(connection, archive))


def _begin_journal(connection: Connection, archive: str) -> Journal:
    try:
        return Journal(connection.path, archive)
    except OSError as error:
        raise ArchiveIOError(
            f"no journal can be mapped beside {connection.path} ({error.strerror}), so this forked process"
            " cannot log; keep the archive on a local disk",
            path=str(connection.path),
        ) from error
