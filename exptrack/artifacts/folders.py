"""Files and folders on their way in: what is on the disk, and what names a folder's content.

Invariants: nothing here writes. A folder is read in the order of names, links followed, and only if every
system can have it again. Its manifest says all that is kept of it, so that equal folders have equal manifests.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple, TypeAlias

from exptrack.artifacts.chunks import BLOCK_BYTES
from exptrack.artifacts.restore import safe_parts
from exptrack.database.connection import Row
from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.validation import short_repr

MANIFEST_FORMAT = 1

Progress: TypeAlias = Callable[[int, int], None]  # told of the bytes done, and of all


class Found(NamedTuple):
    """One thing in a folder: its path there, and where its content is; None for a folder."""

    path: str
    mode: int
    source: str | None
    size_bytes: int = 0


class ByteCount:
    """Tells how far the bytes that pass have come."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def pieces(self, source: Iterable[bytes]) -> Iterable[bytes]:
        """The same pieces."""
        return source if self._progress is None else self._told(source)

    def blocks(self, source: BinaryIO) -> object:
        """What a file has to read."""
        return source if self._progress is None else self._told(iter(lambda: source.read(BLOCK_BYTES), b""))

    def _told(self, source: Iterable[bytes]) -> Iterator[bytes]:
        assert self._progress is not None
        for piece in source:
            yield piece
            self._done += len(piece)
            self._progress(self._done, max(self._total, self._done))


def walk(top: str) -> Iterator[Found]:
    """Everything in a folder in the order of names; links are followed."""

    def inside(folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[Found]:
        for name in sorted(os.listdir(folder)):
            place, path = os.path.join(folder, name), f"{prefix}{name}"
            try:
                status = os.stat(place)
            except OSError as error:
                raise InvalidValueError(f"cannot read {short_repr(place)}: {error.strerror}") from None
            mode = stat.S_IMODE(status.st_mode) & 0o777
            if stat.S_ISREG(status.st_mode):
                yield Found(path, mode, place, status.st_size)
            elif stat.S_ISDIR(status.st_mode):
                here = (status.st_dev, status.st_ino)
                if here in above and os.path.islink(place):
                    raise InvalidValueError(f"the link {short_repr(place)} leads to a folder that it is in")
                safe_parts(path)  # of what is too deep to restore nothing more is read
                yield Found(path, mode, None)
                yield from inside(place, f"{path}/", (*above, here))
            else:
                raise InvalidValueError(f"{short_repr(place)} is neither a file nor a folder")

    try:
        status = os.stat(top)
    except (OSError, ValueError) as error:
        raise InvalidValueError(f"cannot read the folder {short_repr(top)}: {error}") from None
    try:
        yield from inside(top, "", ((status.st_dev, status.st_ino),))
    except OSError as error:
        raise InvalidValueError(f"cannot read the folder {short_repr(top)}: {error.strerror}") from None


def manifest_of(lines: Iterable[tuple[str, int, tuple[str, int] | None]]) -> bytes:
    """What names a folder's content: format, and of each entry path, mode and (of a file) hash and bytes."""
    entries = [[path, mode, *(facts or ())] for path, mode, facts in sorted(lines)]
    text = json.dumps([MANIFEST_FORMAT, entries], separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def manifest_of_rows(entries: Iterable[Row]) -> bytes:
    """The manifest of rows of ENTRIES_OF."""
    return manifest_of(
        (e["path"], e["mode"], None if e["blob"] is None else (e["hash"], e["size_bytes"])) for e in entries
    )


def path_text(path: object) -> str:
    """A path as text."""
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidTypeError(f"a path is text or a Path, not {short_repr(path)}")
    return os.fsdecode(path)


def file_size(file: BinaryIO) -> int:
    """The bytes an open file has now."""
    return os.fstat(file.fileno()).st_size


def guessed_type(path: object) -> str | None:
    """The media type that a name suggests."""
    import mimetypes

    return mimetypes.guess_type(path_text(path))[0]


def opened(path: object) -> BinaryIO:
    """A file opened for reading, or an error in words."""
    place = path_text(path)
    try:
        if os.path.isdir(place):
            raise InvalidValueError(f"{short_repr(place)} is a folder; register_dir stores folders")
        return open(place, "rb")
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidValueError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InvalidValueError(f"cannot read the file {short_repr(place)}: {reason}") from None
