"""How many finished runs a second can be recorded? The archive of them serves other benchmarks.

    python -m benchmarks.make_archive [OUT] [--runs 10000] [--keys 20] [--metrics 10] [--bare] [--quick]

(also: --points 10 of each metric, --seed 0)

A seeded archive as a lab fills it in a year: learning rates from log-uniform ranges, optimizers, nested keys,
seeds, models, scripts, data, groups, names and tags, curves that fall or rise, some runs that diverge to NaN or
infinity, one in twenty failed with a reason, one in fifty interrupted. All of it goes through
``Archive.record_runs``. OUT must not exist; without OUT the archive is deleted. With ``--bare``, a plain
``sqlite3`` connection then inserts the same rows into the same tables of another file, in equal batches, for
comparison.
"""

from __future__ import annotations

import math
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.timing import argument_parser, headline, scaled
from exptrack import Archive, RecordedRun

YEAR_BEGINS = datetime(2025, 1, 1, tzinfo=UTC)
SECONDS_OF_YEAR = 365 * 86_400
BATCH_RUNS = 256

MODELS = ("resnet18", "resnet50", "vit_small", "vit_base", "convnext_tiny", "mlp", "gpt2", "bert_base")
OPTIMIZERS = ("adam", "adamw", "sgd", "lion", "rmsprop")
SCHEDULES = ("cosine", "linear", "constant", "step")
DATA = ("cifar10", "cifar100", "imagenet", "wikitext", "c4", "mnist")
SCRIPTS = ("train.py", "sweep.py", "finetune.py", "scripts/baseline.py", "experiments/ablation.py")
TAGS = ("baseline", "sweep", "ablation", "paper", "debug", "good", "rerun", "gpu")
HOSTS = ("node01", "node02", "node03", "laptop")
REASONS = (
    "CUDA out of memory",
    "RuntimeError: expected scalar type Float but found Half",
    "ValueError: loss is NaN",
    "FileNotFoundError: data/train.bin",
    "KeyError: 'optimizer'",
)
SCHEMA = """
SELECT sql FROM sqlite_schema WHERE type IN ('table', 'index') AND sql IS NOT NULL AND name <> 'sqlite_sequence'
"""
METRICS = ("loss", "acc", "val_loss", "val_acc", "grad_norm", "lr", "throughput", "memory_gb", "f1", "auc")


def _log_uniform(chance: random.Random, low: float, high: float) -> float:
    return float(f"{math.exp(chance.uniform(math.log(low), math.log(high))):.4g}")


def _config(chance: random.Random, keys: int) -> dict[str, Any]:
    """Make a nested config with `keys` values."""
    settings: list[tuple[str, str, Any]] = [
        ("", "lr", _log_uniform(chance, 1e-5, 1e-1)),
        ("", "optimizer", chance.choice(OPTIMIZERS)),
        ("", "seed", chance.randrange(10)),
        ("model", "name", chance.choice(MODELS)),
        ("data", "name", chance.choice(DATA)),
        ("optim", "weight_decay", chance.choice((0.0, 0.0001, 0.001, 0.01, 0.05))),
        ("", "batch_size", chance.choice((16, 32, 64, 128, 256))),
        ("", "epochs", chance.choice((10, 20, 50, 100))),
        ("model", "layers", chance.randrange(2, 25)),
        ("model", "width", chance.choice((128, 256, 512, 768, 1024))),
        ("model", "dropout", round(chance.uniform(0, 0.5), 2)),
        ("optim", "momentum", round(chance.uniform(0.8, 0.999), 3)),
        ("optim", "schedule", chance.choice(SCHEDULES)),
        ("optim", "warmup_steps", chance.choice((0, 100, 500, 1000))),
        ("data", "augment", chance.random() < 0.7),
        ("data", "shuffle", True),
        ("data", "crop", chance.choice(([224, 224], [192, 192], [32, 32]))),
        ("", "precision", chance.choice(("fp32", "bf16", "fp16"))),
        ("", "checkpoint", chance.choice((None, "best", "last"))),
        ("optim", "clip", _log_uniform(chance, 0.1, 10)),
    ]
    settings += [("extra", f"option_{n}", _log_uniform(chance, 1e-3, 1e3)) for n in range(keys - len(settings))]
    config: dict[str, Any] = {}
    for section, key, value in settings[:keys]:
        place = config.setdefault(section, {}) if section else config
        place[key] = value
    return config


def _curve(chance: random.Random, name: str, points: int, lr: float) -> list[float]:
    """A noisy curve towards a level that depends on the learning rate."""
    quality = math.exp(-((math.log10(lr) + 3) ** 2) / 2) * chance.uniform(0.7, 1.0)
    rising = name.endswith(("acc", "f1", "auc"))
    start, end = (0.1, 0.3 + 0.68 * quality) if rising else (2.5, 0.05 + 2.0 * (1 - quality))
    found = []
    for n in range(points):
        share = 1 - math.exp(-4 * (n + 1) / points)
        found.append(start + (end - start) * share + chance.uniform(-0.01, 0.01))
    return found


def _record(chance: random.Random, number: int, runs: int, keys: int, metrics: int, points: int) -> RecordedRun:
    config = _config(chance, keys)
    lr = config["lr"]
    started = YEAR_BEGINS + timedelta(seconds=(number + chance.random()) * SECONDS_OF_YEAR / runs)
    duration = round(chance.lognormvariate(7, 1.2), 3)
    fate = chance.random()
    status = "failed" if fate < 0.05 else "interrupted" if fate < 0.07 else "completed"
    logged = points if status == "completed" else chance.randrange(1, points + 1)
    steps = list(range(0, 100 * logged, 100))
    begin = started.timestamp()
    times = [begin + duration * (n + 1) / points for n in range(logged)]
    names = [METRICS[n] if n < len(METRICS) else f"layer{n}/norm" for n in range(metrics)]
    curves = {name: (steps, _curve(chance, name, logged, lr), times) for name in names}
    if chance.random() < 0.01:
        # Diverged: from some point on there is nothing to compare.
        at, lost = chance.randrange(logged), chance.choice((math.nan, math.inf))
        for name in names[:4]:
            curves[name][1][at:] = [lost] * (logged - at)
    reason = None
    if status != "completed":
        reason = chance.choice(REASONS) if status == "failed" else "terminated by SIGTERM"
    sweep = chance.random() < 0.6
    return RecordedRun(
        config,
        started,
        duration,
        status,
        reason,
        name=f"{config['model']['name']}-{number}" if chance.random() < 0.8 else None,
        group=f"sweep-{number // 200}" if sweep else None,
        tags=chance.sample(TAGS, 2),
        notes=["worth another look"] if chance.random() < 0.01 else (),
        metrics=curves,
        host=chance.choice(HOSTS),
        python="CPython 3.11.9",
        script=chance.choice(SCRIPTS),
        data={"train": f"s3://lab/{config['data']['name']}/{number // 20_000}"},
        commit=f"{number // 500:040x}",
        dirty=chance.random() < 0.3,
        branch="main",
    )


def make_records(
    runs: int, keys: int = 20, metrics: int = 10, points: int = 10, seed: int = 0
) -> Iterator[RecordedRun]:
    """The records of a lab's year, oldest first."""
    chance = random.Random(seed)
    for number in range(runs):
        yield _record(chance, number, runs, keys, metrics, points)


def fill(archive: Archive, records: Iterator[RecordedRun]) -> tuple[int, float]:
    """Record all of it; how many runs there were, and the seconds that the archive took for them."""
    making = 0.0

    def timed() -> Iterator[RecordedRun]:
        nonlocal making
        while True:
            begin = time.perf_counter()
            record = next(records, None)
            making += time.perf_counter() - begin
            if record is None:
                return
            yield record

    begin = time.perf_counter()
    count = len(archive.record_runs(timed()))
    return count, time.perf_counter() - begin - making


def copy_bare(source: Path, target: Path) -> float:
    """Insert the rows of an archive into a new file like it by ``executemany``; return the seconds taken."""
    connection = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    objects = connection.execute(SCHEMA)
    schema = [sql for (sql,) in objects]
    tables = [sql.split()[2] for sql in schema if sql.startswith("CREATE TABLE")]
    bare = sqlite3.connect(target, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -16000"):
        bare.execute(f"PRAGMA {pragma}").fetchall()
    for sql in schema:
        bare.execute(sql)
    by_run = {
        "run": "id",
        "run_environment": "run",
        "run_config": "run",
        "config_value": "run",
        "run_tag": "run",
        "note": "run",
        "event": "run",
        "metric_series": "run",
    }
    shared = [name for name in tables if name in ("config_key", "config_source", "metric_name")]
    last = connection.execute("SELECT max(id) FROM run").fetchone()[0] or 0
    taken = 0.0
    for begin in range(0, last + 1, BATCH_RUNS):
        bounds = (begin, begin + BATCH_RUNS)
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in shared if not begin}
        for name, column in by_run.items():
            wanted = f"SELECT * FROM {name} WHERE {column} >= ? AND {column} < ?"
            rows[name] = connection.execute(wanted, bounds).fetchall()
        series = [row[0] for row in rows["metric_series"]]
        ends = (series[0], series[-1]) if series else (0, -1)
        points = "SELECT * FROM metric_point WHERE series BETWEEN ? AND ?"
        rows["metric_point"] = connection.execute(points, ends).fetchall()
        start = time.perf_counter()
        bare.execute("BEGIN IMMEDIATE")
        for name, batch in rows.items():
            if batch:
                bare.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(batch[0]))})", batch)
        bare.execute("COMMIT")
        taken += time.perf_counter() - start
    bare.close()
    connection.close()
    return taken


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("out", type=Path, nargs="?", help="where the archive goes")
    numbers = {"runs": 10_000, "keys": 20, "metrics": 10, "points": 10, "seed": 0}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, help=f"default {default:,}")
    parser.add_argument("--bare", action="store_true", help="compare with a bare connection")
    given = parser.parse_args(argv)
    if given.runs is None:
        given.runs = scaled(numbers["runs"], given.quick)
    for name, default in numbers.items():
        if getattr(given, name) is None:
            setattr(given, name, default)
    if given.keys < 5:
        parser.error("--keys: five are always there")
    with tempfile.TemporaryDirectory() as folder:
        out: Path = given.out or Path(folder) / "lab.db"
        if out.exists():
            parser.error(f"{out} is there already")
        records = make_records(given.runs, given.keys, given.metrics, given.points, given.seed)
        with Archive(out) as archive:
            count, seconds = fill(archive, records)
        rate = count / seconds
        size = out.stat().st_size
        print(f"{count:,} runs of {given.keys} keys, {given.metrics} metrics of {given.points} points")
        print(f"in {seconds:.1f} s, records made apart; {size / 1e6:,.0f} MB, {size / count:,.0f} bytes a run")
        headline(f"finished runs recorded: {rate:,.0f} a second (>= 1,000)")
        if given.bare:
            bare = count / copy_bare(out, Path(folder) / "bare.db")
            headline(
                f"the same rows by executemany on bare sqlite3: {bare:,.0f} a second, {bare / rate:.1f} x ours"
            )


if __name__ == "__main__":
    main()
