"""How fast is the page in a browser, and what does its server cost?

    python -m benchmarks.page [--runs 100000] [--points 100000] [--rounds 5] [--idle 20] [--quick]

(also: --archive FILE, an archive of make_archive that is there already)

The server is `exptrack ui` in a process of its own. The browser is Chromium without a window, started anew for
each first paint. One archive has RUNS runs by ``benchmarks.make_archive``. The other one has 50 ended runs of
POINTS points, and 50 of a tenth. Each figure is the median of ROUNDS, beside its budget.

- First paint: from the start of the navigation until the first row is on the screen. The browser has nothing of
  the page yet. It was started a second before; apart from that, the navigation begins while it still starts.
- Block of rows: a request for 100 rows with 12 columns, anywhere in the order, over HTTP.
- Filter to rows: from the key Enter until the new count of runs is on the screen, and the request alone.
- Frame: the longest between two frames while a wheel scrolls through the table.
- Curves: from the first request for curves until the first and the last answer.
- Value on screen: from `log` in another process until the page of the run shows the value.
- Memory: the resident memory of the server after all of that.
- Idle: the share of a core that the server takes while nobody looks.
- Ctrl-C: until the server's process has ended, with the page open.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import psutil
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from benchmarks import make_archive
from benchmarks.timing import argument_parser, headline, print_table, quantile, scaled
from exptrack import Archive, RecordedRun
from tests.web.browser.chromium import start_chromium

CURVES = 50
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = (
    "run_id name status started duration tag config.lr config.optimizer config.model.name config.seed"
    " metrics.loss metrics.val_acc"
).split()
FILTER = "config.lr < 0.001 and metrics.val_acc > 0.5"
PATIENCE_S = 60.0
BROWSER_STARTS_MS = 1000
# Note when the first row is drawn: the frame after the one that made it.
NOTE_FIRST_ROW = """
window.firstRow = new Promise((done) => {
    const look = () => document.querySelector(".grid-body [role=row] a")
        ? requestAnimationFrame(() => done(performance.now())) : requestAnimationFrame(look);
    requestAnimationFrame(look);
});
"""
NOTE_COUNT = """
([before, key]) => {
    const state = () => document.querySelector(".runs-state [role=status]")?.innerText;
    window.counted = new Promise((done) => {
        let begin = null;
        addEventListener("keydown", (event) => { if (event.key === key) begin = performance.now(); },
            {once: true, capture: true});
        const look = () => begin !== null && state() !== before && / of /.test(state() ?? "")
            ? requestAnimationFrame(() => done(performance.now() - begin)) : requestAnimationFrame(look);
        look();
    });
}
"""
NOTE_FRAMES = """
() => {
    window.frames_ms = [];
    let last = performance.now();
    const note = (now) => {
        window.frames_ms.push(now - last);
        last = now;
        requestAnimationFrame(note);
    };
    requestAnimationFrame(note);
}
"""
CURVE_TIMES = """
() => {
    const found = performance.getEntriesByType("resource").filter(({name}) => name.includes("/api/series"));
    const begin = Math.min(...found.map((one) => one.startTime));
    const ends = found.map((one) => one.responseEnd - begin);
    return found.length ? [Math.min(...ends), Math.max(...ends), found.length] : null;
}
"""
TRAIN = """
import sys, time, exptrack
with exptrack.Archive(sys.argv[1]) as archive, archive.start_run(name="live") as run:
    run.log({"value": 0.5})
    print(run.run_id, flush=True)
    for line in sys.stdin:
        run.log({"value": float(line)})
        print(time.time(), flush=True)
"""


class Server:
    """`exptrack ui` on an archive, in a process of its own."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-m", "exptrack", "ui", str(path), "--no-browser", "--port", "0", "--json"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        printed = ""
        while not printed.rstrip().endswith("}"):
            line = self._process.stdout.readline()
            assert line, "exptrack ui ended; run it by hand to see why"
            printed += line
        self.url: str = json.loads(printed)["url"]
        self.origin = self.url.partition("/login")[0]
        self.token = self.url.partition("token=")[2]
        self.process = psutil.Process(self._process.pid)

    @contextlib.contextmanager
    def open_client(self) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.origin, timeout=PATIENCE_S) as client:
            client.get(self.url)
            client.headers["x-exptrack-token"] = self.token
            yield client

    def interrupt(self) -> float:
        """Press ctrl-C, and return the seconds until the process has ended."""
        begin = time.perf_counter()
        self._process.send_signal(signal.SIGINT)
        self._process.wait(PATIENCE_S)
        return time.perf_counter() - begin

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--runs", type=int, help="default 100,000")
    parser.add_argument("--points", type=int, help="default 100,000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=float, default=20.0, help="seconds without a page (default 20)")
    parser.add_argument("--archive", help="an archive of runs that is there already")
    given = parser.parse_args(argv)
    runs = given.runs or scaled(100_000, given.quick)
    points = given.points or scaled(100_000, given.quick)
    rows: list[tuple[str, str, str]] = []

    def note(name: str, values: Sequence[float], unit: str, budget: str) -> None:
        median = statistics.median(values)
        rows.append((name, f"{median:,.0f} {unit}" if median >= 10 else f"{median:.2g} {unit}", budget))
        headline(f"page: {name} {rows[-1][1]} (budget {budget})")

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        table = Path(given.archive or Path(folder, "runs.db"))
        if not given.archive:
            make_archive.main([str(table), "--runs", str(runs), "--points", "2"])
        curves = make_curves(Path(folder, "curves.db"), points)
        with Server(table) as server:
            measure_table(playwright, server, given.rounds, note)
        with Server(curves) as server:
            measure_curves(playwright, server, points, given.rounds, note)
            measure_live(playwright, server, curves, given.rounds, note)
        measure_server(playwright, table, given.idle, note)
    print_table(("what", "median", "budget"), rows)


Note = Callable[[str, Sequence[float], str, str], None]


def make_curves(path: Path, points: int) -> Path:
    """Make an archive of 50 ended runs of many points, and 50 of a tenth."""
    chance = random.Random(0)
    with Archive(path) as archive:
        for size, group in ((points, "long"), (points // 10, "short")):
            for number in range(CURVES):
                curve = [chance.random() + 100 / (step + 100) for step in range(size)]
                record = RecordedRun(
                    {"seed": number},
                    STARTED + timedelta(minutes=number),
                    60.0,
                    name=f"{group} {number}",
                    group=group,
                    metrics={"loss": (range(size), curve)},
                )
                archive.record_runs([record])
    return path


@contextlib.contextmanager
def open_page(playwright: Playwright, server: Server, script: str = "") -> Iterator[Page]:
    """A page of a browser that was started anew, logged in and nowhere yet."""
    browser: Browser = start_chromium(playwright)
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    log_in(context, server)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    if script:
        page.add_init_script(script)
    yield page
    browser.close()


def log_in(context: BrowserContext, server: Server) -> None:
    """Give a context what it has once the printed address was opened."""
    context.add_cookies([_read_cookie(server)])
    # A window begins with a page of its own, which has no storage.
    keep = f"localStorage.setItem('exptrack.token', '{server.token}')"
    context.add_init_script(f"if (location.protocol === 'http:') {keep}")


def _read_cookie(server: Server) -> Any:
    with server.open_client() as client:
        ((name, value),) = client.cookies.items()
    return {"name": name, "value": value, "url": server.origin, "httpOnly": True}


def measure_table(playwright: Playwright, server: Server, rounds: int, note: Note) -> None:
    early, paints, filters, longest = [], [], [], []
    for _ in range(rounds + 1):
        with open_page(playwright, server, NOTE_FIRST_ROW) as page:
            early.append(_paint(page, server))
        with open_page(playwright, server, NOTE_FIRST_ROW) as page:
            page.wait_for_timeout(BROWSER_STARTS_MS)
            paints.append(_paint(page, server))
            page.wait_for_timeout(1500)
            filters.append(_filter(page))
            longest.append(_scroll(page))
    # The first round warms the file.
    note("first paint", paints[1:], "ms", "300 ms")
    note("first paint while the browser starts", early[1:], "ms", "none")
    note("filter by two conditions, on screen", filters[1:], "ms", "150 ms")
    note("longest frame while scrolling", longest[1:], "ms", "50 ms")
    with server.open_client() as client:
        index = client.get("/api/runs/index").content
        ids = [int.from_bytes(index[at : at + 4], "little") for at in range(0, len(index), 4)]
        chance = random.Random(0)
        blocks = []
        for _ in range(20 * rounds):
            at = chance.randrange(max(1, len(ids) - 100))
            some = ",".join(map(str, ids[at : at + 100]))
            blocks.append(_time_get(client, "/api/runs/rows", {"ids": some, "columns": COLUMNS}))
        note("block of 100 rows", blocks, "ms", "15 ms")
        rows = [("block of 100 rows, P90", f"{quantile(blocks, 0.9):.0f} ms")]
        print(*rows[0])
        for name, order in (("a metric", "-metrics.val_acc"), ("a config key", "config.lr")):
            asked = {"where": FILTER, "order": order, "columns": COLUMNS, "size": 100}
            _time_get(client, "/api/runs", asked)
            took = [_time_get(client, "/api/runs", asked) for _ in range(rounds)]
            note(f"two conditions, ordered by {name}", took, "ms", "150 ms")


def _paint(page: Page, server: Server) -> float:
    page.goto(server.origin + "/runs")
    found: float = page.evaluate("() => window.firstRow")
    return found


def _time_get(client: httpx.Client, path: str, asked: dict[str, Any]) -> float:
    begin = time.perf_counter()
    client.get(f"{path}?{urlencode(asked, doseq=True)}").raise_for_status()
    return (time.perf_counter() - begin) * 1000


def _filter(page: Page) -> float:
    before = page.evaluate("() => document.querySelector('.runs-state [role=status]').innerText")
    # While one types, the page applies what is right so far. So the filter is pasted, and acts with Enter.
    page.keyboard.press("/")
    page.evaluate(NOTE_COUNT, [before, "Enter"])
    page.evaluate(
        """(text) => {
            const field = document.activeElement;
            field.value = text;
            field.dispatchEvent(new Event("input", {bubbles: true}));
        }""",
        FILTER,
    )
    page.keyboard.press("Enter")
    found: float = page.evaluate("() => window.counted")
    return found


def _scroll(page: Page) -> float:
    page.goto(page.url.partition("?")[0])
    page.evaluate("() => window.firstRow")
    page.wait_for_timeout(1500)
    page.mouse.move(700, 500)
    page.evaluate(NOTE_FRAMES)
    for _ in range(60):
        page.mouse.wheel(0, 600)
        page.wait_for_timeout(16)
    frames: list[float] = page.evaluate("() => window.frames_ms")
    return max(frames[1:])


def measure_curves(playwright: Playwright, server: Server, points: int, rounds: int, note: Note) -> None:
    for group, size, first_budget, all_budget in (
        ("short", points // 10, "300 ms", "300 ms"),
        ("long", points, "150 ms", "500 ms"),
    ):
        firsts, lasts = [], []
        for _ in range(rounds + 1):
            with open_page(playwright, server) as page:
                page.goto(f"{server.origin}/charts?where={quote(f'group = {group}')}")
                first, last = _wait_for_curves(page)
                firsts.append(first)
                lasts.append(last)
        note(f"{CURVES} x {size:,} points, the first time: first curves", firsts[:1], "ms", first_budget)
        note(f"{CURVES} x {size:,} points, the first time: all", lasts[:1], "ms", all_budget)
        note(f"{CURVES} x {size:,} points: first curves", firsts[1:], "ms", first_budget)
        note(f"{CURVES} x {size:,} points: all", lasts[1:], "ms", all_budget)


def _wait_for_curves(page: Page) -> tuple[float, float]:
    """Return when the first and the last answer with curves came, once no more are asked for."""
    before, end = None, time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        page.wait_for_timeout(700)
        found = page.evaluate(CURVE_TIMES)
        if found and found == before:
            return found[0], found[1]
        before = found
    raise AssertionError("the page asks for curves without an end")


def measure_live(playwright: Playwright, server: Server, path: Path, rounds: int, note: Note) -> None:
    command = [sys.executable, "-c", TRAIN, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdin is not None
        assert training.stdout is not None
        run = training.stdout.readline().strip()
        delays = []
        with open_page(playwright, server) as page:
            page.goto(f"{server.origin}/run/{run}")
            page.get_by_text("0.5").first.wait_for()
            page.wait_for_timeout(2000)
            for number in range(rounds):
                value = f"{number + 1}.{random.randrange(101, 999)}"
                page.evaluate(
                    """(value) => { window.shown = new Promise((done) => {
                        const look = () => document.body.innerText.includes(value)
                            ? done(Date.now()) : setTimeout(look, 10);
                        look();
                    }); }""",
                    value,
                )
                training.stdin.write(f"{value}\n")
                training.stdin.flush()
                logged = float(training.stdout.readline())
                delays.append(page.evaluate("() => window.shown") / 1000 - logged)
                page.wait_for_timeout(random.randrange(1000))
        training.stdin.close()
    note("value on screen after log", delays, "s", "1.5 s")
    note("memory of the server after 100 curves", [server.process.memory_info().rss / 1e6], "MB", "150 MB")


def measure_server(playwright: Playwright, path: Path, idle_s: float, note: Note) -> None:
    with Server(path) as server:
        with open_page(playwright, server, NOTE_FIRST_ROW) as page:
            for order in ("", "?order=-metrics.val_acc", "?order=config.lr", f"?where={quote(FILTER)}"):
                page.goto(f"{server.origin}/runs{order}")
                page.evaluate("() => window.firstRow")
                page.wait_for_timeout(1500)
        note("memory of the server after visits", [server.process.memory_info().rss / 1e6], "MB", "150 MB")
        time.sleep(2)
        before = server.process.cpu_times()
        time.sleep(idle_s)
        after = server.process.cpu_times()
        spent = after.user + after.system - before.user - before.system
        note("share of a core without a visitor", [100 * spent / idle_s], "%", "1 %")
        with open_page(playwright, server, NOTE_FIRST_ROW) as page:
            page.goto(f"{server.origin}/runs")
            page.evaluate("() => window.firstRow")
            note("ctrl-C with a page open", [server.interrupt()], "s", "2 s")


if __name__ == "__main__":
    main()
