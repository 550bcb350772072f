"""Turns images, texts, tables and histograms into bytes with a media type.

Invariants: what a file or bytes hold is kept as it is. Values are never rescaled, rounded, converted to text or
dropped unasked: what has no exact form is refused in a sentence before anything is written. Whether plain
values are taken does not depend on the packages installed, only the format does. NaN is not a missing value.
Packages are recognised by the module of a value's type, so that looking at a value imports nothing.
"""

from exptrack.media.encoded import Encoded, encode_text
from exptrack.media.histograms import encode_histogram
from exptrack.media.images import encode_image
from exptrack.media.tables import decode_table, encode_table

__all__ = ["Encoded", "decode_table", "encode_histogram", "encode_image", "encode_table", "encode_text"]
