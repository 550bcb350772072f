"""Tell which journals beside the archive hold points that are not in it, whose they are, and what to do.

Invariant: nothing here writes, so it works on a full disk, on read-only media and beside a stopped writer.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from exptrack.database.connection import Connection
from exptrack.metrics.journal_file import SLOT, Header, list_journals, read_journal, unlistable
from exptrack.metrics.journal_locks import is_family_alive
from exptrack.metrics.journal_notes import read_drained
from exptrack.metrics.journal_reader import Damage, is_owner_alive, read_header, read_points
from exptrack.records import Waiting

STORED_BY_RECOVER = "'exptrack recover' stores them"
STORED_BY_TAKE_OVER = "if that process is dead, 'exptrack recover --take-over' stores them"
HOST_OF_RUN = "SELECT host, heartbeat_at FROM run WHERE run_id = ?"


def list_waiting_journals(connection: Connection) -> list[Waiting]:
    """List the journals with points that no process here is going to store by itself.

    The journal of a living process of this machine is not one of them: that process stores its points.

    Raises:
        ArchiveIOError: the folder of the archive cannot be listed, although it may be.
    """
    found = []
    try:
        paths = list_journals(connection.place)
    except PermissionError:
        return []  # a folder that may be entered but not listed
    except OSError as error:
        raise unlistable(connection.place, error) from error
    for path in paths:
        try:
            waiting = _look_at(connection, path)
        except FileNotFoundError:
            continue  # its process has ended and deleted it meanwhile
        except OSError as error:
            waiting = Waiting(
                str(path), _size_of(path), None, "", f"it cannot be read ({error.strerror}); make it readable"
            )
        if waiting is not None:
            found.append(waiting)
    return found


def _look_at(connection: Connection, path: Path) -> Waiting | None:
    header = read_header(path)
    size = path.stat().st_size
    if header is None:
        # Its process writes the header at the very beginning, and may be about to.
        if not any(read_journal(path, SLOT)) or read_header(path) is not None:
            return None
        return Waiting(str(path), size, None, "", "it is damaged, or of another version of exptrack; keep it")
    alive = is_owner_alive(header)
    if alive or is_family_alive(path):
        return None
    if header.archive != connection.birth:
        return Waiting(
            str(path), size, None, "", "it belongs to another archive; put it back beside that archive"
        )
    drained = read_drained(connection, header.key)
    if drained is None:
        return Waiting(
            str(path), size, None, "", "the note on how far it is stored is damaged; run 'exptrack recover'"
        )
    damage = Damage()
    points = list(read_points(path, header, drained, damage))
    if not points and not damage:
        return None  # all of it is stored
    owner = describe_owner(connection, header, path, {point.run_id for point in points})
    advice = STORED_BY_RECOVER if alive is False else STORED_BY_TAKE_OVER
    return Waiting(str(path), size, len(points), owner, advice)


def describe_owner(connection: Connection, header: Header, path: Path, run_ids: set[str]) -> str:
    """Name a journal's process by pid and host, and when it was last seen. Its runs tell the host."""
    rows = [connection.one(HOST_OF_RUN, (run_id,)) for run_id in sorted(run_ids)]
    known = [row for row in rows if row is not None]
    host = known[-1]["host"] if known else f"with id {header.owner.host_id}"
    seen = max((str(row["heartbeat_at"]) for row in known), default="")
    if not seen:
        seen = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(" ", "seconds")[:19]
    return f"process {header.owner.pid} on host {host}, last seen {seen[:19]} UTC"


def _size_of(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
