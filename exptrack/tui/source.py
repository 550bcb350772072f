"""The archive behind the view, and the threads in which it is read, watched and changed.

Invariants: the view's own thread never waits for the file. The handle that reads cannot write, so it holds up
no run. A file that was moved or replaced is opened again as soon as it can be.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from exptrack import (
    Archive,
    ArchiveIOError,
    ArchiveMovedError,
    ChangedRuns,
    ExptrackError,
    QueryStoppedError,
    RunWatch,
)
from exptrack.web.readers import Readers

_T = TypeVar("_T")


class Look(NamedTuple):
    """What a look at the file found. `counts` are the runs by status; None if nothing has changed.

    `is_new` tells that the file was opened again, so that all that was read of it is void.
    """

    changes: ChangedRuns
    counts: dict[str, int] | None
    is_new: bool


class Source:
    """An archive that is read in two threads, watched in a third and changed in a fourth."""

    def __init__(self, path: str, *, can_edit: bool) -> None:
        self.path = path
        self.can_edit = can_edit
        self.failure: ExptrackError | None = None  # of the last change
        self._archive = Archive(path, mode="ro")
        self._identity = _identify(path)
        self._watch: RunWatch | None = None
        self._is_sound = True
        self._readers = Readers(name="exptrack-tui")
        self._looker = Readers(1, "exptrack-tui-look")
        self._editor = Readers(1, "exptrack-tui-edit")

    async def read(self, work: Callable[[Archive], _T]) -> _T:
        """Call `work` with the archive in a thread; if the caller is cancelled, the reading stops."""
        archive = self._archive
        return await self._readers.read(lambda: work(archive))

    async def look(self) -> Look:
        """Tell what has changed since the last look.

        Raises:
            ExptrackError: the file cannot be read. The next look tries to open it again.
        """
        return await self._looker.read(self._look)

    async def edit(self, work: Callable[[str], _T]) -> _T:
        """Call `work` with the path of the archive in a thread; `failure` is its error afterwards."""

        def change() -> _T:
            self.failure = None
            try:
                return work(self.path)
            except ExptrackError as error:
                self.failure = error
                raise

        return await self._editor.read(change)

    def close(self) -> None:
        """Stop reading, wait for a change under way, and close the file."""
        for one in (self._readers, self._looker, self._editor):
            one.stop()
        self._archive.close()

    def _look(self) -> Look:
        is_new = not self._is_sound
        if is_new:
            self._open_again()
        try:
            return self._look_at_file(is_new)
        except QueryStoppedError:
            raise
        except ExptrackError:
            self._is_sound = False
            raise

    def _look_at_file(self, is_new: bool) -> Look:
        if _identify(self.path) != self._identity:
            # An open file can be read on after that, but it is no longer the one of this name.
            raise ArchiveMovedError(f"{self.path} was moved, deleted or replaced; put it back", path=self.path)
        is_first = self._watch is None
        if self._watch is None:
            self._watch = self._archive.watch_runs()
        changes = self._watch.read()
        counts = self._archive.info().runs if changes or is_first else None
        return Look(changes, counts, is_new)

    def _open_again(self) -> None:
        identity = _identify(self.path)
        opened, before = Archive(self.path, mode="ro"), self._archive
        self._identity = identity
        self._archive, self._watch, self._is_sound = opened, None, True
        before.close()


def _identify(path: str) -> tuple[int, int] | None:
    """Return what tells a file from every other one; None if there is none of this name."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArchiveIOError(f"{path} cannot be looked at: {error.strerror}", path=path) from error
    return found.st_dev, found.st_ino
