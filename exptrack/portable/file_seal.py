"""What a seal says of a file: how many rows it has, a digest of its content, and one of all its points.

A file is sealed to be handed on unchanged. `verify` proves the seal, and ``docs/format.md`` has the recipes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from exptrack.hashed_lists import encode_list

if TYPE_CHECKING:
    from hashlib import _Hash


class PointsDigest:
    """The SHA-256 over all points: series by run id and name, and of each its head and its blocks of points.

    The head is the list of run id, name and number of points, and a newline. The columns of a block are those
    of its checksum, see :class:`exptrack.metrics.store.PointsChecksum`.
    """

    def __init__(self) -> None:
        self._all = hashlib.sha256()

    def begin_series(self, run_id: str, name: str, count: int) -> _Hash:
        """Return the digest so far with the head of a series, to be continued by its blocks."""
        continued = self._all.copy()
        continued.update(encode_list((run_id, name, count)) + b"\n")
        return continued

    def end_series(self, continued: _Hash) -> None:
        """Go on from a digest that :meth:`begin_series` returned."""
        self._all = continued

    def value(self) -> str:
        """Return the digest of all points so far, in hex."""
        return self._all.hexdigest()
