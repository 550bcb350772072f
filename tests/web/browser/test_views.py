"""Each view opens from its address alone, and the back button restores it."""

from __future__ import annotations

import pytest

from tests.web.browser.archives import Contents
from tests.web.browser.views import VIEWS
from tests.web.browser.visits import Visit


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_opens_from_its_address_and_back_restores_it(
    name: str, visit: Visit, contents: Contents
) -> None:
    view = VIEWS[name]
    page = visit.open(view.address(contents), view.shown)
    address, shown = page.url, page.inner_text("main")
    page.locator("nav a").first.click()
    visit.wait_until("(before) => location.href !== before", address) if name != "runs" else None
    visit.settle()
    page.go_back() if name != "runs" else None
    page.locator(view.shown).first.wait_for()
    visit.settle()
    assert page.url == address
    assert shown.split("\n")[0] in page.inner_text("main")
