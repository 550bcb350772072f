"""The exported page opens from a file: alone, without a request, and shows what the server shows."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page

from exptrack import Archive
from exptrack.web.export import write_page
from tests.web.browser.archives import Contents
from tests.web.browser.payloads import PAYLOADS, REVERSED, fill_with_payloads
from tests.web.browser.test_injection import FIND_FOREIGN
from tests.web.browser.test_injection import VIEWS as POISONED
from tests.web.browser.views import VIEWS

PATIENCE_S = 20.0
POLICY = '<meta http-equiv="Content-Security-Policy"'


class Window:
    """A window on a file, which notes every complaint and every request."""

    def __init__(self, browser: Browser) -> None:
        self.context = browser.new_context(
            viewport={"width": 1400, "height": 1000}, reduced_motion="reduce", accept_downloads=True
        )
        self.context.set_default_timeout(PATIENCE_S * 1000)
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("request", lambda one: self.requests.append(one.url))
        self.page.on("console", lambda one: self.problems.append(f"{one.type}: {one.text}"))
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", lambda one: self.problems.append(f"dialog: {one.message}"))

    def open(self, file: Path, path: str, shown: str) -> Page:
        """Open a view by its address alone. A new address behind the # would not load the page anew."""
        self.page.goto("about:blank")
        self.page.goto(f"{file.as_uri()}#{path}")
        self.page.locator(shown).first.wait_for()
        return self.page

    def wait_until(self, script: str) -> None:
        """Wait until a script returns true."""
        end = time.monotonic() + PATIENCE_S
        while not self.page.evaluate(script):
            assert time.monotonic() < end, f"{script}\n{self.page.inner_text('body')[:2000]}"
            self.page.wait_for_timeout(20)

    def leave(self) -> None:
        """Assert that nothing was wrong, and that nothing but the file was asked for."""
        asked = [one for one in self.requests if not one.startswith(("file:", "data:", "blob:", "about:"))]
        assert (self.problems, asked) == ([], [])


@pytest.fixture
def window(browser: Browser) -> Iterator[Window]:
    opened = Window(browser)
    yield opened
    opened.context.close()


@pytest.fixture(scope="module")
def exported(contents: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the archive that has everything."""
    file = tmp_path_factory.mktemp("export") / "page.html"
    with Archive(contents.path, mode="ro") as archive:
        assert write_page(archive, str(file)).inside
    return file


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_opens_by_its_address_and_asks_for_nothing(
    name: str, window: Window, exported: Path, contents: Contents
) -> None:
    view = VIEWS[name]
    page = window.open(exported, view.address(contents), view.shown)
    window.wait_until("() => document.querySelector('[aria-busy=true]') === null")
    assert page.evaluate("() => [...document.querySelectorAll('main input[name=note], .danger')].length") == 0
    address = page.url
    elsewhere = "SQL" if name != "sql" else "File"
    page.locator("nav").get_by_role("link", name=elsewhere).click()
    window.wait_until(f"() => location.href !== {json.dumps(address)}")
    page.go_back()
    page.locator(view.shown).first.wait_for()
    assert page.url == address
    window.leave()


def test_the_table_has_the_values_of_the_archive(window: Window, exported: Path, contents: Contents) -> None:
    path = f"/runs?order=-metrics.{quote(json.dumps('train/loss'))}&columns=name&columns=config.optim.lr"
    page = window.open(exported, path, "main")
    with Archive(contents.path, mode="ro") as archive:
        query = archive.runs().order_by('-metrics."train/loss"')
        expected = [run.name for run in query.page(8).runs if run.name]
        total = query.count()
    window.wait_until(f"() => document.body.innerText.includes('{total} runs')")
    window.wait_until(f"() => document.body.innerText.includes({json.dumps(expected[-1])})")
    shown = page.inner_text("body").partition("Times in UTC")[2]
    places = [shown.index(name) for name in expected]
    assert len(places) > 5
    assert places == sorted(places)
    window.leave()


def test_a_link_restores_a_filter_and_a_click_leads_to_a_run(
    window: Window, exported: Path, contents: Contents
) -> None:
    page = window.open(exported, "/runs", "text=run-07")
    page.get_by_role("combobox").first.fill("name = 'run-07'")
    page.keyboard.press("Enter")
    window.wait_until("() => document.body.innerText.includes('1 of ')")
    address = page.url
    window.open(exported, address.partition("#")[2], "text=run-07")
    page.locator("a", has_text="run-07").first.click()
    page.locator("h1:has-text('run-07')").wait_for()
    assert page.url.startswith(f"{exported.as_uri()}#/run/")
    window.leave()


def test_artifacts_are_shown_and_saved(window: Window, exported: Path, contents: Contents) -> None:
    page = window.open(exported, f"/run/{contents.rich}?tab=artifacts", "text=samples/digits")
    page.locator("text=samples/digits").first.click()
    window.wait_until(
        "() => [...document.images].some((one) => one.src.startsWith('blob:') && one.naturalWidth)"
    )
    page.locator("text=mistakes").first.click()
    page.locator("text=guessed").wait_for()
    with page.expect_download() as saving:
        page.locator("a[download]", has_text="Download").first.click()
    with Archive(contents.path, mode="ro") as archive:
        expected = archive.artifacts(contents.rich).get_blob("mistakes")
    assert Path(saving.value.path()).read_bytes() == expected
    window.leave()


def test_the_archive_inside_is_saved_sound(
    window: Window, exported: Path, contents: Contents, tmp_path: Path
) -> None:
    page = window.open(exported, "/file", "a:has-text('Save the archive')")
    with page.expect_download() as saving:
        page.locator("a", has_text="Save the archive").click()
    saving.value.save_as(tmp_path / "saved.db")
    with Archive(tmp_path / "saved.db", mode="ro") as archive, Archive(contents.path, mode="ro") as origin:
        assert archive.verify().ok
        assert archive.runs().count() == origin.runs().count()
    window.leave()


def test_sql_runs_and_cannot_write(window: Window, exported: Path) -> None:
    page = window.open(exported, f"/sql#{quote('SELECT count(*) AS how_many FROM runs')}", "button.primary")
    page.locator("button.primary").click()
    page.locator("th:has-text('how_many')").wait_for()
    found: Any = page.locator("td").last.inner_text()
    assert int(found) > 20
    window.leave()


def test_a_larger_archive_is_dropped_in(window: Window, contents: Contents, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    with Archive(contents.path, mode="ro") as archive:
        assert not write_page(archive, str(file), inside_bytes=1000).inside
        archive.pack(tmp_path / "packed.db", snapshot=True)
    page = window.open(file, "/runs", "input[type=file]")
    assert "lab.db" in page.inner_text("body")
    page.locator("input[type=file]").set_input_files(file)
    page.locator("text=page.html is not an exptrack archive").wait_for()
    page.evaluate(
        """(text) => {
            const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
            const dropped = new DataTransfer();
            dropped.items.add(new File([bytes], "dropped.db"));
            dispatchEvent(new DragEvent("drop", {dataTransfer: dropped}));
        }""",
        base64.b64encode((tmp_path / "packed.db").read_bytes()).decode(),
    )
    page.locator("text=run-07").first.wait_for()
    assert "dropped.db" in page.inner_text("header")
    window.leave()


def test_a_file_with_the_mark_of_a_log_says_what_is_missing(
    window: Window, contents: Contents, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    with Archive(contents.path, mode="ro") as archive:
        write_page(archive, str(file), inside_bytes=0)
    with Archive(tmp_path / "lab.db") as archive:
        archive.start_run({"lr": 0.5}, name="the only one").complete()
    assert (tmp_path / "lab.db").read_bytes()[18:20] == b"\2\2"
    page = window.open(file, "/runs", "input[type=file]")
    page.locator("input[type=file]").set_input_files(tmp_path / "lab.db")
    page.locator("text=the only one").first.wait_for()
    assert "newer commits in a file lab.db-wal, which are not shown" in page.inner_text("body")
    window.leave()


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The page of an archive of payloads, whose own name is one, and the ids of its runs."""
    folder = tmp_path_factory.mktemp("payloads")
    runs = fill_with_payloads(folder / "lab.db")
    with Archive(folder / "lab.db", mode="ro") as archive:
        write_page(archive, str(folder / "page.html"))
    return folder / "page.html", runs


@pytest.mark.parametrize("name", POISONED)
def test_no_view_takes_text_for_anything_else(
    name: str, window: Window, poisoned: tuple[Path, list[str]]
) -> None:
    file, runs = poisoned
    path, press, shows = POISONED[name]
    window.page.set_viewport_size({"width": 1400, "height": 3000 if shows else 1200})
    page = window.open(file, path.format(run=runs[0], other=runs[1]), "main")
    window.wait_until("() => document.querySelector('[aria-busy=true]') === null")
    if press:
        page.locator(press).first.click()
    for y in range(20, 1200, 200):
        for x in (100, 400, 800, 1200):
            page.mouse.move(x, y)
    if shows:
        texts = json.dumps(["".join(text.split()) for text in PAYLOADS])
        window.wait_until(
            "() => { const shown = document.body.innerText.replace(/\\s/g, '');"
            f" return {texts}.every((text) => shown.includes(text)); }}"
        )
    # The policy of the page stands in it, as no server sends it.
    foreign = page.evaluate(FIND_FOREIGN)
    assert [one for one in foreign if not one.startswith(POLICY)] == []
    assert REVERSED not in page.inner_text("body")
    window.leave()
