"""Each view opens from its address alone, everybody can use it in both colour schemes, and back restores it."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Error, ViewportSize

from tests.effort import IS_THOROUGH
from tests.web.browser.archives import Contents
from tests.web.browser.use import FOCUSED, find_faults, find_traps
from tests.web.browser.views import VIEWS
from tests.web.browser.visits import Visit

WIDE: ViewportSize = {"width": 1920, "height": 1080}
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
NO_SERVER = 9  # a port on which nothing listens


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_opens_from_its_address_can_be_used_and_comes_back(
    name: str, visit: Visit, contents: Contents
) -> None:
    view = VIEWS[name]
    page = visit.open(view.address(contents), view.shown)
    address, shown = page.url, page.inner_text("main").split("\n")[0]
    found = {"boxes": find_faults(visit)}
    # In the everyday effort every other view is looked at in the same scheme.
    for scheme in SCHEMES if IS_THOROUGH else [SCHEMES[list(VIEWS).index(name) % 2]]:
        page.emulate_media(color_scheme=scheme)
        visit.wait_until("(scheme) => document.documentElement.dataset.theme === scheme", scheme)
        found[f"barriers, {scheme}"] = visit.find_barriers()
    found["keyboard"] = find_traps(visit)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)
    visit.settle()
    found["boxes, wide"] = find_faults(visit)
    assert {name: faults for name, faults in found.items() if faults} == {}
    elsewhere = "SQL" if name != "sql" else "File"
    page.locator("nav").get_by_role("link", name=elsewhere).click()
    visit.wait_until("(before) => location.href !== before", address)
    visit.settle()
    page.go_back()
    page.locator(view.shown).first.wait_for()
    visit.settle()
    assert page.url == address
    assert shown in page.inner_text("main")


def test_the_search_for_barriers_bites(visit: Visit, contents: Contents) -> None:
    page = visit.open(VIEWS["file"].address(contents), VIEWS["file"].shown)
    assert visit.find_barriers() == []
    page.evaluate("() => document.querySelector('main').append(document.createElement('button'))")
    assert [one.split(":")[0] for one in visit.find_barriers()] == ["critical button-name"]


def test_the_search_for_faults_of_boxes_bites(visit: Visit, contents: Contents) -> None:
    page = visit.open(VIEWS["file"].address(contents), VIEWS["file"].shown)
    page.evaluate(
        """() => {
            const cover = document.createElement("h3");
            cover.textContent = "cover";
            Object.assign(cover.style, {position: "fixed", inset: "0", width: "5000px", background: "red"});
            document.body.append(cover);
        }"""
    )
    found = find_faults(visit)
    assert any("covered" in one for one in found)
    assert any("outside" in one for one in found)


def test_the_search_for_a_focus_that_is_not_seen_bites(visit: Visit) -> None:
    page = visit.open("/file", "text=lab.db")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED)["seen"]
    page.evaluate("() => { document.activeElement.style.outline = 'none'; }")
    assert not page.evaluate(FOCUSED)["seen"]


def test_the_watch_over_the_browser_bites(visit: Visit) -> None:
    page = visit.open("/file", "text=lab.db")
    page.evaluate(
        """() => {
            const style = Object.assign(document.createElement("style"), {textContent: "b{color:red}"});
            document.body.append(style);
            console.error("said aloud");
            setTimeout(() => { throw new Error("thrown"); });
            setTimeout(() => alert("hello"), 10);
        }"""
    )
    # The policy stops what the page itself asks of another host; this is a request that it cannot stop.
    with pytest.raises(Error, match="ERR_"):
        visit.context.new_page().goto(f"http://127.0.0.1:{NO_SERVER}/")
    page.wait_for_timeout(200)
    found = " ".join(visit.find_problems())
    for words in (
        "Content Security Policy",
        "said aloud",
        "thrown",
        "foreign: http://127.0.0.1",
        "dialog: hello",
    ):
        assert words in found
    visit.allow("")
