"""Keep the memory of an open archive small, and tell whether its file has changed.

Each thread that reads has a SQLite connection of its own, with a cache of its own. A server has many threads,
of which few read at one time. So the cache has a limit, and a connection that was idle for a while is closed;
its thread opens another when it reads again.

Invariant: the connection for changes stays open, and so does one that is in use.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from exptrack.database.frozen import look_at
from exptrack.database.opened_file import NEXT
from exptrack.database.side_files import SideFiles
from exptrack.database.statements import DATA_VERSION

IDLE_S = 30.0
KEPT_READERS = 4


class Upkeep(SideFiles):
    """What a connection does about the SQLite connections of its threads."""

    _looked_at = 0.0
    _origin = ""

    def limit_cache(self, cache_bytes: int) -> None:
        """Let each SQLite connection keep at most this much of the file in memory."""
        self.cache_pragma = f"PRAGMA cache_size = -{cache_bytes // 1024}"
        for handle in list(self._handles):
            with handle.busy:
                if handle.raw is not None:
                    handle.raw.execute(self.cache_pragma)

    def close_idle(self) -> None:
        """Close the SQLite connections that no thread has used for 30 s, and end threads of ours that idle.

        Looks every 15 s at most.
        """
        now = time.monotonic()
        if now - self._looked_at < IDLE_S / 2:
            return
        self._looked_at = now
        for handle in list(self._handles):
            if now - handle.used_at > IDLE_S and handle.busy.acquire(blocking=False):
                try:
                    if handle.raw is not None and not handle.depth and not handle.raw.in_transaction:
                        handle.close()
                finally:
                    handle.busy.release()
        # The last one of the list works next, so the first has been idle for longest.
        while len(self._idle_readers) > KEPT_READERS:
            with suppress(IndexError):  # another thread was faster
                self._idle_readers.pop(0).ask_to_end()

    def give_handle_up(self) -> None:
        """Leave the SQLite connection of this thread to the next thread that has none. Call outside of a
        transaction.

        The connection that opened an archive has read its schema, which takes longer than a short question.
        """
        handle = self._own_handle()
        handle.used_at = time.monotonic()
        del self._local.handle
        self._given_up[NEXT] = (
            handle  # one that is there is dropped, and closed like that of a thread that ended
        )

    @contextmanager
    def apart(self) -> Iterator[sqlite3.Connection]:
        """Open a SQLite connection for the block alone.

        A fork in another thread waits until the block has ended, for up to 10 s.
        """
        self.require_open()
        handle = self._new_handle()
        with handle.busy:
            try:
                raw = self._raw(handle)
                handle.depth = 1  # so that a fork of this thread leaves it open
                yield raw
            finally:
                handle.close()

    def read_version(self) -> str:
        """Return a text that differs once another one has been committed to the file, by any process.

        Only equality means something, and only between texts of this connection. The same content may have two
        texts.
        """
        self.require_open()
        if self.mode in ("immutable", "frozen"):
            look = look_at(self.file)
            return "gone" if look is None else f"{look.inode:x}-{look.size:x}-{look.modified_ns:x}"
        # SQLite counts the commits of all other connections, so this one makes none.
        handle = self._watcher
        if handle is None:
            handle = self._watcher = self._new_handle()
        if not self._inside:
            self._require_descriptors(handle)
        with handle.busy:
            if handle.raw is None:  # its count begins anew
                self._origin = os.urandom(6).hex()
            number = self._run_statement(handle, lambda: self._raw(handle).execute(DATA_VERSION).fetchone()[0])
            return f"{self._origin}-{number}"
