"""Fields tell what runs have, and summaries how its values are spread."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import Archive, FieldInfo, FilterError, InvalidValueError
from exptrack.query import value_counts
from exptrack.query.field_summary import FieldSummary, summarize_values
from tests.effort import tries


def record(archive: Archive, config: dict[str, Any], metrics: dict[str, float], *tags: str) -> None:
    with archive.start_run(config, tags) as run:
        run.log(metrics)


def test_fields_tell_how_many_runs_have_each_and_its_range(archive: Archive) -> None:
    assert archive.fields() == ()
    inexact = 0.1 + 0.2  # its 15 digits do not say it
    record(archive, {"lr": inexact, "odd name": True, "mixed": 1}, {"loss": 0.5, "acc": math.nan})
    record(archive, {"lr": 3, "nothing": None, "mixed": "text"}, {"loss": math.inf})
    record(archive, {"lr": [1, 2]}, {"loss": 0.25})
    live = archive.start_run({"lr": -1})
    live.log({"loss": 7.0})
    live.set_attribute("rating", 5)
    failed = archive.start_run({"lr": 9.0})
    failed.log({"loss": 0.125})
    failed.fail("out of memory")
    expected = (
        FieldInfo("config.lr", "config", 4, 1, -1.0, 9.0),
        FieldInfo("config.mixed", "config", 1, 1, 1.0, 1.0),
        FieldInfo('config."odd name"', "config", 0, 1, None, None),
        FieldInfo("metrics.acc", "metric", 0, 1, None, None),
        FieldInfo("metrics.loss", "metric", 5, 0, 0.125, math.inf),
        FieldInfo("attr.rating", "attribute", 1, 0, 5.0, 5.0),
    )
    assert archive.fields() == expected
    assert archive.runs().limit(1000).fields() == expected
    assert archive.fields()[1].runs == 2
    for field in expected:
        assert archive.runs().summarize(field.name).runs == 5
    some = archive.runs().where("config.lr > 1")
    assert some.fields() == (
        FieldInfo("config.lr", "config", 2, 0, 3.0, 9.0),
        FieldInfo("config.mixed", "config", 0, 1, None, None),
        FieldInfo("metrics.loss", "metric", 2, 0, 0.125, math.inf),
    )
    archive.trash_run(failed)
    assert archive.fields()[0] == FieldInfo("config.lr", "config", 3, 1, -1.0, 3.0)
    assert archive.fields()[4] == FieldInfo("metrics.loss", "metric", 4, 0, 0.25, math.inf)
    live.complete()


def test_a_summary_tells_how_the_values_of_a_field_are_spread(archive: Archive) -> None:
    for n in range(21):
        config = {"lr": n, "opt": "adam" if n % 4 else "sgd"}
        record(archive, config, {"loss": 1.0 if n else math.nan}, "a", f"t{n % 2}")
    lr = archive.runs().summarize("config.lr", bins=4, top=2)
    assert lr == FieldSummary(
        name="config.lr",
        runs=21,
        missing=0,
        types={"int": 21},
        nan_count=0,
        infinite_count=0,
        mean=pytest.approx(10.0),
        quantiles={0.0: 0.0, 0.05: 1.0, 0.25: 5.0, 0.5: 10.0, 0.75: 15.0, 0.95: 19.0, 1.0: 20.0},
        edges=(0.0, 5.0, 10.0, 15.0, 20.0),
        counts=(5, 5, 5, 6),
        distinct=21,
        top=((0, 1), (1, 1)),
    )
    optimizer = archive.runs().summarize("config.opt")
    assert (optimizer.top, optimizer.types, optimizer.edges) == ((("adam", 15), ("sgd", 6)), {"text": 21}, ())
    loss = archive.runs().summarize("metrics.loss")
    assert (loss.nan_count, loss.edges, loss.counts, loss.top) == (1, (1.0, 1.0), (20,), ((1.0, 20),))
    tags = archive.runs().limit(3).summarize("tag")
    assert (tags.runs, tags.missing, tags.top) == (3, 0, (("a", 3), ("t0", 2), ("t1", 1)))
    started = archive.runs().summarize("started")
    assert started.types == {"time": 21}
    assert started.quantiles[1.0] == pytest.approx(archive.list_runs()[0].started_at.timestamp())
    assert archive.runs().where("config.lr < 0").summarize("config.lr").quantiles == {}
    assert archive.runs().summarize("status").top == (("completed", 21),)
    for wrong in ({"bins": 0}, {"top": -1}, {"field": 3}):
        with pytest.raises(InvalidValueError):
            archive.runs().summarize(**{"field": "config.lr", **wrong})  # type: ignore[arg-type]
    with pytest.raises(FilterError, match="did you mean"):
        archive.runs().summarize("config.lrr")


NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats())
LISTS = st.lists(st.integers(0, 2), max_size=2)
VALUES = st.one_of(st.none(), st.booleans(), st.text(max_size=2), LISTS, NUMBERS)


@settings(max_examples=tries(60), deadline=None)
@given(values=st.lists(VALUES, max_size=30), bins=st.integers(1, 6), top=st.integers(0, 4))
def test_every_value_is_counted_once(values: list[Any], bins: int, top: int) -> None:
    found = summarize_values("config.x", values, bins, top)
    held = [value for value in values if value is not None]
    numbers = sorted(float(value) for value in held if type(value) in (int, float) and math.isfinite(value))
    assert (found.runs, found.missing) == (len(values), len(values) - len(held))
    assert sum(found.types.values()) == len(held)
    floats = found.types.get("int", 0) + found.types.get("float", 0)
    assert sum(found.counts) + found.nan_count + found.infinite_count == floats
    assert len(found.counts) == max(0, len(found.edges) - 1) <= bins
    for place, (low, high) in enumerate(zip(found.edges, found.edges[1:], strict=False)):
        is_last = place == len(found.counts) - 1
        inside = [one for one in numbers if low <= one and (one <= high if is_last else one < high)]
        assert found.counts[place] == len(inside)
    if numbers:
        assert (found.quantiles[0.0], found.quantiles[1.0]) == (numbers[0], numbers[-1])
        assert found.quantiles[0.5] == pytest.approx(statistics.median(map(float, numbers)), rel=1e-9)
        assert all(numbers[0] <= quantile <= numbers[-1] for quantile in found.quantiles.values())
    several = Counter((type(value), str(value)) for value in held if value == value)
    assert found.distinct <= len(several)
    counts = [count for _, count in found.top]
    assert counts == sorted(counts, reverse=True)
    assert len(counts) == min(top, found.distinct)


CONFIG_VALUES = [
    1,
    1.0,
    True,
    "true",
    "1",
    "adam",
    "",
    [1],
    "[1]",
    None,
    2**60,
    0.1 + 0.2,
    -0.0,
    {},
    "{}",
    "Zoë",
]
LAST_VALUES = [math.nan, 0.5, 2.0, math.inf, -0.0]
COUNTED = [
    "config.x",
    "config.y",
    "tag",
    "note",
    "artifact",
    "status",
    "name",
    "group",
    "branch",
    "study",
    "dirty",
    "metrics.loss",
    "metrics.loss.min",
    "metrics.loss.first",
    "metrics.loss.mean",
    "metrics.loss.count",
    "metrics.acc",
]


@pytest.mark.parametrize("share", [1, 1000], ids=["few are sought", "entries are tested"])
def test_values_are_counted_as_they_are_read(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    monkeypatch.setattr(value_counts, "SCAN_SHARE", share)
    for number, value in enumerate(CONFIG_VALUES * 2):
        config = {"x": value} if number % 5 else {"y": value, "x": CONFIG_VALUES[number % 3]}
        tags = [f"t{number % 3}", "all"] if number % 4 else []
        run = archive.start_run(config, tags, name=f"n{number % 2}" if number % 3 else None, group="g")
        run.artifacts.register_data("w", bytes([number]))
        run.artifacts.register_data("w", b"again")
        if number % 2:
            run.add_note("same")
            run.add_note("same")
        run.log({"loss": LAST_VALUES[number % len(LAST_VALUES)]})
        run.log({"loss": LAST_VALUES[number % 3]})
        run.complete() if number % 3 else run.fail("broken")
    live = archive.start_run({"x": 7})
    live.log({"loss": 0.5, "acc": 1.0})
    trashed = archive.start_run({"x": "gone"})
    trashed.complete()
    queries = [archive.runs(), archive.runs().limit(9), archive.runs().where("config.x = 1 or tag = t1")]
    for is_trashed in (False, True):
        for query in queries:
            for name in COUNTED:
                values = [values[name] for _run, values in query.values(name)]
                assert query.summarize(name) == summarize_values(name, values, 20, 10), (name, is_trashed)
        archive.trash_run(trashed)
    live.complete()


@pytest.mark.parametrize(
    ("values", "bins", "edges"),
    [
        ([0.001, 0.003, 0.1], 12, (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)),
        (
            [0.0013, 0.08, 0.2],
            20,
            (0.001, *(n / 1000 for n in range(2, 10)), *(n / 100 for n in range(1, 10)), 0.1, 0.2),
        ),
        ([1e-5, 1e-2, 3.0], 6, (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)),
        ([1e-300, 1.0, 1e300], 7, (1e-300, 1e-200, 1e-100, 1.0, 1e100, 1e200, 1e300)),
        ([5e-324, 1.7e308], 1, (5e-324, 1.7e308)),
        ([0.0, 0.01, 100.0], 2, (0.0, 50.0, 100.0)),
        ([1.0, 99.0], 2, (1.0, 50.0, 99.0)),
    ],
)
def test_numbers_over_decades_are_counted_in_bins_that_begin_at_round_numbers(
    values: list[float], bins: int, edges: tuple[float, ...]
) -> None:
    found = summarize_values("config.lr", values, bins, 10)
    assert found.edges == pytest.approx(edges)
    assert sum(found.counts) == len(values)
    assert found.edges[0] <= min(values)
    assert max(values) <= found.edges[-1]
