"""What people do in the views of SQL, of the file and of media, without a report of the policy."""

from __future__ import annotations

from urllib.parse import unquote

from tests.web.browser.visits import Visit


def test_a_query_runs_only_when_it_is_told_to(visit: Visit) -> None:
    page = visit.open("/sql#SELECT%20'read%20first'%20AS%20word", "text=This query has not run yet.")
    assert page.locator("td").count() == 0
    page.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    page.locator("td", has_text="read first").wait_for()
    # Over a selection, the browser itself would write a style attribute.
    page.keyboard.press("Control+a")
    page.keyboard.type("SELECT 'typed' AS word")
    page.keyboard.press("Control+Enter")
    page.locator("td", has_text="typed").wait_for()
    assert unquote(page.url.partition("#")[2]) == "SELECT 'typed' AS word"


def test_the_file_is_checked_while_one_watches(visit: Visit) -> None:
    page = visit.open("/file", "text=Check all data")
    page.get_by_role("button", name="Check now").click()
    page.get_by_text("Everything is sound.").wait_for()


def test_one_image_is_seen_large_and_escape_closes_it(visit: Visit) -> None:
    page = visit.open("/media", ".media-tile img")
    page.locator(".media-tile").first.click()
    page.locator("dialog.media-large img").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog.media-large").wait_for(state="detached")
