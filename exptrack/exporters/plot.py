"""Write curves of metrics as one picture, for papers and slides: SVG, or PNG.

Invariants: the picture needs nothing else but fonts of the system. It has a white ground, and the colours and
axes of a report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import NamedTuple
from xml.etree.ElementTree import Element, tostring

from exptrack import Buckets
from exptrack.extras import require
from exptrack.markup.chart import HEIGHT, WIDTH, Look, View, draw_chart
from exptrack.markup.elements import element

FORMATS = (".svg", ".png")
COLUMNS_OF_MANY, MANY = 2, 3  # charts
HEAD, LINE, MARGIN = 240, 200, 120  # tenths of a pixel
LEGEND_AT, TEXT_AT = 560, 960
CHARS = 58  # of a line of the legend, for each column
PNG_ZOOM = 2.0


class Panel(NamedTuple):
    """One chart of the picture: its title, and its curves."""

    title: str
    curves: Sequence[Buckets]


def draw_plot(panels: Sequence[Panel], labels: Mapping[str, str], view: View) -> bytes:
    """Draw charts side by side, above a legend with the label of each run, as SVG."""
    looks = {run_id: Look(place % 8, place // 8 % 4) for place, run_id in enumerate(labels)}
    columns = COLUMNS_OF_MANY if len(panels) >= MANY else 1
    parts: list[Element] = []
    for place, panel in enumerate(panels):
        left, top = place % columns * WIDTH, place // columns * (HEIGHT + HEAD)
        title = element("text", panel.title, x=str(left + LEGEND_AT), y=str(top + HEAD - 60), class_="title")
        chart = draw_chart(f"chart{place}", panel.title, [one for one in panel.curves if len(one)], looks, view)
        if chart is None:
            words = element("text", "nothing can be drawn", x=str(left + LEGEND_AT), y=str(top + HEAD + LINE))
            parts += [title, words]
            continue
        for name, value in (("x", left), ("y", top + HEAD), ("width", WIDTH), ("height", HEIGHT)):
            chart.set(name, str(value))
        chart.set("overflow", "visible")  # the last label of an axis is centred on its end
        parts += [title, chart]
    rows = -(-len(panels) // columns)
    bottom = rows * (HEIGHT + HEAD) + MARGIN
    for place, (run_id, label) in enumerate(labels.items()):
        y = bottom + place * LINE
        line = element("path", class_="line", d=f"M{LEGEND_AT} {y}h300")
        parts.append(element("g", line, class_=looks[run_id].classes))
        parts.append(element("text", _cut(label, CHARS * columns), x=str(TEXT_AT), y=str(y + 40)))
    width, height = columns * WIDTH + MARGIN, bottom + len(labels) * LINE + MARGIN
    picture = element(
        "svg",
        element("style", read_style()),
        element("rect", width="100%", height="100%", fill="#ffffff"),
        parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=str(width // 6),
        height=str(height // 6),
    )
    text: str = tostring(picture, encoding="unicode")
    return f"{text}\n".encode()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def read_style() -> str:
    """Return the style of a picture."""
    return resources.files("exptrack.exporters").joinpath("plot.css").read_text(encoding="utf-8")


def convert_to_png(picture: bytes) -> bytes:
    """Turn a picture from SVG to PNG, with two pixels for one.

    Raises:
        MissingPackageError: resvg-py is not installed.
    """
    resvg = require("resvg_py", "a plot as PNG", "plot")
    return bytes(resvg.svg_to_bytes(svg_string=picture.decode(), zoom=PNG_ZOOM))
