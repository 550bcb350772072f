"""Runs are compared side by side, and each with the run before it."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import exptrack
from exptrack import (
    Archive,
    ExpConfig,
    InvalidTypeError,
    InvalidValueError,
    RunNotFoundError,
)
from exptrack.analysis import comparison
from exptrack.capture.code import capture_code
from exptrack.config.tree import leaf_value
from tests.analysis.runs import ROOMY, finished
from tests.changes import changing
from tests.strategies import CONFIGS, exactly

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
    with changing(archive._connection):
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
        ("old", "removed", "x", None),
        ("train", "changed", "s3://a", "s3://b"),
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


# Wrong questions


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a: a.compare([]), InvalidValueError, "no run"),
        (lambda a: a.compare(["zzz"]), RunNotFoundError, "zzz"),
        (lambda a: a.compare(3), InvalidTypeError, "run id"),
        (lambda a: a.what_changed("zzz"), RunNotFoundError, "zzz"),
    ],
)
def test_wrong_questions_are_refused(
    archive: Archive, call: Callable[[Archive], object], error: type[Exception], message: str
) -> None:
    finished(archive, {"lr": 0.1}, loss=1.0)
    with pytest.raises(error, match=message):
        call(archive)


def test_the_default_archive_compares_too() -> None:
    runs = [finished(Archive.default(), {"lr": lr}, name="mine") for lr in (1, 2)]
    assert [one.key for one in exptrack.compare(runs).config] == ["lr"]
    changes = exptrack.what_changed(runs[1])
    assert changes is not None
    assert changes.previous == runs[0].run_id


# Plans

BINDINGS = {**dict.fromkeys(("script", "name", "group", "started_at"), "x"), "id": 1}


@pytest.mark.parametrize(
    ("name", "search"),
    [
        ("FEW_OF_SCRIPT", "SEARCH e USING COVERING INDEX run_environment_by_script"),
        ("MANY_OF_SCRIPT", "SEARCH r USING INDEX run_by_start"),
        ("OF_NAME", "SEARCH r USING INDEX run_by_name"),
        ("OF_GROUP", "SEARCH r USING INDEX run_by_group"),
    ],
)
def test_every_statement_reads_an_index(archive: Archive, name: str, search: str) -> None:
    sql = vars(comparison)[name]
    plan = [row[3] for row in archive._connection.all(f"EXPLAIN QUERY PLAN {sql}", BINDINGS)]
    assert any(step.startswith(search) for step in plan), plan
    assert not [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step], plan
    sorts = [step for step in plan if "TEMP B-TREE" in step]
    assert bool(sorts) == (name == "FEW_OF_SCRIPT"), plan
