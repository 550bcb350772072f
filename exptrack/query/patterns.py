"""Read the patterns of ``like``: % stands for any text, _ for one character, and a backslash takes that away.

Invariant: a backslash before any other character is itself, so patterns of paths need no second one.
"""

from __future__ import annotations

import re

# How SQLite takes a pattern that `pattern_of` returns.
LIKE = "LIKE ? ESCAPE '\\'"


def pattern_of(text: str) -> str:
    """Return a pattern as SQLite reads it: each backslash stands before what it escapes."""
    return re.sub(r"\\([%_\\])|\\", lambda found: found[0] if found[1] else r"\\", text)


def escape_like(text: str) -> str:
    """Return a pattern that only this text matches."""
    return re.sub(r"[\\%_]", r"\\\g<0>", text)
