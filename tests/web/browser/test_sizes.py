"""No runs, many metrics, many rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exptrack import Archive, RecordedRun
from exptrack.web.server import PageServer
from tests.web.browser.archives import STARTED, make_archive_of_many_metrics
from tests.web.browser.conftest import Open
from tests.web.browser.views import VIEWS
from tests.web.browser.visits import TOO_FEW

MOST_NODES = 3000
RUNS = 3000
COUNT = "() => document.querySelectorAll('*').length"


@pytest.mark.parametrize(
    "path", sorted({view.path.split("/")[1].split("?")[0].split("#")[0] for view in VIEWS.values()})
)
def test_a_view_of_an_archive_without_runs_says_what_to_do(
    path: str, open_window: Open, serve: Callable[..., PageServer], tmp_path: Path
) -> None:
    with Archive(tmp_path / "empty.db"):
        pass
    visit = open_window(serve(tmp_path / "empty.db"))
    visit.allow(TOO_FEW)
    page = visit.open(f"/{path}", "main")
    assert len(page.inner_text("main").strip()) > 20
    assert visit.find_barriers() == []


def test_a_run_of_a_thousand_metrics_can_be_read_and_searched(
    open_window: Open, serve: Callable[..., PageServer], tmp_path: Path
) -> None:
    run = make_archive_of_many_metrics(tmp_path / "lab.db", 1000)
    visit = open_window(serve(tmp_path / "lab.db"))
    page = visit.open(f"/run/{run}", "text=1,000 metrics")
    assert page.evaluate(COUNT) < 3 * MOST_NODES
    page.get_by_placeholder("Search metrics").fill("layer77/norm3")
    page.locator("main").get_by_text("layer77").first.wait_for()
    visit.settle()
    assert "layer12" not in page.inner_text("main")
    visit.open(f"/charts?runs={run}", "main")
    assert page.evaluate(COUNT) < 5 * MOST_NODES
    visit.open("/runs", "text=run-00")
    assert page.evaluate(COUNT) < MOST_NODES


def test_a_table_of_thousands_of_runs_goes_anywhere_and_stays_small(
    open_window: Open, serve: Callable[..., PageServer], tmp_path: Path
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.record_runs(
            RecordedRun({"seed": number}, STARTED, float(number), name=f"run {number}")
            for number in range(RUNS)
        )
    visit = open_window(serve(tmp_path / "lab.db"))
    page = visit.open("/runs?order=-duration", f"text=run {RUNS - 1}")
    assert f"{RUNS:,} runs" in page.inner_text("main")
    page.locator("[role=grid]").focus()
    page.keyboard.press("End")
    page.get_by_text("run 0", exact=True).wait_for()
    assert page.evaluate(COUNT) < MOST_NODES
    page.keyboard.press("Home")
    page.get_by_text(f"run {RUNS - 1}", exact=True).wait_for()
    page.evaluate(
        "() => { const grid = document.querySelector('[role=grid]'); grid.scrollTop = grid.scrollHeight / 2; }"
    )
    page.get_by_text(f"run {RUNS // 2}", exact=True).wait_for()
    assert page.evaluate(COUNT) < MOST_NODES
    page.mouse.move(700, 500)
    most = 0
    for _ in range(30):
        page.mouse.wheel(0, -1500)
        most = max(most, page.evaluate(COUNT))
    assert most < MOST_NODES
    visit.settle()
    # What lies in sight is read, whatever the scroll passed on its way.
    rows = page.locator(".grid-body [role=row]")
    assert rows.count() > 10
    assert all(text.startswith("run ") for text in rows.locator("a").all_inner_texts())
    assert rows.locator("a").count() == rows.count()
