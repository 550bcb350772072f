"""Find the handle that logs a run through a journal, and hold a journal for a run that is about to begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from exptrack.database.connection import Connection
from exptrack.metrics.journal import Journal
from exptrack.metrics.writer import _WRITERS, Writer, open_writer, release_writer
from exptrack.own_files import is_one_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from exptrack.metrics.writer_users import WriterUser


def find_user(connection: Connection, run: int, run_id: str) -> WriterUser | None:
    """Return the handle of this process that logs the run through a journal; prefer this connection's."""
    writer = _WRITERS.get(connection)
    others = [one for one in list(_WRITERS.values()) if one is not writer]
    for one in [writer, *others] if writer else others:
        for user in list(one.users):
            if user._run == run and user.run_id == run_id and _is_of_file(one, connection):
                return user
    return None


def _is_of_file(writer: Writer, connection: Connection) -> bool:
    """Whether a writer writes the file of a connection: a copy of an archive has the same runs."""
    return writer.connection is connection or is_one_file(writer.connection.file, connection.file)


@contextmanager
def hold_journal(connection: Connection) -> Iterator[None]:
    """Hold a journal open while a run begins, so that a full disk is an error of the start.

    Raises:
        ArchiveFullError: the disk has no room for the journal.
    """
    to_begin = _RunToBegin()
    if connection.mode == "rw":  # otherwise starting the run raises an error by itself
        open_writer(connection, to_begin)
    try:
        yield
    finally:
        release_writer(connection, to_begin)


class _RunToBegin:
    """The user that keeps a writer open for a run whose row is not written yet."""

    _run: int | None = None
    run_id = ""

    def _lose_journal(self) -> None:
        """Do nothing: this user does not log."""

    def _become_child(self, journal: Journal) -> None:
        """Do nothing: this user does not log."""

    def _begin_file(self, journal: Journal) -> None:
        """Do nothing: this user does not log."""
