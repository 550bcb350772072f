"""Write files that a user named, whole or not at all; replace an existing file only if the caller asks for it.

Invariants: bytes go to a draft beside the target, under a random name. Once it is synced, the draft gets its
final name by a call that fails if that name is taken. So a file that another process makes meanwhile stays. A
name is also taken by a symbolic link, even one that leads nowhere. A FIFO, a device or a link to one, such as
``/dev/stdout``, is never replaced.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

import exptrack.own_files as own_files

DRAFT_PREFIX = ".exptrack-"
NEW_FILE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


def draft_name() -> str:
    """Return a new name for a draft."""
    return DRAFT_PREFIX + os.urandom(8).hex()


def write_new_file(path: str, data: bytes, *, overwrite: bool = False, mode: int | None = None) -> None:
    """Write a file and sync it. With `overwrite` it may replace a file or a link.

    Without `mode` the umask decides the mode of the file.

    Raises:
        FileExistsError: `path` exists, and `overwrite` is not given.
        OwnFileError: `path` is a file of an archive that is open here.
        OSError: the system refused; `path` is as it was.
    """
    own_files.require_foreign(path)
    draft = os.path.join(os.path.dirname(path), draft_name())
    descriptor = os.open(draft, NEW_FILE, 0o666 if mode is None else 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if mode is not None:
            os.chmod(draft, mode)
        give_name(draft, path, overwrite=overwrite)
    finally:
        with suppress(OSError):  # usually only the final name is left
            os.unlink(draft)


def give_name(draft: str, name: str, *, overwrite: bool, folder: int | None = None) -> None:
    """Give a draft its final name; the name `draft` may stay too. `folder` is a descriptor of their folder.

    Raises:
        FileExistsError: `name` is taken, and `overwrite` is not given.
        OSError: the system refused.
    """
    if not overwrite:
        try:
            os.link(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
            return
        except OSError:
            # The name is taken, or there are no hard links (FAT, some networks). So make an empty file of this
            # name and replace that. A kill may leave the empty file. But a check and then a renaming could
            # replace a file that another process wrote in between.
            os.close(os.open(name, NEW_FILE, 0o600, dir_fd=folder))
    else:
        _require_replaceable(name, folder)
    try:
        os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        if not overwrite:
            os.unlink(name, dir_fd=folder)
        raise


def _require_replaceable(name: str, folder: int | None) -> None:
    try:
        status = os.stat(name, dir_fd=folder)
    except OSError:  # there is none, or a link leads nowhere
        return
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EINVAL, "it leads to no regular file", name)
