"""Charts: bars for values, points at the ends of the axes, and a word for what is left out."""

from __future__ import annotations

import math
import sys
from itertools import pairwise, permutations, product

import pytest

from exptrack.terminal.charts import Layer, draw_bars, draw_points


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([1.0], "▅"),
        ([0.0, 1.0], "▁█"),
        ([1.0, math.nan, 0.0], "█·▁"),
        ([math.inf, 0.0, -math.inf, 1.0], "↑▁↓█"),
        ([math.nan], "·"),
        ([-1.7e308, 1.7e308, 0.0], "▁█▅"),
        ([5e-324, 0.0], "█▁"),
        ([7.0, 7.0], "▅▅"),
    ],
)
def test_bars_stand_for_values_and_other_signs_for_what_is_none(values: list[float], drawn: str) -> None:
    assert draw_bars(values) == drawn


def drawing(layers: list[Layer], **options: object) -> list[str]:
    found = draw_points("t", layers, 53, 5, unit="x", colour=False, **options)  # type: ignore[arg-type]
    return found.plain.splitlines()


def test_points_at_the_ends_of_the_axes_are_drawn() -> None:
    lines = drawing([Layer("p", [(0, 0), (10, 5)], "o", "")])
    assert lines[1].endswith("o")
    assert lines[5].split("│")[1][0] == "o"


def test_a_logarithmic_axis_spaces_decades_evenly() -> None:
    decades = [(10.0**power, 1.0) for power in range(-4, 1)]
    (row,) = [line for line in drawing([Layer("p", decades, "o", "")], log_x=True) if "o" in line[12:]][:1]
    places = [place for place, character in enumerate(row) if character == "o"]
    gaps = [after - before for before, after in pairwise(places)]
    assert len(places) == 5
    assert max(gaps) - min(gaps) <= 1


def test_a_chart_says_how_many_points_it_leaves_out() -> None:
    points = [(1.0, 1.0), (2.0, math.inf), (3.0, math.nan), (-1.0, 2.0)]
    assert drawing([Layer("p", points, "o", "")])[-1] == "o p  without 2 not finite"
    assert drawing([Layer("p", points, "o", "")], log_x=True)[-1].startswith("o p  without 3 not finite, or")
    assert drawing([Layer("p", points[1:3], "o", "")])[1] == "nothing can be drawn"
    extreme = drawing([Layer("p", [(0, -1.7e308), (1, 1.7e308)], "o", "")])
    assert sum(line[12:].count("o") for line in extreme[1:6]) == 2


def test_names_without_room_become_numbers_with_a_key() -> None:
    points = [(float(place), 1.0) for place in range(3)]
    short = drawing([Layer("p", points, "o", "")], names=["one", "two", "three"])
    assert short[-2].split() == ["one", "two", "three"]
    long = drawing([Layer("p", points, "o", "")], names=["a" * 30, "b" * 30, "c"])
    assert long[-3].split() == ["1", "2", "3"]
    assert long[-2] == f"1 = {'a' * 30}, 2 = {'b' * 30}, 3 = c"


MOST = sys.float_info.max
EXTREMES = [
    0.0,
    math.ulp(0.0),
    1e-320,
    1.0,
    1 + 2**-52,
    5e307,
    1e308,
    MOST,
    -MOST,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
]


@pytest.mark.parametrize("log", [False, True])
def test_every_range_of_numbers_is_drawn_to_its_ends(log: bool) -> None:
    for first, second in permutations(EXTREMES, 2):
        if log and min(first, second) <= 0:
            continue
        low, high = sorted([first, second])
        for width in (1, 53):
            marks = Layer("p", [(low, low), (high, high)], "o", "", joined=True)
            found = draw_points("t", [marks], width, 5, unit="x", log_x=log, log_y=log, colour=False)
            lines = found.plain.splitlines()
            rows = [line.split("│")[1] for line in lines[1:6]]
            assert (rows[0][-1], rows[4][0]) == ("o", "o"), (low, high, lines)
            assert {len(line.split("│")[0]) for line in lines[1:6]} == {11}, lines


def test_one_value_alone_is_drawn_in_the_middle() -> None:
    for value, log in product([*EXTREMES, math.nextafter(MOST, 0)], [False, True]):
        if value > 0 or not log:
            shown = drawing([Layer("p", [(0, value), (1, value)], "o", "")], log_y=log)
            assert sum(line[12:].count("o") for line in shown[1:6]) == 2
            assert "inf" not in "".join(shown)
