"""A spool: a folder in which each process has an archive of its own, to be merged when the work is done.

``EXPTRACK_SPOOL`` or :func:`exptrack.local_archive` names it. `database.spooled_file` says what lies in it.

Invariants:

- Listing a spool changes nothing in it.
- A file leaves the spool only while it is at rest and unchanged since the target was found to hold all of it,
  and after the target was synced.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from exptrack.artifacts.drafts import remove_dead_drafts
from exptrack.database.connection import Connection
from exptrack.database.filesystem import find_network
from exptrack.database.frozen import wal_bytes
from exptrack.database.opening import open_connection
from exptrack.database.rest import remove_at_rest
from exptrack.database.spooled_file import (
    NOTE_ENDING,
    OpenNote,
    adopt_file,
    find_work_folder,
    forget,
    is_spooled_name,
    read_note,
    remove_work,
)
from exptrack.errors import ArchiveIOError, ArchiveNotFoundError, ExptrackError, warn
from exptrack.metrics.journal_file import SUFFIX, list_journals
from exptrack.metrics.journal_reader import is_owner_alive, is_stillborn, read_header
from exptrack.process import current_process, is_alive
from exptrack.tracking import recovery

AT_REST, OPEN, LEFT, UNSEEN = "at rest", "open", "left", "unseen"


class SpooledArchive(NamedTuple):
    """An archive of a spool.

    `state` is ``"at rest"`` (no process uses it), ``"open"`` (its process lives), ``"left"`` (its process died
    while it was open) or ``"unseen"`` (whether its process lives cannot be known here). `place` is its path in
    the spool, and `path` the file to read: on a network file system that may be on this machine's local disk.
    `path` is empty if this machine has no such file. `advice` says what is missing in it, and what to do.
    """

    place: str
    path: str
    state: str
    advice: str


def list_spooled(folder: str | os.PathLike[str]) -> list[SpooledArchive]:
    """List the archives of a spool, and other archives that lie in the folder. Changes nothing.

    Raises:
        ArchiveNotFoundError: there is no such folder.
        ArchiveIOError: the folder cannot be listed.
    """
    spool = Path(os.path.abspath(folder))
    try:
        names = set(os.listdir(spool))
    except FileNotFoundError:
        raise ArchiveNotFoundError(f"there is no folder {spool}; check the path", path=str(spool)) from None
    except OSError as error:
        raise ArchiveIOError(
            f"{spool} cannot be listed ({error.strerror}); check that it is a folder, and its permissions",
            path=str(spool),
        ) from error
    files = {name for name in names if name.endswith(".db")}
    noted = {name.removesuffix(NOTE_ENDING) for name in names if name.endswith(NOTE_ENDING)}
    noted = {name for name in noted if is_spooled_name(name)}
    logging = {name.partition(".db.")[0] + ".db" for name in names if name.endswith(SUFFIX)}
    return [_look_at(spool / name, name in logging) for name in sorted(files | noted)]


def _look_at(place: Path, has_journal: bool) -> SpooledArchive:
    note_path = Path(f"{place}{NOTE_ENDING}")
    if not note_path.exists():
        if has_journal:
            # Its process is just beginning a run, or was killed as it did.
            return SpooledArchive(str(place), str(place), LEFT if _are_writers_dead(place) else UNSEEN, "")
        if wal_bytes(place):
            return SpooledArchive(str(place), str(place), UNSEEN, "")  # another program has it open, or had
        return SpooledArchive(str(place), str(place), AT_REST, "")
    note = read_note(note_path)
    if note is None:
        return SpooledArchive(
            str(place),
            _existing(place),
            UNSEEN,
            f"{note_path} cannot be read, so its process is unknown; delete it once that has ended",
        )
    alive = is_alive(note.process)
    state = {True: OPEN, False: LEFT, None: UNSEEN}[alive]
    path = _find_work(place, note)
    if path is not None:
        return SpooledArchive(str(place), str(path), state, "")
    if alive:
        return SpooledArchive(
            str(place), _existing(place), OPEN, f"process {note.process.pid} works on {note.path}"
        )
    return SpooledArchive(str(place), _existing(place), state, _say_where(place, note, alive is False))


def _are_writers_dead(place: Path) -> bool:
    journals = list_journals(place)
    try:
        headers = [read_header(path) for path in journals]
        return all(
            is_stillborn(path) if header is None else is_owner_alive(header) is False
            for path, header in zip(journals, headers, strict=True)
        )
    except OSError:
        return False  # one is gone by now


def _say_where(place: Path, note: OpenNote, is_dead: bool) -> str:
    is_here = note.process.host_id == current_process().host_id
    if note.path == os.path.join(note.spool, place.name) or (
        is_here and is_dead and os.path.exists(f"{note.path}{NOTE_ENDING}")
    ):
        return ""  # its process died before it made the file
    what = "the points since the last copy" if place.exists() else "all of its points"
    where = f"{note.path} on {note.host}"
    if is_dead:
        return f"{what} were in {where}, which is gone; put that file back if you have it"
    return (
        f"{what} are in {where}; wait for its process, or run 'exptrack merge OUT {note.spool}' on that machine"
    )


def _existing(place: Path) -> str:
    return str(place) if place.exists() else ""


def _find_work(place: Path, note: OpenNote) -> Path | None:
    """Return the file that the process works on, if it is on this machine or in the spool itself."""
    path = Path(note.path)
    if note.path == os.path.join(note.spool, place.name):
        return place if place.exists() else None  # the spool may have been moved, or be mounted elsewhere
    is_here = note.process.host_id == current_process().host_id
    return path if is_here and path.name == place.name and path.exists() else None


def settle_spool(folder: str | os.PathLike[str]) -> list[str]:
    """Bring to rest what dead processes of this machine left in a spool; return the places of those files.

    Their points are stored, their runs become interrupted, and what lay on a local disk comes to the spool.
    Commits. Warns of a file with which that fails, and leaves it.

    Raises:
        ArchiveNotFoundError: there is no such folder.
    """
    settled = []
    spool = Path(os.path.abspath(folder))
    for found in list_spooled(spool):
        place = Path(found.place)
        if found.state != LEFT or not is_spooled_name(place.name):
            continue
        if found.path:
            if _settle_file(place, Path(found.path)):
                settled.append(found.place)
        elif not found.advice:
            Path(f"{place}{NOTE_ENDING}").unlink(missing_ok=True)
    work_folder = find_work_folder() if find_network(spool) else None
    if work_folder is not None:
        settled += _settle_local(work_folder, spool)
    _remove_drafts(spool)
    return settled


def _remove_drafts(folder: Path) -> None:
    """Remove the copies that were not finished as their process was killed."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            remove_dead_drafts(opened)
        finally:
            os.close(opened)


def _settle_file(place: Path, path: Path) -> bool:
    adopted = adopt_file(place, path)
    try:
        is_empty = not path.stat().st_size  # its process died while it created the file
        connection = open_connection(path, create=is_empty)
        try:
            recovery.begin(connection)
        finally:
            connection.close()
    except (FileNotFoundError, ArchiveNotFoundError):
        return False  # another process was faster
    except ExptrackError as error:
        warn(f"{path} was left by a process that died, and cannot be brought to rest: {error}")
        return False
    finally:
        forget(adopted)
    return adopted.is_at_rest and place.exists()


def begin(connection: Connection) -> None:
    """Bring what dead processes left on this machine's disk to the spool that `connection` belongs to."""
    spooled = connection.spooled
    if spooled is None or not spooled.is_worked_on_elsewhere or spooled.has_begun:
        return
    spooled.has_begun = True
    _settle_local(spooled.path.parent, spooled.place.parent)


def _settle_local(work_folder: Path, spool: Path) -> list[str]:
    """Bring what dead processes left on the local disk to their spool; return the places of those files."""
    _remove_drafts(work_folder)
    settled = []
    for note_path in sorted(work_folder.glob(f"*.db{NOTE_ENDING}")):
        note = read_note(note_path)
        path = Path(str(note_path).removesuffix(NOTE_ENDING))
        if note is None or note.spool != str(spool) or not is_spooled_name(path.name):
            continue
        if is_alive(note.process) is False:
            if note.is_at_rest or not path.exists():
                remove_work(path)
            elif _settle_file(spool / path.name, path):
                settled.append(str(spool / path.name))
    return settled


def remove_merged(
    target: Connection, files: Iterable[SpooledArchive], is_stored: Callable[[Path], bool]
) -> tuple[list[str], list[str]]:
    """Remove files from their spool whose content `target` holds; return the paths removed and those left.

    `is_stored` is asked about each file whether the target holds everything in it. Before, the target is
    synced. A file is left if it is no file of a spool, if it is not at rest, if it changed meanwhile, or if
    `is_stored` says no.

    Raises:
        ArchiveError: the target could not be synced; nothing is removed.
    """
    target.checkpoint()
    removed: list[str] = []
    left: list[str] = []
    for file in files:
        place = Path(file.place)
        is_removed = is_spooled_name(place.name) and remove_at_rest(place, is_stored)
        (removed if is_removed else left).append(file.place)
    return removed, left
