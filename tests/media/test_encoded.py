"""Texts, and what holds for every encoded value."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
from hypothesis import given, settings

from exptrack import InvalidValueError
from exptrack.errors import InvalidTypeError
from exptrack.media import (
    Encoded,
    encode_histogram,
    encode_image,
    encode_table,
    encode_text,
)
from tests.media.values import EXPECTED, GREY
from tests.strategies import TEXTS


@settings(deadline=None)
@given(TEXTS)
def test_text_is_kept_in_utf8(text: str) -> None:
    data = text.encode()
    facts = {"characters": len(text), "lines": len(text.splitlines())}
    assert encode_text(text) == (data, "text/plain", True, facts)


def test_text_may_be_of_another_media_type() -> None:
    assert encode_text("# a", "text/markdown").media_type == "text/markdown"
    assert encode_text("{}", "application/vnd.api+json").media_type == "application/vnd.api+json"


@pytest.mark.parametrize(
    "media_type", ["", "text", "text/", "Text/Plain", "text/plain; charset=latin-1", "text/a\n"]
)
def test_a_media_type_that_is_none_is_refused(media_type: str) -> None:
    with pytest.raises(InvalidValueError, match="a media type is written type/subtype"):
        encode_text("a", media_type)


def test_text_without_a_utf8_form_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="lone surrogate"):
        encode_text("\ud800")
    with pytest.raises(InvalidTypeError, match="text must be text, not bytes"):
        encode_text(b"a")  # type: ignore[arg-type]


# All of them


@pytest.mark.parametrize("value", [encode_image(GREY), encode_table(EXPECTED), encode_histogram([1, math.nan])])
def test_the_facts_are_plain_json(value: Encoded) -> None:
    assert json.loads(json.dumps(value.facts, allow_nan=False)) == value.facts


def test_looking_at_values_imports_nothing_heavy() -> None:
    code = (
        "import sys, exptrack.media as media\n"
        "for encode in (media.encode_image, media.encode_table, media.encode_histogram):\n"
        "    try: encode(object())\n"
        "    except TypeError: pass\n"
        "media.encode_histogram([1, 2, 3])\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "PIL", "pyarrow", "pandas", "polars", "matplotlib", "torch", "sqlite3"}
    assert set(done.stdout.split()) & heavy == set()
