"""The table of runs: the conditions and orders that its modules write mean what the library means by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive
from tests.web.node import evaluate

VALUES: list[Any] = [
    *(0, -1, 3, 0.1, 1e-07, 1e22, 12345678.9, True, False),
    *("adam", "it's", 'say "x"', "back\\slash", "ünï ☃", "a, b", "and", "1", "true", " ", "line\nend", "%"),
    *([1, 2], ["a", 'b"'], []),
]
KEYS = ["lr", "learning rate", "a.b"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    found = Archive(tmp_path_factory.mktemp("runs") / "lab.db")
    for value in VALUES:
        with found.start_run({"v": value}) as run:
            run.log({"acc": 0.5})
    with found.start_run({"v": None}) as run:
        run.log({"acc": 0.5})
    with found.start_run({"w": 1}) as run:
        run.log({"acc": 0.5})
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal to a filter: numbers by value, a bool is no number."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def test_a_facet_selects_the_runs_that_have_one_of_its_values(archive: Archive) -> None:
    chosen: list[list[Any]] = [[value] for value in VALUES]
    chosen += [["adam", 3, True], [None], ["adam", None], [[1, 2], "a, b"]]
    conditions = evaluate(
        "runs/conditions.js", "input.map((one) => module.facetCondition('config.v', one))", chosen
    )
    for values, condition in zip(chosen, conditions, strict=True):
        found = archive.runs().where(condition).values("config.v")
        expected = [one for one in [*VALUES, None, None] if any(same(one, value) for value in values)]
        got = [row["config.v"] for _, row in found]
        assert sorted(map(repr, got)) == sorted(map(repr, expected)), condition


def test_a_facet_of_a_range_takes_its_end_only_in_the_last_bin(archive: Archive) -> None:
    bins = [{"from": 0, "to": 3, "last": False}, {"from": 0, "to": 3, "last": True}]
    conditions = evaluate(
        "runs/conditions.js", "input.map((one) => module.facetCondition('config.v', [one]))", bins
    )
    found = [{row["config.v"] for _, row in archive.runs().where(one).values("config.v")} for one in conditions]
    assert found == [{0, 0.1, 1e-07}, {0, 0.1, 1e-07, 3}]


def test_the_conditions_of_a_group_select_its_runs(archive: Archive) -> None:
    groups = archive.group_by(["v", "w"], "acc")
    fields = [{"field": "config.v", "path": "v"}, {"field": "config.w", "path": "w"}]
    given = {"configs": [group.config for group in groups], "fields": fields}
    expression = "input.configs.map((one) => module.groupConditions(one, input.fields))"
    for group, conditions in zip(groups, evaluate("runs/conditions.js", expression, given), strict=True):
        query = archive.runs()
        for condition in conditions:
            query = query.where(condition)
        assert {run.run_id for run in query} == set(group.run_ids), conditions


def test_the_path_of_a_key_is_what_groups_take(tmp_path: Path) -> None:
    keys = ["plain", "a.b", "with blank", 'q"x', "back\\slash", "and", "ünï ☃", "'", "(", "1e5", ""]
    with Archive(tmp_path / "lab.db") as archive:
        for number in range(2):
            with archive.start_run({"top": dict.fromkeys(keys, number), "c d": {"e.f": number}}) as run:
                run.log({"acc": 0.5})
        fields = [field.name for field in archive.fields() if field.kind == "config"]
        paths = evaluate("runs/conditions.js", "input.map(module.keyPathOf)", fields)
        assert len(set(paths)) == len(keys) + 1
        for path in paths:
            groups = archive.group_by([path], "acc")
            assert [group.config for group in groups] == [{path: 0}, {path: 1}]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("config.lr < 1", ["config.lr < 1"]),
        ("config.lr < 1 and status = failed", ["config.lr < 1", "status = failed"]),
        ("(a = 1 and b = 2) AND tag = x", ["(a = 1 and b = 2)", "tag = x"]),
        ("a = 1 and b = 2 or c = 3", ["a = 1 and b = 2 or c = 3"]),
        ("name = 'x and y' and v = [1, 2]", ["name = 'x and y'", "v = [1, 2]"]),
        ('config."a and b" = 1 and name = "say \\" and"', ['config."a and b" = 1', 'name = "say \\" and"']),
    ],
)
def test_a_filter_is_split_where_its_conditions_are_joined(text: str, parts: list[str]) -> None:
    assert evaluate("runs/conditions.js", "module.splitConditions(input)", text) == parts


def test_clicks_on_a_head_turn_the_order_and_end_it() -> None:
    expression = """(() => {
        const seen = []
        let order = []
        for (const [field, down, add] of input) {
            order = module.nextOrder(order, field, down, add)
            seen.push(order)
        }
        return seen
    })()"""
    clicks = [["acc", True, False], ["name", False, True], ["acc", True, True], ["acc", True, True]]
    clicks += [["name", False, False], ["name", False, False]]
    assert evaluate("runs/query.js", expression, clicks) == [
        ["-acc"],
        ["-acc", "name"],
        ["acc", "name"],
        ["name"],
        ["-name"],
        [],
    ]


def test_the_state_of_the_view_comes_back_out_of_the_address() -> None:
    expression = """(() => {
        const params = new URLSearchParams()
        const put = (changes) => {
            for (const [name, value] of Object.entries(changes)) {
                for (const one of [value].flat()) if (one !== null) params.append(name, one)
            }
        }
        put(module.writeFacets(new Map(input.facets)))
        put(module.writeSelection({ all: input.all, ids: new Set(input.ids) }))
        const { facets, selection } = module.readQuery(params)
        return { facets: [...facets], all: selection.all, ids: [...selection.ids] }
    })()"""
    facets = [["status", ["failed", None]], ['config."a b"', [{"from": 0.1, "to": 2, "last": True}, True, [1]]]]
    for all_, ids in ((False, []), (False, [1, 3, 4, 5, 9]), (True, []), (True, [7, 8])):
        state = {"facets": facets, "all": all_, "ids": ids}
        assert evaluate("runs/query.js", expression, state) == state


def test_a_selection_that_no_address_can_hold_is_refused() -> None:
    expression = """input.map((step) => {
        const ids = new Set(Array.from({ length: 20_000 }, (_, place) => 1 + place * step))
        return module.writeSelection({ all: false, ids })
    })"""
    neighbours, scattered = evaluate("runs/query.js", expression, [1, 2])
    assert neighbours == {"selected": "1-20000", "except": None}
    assert scattered is None


def test_an_address_that_nobody_wrote_is_read_as_far_as_it_can() -> None:
    expression = """(({ facets, selection }) => [[...facets], [...selection.ids]])(
        module.readQuery(new URLSearchParams(input)))"""
    text = "facet={&facet=[1,2]&facet=[%22status%22]&facet=[%22tag%22,%22x%22]&selected=1,x,-2,3,9-8,5-6,1-2-3"
    assert evaluate("runs/query.js", expression, text) == [[["tag", ["x"]]], [1, 3, 5, 6]]
    endless = evaluate(
        "runs/query.js",
        "module.readQuery(new URLSearchParams(input)).selection.ids.size",
        "selected=1-9999999999",
    )
    assert endless <= 1_000_001


@pytest.mark.parametrize(
    ("call", "given", "text"),
    [
        ("number", 0, "0"),
        ("number", 0.88421, "0.8842"),
        ("number", -0.5, "−0.5"),
        ("number", 1234.56, "1234.6"),
        ("number", 123456.7, "123457"),
        ("number", 0.000123456, "1.235e-4"),
        ("number", 1e-05, "1e-5"),
        ("number", 1e20, "1e20"),
        ("number", float("-inf"), "−∞"),
        ("number", None, ""),
        ("duration", 0.0421, "42 ms"),
        ("duration", 5, "5 s"),
        ("duration", 59.97, "1 min 00 s"),
        ("duration", 3599.9, "1 h 00 min"),
        ("duration", 86400 * 2.5, "2 d 12 h"),
        ("bytes", 999, "999 B"),
        ("bytes", 1234567, "1.2 MB"),
        ("count", 1234567, "1,234,567"),
        ("visible", "a\u202eb\x07c\ud800", "a⟨U+202E⟩b␇c⟨U+D800⟩"),
        ("value", "a\n b", "a ⏎ b"),
        ("csvCell", "=1+1", "'=1+1"),
        ("csvCell", 'say "x", y', '"say ""x"", y"'),
        ("csvCell", -1.5, "-1.5"),
    ],
)
def test_values_are_written_by_fixed_rules(call: str, given: object, text: str) -> None:
    assert evaluate("format.js", f"module.{call}(input)", given) == text
