"""What people do in the table of runs: order, filter, select, edit; the address keeps it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from exptrack import Archive, RecordedRun
from exptrack.web.server import PageServer
from tests.web.browser.archives import STARTED, Contents, make_record
from tests.web.browser.conftest import Open
from tests.web.browser.visits import REFUSED, Visit

ROW = ".grid-body [role=row]"


def find_names(visit: Visit) -> list[str]:
    """Return the names of the rows in sight, from above."""
    names: list[str] = visit.page.evaluate(
        """() => [...document.querySelectorAll(".grid-body [role=row]")]
            .sort((a, b) => a.dataset.index - b.dataset.index)
            .map((row) => row.querySelector("a")?.innerText ?? "")"""
    )
    return names


def test_a_click_on_a_head_orders_and_another_one_reverses(visit: Visit) -> None:
    page = visit.open("/runs?where=tag+%3D+'paper'+and+status+%3D+completed", f"{ROW} >> text=run-21")
    assert find_names(visit)[0] == "run-21"
    head = page.locator("[role=columnheader]").get_by_role("button", name="Name", exact=True)
    head.click()
    visit.settle()
    assert "order=name" in page.url
    assert find_names(visit) == sorted(find_names(visit))
    head.click()
    visit.settle()
    assert "order=-name" in page.url
    assert find_names(visit) == sorted(find_names(visit), reverse=True)
    page.go_back()
    visit.settle()
    assert "order=name" in page.url
    assert find_names(visit) == sorted(find_names(visit))


def test_a_filter_that_is_typed_acts_and_stands_in_the_address(visit: Visit) -> None:
    page = visit.open("/runs", f"{ROW} >> text=run-21")
    page.keyboard.press("/")
    page.keyboard.type("config.optim.lr = 0.1 and status = completed")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    visit.wait_until("() => location.search.includes('where=')")
    visit.settle()
    assert set(find_names(visit)) == {f"run-{number:02}" for number in range(0, 24, 4)}
    address = page.url
    page.reload()
    page.locator(f"{ROW} >> text=run-20").wait_for()
    visit.settle()
    assert page.url == address
    assert len(find_names(visit)) == 6


def test_a_filter_with_a_mistake_is_explained_and_the_rows_stay(visit: Visit) -> None:
    visit.allow(REFUSED)
    page = visit.open("/runs", f"{ROW} >> text=run-21")
    page.keyboard.press("/")
    page.keyboard.type("status ==== completed")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.locator(".filter-problem span").first.wait_for()
    assert "run-21" in find_names(visit)


def test_selected_runs_are_compared(visit: Visit) -> None:
    page = visit.open("/runs?where=tag+%3D+'paper'", f"{ROW} >> text=run-21")
    for name in ("run-21", "run-18"):
        page.get_by_role("checkbox", name=f"Select {name}").click()
    page.get_by_role("button", name="Compare").click()
    visit.wait_until("() => location.pathname === '/compare'")
    page.locator("text=optim.lr").first.wait_for()
    visit.settle()
    assert {"run-21", "run-18"} <= set(page.inner_text("main").split())
    page.go_back()
    page.locator(f"{ROW} >> text=run-21").wait_for()
    assert page.get_by_role("checkbox", name="Select run-21").is_checked()


def test_tags_names_and_notes_are_changed_in_place(
    open_window: Open, serve: Callable[..., PageServer], tmp_path: Path
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.record_runs([make_record(number) for number in range(4)])[1]
    visit = open_window(serve(tmp_path / "lab.db"))
    page = visit.open("/runs", f"{ROW} >> text=run-01")
    row = page.locator(ROW, has_text="run-01")
    row.hover()
    row.get_by_role("button", name="Change tags").click()
    page.get_by_role("textbox", name="New tag").or_(page.get_by_role("combobox", name="New tag")).fill("fresh")
    page.keyboard.press("Enter")
    row.get_by_text("fresh").first.wait_for()
    page.keyboard.press("Escape")
    row.hover()
    row.get_by_role("button", name="Rename").click()
    page.get_by_role("textbox", name="Name").fill("renamed")
    page.keyboard.press("Enter")
    page.locator(ROW, has_text="renamed").wait_for()
    visit.settle()
    page.goto(f"{visit.server.origin}/run/{run}")
    page.get_by_role("button", name="note").click()
    page.get_by_role("textbox", name="New note").fill("seen in a browser")
    page.keyboard.press("Enter")
    page.get_by_text("seen in a browser").wait_for()
    visit.settle()
    with Archive(tmp_path / "lab.db") as archive:
        detail = archive.show_run(run)
    assert (detail.summary.name, detail.summary.tags) == ("renamed", ("baseline", "fresh"))
    assert [note.text for note in detail.notes] == ["seen in a browser"]


def test_an_editor_stays_when_its_row_scrolls_out_of_sight_and_changes_its_own_run(
    open_window: Open, serve: Callable[..., PageServer], tmp_path: Path
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        runs = archive.record_runs([make_record(number, name=f"run-{number:03}") for number in range(300)])
    visit = open_window(serve(tmp_path / "lab.db"))
    page = visit.open("/runs?order=name", f"{ROW} >> text=run-001")
    row = page.locator(ROW, has_text="run-001")
    row.hover()
    row.get_by_role("button", name="Rename").click()
    page.evaluate("() => { document.querySelector('[role=grid]').scrollTop = 3000; }")
    page.locator(f"{ROW} >> text=run-110").wait_for()
    visit.settle()
    page.get_by_role("textbox", name="Name").fill("renamed")
    page.keyboard.press("Enter")
    page.locator(".popup").wait_for(state="detached")
    visit.settle()
    with Archive(tmp_path / "lab.db") as archive:
        assert [one.name for one in archive.list_runs() if one.name == "renamed"] == ["renamed"]
        assert archive.show_run(runs[1]).summary.name == "renamed"


def test_the_tip_of_a_cell_is_that_of_the_row_in_it(visit: Visit) -> None:
    page = visit.open("/runs?columns=name&columns=status&where=name+%3D+broken", f"{ROW} >> text=broken")
    cell = page.locator(ROW, has_text="broken").get_by_role("gridcell").nth(2)
    cell.hover()
    visit.wait_until("() => document.querySelectorAll('.grid-body .cell[title]').length === 1")
    assert cell.get_attribute("title") == "RuntimeError: diverged"
    page.locator("[role=columnheader]").first.hover()
    visit.wait_until("() => document.querySelectorAll('.grid-body .cell[title]').length === 0")


def test_notes_are_edited_and_removed_in_the_table_by_mouse(
    open_window: Open, serve: Callable[..., PageServer], tmp_path: Path
) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run(name="noted") as run:
        run.add_note("first thought")
        run.add_note("second thought")
    visit = open_window(serve(tmp_path / "lab.db"))
    page = visit.open("/runs?columns=name&columns=note", f"{ROW} >> text=second thought")
    row = page.locator(ROW, has_text="noted")
    row.hover()
    row.get_by_role("button", name="Change notes").click()
    popup = page.locator(".popup")
    note = popup.locator(".note", has_text="first thought")
    note.hover()
    note.get_by_role("button", name="Edit this note").click()
    popup.get_by_role("textbox", name="Text of the note").fill("better thought")
    popup.get_by_role("button", name="Save").click()
    popup.locator(".note", has_text="better thought").wait_for()
    note = popup.locator(".note", has_text="second thought")
    note.hover()
    note.get_by_role("button", name="Remove this note").click()
    note.wait_for(state="detached")
    popup.get_by_role("textbox", name="New note").fill("third thought")
    popup.get_by_role("button", name="Add the note").click()
    popup.locator(".note", has_text="third thought").wait_for()
    page.keyboard.press("Escape")
    popup.wait_for(state="detached")
    visit.settle()
    with Archive(tmp_path / "lab.db") as archive:
        notes = [note.text for note in archive.show_run(run.run_id).notes]
    assert sorted(notes) == ["better thought", "third thought"]


def test_a_facet_over_decades_has_bins_that_begin_at_round_numbers(
    open_window: Open, serve: Callable[..., PageServer], tmp_path: Path
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.record_runs(RecordedRun({"lr": 10 ** (-number / 8)}, STARTED) for number in range(1, 33))
    visit = open_window(serve(tmp_path / "lab.db"))
    page = visit.open("/runs", ROW)
    facet = page.locator(".facet", has=page.locator("[title='config.lr']"))
    if facet.locator("[aria-expanded=false]").count():
        facet.get_by_role("button").click()
    facet.get_by_text("0.01 … 0.02").click()
    visit.wait_until("() => location.search.includes('facet=')")
    visit.settle()
    assert "3 of 32 runs" in page.inner_text("main")


def test_runs_in_groups_have_a_metric_even_if_the_address_names_none(visit: Visit) -> None:
    page = visit.open("/runs?group=config.optim.lr", f"{ROW}.group")
    assert "groups" in page.inner_text("main")
    assert "±" in page.locator(f"{ROW}.group").first.inner_text()


def test_a_deleted_run_goes_to_the_trash_and_undo_brings_it_back(
    open_window: Open, serve: Callable[..., PageServer], tmp_path: Path
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.record_runs([make_record(number) for number in range(3)])
    visit = open_window(serve(tmp_path / "lab.db"))
    page = visit.open("/runs", f"{ROW} >> text=run-01")
    page.get_by_role("checkbox", name="Select run-01").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="to the trash").click()
    page.locator(ROW, has_text="run-01").wait_for(state="detached")
    page.get_by_role("button", name="Undo").click()
    page.locator(ROW, has_text="run-01").wait_for()


def test_groups_show_mean_and_spread_and_fold(visit: Visit, contents: Contents) -> None:
    page = visit.open("/runs?group=config.optim.lr&metric=metrics.train/loss", f"{ROW}")
    assert "4 groups" in page.inner_text("main")
    page.locator(f"{ROW}.group").first.dblclick()
    page.locator(f"{ROW} >> text=/run-\\d/").first.wait_for()
