"""Open an archive: create it, refuse the files of other programs, bring it to the current format.

Begin with `open_connection`; `default_connection` opens the archive that calls without a path use.

Invariants:

- A file that is not an archive stays untouched, to the byte: its identity is read with ``immutable=1``, without
  locks, side files or recovery.
- The umask decides the mode of a new file, as of any other; SQLite gives it to its ``-wal`` and ``-shm`` too.
- A process keeps one connection for each path of the default archive.
"""

from __future__ import annotations

import copyreg
import errno
import os
import sys
import time
from contextlib import suppress
from functools import partial

from exptrack.database.connection import Connection, in_section
from exptrack.database.disk import NO_ROOM, error_of, sync_folder
from exptrack.database.frozen import Look, look_at, side_files_exist, wal_bytes
from exptrack.database.hold import find_other_name
from exptrack.database.migrations import APPLICATION_ID, bring_up_to_date
from exptrack.database.own_schema import require_own_schema
from exptrack.database.patience import BUSY_WAIT_S
from exptrack.database.places import find_owner_of_side_file, require_own_side_files, require_plain_side_files
from exptrack.database.rest import close_for_waking, leave
from exptrack.default_file import SPOOL_VARIABLE, describe_missing, find_default_file
from exptrack.errors import (
    ArchiveCorruptError,
    ArchiveFullError,
    ArchiveIOError,
    ArchiveLockedError,
    ArchiveMovedError,
    ArchiveNotFoundError,
    ArchiveReadOnlyError,
    InvalidValueError,
    NotAnArchiveError,
)
from exptrack.records import Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from exptrack.database.spooled_file import SpooledFile


BY_UMASK = 0o666  # the mode of a new file, before the umask takes its bits away
IN_MEMORY = (":memory:", "file::memory:")  # what SQLite calls a database without a file
CREATION_GRACE_S = 2.0  # how long to wait for another process that is creating the file
READERS_WAIT_S = 2.0  # for a process that holds every lock; after that a copy is read
HAS_SEAL = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'seal'"
SEALED_AT = "SELECT sealed_at FROM seal WHERE id = 1"
COPY_TRIES = 20
JUST_BEGUN = (0, 0, 1)  # application_id, user_version, pages
# A rollback journal begins with these bytes; one that names a super-journal also ends with them.
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
JOURNAL_HEAD_BYTES = 20  # up to the number of pages that the file had before

_OPEN: dict[str, Connection] = {}  # connections of the default archive, by path
_UNPICKLED: dict[tuple[str, str], Connection] = {}


def archive_path(path: str | os.PathLike[str] | None) -> Path:
    """Return what :func:`find_place` returns, as a ``Path``."""
    from pathlib import Path

    return Path(find_place(path))


def find_place(path: str | os.PathLike[str] | None) -> str:
    """Return `path` as an absolute path; without `path`, that of the default archive.

    The default is this process's own archive in the folder that ``EXPTRACK_SPOOL`` names. If that is not set,
    it is the one that `default_file` finds.

    Raises:
        InvalidValueError: the path is empty, contains a NUL or cannot be encoded; it is ``:memory:``; or the
            name is so long that the names of its ``-wal`` and ``-journal`` cannot exist.
        ArchiveNotFoundError: the path is relative, and the working folder was deleted.
    """
    if path is None and os.environ.get(SPOOL_VARIABLE):
        from exptrack.database.spooled_file import own_file

        return str(own_file(os.environ[SPOOL_VARIABLE]).path)
    text = os.fsdecode(find_default_file() if path is None else path)
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise InvalidValueError(f"{text!r} is not a path: it cannot be encoded; give another path") from None
    if not text or "\0" in text:
        problem = "it holds a NUL" if text else "it is empty"
        raise InvalidValueError(f"{text!r} is not a path: {problem}; give another path")
    if text.partition("?")[0] in IN_MEMORY:
        raise InvalidValueError(
            f"an archive is a file, and {text!r} is none: what a run logs must outlive its process; give a path"
            " (for a try, one in a temporary folder)"
        )
    try:
        place = os.path.abspath(text)
    except FileNotFoundError:
        raise ArchiveNotFoundError(
            f"{text!r} cannot be found: the working folder was deleted; change to another, or give a full path",
            path=text,
        ) from None
    try:
        os.lstat(f"{place}-journal")
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidValueError(
                f"{place!r} is too long for the files beside it; choose a shorter name"
            ) from None
    return place


def default_connection(*, create: bool = True) -> Connection:
    """Return the connection of the default archive; the first call opens it.

    With `create` a missing file is made, and its path printed on standard error. This process's own file in a
    spool is made in any case; it does not stay if no run is in it.

    Raises:
        ArchiveNotFoundError: there is no file, and `create` is false. The message says where it was looked for.
    """
    path = find_place(None)
    connection = _OPEN.get(path)
    if connection is None or not _keep_if_at_its_place(connection):
        create = create or _find_spooled(path) is not None
        connection = _OPEN[path] = _open_whole(path, create=create, is_default=True)
    return connection


def reopen_connection(path: str, mode: str) -> Connection:
    """Open an archive for a handle that another process pickled; all such handles share one connection.

    Raises:
        ArchiveNotFoundError: there is no archive at this path, on this machine.
    """
    key = (path, mode)
    connection = _UNPICKLED.get(key)
    if connection is None or not _keep_if_at_its_place(connection):
        connection = _UNPICKLED[key] = open_connection(path, mode=mode, create=False)
    return connection


def _keep_if_at_its_place(connection: Connection) -> bool:
    """Return whether the connection is open on the file that its path leads to.

    One on a file that was there before is closed: its WAL would be taken for that of the file there now.
    """
    try:
        connection.check_identity()
    except ArchiveMovedError:
        connection.close()
    return not connection.closed


def _reduce_connection(connection: Connection) -> tuple[Any, ...]:
    mode = "rw" if connection.mode == "rw" else "ro"
    return reopen_connection, (connection.home, mode)


# Whatever holds a connection can be handed to another process, where it opens the archive by its path.
copyreg.pickle(Connection, _reduce_connection)


def open_connection(
    path: str | os.PathLike[str] | None = None,
    *,
    mode: str = "rw",
    create: bool = True,
    wait_s: float = BUSY_WAIT_S,
) -> Connection:
    """Open an archive and, for writing, bring it to the current format first.

    `mode` is ``"rw"`` or ``"ro"``. With ``"rw"`` and `create`, a missing or empty file becomes a new archive,
    whose mode follows the umask. ``"ro"`` changes nothing, and works on a medium that cannot be written.
    `wait_s` is how long to wait with ``"rw"`` for a process that lets no other open the file.

    Without `path` it is the default archive. If that is made, its path is printed on standard error.

    Raises:
        ArchiveLockedError: a process kept the file locked for `wait_s`.
        ArchiveNotFoundError: the file does not exist and is not to be created, or its folder does not exist.
        NotAnArchiveError: it is the file of another program, empty, a folder or a device; it is untouched.
        ArchiveMovedError: it was put in the place of a file that a process still has open.
        ArchiveTooNewError: a newer exptrack wrote the file, and `mode` is ``"rw"``.
        ArchiveReadOnlyError: the file or its folder cannot be written, and `mode` is ``"rw"``.
        MigrationError: a migration failed; the file is unchanged.
        ArchiveIOError: the file cannot be reached, or its file system has no shared memory.
        InvalidValueError: `mode` is neither of the two, `path` is not a path, or a new archive would have the
            name of another file's ``-wal``, ``-shm`` or ``-journal``.
    """
    if mode not in ("rw", "ro"):
        raise InvalidValueError(f"mode must be 'rw' or 'ro', not {mode!r}")
    return _open_whole(find_place(path), mode, create=create, wait_s=wait_s, is_default=path is None)


def _find_spooled(place: str) -> SpooledFile | None:
    """Return the file of a spool that this process has at a place; without one, nothing is imported."""
    module = sys.modules.get("exptrack.database.spooled_file")
    if module is None:
        return None
    from pathlib import Path

    found: SpooledFile | None = module.find(Path(place))
    return found


def _open_whole(
    place: str,
    mode: str = "rw",
    *,
    create: bool = True,
    wait_s: float = BUSY_WAIT_S,
    is_default: bool = False,
) -> Connection:
    """Open an archive, and wake it first if it is this process's own in a spool."""
    spooled = _find_spooled(place) if mode == "rw" else None
    if spooled is None or not (create or os.path.exists(place)):
        return _open(place, mode, create, wait_s, is_default)
    before = spooled.read_notes()
    spooled.mark_open()
    close_for_waking(spooled)
    try:
        connection = _open(place, mode, create, wait_s, False)
    except BaseException:
        spooled.undo_open(before)
        raise
    connection.spooled = spooled
    connection.on_close = partial(leave, spooled)
    return connection


def _open(place: str, mode: str, create: bool, wait_s: float, is_default: bool) -> Connection:
    is_new = mode == "rw" and create and _create_file(place)
    if is_new and _find_spooled(place) is None:
        from exptrack.database.filesystem import warn_of_network

        warn_of_network(place)
    try:
        size = os.stat(place).st_size
    except (FileNotFoundError, NotADirectoryError):
        problem = f"there is no archive at {place}; start_run() creates one, 'exptrack demo' fills one"
        if os.path.islink(place):
            target = os.readlink(place)
            problem = f"there is no archive at {place}; it is a link to {target}, which does not exist"
        elif is_default:
            problem = describe_missing(place)
        raise ArchiveNotFoundError(problem, path=place) from None
    except OSError as error:
        raise ArchiveIOError(
            f"{place} cannot be reached ({error.strerror}); check the permissions of its folders",
            path=place,
        ) from None
    if not os.path.isfile(place):
        # A pipe or device has size 0, like a new archive.
        kind = "a folder" if os.path.isdir(place) else "a device or pipe"
        raise NotAnArchiveError(f"{place} is {kind}, not an archive; give the path of a file", path=place)
    require_plain_side_files(place)
    if size:
        require_own_side_files(place)
        _require_ours(place, writing=mode == "rw")
    elif mode == "ro" or not create:
        raise NotAnArchiveError(
            f"{place} is empty, not an archive; start_run() makes it an archive", path=place
        )
    connection = _open_writable(place, wait_s) if mode == "rw" else _open_readable(place)
    if is_new and is_default:
        _tell_of_new_file(place)
    return connection


def _tell_of_new_file(place: str) -> None:
    """Print the path of a default archive that was just made: the folder may not be the one that was meant."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # a closed or full stream must not hinder a run
            print(f"exptrack: made the archive {place}", file=sys.stderr, flush=True)


def _create_file(place: str) -> bool:
    """Create an empty file if none exists. SQLite gives its -wal and -shm the same mode.

    Returns whether it was created.
    """
    if not os.path.lexists(place) and (owner := find_owner_of_side_file(place)) is not None:
        raise InvalidValueError(
            f"{place} cannot be created: SQLite would take it for a part of {owner}; choose another name"
        )
    try:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR, BY_UMASK))
    except FileExistsError:
        return False
    except (FileNotFoundError, NotADirectoryError):
        raise ArchiveNotFoundError(
            f"{place} cannot be created: the folder {os.path.dirname(place)} does not exist; create it first",
            path=place,
        ) from None
    except OSError as error:
        raise error_of(error, place, "cannot be created") from None
    sync_folder(os.path.dirname(place))
    return True


def _require_ours(place: str, *, writing: bool) -> None:
    """Refuse a file that is not an archive. For writing, an SQLite file without a table is accepted too."""
    deadline = time.monotonic() + CREATION_GRACE_S
    before: Look | None = None
    while True:
        look = look_at(place)
        # Look for the journal first. If the creation ends after this line, the file below is complete.
        being_created = os.path.exists(f"{place}-journal")
        problem = f"{place} is an SQLite file of another program and was left untouched; choose another path"
        try:
            application_id, version, pages = _identify(place)
        except NotAnArchiveError as error:
            problem = str(error)
        except ArchiveCorruptError:
            # The last connection may have closed and removed its WAL between the two attempts to read. The file
            # of a second failure in a row then looks other than that of the first.
            is_unchanged = look is not None and look == before and not being_created
            if is_unchanged or time.monotonic() > deadline:
                raise
            before = look
            time.sleep(0.005)
            continue
        else:
            # A file of one page holds no table: this or another process has begun to create an archive.
            begun = (application_id, version, pages) == JUST_BEGUN and writing
            if application_id == APPLICATION_ID or begun:
                return
        # This read takes no locks, so it may see half of the first commit.
        if not being_created or time.monotonic() > deadline:
            raise NotAnArchiveError(problem, path=place)
        time.sleep(0.005)


def read_identity(path: str | os.PathLike[str]) -> tuple[int, int, int]:
    """Read application_id, user_version and page count from the main file alone.

    Opens with ``immutable=1``, so no lock, side file or recovery touches a file that may be another program's.

    Raises:
        NotAnArchiveError: the file is not an SQLite database.
        ArchiveCorruptError: the file alone is inconsistent: damaged, or half copied by a checkpoint.
    """
    with Connection(path, "immutable") as connection:
        return _query_identity(connection)


def _query_identity(connection: Connection) -> tuple[int, int, int]:
    return (
        int(connection.value("PRAGMA application_id")),
        int(connection.value("PRAGMA user_version")),
        int(connection.value("PRAGMA page_count")),
    )


def _identify(place: str) -> tuple[int, int, int]:
    """Read the identity from the file alone, or together with its WAL if the file alone is inconsistent.

    A checkpoint that is running, or whose process was killed, leaves the file half copied; with the WAL it is
    complete. A creation that was killed leaves the file half written; SQLite undoes that at the next opening.
    """
    try:
        return read_identity(place)
    except ArchiveCorruptError:
        if _is_half_created(place):
            return JUST_BEGUN
        if not os.path.exists(f"{place}-wal"):
            raise
        with _open_for_reading(place) as connection:
            return _query_identity(connection)


def _is_half_created(place: str) -> bool:
    """Whether a rollback journal beside the file would undo it to a database without a table.

    A journal that names a second one belongs to a transaction over several files, which exptrack never makes.
    Undoing it would change those other files.
    """
    try:
        with open(f"{place}-journal", "rb") as journal:
            begin = journal.read(JOURNAL_HEAD_BYTES)
            journal.seek(-min(len(begin), len(JOURNAL_MAGIC)), os.SEEK_END)
            end = journal.read(len(JOURNAL_MAGIC))
    except OSError:
        return False
    pages_before = int.from_bytes(begin[16:20], "big")
    return begin.startswith(JOURNAL_MAGIC) and pages_before <= 1 and end != JOURNAL_MAGIC


def _open_writable(place: str, wait_s: float) -> Connection:
    if not os.access(place, os.W_OK) or not os.access(os.path.dirname(os.path.realpath(place)), os.W_OK):
        raise ArchiveReadOnlyError(
            f"{place} or its folder cannot be written; check their permissions, or open it with mode 'ro'",
            path=place,
        )
    _require_one_name(place)
    connection = Connection(place)
    connection.busy_wait_s = wait_s
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    connection.busy_wait_s = BUSY_WAIT_S
    return connection


def _require_one_name(place: str) -> None:
    """Refuse a second name of a file that this process has open: under each name it would have another WAL."""
    other = find_other_name(place)
    if other is not None:
        raise ArchiveMovedError(
            f"{place} is a hard link to {other}, which this process has open; open it by that name",
            path=place,
        )


@in_section
def _prepare(connection: Connection) -> None:
    """Make the file ready for writing, in one thread: each thread's connection parses the schema (0.7 ms)."""
    if _is_half_created(connection.file):
        connection.value("PRAGMA schema_version")  # SQLite undoes the creation, perhaps to an empty file
    if os.stat(connection.file).st_size:
        # And see whether the WAL is damaged, or another name has one, before anything is written.
        connection.remember_identity()
    if connection.value("PRAGMA journal_mode") != "wal":
        _require_unsealed(connection)
    bring_up_to_date(connection)
    if connection.value("PRAGMA journal_mode") != "wal":
        connection.switch_to_wal()
    require_own_schema(connection)
    connection.remember_identity()
    connection.remember_birth()


def find_sealing(connection: Connection) -> str | None:
    """Return when a file was sealed; None if it has no seal."""
    return connection.value(SEALED_AT) if connection.value(HAS_SEAL) else None


def _require_unsealed(connection: Connection) -> None:
    """Refuse to change a file that was sealed. Such a file has no write-ahead log."""
    if find_sealing(connection) is not None:
        raise ArchiveReadOnlyError(
            f"{connection.file} is sealed and stays as it is; open it with mode 'ro', or unpack it:"
            " 'exptrack unpack' makes an archive of it that can be written",
            path=connection.file,
        )


def _open_readable(place: str) -> Connection:
    connection = _open_for_reading(place)
    try:
        require_own_schema(connection)
        connection.remember_identity()
        connection.remember_birth()
        return connection
    except BaseException:
        connection.close()
        raise


def _open_for_reading(place: str) -> Connection:
    """Open a connection for reading.

    The disk may be full, the medium read-only, or every lock held by a process that was stopped.

    A database in WAL mode needs a ``-wal`` and a ``-shm`` beside it. Where this process cannot make them, or
    may not (see `frozen`), a database without a WAL is opened as immutable. One with a WAL is copied with it to
    a private folder.
    """
    _require_one_name(place)
    if _may_use_side_files(place):
        connection = Connection(place, "ro")
        connection.busy_wait_s = READERS_WAIT_S
        try:
            connection.remember_identity()
            connection.value("PRAGMA schema_version")
            connection.busy_wait_s = BUSY_WAIT_S
            return connection
        except (ArchiveLockedError, ArchiveFullError, ArchiveIOError, ArchiveReadOnlyError) as error:
            connection.close()
            if isinstance(error, ArchiveLockedError) and not wal_bytes(place):
                raise
    return _open_copy(place) if wal_bytes(place) else Connection(place, "frozen")


def _may_use_side_files(place: str) -> bool:
    """Whether SQLite can read with ``-wal`` and ``-shm`` without making one that their owner cannot write."""
    real = os.path.realpath(place)
    makes_none = side_files_exist(real)
    return makes_none or (os.access(real, os.W_OK) and os.access(os.path.dirname(real), os.W_OK))


def _open_copy(place: str) -> Connection:
    """Open a copy of the file and its WAL; closing the connection removes the copy.

    Raises:
        ArchiveFullError: there is no room for the copy.
        ArchiveLockedError: the file changed during each of several attempts.
    """
    import shutil  # both take longer to import than a file takes to open
    import tempfile
    from pathlib import Path

    folder: Path | None = None
    try:
        folder = Path(tempfile.mkdtemp(prefix="exptrack-"))
        copy = _copy_unchanged(place, folder)
    except BaseException as error:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise ArchiveFullError(
                f"{place} can only be read by way of a copy, and there is no room for one in"
                f" {tempfile.gettempdir()}; set TMPDIR to a folder with room",
                path=place,
            ) from error
        raise
    connection = Connection(copy, "ro")
    connection.place = place
    connection.on_close = lambda: shutil.rmtree(folder, ignore_errors=True)
    connection.remember_identity()
    return connection


def _copy_unchanged(place: str, folder: Path) -> Path:
    import shutil

    real = os.path.realpath(place)
    copy = folder / os.path.basename(place)
    for _ in range(COPY_TRIES):
        before = _look_at_both(real)
        shutil.copyfile(real, copy)
        shutil.copyfile(f"{real}-wal", f"{copy}-wal")
        if _look_at_both(real) == before:
            return copy
    raise ArchiveLockedError(f"{place} is being written; try again", path=place)


def _look_at_both(real: str) -> tuple[tuple[int, int], ...]:
    found = (os.stat(real), os.stat(f"{real}-wal"))
    return tuple((status.st_mtime_ns, status.st_size) for status in found)


def find_waiting_wal(connection: Connection) -> Waiting | None:
    """Return a WAL that this connection does not copy into the file when it closes; None if there is none."""
    size = wal_bytes(connection.home)
    if not size or (connection.file == connection.home and os.access(connection.home, os.W_OK)):
        return None
    real = os.path.realpath(connection.home)
    return Waiting(
        f"{real}-wal",
        size,
        None,
        "",
        f"copy it together with {real}, or let {_owner_of(real)} open the archive",
    )


def _owner_of(path: str) -> str:
    try:
        import pwd

        return f"its owner {pwd.getpwuid(os.stat(path).st_uid).pw_name}"
    except (ImportError, KeyError, OSError):
        return "its owner"
