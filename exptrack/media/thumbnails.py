"""Make small pictures of raster images whose bytes come from strangers.

Invariants: an image is recognised by its content, never by its name, and only the formats that `images` knows
are decoded. The number of its pixels is read from its header and limited before a pixel is decoded. SVG, which
can hold scripts, is never read.
"""

from __future__ import annotations

import io
import math
from typing import Any, BinaryIO, NamedTuple

from exptrack.errors import ExptrackError, InvalidValueError
from exptrack.extras import require
from exptrack.media.images import HEAD_BYTES, PILLOW_FORMATS, PNG, SVG, recognise_image
from exptrack.shown import shown

MAX_PIXELS = 50_000_000  # of an image that is decoded: 200 MB
MAX_SIZE = 2_048  # pixels of a thumbnail's longer side
WEBP = "image/webp"
LOSSY = ("image/jpeg", WEBP)
QUALITY = 80


@shown
class Thumbnail(NamedTuple):
    """A small picture: the bytes of a PNG or WebP file, and its width and height in pixels."""

    data: bytes
    media_type: str
    width: int
    height: int


def make_thumbnail(source: BinaryIO, size: int, what: str) -> Thumbnail:
    """Make a picture of at most `size` pixels each way of the first image in a file; `what` names it in errors.

    A smaller image keeps its size. Pictures of JPEG and WebP become WebP, all others PNG.

    Raises:
        InvalidValueError: the file is no raster image, is damaged, or has more than 50 million pixels.
        MissingPackageError: Pillow is not installed.
    """
    media_type = recognise_image(source.read(HEAD_BYTES))
    if media_type is None or media_type == SVG:
        found = "an SVG drawing, which a viewer shows itself" if media_type else "no image"
        raise InvalidValueError(f"{what} is {found}; thumbnails are made of PNG, JPEG, GIF, WebP, BMP and TIFF")
    image = require("PIL.Image", "thumbnails", "media")
    operations = require("PIL.ImageOps", "thumbnails", "media")
    image.init()
    if PILLOW_FORMATS[media_type] not in image.OPEN:
        raise InvalidValueError(
            f"{what} is {media_type}, which this Pillow cannot read; install another Pillow"
        )
    source.seek(0)
    try:
        # Image.open() would try every format.
        with image.OPEN[PILLOW_FORMATS[media_type]][0](source, "") as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise InvalidValueError(
                    f"{what} has {opened.width:,} × {opened.height:,} pixels, more than {MAX_PIXELS:,};"
                    " export it to look at it"
                )
            # JPEG is decoded at a fraction of its size where that is enough.
            opened.draft(None, (size, size))
            small = _convert_mode(opened)
            small.thumbnail((size, size))
            small = operations.exif_transpose(small)
    except ExptrackError:
        raise
    except Exception as error:  # Pillow's parsers raise errors of many kinds
        raise InvalidValueError(f"{what} begins like {media_type}, but is damaged: {error}") from None
    return _encode(image, small, media_type)


def _convert_mode(opened: Any) -> Any:
    """Return the pixels in a mode that a picture is made of: 8 bits a channel."""
    if opened.mode in ("L", "LA", "RGB", "RGBA"):
        opened.load()
        return opened
    if opened.mode[0] in "IF":
        # 16 and 32 bits a pixel: the range that occurs becomes black to white.
        wide = opened.convert("F")
        low, high = wide.getextrema()
        scale = 255 / (high - low) if math.isfinite(high - low) and high > low else 0.0
        offset = -low * scale if scale else 0.0
        return wide.point(lambda value: value * scale + offset).convert("L")
    return opened.convert("RGBA" if opened.has_transparency_data else "RGB")


def _encode(image: Any, small: Any, media_type: str) -> Thumbnail:
    target = io.BytesIO()
    is_lossy = media_type in LOSSY and "WEBP" in image.SAVE
    if is_lossy:
        small.save(target, format="WEBP", quality=QUALITY)
    else:
        small.save(target, format="PNG")
    return Thumbnail(target.getvalue(), WEBP if is_lossy else PNG, small.width, small.height)
