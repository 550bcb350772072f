"""Archives for the page to show: one with everything, and one with many metrics."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy

from exptrack import Archive, RecordedRun, Run, StudyConfig, Trial

STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUNS = 24
POINTS = 200
TRACEBACK = (
    'Traceback (most recent call last):\n  File "train.py", line 7, in <module>\nRuntimeError: diverged\n'
)


@dataclass(frozen=True)
class Contents:
    """Where the archive is, and which run shows what."""

    path: Path
    rich: str  # has every kind of artifact, notes, attributes and inputs
    running: str
    failed: str
    best: str
    study: str


def make_curve(lr: float, seed: int, points: int = POINTS) -> list[float]:
    chance = numpy.random.default_rng(seed)
    level = abs(math.log10(lr) + 2) / 2
    steps = numpy.arange(points)
    return list(level + 2 * numpy.exp(-steps / 40) + chance.normal(0, 0.02, points))


def make_record(number: int, **other: object) -> RecordedRun:
    """Make the record of one run of a small search over learning rates and seeds."""
    lr, seed = (0.1, 0.01, 0.001, 0.0001)[number % 4], number // 4
    loss = make_curve(lr, number)
    metrics = {"train/loss": loss, "train/acc": [math.exp(-value) for value in loss]}
    config = {
        "optim": {"lr": lr, "name": ("adam", "sgd")[number % 2], "nesterov": number % 2 == 1},
        "model": {"depth": 2 + number % 3, "layers": [64, 64]},
        "seed": seed,
    }
    return RecordedRun(
        config,
        STARTED + timedelta(hours=number),
        duration_s=60.0 + number,
        **{  # type: ignore[arg-type]
            "metrics": {name: (range(POINTS), values) for name, values in metrics.items()},
            "name": f"run-{number:02}",
            "tags": ["baseline"] if number % 3 else ["paper", "good"],
            "group": f"lr{lr:g}",
            "script": "train.py",
            "commit": "0123456789abcdef0123456789abcdef01234567",
        }
        | other,
    )


def _log_everything(run: Run) -> None:
    chance = numpy.random.default_rng(0)
    for step in range(0, 100, 20):
        image = chance.integers(0, 255, (48, 64, 3), dtype=numpy.uint8)
        image[:, : 10 + step // 3] = (40, 90, 200)
        run.log_image("samples/digits", image, step)
        run.log_histogram("weights", chance.normal(0, 1 + step / 50, 500), step)
    run.log_table("mistakes", {"true": [1, 2, 3], "guessed": ["7", "1", "8"], "p": [0.5, math.nan, 0.25]})
    run.log_text("sample.txt", "the quick brown fox\njumps over the lazy dog\n", 100)
    run.artifacts.register_data("model.npz", bytes(range(256)) * 40, {"format": "npz"}, aliases=["best"])
    for step in range(50):
        run.log({"loss": 1 / (1 + step), "spiky": math.nan if step % 10 == 3 else step % 7}, step)
    run.log({"loss": math.inf, "constant": 3.0}, 50)
    run.add_note("The first run with everything in it.")
    run.set_attributes({"reviewed": True, "score": 0.75})


def _add_study(archive: Archive) -> str:
    config = StudyConfig("digits", "minimize", "random", metric="loss")
    study = archive.create_study(config)

    def objective(trial: Trial) -> float:
        lr = trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True)
        depth = trial.suggest_int("model.depth", 1, 4)
        trial.suggest_choice("optim.name", ["adam", "sgd"])
        return abs(math.log10(lr) + 2) + depth / 10

    study.optimize(objective, 6)
    return study.name


@contextlib.contextmanager
def fill_archive(path: Path) -> Iterator[Contents]:
    """Make an archive that has everything; one run goes on until the block is left."""
    with Archive(path) as archive:
        records = [make_record(number) for number in range(RUNS)]
        records.append(
            make_record(2, status="failed", reason="RuntimeError: diverged", traceback=TRACEBACK, name="broken")
        )
        records.append(make_record(3, status="interrupted", reason="killed by signal 9", name=None, group=None))
        made = archive.record_runs(records)
        study = _add_study(archive)
        data = archive.start_run({"seed": 1}, ["data"], name="prepare")
        data.artifacts.register_data("train.csv", "x,y\n1,2\n", kind="dataset")
        data.complete()
        rich = archive.start_run(
            {"optim": {"lr": 0.02}, "seed": 7}, ["everything"], name="everything", data={"digits": "sklearn"}
        )
        rich.use_artifact(f"{data.run_id}/train.csv")
        _log_everything(rich)
        rich.complete()
        running = archive.start_run({"optim": {"lr": 0.03}, "seed": 8}, ["live"], name="going on")
        running.log_many("train/loss", range(POINTS), make_curve(0.03, 5))
        running.flush()
        yield Contents(path, rich.run_id, running.run_id, made[RUNS], made[1], study)
        running.complete()


def make_archive_of_many_metrics(path: Path, metrics: int) -> str:
    """Make an archive with one run that logged many metrics, and return the run's id."""
    with Archive(path) as archive:
        names = [f"layer{number // 10}/norm{number % 10}" for number in range(metrics)]
        record = make_record(0, metrics={name: (range(3), [1.0, 2.0, n]) for n, name in enumerate(names)})
        return archive.record_runs([record])[0]
