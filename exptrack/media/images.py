"""Encode images as the bytes of an image file.

Invariants: files and bytes are kept as they are, and recognised by their content, never by their name. Pixels
become PNG without loss. An array that PNG cannot hold exactly is refused and never rescaled.
"""

from __future__ import annotations

import io
import os
import re
from typing import Any

from exptrack import own_files
from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.extras import require
from exptrack.media.encoded import (
    Encoded,
    Fact,
    check_unmasked,
    comes_from,
    convert_tensor,
    is_array,
    is_tensor,
)
from exptrack.plain import read_path, short_path, short_repr

PNG = "image/png"
SVG = "image/svg+xml"
HEAD_BYTES = 64 * 1024  # at the beginning of a file, in which its kind must show
CHANNELS = (1, 3, 4)
# The modes of Pillow that PNG holds unchanged ("I" would be clipped to 16 bits).
PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
PILLOW_FORMATS = {
    PNG: "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
}

_SIGNATURES = (
    (PNG, re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/webp", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    # Any text could begin with BM, so the size of the second header must be a valid one too.
    ("image/bmp", re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL)),
    ("image/tiff", re.compile(rb"II[*+]\0|MM\0[*+]")),
    # The repetition is possessive: a text of many comments would otherwise take exponential time.
    (
        SVG,
        re.compile(
            rb"(?:\xef\xbb\xbf)?"
            rb"(?>\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)*+"
            rb"<(?:\w+:)?svg[\s>/]",
            re.DOTALL,
        ),
    ),
)


def encode_image(image: object) -> Encoded:
    """Encode an image: keep the bytes of a file, or turn pixels into PNG. Facts: width, height and mode.

    `image` is one of these:

    - the path of a file or its bytes: PNG, JPEG, GIF, WebP, BMP, TIFF or SVG. Pillow reads the facts; without
      Pillow, and for SVG, there are none.
    - a PIL image, a matplotlib figure, or anything drawn in a figure.
    - a numpy array of shape H×W, H×W×1, H×W×3 or H×W×4: bool is black and white, integers are 0..255, floats
      0..1.
    - a tensor of one of these shapes, or of C×H×W as in torch. If both readings are possible, C×H×W is taken.

    Raises:
        InvalidTypeError: `image` is none of these.
        InvalidValueError: the file cannot be read or is not an image; or an array has another shape or another
            range of values, holds NaN or is masked; or PNG cannot hold the mode of a PIL image.
        MissingPackageError: pixels were given and Pillow is not installed.
    """
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _encode_file(bytes(image), "the bytes")
    if isinstance(image, (str, os.PathLike)):
        path = read_path(image, "the path of an image")
        return _encode_file(_read_image(path), f"the file {short_path(path)}")
    if comes_from(image, "PIL") and hasattr(image, "mode") and hasattr(image, "save"):
        return _encode_pillow(image)
    if is_array(image):
        return _encode_array(image)
    if is_tensor(image):
        return _encode_array(_move_channels_last(convert_tensor(image)))
    if comes_from(image, "matplotlib") and hasattr(image, "figure"):
        return _encode_figure(image)
    raise InvalidTypeError(
        "an image is a path, bytes, a PIL image, a numpy array, a tensor or a matplotlib figure,"
        f" not {type(image).__name__} {short_repr(image)}"
    )


def is_picture(value: object) -> bool:
    """Whether a value is an image of PIL, or a figure of matplotlib or anything drawn in one."""
    if comes_from(value, "PIL"):
        return hasattr(value, "mode") and hasattr(value, "save")
    return comes_from(value, "matplotlib") and hasattr(value, "figure")


def _read_image(path: str) -> bytes:
    """Read an image file; of any other file read the beginning, which is enough to refuse it."""
    try:
        with own_files.open_for_reading(path) as file:
            head = file.read(HEAD_BYTES)
            return head + file.read() if recognise_image(head) else head
    except OSError as error:
        raise InvalidValueError(
            f"cannot read the image {short_path(path)} ({error.strerror}); check the path"
        ) from None


def recognise_image(data: bytes) -> str | None:
    """Return the media type of an image by the beginning of its bytes; None if it is none."""
    head = data[:HEAD_BYTES]
    return next((name for name, signature in _SIGNATURES if signature.match(head)), None)


def _encode_file(data: bytes, what: str) -> Encoded:
    media_type = recognise_image(data)
    if media_type is None:
        raise InvalidValueError(
            f"not an image (PNG, JPEG, GIF, WebP, BMP, TIFF or SVG): {what}, beginning {short_repr(data[:16])};"
            " register_file stores every other file"
        )
    return Encoded(data, media_type, False, {} if media_type == SVG else _read_facts(data, media_type, what))


def _read_facts(data: bytes, media_type: str, what: str) -> dict[str, Fact]:
    try:
        from PIL import Image
    except ImportError:
        return {}
    Image.init()
    if PILLOW_FORMATS[media_type] not in Image.OPEN:  # this Pillow was built without the format
        return {}
    try:
        # Image.open() refuses a header with very many pixels as an attack. Here no pixel is decoded.
        opened: Any = Image.OPEN[PILLOW_FORMATS[media_type]][0](io.BytesIO(data), "")
    except Exception as error:  # Pillow's parsers raise errors of many kinds
        raise InvalidValueError(f"{what} begins like {media_type}, but is damaged: {error}") from None
    with opened:
        return {"width": opened.width, "height": opened.height, "mode": opened.mode}


def _encode_pillow(image: Any) -> Encoded:
    if image.mode not in PNG_MODES:
        raise InvalidValueError(f"PNG holds no image of mode {image.mode!r}; convert it with .convert('RGB')")
    if 0 in image.size:
        raise InvalidValueError(f"the image has no pixels: it is {image.width}×{image.height}; leave it out")
    target = io.BytesIO()
    try:
        image.save(target, format="PNG")
    except (OSError, ValueError, SyntaxError) as error:  # Pillow reads the pixels from the file only now
        raise InvalidValueError(f"the PIL image cannot be read or written: {error}") from None
    facts: dict[str, Fact] = {"width": image.width, "height": image.height, "mode": image.mode}
    return Encoded(target.getvalue(), PNG, False, facts)


def _encode_figure(drawn: Any) -> Encoded:
    # Follow axes to their figure, and a part of a figure to the whole.
    while drawn is not None and not hasattr(drawn, "savefig"):
        drawn = drawn.figure
    if drawn is None:
        raise InvalidValueError("the matplotlib object was removed from its figure; give the figure")
    target = io.BytesIO()
    drawn.savefig(target, format="png")
    return _encode_file(target.getvalue(), "the figure")


def _move_channels_last(array: Any) -> Any:
    if array.ndim == 3 and array.shape[0] in CHANNELS:
        return array.transpose(1, 2, 0)
    return array


def _encode_array(array: Any) -> Encoded:
    image = require("PIL.Image", "images", "media")
    import numpy as np

    check_unmasked(array)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in CHANNELS) or array.size == 0:
        raise InvalidValueError(
            f"an image array has the shape H×W, H×W×1, H×W×3 or H×W×4, not {array.shape}"
            + "; log the images of a batch one by one" * (array.ndim == 4)
        )
    pixels = np.ascontiguousarray(_convert_to_bytes(np.asarray(array)))
    return _encode_pillow(image.fromarray(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels))


def _convert_to_bytes(array: Any) -> Any:
    """Convert the array to uint8.

    Raises:
        InvalidTypeError: it holds neither bool, integers nor floats.
        InvalidValueError: it holds NaN, or values outside 0..255 (integers) or 0..1 (floats).
    """
    import numpy as np

    kind = array.dtype.kind
    if kind not in "buif":
        raise InvalidTypeError(f"an image array holds bool, integers or floats, not {array.dtype}")
    if kind == "b":
        return array.astype(np.uint8) * 255
    if kind == "f" and np.isnan(array).any():
        raise InvalidValueError("the image array holds NaN, which is not a colour; replace it")
    low, high = array.min().item(), array.max().item()
    top = 1 if kind == "f" else 255
    if low < 0 or high > top:
        raise InvalidValueError(
            f"the image array holds {array.dtype} from {low:.6g} to {high:.6g};"
            f" {'floats' if kind == 'f' else 'integers'} must lie in 0..{top}: scale it as it should be seen"
        )
    if kind == "f":
        # float16 is too coarse to find the nearest of 256 steps.
        return np.rint(array.astype(np.result_type(array, np.float32), copy=False) * 255).astype(np.uint8)
    return array.astype(np.uint8, copy=False)
