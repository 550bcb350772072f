"""Axe finds nothing serious in any view, in light and in dark."""

from __future__ import annotations

import pytest

from tests.web.browser.archives import Contents
from tests.web.browser.views import VIEWS
from tests.web.browser.visits import Visit


@pytest.mark.parametrize("name", VIEWS)
def test_axe_finds_no_barrier_in_a_view(name: str, visit: Visit, contents: Contents) -> None:
    view = VIEWS[name]
    page = visit.open(view.address(contents), view.shown)
    found = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        visit.wait_until("(scheme) => document.documentElement.dataset.theme === scheme", scheme)
        found[scheme] = visit.find_barriers()
    assert found == {"light": [], "dark": []}


def test_axe_bites(visit: Visit, contents: Contents) -> None:
    page = visit.open(VIEWS["file"].address(contents), VIEWS["file"].shown)
    assert visit.find_barriers() == []
    page.evaluate("() => document.querySelector('main').append(document.createElement('button'))")
    assert [one.split(":")[0] for one in visit.find_barriers()] == ["critical button-name"]
