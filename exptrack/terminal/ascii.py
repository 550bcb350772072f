"""Replace bars, rules and marks by ASCII where the encoding of the output is not Unicode.

Invariants: one character becomes one character, so that columns stay aligned. A character that has no
likeness is escaped.
"""

from __future__ import annotations

import codecs
import io
from typing import TextIO

ERRORS = "exptrack.plain"
LIKENESSES = str.maketrans(
    "–—−·•●◦○★×✓✗→»↑↓│┤─└├█▌▁▂▃▄▅▆▇…±µ²≥≤“”‘’", "---.oooo*xvx>>^v||-`|#|..::==#~+u2><\"\"''"
)
# The lower byte of a braille character holds a bit for each dot.
BRAILLE = range(0x2800, 0x2900)
BY_DOTS = " ..::==##"


def spell_out(stream: TextIO) -> None:
    """Make a stream write similar characters for those that it lacks, instead of failing.

    A stream with Unicode lacks lone surrogates only: the bytes of a file's name that are not UTF-8.
    """
    if isinstance(stream, io.TextIOWrapper):
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
