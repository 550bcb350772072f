"""Turn styled text into what a widget draws.

Invariant: a strip has the width that is asked for. What stands in it is text only: a control character is
escaped.
"""

from __future__ import annotations

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from exptrack.terminal.console import safe


def make_strip(console: Console, line: Text, width: int, style: Style, *, start: int = 0) -> Strip:
    """Return a line of text in a background, from cell `start` on."""
    pieces = [Segment(safe(piece.text), piece.style) for piece in line.render(console) if piece.text]
    strip = Strip(pieces).crop(start, start + width)
    return strip.extend_cell_length(width, style).apply_style(style)


def fit(text: str, width: int, *, right: bool = False) -> Text:
    """Return text of exactly so many cells: padded, or cut with a mark."""
    line = Text(safe(text))
    line.truncate(max(width, 0), overflow="ellipsis")
    space = " " * max(width - line.cell_len, 0)
    return Text(space).append_text(line) if right else line.append(space)
