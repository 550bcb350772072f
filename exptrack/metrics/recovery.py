"""Replay the journals that dead processes left beside the archive.

Invariants:

- A journal is replayed only if it belongs to this archive and its process is dead. If the process cannot be
  seen, the caller has to say that it is dead. Other files are left alone with a warning.
- A journal is deleted only after its points are committed, and not while a process forked from its writer
  lives: the lock on it says so.
- A process that was declared dead and lives loses none of its later points. The note on its journal names the
  address up to which the replay read. The process finds its file gone, and writes it again.
- A journal whose note is damaged is put aside, because the archive cannot tell which of its points are stored.
- The note on how far a journal is drained stays for ever: a copy of the journal may come back with the archive.
- A replay checks under SQLite's write lock whether the file still exists, so of two openers only one replays.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from exptrack.database.connection import Connection, in_section
from exptrack.errors import warn
from exptrack.metrics.journal import EVERYTHING
from exptrack.metrics.journal_file import SLOT, Header, list_journals, read_journal, unlistable
from exptrack.metrics.journal_locks import is_family_alive, is_writer_alive
from exptrack.metrics.journal_notes import read_drained, save_drained
from exptrack.metrics.journal_reader import (
    Damage,
    JournalPoint,
    is_owner_alive,
    is_stillborn,
    read_header,
    read_points,
)
from exptrack.metrics.store import NewPoints, SeriesRow, append_points
from exptrack.process import ProcessIdentity
from exptrack.records import JournalReport

RUN_OF_POINTS = "SELECT id, status, checksum FROM run WHERE run_id = ?"
NOTE_IS_DAMAGED = "the note in the archive on how far it is stored is damaged"
PUT_ASIDE = EVERYTHING - 1  # the note on a journal that is replayed, but holds what could not be stored
_warned: set[str] = set()


def recover(
    connection: Connection,
    reseal: Callable[[int], None],
    declared_dead: Callable[[ProcessIdentity], bool] = lambda _owner: False,
) -> int:
    """Store the points in journals of dead processes, and delete these journals. Return the number of points.

    Commits once for each journal. If this process is killed meanwhile, the next call finishes the work.
    `reseal` is called inside the transaction with the row id of each run that gained points although it had
    ended. `declared_dead` is asked about each process that cannot be seen from here.

    Raises:
        ArchiveIOError: the folder of the archive cannot be listed.
    """
    stored = 0
    try:
        paths = list_journals(connection.path)
    except OSError as error:
        raise unlistable(connection.path, error) from error
    for path in paths:
        try:
            report = recover_journal(connection, path, reseal, declared_dead)
            stored += 0 if report is None else report.points
        except FileNotFoundError:
            continue  # its process or another opener has deleted it meanwhile
        except OSError as error:
            _warn_once(
                f"the journal {path} cannot be read ({error.strerror}), and its points are not in the archive;"
                " make it readable and open the archive again"
            )
    return stored


@in_section
def recover_journal(
    connection: Connection,
    path: Path,
    reseal: Callable[[int], None],
    declared_dead: Callable[[ProcessIdentity], bool],
) -> JournalReport | None:
    """Store the points in a journal beside the archive, and put it away; return None if it is left alone."""
    header = read_header(path)
    if header is None:
        if is_stillborn(path):
            _put_away(path)
        elif any(read_journal(path, SLOT)) and read_header(path) is None:
            # Read twice, because its process may have been writing the header meanwhile.
            _warn_once(
                f"{path} is not a journal that this version can read, and is left in place;"
                " open the archive with the version of exptrack that wrote it"
            )
        return None
    alive = is_owner_alive(header)
    if alive or (alive is None and not declared_dead(header.owner)) or is_writer_alive(path):
        return None
    if header.archive != connection.birth:
        _warn_once(
            f"the journal {path} belongs to another archive than {connection.path}, and is left in place;"
            " put it back beside its archive"
        )
        return None
    damage = Damage()
    stored = 0
    with connection.transaction():
        if not path.exists():
            return None
        drained = read_drained(connection, header.key)
        if drained is None:
            return _put_aside_for_note(connection, path)
        # A process that has replayed it may have been killed before it put the file away.
        replayed, unclaimed = drained >= PUT_ASIDE, drained == PUT_ASIDE
        if replayed and is_family_alive(path):
            return None
        if not replayed:
            points = read_points(path, header, drained, damage)
            stored, without_run = store_points(connection, points, reseal)
            unclaimed = without_run > 0
            if alive is False:
                save_drained(connection, header.key, PUT_ASIDE if damage or unclaimed else EVERYTHING)
            else:
                if damage or unclaimed:
                    # A replay that is killed after this commit leaves no note that the file is to be kept.
                    _copy_aside(path, header, _aside(path, damage))
                save_drained(connection, header.key, max(drained, damage.end))
    if not damage and not unclaimed:
        removed = not is_family_alive(path) and _put_away(path)
        return JournalReport(str(path), stored, None if removed else str(path), "")
    problem = damage.describe() or f"its runs are not in {connection.path}, or it is damaged"
    return JournalReport(str(path), stored, _put_aside(connection, path, damage), problem)


def store_points(
    connection: Connection, points: Iterable[JournalPoint], reseal: Callable[[int], None]
) -> tuple[int, int]:
    """Store the points of a journal whose runs are in the archive. Call inside a transaction.

    Return the number of points stored, and of those whose run is missing. `reseal` is as in :func:`recover`.
    """
    batches: dict[tuple[str, str], NewPoints] = {}
    runs: dict[str, tuple[int, str] | None] = {}
    without_run = 0
    for point in points:
        if point.run_id not in runs:
            row = connection.one(RUN_OF_POINTS, (point.run_id,))
            runs[point.run_id] = None if row is None else (row["id"], row["status"])
        run = runs[point.run_id]
        if run is None:
            without_run += 1
            continue
        batch = batches.get((point.run_id, point.name))
        if batch is None:
            batch = batches[point.run_id, point.name] = NewPoints(SeriesRow(run[0], point.name), [], [], [])
        batch.steps.append(point.step)
        batch.times_ms.append(point.time_ms)
        batch.values.append(point.value)
    append_points(connection, batches.values())
    for run in runs.values():
        if run is not None and run[1] != "running":
            reseal(run[0])
    return sum(len(batch.steps) for batch in batches.values()), without_run


def _put_aside(connection: Connection, path: Path, damage: Damage) -> str:
    """Rename a journal that is replayed, but holds what could not be stored; return where it is now."""
    aside = _aside(path, damage)
    if not _put_away(path, aside):
        return str(path)
    if damage:
        _warn_once(
            f"the journal {path.name} of a dead process is damaged: {damage.describe()}; its sound points"
            f" are in {connection.path}, and the file is kept as {aside}"
        )
    else:
        _warn_once(
            f"the journal {path.name} holds points that could not be stored, as their run is not in"
            f" {connection.path} or they are damaged; {aside} keeps them: delete it if you do not need it"
        )
    return str(aside)


def _aside(path: Path, damage: Damage) -> Path:
    return path.with_name(f"{path.name}.{'damaged' if damage else 'unclaimed'}")


def _copy_aside(path: Path, header: Header, aside: Path) -> None:
    """Copy a journal, in place of a copy that a killed replay left. Links are not followed."""
    with suppress(FileNotFoundError):
        os.unlink(aside)
    with open(aside, "xb") as copy:
        copy.write(read_journal(path, header.file_bytes))


def _put_aside_for_note(connection: Connection, path: Path) -> JournalReport:
    aside = path.with_name(f"{path.name}.unclaimed")
    has_moved = _put_away(path, aside)
    if has_moved:
        _warn_once(
            f"the note in {connection.path} on how far the journal {path.name} is stored is damaged, so none of"
            f" its points were stored now; {aside} keeps them: run 'exptrack verify'"
        )
    return JournalReport(str(path), 0, str(aside if has_moved else path), NOTE_IS_DAMAGED)


def _put_away(path: Path, aside: Path | None = None) -> bool:
    """Delete a journal that is replayed, or rename it; return whether its name is free now. Else say so."""
    try:
        if aside is None:
            os.unlink(path)
        else:
            os.replace(path, aside)
    except FileNotFoundError:
        return False  # another opener was faster
    except OSError as error:
        _warn_once(
            f"the journal {path} cannot be deleted or renamed ({error.strerror}), but its sound points are in"
            " the archive; a later opening tries again"
        )
        return False
    return True


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warn(message)
