"""Rows of frameworks: each value becomes what it is, numbers in one record, and what is left out is told."""

from __future__ import annotations

import datetime
import enum
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from exptrack import Archive, InvalidTypeError, InvalidValueError, Run, RunFinishedError
from exptrack.plain import short_repr
from exptrack.tracking import mixed_log
from tests.effort import tries
from tests.media.values import Tensor as OpaqueTensor


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with Archive(tmp_path_factory.mktemp("rows") / "lab.db") as opened:
        yield opened
        assert opened.verify().ok


@pytest.fixture
def run(archive: Archive) -> Iterator[Run]:
    with archive.start_run() as started:
        yield started


class Tensor(OpaqueTensor):
    """A torch tensor as far as a row asks: also its shape, its item and its list."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    def item(self) -> Any:
        return self._array.item()

    def tolist(self) -> Any:
        return self._array.tolist()


class Phase(enum.Enum):
    TRAIN = "train"
    EVAL = 2


def metrics(run: Run) -> dict[str, list[tuple[int, float]]]:
    with Archive(run._connection.path, mode="ro") as other:
        names = [metric.name for metric in other.show_run(run.run_id).metrics]
    return {name: [(p.step, p.value) for p in run.get_metric(name)] for name in names}


def stored(run: Run) -> dict[str, tuple[str, int | None]]:
    return {a.name: (a.kind, a.step) for a in run.artifacts.list_artifacts()}


def test_numbers_of_every_kind_become_metrics_by_flat_names(run: Run) -> None:
    row = {
        "loss": 0.5,
        "train": {"acc": np.float32(0.25), "deep": {"n": 3, "ok": True}, "none": None, "empty": {}},
        "tensor": Tensor(np.array(2.0)),
        "one": Tensor(np.array([[4.0]])),
        "array": np.array([5]),
        "decimal": Decimal("0.5"),
        "fraction": Fraction(1, 4),
        "nan": math.nan,
        Phase.TRAIN: 6,
        7: 8,
    }
    assert run.log_mixed(row, 3) == {}
    run.flush()
    assert str(metrics(run).pop("nan")) == "[(3, nan)]"
    assert {name: points for name, points in metrics(run).items() if name != "nan"} == {
        name: [(3, value)]
        for name, value in {
            "loss": 0.5,
            "train.acc": 0.25,
            "train.deep.n": 3.0,
            "train.deep.ok": 1.0,
            "tensor": 2.0,
            "one": 4.0,
            "array": 5.0,
            "decimal": 0.5,
            "fraction": 0.25,
            "train": 6.0,
            "7": 8.0,
        }.items()
    }
    assert (run.attributes, stored(run)) == ({}, {})


def test_all_numbers_of_a_row_are_one_call(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[dict[str, float], int | None]] = []
    monkeypatch.setattr(run, "log", lambda values, step=None: calls.append((values, step)))
    run.log_mixed({"a": 1, "t": "text", "b": {"c": 2.0}, "d": None}, 4)
    run.log_mixed({"t": "text"}, 5)
    run.log_mixed({})
    assert calls == [({"a": 1.0, "b.c": 2.0}, 4)]


def test_texts_and_short_lists_become_attributes(run: Run) -> None:
    row = {
        "phase": "train",
        "inner": {"path": Path("a") / "b", "day": datetime.date(2020, 1, 2)},
        "shape": (3, [4]),
        "lrs": np.array([0.1, 0.2]),
        "enum": Phase.TRAIN,
        "np": np.array("word"),
        "none in it": [None, "x"],
    }
    assert run.log_mixed(row, 1) == {}
    assert run.attributes == {
        "phase": "train",
        "inner.path": "a/b",
        "inner.day": "2020-01-02",
        "shape": [3, [4]],
        "lrs": [0.1, 0.2],
        "enum": "train",
        "np": "word",
        "none in it": [None, "x"],
    }
    run.log_mixed({"phase": "eval"})
    assert run.attributes["phase"] == "eval"
    assert (metrics(run), stored(run)) == ({}, {})


def test_media_become_artifacts(run: Run) -> None:
    picture = Image.new("RGB", (2, 2))
    row = {
        "image": picture,
        "figure": Figure((1, 1)),
        "gallery": [picture, Image.new("L", (3, 1))],
        "pandas": pd.DataFrame({"a": [1, 2]}),
        "polars": pl.DataFrame({"a": [1, 2]}),
        "arrow": pa.table({"a": [1, 2]}),
        "rows": [{"truth": "cat", "n": 3}],
        "weights": np.linspace(0, 1, 100),
        "gradients": Tensor(np.ones((8, 8))),
        "list": [0.5] * 33,
        "counted": np.histogram([1.0, 2.0, 2.5], bins=2),
        "with nan": [1.0, math.nan],
    }
    assert run.log_mixed(row, step=2.0) == {}
    assert stored(run) == {
        "image": ("image", 2),
        "figure": ("image", 2),
        "gallery/0": ("image", 2),
        "gallery/1": ("image", 2),
        **dict.fromkeys(("pandas", "polars", "arrow", "rows"), ("table", 2)),
        **dict.fromkeys(("weights", "gradients", "list", "counted", "with nan"), ("histogram", 2)),
    }
    assert run.artifacts.get_table("polars") == {"a": [1, 2]}
    assert (metrics(run), run.attributes) == ({}, {})


@pytest.mark.parametrize("step", [3, 3.0, np.float32(3), np.int64(3), Tensor(np.array(3.0)), np.array([3])])
def test_a_whole_step_of_any_kind_is_taken(run: Run, step: Any) -> None:
    run.log_mixed({"loss": 1.0}, step)
    run.flush()
    assert metrics(run) == {"loss": [(3, 1.0)]}


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (3.5, InvalidValueError),
        (math.nan, InvalidValueError),
        (math.inf, InvalidValueError),
        (1e300, InvalidValueError),
        (True, InvalidTypeError),
        ("3", InvalidTypeError),
        ([3, 4], InvalidTypeError),
    ],
)
def test_any_other_step_is_refused_before_anything_is_logged(
    run: Run, step: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="step"):
        run.log_mixed({"loss": 1.0, "text": "x", "rows": [{"a": 1}]}, step)
    assert (metrics(run), run.attributes, stored(run)) == ({}, {}, {})


def test_without_a_step_each_metric_goes_on_by_itself(run: Run) -> None:
    run.log_mixed({"a": 1.0}, 5)
    run.log_mixed({"a": 2.0, "b": 3.0, "h": [0.5] * 40})
    run.flush()
    assert metrics(run) == {"a": [(5, 1.0), (6, 2.0)], "b": [(0, 3.0)]}
    assert stored(run) == {"h": ("histogram", None)}


class Refusing:
    def __getattribute__(self, _name: str) -> NoReturn:
        raise ValueError("not told")


class Torn(Mapping[str, Any]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, key: str) -> NoReturn:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])


def test_what_cannot_be_logged_is_told_and_the_rest_is_logged(run: Run) -> None:
    circle: dict[str, Any] = {"fine": 1.0}
    circle["again"] = circle
    left = run.log_mixed(
        {
            "loss": 0.5,
            "object": object(),
            "bytes": b"x",
            "complex": 1j,
            "huge": 10**400,
            "refusing": Refusing(),
            "torn": Torn(),
            "circle": circle,
            "": 1,
            "a\nb": 2,
            "x.y": 3,
            "x": {"y": 4},
            "surrogate": "\ud800",
            "time": np.datetime64("2020-01-01"),
            "opaque": OpaqueTensor(np.ones(3)),
            "objects": [object()] * 40,
            Refusing(): object(),
            "hard": Image.new("I", (1, 1)),
            "mixed table": [{"a": 1}, {"a": "x"}],
        },
        1,
    )
    assert set(left) == {
        *("object", "bytes", "complex", "huge", "refusing", "torn", "circle.again", "", "a\nb", "x.y"),
        *("surrogate", "time", "opaque", "objects", "hard", "mixed table", short_repr(Refusing())),
    }
    assert all(isinstance(reason, str) and reason for reason in left.values())
    run.flush()
    assert metrics(run) == {"loss": [(1, 0.5)], "circle.fine": [(1, 1.0)], "x.y": [(1, 3.0)]}
    assert "this name" in left["x.y"]


def test_what_is_no_row_is_refused(run: Run) -> None:
    for wrong in (None, 5, [1.0], "loss"):
        with pytest.raises(InvalidTypeError):
            run.log_mixed(wrong)  # type: ignore[arg-type]


def test_a_row_that_grows_without_end_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed_log, "MAX_VALUES", 1_000)
    tree: dict[str, Any] = {}
    for _ in range(18):
        tree = {"left": tree, "right": dict(tree)}
    with pytest.raises(InvalidValueError, match="1,000 values"):
        run.log_mixed({"loss": 1.0, "tree": tree})
    deep: dict[str, Any] = {"x": 1.0}
    for _ in range(30):
        deep = {"d": deep}
    (reason,) = run.log_mixed(deep).values()
    assert "20 levels" in reason
    assert metrics(run) == {}


def test_an_ended_run_takes_no_number_but_texts_and_media(archive: Archive) -> None:
    with archive.start_run() as run:
        pass
    assert run.log_mixed({"verdict": "good", "rows": [{"a": 1}]}) == {}
    assert (run.attributes, list(stored(run))) == ({"verdict": "good"}, ["rows"])
    with pytest.raises(RunFinishedError):
        run.log_mixed({"loss": 1.0, "verdict": "bad"})
    assert run.attributes == {"verdict": "good"}


ROWS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=4),
    max_leaves=10,
).filter(lambda row: isinstance(row, dict))


@settings(max_examples=tries(40), deadline=None)
@given(ROWS)
def test_every_value_is_logged_or_told(archive: Archive, row: dict[Any, Any]) -> None:
    def names(part: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
        for key, value in part.items():
            if isinstance(value, dict):
                yield from names(value, f"{prefix}{key}.")
            elif value is not None:
                yield f"{prefix}{key}"

    with archive.start_run() as run:
        left = run.log_mixed(row, 0)
    assert {*metrics(run), *run.attributes, *left} == set(names(row))
