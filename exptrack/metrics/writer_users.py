"""What a writer knows of those that log through it: runs, their series, and what a forked child has of them."""

from __future__ import annotations

from exptrack.metrics.journal import Journal
from exptrack.metrics.journal_locks import Family
from exptrack.metrics.store import SeriesRow
from exptrack.named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class StoredBefore(Exception):
    """The file has the points up to this address already, of which the journal knows nothing."""


class Ending(NamedTuple):
    """The end of a run: its row id, whether it completes, and what writes the end into the archive."""

    run: int
    completes: bool
    write: Callable[[], None]

    def seal_if_new(self, series: SeriesRow) -> None:
        """Let a series of the run be inserted with its seal, which saves an update, if the file has it not."""
        if series.run == self.run and series.summary is None:
            series.completed = self.completes


class LoggedSeries:
    """A metric of a live run: its index in the journal, its next automatic step, its row in the archive.

    `epoch` is the last epoch of the journal that defined it.
    """

    __slots__ = ("epoch", "index", "next", "run_id", "stored")

    def __init__(self, stored: SeriesRow, run_id: str, index: int, following: int) -> None:
        self.stored = stored
        self.run_id = run_id
        self.index = index
        self.next = following
        self.epoch = -1

    def undo(self) -> None:
        """Forget what a transaction wrote of the series that is undone."""
        self.stored.forget()
        self.stored.completed = None


class LeftByParent:
    """What a forked child knows of the run that its parent's process writes."""

    def __init__(self, journal: Journal, before: LeftByParent | None) -> None:
        self.owner = journal.header.owner
        self.archive = journal.header.archive
        self.families: list[Family] = [journal.family, *(before.families if before else ())]
        self.look_again = 0.0  # when to look next whether the owner lives


if TYPE_CHECKING:
    from typing import Protocol

    class WriterUser(Protocol):
        """A handle on a live run that logs through a writer."""

        run_id: str

        @property
        def _run(self) -> int | None: ...

        def _lose_journal(self) -> None:
            """Stop using the journal: make every logging call a commit from now on. Must not block."""

        def _become_child(self, journal: Journal) -> None:
            """In a forked child: lose the journal, which is the parent's. Must not block."""

        def _begin_file(self, journal: Journal) -> None:
            """Log into this file from now on. The caller holds the lock of the one before."""
