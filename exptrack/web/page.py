"""What one server has: the archive that it reads, the threads that do so, and the way to change the archive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from exptrack import Archive
from exptrack.web.curve_cache import CurveCache
from exptrack.web.live import Live
from exptrack.web.readers import Readers

_T = TypeVar("_T")

CACHE_BYTES = 2_000_000  # of the file, in memory, for each thread
CHANGE_WAIT_S = 5.0
CHANGE_S = 3600.0  # thousands of runs may get a tag at once
VERIFY_S = 24 * 3600.0


class Page:
    """One archive, opened for reading, with the threads that read it."""

    def __init__(self, path: str, *, can_edit: bool = True) -> None:
        self.archive = Archive(path, mode="ro", cache_bytes=CACHE_BYTES)
        self.path = self.archive.path
        self.can_edit = can_edit
        self.readers = Readers()
        # Changes come one after the other, and do not wait for readings.
        self.writers = Readers(1, "exptrack-page-changes", limit_s=CHANGE_S)
        self.verifiers = Readers(1, "exptrack-page-verify", limit_s=VERIFY_S)
        self.live = Live(self.archive)
        self.curves = CurveCache()

    async def change(self, work: Callable[[Archive], _T]) -> _T:
        """Call `work` with the archive opened for writing, and return its result."""

        def open_and_work() -> _T:
            with Archive(self.path, create=False, wait_s=CHANGE_WAIT_S) as archive:
                return work(archive)

        # A change is not stopped when its client leaves.
        return await asyncio.shield(self.writers.read(open_and_work))

    def close(self) -> None:
        """End the threads and close the archive."""
        self.readers.stop()
        self.writers.stop()
        self.verifiers.stop()
        self.live.close()
        self.archive.close()
