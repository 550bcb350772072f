"""Conditions as sets give the runs that tests of each run give, and no answer outlives a change of the file."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks.make_archive import make_records
from exptrack import Archive
from exptrack.query import field_summary, selection
from exptrack.query.conditions import And
from exptrack.query.run_query import RunQuery
from exptrack.query.run_sets import mark, pack, unpack
from tests.effort import tries
from tests.query.test_selection import CONDITIONS, ORDERS, RUNS, Model, build, holds, in_order

NEVER = 10**9
FILTERS = [
    "config.lr < 0.01 and metrics.val_acc > 0.5",
    "config.optimizer like 'a%' and duration > 1m",
    "not config.optimizer = 'adam' or tag = 'paper'",
    "status != failed and metrics.loss.mean < 2 and config.data.shuffle = true",
    "exists config.lr and branch is not null",
    "attr.score > 2 or attr.score is null and attr.word like 'w%'",
    "attr.score != 3 and not exists attr.word",
    "note is null and (artifact is null or name like '%1%')",
    "(config.model is not null) and not (metrics.f1 is null)",
]


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the number of runs from which sets are used."""

    def choose(few: int) -> None:
        monkeypatch.setattr(selection, "FEW_FOR_SETS", few)
        monkeypatch.setattr(field_summary, "SOME_RUNS", few)

    return choose


def ids(archive: Archive, query: RunQuery) -> list[str]:
    return [row["run_id"] for row in query.rows(["run_id"], size=1000).rows]


def test_a_set_has_the_runs_that_were_put_into_it() -> None:
    assert unpack(pack([], 3)) == []
    assert unpack(pack([5, 1, 300], 301)) == [1, 5, 300]
    assert unpack(pack([-1, 2**60, 2, 3], 3)) == [2]
    assert mark([2]) == b"\0\0\1"
    assert mark([2**60]) is None


@pytest.mark.parametrize("text", FILTERS)
def test_sets_give_what_tests_of_each_run_give(
    tmp_path: Path, choose: Callable[[int], None], text: str
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.record_runs(make_records(60))
        for number, run in enumerate(archive.runs().list()):
            if number % 3:
                archive.get_run(run).set_attribute("score", number % 5)
            if number % 4:
                archive.get_run(run).set_attribute("word", f"w{number}")
        every = ids(archive, archive.runs())
        archive.trash_run(every[3], every[10])
        archive.delete_run(every[20])
        query = archive.runs().where(text)
        for order in ("-started", "config.lr", "-metrics.val_acc", "duration", "-attr.score"):
            answers = []
            for few in (NEVER, 0):
                choose(few)
                asked = query.order_by(order)
                answers.append((ids(archive, asked), asked.count(), asked.index(), asked.fields()))
            assert answers[0] == answers[1]
            assert 0 < answers[0][1] <= 57


@settings(
    max_examples=tries(8),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_no_answer_is_older_than_the_file(choose: Callable[[int], None], data: st.DataObject) -> None:
    """Runs change between questions, by the archive that is asked or by another one."""
    choose(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lab.db"
        models = dict(
            enumerate(build(path, data.draw(st.lists(RUNS, min_size=2, max_size=5), "runs")), start=1)
        )
        with Archive(path) as own, Archive(path) as other:
            condition = data.draw(CONDITIONS, "condition")
            orders = data.draw(ORDERS, "orders")
            for _change in range(5):
                query = own.runs()._ask(condition=And((condition,)), order=tuple(orders))
                expected = in_order([pair for pair in models.items() if holds(pair[1], condition)], orders)
                for _again in range(2):
                    assert query.count() == len(expected)
                    assert query.index().tolist() == expected
                    found = query.rows(["id"], size=2)
                    assert (found.total, found.row_ids.tolist()) == (len(expected), expected[:2])
                if not models:
                    break
                change(data, data.draw(st.sampled_from([own, other]), "by"), models)
                if data.draw(st.booleans(), "another question"):
                    condition = data.draw(CONDITIONS, "condition")


def change(data: st.DataObject, archive: Archive, models: dict[int, Model]) -> None:
    run = data.draw(st.sampled_from(sorted(models)), "changed run")
    model = models[run]
    run_id = model.attributes["id"]
    # A run that is running can be neither trashed nor deleted.
    kinds = ["tag", "untag"] if model.attributes["status"] == "running" else ["tag", "untag", "trash", "delete"]
    match data.draw(st.sampled_from(kinds), "change"):
        case "tag":
            archive.get_run(run_id).add_tag("a")
            model.tag = [*{*model.tag, "a"}]
        case "untag":
            archive.get_run(run_id).remove_tag("a")
            model.tag = [tag for tag in model.tag if tag != "a"]
        case "trash":
            archive.trash_run(run_id)
            del models[run]
        case "delete":
            archive.delete_run(run_id)
            del models[run]


def test_sets_are_read_once_until_the_file_changes(tmp_path: Path, choose: Callable[[int], None]) -> None:
    choose(0)
    with Archive(tmp_path / "lab.db") as archive:
        archive.record_runs(make_records(30))
        (newest,) = archive.runs().limit(1).list()
    statements: list[str] = []
    with Archive(tmp_path / "lab.db", mode="ro") as archive, Archive(tmp_path / "lab.db") as writer:
        archive._connection.trace = statements.append
        query = archive.runs().where("config.lr < 1 and metrics.val_acc > 0.1 and tag != 'new'")

        def walks() -> int:
            statements.clear()
            query.count()
            return sum("json_group_array" in sql for sql in statements)

        assert walks() > 2
        assert walks() == 0
        before = query.count()
        writer.get_run(newest).add_tag("new")
        assert walks() > 2
        assert query.count() == before - 1
        assert walks() == 0


def test_row_ids_that_no_memory_holds_are_answered_run_by_run(
    tmp_path: Path, choose: Callable[[int], None]
) -> None:
    """A file that was made to harm has them."""
    choose(0)
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        archive.record_runs(make_records(20))
        expected = archive.runs().where("config.lr < 1").count()
    raw = sqlite3.connect(path)
    raw.executescript(
        "UPDATE run SET id = 4611686018427387904 WHERE id = 20; UPDATE run SET id = -7 WHERE id = 19"
    )
    raw.close()
    with Archive(path, mode="ro") as archive:
        query = archive.runs().where("status != running")
        assert len(query.index()) == query.count() == query.rows(["run_id"]).total == 20
        assert query.where("config.lr < 1").count() == expected - 2  # whose values name no run any more
        assert {one.name for one in query.fields()} >= {"config.lr", "metrics.loss"}
        assert query.summarize("config.lr").runs == 20
