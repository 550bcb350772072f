"""The page decodes, joins and coarsens curves as the archive counts them, and smooths them as promised."""

from __future__ import annotations

import base64
import json
import math
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive
from tests.web.node import evaluate

SERIES, SMOOTHING = "components/series.js", "components/smoothing.js"
COLUMNS = ["start", "min", "max", "sum", "count", "nan_count", "first", "last"]
DECODE = "module.decodeSeries(Uint8Array.from(atob(input), (sign) => sign.charCodeAt(0)).buffer)"
# Turns the lists of the input into a curve.
CURVE = """Object.fromEntries(Object.entries(input.curve).map(
    ([name, value]) => [name, Array.isArray(value) ? Float64Array.from(value) : value]))"""


def encode(curves: list[dict[str, Any]], width: float, by: str = "step", pad: int = 0) -> str:
    """Write curves as the server does; `pad` moves the data off the multiple of 8."""
    sizes = [{"run": one["run"], "metric": one["metric"], "size": one["size"]} for one in curves]
    header = json.dumps(
        {"version": "7", "by": by, "width": width, "columns": COLUMNS, "curves": sizes}
    ).encode()
    header += b" " * (-(len(header) + 4) % 8 + pad)
    data = [struct.pack(f"<{one['size']}d", *one[name]) for one in curves for name in COLUMNS]
    return base64.b64encode(struct.pack("<I", len(header)) + header + b"".join(data)).decode()


def bucket(run: str, points: list[tuple[int, float]], width: int) -> dict[str, Any]:
    """Downsample points in Python, to compare with."""
    found: dict[int, list[float]] = {}
    for step, value in points:
        found.setdefault(step // width * width, []).append(value)
    rows = []
    for start, values in found.items():
        numbers = [value for value in values if not math.isnan(value)]
        least, most = (min(numbers), max(numbers)) if numbers else (math.nan, math.nan)
        total, nans = sum(numbers), len(values) - len(numbers)
        rows.append((start, least, most, total, len(values), nans, values[0], values[-1]))
    columns = {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}
    return {"run": run, "metric": "m", "width": width, "size": len(rows), **columns}


def equal(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(equal(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(equal, found, wanted))
    if isinstance(wanted, float) and math.isnan(wanted):
        return isinstance(found, float) and math.isnan(found)
    if isinstance(wanted, (int, float)):
        return math.isclose(found, wanted, rel_tol=1e-12)
    return bool(found == wanted)


def points_with_nan(count: int, seed: int) -> list[tuple[int, float]]:
    rng = random.Random(seed)
    return [(step, math.nan if rng.random() < 0.1 else rng.uniform(-5, 5)) for step in range(count)]


@pytest.mark.parametrize("pad", [0, 3])
def test_an_answer_is_decoded_column_by_column(pad: int) -> None:
    curves = [bucket("a", points_with_nan(50, 1), 5), bucket("none", [], 5), bucket("é", [(3, 1.5)], 5)]
    found = evaluate(SERIES, DECODE, encode(curves, 5, pad=pad))
    assert (found["version"], found["by"], found["width"]) == ("7", "step", 5)
    assert equal(found["curves"], curves)


def test_an_answer_that_was_cut_is_refused() -> None:
    whole = base64.b64decode(encode([bucket("a", [(3, 1.5)], 5)], 5))
    said = evaluate(
        SERIES,
        f"(() => {{ try {{ {DECODE}; return 'no error' }} catch (error) {{ return error.message }} }})()",
        base64.b64encode(whole[:-8]).decode(),
    )
    assert said == "the answer has 56 bytes of curves, not 64"


@pytest.mark.parametrize("factor", [1, 2, 3, 7])
def test_coarser_buckets_are_those_that_the_points_make(factor: int) -> None:
    points = [(step * 3 - 40, value) for step, value in points_with_nan(200, 2)]
    found = evaluate(
        SERIES, f"module.coarsen({CURVE}, input.factor)", {"curve": bucket("a", points, 4), "factor": factor}
    )
    assert equal(found, bucket("a", points, 4 * factor))


def test_a_later_reading_replaces_the_end_of_a_curve() -> None:
    points = points_with_nan(100, 3)
    early, tail = bucket("a", points[:63], 10), bucket("a", points[60:], 10)
    found = evaluate(SERIES, f"module.appendTail({CURVE}, input.tail)", {"curve": early, "tail": tail})
    assert equal(found, bucket("a", points, 10))


def test_a_detail_stands_between_the_overview_on_both_sides() -> None:
    points = points_with_nan(100, 4)
    detail = bucket("a", points[20:60], 2)
    found = evaluate(
        SERIES,
        f"module.spliceDetail({CURVE}, input.detail, 20, 60)",
        {"curve": bucket("a", points, 10), "detail": detail},
    )
    outside = bucket("a", points, 10)
    wanted = {name: outside[name][:2] + detail[name] + outside[name][6:] for name in COLUMNS}
    assert equal({name: found[name] for name in COLUMNS}, wanted)
    assert found["size"] == 2 + 20 + 4
    widths = evaluate(
        SERIES,
        "input.starts.map((x) => module.widthAt(input.curve, x))",
        {"curve": found, "starts": [10, 20, 58, 60]},
    )
    assert widths == [10, 2, 2, 10]


def test_means_lie_within_the_extremes_and_tell_infinities() -> None:
    inf, nan = math.inf, math.nan
    curve = {
        "size": 7,
        "sum": [0.1 * 10 - 1e-16, inf, -inf, nan, 0, inf, 3.0],
        "min": [0.1, 1, -inf, -inf, nan, 1e308, 1],
        "max": [0.1, inf, 5, inf, nan, 1.2e308, 2],
        "count": [10, 2, 2, 2, 3, 2, 3],
        "nan_count": [0, 0, 0, 0, 3, 0, 1],
    }
    found = evaluate(SERIES, f"module.meansOf({CURVE})", {"curve": curve})
    assert equal(found, [0.1, inf, -inf, nan, nan, 1.1e308, 1.5])


@pytest.mark.parametrize(
    ("by", "least", "most", "wanted"),
    [
        ("step", 0, 9999, 32),
        ("step", 5, 5, 1),
        ("time", 0, 10, 0.032),
        ("time", 0, 0, 0.001),
        ("x", -1, 1, 0.005),
    ],
)
def test_a_width_covers_the_extent(by: str, least: float, most: float, wanted: float) -> None:
    assert math.isclose(evaluate(SERIES, f"module.chooseWidth('{by}', {least}, {most}, 400)"), wanted)


def test_no_width_is_chosen_for_an_extent_that_is_not_finite() -> None:
    assert evaluate(SERIES, "module.chooseWidth('x', -Infinity, 1, 400)") is None
    assert evaluate(SERIES, "module.chooseWidth('x', 1, 1, 400)") is None


def smooth(curve: dict[str, Any], length: float) -> list[float]:
    found: list[float] = evaluate(
        SMOOTHING,
        "module.smooth(input.x, input.y, input.count, input.nan_count, input.length)",
        {"x": curve["start"], "y": means(curve), "length": length}
        | {k: curve[k] for k in ("count", "nan_count")},
    )
    return found


def means(curve: dict[str, Any]) -> list[float]:
    numbers = [count - nans for count, nans in zip(curve["count"], curve["nan_count"], strict=True)]
    return [total / n if n else math.nan for total, n in zip(curve["sum"], numbers, strict=True)]


def weighted(curve: dict[str, Any], length: float) -> list[float]:
    """Compute each smoothed value by its definition: a weighted mean of all buckets since the last NaN."""
    ys, found, begin = means(curve), [], 0
    for place, y in enumerate(ys):
        if curve["nan_count"][place] or not math.isfinite(y):
            begin = place
        if not math.isfinite(y):
            begin = place + 1
            found.append(y)
            continue
        of = range(begin, place + 1)
        weights = [
            (curve["count"][n] - curve["nan_count"][n])
            * math.exp((curve["start"][n] - curve["start"][place]) / length)
            for n in of
        ]
        found.append(sum(w * ys[n] for w, n in zip(weights, of, strict=True)) / sum(weights))
    return found


@pytest.mark.parametrize("length", [0.5, 10, 1000])
def test_smoothing_is_the_weighted_mean_since_the_last_nan(length: float) -> None:
    curve = bucket("a", points_with_nan(300, 5), 7)
    rare = bucket("a", [(step * step, value) for step, value in points_with_nan(40, 6)], 4)
    for one in (curve, rare):
        assert equal([round(y, 9) for y in smooth(one, length)], [round(y, 9) for y in weighted(one, length)])


def test_smoothing_that_is_off_changes_nothing() -> None:
    curve = bucket("a", points_with_nan(50, 7), 3)
    assert equal(smooth(curve, 0), means(curve))


def test_a_constant_stays_exactly_constant() -> None:
    curve = bucket("a", [(step * step, 0.1) for step in range(100)], 1)
    assert smooth(curve, 37.0) == [0.1] * 100


def test_smoothing_does_not_depend_on_the_width_of_the_buckets() -> None:
    points = [(step, math.sin(step / 300) + random.Random(step).uniform(-1, 1)) for step in range(6000)]
    fine = dict(zip(range(6000), smooth(bucket("a", points, 1), 500), strict=True))
    coarse = bucket("a", points, 10)
    off = [abs(y - fine[x + 9]) for x, y in zip(coarse["start"], smooth(coarse, 500), strict=True)]
    assert max(off[100:]) < 0.01


def test_smoothing_does_not_look_ahead() -> None:
    points = [(step, float(step > 50)) for step in range(100)]
    assert smooth(bucket("a", points, 1), 10)[:51] == [0.0] * 51


def test_curves_of_an_archive_have_the_columns_that_the_page_reads(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run()
        for step, value in points_with_nan(100, 8):
            run.log({"m": value}, step)
        run.complete()
        (curve,) = archive.curves([run], "m", width=10)
        assert set(COLUMNS) <= curve.lists().keys()
