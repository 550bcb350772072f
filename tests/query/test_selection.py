"""Selections give the runs, counts and pages of a naive evaluation in Python, whatever drives the query."""

from __future__ import annotations

import json
import math
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from exptrack import Archive
from exptrack.query import selection
from exptrack.query.asked import Order
from exptrack.query.conditions import STATISTICS, And, Comparison, Condition, Field, Not, Or
from exptrack.query.parser import parse_filter, parse_order
from exptrack.query.selection import Selection
from exptrack.runs.ownership import find_dead_runs
from tests.effort import tries

KEYS = ["lr", "optim", "optim.lr", 'odd "key"', "a b", "x"]
METRICS = ["acc", "loss", "val/acc.max", "min"]
WORDS = ["adam", "Adam", "ad", "true", "1", "", "a'b", "ä", "Ä%", "_", "[1]", "x\ny"]
BIG = 2**53 + 1
NUMBERS = [0, 1, -1, 2, 0.5, 1.0, 1e300, BIG, BIG + 1, 2**63 - 1, float(BIG), 0.1, -0.0]
POINTS = [0.0, 0.25, 0.5, 1.0, -2.0, math.nan, math.inf, -math.inf]
TIMES = [f"2026-01-0{day} 00:00:00.{part}" for day in (1, 2, 3) for part in ("000000", "500000")]
STATUSES = ["running", "completed", "failed", "interrupted"]
STUDIES = ["one", "tw'o"]
TRIAL_STATES = ["waiting", "running", "complete", "pruned", "fail"]
REFERENCES = ["s3://b/t", "x=1", 'q"x', "ä"]
TEXT_FIELDS = ["name", "group", "reason", "host", "commit", "parent", "branch", "study"]


@dataclass
class Model:
    """What a run holds, in plain Python."""

    config: dict[str, Any] = field(default_factory=dict)
    points: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    tag: list[str] = field(default_factory=list)
    note: list[str] = field(default_factory=list)
    artifact: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)


VALUES = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(WORDS),
    st.booleans(),
    st.none(),
    st.lists(st.sampled_from([1, 1.0, "a"]), max_size=2),
)
CONFIGS = st.dictionaries(st.sampled_from(["lr", 'odd "key"', "a b", "x"]), VALUES).flatmap(
    lambda plain: st.one_of(VALUES, st.fixed_dictionaries({}, optional={"lr": VALUES})).map(
        lambda optim: {**plain, "optim": optim}
    )
)
RUNS = st.builds(
    dict,
    config=CONFIGS,
    points=st.dictionaries(
        st.sampled_from(METRICS),
        st.lists(st.tuples(st.integers(-2, 3), st.sampled_from(POINTS)), min_size=1, max_size=4),
    ),
    tag=st.lists(st.sampled_from(["a", "b", "A'"]), unique=True),
    note=st.lists(st.sampled_from(["n", "later"]), max_size=2),
    artifact=st.lists(st.sampled_from(["model", "data"]), max_size=2),
    # The map as it is stored, which another program may have written with other escapes.
    data=st.builds(
        json.dumps,
        st.dictionaries(st.sampled_from(["train", "a=b", "ä"]), st.sampled_from(REFERENCES), max_size=2),
        ensure_ascii=st.booleans(),
    ),
    name=st.sampled_from([None, "one", "two"]),
    status=st.sampled_from(STATUSES),
    resumed=st.booleans(),
    started=st.sampled_from(TIMES),
    group=st.sampled_from([None, "g", "h"]),
    commit=st.sampled_from([None, "abc", "def"]),
    dirty=st.sampled_from([None, 0, 1]),
    duration_ms=st.sampled_from([0, 500, 60_000]),
    child=st.booleans(),
    # Several where a trial was tried again; the newest is last.
    trials=st.lists(st.tuples(st.sampled_from(STUDIES), st.sampled_from(TRIAL_STATES)), max_size=2),
)


def build(path: Path, wanted: list[dict[str, Any]]) -> list[Model]:
    """Record the wanted runs; facts that no call can set are written into the file afterwards."""
    models: list[Model] = []
    first = None
    with Archive(path) as archive:
        for one in wanted:
            parent = first if one["child"] else None
            run = archive.start_run(
                one["config"], one["tag"], name=one["name"], group=one["group"], parent=parent
            )
            first = first or run.run_id
            halves = [{}, {}]
            for name, points in one["points"].items():
                middle = len(points) // 2 if one["resumed"] else len(points)
                halves[0][name], halves[1][name] = points[:middle], points[middle:]
            for part, half in enumerate(halves):
                if part:
                    if not one["resumed"]:
                        break
                    run.fail("out of memory")
                    run = archive.resume_run(run.run_id)
                for name, points in half.items():
                    for step, value in points:
                        run.log_metric(name, value, step)
            for note in one["note"]:
                run.add_note(note)
            for artifact in one["artifact"]:
                run.artifacts.register_data(artifact, "x")
            if one["status"] == "completed":
                run.complete()
            elif one["status"] == "failed":
                run.fail("too hot")
            elif one["status"] == "interrupted":
                run.interrupt("ctrl-C")
        numbered = archive.list_runs()
    connection = sqlite3.connect(path)
    for number, one in enumerate(wanted, start=1):
        connection.execute(
            "UPDATE run SET started_at = ?, vcs_commit = ?, vcs_dirty = ?, duration_ms = ? WHERE id = ?",
            (one["started"], one["commit"], one["dirty"], one["duration_ms"], number),
        )
        connection.execute(
            "UPDATE run_environment SET data_references = ? WHERE run = ?", (one["data"], number)
        )
    connection.executemany(
        "INSERT INTO study (uid, name, created_at, settings) VALUES (?, ?, '2026-01-01 00:00:00.000000', '{}')",
        [(name, name) for name in STUDIES],
    )
    # This trial waits for a run, so it belongs to none.
    connection.execute("INSERT INTO trial (uid, study, number, state) VALUES ('0', 1, 0, 'waiting')")
    for number, one in enumerate(wanted, start=1):
        for study, state in one["trials"]:
            connection.execute(
                """
                INSERT INTO trial (uid, study, number, state, run_id)
                SELECT (SELECT count(*) FROM trial), s.id,
                       (SELECT count(*) FROM trial AS t WHERE t.study = s.id), ?,
                       (SELECT run_id FROM run WHERE id = ?)
                FROM study AS s WHERE s.name = ?
                """,
                (state, number, study),
            )
    # Without an owner, a running run does not count as dead.
    connection.execute("DELETE FROM run_owner")
    connection.commit()
    columns = "run_id, name, group_name, reason, host, vcs_commit, vcs_dirty, started_at, duration_ms, status"
    parent = "parent_run_id"
    branch = "(SELECT vcs_branch FROM run_environment WHERE run = run.id)"
    rows = connection.execute(f"SELECT {columns}, {parent}, {branch} FROM run ORDER BY id").fetchall()
    numbers = connection.execute(
        "SELECT r.id, s.name, t.number, t.state FROM trial AS t JOIN study AS s ON s.id = t.study"
        " LEFT JOIN run AS r ON r.run_id = t.run_id"
        " ORDER BY t.id"
    ).fetchall()
    connection.close()
    assert len(rows) == len(numbered) == len(wanted)
    for one, row in zip(wanted, rows, strict=True):
        model = Model(flat(one["config"]), one["points"], one["tag"], one["note"], one["artifact"])
        model.data = [word for key, value in json.loads(one["data"]).items() for word in words_of(key, value)]
        keys = "id name group reason host commit dirty started duration status parent branch".split()
        model.attributes = dict(zip(keys, row, strict=True))
        model.attributes["duration"] /= 1000
        values = [value for points in one["points"].values() for _step, value in points]
        model.attributes["has_nan"] = any(map(math.isnan, values))
        tried = [trial for run, *trial in numbers if run == len(models) + 1]
        of_trial = tried[-1] if tried else (None, None, None)
        model.attributes |= dict(zip(("study", "trial.number", "trial.state"), of_trial, strict=True))
        models.append(model)
    return models


def words_of(name: str, reference: str) -> list[str]:
    """What declared data is called: by its name, its reference, its digest (which these have not), or two."""
    return [name, reference, "", f"{name}={reference}"]


def flat(tree: dict[str, Any], before: str = "") -> dict[str, Any]:
    found = {}
    for key, value in tree.items():
        part = '"' + key.replace('"', '\\"') + '"' if '"' in key else key
        if isinstance(value, dict) and value:
            found |= flat(value, f"{before}{part}.")
        else:
            found[f"{before}{part}"] = value
    return found


# The naive evaluation


def statistic(points: list[tuple[int, float]], name: str) -> float | None:
    numbers = [(value, step) for step, value in points if not math.isnan(value)]
    least = min(numbers, key=lambda pair: pair[0], default=(None, None))
    greatest = max(numbers, key=lambda pair: pair[0], default=(None, None))
    total = 0.0
    for value, _step in numbers:
        # Infinities of both signs have no sum: the first one stands.
        total = total if math.isnan(total + value) else total + value
    found: dict[str, float | None] = {
        "last": points[-1][1],
        "first": points[0][1],
        "last_step": points[-1][0],
        "first_step": points[0][0],
        "count": len(points),
        "nan_count": len(points) - len(numbers),
        "min": least[0],
        "min_step": least[1],
        "max": greatest[0],
        "max_step": greatest[1],
        "mean": total / len(numbers) if numbers else None,
    }
    value = found[name]
    return None if value is None or math.isnan(value) else value


def like(value: object, pattern: str) -> bool:
    """% and _ as in SQL; only ASCII letters have a case."""
    if not isinstance(value, str):
        return False
    lowered = ["".join(c.lower() if c.isascii() else c for c in text) for text in (value, pattern)]
    text, wanted = lowered
    reached = {0}
    for c in wanted:
        if c == "%":
            reached = set(range(min(reached, default=len(text) + 1), len(text) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(text) and c in ("_", text[at])}
    return len(text) in reached


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def alike(value: Any, operator: str, wanted: Any) -> bool:
    """Compare a config value with one of the same kind; numbers are compared exactly, as Python compares."""
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted
    if isinstance(wanted, list) or isinstance(value, (list, dict)):
        return json.dumps(value) == json.dumps(wanted)
    if isinstance(wanted, str) or isinstance(value, str):
        return isinstance(wanted, str) and isinstance(value, str) and COMPARE[operator](value, wanted)
    if value is None:
        return False
    return COMPARE[operator](value, wanted)


def holds(run: Model, condition: Condition) -> bool:
    if isinstance(condition, Not):
        return not holds(run, condition.condition)
    if isinstance(condition, And):
        return all(holds(run, one) for one in condition.conditions)
    if isinstance(condition, Or):
        return any(holds(run, one) for one in condition.conditions)
    kind = condition.field.kind
    if kind == "config":
        return holds_of_config(run, condition)
    if kind == "fact" and condition.field.name in ("tag", "note", "artifact", "data", "status"):
        words = statuses(run) if condition.field.name == "status" else getattr(run, condition.field.name)
        if condition.operator in ("is null", "exists", "is comparable"):
            return bool(words) is (condition.operator != "is null")
        if condition.operator == "!=":
            return condition.values[0] not in words
        return any(compared(word, condition) for word in words)
    if kind == "metric":
        points = run.points.get(condition.field.name)
        if condition.operator == "exists":
            return points is not None
        value = None if points is None else statistic(points, condition.field.statistic)
    else:
        value = run.attributes[condition.field.name]
    if condition.operator in ("is null", "exists", "is comparable"):
        return (value is None) is (condition.operator == "is null")
    return value is not None and compared(value, condition)


def statuses(run: Model) -> list[str]:
    """A completed run of a pruned trial is completed and pruned."""
    status = run.attributes["status"]
    pruned = status == "completed" and run.attributes["trial.state"] == "pruned"
    return [status, "pruned"] if pruned else [status]


def compared(value: Any, condition: Comparison) -> bool:
    if condition.operator == "like":
        return like(value, str(condition.values[0]))
    if condition.operator == "in":
        return value in condition.values
    return COMPARE[condition.operator](value, condition.values[0])


def holds_of_config(run: Model, condition: Comparison) -> bool:
    name, operator = condition.field.name, condition.operator
    below = {key: value for key, value in run.config.items() if key == name or key.startswith(f"{name}.")}
    present = any(value is not None for value in below.values())
    if operator == "exists":
        return bool(below)
    if operator in ("is null", "is comparable"):
        return present is (operator == "is comparable")
    equal = name in run.config and any(alike(run.config[name], "=", wanted) for wanted in condition.values)
    if operator == "!=":
        return present and not equal
    if operator in ("=", "in"):
        return equal
    if operator == "like":
        return name in run.config and like(run.config[name], str(condition.values[0]))
    return name in run.config and alike(run.config[name], operator, condition.values[0])


def sort_key(run: Model, asked: Field) -> Any:
    """Return what orders a run: numbers come before texts, and None last either way."""
    if asked.kind == "metric":
        points = run.points.get(asked.name)
        value = None if points is None else statistic(points, asked.statistic)
    elif asked.kind == "config":
        value = run.config.get(asked.name)
        if isinstance(value, (bool, list, dict)):
            value = json.dumps(value, separators=(",", ":"))
    elif asked.name in ("tag", "note", "artifact"):
        value = min(getattr(run, asked.name), default=None)
    else:
        value = run.attributes[asked.name]
    if value is None:
        return None
    return (0, value) if is_number(value) else (1, value)


def in_order(runs: list[tuple[int, Model]], orders: list[Order]) -> list[int]:
    found = sorted(runs, key=lambda pair: -pair[0])
    for one in reversed(orders):
        present = [pair for pair in found if sort_key(pair[1], one.field) is not None]
        present.sort(key=lambda pair: sort_key(pair[1], one.field), reverse=False)
        if one.descending:
            # Equal runs keep their order, also when the greatest value comes first.
            groups: dict[Any, list[tuple[int, Model]]] = {}
            for pair in present:
                groups.setdefault(sort_key(pair[1], one.field), []).append(pair)
            present = [pair for key in sorted(groups, reverse=True) for pair in groups[key]]
        found = present + [pair for pair in found if sort_key(pair[1], one.field) is None]
    return [number for number, _run in found]


# Random conditions

ORDERED = ["=", "!=", "<", "<=", ">", ">="]
VALUELESS = ["is null", "exists", "is comparable"]


def comparisons_of(
    asked: st.SearchStrategy[Field], operators: list[str], values: st.SearchStrategy[Any]
) -> st.SearchStrategy[Comparison]:
    def with_values(operator: str) -> st.SearchStrategy[tuple[Any, ...]]:
        if operator in VALUELESS:
            return st.just(())
        return st.lists(values, min_size=1, max_size=3 if operator == "in" else 1).map(tuple)

    return st.sampled_from(operators).flatmap(
        lambda o: st.builds(Comparison, asked, st.just(o), with_values(o), st.just(0))
    )


def attributes(*names: str) -> st.SearchStrategy[Field]:
    return st.sampled_from([Field("fact", name) for name in names])


CONFIG_FIELDS = st.sampled_from(
    [Field("config", key) for key in ("lr", "optim", "optim.lr", '"odd \\"key\\""', "a b", "x", "no")]
)
METRIC_FIELDS = st.builds(
    Field, st.just("metric"), st.sampled_from([*METRICS, "none"]), st.sampled_from(STATISTICS)
)
SCALARS = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(WORDS))
LEAVES = st.one_of(
    comparisons_of(CONFIG_FIELDS, [*ORDERED, "in", *VALUELESS], SCALARS),
    comparisons_of(CONFIG_FIELDS, ["=", "!=", "in"], VALUES.filter(lambda value: value is not None)),
    comparisons_of(
        CONFIG_FIELDS, ["like"], st.sampled_from(["%", "a%", "_d%", "AD_M", "ä", "", "%'%", "tru_"])
    ),
    comparisons_of(
        METRIC_FIELDS, [*ORDERED, "in", *VALUELESS], st.sampled_from([0, 1, 0.5, -2.0, 2, math.inf, -math.inf])
    ),
    comparisons_of(
        attributes("tag", "note", "artifact"),
        ["=", "!=", "in", *VALUELESS],
        st.sampled_from(["a", "b", "A'", "n", "model"]),
    ),
    comparisons_of(attributes("tag", "note", "artifact"), ["like"], st.sampled_from(["%", "A%", "_"])),
    comparisons_of(
        attributes("data"),
        ["=", "!=", "in", *VALUELESS],
        st.sampled_from(
            ["train", "a=b", "a", "b", "ä", "x", "", *REFERENCES, "train=ä", "a=b=x=1", "ä=s3://b/t"]
        ),
    ),
    comparisons_of(attributes("data"), ["like"], st.sampled_from(["%", "A%", "%=%", '%"x'])),
    comparisons_of(
        attributes(*TEXT_FIELDS),
        [*ORDERED, "in", *VALUELESS],
        st.sampled_from(["one", "two", "g", "abc", "too hot", "", "zz", *STUDIES]),
    ),
    comparisons_of(attributes(*TEXT_FIELDS, "id"), ["like"], st.sampled_from(["%", "O%", "t_%"])),
    comparisons_of(attributes("status"), ["=", "!=", "in", *VALUELESS], st.sampled_from([*STATUSES, "pruned"])),
    comparisons_of(attributes("trial.state"), ["=", "!=", "in", *VALUELESS], st.sampled_from(TRIAL_STATES)),
    comparisons_of(attributes("trial.number"), [*ORDERED, "in", *VALUELESS], st.sampled_from([0, 1, 2, 0.5])),
    comparisons_of(attributes("started"), [*ORDERED, "in", *VALUELESS], st.sampled_from(TIMES)),
    comparisons_of(attributes("duration"), [*ORDERED, "in", *VALUELESS], st.sampled_from([0, 0.5, 60, 1])),
    comparisons_of(attributes("dirty", "has_nan"), ["=", "!=", "in", *VALUELESS], st.booleans()),
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
ORDERS = st.lists(
    st.builds(
        Order,
        st.one_of(
            CONFIG_FIELDS,
            METRIC_FIELDS,
            attributes(*TEXT_FIELDS, "id", "started", "duration", "tag", "note", "artifact", "status", "dirty"),
            attributes("trial.number", "trial.state"),
        ),
        st.booleans(),
    ),
    min_size=1,
    max_size=2,
)


# The same as text


def quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def field_text(asked: Field) -> str:
    if asked.kind == "config":
        parts = ['odd "key"'] if asked.name.startswith('"') else asked.name.split(".")
        return "config." + ".".join(map(quoted, parts))
    if asked.kind == "metric":
        return f"metrics.{quoted(asked.name)}" + ("" if asked.statistic == "last" else f".{asked.statistic}")
    return asked.name


def value_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, list):
        return json.dumps(value)
    return f"{value:+}" if value in (math.inf, -math.inf) else repr(value)


def condition_text(condition: Condition) -> str:
    if isinstance(condition, Not):
        return f"not ({condition_text(condition.condition)})"
    if isinstance(condition, (And, Or)):
        word = " and " if isinstance(condition, And) else " OR "
        return word.join(f"({condition_text(one)})" for one in condition.conditions)
    name, values = field_text(condition.field), [value_text(value) for value in condition.values]
    if condition.operator == "is comparable":
        return f"{name} is not null"
    if condition.operator == "is null":
        return f"{name} IS NULL"
    if condition.operator == "exists":
        return f"exists {name}"
    if condition.operator == "in":
        return f"{name} in ({', '.join(values)})"
    return f"{name} {condition.operator} {values[0]}"


def sayable(condition: Condition) -> bool:
    """Return whether the language can say it: no text means an empty And or Or."""
    if isinstance(condition, Not):
        return sayable(condition.condition)
    if isinstance(condition, (And, Or)):
        return bool(condition.conditions) and all(map(sayable, condition.conditions))
    return True


@pytest.fixture
def thresholds(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the number of runs above which an index of the order is preferred."""

    def choose(few: int) -> None:
        monkeypatch.setattr(selection, "FEW", few)
        monkeypatch.setattr(selection, "MOST_WHEN_COUNTING", few)
        monkeypatch.setattr(selection, "FEW_FOR_SETS", few)

    return choose


@settings(
    max_examples=tries(30),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],  # explaining takes minutes
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_compiled_sql_answers_as_a_naive_evaluation_does(
    thresholds: Callable[[int], None], data: st.DataObject
) -> None:
    """Ids, counts and pages agree in every order, whichever condition or index drives the query."""
    wanted = data.draw(st.lists(RUNS, min_size=1, max_size=6), "runs")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lab.db"
        models = list(enumerate(build(path, wanted), start=1))
        with Archive(path, mode="ro") as archive:
            connection = archive._connection
            for _question in range(12):
                condition = data.draw(CONDITIONS, "condition")
                orders = data.draw(ORDERS, "orders")
                thresholds(data.draw(st.sampled_from([0, 2, 3000]), "few"))
                expected = in_order([pair for pair in models if holds(pair[1], condition)], orders)
                asked = Selection(connection, condition, orders, find_dead_runs(connection))
                assert [one.run for one in asked.rows(None)] == expected
                assert asked.count() == len(expected)
                size = data.draw(st.integers(1, 3), "page size")
                paged: list[int] = []
                after = None
                while page := asked.rows(size, after):
                    paged += [one.run for one in page]
                    after = page[-1]
                    assert len(paged) <= len(expected)
                assert paged == expected
                skip = data.draw(st.integers(0, 3), "skipped")
                assert [one.run for one in asked.rows(size, skip=skip)] == expected[skip : skip + size]
                assert asked.row_ids().tolist() == expected
                assert asked.row_ids(size).tolist() == expected[:size]
                if sayable(condition):
                    read = parse_filter(condition_text(condition))
                    order = ", ".join("-" * one.descending + field_text(one.field) for one in orders)
                    assert [Order(*one) for one in parse_order(order)] == orders
                    told = Selection(connection, read, orders, find_dead_runs(connection)).rows(None)
                    assert [one.run for one in told] == expected, condition_text(condition)


def test_a_condition_on_one_metric_is_kept_while_another_orders(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index of the order drives the query: the condition still looks at its own metric of the run."""
    monkeypatch.setattr(selection, "FEW", 0)
    for loss in (0.1, 0.9):
        with archive.start_run({}) as run:
            run.log({"loss": loss, "acc": 1 - loss})
    found = archive.runs().where("metrics.loss.mean > 0.5").order_by("-metrics.acc").limit(1)
    assert [run.metrics["loss"] for run in found] == [0.9]


def test_numbers_at_the_edges_are_told_apart_by_every_operator_and_order(archive: Archive) -> None:
    edges: list[int | float] = [2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2, 2**63 - 2, 2**63 - 1, 1, 1.0, 0.1]
    edges += [
        0.1 + 2**-56,
        5e-324,
        1e308,
        2.0**53,
        2.0**63,
        -(2**63),
        -(2**53) - 1,
        -(2.0**53),
        1e18,
        10**18 + 1,
    ]
    values: dict[str, object] = {}
    for value in [*edges, True, "1", "9007199254740993", [2**53], [2**53 + 1], None]:
        with archive.start_run({"x": value}) as run:
            run.log_metric("loss", 1.0)
        values[run.run_id] = value
    numbers = {run: value for run, value in values.items() if is_number(value)}
    for wanted in [*edges, 2**63, 10**19]:
        for operator, compare in COMPARE.items():
            expected = {run for run, value in numbers.items() if compare(value, wanted)}
            if operator == "!=":
                expected |= {run for run in values.keys() - numbers.keys() if values[run] is not None}
            for text, asked in ((f"config.x {operator} {wanted!r}", ()), (f"config.x {operator} ?", (wanted,))):
                assert {run.run_id for run in archive.runs().where(text, *asked)} == expected, text
        found = archive.runs().where(f"config.x in ({wanted!r}, 2)")
        assert {run.run_id for run in found} == {run for run, value in numbers.items() if value == wanted}
    for order in ("config.x", "-config.x"):
        ordered = archive.runs().order_by(order)
        sorted_runs = [run.run_id for run in ordered]
        shown = [numbers[run] for run in sorted_runs if run in numbers]
        assert shown == sorted(shown, reverse=order[0] == "-")
        pages, page = list[str](), ordered.page(4)
        while page.runs:
            pages += [run.run_id for run in page.runs]
            if page.after is None:
                break
            page = ordered.page(4, after=page.after)
        assert pages == sorted_runs
    groups = archive.group_by("x", "loss")
    assert sorted(map(repr, (group.config["x"] for group in groups))) == sorted(map(repr, values.values()))
    compared = archive.compare(list(values)).config
    assert list(map(repr, compared[0].values)) == list(map(repr, values.values()))
    held = {row["run_id"]: row["config.x"] for row in archive.runs().to_dicts()}
    assert {run: repr(value) for run, value in held.items()} == {r: repr(v) for r, v in values.items()}
    for run, other in pairwise(values):
        assert len(archive.diff_runs(run, other).config) == 1
    archive.create_view("edges", ["config.x"])
    seen = {row[0]: row[-1] for row in archive.sql("SELECT * FROM edges").rows if row[0] in numbers}
    assert {run: repr(x) for run, x in seen.items()} == {run: repr(x) for run, x in numbers.items()}


def test_neighbours_beyond_the_exact_floats_matter_to_a_metric(archive: Archive) -> None:
    for seed in range(4):
        with archive.start_run({"seed": 2**53 + seed}) as run:
            run.log_metric("loss", float(seed))
    (found,) = archive.importance("loss", method="spearman")
    assert (found.key, found.values, found.correlation) == ("seed", 4, pytest.approx(1.0))
