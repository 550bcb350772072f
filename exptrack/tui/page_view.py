"""A page of text that scrolls, written anew for each width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from exptrack.tui.strips import make_strip


class PageView(ScrollView, can_focus=True):
    """Lines of text; a longer line is cut, and scrolls sideways."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", show=False),
        Binding("down,j", "scroll_down", show=False),
        Binding("left,h", "scroll_left", show=False),
        Binding("right,l", "scroll_right", show=False),
        Binding("tab,shift+tab", "app.turn_side", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("home,g", "scroll_home", show=False),
        Binding("end,G", "scroll_end", show=False),
    ]

    def __init__(self, *, id: str) -> None:  # noqa: A002 (the name that Textual has)
        super().__init__(id=id)
        self._write: Callable[[int], Sequence[Text]] = lambda _width: ()
        self._lines: Sequence[Text] = ()
        self._width = 0

    def show_page(self, write: Callable[[int], Sequence[Text]], *, from_top: bool) -> None:
        """Show the lines that `write` makes for a width; the page stays where it was unless `from_top`."""
        self._write = write
        self._rewrite()
        if from_top:
            self.scroll_to(0, 0, animate=False, immediate=True)

    def on_resize(self, _event: Resize) -> None:
        """Write the page anew if it became wider or narrower."""
        if self.size.width != self._width:
            self._rewrite()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        offset = self.scroll_offset
        place = offset.y + y
        line = self._lines[place] if place < len(self._lines) else Text()
        return make_strip(self.app.console, line, self.size.width, self.rich_style, start=offset.x)

    def _rewrite(self) -> None:
        self._width = self.size.width
        self._lines = self._write(max(self._width, 1))
        longest = max((line.cell_len for line in self._lines), default=0)
        self.virtual_size = Size(max(longest, 1), len(self._lines))
        self.refresh()
