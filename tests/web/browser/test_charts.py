"""Charts are read exactly, zoomed, pinned, saved and followed; runs stand side by side with the best marked."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page

from exptrack import Archive, Run
from exptrack.web.server import PageServer
from tests.web.browser.archives import Contents
from tests.web.browser.conftest import Open
from tests.web.browser.visits import Visit

LOSS = "[data-chart='train/loss']"
PLOT = f"{LOSS} canvas"


def drag(page: Page, chart: str, start: float, stop: float) -> None:
    """Drag over a part of a chart; both ends are shares of its width."""
    box = page.locator(f"{chart} .u-over").bounding_box()
    assert box is not None
    left, middle = (box["x"] + box["width"] * share for share in (start, (start + stop) / 2))
    page.mouse.move(left, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + 60)
    page.mouse.move(box["x"] + box["width"] * stop, box["y"] + 60)
    page.mouse.up()


def shown_runs(contents: Contents) -> str:
    with Archive(contents.path, mode="ro") as archive:
        ids = [run.run_id for run in archive.list_runs() if run.name in ("run-00", "run-01", "run-02")]
    return "&".join(f"runs={run_id}" for run_id in ids)


def test_a_zoom_reads_narrower_buckets_and_back_needs_no_reading(visit: Visit, contents: Contents) -> None:
    page = visit.open(f"/charts?{shown_runs(contents)}", PLOT)
    read: list[str] = []
    page.on("request", lambda request: read.append(request.url) if "/api/series" in request.url else None)
    drag(page, LOSS, 0.25, 0.5)
    page.locator("text=Reset zoom").wait_for()
    visit.settle()
    low, high = map(float, parse_qs(urlsplit(page.url).query)["zoom"][0].split(".."))
    assert 40 < low < 60
    assert 90 < high < 110
    asked = [parse_qs(urlsplit(url).query) for url in read]
    # The overview has a bucket for each of the 200 steps already, so nothing finer is left to read.
    assert asked == []
    page.go_back()
    visit.settle()
    assert "zoom" not in page.url
    assert page.locator("text=Reset zoom").count() == 0


def test_a_long_curve_is_read_anew_where_it_is_zoomed(
    tmp_path: Path, serve: Callable[..., PageServer], open_window: Open
) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run(name="long") as run:
        run.log_many("loss", range(20_000), [math.sin(step / 100) for step in range(20_000)])
    visit = open_window(serve(tmp_path / "lab.db"))
    page = visit.open("/charts", "[data-chart=loss] canvas")
    read: list[str] = []
    page.on("request", lambda request: read.append(request.url) if "/api/series" in request.url else None)
    drag(page, "[data-chart=loss]", 0.5, 0.6)
    page.locator("text=Reset zoom").wait_for()
    visit.settle()
    (asked,) = (parse_qs(urlsplit(url).query) for url in read)
    assert float(asked["width"][0]) < 20
    assert float(asked["start"][0]) <= 10_000 < float(asked["stop"][0]) < 13_000
    del read[:]
    page.click("text=Reset zoom")
    visit.settle()
    assert read == []


def test_the_keyboard_reads_exact_values_and_pins_them(visit: Visit, contents: Contents) -> None:
    page = visit.open(f"/charts?{shown_runs(contents)}&chart=train%2Floss", PLOT)
    page.focus(f"{LOSS} .chart-body")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    tooltip = page.locator(".chart-tooltip")
    page.locator(".chart-tooltip", has_text="step 198").wait_for()
    page.keyboard.press("Enter")
    page.locator(".chart-tooltip", has_text="pinned").wait_for()
    first = tooltip.locator("tr.first")
    with Archive(contents.path, mode="ro") as archive:
        run = next(run for run in archive.list_runs() if run.name == first.locator("a").inner_text())
        value = archive.series(run.run_id, "train/loss").lists()["value"][198]
    assert first.locator("td").nth(2).get_attribute("title") == repr(value)
    page.locator(".legend-table >> text=step 198").first.wait_for()
    assert repr(value) in page.locator(".legend-table").inner_text()
    page.keyboard.press("Escape")
    tooltip.wait_for(state="detached")
    assert "chart=" in page.url
    page.keyboard.press("Escape")
    visit.wait_until("() => !location.search.includes('chart=')")


def test_a_log_axis_and_ignored_outliers_say_what_is_missing(
    tmp_path: Path, serve: Callable[..., PageServer], open_window: Open
) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run(name="odd") as run:
        values = [1.0 + step % 5 for step in range(100)]
        values[10:13], values[50] = [0.0, -1.0, -2.0], 1e6
        run.log_many("loss", range(100), values)
    visit = open_window(serve(tmp_path / "lab.db"))
    foot = visit.open("/charts?logy=1", "[data-chart=loss] canvas").locator(".chart-foot")
    assert "3 values of 1 line not above 0: the log axis leaves them out." in foot.inner_text()
    foot = visit.open("/charts?outliers=ignore", "[data-chart=loss] canvas").locator(".chart-foot")
    assert "1 point out of view." in foot.inner_text()


def test_a_diverging_loss_has_a_log_axis_that_can_be_taken_back(
    tmp_path: Path, serve: Callable[..., PageServer], open_window: Open
) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run(name="diverges") as run:
        calm, wild = [1.0 + step % 5 for step in range(60)], [10.0 ** (step / 6) for step in range(60, 100)]
        run.log_many("loss", range(100), calm + wild)
        run.log_many("acc", range(100), [0.5 + step / 200 for step in range(100)])
    visit = open_window(serve(tmp_path / "lab.db"))
    for path in ("/charts", f"/run/{run.run_id}"):
        page = visit.open(path, "[data-chart=loss] canvas", "[data-chart=acc] canvas")
        switch = page.locator("[data-chart=loss] .log-switch")
        assert switch.get_attribute("aria-pressed") == "true"
        assert page.locator("[data-chart=acc] .log-switch").count() == 0
        assert visit.find_barriers() == []
        switch.click()
        visit.wait_until("() => document.querySelector('.log-switch').ariaPressed === 'false'")
    visit.open("/charts?linear=loss", "[data-chart=loss] canvas")
    assert switch.get_attribute("aria-pressed") == "false"
    visit.open("/charts?logy=1", "[data-chart=loss] canvas")
    assert switch.count() == 0


def test_the_first_nan_of_a_long_metric_is_told_to_the_step(
    tmp_path: Path, serve: Callable[..., PageServer], open_window: Open
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        for name, at in (("late", 9_000), ("early", 5_001)):
            with archive.start_run(name=name) as run:
                values = [1.0] * 10_000
                values[at : at + 99] = [math.nan] * 99
                run.log_many("loss", range(10_000), values)
    visit = open_window(serve(tmp_path / "lab.db"))
    for path, words in (
        ("/charts", "NaN or ∞ in 2 lines, first at step 5001: early"),
        ("/charts?x=time", "NaN or ∞ in 2 lines, first at"),
        (f"/run/{run.run_id}", "First NaN at step 5,001."),
    ):
        page = visit.open(path, "[data-chart=loss] canvas")
        page.locator("[data-chart=loss] .chart-foot", has_text=words).wait_for()


def test_a_chart_is_saved_as_csv_and_shown_as_a_table(visit: Visit, contents: Contents, tmp_path: Path) -> None:
    page = visit.open(f"/charts?{shown_runs(contents)}", PLOT)
    page.click(f"{LOSS} [aria-haspopup=menu]")
    with page.expect_download() as download:
        page.click("text=Save as CSV")
    download.value.save_as(tmp_path / "saved.csv")
    rows = list(csv.DictReader((tmp_path / "saved.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 3 * 200
    assert {row["name"] for row in rows} == {"run-00", "run-01", "run-02"}
    page.click(f"{LOSS} [aria-haspopup=menu]")
    page.click("text=Show as a table")
    assert page.locator("dialog tbody tr").count() == 200
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")


@pytest.mark.parametrize("kind", ["PNG", "SVG"])
def test_a_chart_is_saved_as_a_picture(kind: str, visit: Visit, contents: Contents, tmp_path: Path) -> None:
    page = visit.open(f"/charts?{shown_runs(contents)}", PLOT)
    page.click(f"{LOSS} [aria-haspopup=menu]")
    with page.expect_download() as download:
        page.click(f"text=Save as {kind}")
    download.value.save_as(tmp_path / "picture")
    begins = {"PNG": b"\x89PNG", "SVG": b"<svg xmlns="}[kind]
    content = (tmp_path / "picture").read_bytes()
    assert content.startswith(begins)
    assert kind == "PNG" or b"run-01" in content


def test_a_saved_picture_has_the_marks_of_the_screen_and_the_chart_says_where_a_run_diverged(
    tmp_path: Path, serve: Callable[..., PageServer], open_window: Open
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        for name, at in (("calm", None), ("late", 80), ("early", 40)):
            with archive.start_run(name=name) as run:
                values = [math.nan if step == at else 1.0 + step % 5 for step in range(100)]
                run.log_many("loss", range(100), values)
                run.log({"peak": math.inf if at == 40 else 1.0}, 1)
    visit = open_window(serve(tmp_path / "lab.db"))
    page = visit.open("/charts", "[data-chart=loss] canvas")
    foot = page.locator("[data-chart=loss] .chart-foot")
    assert "NaN or ∞ in 2 lines, first at step 40: early" in foot.inner_text()
    for chart, marks in (("loss", 2), ("peak", 1)):
        page.click(f"[data-chart={chart}] [aria-haspopup=menu]")
        with page.expect_download() as download:
            page.click("text=Save as SVG")
        download.value.save_as(tmp_path / "picture.svg")
        root = ElementTree.parse(tmp_path / "picture.svg").getroot()
        marked = [one for one in root.iter() if one.get("transform", "").startswith("translate(")]
        assert len(marked) == marks, chart
        assert len([one for one in root.iter() if one.tag.endswith("circle")]) == (2 if chart == "peak" else 0)


def test_few_metrics_stand_in_one_grid(visit: Visit, contents: Contents) -> None:
    page = visit.open("/charts", PLOT)
    assert page.locator(".chart-section").count() == 1
    place = "(all) => all.map((one) => one.getBoundingClientRect().top)"
    tops = page.locator(".chart-grid > *").evaluate_all(place)
    assert len(tops) >= 3
    assert tops[0] == tops[1]


def test_what_is_chosen_is_in_the_address(visit: Visit, contents: Contents) -> None:
    page = visit.open(f"/charts?{shown_runs(contents)}", PLOT)
    page.click("text=log y")
    page.select_option("#group-by", "config.optim.name")
    page.locator(".chart-runs >> text=optim.name adam").wait_for()
    page.fill(".search-field input", "loss")
    visit.wait_until("() => document.querySelectorAll('.chart').length === 1")
    asked = parse_qs(urlsplit(page.url).query)
    assert (asked["logy"], asked["group"], asked["search"]) == (["1"], ["config.optim.name"], ["loss"])
    page.reload()
    page.locator(PLOT).first.wait_for()
    assert page.locator(".chart-runs li").count() == 2
    assert page.locator(".chart").count() == 1


def test_a_run_that_is_hidden_leaves_every_chart(visit: Visit, contents: Contents) -> None:
    page = visit.open(f"/charts?{shown_runs(contents)}&chart=train%2Floss", PLOT)
    assert page.locator(".legend-table tbody tr").count() == 3
    page.click("[aria-label='Show run-01']")
    visit.wait_until("() => document.querySelectorAll('.legend-table tbody tr').length === 2")
    assert "run-01" not in page.locator(".legend-table").inner_text()
    page.click("text=show all")
    visit.wait_until("() => document.querySelectorAll('.legend-table tbody tr').length === 3")


def test_a_point_that_is_logged_appears_in_an_open_chart(
    tmp_path: Path, serve: Callable[..., PageServer], open_window: Open
) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run(name="live") as run:
        log(run, 0, 1.5)
        visit = open_window(serve(tmp_path / "lab.db"))
        visit.open("/charts?chart=loss", "[data-chart=loss] canvas")
        log(run, 1, 0.1234567)
        last = "(value) => document.querySelector('.legend-table tbody').innerText.includes(value)"
        visit.wait_until(last, "0.1234567")


def log(run: Run, step: int, loss: float) -> None:
    run.log({"loss": loss}, step)
    run.flush()


def test_a_comparison_marks_the_best_and_hides_what_is_equal(visit: Visit, contents: Contents) -> None:
    page = visit.open(f"/compare?{shown_runs(contents)}", ".compare-table")
    text = page.locator(".compare-table").inner_text()
    assert "optim.lr" in text
    assert "model.layers" not in text
    with Archive(contents.path, mode="ro") as archive:
        runs = [run for run in archive.list_runs() if run.name in ("run-00", "run-01", "run-02")]
    best = min(runs, key=lambda run: run.metrics["train/loss"])
    row = page.locator(".compare-table tr", has_text="train/loss")
    names = page.locator(".compare-run a").all_inner_texts()
    cells = row.locator("td").all()
    marked = [name for name, cell in zip(names, cells, strict=True) if cell.locator(".compare-best").count()]
    assert marked == [best.name]
    row.locator("button").click()
    row.locator("button[title^='Neither']").wait_for()
    assert row.locator(".compare-best").count() == 0
    page.click("text=only what differs")
    page.locator("code", has_text="model.layers").wait_for()


def test_the_baseline_of_a_comparison_can_be_chosen(visit: Visit, contents: Contents) -> None:
    page = visit.open(f"/compare?{shown_runs(contents)}", ".compare-table")
    names = page.locator(".compare-run a").all_inner_texts()
    assert names[0] in page.locator(".compare-run.base").inner_text()
    page.locator(".compare-base").nth(1).click()
    visit.wait_until("(name) => document.querySelector('.compare-run.base').innerText.includes(name)", names[2])
    assert "base=" in page.url
