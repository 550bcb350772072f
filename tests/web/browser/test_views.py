"""Each view opens from its address alone, and the back button restores it."""

from __future__ import annotations

import pytest

from tests.web.browser.archives import Contents
from tests.web.browser.visits import REFUSED, Visit

# What a view must show before it counts as opened; {…} are names of Contents.
VIEWS = {
    "runs": ("/runs", "text=run-07"),
    "run": ("/run/{rich}", "h1:has-text('everything')"),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_opens_from_its_address_and_back_restores_it(
    name: str, visit: Visit, contents: Contents
) -> None:
    path, shown = VIEWS[name]
    path = path.format(**vars(contents))
    page = visit.open(path, shown)
    assert page.url == visit.server.origin + path
    page.keyboard.press("g")
    page.keyboard.press("f")
    visit.wait_until("() => location.pathname === '/file'")
    visit.settle()
    page.go_back()
    page.locator(shown).first.wait_for()
    assert page.url == visit.server.origin + path
    visit.settle()


def test_the_watch_over_the_browser_bites(visit: Visit) -> None:
    page = visit.open("/runs", "text=run-07")
    page.evaluate(
        """() => {
            document.body.append(Object.assign(document.createElement("style"), {textContent: "b{color:red}"}));
            console.error("said aloud");
            setTimeout(() => { throw new Error("thrown"); });
            fetch("http://example.org/x").catch(() => {});
            setTimeout(() => alert("hello"), 10);
        }"""
    )
    page.wait_for_timeout(200)
    for words in (
        "Content Security Policy",
        "said aloud",
        "thrown",
        "foreign: http://example.org",
        "dialog: hello",
    ):
        assert any(words in problem for problem in visit.find_problems()), words
    visit.allow("")


def test_a_wrong_filter_says_where_and_keeps_the_rows(visit: Visit) -> None:
    visit.allow(REFUSED)
    page = visit.open("/runs?where=nothing+%3D%3D", "main")
    assert "==" in page.inner_text("body")
