"""One browser and one server for all tests of the page that a worker runs; a window of its own for each test.

A complaint of the browser fails the test: an error in the console, a breach of the policy of the page, or a
request to another host. A test may allow complaints that it provokes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from exptrack.web.server import PageServer
from tests.web.browser.archives import Contents, fill_archive
from tests.web.browser.chromium import start_chromium
from tests.web.browser.visits import Visit

WIDTH, HEIGHT = 1280, 800
Open = Callable[..., Visit]


# Playwright's loop occupies its thread. So the browser ends with the last test of this folder.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = start_chromium(playwright)
        yield started
        started.close()


@pytest.fixture(scope="package")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contents]:
    """An archive that has everything that the page shows; one of its runs goes on."""
    with fill_archive(tmp_path_factory.mktemp("everything") / "lab.db") as filled:
        yield filled


@pytest.fixture(scope="package")
def server(contents: Contents) -> Iterator[PageServer]:
    with PageServer(contents.path, port=0) as serving:
        yield serving


@pytest.fixture
def open_window(browser: Browser) -> Iterator[Open]:
    """A function that opens a window on a server. After the test no window may have complaints."""
    visits: list[Visit] = []

    def open_one(server: PageServer, **options: object) -> Visit:
        options = {"viewport": {"width": WIDTH, "height": HEIGHT}, "reduced_motion": "reduce"} | options
        context = browser.new_context(**options)
        context.set_default_timeout(20_000)
        visits.append(Visit(context, server))
        return visits[-1]

    yield open_one
    problems = [problem for visit in visits for problem in visit.find_problems()]
    for visit in visits:
        visit.context.close()
    assert not problems, problems


@pytest.fixture
def visit(open_window: Open, server: PageServer) -> Visit:
    """A window on the archive that has everything. Tests that change an archive make their own."""
    return open_window(server)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., PageServer]]:
    """A function that serves another archive until the test is over."""
    serving: list[PageServer] = []

    def serve_one(path: str | Path, port: int = 0) -> PageServer:
        serving.append(PageServer(path, port))
        return serving[-1].__enter__()

    yield serve_one
    for one in serving:
        one.close()
