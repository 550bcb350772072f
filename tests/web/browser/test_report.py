"""A report in a browser: no text becomes script or markup, everybody can read it, and it prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from playwright.sync_api import Browser, Page

from exptrack import Archive
from exptrack.exporters.report import write_report
from tests.web.browser.archives import Contents
from tests.web.browser.payloads import PAYLOADS, REVERSED, fill_with_payloads
from tests.web.browser.test_injection import FIND_FOREIGN
from tests.web.browser.visits import AXE

# The policy of a report stands in the page, as no server sends it.
FIND_FOREIGN_IN_REPORT = FIND_FOREIGN.replace(
    "meta[http-equiv]", "meta[http-equiv]:not([http-equiv=Content-Security-Policy])"
)
FIND_BARRIERS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.html.slice(0, 200)}`))"""
DRAWING = b"""<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20" onload="parent.hit=1">
<script>parent.hit=1; alert(1)</script>
<image href="https://example.org/x.png"/><rect width="9" height="9"/></svg>"""
WIDTHS = "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
GROUND = "() => getComputedStyle(document.body).backgroundColor"


class Opened:
    """A report in a window, and what the browser complained of."""

    def __init__(self, browser: Browser, path: Path) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 800})
        self.complaints: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.on("request", self._note_request)
        self.path = path
        self.address = path.as_uri()
        self.page.goto(self.address)

    def _dismiss(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note_request(self, request: Any) -> None:
        if request.url != self.address and not request.url.startswith("data:image/"):
            self.complaints.append(f"request: {request.url}")


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Opened]:
    """A report with every payload in every place of it."""
    folder = tmp_path_factory.mktemp("poisoned")
    runs = fill_with_payloads(folder / "lab.db")
    where = " or ".join(
        [
            "name = ''",
            *(f"reason != {json.dumps(one)}" for one in PAYLOADS[:3]),
            "exists config.lr",
            "id != 'x'",
        ]
    )
    with Archive(folder / "lab.db") as archive:
        run = archive.get_run(runs[1])
        for number, payload in enumerate(PAYLOADS[:7]):
            picture = numpy.full((4, 4), number, dtype=numpy.uint8)
            run.log_image(payload, picture, caption=payload)
            run.log_histogram(f"{payload} {number}", counts=[1, 2], edges=[0.0, 1.0, 2.0], caption=payload)
            run.log_table(
                f"t {payload}", [[payload, 1], [f"{payload}!", 2]], columns=[payload, "n"], caption=payload
            )
        run.log_image("a drawing", DRAWING)
        write_report(archive, folder / "out.html", metrics=PAYLOADS, title=PAYLOADS[0], where=where)
    opened = Opened(browser, folder / "out.html")
    yield opened
    opened.context.close()


def test_no_text_of_an_archive_becomes_anything_else(poisoned: Opened) -> None:
    page = poisoned.page
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")
    for y in range(20, 800, 60):
        page.mouse.move(300, y)
    assert page.evaluate(FIND_FOREIGN_IN_REPORT) == []
    shown = "".join(page.inner_text("body").split())
    assert [one for one in PAYLOADS if "".join(one.split()) not in shown] == []
    assert REVERSED not in page.inner_text("body")
    assert poisoned.complaints == []
    # The drawing is shown, and neither its script nor its request was made.
    assert sorted(page.evaluate("() => [...document.images].map((one) => one.naturalWidth)")) == [*[4] * 7, 20]


def test_the_policy_stops_what_markup_could_do(poisoned: Opened, browser: Browser, tmp_path: Path) -> None:
    """If text did become markup, no script would run and nothing would be loaded."""
    written = poisoned.path.read_text(encoding="utf-8")
    broken = written.replace("</main>", "".join(PAYLOADS[:6]) + "</main>")
    (tmp_path / "broken.html").write_text(broken, encoding="utf-8")
    opened = Opened(browser, tmp_path / "broken.html")
    assert opened.page.evaluate(FIND_FOREIGN_IN_REPORT) != []
    assert opened.page.evaluate("() => window.hit") is None
    assert not [one for one in opened.complaints if one.startswith("dialog")]
    assert any("Content Security Policy" in one for one in opened.complaints)
    opened.context.close()


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory, browser: Browser, contents: Contents) -> Iterator[Opened]:
    """A report on the archive that has everything."""
    out = tmp_path_factory.mktemp("rich") / "out.html"
    with Archive(contents.path, mode="ro") as archive:
        write_report(archive, out)
    opened = Opened(browser, out)
    yield opened
    opened.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(scheme: Any, rich: Opened, poisoned: Opened) -> None:
    for opened in (rich, poisoned):
        page = opened.page
        page.emulate_media(color_scheme=scheme)
        page.evaluate("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")
        page.evaluate(AXE)
        assert page.evaluate(FIND_BARRIERS) == []
    assert rich.complaints == []
    dark = rich.page.evaluate(GROUND) != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")


@pytest.mark.parametrize("width", [1280, 1920, 420])
def test_only_tables_scroll_sideways(width: int, rich: Opened, poisoned: Opened) -> None:
    for opened in (rich, poisoned):
        opened.page.set_viewport_size({"width": width, "height": 800})
        scrolled, seen = opened.page.evaluate(WIDTHS)
        assert scrolled == seen
    rich.page.set_viewport_size({"width": 1280, "height": 800})
    table = rich.page.locator("[role=region]").nth(1)
    table.focus()
    rich.page.keyboard.press("ArrowRight")
    assert table.evaluate("(one) => one.scrollWidth > one.clientWidth")


def test_it_prints_on_white_paper_within_its_width(rich: Opened) -> None:
    page = rich.page
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(GROUND) == "rgb(255, 255, 255)"
    page.set_viewport_size({"width": 1030, "height": 700})  # A4 on its side, without margins
    scrolled, seen = page.evaluate(WIDTHS)
    assert scrolled == seen
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    page.emulate_media(media="screen", color_scheme="light")


def test_paper_shows_what_a_screen_folds_in_configs_and_no_data_of_charts(
    browser: Browser, tmp_path: Path
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        for seed in range(2):
            with archive.start_run({"lr": 0.1, "seed": seed}) as run:
                run.log_many("loss", range(3), [3.0, 2.0, 1.0])
        write_report(archive, tmp_path / "out.html")
    opened = Opened(browser, tmp_path / "out.html")
    is_seen = {}
    for media in ("screen", "print"):
        opened.page.emulate_media(media=media)  # type: ignore[arg-type]
        is_seen[media] = [
            opened.page.locator(selector).evaluate("(one) => one.checkVisibility()")
            for selector in ("table[aria-label='Config keys that are equal']", ".charts summary")
        ]
    opened.context.close()
    assert is_seen == {"screen": [False, True], "print": [True, False]}
