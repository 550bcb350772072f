"""Comparing runs: side by side, with the one before, in groups, and what of a config matters."""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import exptrack
from exptrack import (
    Archive,
    ExpConfig,
    FilterError,
    InvalidTypeError,
    InvalidValueError,
    MetricNotFoundError,
    MissingPackageError,
    Run,
    RunNotFoundError,
)
from exptrack.analysis import comparison, values
from exptrack.capture.code import capture_code
from exptrack.config.tree import leaf_value
from tests.strategies import CONFIGS, exactly

ROOMY = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


def finished(archive: Archive, config: Any = None, *, name: str | None = None, **metrics: float) -> Run:
    with archive.start_run(config, name=name) as run:
        if metrics:
            run.log(metrics)
    return run


# Side by side


def test_compare_shows_only_what_differs_with_types_and_sources(archive: Archive) -> None:
    a = finished(archive, {"lr": 1, "same": [1, {"x": None}], "only": None}, loss=1.0)
    b = finished(archive, {"lr": 1.0, "same": [1, {"x": None}]}, loss=math.nan, acc=0.5)
    c = finished(archive, ExpConfig({"lr": 2, "same": [1, {"x": None}]}).with_override("lr", "1"))
    found = archive.compare([a.run_id, b.run_id, c.run_id])
    assert [run.run_id for run in found.runs] == [a.run_id, b.run_id, c.run_id]
    assert [key.key for key in found.config] == ["lr", "only"]
    lr, only = found.config
    assert exactly(lr.values) == exactly((1, 1.0, 1))
    assert lr.sources[2] is not None
    assert lr.sources[2].kind == "override"
    assert (only.values, only.present) == ((None, None, None), (True, False, False))
    acc, loss = found.metrics
    assert [one and one.last for one in acc.summaries] == [None, 0.5, None]
    assert loss.summaries[0] == archive.show_run(a).metrics[0]
    assert loss.summaries[1] is not None
    assert (loss.summaries[1].min, loss.summaries[1].max) == (None, None)


def test_compare_shows_every_key_when_asked(archive: Archive) -> None:
    runs = [finished(archive, {"lr": 1, "seed": seed}) for seed in (1, 2)]
    found = archive.compare(runs, all_keys=True)
    assert [(key.key, key.differs) for key in found.config] == [("lr", False), ("seed", True)]


@ROOMY
@given(configs=st.lists(CONFIGS, min_size=1, max_size=4))
def test_compare_agrees_with_the_configs_themselves(configs: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder, Archive(Path(folder) / "lab.db") as archive:
        runs = [finished(archive, config) for config in configs]
        differing = archive.compare(runs).config
        everything = archive.compare(runs, all_keys=True).config
    flat = [{leaf.key: tuple(leaf) for leaf in ExpConfig(config).leaves()} for config in configs]
    keys = sorted({key for one in flat for key in one})
    assert [one.key for one in everything] == keys
    assert [one.key for one in differing] == [
        key for key in keys if any(one.get(key) != flat[0].get(key) for one in flat)
    ]
    for one in everything:
        assert one.present == tuple(one.key in config for config in flat)
        for value, config in zip(one.values, flat, strict=True):
            leaf = config.get(one.key)
            assert exactly(value) == exactly(None if leaf is None else leaf_value(*leaf[1:]))


def test_a_run_counts_once_however_it_is_named(archive: Archive) -> None:
    run = finished(archive, {"lr": 1}, loss=1.0)
    (summary,) = archive.list_runs()
    assert len(archive.compare([run, run.run_id, summary, run.run_id[:12]]).runs) == 1
    assert len(archive.compare(archive.runs()).runs) == 1
    assert archive.align([summary, run.run_id], "loss").columns.keys() == {f"{run.run_id}/loss"}


def test_what_two_runs_differ_in_is_what_their_diff_says(archive: Archive) -> None:
    a, b = finished(archive, {"x": 1, "y": {"z": "a"}}), finished(archive, {"x": 2, "w": True})
    compared = {one.key: one.values for one in archive.compare([a, b]).config}
    assert compared == {one.key: (one.a, one.b) for one in archive.diff_runs(a, b).config}


# With the run before


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Says which main script the next run is started by."""
    real = capture_code

    def pretend(name: str | None) -> None:
        monkeypatch.setattr(
            "exptrack.tracking.lifecycle.capture_code", lambda *given: real(*given)._replace(script=name)
        )

    return pretend


def test_a_run_is_compared_with_the_one_before_of_the_same_script(
    archive: Archive, script: Callable[[str | None], None]
) -> None:
    script("train.py")
    oldest = finished(archive, {"lr": 0.1})
    before = finished(archive, {"lr": 0.2}, name="other", loss=1.0)
    script("eval.py")
    finished(archive, {"lr": 0.3}, name="mine")
    script("train.py")
    run = finished(archive, {"lr": 0.4}, name="mine", loss=2.0)
    finished(archive, {"lr": 0.5}, name="mine")
    changes = archive.what_changed(run.run_id[:14])
    assert changes is not None
    assert (changes.run_id, changes.previous, changes.because) == (run.run_id, before.run_id, "script")
    assert [(one.key, one.change, one.a, one.b) for one in changes.config] == [("lr", "changed", 0.2, 0.4)]
    assert [(one.last_a, one.last_b) for one in changes.metrics] == [(1.0, 2.0)]
    assert (changes.code, changes.data, changes.environment) == ((), (), ())
    assert archive.what_changed(oldest) is None


def test_without_a_script_the_name_and_then_the_group_say_which(
    archive: Archive, script: Callable[[str | None], None]
) -> None:
    script(None)
    named = finished(archive, name="mine")
    with archive.start_run(name="other", group="sweep") as grouped:
        pass
    finished(archive, name="stranger")
    with archive.start_run(name="mine", group="sweep") as run:
        pass
    with archive.start_run(name="new", group="sweep") as newer:
        pass
    first, second = archive.what_changed(run), archive.what_changed(newer)
    assert first is not None
    assert second is not None
    assert (first.previous, first.because) == (named.run_id, "name")
    assert (second.previous, second.because) == (run.run_id, "group")
    assert archive.what_changed(grouped) is None


def test_changes_of_code_data_and_environment_are_told(
    archive: Archive, script: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    script("train.py")
    monkeypatch.setattr(sys, "argv", ["train.py", "--lr", "1"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with archive.start_run(data={"train": "s3://a", "old": "x"}) as before:
        pass
    monkeypatch.setattr(sys, "argv", ["train.py", "--lr", "2"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with archive.start_run(data={"train": "s3://b", "new": "y"}) as run:
        pass
    of_run = "WHERE run = (SELECT id FROM run WHERE run_id = ?)"
    set_facts = (
        "UPDATE run SET vcs_commit = ?, vcs_dirty = ? WHERE run_id = ?",
        f"UPDATE run_environment SET code_digest = ?, python = ? {of_run}",
    )
    with archive._connection.transaction():
        archive._connection.execute(set_facts[0], ("c0", 0, before.run_id))
        archive._connection.execute(set_facts[0], ("c1", None, run.run_id))
        archive._connection.execute(set_facts[1], ("d1", "3.99", run.run_id))
    changes = archive.what_changed(run)
    assert changes is not None
    assert [(one.name, one.change) for one in changes.code] == [
        ("commit", "changed"),
        ("dirty", "removed"),
        ("code_digest", "changed"),
    ]
    assert [(one.name, one.change, one.a, one.b) for one in changes.data] == [
        ("train", "changed", "s3://a", "s3://b"),
        ("old", "removed", "x", None),
        ("new", "added", None, "y"),
    ]
    told = {one.name: (one.a, one.b) for one in changes.environment}
    assert told.keys() == {"python", "command", "CUDA_VISIBLE_DEVICES"}
    assert told["command"] == (["train.py", "--lr", "1"], ["train.py", "--lr", "2"])
    assert told["CUDA_VISIBLE_DEVICES"] == ("0", "1")
    archive.delete_run(run, before)  # their facts are not what was sealed


def test_among_many_runs_of_a_script_the_one_before_is_the_same(
    archive: Archive, script: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    script("train.py")
    runs = [finished(archive, {"n": n}) for n in range(4)]
    by_index = [archive.what_changed(run) for run in runs]
    monkeypatch.setattr(comparison, "FEW", 2)
    assert [archive.what_changed(run) for run in runs] == by_index
    assert [one and one.previous for one in by_index] == [None, *(run.run_id for run in runs[:-1])]


# Groups

NUMBERS = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, 0.1, 1.7976931348623157e308]),
    st.floats(-1e6, 1e6),
)
MEMBERS = st.lists(
    st.tuples(
        st.dictionaries(
            st.sampled_from(["lr", "opt"]), st.sampled_from([1, 1.0, "1", True, None, "a", [1], {}])
        ),
        st.lists(NUMBERS, max_size=2),
        st.booleans(),
    ),
    max_size=8,
)


@ROOMY
@given(members=MEMBERS, statistic=st.sampled_from(["last", "max"]))
def test_groups_equal_a_naive_computation(members: list[Any], statistic: str) -> None:
    naive: dict[str, tuple[dict[str, Any], list[str], list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder, Archive(Path(folder) / "lab.db") as archive:
        finished(archive, {"lr": 0, "opt": 0}, loss=0.0)
        for config, values, fails in members:
            run = archive.start_run({**config, "seed": len(naive)}, tags=["drawn"])
            for value in values:
                run.log({"loss": value})
            if fails:
                run.fail("it did")
                continue
            run.complete()
            if values:
                numbers = [value for value in values if not math.isnan(value)]
                number = values[-1] if statistic == "last" else max(numbers, default=math.nan)
                entry = naive.setdefault(repr(sorted(config.items())), (config, [], []))
                entry[1].append(run.run_id)
                entry[2].append(number)
        found = archive.group_by(["lr", "opt"], "loss", where="tag = drawn", statistic=statistic)
        assert len(found) == len(naive)
        for group in found:
            config, run_ids, numbers = naive[repr(sorted(group.config.items()))]
            finite = [number for number in numbers if math.isfinite(number)]
            assert exactly(group.config) == exactly(config)
            assert sorted(group.run_ids) == sorted(run_ids)
            assert (group.count, group.finite) == (len(numbers), len(finite))
            assert group.nan_count == sum(map(math.isnan, numbers))
            assert group.infinite_count == sum(map(math.isinf, numbers))
            assert group.mean == (statistics.mean(finite) if finite else None)
            assert group.std == (statistics.stdev(finite) if len(finite) > 1 else None)
            assert (group.min, group.max) == ((min(finite), max(finite)) if finite else (None, None))


def test_groups_come_in_the_order_of_their_values(archive: Archive) -> None:
    for value in ("b", 10, 2, None, "a", True, 2.5, [1]):
        finished(archive, {"k": value}, loss=1.0)
    finished(archive, {}, loss=1.0)
    found = [group.config.get("k", "missing") for group in archive.group_by("k", "loss")]
    assert found == [2, 2.5, 10, True, "a", "b", None, [1], "missing"]


def test_the_spread_of_numbers_at_both_ends_of_floats_is_infinite(archive: Archive) -> None:
    for value in (-1.7e308, 1.7e308):
        finished(archive, {"k": 1}, loss=value)
    (group,) = archive.group_by("k", "loss")
    assert (group.mean, group.std) == (0.0, math.inf)


# What matters


@pytest.fixture
def trained(archive: Archive) -> Archive:
    """24 runs whose loss falls with lr, bends with width, hangs on the optimizer and not on the seed."""
    for n in range(24):
        lr, width, optimizer = n % 4, (n // 4) % 3, "adam" if n % 2 else "sgd"
        config = {
            "lr": 10.0**-lr,
            "width": width,
            "optimizer": optimizer,
            "seed": n * 7 % 24,
            "fixed": 1,
            "id": f"r{n}",
        }
        if n % 3 == 0:
            config["momentum"] = 0.9
        finished(archive, config, loss=-lr / 10 + 3 * (width - 1) ** 2 + (optimizer == "sgd") / 10)
    finished(archive, {"lr": 1e9}, loss=math.nan)
    finished(archive, {"lr": 1e9}, loss=math.inf)
    return archive


def test_spearman_tells_what_rises_with_a_metric(trained: Archive) -> None:
    found = {one.key: one for one in trained.importance("loss")}
    assert found.keys() == {"lr", "width", "optimizer", "seed", "momentum"}
    lr = found["lr"]
    assert (lr.method, lr.runs, lr.values) == ("spearman", 24, 4)
    assert lr.correlation is not None
    assert lr.correlation > 0
    assert lr.importance == lr.correlation**2
    assert found["width"].importance < 0.01
    for key in ("optimizer", "momentum"):  # momentum is 0.9 or not there
        assert (found[key].method, found[key].correlation, found[key].values) == ("eta_squared", None, 2)


def test_spearman_is_scipy_s_and_eta_squared_that_of_kruskal(trained: Archive) -> None:
    from scipy import stats

    rows = (
        trained.runs()
        .where("metrics.loss < 1e9")
        .to_dicts(["config.lr", "config.seed", "config.optimizer", "metrics.loss"])
    )
    losses = [row["metrics.loss"] for row in rows]
    found = {one.key: one for one in trained.importance("loss")}
    for key in ("lr", "seed"):
        expected = stats.spearmanr([row[f"config.{key}"] for row in rows], losses).statistic
        assert found[key].correlation == pytest.approx(expected, abs=1e-12)
    groups = [
        [loss for loss, row in zip(losses, rows, strict=True) if row["config.optimizer"] == name]
        for name in ("adam", "sgd")
    ]
    expected = stats.kruskal(*groups).statistic / (len(losses) - 1)
    assert found["optimizer"].importance == pytest.approx(expected, abs=1e-12)


def test_the_forest_sees_a_bend_and_gives_the_same_answer_again(archive: Archive) -> None:
    for n in range(48):
        finished(archive, {"width": n % 3, "seed": n * 7 % 48}, loss=(n % 3 - 1) ** 2 + n / 1000)
    found = archive.importance("loss", method="forest")
    assert [(one.key, one.method, one.runs) for one in found] == [
        ("width", "forest", 48),
        ("seed", "forest", 48),
    ]
    assert found[0].importance > 0.5 > abs(found[1].importance)
    assert archive.importance("loss", method="forest") == found
    by_ranks = {one.key: one.importance for one in archive.importance("loss")}
    assert by_ranks["width"] < 0.01


def test_a_constant_metric_has_no_causes(archive: Archive) -> None:
    for n in range(10):
        finished(archive, {"lr": n, "opt": "ab"[n % 2]}, loss=1.0)
    assert [one.importance for one in archive.importance("loss")] == [0.0, 0.0]
    assert [one.importance for one in archive.importance("loss", method="forest")] == [0.0, 0.0]


def test_configs_that_never_vary_leave_nothing_to_say(archive: Archive) -> None:
    for n in range(10):
        finished(archive, {"lr": 1}, loss=float(n))
    assert archive.importance("loss") == archive.importance("loss", method="forest") == []


def test_a_filter_narrows_what_importance_looks_at(trained: Archive) -> None:
    found = trained.importance("loss", where="config.optimizer = 'adam' and config.width != 1")
    assert {one.runs for one in found} == {8}
    assert "optimizer" not in {one.key for one in found}


def test_the_forest_says_what_it_needs(trained: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(MissingPackageError, match=r"exptrack-archive\[importance\]"):
        trained.importance("loss", method="forest")


# The best


def test_of_runs_that_tie_the_first_is_best_and_nan_never(archive: Archive) -> None:
    finished(archive, name="nan", acc=math.nan)
    for name in ("first", "second"):
        finished(archive, name=name, acc=0.5)
    finished(archive, name="infinite", acc=math.inf)
    for direction in ("minimize", "maximize"):
        assert [run.name for run, _ in archive.best_runs("acc", direction)] == ["first", "second"]


def test_nothing_is_best_where_every_value_is_nan(archive: Archive) -> None:
    finished(archive, acc=math.nan)
    assert archive.best_run("acc", "maximize", by="max") is None
    assert archive.best_runs("acc", "minimize") == []


# Wrong questions


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a: a.compare([]), InvalidValueError, "no run"),
        (lambda a: a.compare(["zzz"]), RunNotFoundError, "zzz"),
        (lambda a: a.compare(3), InvalidTypeError, "run id"),
        (lambda a: a.what_changed("zzz"), RunNotFoundError, "zzz"),
        (lambda a: a.group_by("learning", "loss"), InvalidValueError, "no run has a config key"),
        (lambda a: a.group_by("config.lr", "loss"), InvalidValueError, "did you mean lr"),
        (lambda a: a.group_by([], "loss"), InvalidValueError, "no config key"),
        (lambda a: a.group_by(3, "loss"), InvalidTypeError, "config keys"),
        (lambda a: a.group_by([3], "loss"), InvalidTypeError, "text"),
        (lambda a: a.group_by("lr", "los"), MetricNotFoundError, "loss"),
        (lambda a: a.group_by("lr", "loss", statistic="median"), InvalidValueError, "nan_count"),
        (lambda a: a.group_by("lr", "loss", where="lr <"), FilterError, "config.lr"),
        (lambda a: a.group_by("lr", "loss", where=3), InvalidTypeError, "filter"),
        (lambda a: a.group_by("lr", "loss", where="config.lrr = 1"), FilterError, "config.lr"),
        (lambda a: a.importance("los"), MetricNotFoundError, "loss"),
        (lambda a: a.importance("loss"), InvalidValueError, "needs 3 completed runs .* there are 1"),
        (lambda a: a.importance("loss", method="forest"), InvalidValueError, "needs 10"),
        (lambda a: a.importance("loss", method="tree"), InvalidValueError, "spearman"),
        (lambda a: a.importance("loss", where="metrics.loss <"), FilterError, "value"),
    ],
)
def test_wrong_questions_are_refused(
    archive: Archive, call: Callable[[Archive], object], error: type[Exception], message: str
) -> None:
    finished(archive, {"lr": 0.1}, loss=1.0)
    with pytest.raises(error, match=message):
        call(archive)


def test_an_empty_archive_knows_neither_runs_nor_metrics(archive: Archive) -> None:
    with pytest.raises(RunNotFoundError):
        archive.compare(["any"])
    with pytest.raises(RunNotFoundError):
        archive.what_changed("any")
    for ask in (archive.importance, lambda metric: archive.best_run(metric, "maximize")):
        with pytest.raises(MetricNotFoundError):
            ask("loss")
    with pytest.raises(InvalidValueError, match="no run has a config key"):
        archive.group_by("lr", "loss")


def test_the_default_archive_compares_too() -> None:
    runs = [finished(Archive.default(), {"lr": lr}, name="mine") for lr in (1, 2)]
    assert [one.key for one in exptrack.compare(runs).config] == ["lr"]
    changes = exptrack.what_changed(runs[1])
    assert changes is not None
    assert changes.previous == runs[0].run_id


# Plans

BINDINGS: dict[str, Any] = {
    **dict.fromkeys(("script", "name", "group", "started_at"), "x"),
    **dict.fromkeys(("id", "metric"), 1),
    "runs": json.dumps([1]),
}


@pytest.mark.parametrize(
    ("name", "search"),
    [
        ("FEW_OF_SCRIPT", "SEARCH e USING COVERING INDEX run_environment_by_script"),
        ("MANY_OF_SCRIPT", "SEARCH r USING INDEX run_by_start"),
        ("OF_NAME", "SEARCH r USING INDEX run_by_name"),
        ("OF_GROUP", "SEARCH r USING INDEX run_by_group"),
        ("VALUES", "SEARCH s USING INDEX metric_series_by_"),
        ("VALUES_OF_RUNS", "SEARCH s USING INDEX sqlite_autoindex_metric_series_1"),
    ],
)
def test_every_statement_reads_an_index(archive: Archive, name: str, search: str) -> None:
    sql = (vars(comparison) | vars(values))[name].format(value="s.last_value")
    plan = [row[3] for row in archive._connection.all(f"EXPLAIN QUERY PLAN {sql}", BINDINGS)]
    assert any(step.startswith(search) for step in plan), plan
    assert not [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step], plan
    sorts = [step for step in plan if "TEMP B-TREE" in step]
    assert bool(sorts) == (name == "FEW_OF_SCRIPT"), plan
