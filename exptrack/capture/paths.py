"""Shorten the paths in texts, so that records name files by project or package and not by absolute path.

Invariants: a path inside the project becomes relative to it, and one inside a package folder becomes
``…/package/file.py``. Of any other path only the last part stays, and a home folder becomes ``…``. URLs keep
their paths.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

ELSEWHERE = "…"

# Patterns are texts and compiled at their first use.
_PART = r"[^\s/\\\"'`<>|:;,()\[\]{}*?]"
_QUOTED = r"([\"'])((?:/|[A-Za-z]:[\\/])[^\"'\n]{1,4096})\1"
_POSIX = (
    rf"(?:(?<![\w./\\~…$*)\]}}>?%&=:-])|(?<=[\w\"'\])][=:])|(?<=-[IL])|(?<=://)|(?<=:///))"
    rf"/(?!/){_PART}++(?:/++{_PART}++)*+/?"
)
_OTHERS_HOME = rf"(?<![\w/~])~[A-Za-z_][\w.-]*+((?:/{_PART}++)*+)"
_WINDOWS = rf"(?<![\w/\\.-])[A-Za-z]:(?:\\++|/(?!/)){_PART}*+(?:[\\/]++{_PART}++)*+[\\/]?"
_UNC = rf"(?<![\w\\:])(?:\\\\|\\\\\\\\){_PART}++\\++{_PART}++(?:[\\/]++{_PART}++)*+"
_PACKAGES = r"(?s).*/(?:site-packages|dist-packages)/(?=.)"
_LIBRARY = r"(?s).*/lib(?:64)?/python\d[\w.]*/(?=.)"
_UNBROKEN = rf"(?:/|{_PART})+"
_HOMES = r"(?i)(?:/home|/Users|/root|[A-Za-z]:/Users)(?:/[^/]+)?"


_counting_as_main: list[str | None] = []


def find_main_script() -> str | None:
    """Return the absolute path of the file that Python was started with; None in a shell or a notebook."""
    if _counting_as_main:
        return _counting_as_main[-1]
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.abspath(main) if main else None


@contextmanager
def counting_as_main(path: str | None) -> Iterator[None]:
    """Let another file, or none, count as the main script inside the block, for a program that runs others."""
    _counting_as_main.append(path)
    try:
        yield
    finally:
        _counting_as_main.pop()


def find_repository_root(start: str) -> str | None:
    """Find the nearest folder at or above `start` that is a git work tree; resolves symbolic links."""
    place = os.path.realpath(start)
    while True:
        git = os.path.join(place, ".git")
        # Git ignores a folder called .git that is not a repository.
        if os.path.isfile(git) or os.path.lexists(os.path.join(git, "HEAD")):
            return place
        above = os.path.dirname(place)
        if above == place:
            return None
        place = above


def find_project_folder(script: str) -> str:
    """Return the folder to which a script outside of git belongs: the working folder if it is in there."""
    place, working = os.path.realpath(script), working_folder()
    inside = os.path.join(os.path.realpath(working), "") if working else ""
    return os.path.realpath(working) if working and place.startswith(inside) else os.path.dirname(place)


@lru_cache(maxsize=1)
def _installed_folders() -> tuple[str, ...]:
    """Return the folders of this Python and its packages, each with a separator at its end."""
    places = {os.path.realpath(place) for place in (sys.prefix, sys.base_prefix)}
    parts = ("bin", "lib", "lib64", "Lib", "Scripts", "DLLs")
    return tuple(os.path.join(place, part, "") for place in places for part in parts)


def belongs_to_installation(path: str) -> bool:
    """Whether a file belongs to this Python or to an installed package: its version tells of it."""
    place = os.path.realpath(path)
    folders = place.replace("\\", "/").split("/")
    is_package = "site-packages" in folders or "dist-packages" in folders
    return is_package or place.startswith(_installed_folders())


def working_folder() -> str:
    """Return the working folder; "" when it was deleted."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def relative_path(path: str, folder: str | None = None) -> str:
    """Make `path` relative to `folder` (default: the working folder); outside of it, keep the last part."""
    if not os.path.isabs(path):
        return shorten_paths(path)
    try:
        relative = os.path.relpath(os.path.realpath(path), os.path.realpath(folder or os.getcwd()))
    except (OSError, ValueError):
        return os.path.basename(path)
    return os.path.basename(path) if relative.split(os.sep)[0] == os.pardir else relative


@lru_cache(maxsize=16)
def _folders(script: str | None, working: str, home: str) -> tuple[tuple[str, str], ...]:
    """Return the known folders, longest first, each with its replacement."""
    signs: dict[str, str] = {}
    for library in (sys.base_prefix, sys.prefix):
        signs[library] = ELSEWHERE
    signs[home] = ELSEWHERE
    for start in (working, os.path.dirname(script or "")):
        if start:
            # The folder as it was given, and with its symbolic links resolved.
            signs.update(
                {place: "" for place in (start, os.path.realpath(start), find_repository_root(start)) if place}
            )
    kept = [(folder.replace("\\", "/").rstrip("/"), sign) for folder, sign in signs.items()]
    return tuple(sorted((pair for pair in kept if len(pair[0]) > 1), key=lambda pair: -len(pair[0])))


def _shorten(path: str, folders: tuple[tuple[str, str], ...]) -> str:
    """Shorten one absolute path."""
    plain = re.sub(r"\\+", "/", path)
    for marker in (_PACKAGES, _LIBRARY):
        inside = re.match(marker, plain)
        if inside is not None:
            return f"{ELSEWHERE}/{plain[inside.end() :]}"
    bare = plain.rstrip("/")
    for folder, sign in folders:
        if bare == folder:
            return sign or "."
        if not sign and bare.startswith(folder + "/"):
            return plain[len(folder) + 1 :]
    if re.fullmatch(_HOMES, bare) or "/" not in bare:
        return ELSEWHERE
    return f"{ELSEWHERE}/{bare.rpartition('/')[2]}"


def _remove_folder(text: str, folder: str, sign: str) -> str:
    """Replace a known folder whose name has blanks or brackets, where the patterns would end the path."""
    place = re.escape(folder) + r"(?:(/+)(?=[^\s\"'])|/*(?![\w.-]))"
    return re.sub(place, lambda m: (f"{sign}/" if sign else "") if m[1] else sign or ".", text)


def _remove_home(match: re.Match[str]) -> str:
    inside: str = match[1]
    return f"{ELSEWHERE}/{inside.rpartition('/')[2]}" if inside else ELSEWHERE


def _is_lone_slash_word(path: str) -> bool:
    """Whether this is ``/word`` and no such file exists; then it does not count as a path."""
    return path.count("/") == 1 and not os.path.lexists(path)


def shorten_paths(text: str) -> str:
    """Shorten the absolute paths of this machine in free text: a command, a message, a traceback."""
    if "/" not in text and "\\" not in text and "~" not in text:
        return text
    folders = _folders(find_main_script(), working_folder(), os.path.expanduser("~"))

    def short(match: re.Match[str]) -> str:
        path = match[0]
        return path if path.startswith("/") and _is_lone_slash_word(path) else _shorten(path, folders)

    def quoted(match: re.Match[str]) -> str:
        path = match[2]
        # Leave several paths, or a sentence that begins with a path, to the patterns below.
        if re.search(r":/|[;,|<>]|\s[/~-]", path) or (path.startswith("/") and _is_lone_slash_word(path)):
            return match[0]
        return f"{match[1]}{_shorten(path, folders)}{match[1]}"

    for folder, sign in folders:
        if not re.fullmatch(_UNBROKEN, folder):
            text = _remove_folder(text, folder, sign)
    if '"' in text or "'" in text:
        text = re.sub(_QUOTED, quoted, text)
    if ":" in text:
        text = re.sub(_WINDOWS, short, text)
    if "/" in text:
        text = re.sub(_POSIX, short, text)
    if "~" in text:
        text = re.sub(_OTHERS_HOME, _remove_home, text)
    return re.sub(_UNC, short, text) if "\\\\" in text else text
