"""An archive that one process has to itself, in a folder that many processes share: the spool.

The file is called ``HOST-PID-NONCE.db``. While its process uses it, a note lies beside it, with ``.open`` at
the end of the name. It says which process that is, and where SQLite has the file.

Invariants:

- Without a note the file is at rest: whole, in rollback mode, with no ``-wal`` and no journal of points. So
  anything can copy it. The note is written before the first change, and removed when all is in the file.
- Beside a file on a local disk lies a second note as long as the file does. It says whether the spool has all.
- On a network file system SQLite never opens the file. The process works on a local disk, and what it has is
  copied to the spool: written under a draft's name, synced, and renamed. Copying needs neither locks nor shared
  memory, which such file systems may lack.
- A forked child has a file of its own for the runs that it starts.
"""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from contextlib import suppress
from pathlib import Path

from exptrack.database import forks
from exptrack.database.disk import error_of, sync_folder
from exptrack.database.file_locks import lock_draft
from exptrack.database.filesystem import find_network
from exptrack.default_file import SPOOL_VARIABLE
from exptrack.errors import ArchiveIOError, ArchiveNotFoundError, warn
from exptrack.named_tuples import NamedTuple
from exptrack.new_files import NEW_FILE, draft_name, write_new_file
from exptrack.process import HOST_CHARS, ProcessIdentity, current_process, node_name

NAME = r"[0-9a-f]{8}-[0-9]+-[0-9a-f]{8}\.db"
NOTE_ENDING = ".open"
NOTE_BYTES = 64 * 1024
PRIVATE_FOLDER = 0o700
COPY_BYTES = 1 << 20
LARGEST_PAGE = 1 << 16  # bytes; the tables of an empty archive take 100 pages of 4,096
LOCAL_FOLDERS = ("/tmp", "/var/tmp")  # where the folder for temporary files is on the network too


class OpenNote(NamedTuple):
    """Which process has a file of a spool in use, on which machine and where, and which spool it belongs to.

    A note on the local disk stays while the file is at rest, and says so.
    """

    process: ProcessIdentity
    host: str
    path: str
    spool: str
    is_at_rest: bool = False


class SpooledFile:
    """The archive of one process in a spool. `place` is its place there, `path` where SQLite has it."""

    def __init__(self, folder: Path, name: str, work_folder: Path | None) -> None:
        self.place = folder / name
        self.path = (work_folder or folder) / name
        self.is_at_rest = False
        self.has_warned = False  # that it cannot be copied to the spool
        self.has_begun = False  # what dead processes left on this disk was looked for
        self.copy_due_s = 0.0  # when to copy it next while runs are open, by time.monotonic()

    @property
    def is_worked_on_elsewhere(self) -> bool:
        """Whether the file in the spool is a copy, made whenever its process has nothing open."""
        return self.path != self.place

    def mark_open(self) -> None:
        """Say that the file is in use by this process, before anything in it changes.

        The spool may have been merged and removed since the last run, or the local disk been cleaned: a missing
        folder is made again. If only the spool has the file, work goes on with a copy of that.

        Raises:
            ArchiveNotFoundError: the folder in which the spool is to stand is missing too.
            ArchiveFullError: the spool's disk has no room for the note.
            ArchiveReadOnlyError: the spool cannot be written.
        """
        try:
            if not self.place.parent.exists():
                _make_folder(self.place.parent)
            if self.is_worked_on_elsewhere and not os.path.lexists(self.path.parent):
                os.mkdir(self.path.parent, PRIVATE_FOLDER)  # fails if another user has just made it
            for path in self._notes():
                self._write_note(path, is_at_rest=False)
            if self.is_worked_on_elsewhere and self.place.exists() and not self.path.exists():
                _copy_whole(self.place, self.path)  # or the next copy to the spool would lack its runs
        except OSError as error:
            raise error_of(error, self.place, "cannot be created") from error
        self.is_at_rest = False

    def _write_note(self, path: Path, *, is_at_rest: bool) -> None:
        note = OpenNote(current_process(), node_name(), str(self.path), str(self.place.parent), is_at_rest)
        write_new_file(str(path), json.dumps(note._asdict()).encode(), overwrite=True, mode=0o600)

    def read_notes(self) -> dict[Path, bytes]:
        """Return what the notes say now, for :meth:`undo_open`."""
        return {path: path.read_bytes() for path in self._notes() if path.exists()}

    def undo_open(self, notes: dict[Path, bytes]) -> None:
        """After an opening that failed: write what the notes said before, and remove a file without tables.

        Nothing else is touched: the file may be damaged.
        """
        with suppress(OSError):
            if lacks_tables(self.path):
                self.path.unlink()
        with suppress(OSError):
            for path in reversed(self._notes()):
                if path in notes:
                    write_new_file(str(path), notes[path], overwrite=True, mode=0o600)
                else:
                    path.unlink(missing_ok=True)
        self.is_at_rest = not notes

    def mark_at_rest(self) -> None:
        """Say that the file in the spool holds everything."""
        self.is_at_rest = True
        self._note_of(self.place).unlink(missing_ok=True)
        if self.is_worked_on_elsewhere:
            self._write_note(self._note_of(self.path), is_at_rest=True)

    def _notes(self) -> list[Path]:
        """The notes: beside the file, by which a later process of this machine finds it, and in the spool.

        Wherever a process is killed, a note in the spool has its note on the local disk, unless that disk is
        lost.
        """
        return [self._note_of(place) for place in dict.fromkeys((self.path, self.place))]

    @staticmethod
    def _note_of(place: Path) -> Path:
        return Path(f"{place}{NOTE_ENDING}")

    def deliver(self, source: Path) -> None:
        """Copy a closed and whole file to its place in the spool, which changes at one stroke.

        Raises:
            OSError: it cannot be read, or the spool cannot be written.
        """
        if source == self.place:
            return
        _copy_whole(source, self.place)

    def remove_work(self) -> None:
        """Remove the file on the local disk, once the spool has all of it."""
        if self.is_worked_on_elsewhere:
            remove_work(self.path)

    def remove(self) -> None:
        """Remove a file that holds nothing, and its notes."""
        self.is_at_rest = True
        for path in (self.path, self.place, *reversed(self._notes())):
            path.unlink(missing_ok=True)


def _copy_whole(source: Path, target: Path) -> None:
    """Copy a closed file to a place that changes at one stroke, and sync it.

    Raises:
        OSError: it cannot be read, or the target cannot be written.
    """
    import shutil  # takes longer to import than a file takes to open

    draft = target.parent / draft_name()
    descriptor = os.open(draft, NEW_FILE, 0o600)
    lock_draft(descriptor)
    try:
        with open(descriptor, "wb") as out, open(source, "rb") as file:
            shutil.copyfileobj(file, out, COPY_BYTES)
            out.flush()
            os.fsync(descriptor)
        os.replace(draft, target)
    except BaseException:  # Ctrl-C too: it goes on, and no half copy stays in the spool
        with suppress(OSError):
            os.unlink(draft)
        raise
    sync_folder(target.parent)


def lacks_tables(path: Path) -> bool:
    """Whether a file is empty or has a single page, and its log has less than the tables of an archive.

    Another process is making the archive, or was killed as it did.

    Raises:
        OSError: the file cannot be looked at.
    """
    size = os.stat(path).st_size
    if size > LARGEST_PAGE or size & (size - 1):  # the size of a page is a power of two
        return False
    try:
        return os.stat(f"{os.path.realpath(path)}-wal").st_size <= LARGEST_PAGE
    except FileNotFoundError:
        return True


def remove_work(path: Path) -> None:
    """Remove a file on the local disk of which the spool has all, and what lies beside it; the note goes last.

    Beside it may lie the empty journal of a process that was killed as it began to wake the file.
    """
    if not path.parent.exists():
        return  # something cleaned the local disk
    beside = [
        one
        for one in path.parent.iterdir()
        if one.name.startswith(f"{path.name}.") and one.suffix != NOTE_ENDING
    ]
    for one in (path, *beside, Path(f"{path}{NOTE_ENDING}")):
        one.unlink(missing_ok=True)


def read_note(path: Path) -> OpenNote | None:
    """Read the note at `path`; None if it is gone or says nothing that can be understood."""
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(NOTE_BYTES))
        host_id, boot_id, pid, started = found["process"]
        process = ProcessIdentity(str(host_id), str(boot_id), int(pid), str(started))
        return OpenNote(
            process, str(found["host"]), str(found["path"]), str(found["spool"]), found["is_at_rest"] is True
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


# The files of this process

_folders: dict[str, Path] = {}  # of spools, by how they are named: a relative name means one folder for good
_own: dict[Path, SpooledFile] = {}  # by the folder of the spool
_known: dict[Path, SpooledFile] = {}  # by where SQLite has them; those of a parent too
_lock = threading.Lock()


def is_spooled_name(name: str) -> bool:
    """Whether a file of this name may be one of a spool."""
    return re.fullmatch(NAME, name) is not None


def own_file(named: str) -> SpooledFile:
    """Return this process's file in a spool. The first call chooses it, and makes a missing folder.

    Raises:
        ArchiveNotFoundError: the folder cannot be made, as the folder that it is to stand in is missing.
        ArchiveReadOnlyError: it cannot be made there.
        ArchiveIOError: it is no folder.
    """
    with _lock:
        folder = _folders.get(named)
        if folder is None:
            folder = _folders[named] = Path(os.path.abspath(named))
        found = _own.get(folder)
        if found is None:
            found = _own[folder] = choose_file(folder)
    return found


def choose_file(folder: Path) -> SpooledFile:
    """Choose a new file for this process in a spool, and make the folder if it is missing."""
    _make_folder(folder)
    me = current_process()
    name = f"{me.host_id[:HOST_CHARS]}-{me.pid}-{os.urandom(4).hex()}.db"
    kind = find_network(folder)
    work_folder = find_work_folder() if kind else None
    if kind and work_folder is None:
        warn(
            f"the spool {folder} lies on a network file system ({kind}), and this machine has no folder on a"
            " local disk to work in; set TMPDIR to one"
        )
    chosen = SpooledFile(folder, name, work_folder)
    _known[chosen.path] = chosen
    return chosen


def adopt_file(place: Path, path: Path) -> SpooledFile:
    """Return the file that a dead process left, so that opening and closing it brings it to rest."""
    adopted = SpooledFile(place.parent, place.name, path.parent)
    _known[path] = adopted
    return adopted


def find(path: Path) -> SpooledFile | None:
    """Return the file of a spool that this process has at `path`; None if it is no such file."""
    return _known.get(path)


def forget(spooled: SpooledFile) -> None:
    """Undo :func:`adopt_file`."""
    _known.pop(spooled.path, None)


def list_known() -> list[SpooledFile]:
    """Return the files of spools that this process has used."""
    return list(_known.values())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    except (FileNotFoundError, NotADirectoryError):
        raise ArchiveNotFoundError(
            f"the spool {folder} cannot be created: the folder {folder.parent} does not exist; create it first",
            path=str(folder),
        ) from None
    except FileExistsError:
        raise ArchiveIOError(
            f"the spool {folder} is not a folder; set {SPOOL_VARIABLE} to one", path=str(folder)
        ) from None
    except OSError as error:
        raise error_of(error, folder, "cannot be created") from error


def find_work_folder() -> Path | None:
    """Return this user's folder for work on a local disk; None if there is no local disk.

    Others may write to the folder above it, so one that is a link, another user's, or open to others is not
    used.
    """
    import tempfile

    user = os.getuid() if hasattr(os, "getuid") else "work"
    for base in dict.fromkeys((tempfile.gettempdir(), *LOCAL_FOLDERS)):
        folder = Path(base) / f"exptrack-{user}"
        try:
            folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
            status = os.lstat(folder)
        except OSError:
            continue
        if _is_private(status) and not find_network(folder):
            return folder
    return None


def _is_private(status: os.stat_result) -> bool:
    if not stat.S_ISDIR(status.st_mode):
        return False
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)


def _leave_to_parent() -> None:
    global _lock
    _lock = threading.Lock()
    _own.clear()


forks.run_in_child(_leave_to_parent)
