"""Charts draw what the archive holds: lines, gaps, groups, ranges, ticks, and what they save."""

from __future__ import annotations

import csv
import io
import math
import re
import statistics
from typing import Any

import pytest

from exptrack.directions import LESS, MORE, guess_direction
from tests.web.node import STATIC, evaluate

LINES, AXES, BEST = "components/lines.js", "components/axes.js", "components/best.js"
EXPORT, CURVES = "components/chart_export.js", "components/curves.js"
# Makes lines of the rows of the input: [x, count, nan_count, least, greatest, sum] for each bucket.
MAKE = """
const column = (rows, place) => Float64Array.from(rows.map((row) => row[place]))
const curveOf = (rows, width) => ({ run: 'r', metric: 'm', width, size: rows.length, start: column(rows, 0),
    count: column(rows, 1), nan_count: column(rows, 2), min: column(rows, 3), max: column(rows, 4),
    sum: column(rows, 5), first: column(rows, 3), last: column(rows, 4) })
const lineOf = (rows, id, length = 0, shift = 0) => module.makeLine(
    curveOf(rows, input.width ?? 1), { id, label: id, color: '#000', dash: [] }, length, shift)
"""


def with_lines(expression: str, given: object) -> Any:
    return evaluate(LINES, f"(() => {{ {MAKE} return {expression} }})()", given)


def point(x: float, value: float) -> list[float]:
    is_nan = math.isnan(value)
    return [x, 1, int(is_nan), value, value, 0.0 if is_nan else value]


def points(*pairs: tuple[float, float]) -> list[list[float]]:
    return [point(x, value) for x, value in pairs]


def test_a_place_without_a_bucket_is_passed_over_and_a_nan_is_a_gap() -> None:
    rows = {"a": points((0, 1.0), (2, math.nan), (4, 3.0)), "b": points((0, 5.0), (1, 6.0), (4, math.inf))}
    found = with_lines("module.plotData([lineOf(input.a, 'a'), lineOf(input.b, 'b')])", rows)
    # A list in JSON has null for both, so the gaps are asked for by name.
    kinds = with_lines(
        "module.plotData([lineOf(input.a, 'a'), lineOf(input.b, 'b')]).data.slice(1)"
        ".map((column) => Array.from(column, (y) => y === undefined ? 'no point' : y === null ? 'gap' : y))",
        rows,
    )
    assert found["data"][0] == [0, 1, 2, 4]
    assert kinds == [[1, "no point", "gap", 3], [5, 6, "no point", "gap"]]


def test_nan_and_infinities_have_marks_where_they_are() -> None:
    rows = {"a": points((0, 1.0), (1, math.nan), (2, math.inf), (3, -math.inf))}
    assert with_lines("lineOf(input.a, 'a').marks", rows) == [
        {"x": 1, "kind": "nan"},
        {"x": 2, "kind": "infinity"},
        {"x": 3, "kind": "-infinity"},
    ]


def test_a_log_axis_leaves_out_what_is_not_above_zero_and_counts_it() -> None:
    rows = {"a": points((0, 1.0), (1, 0.0), (2, -3.0), (3, 4.0)), "b": points((0, 1.0), (3, 2.0))}
    lines = "[lineOf(input.a, 'a'), lineOf(input.b, 'b')]"
    found = with_lines(f"module.plotData({lines}, {{ logY: true }})", rows)
    assert found["leftOut"] == {"values": 2, "lines": 1}
    both = with_lines(f"module.plotData({lines}, {{ logX: true, logY: true }})", rows)
    assert both["leftOut"] == {"values": 4, "lines": 2}
    assert both["data"][0] == [1, 2, 3]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 1.1, 0.9, 1e9], True),  # diverged
        ([1.0, 1.0, 900.0, 1000.0], False),  # within three decades all are seen
        ([1.0, 5e3, 1e4], False),  # most are seen
        ([10.0, 1.0, 1e-3, 1e-4, 1e-5], True),
        ([0.0, 1.0, 1.0, 1e9], False),  # a log axis has no place for 0
        ([-1.0, 1.0, 1.0, 1e9], False),
        ([1.0, 1.0, math.inf, math.nan], False),
        ([math.nan], False),
        ([], False),
    ],
)
def test_a_log_axis_is_chosen_where_a_linear_one_would_hide_half(values: list[float], expected: bool) -> None:
    rows = {"a": points(*enumerate(values)), "b": []}
    assert with_lines("module.wantsLog([lineOf(input.a, 'a'), lineOf(input.b, 'b')])", rows) is expected


def test_the_start_of_a_run_moves_its_line_by_whole_buckets() -> None:
    rows = {"a": points((0, 1.0), (10, 2.0)), "width": 10}
    assert with_lines("lineOf(input.a, 'a', 0, 1234.9).xs", rows) == [1230, 1240]


def test_a_group_is_the_mean_and_spread_of_its_runs() -> None:
    values = {"a": [1.0, 2.0, math.nan], "b": [3.0, 5.0, 7.0], "c": [8.0, 2.5, 9.0]}
    rows = {name: points(*enumerate(column)) for name, column in values.items()}
    members = "[lineOf(input.a, 'a'), lineOf(input.b, 'b'), lineOf(input.c, 'c')]"
    look = "{ id: 'g', label: 'g', color: '#000', dash: [] }"
    found = with_lines(f"module.groupLine({members}, {look}, 'deviation')", rows)
    columns = [[1.0, 3.0, 8.0], [2.0, 5.0, 2.5], [7.0, 9.0]]
    means, spreads = list(map(statistics.mean, columns)), list(map(statistics.stdev, columns))
    assert found["ys"] == pytest.approx(means)
    assert found["lows"] == pytest.approx([m - s for m, s in zip(means, spreads, strict=True)])
    assert found["highs"] == pytest.approx([m + s for m, s in zip(means, spreads, strict=True)])
    assert found["counts"] == [3, 3, 2]
    wide = with_lines(f"module.groupLine({members}, {look}, 'range')", rows)
    assert (wide["lows"], wide["highs"]) == ([1, 2, 7], [8, 5, 9])


def test_ignoring_outliers_fits_the_axis_to_the_others_and_counts_them() -> None:
    rows = {"a": points(*((x, math.sin(x)) for x in range(100)), (100, 50.0), (101, -70.0))}
    view = "{ low: 0, high: %d, isLog: false, hasBands: false, ignoreOutliers: %s }"
    line = "[lineOf(input.a, 'a')]"
    ignoring = with_lines(f"module.valueRange({line}, {view % (200, 'true')})", rows)
    assert ignoring == pytest.approx([-1, 1], abs=0.01)
    assert with_lines(f"module.valueRange({line}, {view % (200, 'false')})", rows) == [-70, 50]
    assert with_lines(f"module.valueRange({line}, {view % (100, 'false')})", rows)[1] == 50
    assert with_lines(f"module.countOutside({line}, {view % (200, 'true')}, -1, 1)", rows) == 2
    assert with_lines(f"module.countOutside({line}, {view % (100, 'true')}, -1, 1)", rows) == 1


def test_the_nearest_line_is_the_one_that_passes_closest() -> None:
    rows = {
        "a": points((0, 0.0), (10, 10.0)),
        "b": points((0, 8.0), (10, 8.0)),
        "c": points((0, 5.0), (1, 5.0)),
    }
    found = with_lines(
        "module.nearestLines([lineOf(input.a, 'a'), lineOf(input.b, 'b'), lineOf(input.c, 'c')],"
        " { x: 4, top: 40 }, { left: (x) => x * 100, top: (y) => y * 10 })"
        ".map(({ line, place, distance }) => [line.id, place, distance])",
        rows,
    )
    # c ended 300 pixels before.
    assert found == [["a", 0, 0], ["b", 0, 40]]


@pytest.mark.parametrize(
    ("low", "high", "most", "wanted"),
    [
        (0, 1, 6, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0, 10_000, 5, ["0", "2k", "4k", "6k", "8k", "10k"]),
        (0, 50_000, 5, ["0", "10k", "20k", "30k", "40k", "50k"]),
        (-1, 1, 4, ["−1.0", "−0.5", "0", "0.5", "1.0"]),
        (0, 3e-6, 3, ["0", "1e-6", "2e-6", "3e-6"]),
    ],
)
def test_linear_ticks_are_round_and_differ(low: float, high: float, most: int, wanted: list[str]) -> None:
    assert evaluate(AXES, f"module.writeTicks(module.linearTicks({low}, {high}, {most}))") == wanted


@pytest.mark.parametrize(
    ("low", "high", "most", "wanted"),
    [
        (0.01, 100, 6, ["0.01", "0.1", "1", "10", "100"]),
        (0.5, 30, 8, ["0.5", "1", "2", "5", "10", "20"]),
        (1e-9, 1, 5, ["1e-8", "1e-6", "1e-4", "0.01", "1"]),
        (2, 4, 4, ["2.0", "2.5", "3.0", "3.5", "4.0"]),
    ],
)
def test_log_ticks_stand_at_true_values(low: float, high: float, most: int, wanted: list[str]) -> None:
    assert evaluate(AXES, f"module.writeTicks(module.logTicks({low}, {high}, {most}), true)") == wanted


def test_durations_have_round_ticks() -> None:
    write = "module.writeDurations(module.durationTicks(%s))"
    assert evaluate(AXES, write % "0, 100, 4") == ["0", "30s", "1m", "1m30s"]
    assert evaluate(AXES, write % "0, 90000, 5") == ["0", "6h", "12h", "18h", "1d"]
    assert evaluate(AXES, write % "0, 0.5, 5") == ["0s", "0.1s", "0.2s", "0.3s", "0.4s", "0.5s"]


def test_the_direction_that_is_better_follows_from_the_name() -> None:
    names = [
        "val/loss",
        "valLoss",
        "train_acc",
        "top5Accuracy",
        "f1",
        "lr",
        "glossary",
        "rmse",
        "grad_norm",
        "FID",
    ]
    found = evaluate(BEST, "input.map(module.directionOf)", names)
    assert found == ["min", "min", "max", "max", "max", None, None, "min", None, "min"]


def test_directions_are_guessed_as_the_library_guesses_them() -> None:
    names = "loss val/accuracy mapeError top5_acc errors bleu4 norm lr trainLoss F1 s as x/ÄccA maps".split()
    found = evaluate(BEST, "input.map(module.directionOf)", ["", *names])
    ends = {"minimize": "min", "maximize": "max", None: None}
    assert found == [ends[guess_direction(name)] for name in ["", *names]]
    text = (STATIC / BEST).read_text(encoding="utf-8")
    assert [frozenset(some.split()) for some in re.findall(r'"([a-z0-9 ]{40,})"', text)] == [LESS, MORE]


def test_the_best_values_are_marked_and_others_never() -> None:
    best = "module.bestPlaces(input, %s)"
    values = [0.5, math.nan, 0.1, None, 0.1, math.inf]
    assert evaluate(BEST, best % "'min'", values) == [2, 4]
    assert evaluate(BEST, best % "'max'", values) == [0]
    assert evaluate(BEST, best % "null", values) == []
    assert evaluate(BEST, best % "'max'", [1, 1]) == []


def test_tables_are_compared_row_by_row() -> None:
    found = evaluate(BEST, "module.diffTables([[1, 'a'], [2, 'b'], [3, 'c']], [[1, 'a'], [2, 'x']])")
    assert [row["kind"] for row in found] == ["same", "changed", "removed"]
    assert found[1]["cells"][1] == {"value": "x", "before": "b", "differs": True}


def test_a_saved_csv_has_every_bucket_and_no_formula() -> None:
    line = """{ id: 'r1', label: '=HYPERLINK("x")', members: [], shift: 0, xs: [0, 5], ys: [-1.5, NaN],
        means: [-1, NaN], lows: [-2, NaN], highs: [0, NaN], counts: [5, 1],
        curve: { width: 5, nan_count: [0, 1] } }"""
    text = evaluate(EXPORT, f"module.chartCsv([{line}], {{ xName: 'step', metric: '-loss' }})")
    head, first, second = csv.reader(io.StringIO(text))
    assert head[:4] == ["run", "name", "metric", "step"]
    assert first == ["r1", '\'=HYPERLINK("x")', "'-loss", "0", "5", "-1.5", "-1", "-2", "0", "5", "0"]
    assert second[3:] == ["5", "5", "NaN", "NaN", "NaN", "NaN", "1", "1"]


@pytest.mark.parametrize(
    ("field", "name"),
    [("metrics.loss", "loss"), ('metrics."acc.max"', "acc.max"), ('metrics.a."b \\"c\\""', 'a.b "c"')],
)
def test_the_name_of_a_metric_is_read_from_its_field(field: str, name: str) -> None:
    assert evaluate(CURVES, "module.metricName(input)", field) == name


def sections_of(*names: str) -> dict[str, list[str]]:
    search = {"search": "", "metrics": []}
    expression = "module.groupMetrics(input.names, input.state)"
    return dict(evaluate("views/charts/sections.js", expression, {"names": names, "state": search}))


def test_few_metrics_and_small_groups_stand_in_one_grid() -> None:
    few = ["acc", *(f"train/{name}" for name in "abcd"), "val/a", "system/cpu"]
    assert sections_of(*few) == {"": few[:-1], "system": ["system/cpu"]}
    many = [f"train/{number:02}" for number in range(12)]
    assert sections_of("val/a", "val/b", "acc", *many) == {"": ["acc", "val/a", "val/b"], "train": many}
    assert list(sections_of(*many, "system/cpu", "a/1", "a/2", "a/3")) == ["a", "train", "system"]
    assert sections_of() == {}
