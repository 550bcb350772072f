"""The texts, tables and trees of the page: pure functions of JavaScript, against Python's own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from exptrack import ExpConfig
from exptrack.keypath import join_path
from tests.effort import tries
from tests.test_questions import questions
from tests.web.node import evaluate

LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12)


def apply_edits(edits: list[dict[str, Any]], kinds: set[str]) -> list[str]:
    return [edit["text"] for edit in edits if edit["kind"] in kinds]


def length_of_common(a: list[str], b: list[str]) -> int:
    """The length of the longest common subsequence, by the textbook."""
    row = [0] * (len(b) + 1)
    for one in a:
        before = row
        row = [0]
        for place, other in enumerate(b):
            row.append(before[place] + 1 if one == other else max(before[place + 1], row[place]))
    return row[-1]


@settings(max_examples=tries(3), deadline=None)
@given(st.lists(st.tuples(LINES, LINES), min_size=60, max_size=60))
def test_a_difference_leads_from_one_text_to_the_other_by_the_fewest_lines(
    pairs: list[tuple[list[str], list[str]]],
) -> None:
    found = evaluate("components/text.js", "input.map(([a, b]) => module.diffLines(a, b))", pairs)
    for (a, b), edits in zip(pairs, found, strict=True):
        assert apply_edits(edits, {"same", "removed"}) == a
        assert apply_edits(edits, {"same", "added"}) == b
        assert len(apply_edits(edits, {"same"})) == length_of_common(a, b)
        assert [edit["a"] for edit in edits if edit["a"] is not None] == list(range(1, len(a) + 1))
        assert [edit["b"] for edit in edits if edit["b"] is not None] == list(range(1, len(b) + 1))


def test_texts_that_have_little_in_common_are_told_apart_as_a_whole() -> None:
    a, b = [f"a{n}" for n in range(3000)], [f"b{n}" for n in range(3000)]
    edits = evaluate("components/text.js", "module.diffLines(input.a, input.b)", {"a": a, "b": b})
    assert [edit["kind"] for edit in edits] == ["removed"] * 3000 + ["added"] * 3000


def test_lines_end_as_on_any_system() -> None:
    texts = ["", "a", "a\n", "a\r\nb", "a\rb\n\n"]
    found = evaluate("components/text.js", "input.map(module.splitLines)", texts)
    assert found == [[""], ["a"], ["a"], ["a", "b"], ["a", "b", ""]]


@pytest.mark.parametrize("down", [False, True])
def test_a_column_sorts_numbers_before_texts_and_missing_cells_last(down: bool) -> None:
    cells = [3, None, "b", -1.5, float("inf"), "a", float("-inf"), None, 0]
    rows = evaluate(
        "components/text.js",
        "module.sortRows(input.map((cell) => [typeof cell === 'number' && !Number.isFinite(cell)"
        " ? String(cell) : cell]), { column: 0, down: " + str(down).lower() + " })",
        cells,
    )
    ordered = [float("-inf"), -1.5, 0, 3, float("inf"), "a", "b"]
    assert [row[0] for row in rows] == [*(ordered[::-1] if down else ordered), None, None]


# Some texts stand for numbers on the way to Node.js.
KEYS = st.text(max_size=8).filter(lambda key: key not in ("NaN", "Infinity", "-Infinity"))


@settings(max_examples=tries(3), deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.lists(st.lists(KEYS, min_size=1, max_size=4), min_size=40, max_size=40))
def test_a_path_is_written_as_the_library_writes_it(paths: list[list[str]]) -> None:
    found = evaluate(
        "components/tree.js",
        'input.map((keys) => keys.reduce((path, key) => module.joinPath(path, key), ""))',
        paths,
    )
    for keys, path in zip(paths, found, strict=True):
        expected = ""
        for key in keys:
            expected = join_path(expected, key)
        assert path == expected


def test_the_nodes_of_a_tree_are_the_keys_of_a_config() -> None:
    config = ExpConfig({"a": {"b": {"c": 1, "d.e": [1, {"f": 2}]}, "empty": {}}, "g": None})
    nodes = evaluate("components/tree.js", "module.listNodes(input)", dict(config.values))
    assert [node["path"] for node in nodes] == ["a", "a.b", "a.b.c", 'a.b."d.e"', "a.empty", "g"]
    assert [node["depth"] for node in nodes] == [0, 1, 2, 2, 1, 0]
    assert [node["leaves"] for node in nodes] == [3, 2, 1, 1, 1, 1]


def test_metrics_are_grouped_by_the_first_part_of_their_names() -> None:
    names = ["loss", "train/loss", "train/acc", "val.f1", "/odd", "odd/", "a/b/c"]
    groups = evaluate(
        "views/run/metric_groups.js", "module.groupByPrefix(input.map((name) => ({ name })))", names
    )
    assert [(group["prefix"], [metric["name"] for metric in group["metrics"]]) for group in groups] == [
        ("", ["loss", "/odd", "odd/"]),
        ("a", ["a/b/c"]),
        ("train", ["train/loss", "train/acc"]),
        ("val", ["val.f1"]),
    ]


def plain_sql(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().rstrip(";")


def test_the_examples_of_sql_are_the_ten_questions() -> None:
    found = evaluate("views/sql_questions.js", "module.QUESTIONS")
    assert {one["name"]: plain_sql(one["sql"]) for one in found} == {
        name: plain_sql(sql) for name, sql in questions().items()
    }


def test_values_of_examples_are_quoted() -> None:
    sql = "SELECT :metric, :run, :hash, a.metric"
    found = evaluate(
        "views/sql_questions.js", "module.fillQuestion(input, { metric: \"it's\", run: 'r' })", sql
    )
    assert found == "SELECT 'it''s', 'r', '', a.metric"


def test_only_a_matrix_is_shaded() -> None:
    matrix = {"columns": ["digit", "0", "1"], "rows": [["0", 4, 1], ["1", 0, 5]]}
    others = [
        {"columns": ["digit", "0"], "rows": [["0", 4], ["1", 0]]},
        {"columns": ["digit", "0", "1"], "rows": [["0", 4, -1], ["1", 0, 5]]},
        {"columns": ["digit", "0", "1"], "rows": [["0", 4, None], ["1", 0, 5]]},
        {"columns": ["digit", "0"], "rows": [["0", 4]]},
    ]
    code = "input.map(({ columns, rows }) => module.isMatrix(columns, rows))"
    assert evaluate("components/text.js", code, [matrix, *others]) == [True, False, False, False, False]
