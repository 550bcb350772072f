"""Push what changes in the archive to the browsers that look, as server-sent events.

Invariants: one task looks twice a second, and only while a browser watches. It reads nothing but the version of
the file until that changes. While runs change without a break, it looks about once a second. A browser that
falls behind gets what it missed as one event. Every stream ends when the server does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from exptrack import Archive, ChangedRuns, ExptrackError, RunWatch
from exptrack.web.encoding import answer_error, to_json
from exptrack.web.question import Question
from exptrack.web.readers import ClientLeftError, Readers, wait_until_gone

LOOK_S = 0.5
BUSY_LOOK_S = 0.9  # after news: a value is on the screen within 1.5 s, and training keeps its cores
REST = 5  # times what a look took, so that looking takes a sixth of a core at most
HEARTBEAT_S = 15.0
MAX_WATCHED = 1_000
NOTHING = ChangedRuns((), (), ())


class _Look(NamedTuple):
    """What one look at the archive found."""

    version: str
    runs: ChangedRuns
    problem: dict[str, Any] | None = None


class Watcher:
    """What one browser watches, and what it has not been told yet."""

    def __init__(self, watches_runs: bool) -> None:
        self._watches_runs = watches_runs
        self._points: dict[int, str] = {}  # the run ids whose points are watched, by row id
        self.news = asyncio.Event()
        self._version = ""
        self._problem: dict[str, Any] | None = None
        self._added: set[int]
        self._changed: set[int]
        self._removed: set[int]
        self._forget()

    def begin(self, points: dict[int, str], version: str) -> None:
        """Remember what the browser watches, and the version that it is told first."""
        self._points = points
        self._forget()
        self._version, self._problem = version, None

    def note(self, look: _Look) -> None:
        """Remember what a look found until the browser takes it."""
        added, changed, removed = map(set, look.runs)
        self._added = (self._added | added) - removed
        self._changed |= changed
        self._removed = (self._removed | removed) - added
        # A run may change without the file: when its process dies.
        if look.runs or (look.version, look.problem) != (self._version, self._problem):
            self.news.set()
        self._version, self._problem = look.version, look.problem

    def take(self) -> bytes:
        """Return the events that tell what was noted, and forget it."""
        events = []
        gone = self._added | self._removed
        if self._watches_runs and (gone or self._changed):
            known = {"added": self._added, "changed": self._changed - gone, "removed": self._removed}
            events.append(write_event("runs", known))
        grown = [run for row_id, run in self._points.items() if row_id in self._changed]
        if grown:
            events.append(write_event("points", {"runs": grown}))
        if self._problem is not None:
            events.append(write_event("problem", self._problem))
        else:
            # Last and alone with an id: a browser that has the id has what came before it.
            events.append(write_event("version", {"version": self._version}, self._version))
        self._forget()
        return b"".join(events)

    def _forget(self) -> None:
        self.news.clear()
        self._added, self._changed, self._removed = set(), set(), set()


def write_event(kind: str, data: object, event_id: str = "") -> bytes:
    """Return one server-sent event."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {kind}\ndata: ".encode() + to_json(data) + b"\n\n"


class Live:
    """Looks at an archive while browsers watch it, and tells them what has changed."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        # A thread of its own: a slow question delays no news.
        self._readers = Readers(1, "exptrack-page-live")
        self._watchers: set[Watcher] = set()
        self._watch: RunWatch | None = None
        self._version = ""
        self._task: asyncio.Task[None] | None = None
        self.is_closing = False

    @property
    def is_watched(self) -> bool:
        """Whether a browser watches."""
        return bool(self._watchers)

    async def open(self, request: Request) -> Response:
        """Answer ``/events`` with a stream, from now on."""
        watcher = None
        try:
            question = Question(request.path_params, request.scope["query_string"])
            wanted = question.texts("points")[:MAX_WATCHED]
            watcher = Watcher("runs" in question.texts("watch"))
            # Added first, so that looking does not end meanwhile.
            self._add(watcher)
            points, version = await self._readers.read(lambda: self._begin(wanted), request.receive)
        except (ExptrackError, ClientLeftError) as error:
            if watcher is not None:
                self.remove(watcher)
            return answer_error(error)
        watcher.begin(points, version)
        missed = request.headers.get("last-event-id", version) != version
        return _Stream(self, watcher, write_event("version", {"version": version, "missed": missed}, version))

    def _begin(self, run_ids: list[str]) -> tuple[dict[int, str], str]:
        """Return the row ids of runs, and the version from which on news come."""
        self._require_watch()
        points = {}
        if run_ids:
            marks = ", ".join("?" for _ in run_ids)
            found = self._archive.runs().where(f"id in ({marks})", *run_ids).rows(["id"], size=len(run_ids))
            points = {row_id: row["id"] for row_id, row in zip(found.row_ids, found.rows, strict=True)}
        return points, self._version

    def _require_watch(self) -> RunWatch:
        if self._watch is None:
            self._version = self._archive.data_version()
            self._watch = self._archive.watch_runs()
        return self._watch

    def _add(self, watcher: Watcher) -> None:
        self._watchers.add(watcher)
        if self._task is None:
            self._task = asyncio.create_task(self._look_again_and_again())

    def remove(self, watcher: Watcher) -> None:
        """Tell a browser no more."""
        self._watchers.discard(watcher)

    def end_streams(self) -> None:
        """End every stream, so that the server can end. Called in the event loop."""
        self.is_closing = True
        for watcher in self._watchers:
            watcher.news.set()
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """End the thread."""
        self._readers.stop()

    async def _look_again_and_again(self) -> None:
        try:
            while self._watchers:
                began = time.monotonic()
                look = await self._readers.read(self._look)
                for watcher in self._watchers:
                    watcher.note(look)
                pause = BUSY_LOOK_S if look.runs else LOOK_S
                await asyncio.sleep(max(pause, REST * (time.monotonic() - began)))
        finally:
            self._task = self._watch = None

    def _look(self) -> _Look:
        try:
            # Before the runs, so that a change in between is seen at the next look.
            version = self._archive.data_version()
            runs = self._require_watch().read()
        except ExptrackError as error:
            return _Look(self._version, NOTHING, {"kind": type(error).__name__, "message": str(error)})
        self._version = version
        return _Look(version, runs)


class _Stream(Response):
    """An answer that goes on until the browser leaves or the server ends."""

    def __init__(self, live: Live, watcher: Watcher, first: bytes) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self._live = live
        self._watcher = watcher
        self._first = first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        gone = asyncio.ensure_future(wait_until_gone(receive))
        try:
            body = self._first
            while not gone.done() and not self._live.is_closing and scope["method"] != "HEAD":
                await send({"type": "http.response.body", "body": body, "more_body": True})
                body = await self._next(gone)
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._live.remove(self._watcher)
            gone.cancel()

    async def _next(self, gone: asyncio.Future[None]) -> bytes:
        """Return the next events, or a comment that keeps the connection open."""
        news = asyncio.ensure_future(self._watcher.news.wait())
        waited: Iterable[asyncio.Future[Any]] = (news, gone)
        await asyncio.wait(waited, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
        if news.done():
            return self._watcher.take()
        news.cancel()
        return b": still here\n\n"
