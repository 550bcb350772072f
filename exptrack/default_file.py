"""Find the default archive: the file of every call and command that names none.

It is the file that ``EXPTRACK_DB`` names. Otherwise ``exptrack.db`` is looked for in the working folder, then
in each folder above it, as git looks for a repository. If there is none, it is ``exptrack.db`` in the working
folder.

Invariants: only names are looked at, and nothing is opened or made. The way up ends below the home folder, at
the end of a file system, and below a folder that everybody may write to, such as ``/tmp``. Somebody else could
put an archive there, which would then take runs that are not meant for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

VARIABLE = "EXPTRACK_DB"
SPOOL_VARIABLE = "EXPTRACK_SPOOL"  # names the folder of a spool, which `database.spooled_file` describes
NAME = "exptrack.db"
WRITABLE_BY_ALL = 0o002


def find_default_file() -> str:
    """Return the path of the default archive, whether it exists or not."""
    named = os.environ.get(VARIABLE)
    if named:
        return named
    try:
        here = os.getcwd()
    except FileNotFoundError:
        return NAME  # the working folder was deleted: who opens the file tells
    place = os.path.join(here, NAME)
    if os.path.lexists(place):
        return place
    for folder in _folders_above(here):
        above = os.path.join(folder, NAME)
        if os.path.isfile(above):
            return above
    return place


def describe_missing(place: str) -> str:
    """Say that the default archive does not exist, and where it was looked for."""
    advice = "start_run() makes it, 'exptrack demo' fills one"
    if os.environ.get(VARIABLE):
        return f"there is no archive at {place}, which {VARIABLE} names; {advice}"
    folder = os.path.dirname(os.path.abspath(place))
    return (
        f"there is no {NAME} in {folder} or in a folder above it; {advice}, and {VARIABLE} names another file"
    )


def _folders_above(here: str) -> Iterator[str]:
    """Yield the folders above one, the nearest first, as far as the search goes."""
    home = _normalize(os.path.expanduser("~"))
    folder = here
    while True:
        above = os.path.dirname(folder)
        if above == folder or home in (_normalize(folder), _normalize(above)):
            return
        try:
            status, of_above = os.stat(folder), os.stat(above)
        except OSError:  # a folder that cannot be looked at
            return
        if status.st_dev != of_above.st_dev:
            return
        if os.name == "posix" and of_above.st_mode & WRITABLE_BY_ALL:
            return
        yield above
        folder = above


def _normalize(folder: str) -> str:
    return os.path.normcase(os.path.realpath(folder))
