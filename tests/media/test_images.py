"""Images: files are kept, pixels become PNG without loss, the rest is refused."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from exptrack import InvalidValueError
from exptrack.errors import MissingPackageError
from exptrack.media import (
    Encoded,
    encode_image,
)
from tests.media.values import GREY, Tensor

RGB = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


SVG = b'<?xml version="1.0"?>\n<!-- a -->\n<!DOCTYPE svg PUBLIC "x" "y">\n<svg xmlns="http://www.w3.org/2000/svg"/>'


def pixels(encoded: Encoded) -> np.ndarray[Any, Any]:
    assert encoded.media_type == "image/png"
    assert not encoded.is_text
    with Image.open(io.BytesIO(encoded.data)) as image:
        assert encoded.facts == {"width": image.width, "height": image.height, "mode": image.mode}
        return np.asarray(image)


def saved(form: str) -> bytes:
    target = io.BytesIO()
    Image.fromarray(RGB).save(target, form)
    return target.getvalue()


@pytest.mark.parametrize(
    ("form", "media_type", "mode"),
    [
        ("PNG", "image/png", "RGB"),
        ("JPEG", "image/jpeg", "RGB"),
        ("GIF", "image/gif", "P"),
        ("WEBP", "image/webp", "RGB"),
        ("BMP", "image/bmp", "RGB"),
        ("TIFF", "image/tiff", "RGB"),
    ],
)
def test_an_image_file_is_kept_as_it_is_and_known_by_its_content(
    tmp_path: Path, form: str, media_type: str, mode: str
) -> None:
    data = saved(form)
    path = tmp_path / "picture.txt"
    path.write_bytes(data)
    for given_image in (path, str(path), data, bytearray(data), memoryview(data)):
        encoded = encode_image(given_image)
        assert encoded == (data, media_type, False, {"width": 4, "height": 2, "mode": mode})


@pytest.mark.parametrize(
    "data", [SVG, b"<svg/>", b"\xef\xbb\xbf <svg:svg>", b"<!DOCTYPE svg [<!ENTITY a 'b'>] ><svg >"]
)
def test_svg_is_known_behind_its_preamble(data: bytes) -> None:
    assert encode_image(data) == (data, "image/svg+xml", False, {})


def test_a_file_of_many_comments_is_refused_at_once() -> None:
    with pytest.raises(InvalidValueError, match="not an image"):
        encode_image(b"<!---->" * 9_000 + b"<p>")


def test_a_header_that_promises_a_huge_image_is_only_read(tmp_path: Path) -> None:
    header = bytearray(saved("BMP"))
    header[18:26] = (60_000).to_bytes(4, "little") * 2
    assert encode_image(bytes(header)).facts["width"] == 60_000


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY, GREY),
        (GREY[:, ::-1], GREY[:, ::-1]),
        (GREY[:, :, None], GREY),
        (RGB, RGB),
        (RGB.transpose(1, 0, 2), RGB.transpose(1, 0, 2)),
        (np.dstack([RGB, RGB[:, :, :1]]), np.dstack([RGB, RGB[:, :, :1]])),
        (GREY > 2, (GREY > 2) * np.uint8(255)),
        (GREY.astype(np.int64), GREY),
        (GREY.astype(">u2"), GREY),
        (GREY / 255, GREY),
        (GREY.astype(np.float32) / 255, GREY),
        (np.array([[0.0, 0.5, 1.0]], np.float16), [[0, 128, 255]]),
        (np.ma.masked_array(GREY, np.zeros_like(GREY)), GREY),
    ],
)
def test_an_array_becomes_a_png_of_the_same_pixels(array: Any, expected: Any) -> None:
    assert pixels(encode_image(array)).tolist() == np.asarray(expected).tolist()


@settings(deadline=None)
@given(st.integers(0, 255), st.sampled_from([np.float16, np.float32, np.float64]))
def test_every_step_of_brightness_survives_as_a_float(step: int, kind: Any) -> None:
    assert pixels(encode_image(np.array([[step / 255]], kind))).tolist() == [[step]]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (RGB.transpose(2, 0, 1), RGB),
        (RGB, RGB),
        (GREY[None], GREY),
        (GREY, GREY),
        (RGB.transpose(2, 0, 1) / np.float32(255), RGB),
        (np.arange(36, dtype=np.uint8).reshape(3, 4, 3), np.arange(36).reshape(3, 4, 3).transpose(1, 2, 0)),
    ],
)
def test_a_tensor_has_its_channels_first_unless_it_cannot(array: Any, expected: Any) -> None:
    assert pixels(encode_image(Tensor(array))).tolist() == expected.tolist()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_pil_image_becomes_a_png_of_its_mode(mode: str) -> None:
    image = Image.new(mode, (3, 2))
    encoded = encode_image(image)
    assert (pixels(encoded) == np.asarray(image)).all()
    assert encoded.facts == {"width": 3, "height": 2, "mode": mode}


def test_a_matplotlib_figure_and_what_is_drawn_in_it_become_the_same_png() -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1), dpi=50)
    axes = figure.subfigures(1, 2)[0].subplots()
    (line,) = axes.plot([1, 2])
    whole = encode_image(figure)
    assert pixels(whole).shape == (50, 100, 4)
    assert encode_image(axes) == encode_image(line) == whole
    line.remove()
    with pytest.raises(InvalidValueError, match="removed from its figure"):
        encode_image(line)


NOT_IMAGES: list[tuple[Any, str]] = [
    (None, "an image is a path, bytes, .* not NoneType"),
    ([[1]], "not list"),
    (matplotlib, "not module"),
    ("gone.png", "cannot read the image 'gone.png'"),
    ("a\0b", "contains a NUL character"),
    (Path("."), "cannot read the image"),
    (b"", "the bytes, beginning b''"),
    (b"BM is a car", "not an image .PNG, JPEG, GIF"),
    (b"<html><svg/></html>", "not an image .PNG, JPEG, GIF"),
    (saved("PNG")[:20], "begins like image/png, but is damaged"),
    (b"\xff\xd8\xff\xe0", "begins like image/jpeg, but is damaged"),
    (Image.new("CMYK", (1, 1)), r"mode 'CMYK'; convert it with .convert\('RGB'\)"),
    (Image.new("I", (1, 1)), "mode 'I'"),
    (Image.new("F", (1, 1)), "mode 'F'"),
    (Image.new("L", (0, 1)), "no pixels: it is 0×1"),
    (Image.open(io.BytesIO(saved("PNG")[:-30])), "cannot be read or written"),
    (np.zeros((2, 2, 2)), r"not \(2, 2, 2\)"),
    (np.zeros((8, 3, 4, 4)), "log the images of a batch one by one"),
    (np.zeros(3), r"not \(3,\)"),
    (np.float64(1), r"not \(\)"),
    (np.zeros((0, 3)), r"not \(0, 3\)"),
    (np.array([[256]]), r"int64 from 256 to 256; integers must lie in 0..255"),
    (np.array([[-1]], np.int8), "int8 from -1 to -1"),
    (np.array([[0, 65535]], np.uint16), "uint16 from 0 to 65535"),
    (np.array([[0.0, 255.0]]), r"float64 from 0 to 255; floats must lie in 0..1"),
    (np.array([[-0.1]]), "from -0.1"),
    (np.array([[math.inf]]), "to inf"),
    (np.array([[math.nan, 300]]), "holds NaN"),
    (np.array([[1j]]), "not complex128"),
    (np.array([["a"]]), "not <U1"),
    (np.array([[None]]), "not object"),
    (np.ma.masked_array(GREY, GREY > 2), "masked"),
    (Tensor(np.zeros((8, 3, 4, 4))), "one by one"),
    (Tensor(GREY, "unsupported ScalarType BFloat16"), "BFloat16"),
]


@pytest.mark.parametrize(("image", "message"), NOT_IMAGES)
def test_what_is_no_image_is_refused(image: Any, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        encode_image(image)


def test_without_pillow_files_are_kept_and_pixels_are_refused(without: Any) -> None:
    data = saved("PNG")
    without("PIL")
    assert encode_image(data) == (data, "image/png", False, {})
    for image in (GREY, Tensor(GREY)):
        with pytest.raises(
            MissingPackageError, match=r"pillow is needed for images; .*exptrack-archive\[media\]"
        ):
            encode_image(image)


def test_what_pillow_was_built_without_is_kept_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved("WEBP")
    monkeypatch.delitem(Image.OPEN, "WEBP")
    assert encode_image(data) == (data, "image/webp", False, {})
