"""Pictures of curves: what is in them, and what the options of ``history`` make of it."""

from __future__ import annotations

import io
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from exptrack import Archive
from exptrack.curve_points import smooth_means
from exptrack.exporters.plot import read_style
from exptrack.markup.chart import BOTTOM, TOP
from tests.cli.calls import asked, call
from tests.web.node import evaluate

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def curves(tmp_path: Path) -> Path:
    """Two runs with a rising and a falling metric, and one that is never a number."""
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        for factor in (1, 2):
            with archive.start_run(name=f"run<{factor}>") as run:
                for step in range(50):
                    run.log({"acc": factor * step / 100, "loss": factor / (step + 1), "odd": math.nan}, step)
    return path


def draw(db: Path, *words: str, name: str = "out.svg") -> ElementTree.Element:
    out = db.parent / name
    done = call(db, "history", "run<1>", *words, "-o", str(out), "--overwrite")
    assert done.exit_code == 0, done.stderr
    return ElementTree.fromstring(out.read_text(encoding="utf-8"))


def texts_of(picture: ElementTree.Element) -> list[str]:
    return [one.text or "" for one in picture.iter(f"{SVG}text")]


def heights_of(picture: ElementTree.Element) -> list[float]:
    """The heights of the points of the first curve."""
    path = next(one for one in picture.iter(f"{SVG}path") if one.get("class") == "line").attrib["d"]
    numbers = list(map(int, re.findall(r"-?\d+", path)))
    place, found = 0, []
    for number in numbers[1::2]:
        place += number
        found.append(place)
    return found


def test_a_picture_has_a_chart_for_each_metric_and_names_the_runs(curves: Path) -> None:
    picture = draw(curves, "acc", "loss", "--with", "run<2>")
    found = texts_of(picture)
    assert {"acc", "loss", "run<1>", "run<2>", "step"} <= set(found)
    charts = [one for one in picture.iter(f"{SVG}svg") if one.get("class") == "chart"]
    assert len(charts) == 2
    assert picture.find(f"{SVG}style") is not None
    assert not [one for one in picture.iter() if "href" in str(one.attrib)], "it needs nothing else"
    assert call(curves, "history", "run<1>", "odd", "-o", "odd.svg").exit_code == 0
    assert "nothing can be drawn" in Path("odd.svg").read_text(encoding="utf-8")


def test_without_metrics_the_main_ones_are_drawn(curves: Path) -> None:
    with Archive(curves) as archive, archive.start_run(name="many") as run:
        run.log({f"val/loss{number}": 1.0 for number in range(5)} | {"system/cpu_percent": 5.0}, 0)
    done = call(curves, "history", "many", "-o", "main.svg")
    assert done.stdout.startswith("4 charts of 1 run written to main.svg (")
    assert "system/" not in Path("main.svg").read_text(encoding="utf-8")


def test_a_picture_is_smoothed_cut_and_laid_over_time(curves: Path) -> None:
    rough, smooth = (heights_of(draw(curves, "loss", *words)) for words in ((), ("--smooth", "10")))
    assert len(rough) == len(smooth) == 50
    assert smooth[10] < rough[10], "a mean that remembers the greater values stands higher"
    cut = draw(curves, "acc", "--y", "0.1:0.2")
    assert cut.find(f".//{SVG}clipPath") is not None
    assert {"0.10", "0.20"} <= set(texts_of(cut))
    assert min(heights_of(cut)) < TOP < BOTTOM < max(heights_of(cut)), "the clip cuts what is beyond"
    over_time = draw(curves, "acc", "--by", "time", "--log")
    assert {"seconds since the start", "logarithmic"} <= set(texts_of(over_time))
    assert len(heights_of(over_time)) == 49, "0 has no logarithm"


def test_a_png_is_the_same_picture(curves: Path) -> None:
    from PIL import Image

    for name in ("out.png", "OUT.PNG"):
        assert call(curves, "history", "run<1>", "acc", "-o", name, "--overwrite").exit_code == 0
        with Image.open(io.BytesIO(Path(name).read_bytes())) as image:
            pixels = image.convert("RGB")
            assert pixels.width > 1000
            assert pixels.getpixel((5, 5)) == (255, 255, 255)
            colours = {colour for _count, colour in pixels.getcolors(1 << 20) or ()}
            assert (0x14, 0x54, 0x00) in colours, "the first curve"


def test_a_picture_replaces_a_file_only_if_asked_and_names_its_kind(
    curves: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("kept.svg").write_text("mine")
    refused = call(curves, "history", "run<1>", "acc", "-o", "kept.svg")
    assert (refused.exit_code, "--overwrite" in refused.stderr) == (61, True)
    assert Path("kept.svg").read_text() == "mine"
    for words in (
        ["-o", "a.pdf"],
        ["-o", "a"],
        ["-o", "a.svg", "--csv"],
        ["-o", "a.svg", "--json"],
        ["--y", "3"],
        ["--y", "2:1"],
        ["--y", "nan:1"],
        ["--y", "0:1", "--log"],
        ["--smooth", "-1"],
    ):
        assert call(curves, "history", "run<1>", "acc", *words).exit_code == 2, words
    assert call(curves, "history", "run<1>", "acc", "-o", "no/such/a.svg").exit_code == 61
    assert sorted(path.suffix for path in Path().iterdir() if path.name != "lab.db") == [".svg"]
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    lacking = call(curves, "history", "run<1>", "acc", "-o", "a.png")
    assert "resvg-py" in lacking.stderr
    assert "exptrack-archive[plot]" in lacking.stderr
    assert not Path("a.png").exists()


def test_points_of_all_metrics_are_printed_unless_some_are_named(curves: Path) -> None:
    found = asked(curves, "history", "run<1>")
    assert [one["metric"] for one in found] == ["acc", "loss", "odd"]
    assert len(found[0]["step"]) == 50


def test_the_colours_of_a_picture_are_those_of_a_report_on_paper() -> None:
    report = Path(__file__).parent.parent.parent / "exptrack" / "exporters" / "report.css"
    light = dict(re.findall(r"--(c\d): (#\w+);", report.read_text().partition("@media")[0]))
    assert dict(re.findall(r"\.(c\d) { color: (#\w+); }", read_style())) == light
    assert len(light) == 8


def test_the_page_smooths_by_the_same_rule() -> None:
    values = [1.0, 3.0, math.nan, 2.0, 2.0, 8.0]
    counts, nans = [1, 2, 1, 3, 1, 2], [0, 0, 1, 0, 0, 1]
    places = [0.0, 1.0, 2.0, 4.0, 5.0, 9.0]
    columns: Mapping[str, list[float]] = {
        "min": values,
        "max": values,
        "sum": [value * (count - nan) for value, count, nan in zip(values, counts, nans, strict=True)],
        "count": [float(one) for one in counts],
        "nan_count": [float(one) for one in nans],
        "first_step": places,
        "last_step": places,
    }
    given = {"xs": places, "values": values, "counts": counts, "nans": nans}
    script = "Array.from(module.smooth(input.xs, input.values, input.counts, input.nans, 3))"
    expected = evaluate("components/smoothing.js", script, given)
    found = [math.nan if mean is None else mean for mean in smooth_means(columns, 3, "step")]
    assert found == pytest.approx(expected, nan_ok=True)
