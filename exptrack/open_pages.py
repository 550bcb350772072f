"""Know which pages are open on which archives: a run then names its address, and no second page is begun.

A page writes one small file for its archive while it is open, in a folder of the user's cache. `process` says
where that is, because a start of a run looks there first.

Invariants: the file has the token of the page, so only its user can read it, and a file of another user is not
believed. A file whose process is dead, or cannot be seen from here, says nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from exptrack.named_tuples import NamedTuple
from exptrack.process import ProcessIdentity, current_process, is_alive, pages_folder, read_small


class OpenPage(NamedTuple):
    """A page that serves an archive: its address without a path, its token, and its process."""

    origin: str
    token: str
    process: ProcessIdentity


def find_page(path: str) -> OpenPage | None:
    """Return the page that is open on the archive at `path`; None if there is none."""
    found = _read(_name_file(path))
    return found if found is not None and is_alive(found.process) else None


@contextmanager
def announce_page(path: str, origin: str, token: str) -> Iterator[None]:
    """Let others find the page of an archive while the block runs.

    Where the cache cannot be written, nobody finds the page, and it works all the same.
    """
    file = _name_file(path)
    page = OpenPage(origin, token, current_process())
    with suppress(OSError):
        _write(file, page)
    try:
        yield
    finally:
        if _read(file) == page:
            with suppress(OSError):
                os.unlink(file)
        with suppress(OSError):  # other pages are open
            os.rmdir(os.path.dirname(file))


def _name_file(path: str) -> str:
    from exptrack.digests import sha256

    # A home folder may be shared by machines, where the same path and port mean something else.
    place = f"{current_process().host_id}\0{os.path.normcase(os.path.realpath(path))}"
    name = sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return os.path.join(pages_folder(), f"{name}.json")


def _read(file: str) -> OpenPage | None:
    import json

    try:
        status = os.lstat(file)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077):
        return None
    try:
        origin, token, identity = json.loads(read_small(file) or "")
        return OpenPage(str(origin), str(token), ProcessIdentity(*identity))
    except (ValueError, TypeError):  # a page that was killed has written half of it
        return None


def _write(file: str, page: OpenPage) -> None:
    import json

    os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
    draft = f"{file}.{os.getpid()}"
    with suppress(FileNotFoundError):
        os.unlink(draft)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as out:
        json.dump(page, out)
    os.replace(draft, file)
