"""Read files and folders that are to be stored.

Invariants: nothing here writes. A folder is read in the order of names and links are followed. Files of an
archive that is open here are left out of it. A name that some system cannot restore is refused.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

from exptrack import own_files
from exptrack.artifacts.chunks import BLOCK_BYTES
from exptrack.artifacts.safe_paths import safe_parts
from exptrack.artifacts.stored_folder import FolderEntry
from exptrack.errors import InvalidValueError
from exptrack.plain import read_path, short_path
from exptrack.validation import check_function

Progress: TypeAlias = Callable[[int, int], None]  # called with the bytes done and the total
FOLDER = "folder"  # the kind of an artifact that is one


class ByteCount:
    """Counts bytes as they pass and reports them to `progress`."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = check_function(progress, "progress")
        self._total = total
        self._done = 0

    def pieces(self, source: Iterable[bytes]) -> Iterable[bytes]:
        """Pass the pieces on, counting them."""
        return source if self._progress is None else self._count(source)

    def blocks(self, source: BinaryIO) -> object:
        """Read a file in blocks, counting them; without a `progress`, return the file itself."""
        return source if self._progress is None else self._count(iter(lambda: source.read(BLOCK_BYTES), b""))

    def _count(self, source: Iterable[bytes]) -> Iterator[bytes]:
        assert self._progress is not None
        for piece in source:
            yield piece
            self._done += len(piece)
            self._progress(self._done, max(self._total, self._done))


def walk(top: str) -> Iterator[FolderEntry]:
    """Stream every file and folder in a folder, in the order of names; links are followed.

    Files of an open archive are left out, with one warning for each folder.

    Raises:
        InvalidValueError: an entry cannot be read, or is neither file nor folder; or a link leads in a circle.
        UnsafePathError: a folder cannot be restored on every system.
    """

    def walk_below(folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[FolderEntry]:
        for name in sorted(os.listdir(folder)):
            place, path = os.path.join(folder, name), f"{prefix}{name}"
            try:
                status = os.stat(place)
            except OSError as error:
                if own_files.find_owner(place) is not None:
                    continue  # a journal, or a file of SQLite, that is gone by now
                raise InvalidValueError(
                    f"cannot read {short_path(place)} ({error.strerror}); make it readable or remove it"
                ) from None
            mode = stat.S_IMODE(status.st_mode) & 0o777
            if stat.S_ISREG(status.st_mode):
                owner = own_files.find_owner(place)
                if owner is not None:
                    left_out.setdefault(owner, []).append(path)
                    continue
                yield FolderEntry(path, mode, place, status.st_size)
            elif stat.S_ISDIR(status.st_mode):
                here = (status.st_dev, status.st_ino)
                if here in above and os.path.islink(place):
                    raise InvalidValueError(
                        f"the link {short_path(place)} points to a folder that contains it; remove the link"
                    )
                safe_parts(path)  # stops before it reads a tree that is too deep to restore
                yield FolderEntry(path, mode, None)
                yield from walk_below(place, f"{path}/", (*above, here))
            else:
                raise InvalidValueError(f"{short_path(place)} is neither a file nor a folder; remove it")

    try:
        status = os.stat(top)
    except (OSError, ValueError) as error:
        raise _unreadable("folder", top, error) from None
    left_out: dict[Path, list[str]] = {}
    try:
        yield from walk_below(top, "", ((status.st_dev, status.st_ino),))
    except OSError as error:
        raise _unreadable("folder", top, error) from None
    for owner, names in left_out.items():
        own_files.warn_of_left_out(top, names, owner)


def decode_path(path: object) -> str:
    """Return a path as text."""
    return read_path(path)


def file_size(file: BinaryIO) -> int:
    """Return the size of an open file."""
    return os.fstat(file.fileno()).st_size


def guess_type(path: object) -> str | None:
    """Guess the media type of a file from its name."""
    import mimetypes

    return mimetypes.guess_type(decode_path(path))[0]


def open_for_reading(path: object) -> BinaryIO:
    """Open a file for reading.

    Raises:
        InvalidValueError: `path` is a folder, or cannot be read.
        OwnFileError: `path` leads to a file of an archive that is open here.
    """
    place = decode_path(path)
    try:
        if os.path.isdir(place):
            raise InvalidValueError(f"{short_path(place)} is a folder; store it with register_dir")
        return own_files.open_for_reading(place)
    except OSError as error:
        raise _unreadable("file", place, error) from None


def _unreadable(kind: str, place: str, error: OSError | ValueError) -> InvalidValueError:
    reason = getattr(error, "strerror", None) or error
    return InvalidValueError(f"cannot read the {kind} {short_path(place)} ({reason}); check the path")
