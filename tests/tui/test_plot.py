"""Charts of dots: their size, gaps, scales, letters and the cross-hair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.text import Text

from exptrack import Archive, Buckets
from exptrack.tui.marks import STYLES
from exptrack.tui.plot import BRAILLE, Curve, View, draw_chart, find_span, read_at


def make_curve(folder: Path, values: Sequence[float], *, place: int = 0, first: int = 0) -> Curve:
    with Archive(folder / f"{place}.db") as archive, archive.start_run() as run:
        if values:
            run.log_many("m", range(first, first + len(values)), values)
        run.flush()
        (buckets,) = archive.curves([run], ["m"], buckets=100)
        assert isinstance(buckets, Buckets)
    return Curve(f"run {place}", place, STYLES[place], buckets)


def draw(curves: Sequence[Curve], width: int = 40, height: int = 8, **changes: object) -> list[str]:
    view = View()._replace(**changes)
    lines = draw_chart("m", Text("best 1"), curves, width, height, view)
    assert len(lines) == height
    assert all(line.cell_len <= width for line in lines)
    return [line.plain for line in lines]


def dots(lines: Sequence[str]) -> int:
    return sum(BRAILLE < ord(one) < BRAILLE + 256 for line in lines for one in line)


@pytest.mark.parametrize("width", [16, 20, 36, 75, 200])
@pytest.mark.parametrize("height", [6, 8, 30])
def test_a_chart_is_as_large_as_asked(width: int, height: int, tmp_path: Path) -> None:
    curve = make_curve(tmp_path, [1e-300, -5.0, math.nan, 1e300, 7.0])
    assert dots(draw([curve], width, height)) >= 3
    draw([curve], width, height, log=True)
    draw([make_curve(tmp_path, [], place=1)], width, height)


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right(tmp_path: Path) -> None:
    lines = draw([make_curve(tmp_path, [float(one) for one in range(100)])])
    plot = [line.partition("│")[2] or line.partition("┤")[2] for line in lines[1:-1]]
    places = [next(place for place, one in enumerate(row) if one != " ") for row in reversed(plot)]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, max(places))
    assert lines[0].startswith("m ")
    assert lines[0].endswith("best 1")
    assert lines[-1].split() == ["0", "steps", "99"]


def test_labels_are_at_round_values(tmp_path: Path) -> None:
    lines = draw([make_curve(tmp_path, [0.0, 1.0, 2.0, 3.0])], height=12)
    assert [line.split("┤")[0].strip() for line in lines if "┤" in line] == ["3", "2", "1", "0"]


def test_nan_leaves_a_gap_and_is_told(tmp_path: Path) -> None:
    whole = make_curve(tmp_path, [1.0] * 80)
    torn = make_curve(tmp_path, [1.0] * 20 + [math.nan] * 40 + [1.0] * 20, place=1)
    assert dots(draw([whole])) > 1.8 * dots(draw([torn])) > 0
    assert "without 40 NaN" in draw([torn])[0]
    assert "no finite value" in "\n".join(draw([make_curve(tmp_path, [math.nan, math.inf], place=2)]))
    assert "no points yet" in "\n".join(draw([make_curve(tmp_path, [], place=3)]))


def test_a_logarithmic_scale_leaves_out_what_has_no_logarithm(tmp_path: Path) -> None:
    lines = draw([make_curve(tmp_path, [-1.0, 0.001, 1.0, 1000.0])], height=14, log=True)
    assert "(log)" in lines[0]
    assert "without values without a logar" in lines[0]
    assert {"0.01", "1", "100"} <= {line.split("┤")[0].strip() for line in lines}
    assert "no value above 0" in "\n".join(draw([make_curve(tmp_path, [-1.0, 0.0], place=1)], log=True))


def test_letters_tell_curves_apart_without_colour(tmp_path: Path) -> None:
    curves = [make_curve(tmp_path, [float(one)] * 50, place=one) for one in range(3)]
    lines = draw(curves, colour=False)
    assert dots(lines) == 0
    assert all(letter in "".join(lines[1:-1]) for letter in "abc")
    assert dots(draw(curves[:1], colour=False)) > 0


def test_the_first_curve_lies_above_the_others(tmp_path: Path) -> None:
    curves = [make_curve(tmp_path, [1.0] * 50, place=one) for one in range(3)]
    lines = draw_chart("m", Text(), curves, 40, 8, View())
    assert {str(span.style) for line in lines[1:-1] for span in line.spans} == {"dim", STYLES[0]}


def test_the_cross_hair_stands_where_its_value_is_read(tmp_path: Path) -> None:
    curve = make_curve(tmp_path, [float(one * one) for one in range(50)])
    span = find_span([curve], View())
    assert span == (0, 49)
    assert read_at(curve.buckets, "step", 20.4) == (20, 400.0)
    assert read_at(curve.buckets, "step", -1) is None
    row = draw([curve], cross=0.5)[1]
    assert 17 <= row.rindex("│") - row.index("│") <= 21


def test_a_window_shows_a_part(tmp_path: Path) -> None:
    curve = make_curve(tmp_path, [float(one) for one in range(100)])
    lines = draw([curve], window=(40.0, 60.0))
    assert lines[-1].split() == ["40", "steps", "60"]
    assert draw([curve], by="time")[-1].split()[-1] in ("ms", "s")
