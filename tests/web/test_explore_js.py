"""What is brushed, and what the charts of a sweep are made of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.effort import tries
from tests.web.node import evaluate

BRUSH, TRIALS = "components/brush.js", "views/sweep/trials.js"
NUMBERS = st.floats(-1e12, 1e12, allow_nan=False)


@settings(max_examples=tries(5), deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=20, max_size=40))
def test_a_brush_is_rounded_and_loses_no_point_at_its_edge(ranges: list[tuple[float, float]]) -> None:
    pairs = [sorted(pair) for pair in ranges]
    expression = "input.map((range) => module.withBrush(new Map(), 'x', [range]).get('x')[0])"
    for (low, high), (start, end) in zip(pairs, evaluate(BRUSH, expression, pairs), strict=True):
        slack = max(high - low, 1e-300) * 0.01 + max(abs(low), abs(high)) * 1e-12
        assert low - slack <= start <= low + abs(low) * 1e-12
        assert high - abs(high) * 1e-12 <= end <= high + slack


def test_brushes_come_back_from_the_address() -> None:
    brushes = [["config.lr", [0.1, 0.2]], ["config.kind", 'a "b"', "c"]]
    expression = """(() => {
        const query = new URLSearchParams()
        for (const one of module.writeBrushes(new Map(input.map(([id, ...rest]) => [id, rest]))).brush)
            query.append('brush', one)
        query.append('brush', 'not JSON')
        return [...module.readBrushes(query)].map(([id, chosen]) => [id, ...chosen])
    })()"""
    assert evaluate(BRUSH, expression, brushes) == brushes


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([[1, 2]], "f >= 1 and f <= 2"),
        ([[1, 2], [5, 6]], "(f >= 1 and f <= 2) or (f >= 5 and f <= 6)"),
        (["a"], 'f = "a"'),
        (['a"b', True], 'f in ("a\\"b", true)'),
    ],
)
def test_a_brush_is_written_in_the_filter_language(chosen: list[Any], expected: str) -> None:
    assert evaluate(BRUSH, "module.brushCondition('f', input)", chosen) == expected


def make_answer(direction: str) -> dict[str, Any]:
    trials = [
        {"number": 0, "state": "complete", "values": [1.0], "params": {"lr": 0.1}, "reports": {}},
        {"number": 1, "state": "complete", "values": [3.0], "params": {"lr": 0.2}, "reports": {}},
        {"number": 2, "state": "pruned", "values": [9.0], "params": {"lr": 0.3}, "reports": {"0": 9.0}},
        {"number": 3, "state": "complete", "values": ["NaN"], "params": {}, "reports": {}},
        {"number": 4, "state": "fail", "values": [], "params": {"lr": 0.3}, "reports": {}},
    ]
    best = 0 if direction == "minimize" else 1
    study = {"directions": [direction]}
    return {
        "study": study,
        "metrics": ["loss"],
        "trials": trials,
        "infeasible": [],
        "best": [best],
        "history": [],
    }


@pytest.mark.parametrize(("direction", "scores"), [("minimize", [1, 0]), ("maximize", [0, 1])])
def test_scores_say_which_trial_is_better(direction: str, scores: list[float]) -> None:
    expression = """(() => {
        const study = module.arrange(input, null)
        return [study.trials.map((one) => one.score), study.ranked.map((one) => one.number)]
    })()"""
    found, ranked = evaluate(TRIALS, expression, make_answer(direction))
    assert found[:2] == scores
    assert found[3:] == [None, None]
    assert ranked == ([0, 1] if direction == "minimize" else [1, 0])


def test_a_choice_is_an_axis_of_its_choices() -> None:
    space = {"param": "kind", "kind": "choice", "choices": ["mlp", None, 2]}
    axis = evaluate(TRIALS, "module.paramAxis(input, [{params: {kind: 'cnn'}}])", space)
    assert axis["categories"] == ["mlp", "null", "2", "cnn"]
