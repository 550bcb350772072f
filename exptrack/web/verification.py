"""Check the whole archive while a browser watches: a line of JSON for each step, and the report at last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from exptrack import ExptrackError
from exptrack.web.encoding import answer_error, to_json
from exptrack.web.page import Page

STEP_S = 0.1  # between two steps that are told of one part


def make_route(page: Page) -> Route:
    """Return the route on which POST checks the archive."""

    async def verify(_request: Request) -> Response:
        return StreamingResponse(_check(page), media_type="application/x-ndjson")

    return Route("/api/verify", verify, methods=["POST"])


async def _check(page: Page) -> AsyncIterator[bytes]:
    """Yield the steps of a check, then its report or its error. The check ends when the browser leaves."""
    loop = asyncio.get_running_loop()
    steps: asyncio.Queue[bytes | None] = asyncio.Queue()
    told: dict[str, float] = {}

    def tell(part: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - told.get(part, -STEP_S) < STEP_S:
            return
        told[part] = now
        loop.call_soon_threadsafe(steps.put_nowait, to_json({"part": part, "done": done, "total": total}))

    job = asyncio.ensure_future(page.verifiers.read(lambda: page.archive.verify(tell)))
    job.add_done_callback(lambda _job: steps.put_nowait(None))
    try:
        while (step := await steps.get()) is not None:
            yield step + b"\n"
        try:
            yield to_json({"report": await job}) + b"\n"
        except ExptrackError as error:
            yield bytes(answer_error(error).body) + b"\n"
    finally:
        job.cancel()
