"""How long do the questions of users and of the web page take, on an archive of 100,000 runs?

    python -m benchmarks.questions [--archive FILE] [--runs 100000] [--repeat 15] [--quick]

``benchmarks.make_archive`` makes the archive in a temporary folder; FILE is one that it made before, and is
only read. Each question is answered in the same process, in turn: by the library, which gives records, and by
hand-written SQL on a bare ``sqlite3`` connection, which gives row ids. A connection of the library keeps sets
of runs until the file changes. So the library answers twice: after it has forgotten them, as after a commit,
and again. Last come the ten questions of ``schema/questions.sql``, and reading every run.
"""

from __future__ import annotations

import re
import sqlite3
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.make_archive import fill, make_records
from benchmarks.timing import argument_parser, headline, in_turn, print_table, quantile, scaled
from exptrack import Archive

QUESTIONS = Path(__file__).parent.parent / "schema" / "questions.sql"

# The filters that several questions use. BY_HAND holds each question in SQL, BOUNDS its limit in milliseconds.
AND = "config.lr < 0.01 and config.optimizer = 'adam' and metrics.val_acc.max >= 0.5"
OR = "config.model.name = 'gpt2' or tag = 'paper' or metrics.loss.min < 0.06"
NARROW = "config.lr < 2e-5 and config.model.name = 'mlp' and status = failed"
WIDE = "config.lr < 0.01"
USED = "data = 's3://lab/c4/0'"
HALF = "config.lr < 0.001 and metrics.val_acc > 0.5"
_KEY = "(SELECT id FROM config_key WHERE key = '{}')"
_METRIC = "(SELECT id FROM metric_name WHERE name = '{}')"
_LR = f"""EXISTS (SELECT 1 FROM config_value AS v
    WHERE v.run = r.id AND v.key = {_KEY.format("lr")} AND v.num < 0.01)"""
_NAMED = "EXISTS (SELECT 1 FROM config_value AS v WHERE v.run = {run} AND v.key = {key} AND v.text = '{text}')"


def _named(run: str, key: str, text: str) -> str:
    return _NAMED.format(run=run, key=_KEY.format(key), text=text)


_MAX_ACC = f"""EXISTS (SELECT 1 FROM metric_series AS m
    WHERE m.run = r.id AND m.metric = {_METRIC.format("val_acc")} AND m.max_value >= 0.5)"""
_AND = f"{_LR} AND {_named('r.id', 'optimizer', 'adam')} AND {_MAX_ACC}"
_OR = f"""({_named("r.id", "model.name", "gpt2")}
    OR EXISTS (SELECT 1 FROM run_tag AS t WHERE t.run = r.id AND t.tag = 'paper')
    OR EXISTS (SELECT 1 FROM metric_series AS m
        WHERE m.run = r.id AND m.metric = {_METRIC.format("loss")} AND m.min_value < 0.06))"""
_TWO = f"""EXISTS (SELECT 1 FROM config_value AS c
    WHERE c.run = {{run}} AND c.key = {_KEY.format("lr")} AND c.num < 0.001)
    AND EXISTS (SELECT 1 FROM metric_series AS m
    WHERE m.run = {{run}} AND m.metric = {_METRIC.format("val_acc")} AND m.last_value > 0.5)"""
_NEWEST = "ORDER BY r.started_at DESC LIMIT 20"
BY_HAND = {
    "newest 20": "SELECT r.id FROM run AS r ORDER BY r.started_at DESC LIMIT 20",
    "best 10 by a metric": f"""SELECT s.run FROM metric_series AS s
        WHERE s.metric = {_METRIC.format("val_acc")} AND s.completed = 1 AND s.last_value < 9e999
        ORDER BY s.last_value DESC LIMIT 10""",
    "three conditions, by the metric, 20": f"""SELECT r.id FROM metric_series AS s JOIN run AS r ON r.id = s.run
        WHERE s.metric = {_METRIC.format("val_acc")} AND s.completed = 1 AND s.max_value >= 0.5
        AND {_AND} ORDER BY s.max_value DESC LIMIT 20""",
    "three conditions, by start, 20": f"SELECT r.id FROM run AS r WHERE {_AND} {_NEWEST}",
    "an OR of three, by start, 20": f"SELECT r.id FROM run AS r WHERE {_OR} {_NEWEST}",
    "count, selective": f"""SELECT count(*) FROM config_value AS v JOIN run AS r ON r.id = v.run
        WHERE v.key = {_KEY.format("lr")} AND v.num < 2e-5
        AND {_named("r.id", "model.name", "mlp")} AND r.status = 'failed'""",
    "count, one unselective": f"""SELECT count(*) FROM config_value AS v
        WHERE v.key = {_KEY.format("lr")} AND v.num < 0.01""",
    "count, three conditions": f"SELECT count(*) FROM run AS r WHERE {_AND}",
    "count, an OR of three": f"SELECT count(*) FROM run AS r WHERE {_OR}",
    "count, runs with NaN": "SELECT count(DISTINCT run) FROM metric_series WHERE nan_count > 0",
    "count, of some data": """SELECT count(*) FROM run_environment AS e, json_each(e.data_references) AS j
        WHERE j.value = 's3://lab/c4/0'""",
    "of some data, by start, 20": f"""SELECT r.id FROM run AS r WHERE EXISTS (
        SELECT 1 FROM run_environment AS e, json_each(e.data_references) AS j
        WHERE e.run = r.id AND j.value = 's3://lab/c4/0') {_NEWEST}""",
    "two conditions, by a metric, 100, count": f"""SELECT s.run FROM metric_series AS s
        WHERE s.metric = {_METRIC.format("val_acc")} AND s.completed = 1 AND {_TWO.format(run="s.run")}
        ORDER BY s.last_value DESC""",
    "two conditions, by a key, 100, count": f"""SELECT o.run FROM config_value AS o
        WHERE o.key = {_KEY.format("lr")} AND o.num IS NOT NULL AND {_TWO.format(run="o.run")}
        ORDER BY o.num, o.run DESC""",
    "one run's full detail": "SELECT * FROM config_value WHERE run = (SELECT max(id) FROM run)",
    "diff of two": "SELECT * FROM config_value WHERE run >= (SELECT max(id) - 1 FROM run)",
    "100 rows by a config key": f"""SELECT run FROM config_value
        WHERE key = {_KEY.format("lr")} AND num IS NOT NULL ORDER BY num DESC, run DESC LIMIT 100""",
    "the order of all, by a metric": f"""SELECT run FROM metric_series
        WHERE metric = {_METRIC.format("val_acc")} AND completed = 1 ORDER BY last_value DESC, run DESC""",
    "the order of all, by a config key": f"""SELECT run FROM config_value
        WHERE key = {_KEY.format("lr")} AND num IS NOT NULL ORDER BY num, run DESC""",
    "100 rows from the middle of it": "SELECT run, key, num FROM config_value ORDER BY run LIMIT 100",
    "the keys and metrics of all": "SELECT key, count(*) FROM config_value WHERE num IS NOT NULL GROUP BY key",
    "the same of two conditions": f"""SELECT key, count(*), min(num), max(num) FROM config_value
        WHERE run IN (SELECT run FROM config_value WHERE key = {_KEY.format("lr")} AND num < 0.001
        INTERSECT SELECT run FROM metric_series WHERE metric = {_METRIC.format("val_acc")} AND last_value > 0.5)
        GROUP BY key""",
    "the values of a key, summarized": f"""SELECT count(*), avg(num) FROM config_value
        WHERE key = {_KEY.format("lr")} AND num IS NOT NULL""",
    "sizes and versions": "SELECT status, count(*) FROM run GROUP BY status",
    "every run read": "SELECT sum(duration_ms) FROM run",
}
BOUNDS = {
    "newest 20": 2,
    "best 10 by a metric": 2,
    "three conditions, by the metric, 20": 15,
    "three conditions, by start, 20": 15,
    "an OR of three, by start, 20": 30,
    "count, selective": 30,
    "count, one unselective": 30,
    "count, three conditions": 40,
    "count, an OR of three": 30,
    "count, runs with NaN": 150,
    "count, of some data": 150,
    "of some data, by start, 20": 150,
    "two conditions, by a metric, 100, count": 150,
    "two conditions, by a key, 100, count": 150,
    "one run's full detail": 5,
    "diff of two": 5,
    "100 rows by a config key": 50,
    "the order of all, by a metric": 200,
    "the order of all, by a config key": 400,
    "100 rows from the middle of it": 15,
    "the keys and metrics of all": 300,
    "the same of two conditions": 500,
    "the values of a key, summarized": 300,
    "sizes and versions": 20,
}
COLUMNS = ("run_id", "name", "status", "config.lr", "config.seed", "metrics.loss", "metrics.val_acc.max", "tag")


def asked(archive: Archive) -> dict[str, Callable[[], object]]:
    """Return each question as a call of the library, by its name."""
    a, b = (run.run_id for run in archive.runs().limit(2))
    runs = archive.runs
    by_metric = runs().order_by("-metrics.val_acc")
    order = by_metric.index()
    middle = order[len(order) // 2 :][:100]
    found: dict[str, Callable[[], object]] = {
        "newest 20": lambda: archive.list_runs(limit=20),
        "best 10 by a metric": lambda: archive.best_runs("val_acc", "maximize", limit=10),
        "three conditions, by the metric, 20": lambda: (
            runs().where(AND).order_by("-metrics.val_acc.max").limit(20).list()
        ),
        "three conditions, by start, 20": lambda: runs().where(AND).limit(20).list(),
        "an OR of three, by start, 20": lambda: runs().where(OR).limit(20).list(),
        "count, selective": lambda: runs().where(NARROW).count(),
        "count, one unselective": lambda: runs().where(WIDE).count(),
        "count, three conditions": lambda: runs().where(AND).count(),
        "count, an OR of three": lambda: runs().where(OR).count(),
        "count, runs with NaN": lambda: runs().where("has_nan").count(),
        "count, of some data": lambda: runs().where(USED).count(),
        "of some data, by start, 20": lambda: runs().where(USED).limit(20).list(),
        "two conditions, by a metric, 100, count": lambda: (
            runs().where(HALF).order_by("-metrics.val_acc").rows(COLUMNS)
        ),
        "two conditions, by a key, 100, count": lambda: runs().where(HALF).order_by("config.lr").rows(COLUMNS),
        "one run's full detail": lambda: archive.show_run(a),
        "diff of two": lambda: archive.diff_runs(a, b),
        "100 rows by a config key": lambda: runs().order_by("-config.lr").rows(COLUMNS),
        "the order of all, by a metric": by_metric.index,
        "the order of all, by a config key": runs().order_by("config.lr").index,
        "100 rows from the middle of it": lambda: archive.read_rows(middle, COLUMNS),
        "the keys and metrics of all": archive.fields,
        "the same of two conditions": lambda: runs().where(HALF).fields(),
        "the values of a key, summarized": lambda: runs().summarize("config.lr"),
        "sizes and versions": archive.info,
    }
    assert set(found) == set(BOUNDS)
    return found


def after_forgetting(archive: Archive, task: Callable[[], object]) -> Callable[[], object]:
    """Return the task, asked of connections that have kept nothing."""

    def forget_and_ask() -> object:
        for handle in list(archive._connection._handles):
            handle.kept.clear()
        return task()

    return forget_and_ask


def ten_questions(archive: Archive, bare: sqlite3.Connection) -> dict[str, Callable[[], object]]:
    """Return the ten questions of the schema as calls on a bare connection, without a limit of rows."""
    a, b = (run.run_id for run in archive.runs().limit(2))
    values = {"run": a, "other": b, "metric": "val_acc", "hash": "sha256:0"}

    def task(sql: str) -> Callable[[], object]:
        given: dict[str, Any] = {name: values[name] for name in re.findall(r":(\w+)", sql) if name in values}
        return lambda: bare.execute(sql, given).fetchall()

    blocks = QUESTIONS.read_text(encoding="utf-8").split("-- name: ")[1:]
    return {block.partition("\n")[0]: task(block.partition("\n")[2]) for block in blocks}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--archive", type=Path, help="one that benchmarks.make_archive made")
    parser.add_argument("--runs", type=int, help="default 100,000")
    parser.add_argument("--repeat", type=int, help="default 15")
    given = parser.parse_args(argv)
    count = given.runs or (200 if given.quick else 100_000)
    repeat = given.repeat or scaled(15, given.quick)
    with tempfile.TemporaryDirectory() as folder:
        place = given.archive or Path(folder) / "lab.db"
        if given.archive is None:
            with Archive(place) as archive:
                fill(archive, make_records(count))
        with Archive(place, mode="ro") as archive:
            measure(archive, repeat)


def measure(archive: Archive, repeat: int) -> None:
    """Ask all questions in turn and print what they took."""
    bare = sqlite3.connect(f"file:{archive.path}?mode=ro", uri=True)
    bare.execute("PRAGMA cache_size = -16000")
    runs = bare.execute("SELECT count(*) FROM run").fetchone()[0]
    ours, ten = asked(archive), ten_questions(archive, bare)
    tasks: dict[str, Callable[[], object]] = {}
    for name, task in ours.items():
        tasks[f"ours: {name}"], tasks[f"again: {name}"] = after_forgetting(archive, task), task
    for name, sql in BY_HAND.items():
        tasks[f"hand: {name}"] = lambda sql=sql: bare.execute(sql).fetchall()  # type: ignore[misc]
    tasks |= {f"ten: {name}": task for name, task in ten.items()}
    print(f"{runs:,} runs; {repeat} times each in turn")
    times = in_turn(tasks, repeat)
    bare.close()
    rows = []
    for name, bound in BOUNDS.items():
        mine, hand = times[f"ours: {name}"], statistics.median(times[f"hand: {name}"])
        median = statistics.median(mine)
        again = statistics.median(times[f"again: {name}"])
        rows.append((name, bound, median, min(mine), quantile(mine, 0.9), again, hand, median / hand))
        headline(
            f"{name}: {median:.2f} ms (<= {bound}), again {again:.2f} ms; by hand, bare rows: {hand:.2f} ms"
        )
    print_table(("milliseconds", "bound", "median", "least", "P90", "again", "by hand", "x"), rows)
    names = [f"ten: {name}" for name in ten] + ["hand: every run read"]
    found = [(name, statistics.median(times[name]), quantile(times[name], 0.9)) for name in names]
    print_table(("milliseconds, bare", "median", "P90"), found)
    slowest = max(found[:-1], key=lambda row: row[1])
    headline(f"the slowest of the ten questions: {slowest[0].removeprefix('ten: ')}, {slowest[1]:.1f} ms")


if __name__ == "__main__":
    main()
