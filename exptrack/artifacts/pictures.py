"""Show the artifacts of a run in a notebook: the newest images as small pictures, and all as a table.

Invariant: a picture is made by exptrack of a raster image, small, and inside the page. One that cannot be made
is left out, and a sentence says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from xml.etree.ElementTree import Element

from exptrack.errors import ExptrackError
from exptrack.markup.elements import Child, cut, element
from exptrack.markup.notebook import MOST_ROWS, draw_rows, read_row
from exptrack.markup.parts import data_image, isolate, paragraph
from exptrack.media.thumbnails import Thumbnail
from exptrack.records import Artifact

MOST_PICTURES = 6
PICTURE_SIZE = 128  # pixels of the longer side
MOST_IMAGE_BYTES = 10_000_000  # of an image that is read to be shown


class PictureMaker(Protocol):
    """The store of the artifacts, as far as pictures need it."""

    def thumbnail(self, name: str, version: int | None = None, *, size: int = 256) -> Thumbnail: ...


def draw_artifacts(store: PictureMaker, artifacts: Sequence[Artifact]) -> list[Child]:
    """Return pictures of the newest images, and a table of the artifacts."""
    images = [one for one in artifacts if (one.media_type or "").startswith("image/")]
    newest = sorted({one.name: one for one in images}.values(), key=lambda one: one.created_at, reverse=True)
    parts = draw_pictures(store, newest[:MOST_PICTURES])
    rows = [read_row(one) for one in artifacts[:MOST_ROWS]]
    return [*parts, *draw_rows(rows, len(artifacts), noun="artifact")]


def draw_pictures(store: PictureMaker, images: Sequence[Artifact]) -> list[Child]:
    """Return images as small pictures, and what is said of those that cannot be shown."""
    figures: list[Element] = []
    problems: dict[str, None] = {}
    for image in images:
        try:
            figures.append(_draw_picture(store, image))
        except ExptrackError as error:
            problems[f"{cut(image.name)} is not shown: {cut(str(error))}"] = None
    shown = element("div", figures, class_="pictures") if figures else None
    return [shown, *(paragraph(problem) for problem in problems)]


def _draw_picture(store: PictureMaker, image: Artifact) -> Element:
    if image.size_bytes > MOST_IMAGE_BYTES:
        raise ExptrackError(f"it has {image.size_bytes:,} bytes; artifacts.thumbnail() makes a picture of it")
    data, media_type, width, height = store.thumbnail(image.name, image.version, size=PICTURE_SIZE)
    at = "" if image.step is None else f" at step {image.step:,}"
    picture = data_image(data, media_type, f"{image.name}{at}", width, height)
    return element("figure", picture, element("figcaption", isolate(cut(image.name)), at))
