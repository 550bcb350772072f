"""Every run of a query is changed or deleted, and no other."""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest

from exptrack import (
    AmbiguousRunError,
    Archive,
    ChangeReport,
    ConflictError,
    InvalidTypeError,
    InvalidValueError,
    RecordedRun,
    Run,
    RunBusyError,
    RunNotFoundError,
    RunQuery,
    RunTrashedError,
)
from exptrack.query import many_runs
from tests.metrics.points import killed

BEGIN = datetime(2026, 1, 1)


@pytest.fixture
def ids(archive: Archive) -> list[str]:
    """Seven ended runs of lr 0 to 6, oldest first."""
    return archive.record_runs(
        RecordedRun({"lr": n}, BEGIN + timedelta(n), name=f"run {n % 3}", tags=["old"] * (n % 2) * (n < 3))
        for n in range(7)
    )


def tagged(archive: Archive, tag: str) -> list[str]:
    return sorted(run.run_id for run in archive.runs().tagged(tag))


def kinds(archive: Archive, run_id: str) -> list[str]:
    return [event.kind for event in archive.read_events(run_id)]


def test_tags_are_added_and_removed(archive: Archive, ids: list[str]) -> None:
    chosen = archive.runs().where("config.lr >= 3")
    report = chosen.tag("new", "old")
    assert report == ChangeReport(4, 4, tuple(reversed(ids[3:])))
    assert tagged(archive, "new") == ids[3:]
    assert tagged(archive, "old") == [ids[1], *ids[3:]]
    assert chosen.tag("new") == ChangeReport(4, 0, ())
    assert kinds(archive, ids[3]).count("tag") == 2
    assert archive.runs().untag("old", "new") == ChangeReport(7, 5, tuple(reversed([ids[1], *ids[3:]])))
    assert (tagged(archive, "old"), tagged(archive, "new")) == ([], [])
    assert archive.verify().problems == ()


def test_notes_and_attributes_are_written(archive: Archive, ids: list[str]) -> None:
    chosen = archive.runs().where("config.lr < 2")
    assert chosen.note("seen").changed == chosen.note("again").changed == 2
    assert [note.text for note in archive.get_run(ids[0]).notes] == ["seen", "again"]
    assert archive.get_run(ids[2]).notes == ()
    assert chosen.set("score", math.nan).changed == 2
    assert chosen.set_attributes({"score": 0.5, "labels": ["a", None]}).changed == 2
    assert archive.get_run(ids[1]).attributes == {"score": 0.5, "labels": ["a", None]}
    assert archive.runs().where("exists attr.score").count() == 2
    assert archive.runs().unset("score", "labels", "none") == ChangeReport(7, 2, (ids[1], ids[0]))
    assert archive.get_run(ids[1]).attributes == {}
    assert chosen.set_attributes({}) == ChangeReport(2, 0, ())
    assert archive.verify().problems == ()


def test_order_and_limit_choose_the_runs(archive: Archive, ids: list[str]) -> None:
    assert archive.runs().order_by("config.lr").limit(2).tag("least").runs == (ids[0], ids[1])
    assert archive.runs().order_by("-config.lr").limit(2).limit(1).delete().runs == (ids[6],)
    assert archive.runs().limit(0).delete() == ChangeReport(0, 0, ())
    assert archive.runs().count() == 6


def test_runs_go_to_the_trash_and_are_deleted(archive: Archive, ids: list[str]) -> None:
    archive.get_run(ids[6]).artifacts.register_data("w", random.Random(1).randbytes(100_000))
    assert archive.runs().where("config.lr < 2").trash() == ChangeReport(2, 2, (ids[1], ids[0]))
    assert [one.run.run_id for one in archive.list_trash()] == [ids[1], ids[0]]
    assert kinds(archive, ids[0])[-1] == "trash"
    assert archive.runs().tag("kept").matched == 5, "no query finds a run in the trash"
    report = archive.runs().where("config.lr > 4").delete()
    assert (report.matched, report.changed, report.runs) == (2, 2, (ids[6], ids[5]))
    assert report.stored_bytes > 0
    assert report.file_bytes > 0
    assert [run.run_id for run in archive.list_runs()] == [ids[4], ids[3], ids[2]]
    assert len(archive.list_trash()) == 2
    assert archive.info().stored_bytes == 0
    assert archive.verify().problems == ()


TAKE_AWAY: dict[str, Callable[[RunQuery], ChangeReport]] = {
    "trash": lambda query: query.trash(),
    "delete": lambda query: query.delete(),
}


@pytest.mark.parametrize("name", TAKE_AWAY)
def test_a_running_run_is_changed_but_not_taken_away(
    archive: Archive, ids: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_runs, "BATCH_RUNS", 2)
    monkeypatch.setattr(many_runs, "BATCH_DELETED", 2)
    live = archive.start_run({"lr": -1})
    assert archive.runs().order_by("-config.lr").tag("all").changed == 8
    assert live.tags == ("all",)
    with pytest.raises(RunBusyError, match=r"status != running") as caught:
        TAKE_AWAY[name](archive.runs().order_by("-config.lr"))
    assert caught.value.run_id == live.run_id
    assert archive.runs().count() == 8, "nothing is changed, although the run is in the last batch"
    assert TAKE_AWAY[name](archive.runs().where("status != running")).changed == 7
    assert [run.run_id for run in archive.runs()] == [live.run_id]
    live.complete()


def test_a_dead_run_is_taken_away(archive: Archive, tmp_path: Any) -> None:
    killed(tmp_path, "run.log({'x': 1.0})")
    with Archive(tmp_path / "lab.db") as lab:
        (dead,) = [run.run_id for run in lab.runs().where("status = interrupted")]
        assert lab.runs().only(dead).delete().runs == (dead,)
        assert lab.verify().problems == ()


def test_what_no_longer_matches_when_its_turn_comes_is_left_alone(
    archive: Archive, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The filter is asked inside the transaction: between the search and it, others may change the runs."""
    monkeypatch.setattr(many_runs, "BATCH_DELETED", 2)
    monkeypatch.setattr(many_runs, "BATCH_RUNS", 2)
    find = many_runs.ManyRuns._find
    query = archive.runs().where("not tag = keep and config.lr > 2").order_by("config.lr")

    def find_and_change(self: RunQuery, *, only_ended: bool) -> Any:
        found = find(self, only_ended=only_ended)
        archive.get_run(ids[5]).add_tag("keep")
        archive.trash_run(ids[4])
        archive.record_runs([RecordedRun({"lr": 9}, BEGIN)])
        return found

    monkeypatch.setattr(RunQuery, "_find", find_and_change)
    assert query.delete()[:3] == (4, 2, (ids[3], ids[6]))
    assert archive.runs().count() == 5, "three that did not match, one to keep, and the new one"
    assert archive.verify().problems == ()


def test_an_error_says_how_far_it_came_and_leaves_whole_batches(
    archive: Archive, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_runs, "BATCH_RUNS", 2)
    add = many_runs.add_tags

    def fail_at_the_fourth(connection: Any, run: int, tags: Any) -> bool:
        if connection.value("SELECT count(*) FROM run_tag WHERE tag = 'new'") == 3:
            raise OSError("no more")
        return add(connection, run, tags)

    monkeypatch.setattr(many_runs, "add_tags", fail_at_the_fourth)
    with pytest.raises(OSError, match="no more") as caught:
        archive.runs().order_by("config.lr").tag("new")
    assert caught.value.__notes__ == ["2 of 7 runs were changed before this; the others were not"]
    assert tagged(archive, "new") == ids[:2]
    assert archive.verify().problems == ()


def test_a_table_of_the_user_keeps_a_run(archive: Archive, ids: list[str]) -> None:
    with closing(sqlite3.connect(archive.path)) as other, other:
        other.execute("CREATE TABLE paper (run INTEGER REFERENCES run (id) ON DELETE RESTRICT)")
        other.execute("INSERT INTO paper SELECT id FROM run WHERE run_id = ?", (ids[3],))
    with pytest.raises(ConflictError):
        archive.runs().delete()
    assert archive.runs().count() == 7


def test_what_cannot_be_stored_changes_nothing(archive: Archive, ids: list[str]) -> None:
    query = archive.runs()
    wrong: list[tuple[type[Exception], Callable[[], Any]]] = [
        (InvalidValueError, lambda: query.tag("fine", "")),
        (InvalidTypeError, lambda: query.untag(1)),  # type: ignore[arg-type]
        (InvalidValueError, lambda: query.note(" ")),
        (InvalidValueError, lambda: query.set("key", object())),
        (InvalidTypeError, lambda: query.set_attributes([1])),  # type: ignore[arg-type]
        (InvalidValueError, lambda: query.unset("")),
    ]
    for error, call in wrong:
        with pytest.raises(error):
            call()
    assert {kind for run in ids for kind in kinds(archive, run)} <= {"start", "end", "tag"}
    assert tagged(archive, "fine") == []


# Only


def test_only_keeps_the_runs_that_are_named(archive: Archive, ids: list[str]) -> None:
    records = archive.list_runs()
    assert {run.run_id for run in archive.runs().only(ids[2], ids[2].upper(), records[0], ids[4][:-1])} == {
        ids[2],
        records[0].run_id,
        ids[4],
    }
    assert archive.runs().only().count() == 0
    assert archive.runs().only().delete() == ChangeReport(0, 0, ())
    assert archive.runs().only(*ids[:4]).where("config.lr > 2").only(*ids).list()[0].run_id == ids[3]
    assert archive.runs().only(*ids).count() == 7
    assert archive.runs().order_by("config.lr").only(*ids[3:]).first() == archive.show_run(ids[3]).summary


def test_only_means_runs_as_every_call_does(archive: Archive, ids: list[str]) -> None:
    with archive.start_run({"lr": 0.5}, name="single") as run:
        run.log({"loss": 0.5})
    query = archive.runs().only("latest", "best:loss", "single")
    assert [one.run_id for one in query] == [run.run_id]
    archive.start_run().complete()
    assert [one.run_id for one in query] == [run.run_id], "it was the latest when it was named"
    with pytest.raises(AmbiguousRunError):
        archive.runs().only("run 0")
    with pytest.raises(RunNotFoundError):
        archive.runs().only(ids[0], "nothing")
    with pytest.raises(InvalidTypeError):
        archive.runs().only([ids[0]])
    archive.trash_run(run)
    with pytest.raises(RunTrashedError):
        archive.runs().only(run)


def test_only_takes_more_runs_than_a_statement_has_variables(archive: Archive) -> None:
    made = archive.record_runs(RecordedRun({"n": n}, BEGIN) for n in range(1_200))
    chosen = archive.runs().only(*made[:1_100])
    assert chosen.count() == 1_100
    assert chosen.where("config.n >= 1090").count() == 10
    assert {run.run_id for run in chosen.limit(3).order_by("config.n")} == set(made[:3])
    report = chosen.tag("many")
    assert (report.matched, report.changed) == (1_100, 1_100)
    assert archive.runs().tagged("many").count() == 1_100
    # A filter in text has as long a list.
    marks = ", ".join("?" * 1_100)
    assert archive.runs().where(f"id in ({marks}) and config.n < 5", *made[:1_100]).count() == 5


def test_a_run_knows_its_last_values_and_how_long_it_took(archive: Archive) -> None:
    run: Run = archive.start_run()
    assert run.metrics == {}
    run.log({"loss": 0.5, "acc": 0.1}, step=0)
    run.log({"loss": math.nan}, step=1)
    assert repr(run.metrics) == "{'acc': 0.1, 'loss': nan}"
    assert 0 <= run.duration <= run.elapsed_s
    run.complete()
    summary = archive.show_run(run).summary
    assert repr(summary.metrics) == repr(run.metrics)
    assert run.duration == run.elapsed_s == summary.duration == summary.duration_s
    archive.delete_run(run)
    with pytest.raises(RunNotFoundError):
        _ = run.metrics
