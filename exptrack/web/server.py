"""Serve one page on 127.0.0.1, in this thread or in one of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from exptrack import InvalidValueError
from exptrack.web import (
    api_changes,
    api_compare,
    api_files,
    api_filter,
    api_media,
    api_metrics,
    api_run,
    api_runs,
    api_studies,
    verification,
)
from exptrack.web.api import make_routes
from exptrack.web.page import Page
from exptrack.web.security import Guard, make_token, write_login
from exptrack.web.static_files import ROUTES, read_files

HOST = "127.0.0.1"
FIRST_PORT = 7070
PORTS = 50  # that are tried from there on
SHUTDOWN_S = 1
MAX_HEAD_BYTES = 64 * 1024  # of a request; a filter may be long
HANDLERS = [
    *api_runs.HANDLERS,
    *api_run.HANDLERS,
    *api_filter.HANDLERS,
    *api_metrics.HANDLERS,
    *api_compare.HANDLERS,
    *api_files.HANDLERS,
    *api_media.HANDLERS,
    *api_studies.HANDLERS,
]


def make_app(page: Page, port: int, token: str) -> ASGIApp:
    """Return the app that serves a page on a port to the holder of a token."""
    read_files()  # now, and not while the first visitor waits
    routes = [
        *make_routes(page, HANDLERS),
        *api_changes.make_routes(page),
        api_files.make_route(page),
        api_media.make_route(page),
        verification.make_route(page),
        Route("/events", page.live.open, methods=["GET"]),
        *ROUTES,
    ]
    return Guard(Starlette(routes=routes), port, token)


class PageServer:
    """The page of one archive on a port of this machine. As a context manager it serves in a thread of its own.

    With `port` 0 the system chooses one; without a `port` it is the first free one from 7070 on. With `idle_s`
    it ends once no browser has asked for so many seconds, and none watches.

    Raises:
        ArchiveError: the file cannot be opened; the subclass says why.
        InvalidValueError: the port is taken.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        port: int | None = None,
        *,
        can_edit: bool = True,
        idle_s: float | None = None,
    ) -> None:
        self.page = Page(os.fspath(path), can_edit=can_edit)
        try:
            self._socket = _bind(port)
        except BaseException:
            self.page.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self.token = make_token()
        self.origin = f"http://{HOST}:{self.port}"
        self.url = write_login(self.origin, self.token)
        config = uvicorn.Config(
            make_app(self.page, self.port, self.token),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        )
        self._server = _Server(config, self.page, idle_s)
        self._thread: threading.Thread | None = None

    def serve(self) -> None:
        """Serve in this thread until ctrl-C, SIGTERM or :meth:`close`."""
        self._server.run([self._socket])

    def close(self) -> None:
        """End the server, from any other thread or after it has ended, and close the archive."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._socket.close()
        self.page.close()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve, name="exptrack-page-server")
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Server(uvicorn.Server):
    """A server that takes ctrl-C and SIGTERM as the wish to end, and not as an error."""

    def __init__(self, config: uvicorn.Config, page: Page, idle_s: float | None) -> None:
        super().__init__(config)
        self._page = page
        self._idle_s = idle_s
        self._requests = 0
        self._last_s = time.monotonic()

    async def on_tick(self, counter: int) -> bool:
        now = time.monotonic()
        if self.server_state.total_requests != self._requests or self._page.live.is_watched:
            self._requests, self._last_s = self.server_state.total_requests, now
        if self._idle_s is not None and now - self._last_s > self._idle_s:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # An open stream, or an answer under way, would hold the server.
        self._page.live.end_streams()
        self._page.readers.interrupt()
        self._page.verifiers.interrupt()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [signal.SIGINT, signal.SIGTERM]
        if sys.platform == "win32":
            numbers.append(signal.SIGBREAK)
        before = {number: signal.signal(number, self._end) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        # The second one does not wait for answers under way.
        self.force_exit = self.should_exit
        self.should_exit = True


def _bind(port: int | None) -> socket.socket:
    """Return a socket that listens on a port, or on the first free one.

    Raises:
        InvalidValueError: the port is taken.
    """
    for one in [*range(FIRST_PORT, FIRST_PORT + PORTS), 0] if port is None else [port]:
        try:
            return _listen(one)
        except OSError as error:
            problem = error.strerror
    raise InvalidValueError(f"the port {port} cannot be used ({problem}); choose another one")


def _listen(port: int) -> socket.socket:
    # asyncio sends small pieces at once only if the socket says that it is TCP. Otherwise the body of an answer
    # waits until the browser has acknowledged the head, which takes it 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":  # otherwise another program could take the port as well
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:  # so that a port is free at once after the last page has ended
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
