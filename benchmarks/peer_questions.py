"""How long do other trackers take to answer the questions of a person?

    python -m benchmarks.peer_questions [--runs 300] [--repeat 9] [--quick]

Each tracker works in a fresh process and folder, through its own API. It stores the runs, with six config keys
and three metrics of five points. Then it answers in turn: all runs with config and last values; the ten best by
a metric; the runs with one config value and a metric above a bound. The baseline is exptrack in the same table.

Trackers that are not installed (``pip install 'exptrack-archive[bench]'``) are named and left out. So are
questions that a tracker cannot answer.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.timing import argument_parser, headline, in_turn, print_table, scaled
from exptrack import Archive

LIST, BEST, FILTER = "list all", "ten best", "by config and metric"
BOUND = 0.9
STEPS = 5
Questions = dict[str, Callable[[], int]]


class Made(NamedTuple):
    """A run to be made."""

    config: dict[str, Any]
    curves: list[dict[str, float]]


def runs_to_make(count: int) -> Iterator[Made]:
    """Yield the runs to store; they are the same for every tracker."""
    chance = random.Random(0)
    for number in range(count):
        config = {"lr": 10 ** chance.uniform(-5, -1), "optimizer": chance.choice(["adam", "sgd", "lion"])}
        config |= {"seed": number, "batch": chance.choice([32, 64]), "depth": chance.randrange(9), "name": "x"}
        curves = [{name: chance.random() for name in ("acc", "loss", "f1")} for _ in range(STEPS)]
        yield Made(config, curves)


def exptrack(folder: Path, count: int) -> Questions:
    archive = Archive(folder / "lab.db")
    for made in runs_to_make(count):
        with archive.start_run(made.config) as run:
            for step, values in enumerate(made.curves):
                run.log(values, step)
    wanted = f"config.optimizer = adam and metrics.acc > {BOUND}"
    return {
        LIST: lambda: len(archive.runs().to_dicts()),
        BEST: lambda: len(archive.best_runs("acc", "maximize", limit=10)),
        FILTER: lambda: len(archive.runs().where(wanted).list()),
    }


def mlflow(folder: Path, count: int) -> Questions:
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("benchmark")
    for made in runs_to_make(count):
        run_id = client.create_run(experiment).info.run_id
        metrics = [Metric(n, v, 0, step) for step, values in enumerate(made.curves) for n, v in values.items()]
        client.log_batch(run_id, metrics, [Param(key, str(value)) for key, value in made.config.items()])
        client.set_terminated(run_id)
    wanted = f"params.optimizer = 'adam' and metrics.acc > {BOUND}"

    def found(text: str, most: int, order: list[str] | None = None) -> int:
        return len(client.search_runs([experiment], text, max_results=most, order_by=order))

    return {
        LIST: lambda: found("", count),
        BEST: lambda: found("", 10, ["metrics.acc DESC"]),
        FILTER: lambda: found(wanted, count),
    }


def trackio(folder: Path, count: int) -> Questions:
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    for number, made in enumerate(runs_to_make(count)):
        trackio.init(project="benchmark", name=f"run{number}", config=made.config, embed=False)
        for step, values in enumerate(made.curves):
            trackio.log(values, step=step)
        trackio.finish()
    acc = "json_extract(m.metrics, '$.acc')"
    last = (
        f"metrics AS m WHERE m.step = (SELECT max(step) FROM metrics AS o WHERE o.run_id = m.run_id) AND {acc}"
    )
    config = "SELECT run_id FROM configs WHERE json_extract(config, '$.optimizer') = 'adam'"

    def asked(sql: str) -> int:
        return int(SQLiteStorage.query_project("benchmark", sql, max_rows=10**6)["row_count"])

    return {
        LIST: lambda: asked(f"SELECT * FROM configs AS c JOIN {last} IS NOT NULL AND m.run_id = c.run_id"),
        BEST: lambda: asked(f"SELECT m.run_name, {acc} FROM {last} IS NOT NULL ORDER BY 2 DESC LIMIT 10"),
        FILTER: lambda: asked(f"SELECT m.run_name FROM {last} > {BOUND} AND m.run_id IN ({config})"),
    }


# Title: how it is asked, and the package it needs.
TRACKERS: dict[str, tuple[Callable[[Path, int], Questions], str | None]] = {
    "exptrack": (exptrack, None),
    "Trackio": (trackio, "trackio"),
    "MLflow": (mlflow, "mlflow"),
}


def ask_in_this_process(title: str, folder: Path, count: int, repeat: int) -> dict[str, Any]:
    """Make the runs and ask; return the milliseconds and the number of runs of each answer."""
    questions = TRACKERS[title][0](folder, count)
    answers = {name: question() for name, question in questions.items()}
    times = in_turn(questions, repeat)
    return {name: [statistics.median(times[name]), answers[name]] for name in questions}


def ask_in_a_fresh_process(title: str, count: int, repeat: int) -> dict[str, Any] | str:
    """Measure in a fresh process; return its figures, or the end of its error output."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"HOME": folder, "PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
        command = [sys.executable, "-m", "benchmarks.peer_questions", "--inside", folder, "--only", title]
        command += ["--runs", str(count), "--repeat", str(repeat)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            return ((done.stderr or done.stdout).strip().splitlines() or ["it said nothing"])[-1]
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--only", action="append", choices=list(TRACKERS), help="one tracker; may be repeated")
    parser.add_argument("--inside", type=Path, help="ask in this process, in this folder")
    given = parser.parse_args(argv)
    count = scaled(300, given.quick) if given.runs is None else given.runs
    titles = given.only or list(TRACKERS)
    if given.inside:
        print(json.dumps(ask_in_this_process(titles[0], given.inside, count, given.repeat)))
        return
    found: dict[str, dict[str, Any]] = {}
    for title in titles:
        package = TRACKERS[title][1]
        if package is not None and importlib.util.find_spec(package) is None:
            print(f"not installed, left out: {title}")
            continue
        answer = ask_in_a_fresh_process(title, count, given.repeat)
        if isinstance(answer, str):
            print(f"failed, left out: {title}: {answer}")
            continue
        found[title] = answer
    print(f"{count:,} runs, {given.repeat} times each in turn; medians, in ms")
    print_table(
        ("tracker", LIST, BEST, FILTER, "runs found"),
        [(title, *(a[q][0] for q in (LIST, BEST, FILTER)), a[FILTER][1]) for title, a in found.items()],
    )
    for title in found.keys() - {"exptrack"}:
        if "exptrack" in found:
            ratios = [f"{q} {found[title][q][0] / found['exptrack'][q][0]:.1f}" for q in (LIST, BEST, FILTER)]
            headline(f"{title} takes, in times of exptrack: {', '.join(ratios)}")


if __name__ == "__main__":
    main()
