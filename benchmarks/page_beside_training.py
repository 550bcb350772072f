"""Does the page disturb the training that it shows?

    python -m benchmarks.page_beside_training [--processes 16] [--minutes 10] [--phase 30] [--quick]

(also: --work compute, where a step computes for about as long as it otherwise waits)

PROCESSES processes train into one archive: a step waits 10 ms as for a device, then logs five metrics. The
server is `exptrack ui`, and Chromium shows the runs, the charts of all and one run, each in a window of its
own. Phases of PHASE seconds without and with them take turns until the page was open for MINUTES minutes.
Each phase with the page is compared with the phases before and after it, by steps a second. Server and
browser share the machine with the training; what share of a core they take is told. Counted are errors of
processes, complaints of the browser, and answers of the server that are errors. In the end the archive alone
is copied. The copy must verify and hold every point.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from playwright.sync_api import BrowserContext, Playwright, sync_playwright

from benchmarks.page import Server, log_in
from benchmarks.timing import argument_parser, headline, print_table, scaled
from exptrack import Archive
from tests.web.browser.chromium import start_chromium

METRICS = [f"metric_{number}" for number in range(5)]
WAIT_S = 0.01
COUNTED = 400_000


class Phase(NamedTuple):
    """How fast all processes together were while the page was open, or was not."""

    steps_per_s: float
    log_us: float
    server_share: float
    browser_share: float


def train(path: str, number: int, work: str, done: Any, inside: Any, end: Event) -> None:
    """Log a run until the end is near. A warning is an error here."""
    warnings.simplefilter("error")
    with Archive(path) as archive, archive.start_run({"number": number}, name=f"train {number}") as run:
        while not end.is_set():
            if work == "wait":
                time.sleep(WAIT_S)
            else:
                sum(range(COUNTED))
            begin = time.perf_counter()
            run.log(dict.fromkeys(METRICS, done[number] + 0.5), done[number])
            inside[number] += time.perf_counter() - begin
            done[number] += 1


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--processes", type=int, help="default 16")
    parser.add_argument("--minutes", type=float, help="how long the page is open (default 10)")
    parser.add_argument("--phase", type=float, help="seconds (default 30)")
    parser.add_argument("--work", choices=("wait", "compute"), default="wait")
    given = parser.parse_args(argv)
    processes = given.processes or scaled(16, given.quick)
    open_s = 60 * (given.minutes or (0.1 if given.quick else 10))
    phase_s = given.phase or (3 if given.quick else 30)
    context = multiprocessing.get_context("spawn")
    done, inside, end = context.Array("q", processes), context.Array("d", processes), context.Event()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "lab.db")
        Archive(path).close()
        trainings = [
            context.Process(target=train, args=(str(path), number, given.work, done, inside, end))
            for number in range(processes)
        ]
        complaints: list[str] = []
        phases: list[Phase] = []
        for training in trainings:
            training.start()
        while not all(done):
            time.sleep(0.1)
            assert all(training.is_alive() for training in trainings), "a training process ended early"
        for _ in range(max(1, round(open_s / phase_s))):
            phases.append(_measure(done, inside, phase_s))
            with _show(playwright, path, complaints) as shown:
                phases.append(_measure(done, inside, phase_s, shown))
        phases.append(_measure(done, inside, phase_s))
        end.set()
        for training in trainings:
            training.join()
        failed = sum(training.exitcode != 0 for training in trainings)
        _report(phases)
        points, problems = _look_at_copy(path, Path(folder, "copy.db"))
    expected = sum(done) * len(METRICS)
    for line in (*complaints, *problems):
        print(line)
    headline(f"page beside {processes} processes: {failed} failed, {len(complaints)} complaints of the browser")
    headline(f"page beside {processes} processes: the copy has {points:,} of {expected:,} points")
    headline(f"page beside {processes} processes: verify finds {len(problems)} problems in the copy")


class Shown(NamedTuple):
    """The processes that show the page."""

    server: psutil.Process
    browser: list[psutil.Process]


@contextlib.contextmanager
def _show(playwright: Playwright, path: Path, complaints: list[str]) -> Iterator[Shown]:
    """Show the archive in three windows. What the browser or the server reports as an error is a complaint."""
    before = set(psutil.Process().children(recursive=True))
    browser = start_chromium(playwright)
    started = [one for one in psutil.Process().children(recursive=True) if one not in before]
    with Server(path) as server:
        with Archive(path, mode="ro") as archive:
            newest = archive.list_runs(limit=1)[0].run_id
        for view in ("runs", "charts", f"run/{newest}"):
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            log_in(context, server)
            _note_complaints(context, complaints)
            context.new_page().goto(f"{server.origin}/{view}")
        yield Shown(server.process, started)
        browser.close()
        server.interrupt()


def _note_complaints(context: BrowserContext, complaints: list[str]) -> None:
    context.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("response", lambda got: got.status >= 400 and complaints.append(f"{got.status} {got.url}"))


def _measure(done: Any, inside: Any, phase_s: float, shown: Shown | None = None) -> Phase:
    time.sleep(2)  # what opening and closing the page costs is no part of it
    began, steps, logged, spent = time.monotonic(), sum(done), sum(inside), _spend(shown)
    time.sleep(phase_s)
    took, made = time.monotonic() - began, sum(done) - steps
    shares = [(after - before) / took for before, after in zip(spent, _spend(shown), strict=True)]
    return Phase(made / took, (sum(inside) - logged) / made * 1e6, *shares)


def _spend(shown: Shown | None) -> tuple[float, float]:
    """Return the seconds of a core that the server and the browser have taken so far."""
    if shown is None:
        return 0.0, 0.0
    times = [[one.cpu_times() for one in some if one.is_running()] for some in ([shown.server], shown.browser)]
    server, browser = (sum(one.user + one.system for one in some) for some in times)
    return server, browser


def _report(phases: Sequence[Phase]) -> None:
    rows, slower = [], []
    for at in range(1, len(phases), 2):
        before, shown, after = phases[at - 1 : at + 2]
        without = (before.steps_per_s + after.steps_per_s) / 2
        slower.append(100 * (1 - shown.steps_per_s / without))
        log_us = (before.log_us + after.log_us) / 2
        shares = f"{100 * shown.server_share:.1f} %", f"{100 * shown.browser_share:.1f} %"
        rows.append(
            (f"{at // 2 + 1}", without, shown.steps_per_s, f"{slower[-1]:.1f} %", log_us, shown.log_us, *shares)
        )
    header = ("phase", "steps/s", "with the page", "slower", "log, us", "with the page", "server", "browser")
    print_table(header, rows)
    headline(f"training with the page open is {statistics.median(slower):.1f} % slower (median of phases)")


def _look_at_copy(path: Path, copy: Path) -> tuple[int, Sequence[object]]:
    """Copy the file alone, after all have left, and return its points and the problems that `verify` finds."""
    shutil.copy(path, copy)
    with Archive(copy) as archive:
        ((points,),) = archive.sql("SELECT count(*) FROM points").rows
        return points, archive.verify().problems


if __name__ == "__main__":
    main()
