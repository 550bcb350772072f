"""Draws docs/tui.svg, the picture of the full-screen view: ``python -m docs.tui_picture``.

The script trains the models of ``exptrack demo`` in a temporary folder, opens the view on them, sorts and marks
runs by keys, and draws the screen. It needs the extra ``test``. Ids, times and durations differ from run to
run; the rest of the picture does not. The picture asks no network for a font.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from exptrack.cli.demo import METRIC, run_demo
from tests.tui.driving import Driver, drive

PICTURE = Path(__file__).resolve().parent / "tui.svg"
SIZE = (120, 36)
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
ORDER = f"-metrics.{METRIC}.max"
MARKED = 3


def draw() -> str:
    """The picture as SVG."""
    drawn: list[str] = []

    async def steps(driver: Driver) -> None:
        await driver.see("14 runs")
        await driver.press("s")
        await driver.write(ORDER)
        await driver.press("enter")
        await driver.see(f"sorted by {ORDER}")
        await driver.press(*["space"] * MARKED, "up")
        await driver.see(f"{MARKED} marked")
        await driver.pilot.pause(1.0)
        drawn.append(driver.view.export_screenshot(title="exptrack tui"))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "digits.db")
        run_demo(path, lambda *_: None)
        drive(path, steps, size=SIZE)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", drawn[0], flags=re.DOTALL)
    return re.sub(r"terminal-\d+", "tui", svg.replace("Fira Code, monospace", FONTS))


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
