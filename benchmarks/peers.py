"""How fast do other trackers do the same work on this machine?

    python -m benchmarks.peers [--points 20000] [--seconds 10] [--only NAME …] [--quick]

Each tracker works in a fresh process and folder: import, open, start a run, log one scalar a call, finish.
Logging stops at `points` calls or after `seconds`. Measured are the call as the loop sees it, points a second
until everything is on disk, bytes a point (less a run without points), and the size of a run without points.
Trackers that are not installed (``pip install 'exptrack-archive[bench]'``) are named and left out. Baselines:
bare ``sqlite3`` with one commit a call, and with ten thousand points a commit.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.timing import argument_parser, compile_package, headline, print_table, quantile, scaled

Log = Callable[[float, int], object]
TIMEOUT_S = 600


@contextmanager
def exptrack_archive(folder: Path) -> Iterator[Log]:
    from exptrack import Archive

    with Archive(folder / "lab.db") as archive, archive.start_run() as run:
        yield lambda value, step: run.log_metric("loss", value, step)


@contextmanager
def _bare(folder: Path, batch: int) -> Iterator[Log]:
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS point (series INTEGER, step INTEGER, time_ms INTEGER, value REAL,"
        " PRIMARY KEY (series, step)) WITHOUT ROWID, STRICT"
    )
    pending: list[tuple[int, int, int, float]] = []
    series = os.getpid()

    def write() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO point VALUES (?, ?, ?, ?)", pending)
        connection.execute("COMMIT")
        pending.clear()

    def log(value: float, step: int) -> None:
        pending.append((series, step, step, value))
        if len(pending) >= batch:
            write()

    yield log
    write()
    connection.close()


def bare_commits(folder: Path) -> Any:
    return _bare(folder, 1)


def bare_batches(folder: Path) -> Any:
    return _bare(folder, 10_000)


@contextmanager
def sacred(folder: Path) -> Iterator[Log]:
    from sacred import SETTINGS, Experiment
    from sacred.observers import FileStorageObserver

    SETTINGS.CAPTURE_MODE = "no"
    experiment = Experiment("benchmark", save_git_info=False)
    experiment.observers.append(FileStorageObserver(str(folder / "runs")))
    begun, done = threading.Event(), threading.Event()

    def main() -> None:
        begun.set()
        done.wait()

    # Sacred calls the experiment; the loop is outside, so the experiment waits for it in a thread.
    experiment.main(main)
    thread = threading.Thread(target=experiment.run)
    thread.start()
    begun.wait()
    run = experiment.current_run
    yield lambda value, step: run.log_scalar("loss", value, step)
    done.set()
    thread.join()


@contextmanager
def tensorboard_x(folder: Path) -> Iterator[Log]:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder / "logs")) as writer:
        yield lambda value, step: writer.add_scalar("loss", value, step)


@contextmanager
def trackio(folder: Path) -> Iterator[Log]:
    os.environ["TRACKIO_DIR"] = str(folder / "trackio")
    import trackio

    trackio.init(project="benchmark", embed=False)
    yield lambda value, step: trackio.log({"loss": value}, step=step)
    trackio.finish()


@contextmanager
def aim(folder: Path) -> Iterator[Log]:
    from aim import Run

    run = Run(repo=str(folder), system_tracking_interval=None, capture_terminal_logs=False)
    yield lambda value, step: run.track(value, name="loss", step=step)
    run.close()


@contextmanager
def wandb(folder: Path) -> Iterator[Log]:
    os.environ["WANDB_SILENT"] = "true"
    import wandb

    run = wandb.init(project="benchmark", dir=str(folder), mode="offline")
    yield lambda value, step: run.log({"loss": value}, step=step)
    run.finish()


@contextmanager
def mlflow(folder: Path) -> Iterator[Log]:
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    with mlflow.start_run():
        yield lambda value, step: mlflow.log_metric("loss", value, step=step)


@contextmanager
def dvclive(folder: Path) -> Iterator[Log]:
    from dvclive import Live

    live = Live(str(folder / "live"), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False)

    def log(value: float, _step: int) -> None:
        live.log_metric("loss", value)
        live.next_step()

    yield log
    live.end()


# Title: how it is opened, and the distribution it comes from.
TRACKERS: dict[str, tuple[Callable[[Path], Any], str | None]] = {
    "exptrack": (exptrack_archive, None),
    "sqlite3, 10,000 a commit": (bare_batches, None),
    "sqlite3, a commit a call": (bare_commits, None),
    "Sacred": (sacred, "sacred"),
    "tensorboardX": (tensorboard_x, "tensorboardX"),
    "Trackio": (trackio, "trackio"),
    "Aim": (aim, "aim"),
    "W&B offline": (wandb, "wandb"),
    "MLflow": (mlflow, "mlflow"),
    "DVCLive": (dvclive, "dvclive"),
}


def log_in_this_process(
    opened: Callable[[Path], Any], folder: Path, points: int, seconds: float
) -> dict[str, Any]:
    """Log until `points` or `seconds` are over; return what was measured."""
    clock = time.perf_counter_ns
    calls: list[int] = []
    with opened(folder) as log:
        began = time.monotonic()
        for step in range(points):
            before = clock()
            log(1 / (1 + step), step)
            calls.append(clock() - before)
            if not step % 100 and time.monotonic() - began > seconds:
                break
    elapsed = time.monotonic() - began
    micros = sorted(call / 1000 for call in calls)
    return {
        "points": len(calls),
        "seconds": elapsed,
        "median": statistics.median(micros) if micros else None,
        "p99": quantile(micros, 0.99) if micros else None,
    }


def log_in_a_fresh_process(title: str, points: int, seconds: float) -> dict[str, Any]:
    """Measure in a fresh process; add the bytes it left behind and its whole time."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"HOME": folder, "PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
        command = [sys.executable, "-m", "benchmarks.peers", "--inside", folder, "--only", title]
        command += ["--points", str(points), "--seconds", str(seconds)]
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
        begin = time.perf_counter()
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
        )
        elapsed = time.perf_counter() - begin
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            return {"error": last[0] if last else f"exit {done.returncode}"}
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        return found | {"bytes": size, "whole_s": elapsed}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--points", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--only", action="append", choices=list(TRACKERS), help="one tracker; may be repeated")
    parser.add_argument("--inside", type=Path, help="log in this process, into this folder")
    given = parser.parse_args(argv)
    points = scaled(20_000, given.quick) if given.points is None else given.points
    seconds = (1.0 if given.quick else 10.0) if given.seconds is None else given.seconds
    titles = given.only or list(TRACKERS)
    if given.inside:
        print(json.dumps(log_in_this_process(TRACKERS[titles[0]][0], given.inside, points, seconds)))
        return
    compile_package()
    rows: list[tuple[object, ...]] = []
    left_out, failed = [], []
    for title in titles:
        distribution = TRACKERS[title][1]
        if distribution is not None and importlib.util.find_spec(distribution) is None:
            left_out.append(title)
            continue
        log_in_a_fresh_process(title, 0, seconds)  # compiles what it imports, for all users after it
        empty = log_in_a_fresh_process(title, 0, seconds)
        full = log_in_a_fresh_process(title, points, seconds)
        if problem := empty.get("error") or full.get("error"):
            failed.append(f"{title}: {problem}")
            continue
        version = importlib.metadata.version(distribution) if distribution else ""
        rows.append(
            (
                f"{title} {version}".strip(),
                full["points"],
                full["median"],
                full["p99"],
                full["points"] / full["seconds"],
                (full["bytes"] - empty["bytes"]) / full["points"],
                empty["bytes"],
                empty["whole_s"] * 1000,
            )
        )
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; µs of a call as the loop sees it"
    )
    print_table(
        ("tracker", "points", "median µs", "P99 µs", "points/s", "B/point", "empty B", "empty run ms"), rows
    )
    if left_out:
        print(f"not installed, left out: {', '.join(left_out)}")
    for line in failed:
        print(f"failed, left out: {line}")
    ours = [row for row in rows if row[0] == "exptrack"]
    theirs = [row for row in rows if not str(row[0]).startswith(("exptrack", "sqlite3"))]
    if ours and theirs:
        fastest = min(theirs, key=lambda row: float(str(row[2])))
        headline(
            f"a scalar: {float(str(ours[0][2])):.2f} µs median; the fastest of {len(theirs)} others:"
            f" {fastest[0]}, {float(str(fastest[2])):.2f} µs"
        )


if __name__ == "__main__":
    main()
