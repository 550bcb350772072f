"""Every view can be used by keyboard alone: the focus is seen and moves on, and keys do what help says."""

from __future__ import annotations

import pytest

from tests.web.browser.archives import Contents
from tests.web.browser.views import VIEWS
from tests.web.browser.visits import Visit

ROW = ".grid-body [role=row]"
STEPS = 40
# What has the focus, whether one sees that, and a name that tells it from others.
FOCUSED = """
() => {
    let one = document.activeElement;
    while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
    if (!one || one === document.body) return null;
    const ring = (node) => {
        const style = getComputedStyle(node);
        const isOutlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
        return isOutlined || style.boxShadow !== "none";
    };
    const box = one.getBoundingClientRect();
    const host = one.getRootNode().host;
    const seen = [one, one.parentElement, host, host?.parentElement].some((node) => node && ring(node));
    const edits = one.isContentEditable;
    const words = one.ariaLabel ?? one.innerText;
    return {seen, edits, name: `${one.tagName} ${one.className} ${words} ${box.x} ${box.y}`};
}
"""


@pytest.mark.parametrize("name", VIEWS)
def test_the_focus_is_seen_and_leaves_every_control(name: str, visit: Visit, contents: Contents) -> None:
    view = VIEWS[name]
    page = visit.open(view.address(contents), view.shown)
    before, reached, hidden = None, set(), set()
    for _ in range(STEPS):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUSED)
        if found is None:
            break
        if found["edits"]:
            # An editor takes Tab for itself, and gives it back after Escape.
            page.keyboard.press("Escape")
        assert found["name"] != before, f"the focus does not leave {before}"
        before = found["name"]
        reached.add(before)
        hidden |= set() if found["seen"] else {before}
    assert len(reached) >= 8
    assert not hidden


def test_the_search_for_a_focus_that_is_not_seen_bites(visit: Visit) -> None:
    page = visit.open("/file", "text=lab.db")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED)["seen"]
    page.evaluate("() => { document.activeElement.style.outline = 'none'; }")
    assert not page.evaluate(FOCUSED)["seen"]


def test_a_journey_through_the_page_needs_no_mouse(visit: Visit) -> None:
    page = visit.open("/runs?where=tag+%3D+'paper'&order=name", f"{ROW} >> text=run-21")
    for key in "jxjjx":
        page.keyboard.press(key)
    visit.wait_until("() => document.querySelectorAll('.grid-body [role=row].chosen').length === 2")
    page.keyboard.press("c")
    visit.wait_until("() => location.pathname === '/compare'")
    page.locator("text=optim").first.wait_for()
    visit.settle()
    page.keyboard.press("g")
    page.keyboard.press("r")
    visit.wait_until("() => location.pathname === '/runs'")
    page.locator(f"{ROW} >> text=run-23").wait_for()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.locator("h1", has_text="everything").wait_for()
    page.keyboard.press("]")
    page.locator("h1", has_text="going on").wait_for()
    page.keyboard.press("[")
    page.locator("h1", has_text="everything").wait_for()
    visit.settle()


def test_help_lists_the_keys_and_escape_closes_it(visit: Visit) -> None:
    page = visit.open("/runs", f"{ROW} >> text=run-21")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    for words in ("Write a filter", "Select the run", "Compare the selected runs", "Go to Charts"):
        dialog.get_by_text(words).wait_for()
    assert visit.find_barriers() == []
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


def test_the_switch_of_colours_is_remembered(visit: Visit) -> None:
    page = visit.open("/file", "text=lab.db")
    page.get_by_role("button", name="Colours: system").click()
    page.get_by_role("button", name="Colours: light").click()
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"
    page.reload()
    visit.settle()
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
