"""How does exptrack compare with all other trackers, and with bare ``sqlite3``, in one table?

    python -m benchmarks.peer_table [--environments FOLDER] [--runs 1000] [--only NAME …] [--quick]

Each tracker does the same work through its own API, in fresh processes and in a fresh folder. ``-`` stands for
what a tracker has no call for. The baseline is bare ``sqlite3`` with the least tables that answer.

Other trackers need packages that exclude each other. `--environments` names a folder with a virtual environment
for each, named as its distribution:

    for name in sacred trackio aim mlflow tensorboardX wandb dvclive; do
        python -m venv FOLDER/$name && FOLDER/$name/bin/pip install $name
    done

Without it, all are looked for where this runs; those that are not installed are named and left out.

- A scalar: the call as the loop sees it, median, and points a second until the run is finished.
- Import: over bare Python, the median of fresh processes; then opening, starting and finishing an empty run,
  the median of fresh processes in an existing store.
- A run has 10 params, 3 tags and 10 metrics of 10 steps, and is finished; the median of many in a row.
- The questions are the first call of a fresh process, after what they need was imported and opened.
- Files: six of 50 MB of float32 (``--megabytes``) with 1 % changed in each; then the last of them again.
- Four processes log at once into one store, points a second in sum.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.peer_trackers import TRACKERS, runs_to_make
from benchmarks.timing import argument_parser, compile_package, headline, print_table, scaled

ROOT = Path(__file__).parent.parent
MB = 1_000_000
QUESTIONS = ("list", "best", "curve", "compare")
VERSIONS, PROCESSES = 6, 4
SOURCES = "sources"
TIMEOUT_S = 1800
ROWS = {
    "log": "log one scalar, µs",
    "rate": "points/s until finished",
    "import": "import, ms over bare Python",
    "empty": "open + start + finish an empty run, ms",
    "run": "a run of 10 params, 3 tags, 10 metrics x 10 steps, ms",
    "list": "list {runs:,} runs, first call, ms",
    "best": "top ten of {runs:,}, first call, ms",
    "curve": "one curve of 10 points, first call, ms",
    "compare": "compare two runs, first call, ms",
    "files": "six {megabytes} MB files (1 % changed each), s",
    "stored": "the same, MB stored",
    "again": "the identical file again, ms",
    "processes": "four processes, points/s in sum",
}
LESS_IS_BETTER = ROWS.keys() - {"rate", "processes"}

Figures = dict[str, float]


def milliseconds(task: Callable[[], object]) -> float:
    """Return the milliseconds that a task takes."""
    begin = time.perf_counter()
    task()
    return (time.perf_counter() - begin) * 1000


# In the process of a tracker


def log_empty(title: str, folder: Path, _given: argparse.Namespace) -> Figures:
    """Open, start and finish an empty run."""

    def empty() -> None:
        with TRACKERS[title].log(folder):
            pass

    __import__(TRACKERS[title].module)
    return {"empty": milliseconds(empty)}


def log_points(title: str, folder: Path, given: argparse.Namespace) -> Figures:
    """Log one scalar a call."""
    found = peers.log_in_this_process(TRACKERS[title].log, folder, given.points, given.seconds)
    return {"log": found["median"], "rate": found["points"] / found["seconds"]}


def log_beside_others(title: str, folder: Path, given: argparse.Namespace) -> Figures:
    """Begin to log at a moment that all processes were given; return when this one ended."""
    with TRACKERS[title].log(folder) as log:
        time.sleep(max(0.0, given.moment - time.time()))
        begin, points = time.time(), 0
        while points < given.points and (points % 100 or time.time() - begin < given.seconds):
            log(1 / (1 + points), points)
            points += 1
    return {"points": points, "begin": begin, "end": time.time()}


def make_runs(title: str, folder: Path, given: argparse.Namespace) -> Figures:
    """Make all runs; the first one, which imports what the others use, does not count."""
    with TRACKERS[title](folder).runs() as make:
        times = [milliseconds(lambda made=made: make(made)) for made in runs_to_make(given.runs)]
    return {"run": statistics.median(times[1:])}


def ask(title: str, folder: Path, given: argparse.Namespace) -> Figures:
    """Ask one question for the first time."""
    question = TRACKERS[title](folder).questions(given.runs)[given.question]
    found: list[int] = []
    took = milliseconds(lambda: found.append(question()))
    expected = {"list": given.runs, "best": min(10, given.runs), "curve": 10, "compare": 10}[given.question]
    assert found == [expected], f"{given.question}: found {found[0]}, not {expected}"
    return {given.question: took}


def store_files(title: str, folder: Path, _given: argparse.Namespace) -> Figures:
    """Store six versions, and the last one again."""
    versions = sorted((folder / SOURCES).iterdir())
    before = bytes_of(folder)
    tracker = TRACKERS[title](folder)
    with tracker.files() as store:

        def store_all() -> None:
            for version in versions:
                store(version)

        took = milliseconds(store_all) / 1000
    stored = (bytes_of(folder) - before) / MB
    with tracker.files() as store:
        again = milliseconds(lambda: store(versions[-1]))
    return {"files": took, "stored": stored, "again": again}


TASKS: dict[str, Callable[[str, Path, argparse.Namespace], Figures]] = {
    "empty": log_empty,
    "log": log_points,
    "beside": log_beside_others,
    "run": make_runs,
    "ask": ask,
    "files": store_files,
}


def bytes_of(folder: Path) -> int:
    """The bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


# In the process of the benchmark


class Failure(Exception):
    """A tracker did not do what it was asked."""


class Place:
    """Where a tracker is installed, and how its processes are started."""

    def __init__(self, title: str, environments: Path | None, given: argparse.Namespace) -> None:
        self.title = title
        self.kind = TRACKERS[title]
        self.given = given
        self.python, paths = Path(sys.executable), [str(ROOT)]
        if environments is None or self.kind.distribution is None:
            paths += sys.path
        else:
            scripts = "Scripts/python.exe" if os.name == "nt" else "bin/python"
            self.python = environments / self.kind.distribution / scripts
        self.environment = os.environ | {"PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))

    @property
    def version(self) -> str:
        """The version that is installed; Failure if there is none."""
        if self.kind.distribution is None:
            return ""
        if not self.python.exists():
            raise Failure("not installed")
        code = f"import importlib.metadata as m; print(m.version({self.kind.distribution!r}))"
        return self._call(["-c", code], Path.cwd()).strip()

    def _call(self, words: Sequence[str], folder: Path) -> str:
        environment = self.environment | {"HOME": str(folder)}
        command = [str(self.python), *words]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
        )
        if done.returncode:
            raise Failure(last_said(done.stderr or done.stdout, done.returncode))
        return done.stdout

    def words(self, task: str, folder: Path, **more: object) -> list[str]:
        """The command of a task, without the interpreter."""
        options = {"points": self.given.points, "seconds": self.given.seconds, "runs": self.given.runs} | more
        words = ["-m", "benchmarks.peer_table", "--inside", str(folder), "--task", task, "--only", self.title]
        return words + [word for name, value in options.items() for word in (f"--{name}", str(value))]

    def run(self, task: str, folder: Path, **more: object) -> Figures:
        """Run a task in a fresh process."""
        return last_line(self._call(self.words(task, folder, **more), folder))

    def import_ms(self, folder: Path) -> float:
        """How much longer Python takes with the tracker than without, medians of processes in turn."""
        codes = {"pass": list[float](), f"import {self.kind.module}": list[float]()}
        for number in range(self.given.fresh + 1):
            for code, times in codes.items():
                took = milliseconds(lambda code=code: self._call(["-c", code], folder))
                if number:  # the first one compiles
                    times.append(took)
        bare, whole = (statistics.median(times) for times in codes.values())
        return whole - bare

    def together(self, folder: Path) -> float:
        """Points a second of four processes in sum."""
        environment = self.environment | {"HOME": str(folder)}
        self.run("empty", folder)  # the store exists
        moment = time.time() + self.given.begins
        command = [str(self.python), *self.words("beside", folder, moment=moment)]
        started = [
            subprocess.Popen(
                command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for _ in range(PROCESSES)
        ]
        said = [process.communicate() for process in started]
        for process, (output, errors) in zip(started, said, strict=True):
            if process.returncode:
                raise Failure(last_said(errors or output, process.returncode))
        found = [last_line(output) for output, _ in said]
        span = max(one["end"] for one in found) - min(one["begin"] for one in found)
        return sum(one["points"] for one in found) / span


def last_said(output: str, code: int) -> str:
    """The last line of what a process said, or its exit code."""
    return (output.strip().splitlines() or [f"exit {code}"])[-1]


def last_line(output: str) -> Figures:
    """Read what a task printed last."""
    found: Figures = json.loads(last_said(output, 0))
    return found


def write_versions(folder: Path, megabytes: int) -> None:
    """Write six versions of float32 numbers, 1 % of them changed in each."""
    chance, place = random.Random(0), folder / SOURCES
    place.mkdir()
    numbers = array("f", [chance.gauss(0, 0.02) for _ in range(megabytes * MB // 4)])
    count = len(numbers) // 100
    for version in range(VERSIONS):
        begin = chance.randrange(len(numbers) - count)
        numbers[begin : begin + count] = array("f", [chance.gauss(0, 0.02) for _ in range(count)])
        (place / f"{version}.bin").write_bytes(numbers.tobytes())


def measure(place: Place) -> tuple[Figures, list[str]]:
    """All figures of a tracker, and what it could not do although it has a call for it."""
    figures: Figures = {}
    problems: list[str] = []

    def part(name: str, work: Callable[[Path], Mapping[str, float]]) -> None:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            try:
                figures.update(work(Path(folder)))
            except (Failure, subprocess.TimeoutExpired, KeyError, ValueError) as error:
                problems.append(f"{place.title}, {name}: {error}")

    def starts(folder: Path) -> Figures:
        times = [place.run("empty", folder)["empty"] for _ in range(place.given.fresh + 1)]
        return {"import": place.import_ms(folder), "empty": statistics.median(times[1:])}

    def runs(folder: Path) -> Figures:
        figures.update(place.run("run", folder))
        for question in QUESTIONS if has(place.kind, "questions") else ():
            times = [place.run("ask", folder, question=question)[question] for _ in range(place.given.fresh)]
            figures[question] = statistics.median(times)
        return figures

    def files(folder: Path) -> Figures:
        write_versions(folder, place.given.megabytes)
        return place.run("files", folder)

    part("start", starts)
    part("log", lambda folder: place.run("log", folder))
    part("runs", runs)
    if has(place.kind, "files"):
        part("files", files)
    part("processes", lambda folder: {"processes": place.together(folder)})
    return figures, problems


def has(kind: type[Any], what: str) -> bool:
    """Whether a tracker has a call for this."""
    return what in vars(kind)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--environments", type=Path, help="a folder with an environment for each tracker")
    parser.add_argument("--points", type=int, help="at most, in each process that logs")
    parser.add_argument("--seconds", type=float, help="at most, in each process that logs")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--fresh", type=int, help="processes of which each first call is the median")
    parser.add_argument("--megabytes", type=int)
    parser.add_argument("--begins", type=float, help="seconds after which four processes begin to log")
    parser.add_argument("--only", action="append", choices=list(TRACKERS), help="one tracker; may be repeated")
    for hidden in ("--inside", "--task", "--question", "--moment"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    defaults = {"points": 20_000, "seconds": 10, "runs": 1000, "megabytes": 50, "begins": 20, "fresh": 5}
    for name, value in defaults.items():
        if getattr(given, name) is None:
            setattr(given, name, scaled(value, given.quick and name != "begins"))
    titles = given.only or list(TRACKERS)
    if given.inside:
        given.moment = float(given.moment or 0)
        print(json.dumps(TASKS[given.task](titles[0], Path(given.inside), given)))
        return
    compile_package()
    table: dict[str, Figures] = {}
    problems: list[str] = []
    for title in titles:
        place = Place(title, given.environments, given)
        try:
            name = f"{title} {place.version}".strip()
        except Failure:
            print(f"not installed, left out: {title}", flush=True)
            continue
        table[name], failed = measure(place)
        problems += failed
    columns = [
        (text.format(runs=given.runs, megabytes=given.megabytes), *(f.get(row, "-") for f in table.values()))
        for row, text in ROWS.items()
    ]
    print_table(("", *table), columns)
    for line in problems:
        print(f"failed: {line}")
    ours = table.get("exptrack", {})
    for row in ROWS:
        theirs = {n: f[row] for n, f in table.items() if row in f and n not in ("exptrack", "sqlite3")}
        if row in ours and theirs:
            best = (min if row in LESS_IS_BETTER else max)(theirs, key=lambda name: theirs[name])
            text = ROWS[row].format(runs=given.runs, megabytes=given.megabytes)
            headline(f"{text}: {ours[row]:.3g}; the best of {len(theirs)} others: {theirs[best]:.3g} ({best})")


if __name__ == "__main__":
    main()
