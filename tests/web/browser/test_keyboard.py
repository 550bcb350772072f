"""Keys do what help says, and a person needs no mouse."""

from __future__ import annotations

from tests.web.browser.visits import Visit

ROW = ".grid-body [role=row]"


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
    visit.settle()
    page.keyboard.press("]")
    page.locator("h1", has_text="going on").wait_for()
    visit.settle()
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
    visit.wait_to_be("dark", lambda: page.evaluate("() => document.documentElement.dataset.theme"))
    page.reload()
    visit.settle()
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
