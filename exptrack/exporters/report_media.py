"""Read the images, tables and histograms of a report, and draw them.

Invariants: only the newest version of an artifact is shown. Images are small pictures that exptrack made, or
drawings in SVG, as ``data:`` addresses of ``<img>``, where a drawing runs no script and loads nothing. All of
them together stay below a limit. What is left out is told.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from exptrack import Archive, Artifact, ExptrackError, MissingPackageError
from exptrack.markup.chart import draw_histogram
from exptrack.markup.elements import cut, element, write_count
from exptrack.markup.parts import data_image, fill_table, head, isolate, number_cell, setting_cell

SVG = "image/svg+xml"
THUMBNAIL_SIZE = 256
SMALL = 64  # pixels; such an image is shown enlarged
MOST_IMAGE_BYTES = 3_000_000  # of all pictures; mail takes about 10 MB, and base64 adds a third
MOST_DRAWING_BYTES = 200_000
MOST_TABLE_BYTES = 1_000_000
MOST_ROWS, MOST_COLUMNS = 25, 25
MOST_HEAT = 0.45  # of the colour behind the greatest count; text stays readable on it

Label = Callable[[str], "list[Element | str]"]


class Picture(NamedTuple):
    """An image: its bytes and their media type, its size in pixels if that is known."""

    artifact: Artifact
    data: bytes
    media_type: str
    width: int | None
    height: int | None


class Cells(NamedTuple):
    """The first rows and columns of a table. A confusion matrix names each row and column of counts."""

    artifact: Artifact
    heads: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    is_confusion: bool
    cut: str


class Bars(NamedTuple):
    """A histogram."""

    artifact: Artifact
    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Media(NamedTuple):
    """The artifacts of a report whose bytes were read."""

    pictures: tuple[Picture, ...]
    tables: tuple[Cells, ...]
    histograms: tuple[Bars, ...]
    left_out: tuple[str, ...]


def read_media(archive: Archive, artifacts: Mapping[str, Sequence[Artifact]]) -> Media:
    """Read artifacts by their kinds. One that cannot be read is told in `left_out`."""
    left_out: list[str] = []
    pictures = _read_pictures(archive, artifacts.get("image", ()), left_out)
    tables = _read_each(archive, artifacts.get("table", ()), _read_table, left_out)
    histograms = _read_each(archive, artifacts.get("histogram", ()), _read_histogram, left_out)
    return Media(tuple(pictures), tuple(tables), tuple(histograms), tuple(left_out))


def _read_each(
    archive: Archive,
    artifacts: Iterable[Artifact],
    read: Callable[[Archive, Artifact], Any],
    left_out: list[str],
) -> list[Any]:
    found = []
    for artifact in artifacts:
        try:
            found.append(read(archive, artifact))
        except MissingPackageError as error:
            left_out.append(f"The {artifact.kind}s are not shown: {error}")
            break
        except (ExptrackError, _UnfitError) as error:
            left_out.append(f"{artifact.name} of run {artifact.run_id} is not shown: {error}")
    return found


class _UnfitError(Exception):
    """An artifact is beyond the limits of a report, or is not what its kind says."""


# Images


def _read_pictures(archive: Archive, artifacts: Sequence[Artifact], left_out: list[str]) -> list[Picture]:
    pictures: list[Picture] = []
    room = MOST_IMAGE_BYTES
    for place, artifact in enumerate(artifacts):
        found = _read_each(archive, [artifact], _read_picture, left_out)
        if sum(len(picture.data) for picture in found) > room:
            rest = write_count(len(artifacts) - place, "image")
            left_out.append(f"{rest} more are not shown: the others fill {MOST_IMAGE_BYTES / 1e6:.0f} MB")
            break
        pictures += found
        room -= sum(len(picture.data) for picture in found)
        if left_out and left_out[-1].startswith("The images"):
            break
    return pictures


def _read_picture(archive: Archive, artifact: Artifact) -> Picture:
    store = archive.artifacts(artifact.run_id)
    if artifact.media_type == SVG:
        if artifact.size_bytes > MOST_DRAWING_BYTES:
            raise _UnfitError(f"the drawing has {artifact.size_bytes:,} bytes")
        drawing = store.get_blob(artifact.hash) or b""
        data = drawing.encode() if isinstance(drawing, str) else drawing
        return Picture(artifact, data, SVG, None, None)
    small = store.thumbnail(artifact.name, artifact.version, size=THUMBNAIL_SIZE)
    return Picture(artifact, *small)


def _draw_picture(picture: Picture, label: Label) -> Element:
    artifact = picture.artifact
    sizes = (picture.width, picture.height)
    scale = 1
    if None not in sizes and max(filter(None, sizes), default=SMALL + 1) <= SMALL:
        scale = max(1, 2 * SMALL // max(filter(None, sizes)))
    width, height = (None if size is None else size * scale for size in sizes)
    alt = f"{artifact.name} of run {artifact.run_id}{_at_step(artifact)}"
    image = data_image(picture.data, picture.media_type, alt, width, height)
    return element("figure", image, _caption(artifact, label), class_="small" if scale > 1 else None)


# Tables


def _read_table(archive: Archive, artifact: Artifact) -> Cells:
    if artifact.size_bytes > MOST_TABLE_BYTES:
        raise _UnfitError(f"the table has {artifact.size_bytes:,} bytes")
    columns = archive.artifacts(artifact.run_id).get_table(artifact.name, artifact.version)
    heads, rows = [*columns], [*zip(*columns.values(), strict=True)]
    confusion = find_confusion(heads, rows)
    if confusion is not None:
        heads, rows = confusion
    told = ""
    if len(rows) > MOST_ROWS or len(heads) > MOST_COLUMNS + 1:
        told = f"{min(len(rows), MOST_ROWS)} of {len(rows):,} rows, {min(len(heads), MOST_COLUMNS + 1)} of"
        told += f" {len(heads):,} columns"
    cut_rows = tuple(tuple(row[: MOST_COLUMNS + 1]) for row in rows[:MOST_ROWS])
    return Cells(artifact, tuple(heads[: MOST_COLUMNS + 1]), cut_rows, confusion is not None, told)


def find_confusion(
    heads: Sequence[str], rows: Sequence[Sequence[Any]]
) -> tuple[list[str], list[tuple[Any, ...]]] | None:
    """Return a confusion matrix as a table with a column of names and one for each class; None if it is none.

    It has two forms. A square one has a name and as many counts a row as there are rows. A long one has two
    names and a count a row, and no pair of names twice.
    """
    numbers = [row[1:] for row in rows]
    if (
        len(rows) >= 2
        and len(heads) == len(rows) + 1
        and all(map(_is_count, (n for row in numbers for n in row)))
    ):
        return [*heads], [tuple(row) for row in rows]
    if len(heads) != 3 or len(rows) < 2 or not all(_is_count(row[2]) for row in rows):
        return None
    counts = {(str(row[0]), str(row[1])): row[2] for row in rows}
    if len(counts) != len(rows) or not all(isinstance(name, (str, int)) for row in rows for name in row[:2]):
        return None
    names = sorted({name for pair in counts for name in pair})
    if len(names) > MOST_COLUMNS or not {one for one, _ in counts} & {other for _, other in counts}:
        return None
    corner = f"{heads[0]} \\ {heads[1]}"
    return [corner, *names], [(one, *(counts.get((one, other), 0) for other in names)) for one in names]


def _is_count(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


def _draw_table(cells: Cells, label: Label) -> Element:
    largest = max((value for row in cells.rows for value in row[1:] if cells.is_confusion), default=0) or 1
    rows = []
    for row in cells.rows:
        parts = [setting_cell(value, is_head=place == 0) for place, value in enumerate(row)]
        if cells.is_confusion:
            for cell, value in zip(parts[1:], row[1:], strict=True):
                cell.set("class", f"{cell.get('class', '')} heat".strip())
                cell.set("style", f"--share:{MOST_HEAT * value / largest:.2f}")
        rows.append(element("tr", parts))
    heads = element("tr", [head(name) for name in cells.heads])
    artifact = cells.artifact
    table = fill_table(f"{artifact.name} of run {artifact.run_id}", heads, rows, class_="scroll fit")
    kind = "confusion matrix" if cells.is_confusion else ""
    more = ", ".join(filter(None, (kind, cells.cut)))
    return element(
        "figure", _caption(artifact, label, more), table, class_="half" if cells.is_confusion else "table"
    )


# Histograms


def _read_histogram(archive: Archive, artifact: Artifact) -> Bars:
    if artifact.size_bytes > MOST_TABLE_BYTES:
        raise _UnfitError(f"the histogram has {artifact.size_bytes:,} bytes")
    held = json.loads(archive.artifacts(artifact.run_id).get_blob(artifact.hash) or "{}")
    try:
        edges, counts = tuple(map(float, held["edges"])), tuple(map(int, held["counts"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise _UnfitError("it is no histogram of exptrack") from None
    if len(edges) != len(counts) + 1 or not counts or not all(map(math.isfinite, edges)):
        raise _UnfitError("its edges and counts do not fit together")
    return Bars(artifact, edges, counts)


def _draw_bars(bars: Bars, label: Label, key: str) -> Element:
    name = f"{bars.artifact.name} of run {bars.artifact.run_id}{_at_step(bars.artifact)}"
    chart = draw_histogram(key, name, bars.edges, bars.counts)
    rows = [
        element("tr", number_cell(low), number_cell(high), number_cell(count))
        for (low, high), count in zip(pairwise(bars.edges), bars.counts, strict=True)
    ]
    heads = element("tr", [head(name) for name in ("From", "To", "Count")])
    table = fill_table(f"Bins of {name}", heads, rows)
    data = element("details", element("summary", f"Data of {bars.artifact.name}"), table)
    return element("figure", _caption(bars.artifact, label), chart, data, class_="wide")


# All kinds


def _caption(artifact: Artifact, label: Label, more: str = "") -> Element:
    said = artifact.metadata.get("caption")
    return element(
        "figcaption",
        label(artifact.run_id),
        element("span", _at_step(artifact) or f" version {artifact.version}", class_="dim"),
        [element("br"), isolate(cut(said, 200))] if isinstance(said, str) and said else None,
        [element("br"), element("span", more, class_="dim")] if more else None,
    )


def _at_step(artifact: Artifact) -> str:
    return "" if artifact.step is None else f" at step {artifact.step:,}"


def draw_media(media: Media, label: Label) -> list[Element]:
    """Return the sections of images, tables and histograms, each name with its runs beside one another."""
    bars = [
        (one.artifact.name, _draw_bars(one, label, f"bars-{place}"))
        for place, one in enumerate(media.histograms)
    ]
    kinds: list[tuple[str, list[tuple[str, Element]]]] = [
        ("Images", [(one.artifact.name, _draw_picture(one, label)) for one in media.pictures]),
        ("Tables", [(one.artifact.name, _draw_table(one, label)) for one in media.tables]),
        ("Histograms", bars),
    ]
    return [_draw_kind(title, figures) for title, figures in kinds if figures]


def _draw_kind(title: str, figures: Sequence[tuple[str, Element]]) -> Element:
    made = element("section", element("h2", title))
    for name in dict.fromkeys(name for name, _figure in figures):
        made.append(element("h3", isolate(name)))
        made.append(element("div", [figure for own, figure in figures if own == name], class_="pictures"))
    return made
