"""Open the view on an archive in tests, press keys, and read the screen."""

from __future__ import annotations

import asyncio
import re
import time
import xml.etree.ElementTree
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from exptrack.tui.app import ArchiveView
from exptrack.tui.source import Source

SIZES = ((80, 24), (120, 40))
PATIENCE_S = 20.0
LINE = re.compile(r"-line-(\d+)\)$")
CELL = 12.2  # the width of a cell in the picture


def read_screen(view: ArchiveView) -> list[str]:
    """Return the lines of the screen, as they stand in a picture of it."""
    picture = xml.etree.ElementTree.fromstring(view.export_screenshot())
    lines: dict[int, str] = defaultdict(str)
    for one in picture.iter("{http://www.w3.org/2000/svg}text"):
        if line := LINE.search(one.get("clip-path", "")):
            column = round(float(one.get("x", 0)) / CELL)
            lines[int(line[1])] = f"{lines[int(line[1])]:<{column}}{''.join(one.itertext())}"
    return [lines[number].replace("\u00a0", " ").rstrip() for number in range(view.size.height)]


class Driver:
    """Presses keys in a view, and waits until something stands on its screen."""

    def __init__(self, pilot: Pilot[int], view: ArchiveView) -> None:
        self.pilot, self.view = pilot, view

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(read_screen(self.view))

    async def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        await self.pilot.press(*keys)

    async def write(self, text: str) -> None:
        """Write a text where the cursor stands."""
        for one in text:
            await self.pilot.press({" ": "space"}.get(one, one))

    async def see(self, *words: str) -> str:
        """Wait until each of these stands on the screen, and return it."""
        return await self.until(lambda text: all(one in text for one in words), f"{words!r}")

    async def miss(self, *words: str) -> str:
        """Wait until none of these stands on the screen, and return it."""
        return await self.until(lambda text: not any(one in text for one in words), f"no {words!r}")

    async def until(self, holds: Callable[[str], bool], what: str) -> str:
        """Wait until something is true of the screen, and return it."""
        end = time.monotonic() + PATIENCE_S
        while True:
            text = self.text
            if holds(text):
                return text
            assert time.monotonic() < end, f"the screen does not show {what}:\n{text}"
            await self.pilot.pause(0.02)


def drive(
    path: Path,
    steps: Callable[[Driver], Awaitable[None]],
    *,
    size: tuple[int, int] = SIZES[0],
    can_edit: bool = True,
) -> ArchiveView:
    """Open the view, do the steps, and close it."""

    async def run(view: ArchiveView) -> None:
        async with view.run_test(size=size) as pilot:
            await steps(Driver(pilot, view))

    source = Source(str(path), can_edit=can_edit)
    view = ArchiveView(source)
    try:
        asyncio.run(run(view))
    finally:
        source.close()
    return view
