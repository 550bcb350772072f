"""Look at the files of an open archive before and after each commit, and make good what other programs did.

Another program may replace the file, delete its ``-wal`` or ``-shm``, cut the WAL short, or copy the ``-shm``,
which drops the write lock. Nothing is acknowledged before the looks. What cannot be made good is copied and
told.

Invariant: until a deleted WAL is put back or copied, the connections stay open: they alone still read it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from exptrack.database import forks, hold
from exptrack.database.disk import error_of
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS
from exptrack.database.handle import Handle
from exptrack.database.hold import Hold, begin_alone
from exptrack.database.statements import StatementRunner
from exptrack.database.wal import empty_if_stale, is_cut
from exptrack.errors import ArchiveCorruptError, ArchiveIOError, ArchiveMovedError


class AnotherWrite(BaseException):
    """The write lock or the WAL was lost before the commit. Both are in order now: run the section again."""


class SideFiles(StatementRunner):
    """What a connection does about its files; each commit stands between two of these looks."""

    def _require_own_file(self) -> None:
        """Before a commit, with the write lock: refuse another main file; rescue one that was deleted.

        If another file stands in its place, the side files are taken away from beside that.

        Raises:
            ArchiveMovedError: the file was moved, replaced or deleted.
        """
        try:
            self.check_identity()
        except ArchiveMovedError as moved:
            held = self._hold
            if held is None or not held.is_intact():
                raise
            try:
                copy = held.rescue() if held.is_deleted() else None
                if held.is_beside_another_file():
                    copy = held.clear_place() or copy
            except OSError as error:
                moved.add_note(f"what was committed could not be copied ({error.strerror})")
                raise moved from error
            if copy is None:
                raise
            raise ArchiveMovedError(
                f"{self.file} was moved, replaced or deleted while it was open, so nothing more is written;"
                f" all that was committed is in {copy}: compare the two, and keep one",
                path=self.file,
            ) from None

    def _require_own_place(self, handle: Handle) -> None:
        """Before a commit: refuse a WAL or a write lock that is no longer ours, and restore what can be
        restored.

        Raises:
            AnotherWrite: the transaction has to be run again.
            ArchiveMovedError: another file stands in the place of the WAL.
        """
        held = self._hold
        raw = self._raw(handle)
        if not self._has_descriptors(handle):
            with suppress(sqlite3.Error):
                raw.execute("ROLLBACK")
            raise AnotherWrite
        if held is None:
            return
        if held.is_in_place() and held.has_write_lock():
            self._require_whole_wal(held)
            return
        raw.execute("ROLLBACK")
        if not held.is_in_place():
            self._mend(held, lambda: raw)
        raise AnotherWrite

    def _require_whole_wal(self, held: Hold) -> None:
        """With the write lock: refuse to write behind the end of a WAL that another program has cut.

        SQLite would write there all the same, and copy zeros into the file in the place of what was cut off.

        Raises:
            ArchiveCorruptError: the WAL was cut.
            ArchiveIOError: the system cannot read its index.
        """
        try:
            cut = is_cut(held)
        except OSError as error:
            raise error_of(error, held.wal_path, "has an index that cannot be read") from error
        if cut:
            held.leaves_wal = True
            empty_if_stale(held)
            raise ArchiveCorruptError(
                f"another program cut {held.wal_path} short, so what was committed last may be lost, and"
                " nothing more is written; end the processes that have it open, then run 'exptrack verify'",
                path=self.file,
            )

    def _make_sure_of_commit(self, handle: Handle) -> None:
        """After a commit, before it is acknowledged: put the WAL back if it was deleted meanwhile."""
        held = self._hold
        if held is not None and not held.has_own_wal():
            self._mend(held, lambda: self._raw(handle))

    def _mend(self, held: Hold, raw: Callable[[], sqlite3.Connection]) -> None:
        """Put the WAL back, or rescue what is in it. If that fails, the next commit tries again.

        Until it has succeeded the connections stay open: they alone still read what is in the deleted WAL.
        """
        if held.lost_only_its_shared_memory():
            self._renew_hold(held)
            return
        if held.was_put_back_by_another():
            self._open_afresh(held)
            return
        by_us = HAS_OPEN_FILE_LOCKS
        self._run_waiting(held.lock_as_sqlite if by_us else lambda: raw().execute("BEGIN IMMEDIATE"))
        copy = None
        try:
            if _may_put_wal_back(held):
                held.put_wal_back()
            elif not held.was_put_back_by_another():
                copy = held.rescue()
        except OSError as error:
            raise ArchiveIOError(
                f"{held.wal_path} was deleted and cannot be written again ({error.strerror}); make room and"
                " try again",
                path=self.file,
            ) from error
        finally:
            if by_us:
                held.unlock_as_sqlite()
            else:
                raw().execute("ROLLBACK")
        self._open_afresh(held)
        if copy is not None:
            self.rescued = copy
            raise ArchiveMovedError(
                f"another file stands in the place of {held.wal_path}, so nothing more is written;"
                f" all that was committed is in {copy}: compare the two, and keep one",
                path=self.file,
            )

    def _require_descriptors(self, handle: Handle | None) -> None:
        """Look at the descriptors and the side files before a statement, reading or transaction.

        Without a look, a reader of a deleted side file would read what was there, for ever.
        """
        super()._require_descriptors(handle)
        held = self._hold
        if held is None:
            return
        held.renew_if_droppable()
        if not held.has_own_side_files():
            self._sections.run(partial(self._renew_side_files, held))

    def _renew_side_files(self, held: Hold) -> None:
        if self._hold is not held:
            return  # another thread was faster
        if held.lost_only_its_shared_memory():
            self._renew_hold(held)
        elif held.was_put_back_by_another():
            self._open_afresh(held)
        elif self.mode == "rw" and _may_put_wal_back(held):
            self._put_wal_back(held)

    def _put_wal_back(self, held: Hold) -> None:
        """Put the WAL back before a connection opens an empty one in its place, and then can read nothing."""
        handle = getattr(self._local, "handle", None) or self._new_handle()  # _handle() would look again
        with handle.busy, self._alone(handle, lambda: None):
            if _may_put_wal_back(held):
                self._mend(held, lambda: self._raw(handle))

    def _has_its_wal_again(self) -> bool:
        """After a failure: whether the WAL had been deleted and now stands there again, put back if need be."""
        held = self._hold
        if held is None or held.has_own_wal():
            return False
        self._sections.run(partial(self._renew_side_files, held))
        return held.has_own_wal() or self._hold is not held

    @contextmanager
    def _alone(self, handle: Handle, begin: Callable[[], object]) -> Iterator[None]:
        """Call `begin`, which takes SQLite's write lock, and keep other writers out of the block."""
        held = self._hold
        self._run_statement(handle, lambda: begin_alone(held, begin))
        try:
            yield
        finally:
            if held is not None:
                held.end_write()

    def _renew_hold(self, held: Hold) -> None:
        """Open everything afresh, so that SQLite makes the shared memory again from the WAL; then take a hold.

        The old hold keeps its locks until then, so that no other process folds the WAL meanwhile.
        """
        hold.abandon(held)
        self._close_handles_of(held)
        for connection in self._connections_of(held):
            connection._hold = None
        handle = self._handle()
        with handle.busy:
            self._raw(handle)
        held.release_locks()
        held.close_descriptors()

    def _open_afresh(self, held: Hold) -> None:
        """Let every connection of the process to this file open it again at its next statement."""
        # Without such locks the last to close folds the WAL, and the next one is another.
        if not HAS_OPEN_FILE_LOCKS or not held.has_own_shared_memory():
            held.reopen_wal()
            self._renew_hold(held)
            return
        held.reopen_wal()
        self._close_handles_of(held)

    @staticmethod
    def _connections_of(held: Hold) -> list[SideFiles]:
        return [one for one in forks.connections() if isinstance(one, SideFiles) and one._hold is held]

    def _close_handles_of(self, held: Hold) -> None:
        held.end_write()  # the other connections may be waiting for it, while their handles are busy
        for connection in self._connections_of(held):
            for handle in list(connection._handles):
                if handle.busy.acquire(timeout=self.busy_wait_s):
                    try:
                        handle.close()
                    finally:
                        handle.busy.release()


def _may_put_wal_back(held: Hold) -> bool:
    return held.lost_only_its_wal() or held.lost_both_side_files()
