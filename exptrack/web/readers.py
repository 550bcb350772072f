"""Read the archive in two threads, and stop a reading that nobody waits for any more."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from exptrack import TimeLimit

if TYPE_CHECKING:
    from starlette.types import Receive  # not needed to run: the full-screen view reads without a server

_T = TypeVar("_T")

THREADS = 2  # more do not read faster, and each has a cache of its own
QUESTION_S = 30.0


class ClientLeftError(Exception):
    """The client closed the connection before it had its answer."""


class Readers:
    """The threads that read; each question has a limit of time, and ends when its client leaves."""

    def __init__(
        self, threads: int = THREADS, name: str = "exptrack-page", *, limit_s: float = QUESTION_S
    ) -> None:
        self._limit_s = limit_s
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._limits: set[TimeLimit] = set()

    async def read(self, work: Callable[[], _T], receive: Receive | None = None) -> _T:
        """Call `work` in a thread and return its result. `receive` tells when the client leaves.

        Raises:
            ClientLeftError: the client left; the reading is stopped.
        """
        limit = TimeLimit(self._limit_s)
        self._limits.add(limit)
        # A context of its own: two threads cannot enter one.
        context = contextvars.Context()
        pool_job = self._pool.submit(context.run, _work_under, limit, work)
        job = asyncio.wrap_future(pool_job)
        gone = None if receive is None else asyncio.ensure_future(wait_until_gone(receive))
        try:
            waited: set[asyncio.Future[Any]] = {job} if gone is None else {job, gone}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if job.done():
                return job.result()
            raise ClientLeftError
        finally:
            self._limits.discard(limit)
            if not job.done():
                limit.stop()
                job.cancel()  # dropped if it has not begun
            if gone is not None:
                gone.cancel()

    def interrupt(self) -> None:
        """Stop what is being read."""
        for limit in list(self._limits):
            limit.stop()

    def stop(self) -> None:
        """Stop what is being read, and end the threads."""
        self.interrupt()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _work_under(limit: TimeLimit, work: Callable[[], _T]) -> _T:
    with limit:
        return work()


async def wait_until_gone(receive: Receive) -> None:
    """Wait until the client closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
