"""Bring an archive of a spool to rest, and wake it: one file without side files while nothing is open in it.

Invariants: only a file without a running run comes to rest, and only while no other process uses it. It is in
rollback mode then, in which everything reads it, and nothing holds a lock on it. The first transaction wakes
it: it brings the file back to WAL mode, after the note that says so. Handles on ended runs go on working.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

from exptrack.database import forks, hold
from exptrack.database.disk import sync_folder
from exptrack.database.failures import SQLITE_FAILURE, primary_code
from exptrack.database.frozen import Look, look_at
from exptrack.database.handle import Handle
from exptrack.database.hold import Hold
from exptrack.database.opened_file import OpenedFile
from exptrack.database.upkeep import Upkeep
from exptrack.database.wal import is_cut
from exptrack.errors import ArchiveIOError, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from exptrack.database.spooled_file import SpooledFile

REST_WAIT_S = 0.2  # for a thread that reads
IN_USE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
HAS_OWNERS = "SELECT EXISTS (SELECT 1 FROM run_owner)"
HOLDS_SOMETHING = """
SELECT EXISTS (SELECT 1 FROM run) OR EXISTS (SELECT 1 FROM study) OR EXISTS (SELECT 1 FROM run_group)
    OR EXISTS (SELECT 1 FROM page_view)
"""


class Resting(Upkeep):
    """What a connection does about a file of a spool."""

    spooled: SpooledFile | None = None

    def come_to_rest(self) -> bool:
        """Bring the file to rest if it is one of a spool; return whether it is. Call inside a section.

        It stays as it is while a run is open in it, another process has it open, or a thread reads for long.
        """
        spooled = self.spooled
        if spooled is None:
            return False
        held = self._hold
        if held is not None and not (held.is_intact() and held.is_in_place() and not is_cut(held)):
            return False  # another program was at work; closing the archive sees to it
        with forks.GATE, ExitStack() as stack:
            users = _users_of(spooled)
            for user in users:
                user._close_left()
                for handle in list(user._handles):
                    if not handle.busy.acquire(timeout=REST_WAIT_S):
                        return False
                    stack.callback(handle.busy.release)
                    if handle.depth:
                        return False
                    handle.close()
            for unused in _take_holds(users):
                unused.renew()
                unused.release_locks()
                stack.callback(unused.close_descriptors)
            return bring_to_rest(spooled)

    @contextmanager
    def awake(self, handle: Handle) -> Iterator[None]:
        """Hold the handle's `busy` in the block, with the file in WAL mode. Call inside a section.

        `busy` keeps the file from coming to rest. It is not held while the file is woken: :meth:`come_to_rest`
        takes the gate first, and so does that.

        Raises:
            ArchiveMovedError: the file was removed, as one that was merged.
            ArchiveFullError: there is no room.
        """
        while True:
            if self.spooled is not None:
                self._wake(self.spooled)
            with handle.busy:
                if self.spooled is None or not self.spooled.is_at_rest:
                    yield
                    return

    def _wake(self, spooled: SpooledFile) -> None:
        with forks.GATE:
            if spooled.is_at_rest:
                self._wake_alone(spooled)

    def _wake_alone(self, spooled: SpooledFile) -> None:
        spooled.mark_open()
        try:
            close_for_waking(spooled)
            self.check_identity()
            self.switch_to_wal()
            self.check_identity()  # once more: it may have been removed while this waited for the lock
        except BaseException:
            with suppress(OSError):
                spooled.mark_at_rest()
            raise
        self.remember_identity()

    def switch_to_wal(self) -> None:
        """Switch the file to WAL mode. If several processes try at once, the first switches it.

        Raises:
            ArchiveIOError: the file system has no shared memory.
        """
        handle = self._handle()
        with handle.busy:
            mode = self._run_waiting(
                lambda: self._raw(handle).execute("PRAGMA journal_mode = WAL").fetchone()[0]
            )
        if mode != "wal":
            raise ArchiveIOError(
                f"{self.file} cannot use a write-ahead log (its journal mode stays {mode}) because its file"
                " system has no shared memory; put it on a local disk",
                path=self.file,
            )


def close_for_waking(spooled: SpooledFile) -> None:
    """Close the SQLite connections that are open on a file at rest; those in use notice the change."""
    with forks.GATE:
        for user in _users_of(spooled):
            for handle in list(user._handles):
                if handle.busy.acquire(timeout=REST_WAIT_S):
                    try:
                        if not handle.depth:
                            handle.close()
                    finally:
                        handle.busy.release()


def leave(spooled: SpooledFile) -> None:
    """Bring a file to rest after its connection was closed, unless another one is open; remove an empty one."""
    if _users_of(spooled):
        return
    if not _has_bytes(spooled.path):
        if not (spooled.is_worked_on_elsewhere and spooled.place.exists()):
            spooled.remove()
        elif spooled.is_at_rest:  # something cleaned the local disk, and the spool has everything
            spooled.remove_work()
    elif bring_to_rest(spooled, removes_empty=True):
        spooled.remove_work()


def bring_to_rest(spooled: SpooledFile, *, removes_empty: bool = False) -> bool:
    """Fold a file that this process has closed, and deliver it; return whether it is at rest.

    Warns if it is folded, but cannot be copied to the spool: the archive is whole where it is.
    """
    try:
        with closing(
            sqlite3.connect(f"{spooled.path.as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None)
        ) as raw:
            if raw.execute(HAS_OWNERS).fetchone()[0]:
                return False
            holds_something = raw.execute(HOLDS_SOMETHING).fetchone()[0]
            if raw.execute("PRAGMA journal_mode = DELETE").fetchone()[0] != "delete":
                return False
    except SQLITE_FAILURE as error:
        if primary_code(error) not in IN_USE:
            warn(f"{spooled.path} keeps its -wal beside it, as it could not be folded: {error}")
        return False
    if removes_empty and not holds_something:
        spooled.remove()
        return True
    try:
        spooled.deliver(spooled.path)
        spooled.mark_at_rest()
    except OSError as error:
        if not spooled.has_warned:
            spooled.has_warned = True
            warn(
                f"{spooled.path} could not be copied to {spooled.place} ({error.strerror}), and stays where it"
                " is; make room or allow writing there, then run"
                f" 'exptrack merge OUT {spooled.place.parent}' on this machine"
            )
        return False
    return True


def remove_at_rest(place: Path, is_stored: Callable[[Path], bool]) -> bool:
    """Remove a file that is at rest, if `is_stored` says that its content is elsewhere; return whether it is
    gone.

    It is removed only if it then looks as it did before `is_stored` was asked.
    """
    from exptrack.database.filesystem import find_network

    before = look_at_rest(place)
    if before is None or not is_stored(place):
        return False
    try:
        is_gone = _take_out(place, before) if find_network(place) else _remove_locked(place, before)
        sync_folder(place.parent)
    except (*SQLITE_FAILURE, OSError):
        return False
    return is_gone


def _remove_locked(place: Path, before: Look) -> bool:
    """Remove a file in which its process works, while a lock keeps that from waking it."""
    with closing(
        sqlite3.connect(f"{place.as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None)
    ) as raw:
        raw.execute("BEGIN EXCLUSIVE")
        if look_at_rest(place) != before:
            return False
        if os.name == "posix":
            place.unlink()
        raw.execute("ROLLBACK")
    place.unlink(missing_ok=True)  # Windows removes no file that is open
    return True


def _take_out(place: Path, before: Look) -> bool:
    """Remove a copy, without locks: rename it first, then see whether it is the one that was looked at.

    Its process may put a newer copy in its place at any moment. That holds all of the older one.
    """
    from exptrack.new_files import draft_name, give_name

    taken = place.with_name(draft_name())
    os.rename(place, taken)
    is_known = look_at(taken) == before
    if not is_known:
        with suppress(FileExistsError):
            give_name(str(taken), str(place), overwrite=False)
    taken.unlink(missing_ok=True)
    return is_known


def look_at_rest(place: Path) -> Look | None:
    """Look at a file of a spool; None if it is not at rest."""
    from exptrack.database.spooled_file import NOTE_ENDING

    return None if os.path.exists(f"{place}{NOTE_ENDING}") else look_at(place)


def leave_all() -> None:
    """At the end of the process: bring the files to rest whose connections were dropped without a close."""
    if "exptrack.database.spooled_file" not in sys.modules:
        return  # this process has used none
    from exptrack.database.spooled_file import list_known

    for spooled in list_known():
        if not spooled.is_at_rest:
            leave(spooled)


def _has_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _users_of(spooled: SpooledFile) -> list[OpenedFile]:
    """The connections of this process to the file."""
    found = [one for one in forks.connections() if isinstance(one, OpenedFile)]
    return [one for one in found if one.path == spooled.path and not one.closed]


def _take_holds(users: list[OpenedFile]) -> list[Hold]:
    """Take the holds of the connections away from them; return those that no connection uses any more."""
    unused = []
    for user in users:
        held, user._hold = user._hold, None
        if held is not None and hold.give_back(held):
            unused.append(held)
    return unused
