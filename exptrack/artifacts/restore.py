"""Restoring: bytes from an archive become files, and only where they were asked to.

Invariants: a stored path is a stranger's word: what could leave the folder, or mean another file on
Windows or macOS, is refused on every system. A file or folder appears under its name whole, synced to
disk, or not at all; until then it is a ``.exptrack-…`` of mode 0600 (a folder: 0700) beside its place, all
that a kill leaves. Nothing that exists is replaced unasked. No symbolic link below the folder is followed,
even one swapped in meanwhile: each step is taken from a descriptor of the folder before it. Windows has
no such descriptors, and no modes: there links are only looked for, and modes are not set.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from exptrack.errors import ExportError, UnsafePathError

PREFIX = ".exptrack-"
MAX_PARTS = 100  # to remove a deeper tree would recurse too far, with a descriptor open for each level
UNSAFE = (
    (r"^/", "it is absolute"),
    (r"(^|/)\.{0,2}(/|$)", "it or a part of it is empty, '.' or '..'"),
    (r'[<>:"|?*\\\x00-\x1f\x7f-\x9f]', 'it has a control character or one of < > : " | ? * \\'),
    (r"[\ud800-\udfff]", "it has a lone surrogate, which has no UTF-8 form"),
    (r"[. ](/|$)", "a part of it ends in a dot or a space, which Windows drops"),
    (r"(?i)(^|/)(CON((IN|OUT)\$)?|PRN|AUX|NUL|(COM|LPT)[1-9¹²³]) *(\.|/|$)", "it is a device on Windows"),
    (rf"^([^/]*/){{{MAX_PARTS}}}", f"it has more than {MAX_PARTS} parts"),
)
JUNCTION = 0xA0000003  # IO_REPARSE_TAG_MOUNT_POINT: Windows follows it, and calls it a folder
BY_DESCRIPTOR = {os.open, os.mkdir, os.stat, os.rename, os.link, os.unlink, os.chmod} <= os.supports_dir_fd
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK | getattr(os, "O_BINARY", 0)
REASONS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "there is no room; free some or go elsewhere"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "that is not permitted; choose another folder"),
    **dict.fromkeys((errno.EEXIST, errno.ENOTEMPTY), "it exists; remove it, or ask to overwrite a file"),
    errno.ENOENT: "its folder is missing; make it first",
    errno.ENOTDIR: "a file is in the way; remove it or go elsewhere",
}

Parts = tuple[str, ...]
Pieces = Iterable[bytes]


def safe_parts(path: str) -> Parts:
    """The parts of a relative path with ``/`` between them, if it is safe on every system.

    Raises:
        UnsafePathError: it breaks a rule of `UNSAFE`, or a part is longer than 255 bytes in UTF-8.
    """
    for pattern, rule in UNSAFE:
        if re.search(pattern, path):
            raise UnsafePathError(path, rule)
    parts = tuple(path.split("/"))
    if max(len(part.encode("utf-8")) for part in parts) > 255:
        raise UnsafePathError(path, "a part of it is longer than 255 bytes")
    return parts


class _Names:
    """The paths of one tree so far, as a file system sees them that ignores case and composition."""

    def __init__(self) -> None:
        self._spelled: dict[Parts, Parts] = {}
        self._listed: dict[Parts, bool] = {}

    def add(self, path: str, *, is_folder: bool) -> Parts:
        parts = safe_parts(path)
        # Unicode's canonical caseless match.
        folded = tuple(normalize("NFD", normalize("NFD", part).casefold()) for part in parts)
        upto = [parts[:depth] for depth in range(1, len(parts) + 1)]
        # A folder may be listed once, and implied by what is in it at any time.
        again = parts in self._listed or (folded in self._spelled and not is_folder)
        found = [self._spelled.setdefault(folded[: len(part)], part) for part in upto]
        if again or found != upto or any(self._listed.get(part) is False for part in found):
            raise UnsafePathError(path, "it is in the place of another path of its tree on some systems")
        self._listed[parts] = is_folder
        return parts

    def folders(self) -> list[Parts]:
        """Every folder, listed or implied, deepest first."""
        folders = (parts for parts in self._spelled.values() if self._listed.get(parts, True))
        return sorted(folders, key=len, reverse=True)


def check_tree(paths: Iterable[tuple[str, bool]]) -> list[Parts]:
    """The parts of each ``(path, is_folder)`` of one tree, if no two would meet on any system.

    Raises:
        UnsafePathError: a path is unsafe, or is, but for case and normalization, another or inside a file.
    """
    names = _Names()
    return [names.add(path, is_folder=is_folder) for path, is_folder in paths]


class _Folder(NamedTuple):
    """An open folder, and the path that errors name; on Windows, which opens no folders, by its path."""

    path: str
    fd: int | None
    target: Path

    @classmethod
    def opened(cls, path: Path, target: Path) -> _Folder:
        """The caller's own folder: links on the way to it are the caller's business."""
        with cls(str(path), None, target).explained() as folder:
            return folder._replace(fd=os.open(path, FOLDER)) if BY_DESCRIPTOR else folder

    @contextmanager
    def explained(self) -> Iterator[_Folder]:
        """Turn what the operating system says into an ``ExportError``."""
        try:
            yield self
        except OSError as error:
            reason = REASONS.get(error.errno or 0, error.strerror or str(error))
            raise ExportError(f"cannot write {self.target}: {reason}", path=str(self.target)) from error

    def at(self, *names: str) -> str:
        """What to call something in it, beside ``dir_fd=self.fd``."""
        return os.path.join("" if self.fd is not None else self.path, *names)

    def enter(self, name: str) -> _Folder:
        """Open, or make and open, a folder in it; a link is not a folder."""
        try:
            os.mkdir(self.at(name), dir_fd=self.fd)
            self.settle(self.fd)
        except FileExistsError:
            status = os.lstat(self.at(name), dir_fd=self.fd)
            if stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == JUNCTION:
                raise UnsafePathError(str(self.target), f"{name!a} on its way is a link") from None
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, "not a folder", name) from None
        fd = os.open(name, FOLDER | NO_LINK, dir_fd=self.fd) if self.fd is not None else None
        return _Folder(os.path.join(self.path, name), fd, self.target)

    @contextmanager
    def inside(self, *parts: str) -> Iterator[_Folder]:
        """The folder `parts` below it, made where missing, open for the length of the block."""
        here = self
        with ExitStack() as opened:
            for part in parts:
                with self.explained():
                    here = opened.enter_context(closing(here.enter(part)))
            yield here

    def fill(self, name: str, pieces: Pieces, mode: int | None) -> int:
        """Write a new file and sync it; return its bytes. Whoever called removes it if this fails."""
        with self.explained():
            # The empty file shows what the umask leaves; to ask for the umask is to change it.
            fd = os.open(self.at(name), NEW_FILE, 0o666 if mode is None else 0o600, dir_fd=self.fd)
        written = 0
        try:
            final = os.fstat(fd).st_mode if mode is None else mode
            with self.explained():
                if BY_DESCRIPTOR:
                    os.fchmod(fd, 0o600)
            # What `pieces` raises is about its source, and passes as it is.
            for piece in pieces:
                rest = memoryview(piece)
                written += len(rest)
                with self.explained():
                    while rest:
                        rest = rest[os.write(fd, rest) :]
            self.settle(fd, final)
        finally:
            os.close(fd)
        return written

    def place(self, temporary: str, name: str, *, overwrite: bool) -> None:
        """Give a finished file its name (it may keep the other); only `overwrite` takes it from another."""
        source, goal, fd = self.at(temporary), self.at(name), self.fd
        if not overwrite:
            try:
                os.link(source, goal, src_dir_fd=fd, dst_dir_fd=fd)
                return
            except OSError:
                # It exists, or there are no hard links (FAT, some networks): take the name with an empty file,
                # and replace that. A kill may leave it; to look and then rename could lose another's file.
                os.close(os.open(goal, NEW_FILE, 0o600, dir_fd=fd))
        try:
            os.replace(source, goal, src_dir_fd=fd, dst_dir_fd=fd)
        except OSError:
            if not overwrite:
                os.unlink(goal, dir_fd=fd)
            raise

    def write(self, pieces: Pieces, mode: int | None, *, overwrite: bool) -> int:
        """Write the target, which is in this folder, whole or not at all; return its bytes."""
        temporary = PREFIX + os.urandom(8).hex()
        try:
            written = self.fill(temporary, pieces, mode)
            with self.explained():
                # A path without a last name (".") is a folder that exists.
                self.place(temporary, self.target.name or ".", overwrite=overwrite)
        finally:
            # Most often it is gone. What cannot be removed is known by its prefix, and hides no first error.
            with suppress(OSError):
                os.unlink(self.at(temporary), dir_fd=self.fd)
        self.settle(self.fd)
        return written

    def settle(self, fd: int | None, mode: int | None = None) -> None:
        """Give an open file or folder its mode, if it has one, and sync it."""
        with self.explained():
            if BY_DESCRIPTOR and fd is not None and mode is not None:
                os.fchmod(fd, mode & 0o777)  # never setuid, setgid or sticky
            if fd is not None:
                os.fsync(fd)

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)


def write_file(target: Path, pieces: Pieces, *, mode: int | None = None, overwrite: bool = False) -> int:
    """Write one file, whole or not at all, and return its bytes; it is on disk when this returns.

    One piece is in memory at a time. Of `mode` the permission bits count; without it the umask decides.
    With `overwrite` a file or symbolic link at `target` is replaced, never what the link leads to.

    Raises:
        ExportError: `target` exists, or the system refused; what `pieces` raises passes unchanged. In
            either case `target` is as it was, unless only the last sync of its folder failed.

    >>> write_file(tmp_path / "hello.txt", [b"hello ", b"world"])
    11
    """
    with closing(_Folder.opened(target.parent, target)) as folder:
        return folder.write(pieces, mode, overwrite=overwrite)


def write_into(folder: Path, path: str, pieces: Pieces, *, overwrite: bool = False) -> Path:
    """Write one file below a folder that exists, as `write_file`, making folders on its way; return where.

    Raises:
        UnsafePathError: `path` is unsafe, or goes through a symbolic link inside `folder`.
        ExportError: as `write_file`.
    """
    parts = safe_parts(path)
    target = folder.joinpath(*parts)
    with closing(_Folder.opened(folder, target)) as top, top.inside(*parts[:-1]) as parent:
        parent.write(pieces, None, overwrite=overwrite)
    return target


def write_tree(target: Path, entries: Iterable[tuple[str, int, Pieces | None]]) -> int:
    """Write a whole folder, or nothing, and return the bytes of its files; it is on disk when this returns.

    Entries are ``(path, mode, pieces)`` in any order, with None for a folder. A list is checked before
    anything is written, a stream as it comes. `target` may be an empty folder; the umask decides its mode.

    Raises:
        UnsafePathError: as `check_tree`.
        ExportError: `target` is taken, or the operating system refused.
    """
    if isinstance(entries, list):
        check_tree((path, pieces is None) for path, _, pieces in entries)
    names, modes, written = _Names(), dict[Parts, int](), 0
    # The tree lies in a folder closed to others, so that it can have its own modes from the start.
    root = (PREFIX + os.urandom(8).hex(), "tree")
    with closing(_Folder.opened(target.parent, target)) as home:
        with home.explained():
            if os.path.lexists(target) and (target.is_symlink() or any(target.iterdir())):
                raise FileExistsError(errno.EEXIST, "it exists", str(target))
            os.mkdir(home.at(root[0]), 0o700, dir_fd=home.fd)
        try:
            for path, mode, pieces in entries:
                parts = names.add(path, is_folder=pieces is None)
                if pieces is None:
                    modes[parts] = mode
                    continue
                with home.inside(*root, *parts[:-1]) as folder:
                    written += folder.fill(parts[-1], pieces, mode)
            for parts in [*names.folders(), ()]:
                with home.inside(*root, *parts) as folder:
                    folder.settle(folder.fd, modes.get(parts))
            with home.explained():
                if home.fd is None and target.exists():
                    os.rmdir(target)  # Windows renames onto nothing, not even an empty folder
                os.rename(home.at(*root), home.at(target.name or "."), src_dir_fd=home.fd, dst_dir_fd=home.fd)
                os.rmdir(home.at(root[0]), dir_fd=home.fd)
            home.settle(home.fd)
        except BaseException:
            # A read-only folder would keep what is in it. Nothing here hides the first error.
            for parts in reversed(names.folders()):
                with suppress(OSError):
                    os.chmod(home.at(*root, *parts), 0o700, dir_fd=home.fd)
            shutil.rmtree(home.at(root[0]), ignore_errors=True, dir_fd=home.fd)
            raise
    return written
