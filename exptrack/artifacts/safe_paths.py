"""Check the paths of files in an artifact: each is safe on every system, and no two name one file anywhere.

Invariant: a stored path is untrusted. A path that could leave its folder, or could mean another file on Windows
or macOS, is refused on every system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from exptrack.errors import UnsafePathError

MAX_PARTS = 100  # removing a deeper tree recurses too far and holds a descriptor open for each level
UNSAFE = (
    (r"^/", "it is absolute"),
    (r"(^|/)\.{0,2}(/|$)", "it or a part of it is empty, '.' or '..'"),
    (r'[<>:"|?*\\\x00-\x1f\x7f-\x9f]', 'it has a control character or one of < > : " | ? * \\'),
    (r"[\ud800-\udfff]", "it has a lone surrogate, which has no UTF-8 form"),
    (r"[. ](/|$)", "a part of it ends in a dot or a space, which Windows drops"),
    (r"(?i)(^|/)(CON((IN|OUT)\$)?|PRN|AUX|NUL|(COM|LPT)[1-9¹²³]) *(\.|/|$)", "it is a device on Windows"),
    (rf"^([^/]*/){{{MAX_PARTS}}}", f"it has more than {MAX_PARTS} parts"),
)

# Paths of these characters break no rule but those on dots, devices and depth. Compiling the rules takes a
# millisecond, as often as a run starts.
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./")
PORTS = [f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10)]
DEVICES = frozenset(("CON", "PRN", "AUX", "NUL", *PORTS))

Parts = tuple[str, ...]


def safe_parts(path: str) -> Parts:
    """Split a relative path at each ``/``, if it is safe on every system.

    Raises:
        UnsafePathError: the path breaks a rule of `UNSAFE`, or a part has more than 255 bytes in UTF-8.
    """
    parts = tuple(path.split("/"))
    if not _is_plain(path, parts):
        for pattern, rule in UNSAFE:
            if re.search(pattern, path):
                raise UnsafePathError(path, rule)
    if max(len(part.encode("utf-8")) for part in parts) > 255:
        raise UnsafePathError(path, "a part of it is longer than 255 bytes")
    return parts


def _is_plain(path: str, parts: Parts) -> bool:
    """Whether a path keeps the rules of `UNSAFE` for certain."""
    if not set(path) <= PLAIN or len(parts) > MAX_PARTS:
        return False
    return all(
        part and part[0] != "." != part[-1] and part.partition(".")[0].upper() not in DEVICES for part in parts
    )


@contextmanager
def storing_folder() -> Iterator[None]:
    """Let an UnsafePathError say that a folder cannot be stored: it could not be restored on every system."""
    try:
        yield
    except UnsafePathError as error:
        raise UnsafePathError(
            error.path,
            error.rule,
            problem="in the folder cannot be stored, since not every system can have it",
            advice="rename it, or store that file alone with register_file",
        ) from None


class TreePaths:
    """Collects the paths of one tree, as a file system sees them that ignores case and composition."""

    def __init__(self) -> None:
        self._spelled: dict[Parts, Parts] = {}
        self._listed: dict[Parts, bool] = {}

    def add(self, path: str, *, is_folder: bool) -> Parts:
        parts = safe_parts(path)
        folded = tuple(part.lower() if part.isascii() else _fold(part) for part in parts)
        upto = [parts[:depth] for depth in range(1, len(parts) + 1)]
        # A folder may be listed once; the paths inside it may imply it any number of times.
        again = parts in self._listed or (folded in self._spelled and not is_folder)
        found = [self._spelled.setdefault(folded[: len(part)], part) for part in upto]
        if again or found != upto or any(self._listed.get(part) is False for part in found):
            raise UnsafePathError(
                path, "on some systems it names the same file as another path of the artifact"
            )
        self._listed[parts] = is_folder
        return parts

    def folders(self) -> list[Parts]:
        """List every folder, listed or implied, deepest first."""
        folders = (parts for parts in self._spelled.values() if self._listed.get(parts, True))
        return sorted(folders, key=len, reverse=True)


def _fold(part: str) -> str:
    """Return what Unicode calls the canonical caseless match."""
    from unicodedata import normalize

    return normalize("NFD", normalize("NFD", part).casefold())


def check_tree(paths: Iterable[tuple[str, bool]]) -> list[Parts]:
    """Split each ``(path, is_folder)`` of one tree into parts, if no two paths are equal on any system.

    Raises:
        UnsafePathError: a path is unsafe; or it equals another or lies inside a file, apart from case and
            Unicode normalization.
    """
    collected = TreePaths()
    return [collected.add(path, is_folder=is_folder) for path, is_folder in paths]
