"""Named views: saved, opened, renamed and deleted by pointer and by keyboard, in one window and in two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_plus, urlsplit

import pytest
from playwright.sync_api import Page

from exptrack import Archive, RecordedRun
from exptrack.web.server import PageServer
from tests.web.browser.archives import STARTED
from tests.web.browser.conftest import Open
from tests.web.browser.use import FOCUSED, find_faults
from tests.web.browser.visits import Visit

FILTERED = "/runs?where=config.lr+%3C+0.05"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("views") / "lab.db"
    with Archive(path) as archive:
        archive.record_runs(
            [
                RecordedRun({"lr": lr}, STARTED, name=f"lr {lr}", metrics={"loss": ([0], [lr])})
                for lr in (0.1, 0.01)
            ]
        )
    return path


@pytest.fixture(scope="module")
def lab_server(lab: Path) -> Iterator[PageServer]:
    with PageServer(lab, port=0) as serving:
        yield serving


@pytest.fixture(autouse=True)
def _without_views(lab: Path) -> None:
    with Archive(lab) as archive:
        for view in archive.list_page_views():
            archive.delete_page_view(view.name)


def open_menu(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Views", exact=True).click()
    visit.page.locator(".named").wait_for()
    visit.settle()


def saved(lab: Path) -> dict[str, str]:
    with Archive(lab, mode="ro") as archive:
        return {view.name: view.path for view in archive.list_page_views()}


def address(page: Page) -> str:
    parts = urlsplit(page.url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def names(page: Page) -> list[str]:
    return page.locator(".named li bdi").all_inner_texts()


def test_a_view_is_saved_and_opened_after_a_reload(
    lab: Path, lab_server: PageServer, open_window: Open
) -> None:
    visit = open_window(lab_server)
    page = visit.open(FILTERED, "text=lr 0.01")
    open_menu(visit)
    assert "No view has a name yet" in page.inner_text(".named")
    page.get_by_label("Name for this view").fill("small rates")
    page.get_by_role("button", name="Save").click()
    page.locator(".named li a[aria-current=page]").wait_for()
    assert names(page) == ["small rates"]
    assert unquote_plus(saved(lab)["small rates"]) == unquote_plus(address(page))
    page.keyboard.press("Escape")
    page.locator(".named").wait_for(state="detached")
    visit.open("/file", "text=lab.db")
    open_menu(visit)
    page.locator(".named li a", has_text="small rates").click()
    page.get_by_text("lr 0.01").first.wait_for()
    assert unquote_plus(address(page)) == unquote_plus(FILTERED)
    assert page.locator(".named").count() == 0
    page.go_back()
    page.locator("text=lab.db").first.wait_for()


def test_a_name_that_is_taken_is_asked_for(lab: Path, lab_server: PageServer, open_window: Open) -> None:
    with Archive(lab) as archive:
        archive.save_page_view("mine", "/sql")
    visit = open_window(lab_server)
    page = visit.open("/charts", "canvas")
    open_menu(visit)
    page.get_by_label("Name for this view").fill("mine")
    page.keyboard.press("Enter")
    page.get_by_text("There is a view mine already.").wait_for()
    page.keyboard.press("Enter")
    visit.settle()
    assert saved(lab) == {"mine": "/sql"}
    page.get_by_role("button", name="Replace it").click()
    page.get_by_text("Saved this view as “mine”.").wait_for()
    assert saved(lab)["mine"].startswith("/charts")


def test_a_name_that_another_process_took_is_asked_for(
    lab: Path, lab_server: PageServer, open_window: Open
) -> None:
    visit = open_window(lab_server)
    visit.allow("409")
    page = visit.open("/file", "text=lab.db")
    open_menu(visit)
    page.get_by_label("Name for this view").fill("mine")
    # The menu has not heard of it when the name is sent.
    page.route(
        "**/api/page-views", lambda route: route.abort() if route.request.method == "GET" else route.continue_()
    )
    visit.allow("net::ERR_FAILED")
    with Archive(lab) as archive:
        archive.save_page_view("mine", "/sql")
    page.keyboard.press("Enter")
    page.get_by_text("There is a view mine already.").wait_for()
    assert saved(lab) == {"mine": "/sql"}


def test_a_view_is_renamed_and_deleted_and_comes_back(
    lab: Path, lab_server: PageServer, open_window: Open
) -> None:
    with Archive(lab) as archive:
        archive.save_page_view("first", FILTERED)
        archive.save_page_view("second", "/sql")
    visit = open_window(lab_server)
    page = visit.open("/file", "text=lab.db")
    open_menu(visit)
    page.get_by_role("button", name="Rename first").click()
    page.get_by_label("New name").fill("second")
    visit.allow("409")
    page.keyboard.press("Enter")
    page.get_by_text("named 'second'").wait_for()
    page.get_by_label("New name").fill("renamed")
    page.keyboard.press("Enter")
    page.locator(".named li a", has_text="renamed").wait_for()
    assert saved(lab) == {"renamed": FILTERED, "second": "/sql"}
    page.get_by_role("button", name="Delete renamed").click()
    page.get_by_text("Deleted the view “renamed”.").wait_for()
    assert saved(lab) == {"second": "/sql"}
    page.get_by_role("button", name="Undo").click()
    visit.settle()
    assert saved(lab) == {"renamed": FILTERED, "second": "/sql"}


def test_everything_works_by_keyboard(lab: Path, lab_server: PageServer, open_window: Open) -> None:
    visit = open_window(lab_server)
    page = visit.open(FILTERED, "text=lr 0.01")
    page.keyboard.press("?")
    page.get_by_text("Show the named views, and name this one").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.locator(".named").wait_for()
    page.keyboard.type("by keys")
    page.keyboard.press("Enter")
    page.locator(".named li a").wait_for()
    page.get_by_text("Saved this view as “by keys”.").wait_for()
    # The empty name cannot be saved: Tab goes on to the link, then to its two buttons.
    page.keyboard.press("Tab")
    assert "by keys" in page.evaluate(FOCUSED)["name"]
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_label("New name").wait_for()
    page.keyboard.press("Escape")
    page.get_by_label("New name").wait_for(state="detached")
    assert page.evaluate(FOCUSED)["seen"]
    page.get_by_role("button", name="Rename by keys").press("Enter")
    page.get_by_label("New name").wait_for()
    page.keyboard.press("Control+a")
    page.keyboard.type("renamed")
    page.keyboard.press("Enter")
    page.locator(".named li a", has_text="renamed").wait_for()
    page.keyboard.press("Escape")
    page.locator(".named").wait_for(state="detached")
    visit.wait_to_be(True, lambda: "Views" in (page.evaluate(FOCUSED) or {"name": ""})["name"])
    page.keyboard.press("g")
    page.keyboard.press("f")
    page.locator("text=lab.db").first.wait_for()
    page.keyboard.press("b")
    page.locator(".named").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("lr 0.01").first.wait_for()
    assert saved(lab).keys() == {"renamed"}


def test_another_window_and_another_process_are_followed(
    lab: Path, lab_server: PageServer, open_window: Open
) -> None:
    one, other = open_window(lab_server), open_window(lab_server)
    one.open("/runs", "text=lr 0.01")
    other.open("/file", "text=lab.db")
    open_menu(other)
    with Archive(lab) as archive:
        archive.save_page_view("elsewhere", "/sql")
    other.page.locator(".named li a", has_text="elsewhere").wait_for()
    open_menu(one)
    one.page.get_by_label("Name for this view").fill("mine")
    one.page.keyboard.press("Enter")
    other.page.locator(".named li a", has_text="mine").wait_for()
    assert names(other.page) == ["elsewhere", "mine"]


def test_a_view_opens_though_no_run_has_its_fields(
    lab: Path, lab_server: PageServer, open_window: Open
) -> None:
    with Archive(lab) as archive:
        archive.save_page_view("old", "/runs?where=config.gone+%3E+1&columns=run_id&columns=config.gone")
    visit = open_window(lab_server)
    page = visit.open("/file", "text=lab.db")
    open_menu(visit)
    page.locator(".named li a", has_text="old").click()
    page.locator("text=config.gone").first.wait_for()
    visit.settle()
    assert "No run matches" in page.inner_text("main")


def test_a_path_of_a_stranger_is_no_link(lab: Path, lab_server: PageServer, open_window: Open) -> None:
    with Archive(lab) as archive:
        for number, path in enumerate(("/login?token=x", "/artifact/a/1/b", "/constructor", "/runs/../login")):
            archive.save_page_view(f"{number}", path)
        archive.save_page_view("sound", "/run/none?tab=config")
    visit = open_window(lab_server)
    page = visit.open("/file", "text=lab.db")
    open_menu(visit)
    assert page.locator(".named li a").all_inner_texts() == ["sound\nRun"]
    assert page.locator(".named li span", has_text="leads nowhere").count() == 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_menu_has_no_barrier_and_nothing_covers_it(
    scheme: str, lab: Path, lab_server: PageServer, open_window: Open
) -> None:
    with Archive(lab) as archive:
        for number in range(30):
            archive.save_page_view(f"view {number:02} {'with many words ' * (number % 4)}", "/runs")
    visit = open_window(lab_server, color_scheme=scheme)
    page = visit.open("/file", "text=lab.db")
    assert find_faults(visit) == []
    open_menu(visit)
    page.get_by_label("Name for this view").fill("view 00 ")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Rename view 02").click()
    assert visit.find_barriers() == []
    page.get_by_label("Search the named views").fill("VIEW 07")
    visit.wait_to_be(1, lambda: len(names(page)))
    page.get_by_label("Search the named views").fill("none of them")
    page.get_by_text("No name contains this.").wait_for()


def test_a_file_that_cannot_be_changed_shows_its_views(lab: Path, tmp_path: Path, open_window: Open) -> None:
    with Archive(lab) as archive:
        archive.pack(tmp_path / "none.db")
        archive.save_page_view("kept", "/sql")
        archive.pack(tmp_path / "some.db")
    for name, shown in (("some.db", "kept"), ("none.db", "this file cannot be changed here")):
        with PageServer(tmp_path / name, port=0, can_edit=False) as server:
            visit = open_window(server)
            page = visit.open("/runs", "text=lr 0.01")
            page.keyboard.press("b")
            page.locator(".named", has_text=shown).wait_for()
            assert page.locator(".named input, .named li button").count() == 0
            assert visit.find_barriers() == []
            page.keyboard.press("Escape")
            page.locator(".named").wait_for(state="detached")
            visit.context.close()
