"""The page beside training: what happens in the archive appears, and a lost server is told."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from exptrack import Archive
from exptrack.web.server import PageServer
from tests.web.browser.archives import make_record
from tests.web.browser.conftest import Open
from tests.web.browser.visits import LOST, Visit

ROW = ".grid-body [role=row]"
TRAIN = """
import sys, exptrack
with exptrack.Archive(sys.argv[1]) as archive:
    run = archive.start_run({"lr": 1}, name="doomed")
    run.log({"loss": 0.5}, 1)
    run.flush()
    print(run.run_id, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """An archive of three runs."""
    with Archive(tmp_path / "lab.db") as archive:
        archive.record_runs([make_record(number) for number in range(3)])
    return tmp_path / "lab.db"


@contextlib.contextmanager
def open_as_stranger(visit: Visit) -> Iterator[Page]:
    """A page in the same browser that knows nothing of the server."""
    assert visit.context.browser is not None
    with contextlib.closing(visit.context.browser.new_context()) as context:
        yield context.new_page()


def test_a_run_and_its_values_appear_while_they_are_logged(
    open_window: Open, serve: Callable[..., PageServer], lab: Path
) -> None:
    visit = open_window(serve(lab))
    page = visit.open("/runs", f"{ROW} >> text=run-01")
    with Archive(lab) as archive:
        run = archive.start_run({"seed": 1}, name="newcomer")
        page.locator(ROW, has_text="newcomer").get_by_text("running").wait_for()
        page.get_by_role("link", name="newcomer").click()
        page.locator("h1", has_text="newcomer").wait_for()
        run.log({"speed": 17.25}, 1)
        page.get_by_text("17.25").first.wait_for()
        run.log({"speed": 42.5}, 2)
        page.get_by_text("42.5").first.wait_for()
        run.complete()
        page.locator("main").get_by_text("completed").first.wait_for()


def test_a_killed_run_turns_interrupted(open_window: Open, serve: Callable[..., PageServer], lab: Path) -> None:
    visit = open_window(serve(lab))
    page = visit.open("/runs", f"{ROW} >> text=run-01")
    command = [sys.executable, "-c", TRAIN, str(lab)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout is not None
        run = training.stdout.readline().strip()
        page.locator(ROW, has_text="doomed").get_by_text("running").wait_for()
        training.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        training.wait()
    # Any process that opens the archive for writing finds it.
    with Archive(lab) as archive:
        assert archive.show_run(run).summary.status == "interrupted"
    page.locator(ROW, has_text="doomed").get_by_text("interrupted").wait_for()


def test_a_server_that_stopped_is_told_and_one_that_came_back_is_used(
    open_window: Open, serve: Callable[..., PageServer], lab: Path
) -> None:
    server = serve(lab)
    visit = open_window(server)
    visit.allow(LOST)
    page = visit.open("/runs", f"{ROW} >> text=run-01")
    server.close()
    page.get_by_text("exptrack ui stopped; shown as of").wait_for()
    page.locator(f"{ROW} >> text=run-01").wait_for()
    again = serve(lab, port=server.port)
    # As 'exptrack ui' opens the new address in the same browser, in another tab.
    visit.allow("status of 403")
    page.get_by_text("exptrack ui was started anew").wait_for()
    assert page.locator(".toast").count() == 0
    other = visit.context.new_page()
    other.goto(again.url)
    other.locator(f"{ROW} >> text=run-01").wait_for()
    page.bring_to_front()
    page.locator(".lost-bar").wait_for(state="detached")
    with Archive(lab) as archive:
        archive.start_run(name="after the break").complete()
    page.locator(ROW, has_text="after the break").wait_for()


def test_a_login_by_the_printed_address_opens_the_runs(
    open_window: Open, serve: Callable[..., PageServer], lab: Path
) -> None:
    visit = open_window(serve(lab))
    with open_as_stranger(visit) as page:
        page.goto(visit.server.url)
        page.locator(f"{ROW} >> text=run-01").wait_for()
        assert page.url == visit.server.origin + "/"
        (cookie,) = page.context.cookies()
        assert visit.server.token not in str(cookie)


def test_a_login_where_nothing_may_be_stored_says_what_to_do(
    open_window: Open, serve: Callable[..., PageServer], lab: Path
) -> None:
    visit = open_window(serve(lab))
    with open_as_stranger(visit) as page:
        page.add_init_script(
            "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no'); } });"
        )
        page.goto(visit.server.url)
        page.get_by_text("store nothing; allow it cookies and site data").wait_for()
