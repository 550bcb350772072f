"""Ask an app without a network, with exactly the headers and bytes that a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message

from exptrack.web.security import hash_token

PORT = 7070
TOKEN = "a-token-of-the-tests"
COOKIE = f"exptrack-{PORT}={hash_token(TOKEN)}"
ORIGIN = f"http://127.0.0.1:{PORT}"
CHANGE = {"content-type": "application/json", "x-exptrack": "1"}
Headers = Mapping[str, str] | Sequence[tuple[str, str]]


class Answer(NamedTuple):
    """What the app sent, and in how many pieces."""

    status: int
    headers: dict[str, str]
    content: bytes
    pieces: int

    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def kind(self) -> str:
        """The kind of the error that the answer tells."""
        return str(self.json()["error"]["kind"])


class Client:
    """Sends requests to an app, with the cookie and the token of its page unless a test says otherwise."""

    def __init__(
        self,
        app: ASGIApp,
        cookie: str = COOKIE,
        token: str = TOKEN,
        *,
        on_message: Callable[[Message], None] = lambda _message: None,
    ) -> None:
        self.app = app
        self._cookie = cookie
        self._token = token
        self._on_message = on_message

    def get(self, path: str, headers: Headers = (), **params: Any) -> Answer:
        """Ask a question; a parameter that is a list is repeated."""
        query = urlencode({name: value for name, value in params.items() if value is not None}, doseq=True)
        return self.send("GET", f"{path}{'&' if '?' in path else '?'}{query}" if query else path, headers)

    def post(self, path: str, value: Any, headers: Headers = CHANGE) -> Answer:
        """Send a change."""
        return self.send("POST", path, headers, json.dumps(value).encode())

    def send(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Answer:
        """Send one request. A header of a test replaces the one that a browser sends."""
        given = list(headers.items() if isinstance(headers, Mapping) else headers)
        named = {name.lower() for name, _ in given}
        usual = [("host", f"127.0.0.1:{PORT}"), ("cookie", self._cookie), ("x-exptrack-token", self._token)]
        usual.append(("content-length", str(len(body))))
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode("latin-1"),
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in [*(pair for pair in usual if pair[0] not in named), *given]
            ],
            "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", PORT),
        }
        return asyncio.run(_exchange(self.app, scope, body, self._on_message))


async def _exchange(
    app: ASGIApp, scope: dict[str, Any], body: bytes, on_message: Callable[[Message], None]
) -> Answer:
    sent: list[Message] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()
        raise AssertionError("a client that stays sends no more")

    async def send(message: Message) -> None:
        sent.append(message)
        on_message(message)  # as long as it takes, the app waits

    await app(scope, receive, send)
    start, *pieces = sent
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    assert len(headers) == len(start["headers"]), "a header is sent twice"
    content = b"".join(piece.get("body", b"") for piece in pieces)
    return Answer(start["status"], headers, content, len(pieces))
