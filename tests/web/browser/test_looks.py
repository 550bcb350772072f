"""What opens over a view is for everybody, and runs keep their colours."""

from __future__ import annotations

import re

import pytest

from exptrack import Archive
from tests.web.browser.archives import Contents
from tests.web.browser.views import VIEWS
from tests.web.browser.visits import Visit

ROW = ".grid-body [role=row]"
# What is pressed in a view, and what then opens.
OPENED = {
    "columns": ("runs", "button:has-text('Columns')", ".popup"),
    "group": ("runs", "button:has-text('Group')", ".popup"),
    "help": ("runs", "[aria-label='Show all keys']", "dialog[open]"),
    "colour": ("compare", ".compare-color", ".color-choice"),
    "menu": ("charts", "[aria-haspopup=menu]", "[role=menu]"),
    "picture": ("media", ".media-tile", "dialog[open]"),
    "note": ("run", "[aria-label='Edit this note']", ".note-form"),
}


@pytest.mark.parametrize("name", OPENED)
def test_what_opens_over_a_view_can_be_used_by_everybody(name: str, visit: Visit, contents: Contents) -> None:
    view, pressed, opened = OPENED[name]
    page = visit.open(VIEWS[view].address(contents), VIEWS[view].shown)
    page.locator(pressed).first.click()
    page.locator(opened).first.wait_for()
    found = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        visit.wait_until("(scheme) => document.documentElement.dataset.theme === scheme", scheme)
        found[scheme] = visit.find_barriers(opened)
    assert found == {"light": [], "dark": []}


def test_a_run_has_one_colour_in_every_view_and_its_neighbours_have_others(
    visit: Visit, contents: Contents
) -> None:
    with Archive(contents.path, mode="ro") as archive:
        ids = {run.name: run.run_id for run in archive.list_runs() if run.name}
    names = [f"run-{number:02}" for number in range(8)]
    runs = "&".join(f"runs={ids[name]}" for name in names)
    page = visit.open("/runs?where=name+<+'run-08'", f"{ROW} >> text=run-07")
    dot = "(row) => row.querySelector('.dot').style.getPropertyValue('--dot')"
    in_table = {name: page.locator(ROW, has_text=name).evaluate(dot) for name in names}
    assert len(set(in_table.values())) == len(names)
    page = visit.open(f"/charts?{runs}", "canvas")
    stroke = "(one) => one.querySelector('.swatch line').getAttribute('stroke')"
    in_charts = {name: page.locator(".chart-runs li", has_text=name).evaluate(stroke) for name in names}
    page = visit.open(f"/compare?{runs}", ".compare-table")
    compared = {name: page.locator(".compare-run", has_text=name).evaluate(stroke) for name in names}
    assert in_table == in_charts == compared


def test_a_colour_chosen_in_compare_goes_along_to_charts(visit: Visit, contents: Contents) -> None:
    page = visit.open(f"/compare?runs={contents.best}&runs={contents.rich}", ".compare-table")
    swatch = page.locator(".compare-run .swatch line").first
    before = swatch.get_attribute("stroke")
    page.locator(".compare-color").first.click()
    choice = page.locator(".color-choice button:not([aria-pressed=true])").nth(3)
    chosen = choice.get_attribute("title")
    choice.click()
    visit.wait_until("() => location.search.includes('paint=')")
    assert swatch.get_attribute("stroke") == chosen != before
    page.get_by_role("link", name="All charts").click()
    entry = page.locator(".chart-runs li", has=page.locator(f"a[href='/run/{contents.best}']"))
    entry.wait_for()
    assert entry.locator(".swatch line").get_attribute("stroke") == chosen
    assert re.search(r"paint=", page.url)
