"""Several tabs of one browser: they share one stream, and a hidden tab neither holds nor reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from exptrack import Archive
from exptrack.web.server import PageServer
from tests.web.browser.archives import make_record
from tests.web.browser.conftest import Open

ROW = ".grid-body [role=row]"
LIVE = ".pulse.live"
TABS = 8  # a browser opens six connections to one host
# A browser without windows hides no tab, so the tab is told that it is hidden.
HIDE = "Object.defineProperty(document, 'hidden', { get: () => window.isHidden === true })"
TURN = "(hidden) => { window.isHidden = hidden; document.dispatchEvent(new Event('visibilitychange')); }"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    with Archive(tmp_path / "lab.db") as archive:
        archive.record_runs([make_record(number) for number in range(3)])
    return tmp_path / "lab.db"


def test_a_hidden_tab_lets_its_stream_go_and_catches_up(
    open_window: Open, serve: Callable[..., PageServer], lab: Path
) -> None:
    server = serve(lab)
    visit = open_window(server)
    visit.context.add_init_script(HIDE)
    page = visit.open("/runs", f"{ROW} >> text=run-01", LIVE)
    assert server.page.live.is_watched
    page.evaluate(TURN, True)
    page.locator(".pulse.paused").wait_for()
    visit.wait_until("() => true")
    for _ in range(200):
        if not server.page.live.is_watched:
            break
        page.wait_for_timeout(20)
    assert not server.page.live.is_watched
    with Archive(lab) as archive:
        archive.start_run(name="while hidden").complete()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(1200)  # two looks of the server at the file
    assert asked == []
    assert page.locator(ROW, has_text="while hidden").count() == 0
    page.evaluate(TURN, False)
    page.locator(ROW, has_text="while hidden").wait_for()
    page.locator(LIVE).wait_for()


def test_eight_tabs_are_live_by_one_stream(
    open_window: Open, serve: Callable[..., PageServer], lab: Path
) -> None:
    server = serve(lab)
    visit = open_window(server)
    tabs: list[Page] = [visit.page, *(visit.context.new_page() for _ in range(TABS - 1))]
    for tab in tabs:
        tab.goto(f"{server.origin}/runs")
    for tab in tabs:
        tab.locator(LIVE).wait_for()
    assert len(server.page.live._watchers) == 1
    with Archive(lab) as archive:
        archive.start_run(name="newcomer").complete()
    for tab in tabs:
        tab.locator(ROW, has_text="newcomer").wait_for()
    # The tab that holds the stream goes; another one takes it over.
    tabs[0].close()
    with Archive(lab) as archive:
        archive.start_run(name="latecomer").complete()
    for tab in tabs[1:]:
        tab.locator(ROW, has_text="latecomer").wait_for()
    assert len(server.page.live._watchers) == 1
