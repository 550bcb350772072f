"""What a call hands over to be logged: nested maps flatten, None is passed over, names stay apart."""

from __future__ import annotations

import collections
import logging
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exptrack import Archive, InvalidTypeError, InvalidValueError, Run, RunFinishedError
from exptrack.metrics import given as given_module
from exptrack.metrics.given import flatten_values


def points(run: Run, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in run.get_metric(name)]


def test_maps_within_the_values_flatten(archive: Archive) -> None:
    run = archive.start_run()
    for step in range(3):
        run.log(
            {"train": {"loss": 1.0 / (step + 1), "deep": {"a": step}}, "val": {"loss": 2.0}, "lr": 0.1}, step
        )
    run.log(
        {"report": collections.ChainMap({"f1": np.array([0.5])}), "per_class": {0: 0.25, 1: True}, "none": {}}
    )
    run.complete()
    assert points(run, "train.loss") == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert points(run, "train.deep.a") == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert points(run, "val.loss") == [(0, 2.0), (1, 2.0), (2, 2.0)]
    assert [points(run, name) for name in ("report.f1", "per_class.0", "per_class.1")] == [
        [(0, 0.5)],
        [(0, 0.25)],
        [(0, 1.0)],
    ]
    assert archive.verify().problems == ()


def _circle() -> dict[str, Any]:
    circle: dict[str, Any] = {"a": 1.0}
    circle["b"] = {"c": circle}
    return circle


def _nest(depth: int) -> dict[str, Any]:
    values: Any = 1.0
    for _ in range(depth):
        values = {"a": values}
    return values  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"a": {"b": 1.0}, "a.b": 2.0}, "same text 'a.b'"),
        ({"a.b": {"c": 1.0}, "a": {"b.c": 2.0}}, r"same text 'a\.b\.c'"),
        (_circle(), r"hold themselves under 'b\.c\.b'"),
        (_nest(200), "deeper than 20"),
        ({"a": {"b": "x"}}, "'a.b'"),
        ({"a": {"b": [1.0, 2.0]}}, "'a.b'"),
        ({"a": {(1, 2): 1.0}}, "must be text"),
        ({"a": {True: 1.0}}, "must be text"),
        ({1: {"a": 1.0}}, "must be text"),
        ({"": {"a": 1.0}}, "empty"),
        ({"a": {"": 1.0, "b": {"c\0": 1.0}}}, "control"),
        ({"a" * 600: {"b" * 600: 1.0}}, "1,201"),
    ],
)
def test_what_cannot_be_flattened_is_refused_whole(archive: Archive, values: Any, message: str) -> None:
    run = archive.start_run()
    run.log({"a.b": 1.0, "fine": 1.0})
    with pytest.raises(InvalidValueError, match=message):
        run.log({"fine": 2.0, **values})
    run.complete()
    assert points(run, "fine") == [(0, 1.0)]
    assert archive.sql("SELECT count(*) FROM metrics").rows == ((2,),)


def test_a_map_may_stand_at_two_places_and_at_20_levels(archive: Archive) -> None:
    shared = {"loss": 0.5}
    run = archive.start_run()
    run.log({"train": shared, "val": shared} | _nest(20))
    run.complete()
    assert points(run, "train.loss") == points(run, "val.loss") == [(0, 0.5)]
    assert len(points(run, ".".join("a" * 20))) == 1


def test_more_values_than_one_call_takes_are_refused(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given_module, "MAX_VALUES", 10)
    with archive.start_run() as run, pytest.raises(InvalidValueError, match="at most 10"):
        run.log({"a": {f"m{n}": 1.0 for n in range(11)}})


@given(
    st.recursive(
        st.floats(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=20
    )
)
def test_every_value_keeps_its_way_as_its_name(tree: Any) -> None:
    for name, value in flatten_values([("top", tree)]):
        place: Any = {"top": tree}
        for key in str(name).split("."):
            place = place[key]
        assert place is value


# None


def test_none_is_passed_over_with_one_warning_for_each_metric(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    run = archive.start_run()
    for step in range(5):
        run.log({"loss": 1.0, "grad": None, "deep": {"norm": None}}, step)
        run.log_metric("grad", None, step)
        run.log_metric("loss", None)
    run.log({"grad": None})
    run.log_many("column", None, [1.0, None, 3.0, None])
    run.log_many("column", [10, 11, 12], np.array([None, 2.0, None]), [run.started_at] * 3)
    run.log_many("column", None, [None, 5.0])
    run.log_many("empty", None, [None, None])
    run.log_rows([("row", 1.0, 5), ("row", None), ("row", None, 7), ("row", 2.0), ("gone", None)])
    run.complete()
    assert points(run, "loss") == [(step, 1.0) for step in range(5)]
    assert points(run, "column") == [(0, 1.0), (2, 3.0), (11, 2.0), (13, 5.0)]
    assert points(run, "row") == [(5, 1.0), (6, 2.0)]
    assert {name for (name,) in archive.sql("SELECT name FROM metrics").rows} == {"loss", "column", "row"}
    said = [record.getMessage().split("'")[1] for record in caplog.records if record.levelno == logging.WARNING]
    assert said == ["grad", "deep.norm", "loss", "column", "empty", "row", "gone"]
    assert archive.verify().problems == ()


def test_none_hides_no_other_error(archive: Archive) -> None:
    run = archive.start_run()
    for call in (
        lambda: run.log({"a": None, "b": "x"}),
        lambda: run.log({"a": None}, "1"),  # type: ignore[arg-type]
        lambda: run.log({7: None}),  # type: ignore[dict-item]
        lambda: run.log_many("a", [1], [None, None]),
        lambda: run.log_many("a", [1, "x"], [None, None]),  # type: ignore[list-item]
        lambda: run.log_rows([("a", None, "x")]),
    ):
        with pytest.raises(InvalidValueError):
            call()
    run.complete()
    for call in (
        lambda: run.log_metric("a", None),
        lambda: run.log({"a": None}),
        lambda: run.log_many("a", None, [None]),
    ):
        with pytest.raises(RunFinishedError):
            call()


def test_the_warnings_of_a_run_with_endless_names_end(
    archive: Archive, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exptrack.metrics.log.MAX_TEMPLATES", 3)
    with archive.start_run() as run:
        for n in range(10):
            run.log({f"m{n}": None})
    assert len(caplog.records) == 3


def test_nan_is_a_value_and_no_none(archive: Archive) -> None:
    with archive.start_run() as run:
        run.log_many("x", None, [math.nan, 1.0])
        with pytest.raises(InvalidTypeError):
            run.log_metric("x", {"a": 1.0})
    assert [step for step, _ in points(run, "x")] == [0, 1]
