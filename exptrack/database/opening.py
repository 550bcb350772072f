"""Opening."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from exptrack.database.connection import Connection, identity_of, read_identity
from exptrack.database.migrations import APPLICATION_ID, _too_new, latest_version, migrate, require_own_schema
from exptrack.errors import (
    ArchiveCorruptError,
    ArchiveIOError,
    ArchiveNotFoundError,
    ArchiveReadOnlyError,
    InvalidValueError,
    NotAnArchiveError,
)

PRIVATE = 0o600
CREATION_GRACE_S = 2.0
JUST_BEGUN = (0, 0, 1)  # application_id, user_version, pages
JOURNAL_MAGIC = bytes.fromhex(
    "d9d505f920a163d7"
)  # begins a rollback journal, ends one that names a super-journal


def archive_path(path: str | os.PathLike[str] | None) -> Path:
    """`path`, else ``EXPTRACK_DB``, else ``exptrack.db`` in the working folder, made absolute."""
    chosen = path if path is not None else os.environ.get("EXPTRACK_DB") or "exptrack.db"
    text = os.fsdecode(chosen)
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise InvalidValueError(f"{text!r} cannot be a path") from None
    if not text or "\0" in text:
        raise InvalidValueError(f"{text!r} cannot be a path")
    return Path(os.path.abspath(text))


def open_connection(
    path: str | os.PathLike[str] | None = None, *, mode: str = "rw", create: bool = True
) -> Connection:
    """Open an archive, bringing it to the current format first.

    `mode` is ``"rw"`` or ``"ro"``. With ``"rw"`` and `create` a missing or empty file becomes a new
    archive, readable by its owner alone. ``"ro"`` changes nothing and also works on a medium that
    nobody can write.

    Raises:
        ArchiveNotFoundError: no such file, and it was not to be created.
        NotAnArchiveError: another program's file; untouched.
        ArchiveTooNewError: written by a newer exptrack, and `mode` is ``"rw"``.
        ArchiveReadOnlyError: the file or folder cannot be written, and `mode` is ``"rw"``.
        MigrationError: a migration failed; the file is as it was.
    """
    if mode not in ("rw", "ro"):
        raise InvalidValueError(f"mode must be 'rw' or 'ro', not {mode!r}")
    place = archive_path(path)
    if mode == "rw" and create:
        _create_file(place)
    try:
        size = place.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        advice = "start_run() makes one, 'exptrack demo' fills one"
        if place.is_symlink():
            advice = f"it is a link, and what it leads to, {os.readlink(place)}, does not exist"
        raise ArchiveNotFoundError(f"there is no archive at {place}; {advice}", path=str(place)) from None
    except OSError as error:
        raise ArchiveIOError(f"cannot reach {place}: {error.strerror}", path=str(place)) from None
    if not place.is_file():
        # A pipe or device has a size of 0, as a new archive has.
        kind = "a folder" if place.is_dir() else "a device or pipe"
        raise NotAnArchiveError(f"{place} is {kind}, not an archive", path=str(place))
    if size:
        _require_ours(place, writing=mode == "rw")
    elif mode == "ro" or not create:
        raise NotAnArchiveError(f"{place} is empty, not an archive", path=str(place))
    return _writable(place) if mode == "rw" else _readable(place)


def _create_file(place: Path) -> None:
    """Make an empty file of mode 0600, unless there is one: SQLite's -wal and -shm inherit the mode."""
    try:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE))
    except FileExistsError:
        return
    except (FileNotFoundError, NotADirectoryError):
        raise ArchiveNotFoundError(
            f"cannot create {place}: the folder {place.parent} does not exist", path=str(place)
        ) from None
    except OSError as error:
        raise ArchiveReadOnlyError(f"cannot create {place}: {error.strerror}", path=str(place)) from None
    if os.name == "posix":
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _require_ours(place: Path, *, writing: bool) -> None:
    """Refuse a file that is not an archive, nor (for writing) an SQLite file without anything in it."""
    deadline = time.monotonic() + CREATION_GRACE_S
    while True:
        # Looked at first: a creation that ends meanwhile is then seen whole.
        being_created = Path(f"{place}-journal").exists()
        problem = f"{place} is an SQLite file, but not an exptrack archive; left untouched"
        try:
            application_id, version, pages = _identity(place)
        except NotAnArchiveError as error:
            problem = str(error)
        except ArchiveCorruptError:
            # The last connection may have closed, and its WAL gone, between the two ways of looking.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
            continue
        else:
            # One page holds no table: the creation of an archive was begun, here or elsewhere.
            begun = (application_id, version, pages) == JUST_BEGUN and writing
            if application_id == APPLICATION_ID or begun:
                return
        # A reader that takes no locks may see the first commit half written.
        if not being_created or time.monotonic() > deadline:
            raise NotAnArchiveError(problem, path=str(place))
        time.sleep(0.005)


def _identity(place: Path) -> tuple[int, int, int]:
    """Read the identity without a trace, or through the WAL where the file alone makes no sense.

    A checkpoint under way, or one whose process was killed, leaves the file half copied; together with the
    WAL it is whole. A creation that was cut short leaves it half written; SQLite undoes that at the next
    opening.
    """
    try:
        return read_identity(place)
    except ArchiveCorruptError:
        if _is_half_created(place):
            return JUST_BEGUN
        if not Path(f"{place}-wal").exists():
            raise
        with _for_reading(place) as connection:
            return identity_of(connection)


def _is_half_created(place: Path) -> bool:
    """Whether a rollback journal beside the file undoes it to a database without a table.

    A journal that names a second one (as a transaction over several files does) is not ours, and undoing it
    would touch that other file.
    """
    try:
        journal = Path(f"{place}-journal").read_bytes()
    except OSError:
        return False
    pages_before = int.from_bytes(journal[16:20], "big")
    return journal.startswith(JOURNAL_MAGIC) and pages_before <= 1 and not journal.endswith(JOURNAL_MAGIC)


def _writable(place: Path) -> Connection:
    if not os.access(place, os.W_OK) or not os.access(place.parent, os.W_OK):
        raise ArchiveReadOnlyError(f"{place} or its folder cannot be written", path=str(place))
    connection = Connection(place)
    try:
        version = int(connection.value("PRAGMA user_version"))
        if version > latest_version():
            raise _too_new(place, version)
        if version < latest_version():
            migrate(connection)
        if connection.value("PRAGMA journal_mode") != "wal":
            _switch_to_wal(connection)
        require_own_schema(connection)
        connection.remember_identity()
    except BaseException:
        connection.close()
        raise
    return connection


def _readable(place: Path) -> Connection:
    connection = _for_reading(place)
    try:
        connection.value("PRAGMA schema_version")
        require_own_schema(connection)
        return connection
    except BaseException:
        connection.close()
        raise


def _for_reading(place: Path) -> Connection:
    """A connection for reading, whatever the medium allows.

    A WAL database needs shared memory beside it. Where none can be made, a file without a WAL is read
    as immutable (nobody can write it), and one with a WAL is copied, with it, to a private folder.
    """
    folder_writable = os.access(place.parent, os.W_OK)
    wal = Path(f"{place}-wal")
    if folder_writable or Path(f"{place}-shm").exists():
        return Connection(place, "ro")
    if not wal.exists() or wal.stat().st_size == 0:
        return Connection(place, "immutable")
    return _copied(place, wal)


def _copied(place: Path, wal: Path) -> Connection:
    folder = Path(tempfile.mkdtemp(prefix="exptrack-"))
    copy = folder / place.name
    shutil.copyfile(place, copy)
    shutil.copyfile(wal, Path(f"{copy}-wal"))
    connection = Connection(copy, "ro")
    connection.on_close = lambda: shutil.rmtree(folder, ignore_errors=True)
    return connection


def _switch_to_wal(connection: Connection) -> None:
    """Persistently; every opener may try, and the loser of a race finds it done."""
    mode = connection.value("PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise ArchiveIOError(
            f"{connection.path} cannot use a write-ahead log (journal mode stays {mode}): its file system"
            " has no shared memory. Use a local disk.",
            path=str(connection.path),
        )


_OPEN: dict[Path, Connection] = {}


def default_connection() -> Connection:
    """The open connection of the default archive, which is created when it does not exist."""
    path = archive_path(None)
    connection = _OPEN.get(path)
    if connection is None or connection.closed or not path.exists():
        connection = _OPEN[path] = open_connection(path)
    return connection
