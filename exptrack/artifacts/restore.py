"""Write bytes from an archive to files and folders, and only below the target that the caller named.

Invariants: stored paths are untrusted. A path that could leave the target folder, or could mean another file on
Windows or macOS, is refused on every system. A file or folder appears under its name whole and synced to disk,
or not at all. Until then it is a ``.exptrack-…`` of mode 0600 (a folder: 0700) beside its target; a kill leaves
nothing else, and a later call removes that (`drafts`). Nothing that exists is replaced unless the caller asks.
No symbolic link below the target folder is followed, even one swapped in meanwhile: each step starts from a
descriptor of the folder before it.
Windows has neither these descriptors nor modes: there each folder is checked for links, and no mode is set.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from exptrack import own_files
from exptrack.artifacts.drafts import locked, remove_dead_drafts, remove_draft
from exptrack.artifacts.safe_paths import Parts, TreePaths, check_tree, safe_parts
from exptrack.artifacts.settling import FEW_FILES, EarlySync, can_sync_all, sync_all
from exptrack.database.file_locks import lock_draft
from exptrack.errors import ExportError, UnsafePathError
from exptrack.new_files import NEW_FILE, draft_name, give_name

JUNCTION = 0xA0000003  # IO_REPARSE_TAG_MOUNT_POINT: Windows follows it, and reports a folder
BY_DESCRIPTOR = {os.open, os.mkdir, os.stat, os.rename, os.link, os.unlink, os.chmod} <= os.supports_dir_fd
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
OPEN_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
OPEN_TO_SYNC = os.O_RDWR | NO_LINK | getattr(os, "O_BINARY", 0)
REASONS = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "there is no room; free some or choose another folder"
    ),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "that is not permitted; choose another folder"),
    **dict.fromkeys((errno.EEXIST, errno.ENOTEMPTY), "it exists; remove it, or ask to overwrite a file"),
    errno.ENOENT: "its folder is missing; make it first",
    errno.ENOTDIR: "a file is in the way; remove it or choose another folder",
}

Pieces = Iterable[bytes]


class _Folder(NamedTuple):
    """An open folder, and the target that errors name. Windows opens no folders; there `path` stands for it."""

    path: str
    fd: int | None
    target: Path
    defers: bool = False  # what is written below is synced later, all at once

    @classmethod
    def open(cls, path: Path, target: Path) -> _Folder:
        """Open the caller's own folder. Links on the way to it are followed: the caller named them."""
        with cls(str(path), None, target).translate_errors() as folder:
            return folder._replace(fd=os.open(path, OPEN_FOLDER)) if BY_DESCRIPTOR else folder

    @contextmanager
    def translate_errors(self) -> Iterator[_Folder]:
        """Turn an error of the operating system into an ``ExportError``."""
        try:
            yield self
        except OSError as error:
            reason = REASONS.get(error.errno or 0, error.strerror or str(error))
            raise ExportError(f"cannot write {self.target}: {reason}", path=str(self.target)) from error

    def at(self, *names: str) -> str:
        """Return the path of an entry, to be passed together with ``dir_fd=self.fd``."""
        return os.path.join("" if self.fd is not None else self.path, *names)

    def enter(self, name: str) -> _Folder:
        """Open a folder in this one, made if it is missing. A link is refused."""
        try:
            os.mkdir(self.at(name), dir_fd=self.fd)
            self.settle(self.fd)
        except FileExistsError:
            status = os.lstat(self.at(name), dir_fd=self.fd)
            if stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == JUNCTION:
                raise UnsafePathError(str(self.target), f"its folder {name!a} is a link") from None
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, "not a folder", name) from None
        fd = os.open(name, OPEN_FOLDER | NO_LINK, dir_fd=self.fd) if self.fd is not None else None
        return self._replace(path=os.path.join(self.path, name), fd=fd)

    @contextmanager
    def open_below(self, *parts: str) -> Iterator[_Folder]:
        """Open the folder `parts` below this one for the length of the block; missing folders are made."""
        here = self
        with ExitStack() as stack:
            for part in parts:
                with self.translate_errors():
                    here = stack.enter_context(closing(here.enter(part)))
            yield here

    def fill(self, name: str, pieces: Pieces, mode: int | None) -> int:
        """Write a new file and sync it; return its size. If this fails, the caller removes the file."""
        with self.translate_errors():
            # The new file shows which mode the umask leaves. Reading the umask itself would change it.
            fd = os.open(self.at(name), NEW_FILE, 0o666 if mode is None else 0o600, dir_fd=self.fd)
        try:
            lock_draft(fd)
            final = os.fstat(fd).st_mode if mode is None else mode
            with self.translate_errors():
                if BY_DESCRIPTOR:
                    os.fchmod(fd, 0o600)
            written = self._write_pieces(fd, pieces)
            self.settle(fd, final)
        finally:
            os.close(fd)
        return written

    def _write_pieces(self, fd: int, pieces: Pieces) -> int:
        """Write to an open file; an error that `pieces` raises concerns its source, and passes unchanged."""
        written = 0
        with EarlySync(fd) as early:
            for piece in pieces:
                rest = memoryview(piece)
                written += len(rest)
                with self.translate_errors():
                    while rest:
                        rest = rest[os.write(fd, rest) :]
                    early.note(len(piece))
            with self.translate_errors():
                early.wait()
        return written

    def place(self, temporary: str, name: str, *, overwrite: bool) -> None:
        """Give a finished file its final name; it may keep the temporary one. `overwrite` replaces a file."""
        give_name(self.at(temporary), self.at(name), overwrite=overwrite, folder=self.fd)

    def write(self, pieces: Pieces, mode: int | None, *, overwrite: bool) -> int:
        """Write the target, a file in this folder, whole or not at all; return its size."""
        own_files.require_foreign(self.target)
        remove_dead_drafts(self.fd)
        temporary = draft_name()
        try:
            written = self.fill(temporary, pieces, mode)
            with self.translate_errors():
                # A path without a last name (".") is a folder that exists, and os.replace reports that.
                self.place(temporary, self.target.name or ".", overwrite=overwrite)
        finally:
            # Mostly it is gone already. If it cannot be removed, its prefix tells; the first error counts.
            with suppress(OSError):
                os.unlink(self.at(temporary), dir_fd=self.fd)
        self.settle(self.fd)
        return written

    def settle(self, fd: int | None, mode: int | None = None) -> None:
        """Set the mode of an open file or folder, if one is given, and sync it, unless all is synced later."""
        with self.translate_errors():
            if BY_DESCRIPTOR and fd is not None and mode is not None:
                os.fchmod(fd, mode & 0o777)  # never setuid, setgid or sticky
            if fd is not None and not self.defers:
                os.fsync(fd)

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)


class _Branch:
    """The open folders on the way to one below a folder. Entries of a tree mostly come folder by folder."""

    def __init__(self, top: _Folder) -> None:
        self.defers = False
        self._folders: list[tuple[str, _Folder]] = [("", top)]

    def open(self, *parts: str) -> _Folder:
        """Open the folder `parts` below the top one; missing folders are made. It stays open until the next."""
        kept = 1
        for part, (name, _) in zip(parts, self._folders[1:], strict=False):
            if part != name:
                break
            kept += 1
        self._close_below(kept)
        for part in parts[kept - 1 :]:
            above = self._folders[-1][1]._replace(defers=self.defers)
            with above.translate_errors():
                self._folders.append((part, above.enter(part)))
        return self._folders[-1][1]._replace(defers=self.defers)

    def _close_below(self, kept: int) -> None:
        while len(self._folders) > kept:
            self._folders.pop()[1].close()

    def close(self) -> None:
        self._close_below(1)


def write_file(target: Path, pieces: Pieces, *, mode: int | None = None, overwrite: bool = False) -> int:
    """Write one file, whole or not at all, and return its size; it is on disk when this returns.

    One piece is in memory at a time. Only the permission bits of `mode` count; without it the umask decides.
    With `overwrite` a file or symbolic link at `target` is replaced, but never the file a link points to.
    Errors that `pieces` raises pass unchanged.

    Raises:
        ExportError: `target` exists, or the system refused. `target` is as it was, unless only the last sync
            of its folder failed.
        OwnFileError: `target` is a file of an archive that is open here.

    >>> write_file(tmp_path / "hello.txt", [b"hello ", b"world"])
    11
    """
    with closing(_Folder.open(target.parent, target)) as folder:
        return folder.write(pieces, mode, overwrite=overwrite)


@contextmanager
def new_file(target: Path, mode: int | None) -> Iterator[Path]:
    """Give an empty file to fill, which becomes `target` when the block ends; it is on disk then.

    Without `mode` the umask decides its mode. If the block fails, nothing is left. Errors that it raises pass
    unchanged.

    Raises:
        ExportError: `target` exists, or the system refused.
        OwnFileError: `target` is a file of an archive that is open here.
    """
    own_files.require_foreign(target)
    temporary = draft_name()
    with closing(_Folder.open(target.parent, target)) as folder:
        with folder.translate_errors():
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "it exists", str(target))
        remove_dead_drafts(folder.fd)
        try:
            folder.fill(temporary, (), None if mode is None else 0o600)
            with locked(temporary, folder.fd):
                yield target.parent / temporary
            with folder.translate_errors():
                fd = os.open(folder.at(temporary), OPEN_TO_SYNC, dir_fd=folder.fd)
            try:
                folder.settle(fd, mode)
            finally:
                os.close(fd)
            with folder.translate_errors():
                folder.place(temporary, target.name or ".", overwrite=False)
        finally:
            with suppress(OSError):
                remove_draft(folder.at(temporary), folder.fd)
        folder.settle(folder.fd)


@contextmanager
def new_tree(target: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes `target` when the block ends.

    If the block fails, nothing is left. Errors that it raises pass unchanged. `target` may be an empty folder.

    Raises:
        ExportError: `target` exists and is not an empty folder, or the system refused.
    """
    own_files.require_foreign(target)
    draft = target.parent / draft_name()
    with closing(_Folder.open(target.parent, target)) as home:
        with home.translate_errors():
            if os.path.lexists(target) and (target.is_symlink() or any(target.iterdir())):
                raise FileExistsError(errno.EEXIST, "it exists", str(target))
            remove_dead_drafts(home.fd)
            (draft / "tree").mkdir(parents=True)
        try:
            with locked(draft.name, home.fd):
                yield draft / "tree"
            with home.translate_errors():
                if target.exists():
                    os.rmdir(target)  # Windows replaces nothing by a rename, not even an empty folder
                os.rename(draft / "tree", target)
            home.settle(home.fd)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def write_into(folder: Path, path: str, pieces: Pieces, *, overwrite: bool = False) -> Path:
    """Write one file below an existing folder, like `write_file`; make missing folders and return its path.

    Raises:
        UnsafePathError: `path` is unsafe, or passes a symbolic link inside `folder`.
        ExportError: as in `write_file`.
    """
    parts = safe_parts(path)
    target = folder.joinpath(*parts)
    with closing(_Folder.open(folder, target)) as top, top.open_below(*parts[:-1]) as parent:
        parent.write(pieces, None, overwrite=overwrite)
    return target


def write_tree(target: Path, entries: Iterable[tuple[str, int, Pieces | None]]) -> int:
    """Write a whole folder or nothing, and return the size of its files; it is on disk when this returns.

    Entries are ``(path, mode, pieces)`` in any order; for a folder, `pieces` is None. A list is checked before
    anything is written, a stream entry by entry. `target` may be an empty folder; the umask decides its mode.

    Raises:
        UnsafePathError: as in `check_tree`.
        ExportError: `target` exists and is not an empty folder, or the operating system refused.
    """
    if isinstance(entries, list):
        check_tree((path, pieces is None) for path, _, pieces in entries)
    paths, modes, files, written = TreePaths(), dict[Parts, int](), 0, 0
    own_files.require_foreign(target)
    # The tree is built in a folder closed to other users, so its entries have their final modes from the start.
    root = (draft_name(), "tree")
    with closing(_Folder.open(target.parent, target)) as home:
        with home.translate_errors():
            if os.path.lexists(target) and (target.is_symlink() or any(target.iterdir())):
                raise FileExistsError(errno.EEXIST, "it exists", str(target))
            remove_dead_drafts(home.fd)
            os.mkdir(home.at(root[0]), 0o700, dir_fd=home.fd)
        try:
            with locked(root[0], home.fd), closing(_Branch(home)) as branch:
                for path, mode, pieces in entries:
                    parts = paths.add(path, is_folder=pieces is None)
                    if pieces is None:
                        modes[parts] = mode
                        continue
                    files += 1
                    if files == FEW_FILES and home.fd is not None:
                        branch.defers = can_sync_all(target.parent)
                    written += branch.open(*root, *parts[:-1]).fill(parts[-1], pieces, mode)
                for parts in [*paths.folders(), ()]:
                    folder = branch.open(*root, *parts)
                    folder.settle(folder.fd, modes.get(parts))
                if branch.defers and home.fd is not None:
                    with home.translate_errors():
                        sync_all(home.fd)
            with home.translate_errors():
                if home.fd is None and target.exists():
                    os.rmdir(target)  # Windows replaces nothing by a rename, not even an empty folder
                os.rename(home.at(*root), home.at(target.name or "."), src_dir_fd=home.fd, dst_dir_fd=home.fd)
                os.rmdir(home.at(root[0]), dir_fd=home.fd)
            home.settle(home.fd)
        except BaseException:
            # A read-only folder cannot be emptied. Errors here must not hide the first one.
            for parts in reversed(paths.folders()):
                with suppress(OSError):
                    os.chmod(home.at(*root, *parts), 0o700, dir_fd=home.fd)
            shutil.rmtree(home.at(root[0]), ignore_errors=True, dir_fd=home.fd)
            raise
    return written
