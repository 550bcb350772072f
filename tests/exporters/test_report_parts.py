"""Reports write values, choose ticks and colours, and guess directions as the page does."""

from __future__ import annotations

import math
import re
from importlib import resources
from typing import Any

import pytest

from exptrack.amounts import format_duration
from exptrack.exporters.report_contents import is_seed, plain_name
from exptrack.exporters.report_media import find_confusion
from exptrack.markup.chart import choose_looks, is_logarithmic
from exptrack.markup.elements import (
    element,
    serialize,
    visible,
    write_number,
    write_setting,
)
from exptrack.markup.ticks import linear_ticks, log_ticks, write_ticks
from tests.web.node import STATIC, evaluate

NUMBERS = [
    *(
        0.0,
        1.0,
        -1.0,
        3.14159,
        -2.71828,
        0.001,
        0.0009994,
        12.3456,
        999.96,
        1000.06,
        9999.7,
        12345.6,
        1e6,
        1234567.8,
    ),
    *(1e15, 1.5e-7, -1e-300, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf, 0.1 + 0.2, 2.0**53),
]
RANGES = [
    (0.0, 1.0),
    (-0.3, 17.2),
    (1e-9, 3e-9),
    (12_000.0, 990_000.0),
    (0.0, 199.0),
    (5.0, 5.5),
    (-1e20, 3e20),
]
LOG_RANGES = [(0.01, 1.0), (3e-6, 0.1), (1e-30, 1e20), (2.0, 3.0), (0.5, 80.0), (1.0, 1e5)]


def test_numbers_durations_and_signs_are_written_as_the_page_writes_them() -> None:
    written = evaluate("format.js", "input.map((one) => [module.number(one)])", NUMBERS)
    assert [write_number(one) for one in NUMBERS] == [str(one).replace("nan", "NaN") for (one,) in written]
    spans = [0.0, 0.2, 1.0, 9.96, 10.4, 59.9, 59.96, 61.0, 3599.4, 3600.0, 86399.0, 90000.0, 1e7]
    assert [format_duration(one) for one in spans] == evaluate("format.js", "input.map(module.duration)", spans)
    texts = ["a\tb\nc", "\0\x1f\x7f\x85", "a\u202eb\u200bc\ufeff", "é 日本 🎉", "\u2066x\u2069"]
    assert [visible(one) for one in texts] == evaluate("format.js", "input.map(module.visible)", texts)
    assert visible("\ud800") == "⟨U+D800⟩"


def test_ticks_are_those_of_the_page() -> None:
    for ranges, ticks, name, log in (
        (RANGES, linear_ticks, "linear", False),
        (LOG_RANGES, log_ticks, "log", True),
    ):
        expected = evaluate(
            "components/axes.js",
            f"input.map(([low, high]) => {{ const ticks = module.{name}Ticks(low, high, 6);"
            f" return [ticks, module.writeTicks(ticks, {str(log).lower()})] }})",
            ranges,
        )
        found = [ticks(low, high, 6) for low, high in ranges]
        assert [[one, write_ticks(one, is_log=log)] for one in found] == expected


@pytest.mark.parametrize(("low", "high"), [(-1.7e308, 1.7e308), (0.0, 5e-324), (1.0, 1.0), (1e-310, 3e-310)])
def test_any_range_has_ticks_within_it(low: float, high: float) -> None:
    ticks = linear_ticks(low, high, 6)
    assert ticks
    assert all(low <= tick <= high for tick in ticks)
    assert len(write_ticks(ticks)) == len(ticks)


def test_the_palette_is_that_of_the_page() -> None:
    text = (STATIC / "colors.js").read_text(encoding="utf-8")
    style = resources.files("exptrack.exporters").joinpath("report.css").read_text(encoding="utf-8")
    for place, name in enumerate(("LIGHT", "DARK")):
        colours = re.findall("#[0-9a-f]{6}", text.partition(f"const {name} = [")[2].partition("]")[0])
        assert [re.findall(f"--c{slot}: (#[0-9a-f]{{6}})", style)[place] for slot in range(8)] == colours


def test_runs_have_the_looks_that_they_have_on_the_page_and_older_ones_keep_theirs() -> None:
    row_ids = {f"run {row_id}": row_id for row_id in range(1, 90, 2)}
    looks = choose_looks(row_ids)
    assert len({look.colour for look in looks.values()}) == 8
    assert choose_looks(dict(list(row_ids.items())[:10])) == dict(list(looks.items())[:10])
    asked = """(() => {
        const look = module.lookOf(input, { color: null, dash: null });
        const colours = [0, 1, 2, 3, 4, 5, 6, 7].map((place) => module.slotLook(place).color);
        return input.map((run) => [colours.indexOf(look(run).color), look(run).dash]);
    })()"""
    shown = evaluate("components/looks.js", asked, [{"run_id": k, "row_id": v} for k, v in row_ids.items()])
    assert shown == [[look.colour, [[], [6, 3], [2, 2], [8, 3, 2, 3]][look.dash]] for look in looks.values()]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("metrics.loss", "loss"),
        ('metrics."a.max"', "a.max"),
        ('config.a."b c".d', "a.b c.d"),
        (r'metrics."q\"\\"', 'q"\\'),
    ],
)
def test_a_field_has_a_plain_name(field: str, name: str) -> None:
    assert plain_name(field) == name


def test_seeds_are_known_by_their_names() -> None:
    found = [
        key
        for key in ("seed", "data.seed", "random_state", "train.numpy_seed", "seeds", "lr", "seeded")
        if is_seed(f"config.{key}")
    ]
    assert found == ["seed", "data.seed", "random_state", "train.numpy_seed", "seeds"]


def test_an_axis_is_logarithmic_where_most_values_span_decades() -> None:
    assert is_logarithmic([1.0, 10.0, 100.0, 1000.0])
    assert is_logarithmic([1e-9, *[0.5] * 100])
    assert not is_logarithmic([0.001, *[0.5] * 100])
    assert not is_logarithmic([0.0, 1.0, 1000.0])


@pytest.mark.parametrize(
    ("heads", "rows", "expected"),
    [
        (["t", "a", "b"], [("a", 1, 2), ("b", 3, 4)], (["t", "a", "b"], [("a", 1, 2), ("b", 3, 4)])),
        (["t", "s", "n"], [("a", "b", 2), ("b", "b", 1)], (["t \\ s", "a", "b"], [("a", 0, 2), ("b", 0, 1)])),
        (["t", "a", "b"], [("a", 1, -2), ("b", 3, 4)], None),
        (["t", "s", "n"], [("a", "b", 2), ("a", "b", 1)], None),
        (["x", "y", "n"], [("a", "b", 2), ("c", "d", 1), ("e", "f", 0)], None),
        (["t", "a", "b"], [("a", 1, math.nan), ("b", 3, 4)], None),
        ([], [], None),
    ],
)
def test_a_confusion_matrix_is_known_by_its_form(
    heads: list[str], rows: list[tuple[Any, ...]], expected: object
) -> None:
    assert find_confusion(heads, rows) == expected


def test_text_is_escaped_wherever_it_stands() -> None:
    odd = "<b> & \"q\" 'a' </script>"
    page = serialize(element("p", odd, element("br"), odd, title=odd, aria_label=None)).decode()
    escaped = "&lt;b&gt; &amp; \"q\" 'a' &lt;/script&gt;"
    quoted = escaped.replace('"', "&quot;")
    assert page.startswith("<!DOCTYPE html>\n<p title=")
    assert f">{escaped}<br>{escaped}</p>" in page
    assert "<b>" not in page.replace("&lt;", "")
    assert quoted.partition("&gt;")[0] in page


def test_settings_are_one_line() -> None:
    assert [write_setting(one) for one in (None, True, 3, 0.1, "a\n b", [1, "x"], {"k": None})] == [
        *("", "true", "3", "0.1", "a ⏎ b", '[1, "x"]', '{"k": null}'),
    ]
