"""Thumbnails: small, upright, of the formats that are known, and of nothing that could do harm."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from exptrack import (
    Archive,
    ArchiveCorruptError,
    ArtifactNotFoundError,
    InvalidValueError,
    MissingPackageError,
    Thumbnail,
)
from exptrack.media.images import PILLOW_FORMATS
from exptrack.media.thumbnails import make_thumbnail
from tests.changes import changing
from tests.effort import tries

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def saved(form: str, size: tuple[int, int] = (400, 100), mode: str = "RGB", **options: Any) -> bytes:
    target = io.BytesIO()
    Image.new(mode, size, options.pop("color", "red")).save(target, format=form, **options)
    return target.getvalue()


def thumbnail(data: bytes, size: int = 64) -> Thumbnail:
    return make_thumbnail(io.BytesIO(data), size, "the image")


def opened(one: Thumbnail) -> Image.Image:
    with Image.open(io.BytesIO(one.data)) as image:
        assert (image.width, image.height) == (one.width, one.height)
        assert Image.MIME[str(image.format)] == one.media_type
        return image.convert("RGBA")


@pytest.mark.parametrize(("media_type", "form"), PILLOW_FORMATS.items())
def test_every_raster_format_becomes_small_and_keeps_its_colour(media_type: str, form: str) -> None:
    found = thumbnail(saved(form))
    assert found.media_type == ("image/webp" if media_type in ("image/jpeg", "image/webp") else "image/png")
    image = opened(found)
    assert image.size == (64, 16)
    red, green, blue, alpha = image.getpixel((30, 8))  # type: ignore[misc]
    assert red > 240
    assert (green < 15, blue < 15, alpha) == (True, True, 255)


def test_a_small_image_keeps_its_size_and_its_pixels() -> None:
    target = io.BytesIO()
    pixels = np.arange(28 * 28, dtype=np.uint8).reshape(28, 28)
    Image.fromarray(pixels).save(target, format="PNG")
    found = thumbnail(target.getvalue())
    assert np.array_equal(np.asarray(opened(found))[:, :, 0], pixels)


@pytest.mark.parametrize(
    ("mode", "form", "color"),
    [
        ("1", "PNG", 1),
        ("P", "GIF", 3),
        ("LA", "PNG", (9, 9)),
        ("CMYK", "TIFF", (1, 2, 3, 4)),
        ("I;16", "PNG", 9),
    ],
)
def test_other_modes_are_converted(mode: str, form: str, color: Any) -> None:
    assert opened(thumbnail(saved(form, mode=mode, color=color))).size == (64, 16)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_wide_pixels_are_shown_from_the_least_to_the_greatest(mode: str) -> None:
    target = io.BytesIO()
    dtype = {"I": np.int32, "F": np.float32}[mode]
    Image.fromarray(np.array([[1000, 2000], [3000, 3000]], dtype=dtype)).save(target, format="TIFF")
    image = np.asarray(opened(thumbnail(target.getvalue())))[:, :, 0]
    assert image[0, 0] < 2
    assert image[1, 1] > 253
    assert 120 < image[0, 1] < 135


def test_a_photo_that_lies_on_its_side_stands_upright() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    assert opened(thumbnail(saved("JPEG", exif=turned))).size == (16, 64)


def png_header(width: int, height: int) -> bytes:
    """A PNG file that says it has so many pixels, and has none."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(InvalidValueError, match="100,000 × 100,000 pixels"):
        thumbnail(png_header(100_000, 100_000))


@pytest.mark.parametrize("data", [b"", b"words", SVG, b"%PDF-1.4", b"%!PS-Adobe\n" + b" " * 99])
def test_what_is_no_raster_image_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidValueError, match="thumbnails are made of PNG"):
        thumbnail(data)


@settings(max_examples=tries(150), deadline=None)
@given(data=st.data())
def test_damaged_images_are_refused_or_shown(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(sorted(PILLOW_FORMATS.values())))
    whole = bytearray(saved(form, (40, 30)))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    try:
        found = thumbnail(bytes(whole[:cut] if data.draw(st.booleans()) else whole))
    except InvalidValueError:
        return
    assert max(found.width, found.height) <= 64


def test_an_artifact_shows_its_thumbnail(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.txt").write_bytes(saved("PNG"))
    with archive.start_run() as run:
        run.log_image("plot", saved("PNG"), step=1)
        run.log_image("plot", saved("PNG", (10, 10)), step=2)
        run.artifacts.register_data("drawing.png", SVG)
        run.artifacts.register_dir("tree", tmp_path / "tree")
    store = run.artifacts
    assert store.thumbnail("plot")[2:] == (10, 10)
    assert store.thumbnail("plot", 1, size=50)[2:] == (50, 13)
    assert store.thumbnail("tree", file="a.txt")[2:] == (256, 64)
    with pytest.raises(InvalidValueError, match=r"'drawing[.]png' is an SVG drawing"):
        store.thumbnail("drawing.png")
    with pytest.raises(InvalidValueError, match="folder"):
        store.thumbnail("tree")
    with pytest.raises(ArtifactNotFoundError):
        store.thumbnail("none")
    for size in (0, 5000):
        with pytest.raises(InvalidValueError, match="size"):
            store.thumbnail("plot", size=size)


def test_damage_in_the_file_is_told_as_such(tmp_path: Path) -> None:
    with Archive(tmp_path / "damaged.db") as archive:
        with archive.start_run() as run:
            run.log_image("plot", saved("BMP"))
        with changing(archive._connection):
            archive._connection.execute("UPDATE chunk_data SET data = zeroblob(length(data))")
        with pytest.raises(ArchiveCorruptError):
            run.artifacts.thumbnail("plot")


def test_without_pillow_the_error_names_the_extra(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    with archive.start_run() as run:
        run.artifacts.register_data("plot", saved("PNG"))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingPackageError, match=r"exptrack-archive\[media\]"):
        run.artifacts.thumbnail("plot")
