"""Artifacts of many runs are those that a loop over the runs finds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import (
    Archive,
    Artifact,
    InvalidTypeError,
    InvalidValueError,
    QueryStoppedError,
    RunQuery,
    TimeLimit,
)
from tests.effort import tries

NAMES = ("samples", "samples/val", "weights", "ä'\"")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    chance = random.Random(0)
    with Archive(tmp_path_factory.mktemp("media") / "lab.db") as archive:
        for number in range(12):
            with archive.start_run({"number": number, "odd": number % 2}) as run:
                for _ in range(chance.randrange(8)):
                    name, step = chance.choice(NAMES), chance.choice((None, 0, 10, 20, 25, -5))
                    if name == "samples":
                        run.log_text(name, f"{number} {step} {chance.random()}", step=step, aliases=["newest"])
                    elif step is not None:
                        run.log_histogram(name, [1.0, 2.0, chance.random()], step=step)
                    else:
                        run.artifacts.register_data(name, bytes([number]))
                if number % 3 == 0 and run.artifacts.list_artifacts():
                    run.artifacts.remove(run.artifacts.list_artifacts()[0].name)
        archive.trash_run(archive.runs().limit(3).list()[-1])
        yield archive


def queries(archive: Archive) -> list[RunQuery]:
    odd = archive.runs().where("config.odd = 1")
    return [
        archive.runs(),
        odd,
        odd.order_by("config.number"),
        archive.runs().order_by("config.number").limit(4),
    ]


def sort_key(one: Artifact) -> tuple[str, bool, int, int]:
    return one.name, one.step is not None, one.step or 0, one.version


def loop(archive: Archive, query: RunQuery) -> list[list[Artifact]]:
    """The artifacts of each run of a query, in order."""
    return [sorted(archive.get_run(run.run_id).artifacts.list_artifacts(), key=sort_key) for run in query]


@settings(max_examples=tries(60), deadline=None)
@given(data=st.data())
def test_the_artifacts_of_a_query_are_those_of_its_runs(lab: Archive, data: st.DataObject) -> None:
    query = data.draw(st.sampled_from(queries(lab)))
    name = data.draw(st.sampled_from([None, "no such", *NAMES]))
    kind = data.draw(st.sampled_from([None, "text", "histogram", "data"]))
    step = data.draw(st.sampled_from([None, 0, 10, -5]))
    start, size = data.draw(st.integers(0, 12)), data.draw(st.integers(0, 12))
    expected = [
        one
        for artifacts in loop(lab, query)
        for one in artifacts
        if name in (None, one.name) and kind in (None, one.kind) and step in (None, one.step)
    ]
    found = query.artifacts(name=name, kind=kind, step=step, start=start, size=size)
    assert list(found) == expected[start : start + size]


def test_names_come_with_their_number_and_kind(lab: Archive) -> None:
    for query in queries(lab):
        everything = [one for artifacts in loop(lab, query) for one in artifacts]
        newest = {one.name: one.kind for one in sorted(everything, key=lambda one: one.created_at)}
        counts = Counter(one.name for one in everything)
        found = query.artifact_names()
        assert [(one.name, one.kind, one.versions) for one in found] == [
            (name, newest[name], counts[name]) for name in sorted(newest)
        ]
        assert query.artifact_names(kind="text") == tuple(one for one in found if one.kind == "text")


def test_names_of_a_file_without_a_trash_come_from_an_index(archive: Archive) -> None:
    assert archive.runs().artifact_names() == ()
    with archive.start_run({"lr": 1}) as run:
        for name in ("b", "a", "b"):
            run.artifacts.register_data(name, name)
        run.log_text("a", "words")
        run.artifacts.register_data("gone", "x")
        run.artifacts.remove("gone")
    assert [tuple(one) for one in archive.runs().artifact_names()] == [
        ("a", "text", "text/plain", 2),
        ("b", "data", None, 2),
    ]
    assert archive.runs().artifact_names() == archive.runs().where("config.lr = 1").artifact_names()


@settings(max_examples=tries(60), deadline=None)
@given(data=st.data())
def test_a_grid_shows_the_last_version_up_to_each_step(lab: Archive, data: st.DataObject) -> None:
    query = data.draw(st.sampled_from(queries(lab)))
    name, kind = data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from([None, "text", "histogram"]))
    steps = data.draw(st.none() | st.lists(st.integers(-10, 30), max_size=4))
    start, size = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 8))
    index = query.index()
    having = [
        (row, [one for one in artifacts if one.name == name and kind in (None, one.kind)])
        for row, artifacts in zip(index, loop(lab, query), strict=True)
    ]
    having = [(row, artifacts) for row, artifacts in having if artifacts]
    page = having[start : start + size]
    grid = query.artifact_grid(name, kind=kind, steps=steps, start=start, size=size)
    assert (grid.name, grid.total, list(grid.row_ids)) == (name, len(having), [row for row, _artifacts in page])
    seen = {one.step for _row, artifacts in page for one in artifacts}
    assert grid.all_steps == tuple(sorted(seen, key=lambda step: (step is not None, step or 0)))
    assert grid.steps == (grid.all_steps if steps is None else tuple(steps))
    for (_row, artifacts), cells in zip(page, grid.cells, strict=True):
        for step, cell in zip(grid.steps, cells, strict=True):
            before = [
                one
                for one in artifacts
                if (one.step is None if step is None else one.step is not None and one.step <= step)
            ]
            assert cell == (before[-1] if before else None)


def test_a_grid_of_many_steps_shows_some_of_them(archive: Archive) -> None:
    with archive.start_run() as run:
        for step in range(0, 500, 5):
            run.log_text("sample", str(step), step=step)
    grid = archive.runs().artifact_grid("sample")
    assert len(grid.all_steps) == 100
    assert len(grid.steps) == 10
    assert (grid.steps[0], grid.steps[-1]) == (0, 495)


def test_arguments_are_checked_and_a_limit_of_time_holds(lab: Archive) -> None:
    query = lab.runs()
    with pytest.raises(InvalidValueError, match="ask for fewer"):
        query.artifact_grid("samples", steps=range(1000), size=100)
    for wrong in ({"size": -1}, {"size": 10_001}, {"name": ""}, {"start": -1}):
        with pytest.raises(InvalidValueError):
            query.artifacts(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError):
        query.artifacts(step="last")  # type: ignore[arg-type]
    for ask in (query.artifacts, query.artifact_names, lambda: query.artifact_grid("samples")):
        with TimeLimit() as limit:
            limit.stop()
            with pytest.raises(QueryStoppedError):
                ask()
