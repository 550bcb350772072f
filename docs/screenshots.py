"""Draws docs/page-*.png, the pictures of the page in README and docs: ``python -m docs.screenshots``.

The script trains the models of ``exptrack demo`` in a temporary folder. It opens the page on them in Chromium,
and takes a picture of each view. It needs the extra ``test``. Ids, times and durations differ from run to run;
the rest of a picture does not.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

from exptrack import Archive
from exptrack.cli.demo import METRIC, run_demo
from exptrack.web.server import PageServer
from tests.web.browser.chromium import start_chromium
from tests.web.browser.visits import Visit

DOCS = Path(__file__).resolve().parent
WIDTH, HEIGHT = 1280, 640
PICTURES = ("runs", "charts", "compare")


def list_views(archive: Archive) -> dict[str, tuple[str, str]]:
    """List the address of each picture, and what the view shows when it is ready."""
    best = [run.run_id for run, _ in archive.best_runs(METRIC, "maximize", limit=4)]
    runs = {"order": f"-metrics.{METRIC}", "spark": f"metrics.{METRIC}"}
    charts = {"where": 'config.model.kind = "mlp"', "color": "config.optim.lr"}
    addresses = (
        f"/runs?{urlencode(runs)}",
        f"/charts?{urlencode(charts)}",
        f"/compare?{urlencode({'runs': best}, doseq=True)}",
    )
    shown = (".grid-body svg", "canvas", "main >> text=hidden")
    return dict(zip(PICTURES, zip(addresses, shown, strict=True), strict=True))


def draw_all(folder: Path) -> None:
    """Write the pictures into a folder."""
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        path = Path(scratch, "digits.db")
        run_demo(path, lambda *_: None)
        with Archive(path, mode="ro") as archive:
            views = list_views(archive)
        browser = start_chromium(playwright)
        with PageServer(path, port=0) as server:
            for name, (address, shown) in views.items():
                context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
                visit = Visit(context, server)
                visit.open(address, shown).wait_for_timeout(1000)
                visit.page.screenshot(path=folder / f"page-{name}.png")
                context.close()
                if problems := visit.find_problems():
                    raise RuntimeError(f"the browser complains about {address}: {problems}")
        browser.close()


if __name__ == "__main__":
    draw_all(DOCS)
