"""What people do in the views of SQL, of the file and of media, without a report of the policy."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from exptrack import Archive
from exptrack.web.server import PageServer
from tests.web.browser.conftest import Open
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


def test_emptying_the_trash_says_beforehand_what_comes_back(
    open_window: Open, serve: Callable[..., PageServer], tmp_path: Path
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        with archive.start_run(name="heavy") as run:
            run.artifacts.register_data("weights", random.Random(1).randbytes(2_000_000))
        archive.trash_run(run)
    page = open_window(serve(tmp_path / "lab.db")).open("/file", "text=heavy")
    page.get_by_text("That gives back 2.0 MB of artifacts.").wait_for()
    page.get_by_role("button", name="Empty the trash").click()
    assert "2.0 MB of artifacts" in page.locator("dialog[open]").inner_text()
    page.get_by_role("button", name="Delete them for good").click()
    page.get_by_text("1 run deleted; the file shrank by 2").wait_for()
    page.get_by_text("The trash is empty.").wait_for()


def test_a_damaged_artifact_is_told_where_it_is_opened_and_saved(
    open_window: Open, serve: Callable[..., PageServer], tmp_path: Path
) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run(name="hurt") as run:
        run.artifacts.register_data("weights.bin", random.Random(1).randbytes(1000))
        run.artifacts.register_data("sound.txt", "as it was")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE chunk_data SET data = zeroblob(length(data))"
            " WHERE chunk = (SELECT chunk FROM chunk_data ORDER BY length(data) DESC LIMIT 1)"
        )
    visit = open_window(serve(path))
    visit.allow("status of 500")
    page = visit.open(f"/run/{run.run_id}?tab=artifacts", "text=weights.bin")
    page.locator("#run-panel").get_by_text("weights.bin").first.click()
    page.locator("a", has_text="Download").click()
    page.locator(".toast.error").get_by_text("damaged").wait_for()
    page.locator("#run-panel").get_by_text("sound.txt").first.click()
    page.locator("pre, .text-preview").get_by_text("as it was").first.wait_for()
    with page.expect_download() as download:
        page.locator("a", has_text="Download").click()
    assert Path(download.value.path()).read_text(encoding="utf-8") == "as it was"


def test_one_image_is_seen_large_and_escape_closes_it(visit: Visit) -> None:
    page = visit.open("/media", ".media-tile img")
    page.locator(".media-tile").first.click()
    page.locator("dialog.media-large img").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog.media-large").wait_for(state="detached")
