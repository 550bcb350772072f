"""Encode images, texts, tables and histograms as bytes with a media type.

Begin with `encoded`, which defines the result. `images`, `tables` and `histograms` encode one kind of value
each.

Invariants:

- Files and bytes are kept as they are.
- Values are never silently rescaled, rounded, converted to text or dropped. A value without an exact form is
  refused before anything is written.
- The installed packages decide the format, but not whether plain values are accepted.
- NaN is not a missing value.
- A package is recognised by the module of a value's type, so looking at a value imports nothing.
"""

from exptrack.media.encoded import Encoded, encode_text, is_array, is_tensor
from exptrack.media.histograms import encode_histogram
from exptrack.media.images import encode_image, is_picture
from exptrack.media.tables import decode_table, encode_table, is_frame

__all__ = [
    "Encoded",
    "decode_table",
    "encode_histogram",
    "encode_image",
    "encode_table",
    "encode_text",
    "is_array",
    "is_frame",
    "is_picture",
    "is_tensor",
]
