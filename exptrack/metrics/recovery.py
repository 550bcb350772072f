"""Replay the journals that dead processes left beside the archive.

Invariants: a journal is replayed only if it belongs to this archive and its process is known to be dead; any
other file is left alone with a warning. It is deleted only after its points are committed, and the write lock
is held while a replay looks whether the file is still there: of two openers one replays.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from exptrack.database.connection import Connection
from exptrack.metrics.journal import (
    EVERYTHING,
    SLOT,
    is_stillborn,
    journal_paths,
    owner_lives,
    read_header,
    read_points,
    warn,
)
from exptrack.metrics.store import NewPoints, Series, append_points
from exptrack.metrics.writer import FORGET_JOURNAL, SAVE_DRAINED, archive_identity

SELECT_DRAINED = "SELECT drained FROM metric_journal WHERE journal = ?"
KNOWN_JOURNALS = "SELECT journal FROM metric_journal"
RUN_BY_ID = "SELECT id, status, checksum FROM run WHERE run_id = ?"
_warned: set[str] = set()


def recover(connection: Connection, reseal: Callable[[int], None]) -> None:
    """Store what dead processes of this host left in journals beside the archive, and delete these.

    One transaction each; a kill in between is made good by the next call. `reseal` is called, inside the
    transaction, with each run that took points although it had ended.
    """
    paths = journal_paths(connection.path)
    if not paths and connection.value(KNOWN_JOURNALS) is None:
        return
    for path in paths:
        try:
            _recover_one(connection, path, reseal)
        except FileNotFoundError:
            continue  # its process, or another opener, was faster
        except OSError as error:
            _warn(f"the journal {path} cannot be read ({error.strerror}); its points are not in the archive")
    _forget_gone(connection)


def _warn(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warn(message)


def _recover_one(connection: Connection, path: Path, reseal: Callable[[int], None]) -> None:
    header = read_header(path)
    if header is None:
        if is_stillborn(path):
            os.unlink(path)
        elif any(path.read_bytes()[:SLOT]) and read_header(path) is None:  # not just being written
            _warn(f"{path} is not a journal that this exptrack can read; left as it is")
        return
    if owner_lives(header) is not False:
        return
    if header.archive != archive_identity(connection):
        _warn(f"the journal {path} belongs to another archive than {connection.path}; left as it is")
        return
    unclaimed = False
    with connection.transaction():
        if not path.exists():
            return
        drained = int(connection.value(SELECT_DRAINED, (header.key,)) or 0)
        batches: dict[tuple[str, str], NewPoints] = {}
        runs: dict[str, tuple[int, str] | None] = {}
        for point in read_points(path, header, drained):
            if point is None:
                unclaimed = True
                continue
            if point.run_id not in runs:
                row = connection.one(RUN_BY_ID, (point.run_id,))
                runs[point.run_id] = None if row is None else (row["id"], row["status"])
            run = runs[point.run_id]
            if run is None:
                unclaimed = True
                continue
            batch = batches.get((point.run_id, point.name))
            if batch is None:
                batch = batches[point.run_id, point.name] = NewPoints(Series(run[0], point.name), [], [], [])
            batch.steps.append(point.step)
            batch.times_ms.append(point.time_ms)
            batch.values.append(point.value)
        append_points(connection, batches.values())
        for run in runs.values():
            if run is not None and run[1] != "running":
                reseal(run[0])
        connection.execute(SAVE_DRAINED, (header.key, EVERYTHING))
    if unclaimed:
        aside = path.with_name(f"{path.name}.unclaimed")
        os.replace(path, aside)
        _warn(
            f"the journal {path.name} holds points of runs that are not in {connection.path}; kept as {aside}"
        )
    else:
        os.unlink(path)


def _forget_gone(connection: Connection) -> None:
    """Drop the notes on journals whose files are gone."""
    known = [row[0] for row in connection.all(KNOWN_JOURNALS)]
    if not known:
        return
    with connection.transaction():
        present = {path.name.rpartition("-")[2].partition(".")[0] for path in journal_paths(connection.path)}
        for key in known:
            if key not in present:
                connection.execute(FORGET_JOURNAL, (key,))
