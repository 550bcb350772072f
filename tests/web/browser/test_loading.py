"""What the browser loads: few files, each once, the rows at once, and no file on a second visit."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlsplit

from playwright.sync_api import Page

from tests.web.browser.visits import Visit

ROW = ".grid-body [role=row]"
LOADED = """
() => performance.getEntriesByType("resource").filter(({name}) => name.includes("/static/"))
    .map(({name, transferSize}) => [name, transferSize])
"""


def note_requests(page: Page) -> list[str]:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def files_of(asked: list[str]) -> list[str]:
    """The files among requests, below the version of the page, but for the icon: the browser looks often."""
    paths = [urlsplit(url).path for url in asked]
    files = [path.split("/", 3)[3] for path in paths if path.startswith("/static/")]
    return sorted(file for file in files if file != "favicon.svg")


def test_the_first_view_is_one_module_and_one_style_sheet_and_asks_for_its_rows_once(visit: Visit) -> None:
    for path in ("/runs", "/runs?where=status+%3D+completed&order=-config.optim.lr"):
        visit.page.goto("about:blank")
        asked = note_requests(visit.page)
        visit.open(path, ROW)
        assert files_of(asked) == ["app.js", "page.css"]
        questions = [url for url in asked if "/api/" in url]
        assert urlsplit(questions[0]).path == "/api/runs", "the rows go first"
        assert max(Counter(questions).values()) == 1


def test_the_module_of_a_view_is_loaded_when_the_view_is_first_shown(visit: Visit) -> None:
    page = visit.open("/runs", ROW)
    asked = note_requests(page)
    for view, packages in (("Charts", ["uplot"]), ("Explore", ["echarts"]), ("SQL", ["codemirror"])):
        asked.clear()
        page.get_by_role("navigation", name="Views").get_by_role("link", name=view).click()
        visit.wait_until("(title) => document.title.startsWith(title)", view)
        visit.settle()
        modules = [f"vendor/{package}.js" for package in packages]
        assert files_of(asked) == [*modules, f"views/{view.lower()}.js"]
    asked.clear()
    for title in ("Explore", "Charts", "Runs"):
        page.go_back()
        visit.wait_until("(title) => document.title.startsWith(title)", title)
        visit.settle()
    assert files_of(asked) == []


def test_a_second_visit_loads_no_file(visit: Visit) -> None:
    page = visit.open("/runs", ROW)
    assert all(size > 0 for name, size in page.evaluate(LOADED) if "favicon" not in name)
    visit.open("/runs?order=name", ROW)
    found = page.evaluate(LOADED)
    assert {name.split("/")[-1] for name, _ in found} >= {"app.js", "page.css"}
    assert all(size == 0 for _, size in found), found
