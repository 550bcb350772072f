"""A run read part by part is the run that show_run tells."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from exptrack import Archive, InvalidValueError, QueryStoppedError, RunNotFoundError, TimeLimit
from exptrack.query import run_parts


@pytest.fixture
def run_id(archive: Archive) -> str:
    with archive.start_run({"a": 0}) as first:
        first.artifacts.register_data("words", "to be")
    with archive.start_run({"lr": 0.1, "deep": {"a": [1]}}, ["old"], data={"train": "s3://x"}) as run:
        run.use_artifact(f"{first.run_id}/words")
        for number in range(7):
            run.log({f"layer{number}/Norm": number, "loss": math.nan}, number)
            run.artifacts.register_data(f"data{number % 3}", bytes([number]), aliases=["newest"])
            run.add_note(f"note {number}")
        run.artifacts.remove("data0", 1)
        run.set_attributes({"owner": "ada"})
    archive.start_run().complete()
    return run.run_id


def test_the_parts_are_those_of_the_whole(archive: Archive, run_id: str) -> None:
    whole = archive.show_run(run_id)
    head = archive.read_head(run_id)
    assert head.summary == whole.summary._replace(metrics={})
    assert (head.attributes, head.notes[::-1], head.deleted_at) == (whole.attributes, whole.notes, None)
    assert archive.read_config(run_id) == (whole.config, whole.config_sources)
    assert repr(archive.read_metrics(run_id).metrics) == repr(whole.metrics)
    assert archive.read_metrics(run_id).after is None
    assert archive.read_events(run_id) == whole.events
    assert archive.read_artifacts(run_id) == whole.artifacts
    assert archive.read_inputs(run_id) == whole.inputs
    assert archive.read_environment(run_id) == (whole.environment, whole.traceback)
    assert archive.read_rows([head.row_id], ["id"]) == [{"id": run_id}]
    counts = (len(whole.metrics), len(whole.events), len(whole.artifacts), len(whole.inputs), len(whole.notes))
    assert head[-5:] == counts


def test_neighbours_are_those_by_start_without_the_trash(archive: Archive, run_id: str) -> None:
    newest, middle, oldest = (run.run_id for run in archive.list_runs())
    assert middle == run_id
    assert [archive.read_head(one)[5:7] for one in (oldest, middle, newest)] == [
        (None, middle),
        (oldest, newest),
        (middle, None),
    ]
    archive.trash_run(newest)
    assert archive.read_head(middle)[5:7] == (oldest, None)
    assert archive.read_head(newest).previous == middle
    assert archive.read_head(newest).deleted_at is not None


@pytest.mark.parametrize("few", [0, 5000])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_metrics_are_paged_by_name(
    archive: Archive, run_id: str, monkeypatch: pytest.MonkeyPatch, few: int, size: int
) -> None:
    monkeypatch.setattr(run_parts, "FEW_SERIES", few)
    names, after = [], None
    while True:
        page = archive.read_metrics(run_id, after=after, size=size)
        names += [one.name for one in page.metrics]
        assert len(page.metrics) <= size
        after = page.after
        if after is None:
            break
    assert names == sorted([f"layer{number}/Norm" for number in range(7)] + ["loss"])
    assert [one.name for one in archive.read_metrics(run_id, text="NORM").metrics] == names[:-1]
    assert archive.read_metrics(run_id, text="nothing").metrics == ()
    assert archive.read_metrics(run_id, size=0) == ((), None)


@pytest.mark.parametrize("start", [0, 2, 100])
@pytest.mark.parametrize("size", [0, 3, 100])
def test_lists_are_paged_by_place(archive: Archive, run_id: str, start: int, size: int) -> None:
    whole = archive.show_run(run_id)
    end = start + size
    assert archive.read_events(run_id, start=start, size=size) == whole.events[start:end]
    assert archive.read_artifacts(run_id, start=start, size=size) == whole.artifacts[start:end]
    assert archive.read_inputs(run_id, start=start, size=size) == whole.inputs[start:end]
    assert archive.read_events(run_id, start=start) == whole.events[start:]


def test_many_notes_are_shown_from_the_newest(archive: Archive) -> None:
    with archive.start_run() as run:
        for number in range(run_parts.SHOWN_NOTES + 5):
            run.add_note(str(number))
    head = archive.read_head(run)
    assert [note.text for note in head.notes[:2]] == ["104", "103"]
    assert (len(head.notes), head.note_count) == (100, 105)


def test_unknown_runs_wrong_pages_and_limits_are_refused(archive: Archive, run_id: str) -> None:
    calls: list[Callable[..., object]] = [
        archive.read_head,
        archive.read_config,
        archive.read_metrics,
        archive.read_events,
        archive.read_artifacts,
        archive.read_inputs,
        archive.read_environment,
    ]
    for call in calls:
        with pytest.raises(RunNotFoundError):
            call("zzz")
        with TimeLimit() as limit:
            limit.stop()
            with pytest.raises(QueryStoppedError):
                call(run_id)
    for call in calls[2:6]:
        with pytest.raises(InvalidValueError):
            call(run_id, size=-1)
