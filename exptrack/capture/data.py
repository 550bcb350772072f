"""Take digests of the files and folders that a run declares as data, so that a changed file is told.

Invariants: the same files give the same digest on every machine. All data of a run share a bound of bytes, in
the order in which they are declared. What lies beyond it has a digest of the names and sizes of its files
alone. Files are read a piece at a time, and a file that did not change is read once in a process.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping

from exptrack import own_files
from exptrack.errors import OwnFileError, warn
from exptrack.hashed_lists import encode_list

MOST_BYTES = 256 * 1024 * 1024  # about half a second
MOST_FILES = 10_000  # of a folder
PIECE_BYTES = 1024 * 1024
BY_CONTENT, BY_SIZE = "@sha256:", "@sizes:"

_known: dict[tuple[str, int, int, int], str] = {}  # by path, size, time and inode


def add_digests(data: Mapping[str, str]) -> dict[str, str]:
    """Return references to data, with a digest behind each that leads to a file or folder of this machine."""
    found, left = {}, MOST_BYTES
    for name, reference in data.items():
        digest, read = _find_digest(reference, left)
        found[name], left = reference + digest, left - read
    return found


def _find_digest(reference: str, most: int) -> tuple[str, int]:
    """Return the digest of a file or folder, or "" if it is none, and how many bytes it has that were read."""
    if BY_CONTENT in reference or BY_SIZE in reference:
        return "", 0
    try:
        status = os.stat(reference)
        if stat.S_ISDIR(status.st_mode):
            return _digest_folder(reference, most)
        if not stat.S_ISREG(status.st_mode) or own_files.find_owner(reference) is not None:
            return "", 0
        if status.st_size > most:
            return _digest_list([["", status.st_size]], BY_SIZE), 0
        return BY_CONTENT + _digest_file(reference, status), status.st_size
    except (OSError, OwnFileError, ValueError):  # no path of this machine, or one that cannot be read
        return "", 0


def _digest_folder(folder: str, most: int) -> tuple[str, int]:
    files: list[tuple[str, str, os.stat_result]] = []
    for path in _list_files(folder):
        if len(files) == MOST_FILES:
            warn(
                f"the data {folder} has more than {MOST_FILES:,} files, so it has no digest, and a change in it"
                " is not told; declare a file that lists them"
            )
            return "", 0
        files.append((os.path.relpath(path, folder).replace(os.sep, "/"), path, os.stat(path)))
    files.sort()
    total = sum(status.st_size for _name, _path, status in files)
    if total > most:
        return _digest_list([[name, status.st_size] for name, _path, status in files], BY_SIZE), 0
    return _digest_list([[name, _digest_file(path, status)] for name, path, status in files], BY_CONTENT), total


def _list_files(folder: str) -> Iterator[str]:
    """Yield the regular files below a folder; a folder that is a link is not entered."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            path = os.path.join(place, name)
            if os.path.isfile(path) and own_files.find_owner(path) is None:
                yield path


def _digest_file(path: str, status: os.stat_result) -> str:
    key = (os.path.abspath(path), status.st_size, status.st_mtime_ns, status.st_ino)
    found = _known.get(key)
    if found is None:
        hashed = hashlib.sha256()
        with own_files.open_for_reading(path) as file:
            while piece := file.read(PIECE_BYTES):
                hashed.update(piece)
        found = _known[key] = hashed.hexdigest()
    return found


def _digest_list(files: list[list[object]], kind: str) -> str:
    return kind + hashlib.sha256(encode_list(files)).hexdigest()
