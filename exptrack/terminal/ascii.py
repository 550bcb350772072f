"""What a terminal or file that does not know Unicode is shown instead of bars, rules and marks.

Invariants: a character becomes one character, so that columns stay aligned; what has no likeness is escaped.
"""

from __future__ import annotations

import codecs
import io
from typing import TextIO

ERRORS = "exptrack.plain"
LIKENESSES = str.maketrans("–—−·•●◦○★×→↑↓│─└├█▁▂▃▄▅▆▇…±µ²≥≤“”‘’", "---.oooo*x>^v|-`|#..::==#~+u2><\"\"''")
# Of a character of braille the lower byte is its dots.
BRAILLE = range(0x2800, 0x2900)
BY_DOTS = " ..::==##"


def spell_out(stream: TextIO) -> None:
    """Let a stream of an encoding without such characters take likenesses rather than fail."""
    if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
        codecs.register_error(ERRORS, _likeness)
        stream.reconfigure(errors=ERRORS)


def _likeness(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    if ord(character) in BRAILLE:
        return BY_DOTS[(ord(character) & 0xFF).bit_count()]
    found = character.translate(LIKENESSES)
    return found if found.isascii() else character.encode("unicode_escape").decode("ascii")
