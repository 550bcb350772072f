"""Choose the path under which each artifact of a run is written into one folder.

Invariants: an artifact whose name is safe on every system, and differs from all others there, keeps it. Any
other gets a similar name that is safe. The same names always give the same paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import normalize

from exptrack.artifacts.safe_paths import Parts, safe_parts
from exptrack.errors import UnsafePathError

MAX_PART_BYTES = 200
_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f-\x9f]')
_DEVICE = re.compile(r"(?i)(CON((IN|OUT)\$)?|PRN|AUX|NUL|(COM|LPT)[1-9¹²³]) *(\.|$)")


def choose_paths(names: Iterable[str]) -> dict[str, str]:
    """Return a path for each name, such that no path equals another or lies inside it on any system."""
    chosen: dict[str, str] = {}
    taken = _Taken()
    several = list(names)
    # A name that is fine comes first, so that it never has to give way.
    for name in several:
        if taken.take(name):
            chosen[name] = name
    for name in several:
        if name in chosen:
            continue
        similar = "/".join(map(_make_safe, name.split("/")))
        flat = _make_safe(name.replace("/", "_"))
        candidates = [similar, flat]
        while not taken.take(candidates[0]):
            candidates.pop(0)
            if not candidates:
                candidates = [f"{flat}~{taken.next_number()}"]
        chosen[name] = candidates[0]
    return {name: chosen[name] for name in several}


class _Taken:
    """The paths that are taken, compared as by a file system that ignores case and composition."""

    def __init__(self) -> None:
        self._whole: set[Parts] = set()
        self._spelled: dict[Parts, Parts] = {}  # every path and every folder that one implies
        self._number = 1

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def take(self, path: str) -> bool:
        """Take a path and return True, unless it is unsafe or in the way of another."""
        try:
            parts = safe_parts(path)
        except UnsafePathError:
            return False
        folded = tuple(normalize("NFD", normalize("NFD", part).casefold()) for part in parts)
        above = [folded[:depth] for depth in range(1, len(parts))]
        if folded in self._spelled or any(one in self._whole for one in above):
            return False
        if any(self._spelled.get(one, parts[: len(one)]) != parts[: len(one)] for one in above):
            return False
        self._whole.add(folded)
        self._spelled[folded] = parts
        for one in above:
            self._spelled[one] = parts[: len(one)]
        return True


def _make_safe(part: str) -> str:
    """Return a part of a path that every system takes, as similar to the given one as possible."""
    safe = _FORBIDDEN.sub("_", part)
    safe = re.sub(r"[. ]+$", lambda found: "_" * len(found[0]), safe) or "_"
    safe = f"_{safe}" if _DEVICE.match(safe) else safe
    return safe.encode()[:MAX_PART_BYTES].decode(errors="ignore")
