"""Points say what they are and lead to their runs by a click; a sweep that runs is followed and stopped."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.web.server import PageServer
from tests.web.browser.archives import Contents
from tests.web.browser.conftest import Open
from tests.web.browser.visits import Visit

# Tooltips are drawn on a canvas; this notes every text that is.
NOTE_TEXTS = """
(() => {
    const { prototype } = CanvasRenderingContext2D;
    const fill = prototype.fillText;
    window.drawn = [];
    prototype.fillText = function (text, ...rest) {
        window.drawn.push(text);
        return fill.call(this, text, ...rest);
    };
})()
"""
# Places in the window where a dot of colour is, of more than a line's width, on the canvas of one chart.
FIND_DOTS = """
(selector) => {
    const canvas = document.querySelector(`${selector} canvas`);
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    const isColored = (x, y) => {
        const [r, g, b, a] = data.subarray(4 * (y * width + x), 4 * (y * width + x) + 4);
        return a > 100 && Math.max(r, g, b) - Math.min(r, g, b) > 60;
    };
    const box = canvas.getBoundingClientRect();
    const found = [];
    for (let y = 4; y < height - 4; y += 2) {
        for (let x = 4; x < width - 4; x += 2) {
            const around = [[0, 0], [-2, 0], [2, 0], [0, -2], [0, 2]];
            if (!around.every(([left, top]) => isColored(x + left, y + top))) continue;
            if (found.some((one) => Math.hypot(one[0] - x, one[1] - y) < 8)) continue;
            found.push([x, y]);
        }
    }
    const ratio = box.width / width;
    return found.map(([x, y]) => [box.left + x * ratio, box.top + y * ratio]);
}
"""
DRAWN = "() => window.drawn.splice(0).join('\\n')"
SEARCH = """
import sys, exptrack
with exptrack.Archive(sys.argv[1]) as archive:
    study = archive.create_study(exptrack.StudyConfig("search", "minimize", "random", metric="loss"))
    def objective(trial):
        lr = trial.suggest_float("lr", 0.001, 0.1, log=True)
        print(trial.number, flush=True)
        sys.stdin.readline()
        return lr
    study.optimize(objective, 50)
    print("ended", flush=True)
"""


def point_at_a_dot(visit: Visit, chart: str, told: str) -> tuple[float, float]:
    """Point at dots of a chart until its tooltip begins with what is asked for; return where that was."""
    page = visit.page
    for left, top in page.evaluate(FIND_DOTS, chart):
        page.evaluate(DRAWN)
        page.mouse.move(left, top)
        page.wait_for_timeout(80)
        if re.search(told, page.evaluate(DRAWN), re.MULTILINE):
            return left, top
    raise AssertionError(f"no dot says {told!r}")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("/explore?x=config.optim.lr&y=metrics.%22train/loss%22&where=status+%3D+completed", r"^run-\d\d"),
        ("/sweep/{study}", r"^trial \d"),
    ],
    ids=["explore", "sweep"],
)
def test_a_point_says_what_it_is_and_a_click_opens_its_run(
    address: str, told: str, visit: Visit, contents: Contents
) -> None:
    visit.context.add_init_script(NOTE_TEXTS)
    page = visit.open(address.format(**vars(contents)), ".echart canvas")
    left, top = point_at_a_dot(visit, ".echart", told)
    page.mouse.click(left, top)
    page.locator("#run-panel").wait_for()
    assert re.search(r"/run/\w+$", page.url)


@pytest.fixture
def searching(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A search in another process; each line that it reads ends a trial."""
    path = tmp_path / "lab.db"
    Archive(path).close()
    command = [sys.executable, "-c", SEARCH, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield path, process
        process.kill()


def test_a_sweep_that_runs_shows_its_trials_and_can_be_stopped(
    searching: tuple[Path, subprocess.Popen[str]], open_window: Open, serve: Callable[..., PageServer]
) -> None:
    path, process = searching
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    visit = open_window(serve(path))
    page = visit.open("/sweep/search", ".trial-table")
    page.locator(".sweep-top").get_by_text("1 running").wait_for()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "1\n"
    page.locator(".sweep-top").get_by_text("1 complete").wait_for()
    page.locator(".trial-table tbody tr").nth(1).wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Stop the sweep").click()
    page.get_by_text("The sweep begins no more trials").wait_for()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ended\n"
    page.locator(".sweep-top").get_by_text("2 complete").wait_for()
    page.get_by_role("button", name="Stop").wait_for(state="detached")
