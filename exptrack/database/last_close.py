"""See to the side files as the last connection of this process closes, before SQLite does.

SQLite copies the WAL into the file and deletes it, if no process has the file open. It does so also with a WAL
that another program has cut. And it leaves the WAL where it is if the file was moved or replaced meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import suppress

from exptrack.database.frozen import wal_bytes
from exptrack.database.handle import Handle
from exptrack.database.hold import Hold
from exptrack.database.wal import empty_if_stale, is_cut
from exptrack.errors import warn


def leave_cut_wal(held: Hold) -> None:
    """Before the last close: keep SQLite from copying a WAL into the file that another program cut."""
    if held.is_intact() and held.has_own_side_files() and held.begin_write():
        try:
            if is_cut(held):
                held.leaves_wal = True
                empty_if_stale(held)
                warn(f"another program cut {held.wal_path} short, so what was committed last may be lost")
        finally:
            held.end_write()


def leave_to_another_file(held: Hold) -> None:
    """Take the side files away if another file stands in this one's place; keep what is in them.

    SQLite leaves them there, and the next opener of the other file would read this file's WAL.
    """
    if not held.is_intact() or not held.is_beside_another_file():
        return
    told = f"another file was put in the place of {held.path} while it was open"
    try:
        copy = held.clear_place()
    except OSError as error:
        warn(f"{told}, and its WAL still lies beside that ({error.strerror}); move both to another folder")
    else:
        if copy is not None:
            warn(f"{told}; all that was committed is in {copy}: compare the two, and keep one")


def fold_renamed(held: Hold, handles: Iterable[Handle]) -> None:
    """Copy the WAL into a file that has got another name, by a connection that has both open.

    SQLite does not, as it closes, and whoever opens the file by its new name finds no WAL there. The WAL is
    emptied: it would damage the file if that gets its old name again.
    """
    done = False
    if held.lock_alone():
        for handle in handles:
            with handle.busy, suppress(sqlite3.Error):
                if handle.raw is not None and not done:
                    ((busy, *_),) = handle.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                    done = not busy
    if not done and wal_bytes(held.path):
        warn(
            f"{held.path} was moved while it was open, and what was stored last is still in"
            f" {held.wal_path}; move that along, as the new name with -wal at its end"
        )
