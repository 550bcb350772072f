"""Runs in the trash: nothing finds them but their id, nothing changes them, and they come back whole."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exptrack import (
    AmbiguousRunError,
    Archive,
    ArtifactNotFoundError,
    InvalidValueError,
    Run,
    RunBusyError,
    RunFilter,
    RunNotFoundError,
    RunTrashedError,
    Sampler,
)
from exptrack.runs import trash


def ended(archive: Archive, loss: float, **options: Any) -> Run:
    with archive.start_run({"lr": loss}, ["t"], group="g", **options) as run:
        run.log({"loss": loss}, step=0)
        run.artifacts.register_data("w", str(loss))
        run.add_note("a note")
    return run


@pytest.fixture
def runs(archive: Archive) -> list[Run]:
    return [ended(archive, loss, name=f"run {loss}") for loss in (0.1, 0.2, 0.3)]


def test_no_question_finds_a_run_in_the_trash(archive: Archive, runs: list[Run]) -> None:
    best, other, last = (run.run_id for run in runs)
    assert archive.trash_run(best[:-1], other) == (best, other)
    questions: dict[str, Callable[[], Any]] = {
        "list": lambda: [run.run_id for run in archive.list_runs()],
        "filter": lambda: [run.run_id for run in archive.list_runs(RunFilter.by_tag("t"))],
        "query": lambda: [run.run_id for run in archive.runs().where("config.lr < 1 and note like '%note'")],
        "order": lambda: [run.run_id for run in archive.runs().order_by("metrics.loss").limit(5)],
        "or": lambda: [run.run_id for run in archive.runs().where("config.lr = 0.1 or config.lr = 0.3")],
        "ranking": lambda: [run.run_id for run, _value in archive.best_runs("loss", "minimize")],
        "ranking of few": lambda: [
            run.run_id for run, _value in archive.best_runs("loss", "minimize", where="tag = t")
        ],
        "dicts": lambda: [one["id"] for one in archive.runs().to_dicts(["id"])],
        "artifact": lambda: [archive.find_artifact("w").run_id],
        "storage": lambda: [one.run_id for one in archive.storage()],
        "compare": lambda: [run.run_id for run in archive.compare(archive.runs().in_group("g")).runs],
        "runs": lambda: [row[0] for row in archive.sql("SELECT run_id FROM runs").rows],
        "points": lambda: [row[0] for row in archive.sql("SELECT run_id FROM points").rows],
    }
    for name, ask in questions.items():
        assert ask() == [last], name
    assert [archive.runs().count(), archive.runs().tagged("t").count()] == [1, 1]
    assert [group.config for group in archive.group_by("lr", "loss")] == [{"lr": 0.3}]
    assert archive.what_changed(last) is None
    with pytest.raises(ArtifactNotFoundError):
        archive.find_artifact(runs[0].artifacts.list_artifacts()[0].hash)
    assert archive.info().runs == {"completed": 1}
    assert archive.info().trashed == 2
    # By their ids they are found, and say where they are.
    assert archive.show_run(best).deleted_at is not None
    assert archive.get_run(best).deleted_at is not None
    assert [point.value for point in archive.get_run(best).get_metric("loss")] == [0.1]
    assert [one.run.run_id for one in archive.list_trash()] == [other, best]
    # The beginning that all ids share leads to the run outside the trash.
    shared = max(last[:n] for n in range(1, 9) if best.startswith(last[:n]) and other.startswith(last[:n]))
    assert archive.show_run(shared).summary.run_id == last
    with pytest.raises(AmbiguousRunError):
        archive.restore_run(shared)


def test_a_restored_run_is_as_it_was(archive: Archive, runs: list[Run]) -> None:
    one = runs[0]
    before = archive.show_run(one)
    archive.trash_run(one, one)
    archive.trash_run(one)
    assert archive.restore_run(one.run_id[:-2]) == (one.run_id,)
    assert archive.restore_run(one) == (one.run_id,)
    after = archive.show_run(one)
    assert [event.kind for event in after.events[len(before.events) :]] == ["trash", "restore"]
    assert after.summary == before.summary
    assert after.deleted_at is None
    assert len(archive.list_runs()) == 3
    one.add_tag("back")


def test_a_run_in_the_trash_takes_no_change(archive: Archive, runs: list[Run]) -> None:
    one, other = runs[:2]
    store, weights = one.artifacts, other.artifacts.list_artifacts()[0]
    archive.trash_run(one)
    counted = archive.info(count_rows=True).rows
    for call in (
        lambda: one.add_tag("new"),
        lambda: one.add_tag("t"),
        lambda: one.remove_tag("t"),
        lambda: one.add_note("new"),
        lambda: one.append_event("new"),
        lambda: one.set_attribute("new", 1),
        lambda: one.delete_attribute("new"),
        lambda: one.rename("new"),
        lambda: one.set_group("new"),
        lambda: one.update_config({"new": 1}),
        lambda: one.log_rows([("loss", 1.0)]),
        lambda: one.log_metric("loss", 1.0),
        lambda: one.log_many("loss", None, [1.0]),
        lambda: one.use_artifact(weights),
        lambda: one.log_text("new", "text"),
        lambda: store.register_data("new", b"bytes"),
        lambda: store.remove("w"),
        lambda: archive.resume_run(one),
        one.complete,
    ):
        with pytest.raises(RunTrashedError, match="exptrack restore"):
            call()
    archive.gc_artifacts()
    assert archive.info(count_rows=True).rows == counted


def test_a_study_keeps_the_trials_whose_runs_go(archive: Archive) -> None:
    study = archive.create_study("width", "minimize", sampler=Sampler.random(seed=1))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), 3)
    best, params = study.best_trial, study.best_params
    assert best.run_id is not None
    for take_away in (archive.trash_run, archive.delete_run):
        take_away(best.run_id)
        assert (study.best_trial.number, study.best_params, len(study.trials)) == (best.number, params, 3)
        assert archive.runs().where("study = width").count() == 2
        assert archive.verify().ok


def test_a_running_run_is_not_moved_and_then_none_is(archive: Archive, runs: list[Run]) -> None:
    running = archive.start_run()
    with pytest.raises(RunBusyError, match="end it first"):
        archive.trash_run(runs[0], running)
    with pytest.raises(RunNotFoundError):
        archive.trash_run(runs[0], "nothing")
    assert archive.list_trash() == []
    running.complete()


def test_the_trash_is_emptied_by_age(
    archive: Archive, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = (datetime.now(UTC) - timedelta(days=31)).strftime("%Y-%m-%d %H:%M:%S.%f")
    with monkeypatch.context() as patched:
        patched.setattr(trash, "utc_text", lambda: long_ago)
        archive.trash_run(runs[0])
    archive.trash_run(runs[1])
    with pytest.raises(InvalidValueError, match="an age is in seconds"):
        archive.empty_trash(older_than="old")
    assert archive.empty_trash(older_than=1e300).runs == ()
    assert archive.empty_trash(older_than="30d").runs == (runs[0].run_id,)
    report = archive.empty_trash()
    assert (report.runs, report.blobs) == ((runs[1].run_id,), 1)
    assert archive.list_trash() == []
    archive.trash_run(runs[2])
    assert archive.delete_run(runs[2]).runs == (runs[2].run_id,)


def test_what_a_deletion_gives_back_is_known_before_it(archive: Archive) -> None:
    shared, own = (random.Random(seed).randbytes(200_000) for seed in (1, 2))
    runs = []
    for content in (own, own, shared, b"small"):
        with archive.start_run() as run:
            run.artifacts.register_data("shared", shared)
            run.artifacts.register_data("own", content)
        runs.append(run)
    one, other, third, last = runs
    assert archive.measure_deletion() == archive.measure_deletion(one) == archive.measure_deletion(third) == 0
    both = archive.measure_deletion(one, other)
    assert len(own) * 0.9 < both < len(own) * 1.1
    everything = archive.measure_deletion(*runs, one.run_id)
    assert both + len(shared) * 0.9 < everything < 2.2 * len(own)
    with pytest.raises(RunNotFoundError):
        archive.measure_deletion("nothing")
    archive.trash_run(one)
    assert archive.delete_run(one, other).stored_bytes == both
    assert archive.delete_run(third, last).stored_bytes == everything - both
