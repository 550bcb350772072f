"""Paths without the machine: what is recorded names files by project or package, never by absolute path.

Invariants: a path inside the project becomes relative to it; one inside a package folder becomes
``…/package/file.py``; of any other only the last part remains, and of a home folder nothing.
URLs keep their paths.
"""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache

ELSEWHERE = "…"

# Patterns are texts, compiled where they are first needed.
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


def main_script() -> str | None:
    """The absolute path of the file that Python was started with; None in a shell or a notebook."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.abspath(main) if main else None


def repository_root(start: str) -> str | None:
    """The nearest folder at or above `start` that is a git work tree, symbolic links resolved."""
    place = os.path.realpath(start)
    while True:
        git = os.path.join(place, ".git")
        # Git goes past a folder called .git that is none of its own.
        if os.path.isfile(git) or os.path.lexists(os.path.join(git, "HEAD")):
            return place
        above = os.path.dirname(place)
        if above == place:
            return None
        place = above


def working_folder() -> str:
    """The working folder; "" when it was deleted."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def relative_path(path: str, folder: str | None = None) -> str:
    """`path` relative to `folder` (the working folder by default) when inside it, else its last part."""
    if not os.path.isabs(path):
        return shorten_paths(path)
    try:
        relative = os.path.relpath(os.path.realpath(path), os.path.realpath(folder or os.getcwd()))
    except (OSError, ValueError):
        return os.path.basename(path)
    return os.path.basename(path) if relative.split(os.sep)[0] == os.pardir else relative


@lru_cache(maxsize=16)
def _folders(script: str | None, working: str, home: str) -> tuple[tuple[str, str], ...]:
    """Known folders, longest first, each with what it becomes."""
    signs: dict[str, str] = {}
    for library in (sys.base_prefix, sys.prefix):
        signs[library] = ELSEWHERE
    signs[home] = ELSEWHERE
    for start in (working, os.path.dirname(script or "")):
        if start:
            # Written as it was given and as it really is.
            signs.update(
                {place: "" for place in (start, os.path.realpath(start), repository_root(start)) if place}
            )
    kept = [(folder.replace("\\", "/").rstrip("/"), sign) for folder, sign in signs.items()]
    return tuple(sorted((pair for pair in kept if len(pair[0]) > 1), key=lambda pair: -len(pair[0])))


def _short(path: str, folders: tuple[tuple[str, str], ...]) -> str:
    """One absolute path, without the machine."""
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


def _without_folder(text: str, folder: str, sign: str) -> str:
    """Without a known folder whose name has blanks or brackets, which elsewhere end a path."""
    place = re.escape(folder) + r"(?:(/+)(?=[^\s\"'])|/*(?![\w.-]))"
    return re.sub(place, lambda m: (f"{sign}/" if sign else "") if m[1] else sign or ".", text)


def _without_home(match: re.Match[str]) -> str:
    inside: str = match[1]
    return f"{ELSEWHERE}/{inside.rpartition('/')[2]}" if inside else ELSEWHERE


def _is_lone_slash_word(path: str) -> bool:
    """Whether this is ``/word``, which is a path only where there is such a folder."""
    return path.count("/") == 1 and not os.path.lexists(path)


def shorten_paths(text: str) -> str:
    """Free text (a command, a message, a traceback) without absolute paths of this machine."""
    if "/" not in text and "\\" not in text and "~" not in text:
        return text
    folders = _folders(main_script(), working_folder(), os.path.expanduser("~"))

    def short(match: re.Match[str]) -> str:
        path = match[0]
        return path if path.startswith("/") and _is_lone_slash_word(path) else _short(path, folders)

    def quoted(match: re.Match[str]) -> str:
        path = match[2]
        # Several paths, or a sentence that begins with one, are for the patterns below.
        if re.search(r":/|[;,|<>]|\s[/~-]", path) or (path.startswith("/") and _is_lone_slash_word(path)):
            return match[0]
        return f"{match[1]}{_short(path, folders)}{match[1]}"

    for folder, sign in folders:
        if not re.fullmatch(_UNBROKEN, folder):
            text = _without_folder(text, folder, sign)
    if '"' in text or "'" in text:
        text = re.sub(_QUOTED, quoted, text)
    if ":" in text:
        text = re.sub(_WINDOWS, short, text)
    if "/" in text:
        text = re.sub(_POSIX, short, text)
    if "~" in text:
        text = re.sub(_OTHERS_HOME, _without_home, text)
    return re.sub(_UNC, short, text) if "\\\\" in text else text
