"""The explorer and sweeps: brushes are filters, charts have their data as tables, and trials lead to runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from exptrack import Archive
from exptrack.web.server import PageServer
from tests.web.browser.archives import Contents
from tests.web.browser.conftest import Open
from tests.web.browser.views import VIEWS
from tests.web.browser.visits import Visit

FIELDS = "x=config.optim.lr&y=metrics.train/loss"
BRUSH = quote(json.dumps(["config.optim.lr", [0.005, 0.2]]))


def asked(visit: Visit, name: str) -> list[str]:
    return parse_qs(urlsplit(visit.page.url).query).get(name, [])


def test_a_brush_in_the_address_is_a_filter_that_runs_takes_over(visit: Visit, contents: Contents) -> None:
    page = visit.open(f"/explore?{FIELDS}&brush={BRUSH}", ".brush-bar", "canvas")
    condition = "config.optim.lr >= 0.005 and config.optim.lr <= 0.2"
    assert page.inner_text(".brush-bar code") == condition
    brushed = int(page.inner_text(".brush-bar strong").split()[0])
    page.get_by_role("link", name="Show in Runs").click()
    page.locator("[role=row]").first.wait_for()
    visit.settle()
    assert asked(visit, "where") == [condition]
    assert page.locator("[role=grid]").get_attribute("aria-rowcount") == str(brushed + 1)
    assert visit.find_problems() == []


def test_a_rectangle_over_the_points_brushes_both_fields(visit: Visit, contents: Contents) -> None:
    page = visit.open(f"/explore?{FIELDS}", "canvas")
    box = page.locator(".echart").first.bounding_box()
    assert box is not None
    left, top = box["x"] + 80, box["y"] + 20
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + box["width"] / 3, top + 80)
    page.mouse.move(left + box["width"] / 2, top + box["height"] / 2)
    page.mouse.up()
    page.locator(".brush-bar").wait_for()
    assert [json.loads(one)[0] for one in asked(visit, "brush")] == ["config.optim.lr", "metrics.train/loss"]
    page.keyboard.press("Escape")
    page.locator(".brush-bar").wait_for(state="detached")
    assert asked(visit, "brush") == []


def test_fields_that_no_run_shares_are_told_and_are_not_chosen(
    open_window: Open, serve: Callable[..., PageServer], tmp_path: Path
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        for number in range(6):
            with archive.start_run({"alpha": 10.0**-number}) as run:
                run.log({"val_acc": number / 10}, 1)
        for number in range(9):
            with archive.start_run({"beta": 10.0**-number}) as run:
                run.log({"loss": number / 10}, 1)
    page = open_window(serve(tmp_path / "lab.db")).open("/explore", ".explore-view canvas")
    page.get_by_role("heading", name="val_acc against alpha").wait_for()
    page.goto(f"{page.url}?x=config.beta&y=metrics.val_acc")
    page.get_by_text("No run has both beta and val_acc").wait_for()


def test_axes_move_by_the_keyboard_and_stay_in_the_address(visit: Visit, contents: Contents) -> None:
    page = visit.open("/explore?axes=config.seed&axes=config.optim.lr&axes=config.model.depth", ".axis-chip")
    page.locator(".axis-chip").first.focus()
    page.keyboard.press("ArrowRight")
    moved = ["config.optim.lr", "config.seed", "config.model.depth"]
    visit.wait_to_be(moved, lambda: asked(visit, "axes"))
    page.locator(".axis-chip").nth(2).focus()
    page.keyboard.press("Delete")
    visit.wait_to_be(moved[:2], lambda: asked(visit, "axes"))


def test_every_chart_of_a_sweep_has_its_data_as_a_table(visit: Visit, contents: Contents) -> None:
    page = visit.open(VIEWS["sweep"].address(contents), "canvas")
    buttons = page.get_by_role("button", name=re.compile("^Show as a table"))
    expected = buttons.count()
    assert expected >= 6
    for _ in range(expected):
        buttons.first.click()
    tables = page.locator(".figure-table")
    visit.wait_to_be(expected, tables.count)
    assert all("trial" in text or "param" in text for text in tables.all_inner_texts())


def test_the_trials_of_a_sweep_are_sorted_and_lead_to_their_runs(visit: Visit, contents: Contents) -> None:
    page = visit.open(f"/sweep/{contents.study}", ".trial-table")
    page.get_by_role("button", name="loss", exact=True).click()
    rows = page.locator(".trial-table tbody tr")
    cells = rows.locator("td:nth-child(3)")
    visit.wait_to_be(["value:loss"], lambda: asked(visit, "sort"))
    visit.settle()
    values = [float(text) for text in cells.all_inner_texts()]
    assert len(values) == 6
    assert values == sorted(values)
    page.get_by_role("button", name="loss", exact=True).click()
    visit.wait_to_be(values[::-1], lambda: [float(text) for text in cells.all_inner_texts()])
    assert asked(visit, "sort") == ["-value:loss"]
    rows.first.locator("a").click()
    page.locator("#run-panel").wait_for()
    assert "/run/" in page.url
