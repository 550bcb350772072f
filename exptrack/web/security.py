"""Let only the browser of this user in: check every request, and put the same headers on every answer.

Any site that is open in the same browser can send requests to a port of this machine. So a request must name
this server as its host, must not come from another origin, and must bear the cookie that the printed URL set.

Cookies ignore ports: a browser sends this cookie to every other server on 127.0.0.1 that it visits, and that
server may belong to another user of this machine. So the cookie opens the files of the page alone. All that the
archive holds needs the token itself, which the page keeps in the storage of its own origin. The value of the
cookie is a digest of the token, from which nobody can find the token.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exptrack.web.encoding import refuse

TOKEN_BYTES = 24
LOGIN = "/login"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self';"
    " worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
METHODS = ("GET", "HEAD", "POST")
OWN_HEADER = "x-exptrack"
TOKEN_HEADER = "x-exptrack-token"
NO_TOKEN = "the token of this start is missing; open the address that 'exptrack ui' printed last"
# A browser can send no header of ours for these; they take the token as a parameter too.
WITHOUT_HEADER = ("/artifact/", "/thumbnail/", "/events")
DATA = ("/api/", *WITHOUT_HEADER)
# The cookie is Strict: a browser does not send it after a redirect from another site, but it does after this.
GO_ON = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><script type="module" src="/static/login.js"></script>
<title>exptrack</title></head><body><p><a href="{target}">Open the page</a></p></body></html>
"""


def make_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_token(token: str) -> str:
    """Return the value of the cookie that goes with a token."""
    return hashlib.sha256(b"cookie " + token.encode()).hexdigest()


def write_login(origin: str, token: str) -> str:
    """Return the address that lets a browser in."""
    return f"{origin}{LOGIN}?token={token}"


class Guard:
    """Passes the requests of this user's browser on to the app, and refuses all others."""

    def __init__(self, app: ASGIApp, port: int, token: str) -> None:
        self._app = app
        self._token = token
        self._hash = hash_token(token)
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        self._origins = {f"http://{host}" for host in self._hosts}
        # Cookies ignore ports: under one name, two pages would log each other out.
        self._cookie = f"exptrack-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "the server offers neither websockets nor a lifespan"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                missing = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in missing if name not in present),
                ]
            await send(message)

        answer = self._answer(scope)
        await (self._app if answer is None else answer)(scope, receive, send_with_headers)

    def _answer(self, scope: Scope) -> Response | None:
        """Return the answer to a request that the app must not see; None if it may."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        problem = self._find_foreign(scope, headers)
        if problem is None and scope["method"] not in METHODS:
            allowed = ", ".join(METHODS)
            return refuse(405, "MethodNotAllowed", f"the method is not one of {allowed}", {"allow": allowed})
        if problem is None and scope["path"] == LOGIN:
            return self._log_in(scope)
        if problem is None and not self._is_let_in(scope, headers):
            return _refuse(scope, "TokenMissing", NO_TOKEN)
        if problem is None and scope["method"] == "POST":
            problem = _find_simple_post(headers)
        return None if problem is None else _refuse(scope, "Forbidden", problem)

    def _find_foreign(self, scope: Scope, headers: dict[str, list[str]]) -> str | None:
        """Return what shows that another site sent the request."""
        if len(headers.get("host", ())) != 1 or headers["host"][0] not in self._hosts:
            return "the request names another host; open the address that 'exptrack ui' printed"
        if any(origin not in self._origins for origin in headers.get("origin", ())):
            return "the request comes from another origin; open the page in a tab of its own"
        sites = headers.get("sec-fetch-site", ())
        if all(site in ("same-origin", "none") for site in sites):
            return None
        is_navigation = headers.get("sec-fetch-mode") == ["navigate"]
        if scope["path"] == LOGIN and is_navigation and headers.get("sec-fetch-dest") == ["document"]:
            return None
        return "the request comes from another site; type or paste the address instead of following a link"

    def _is_let_in(self, scope: Scope, headers: dict[str, list[str]]) -> bool:
        """Whether a request has the token; for the files of the page the cookie will do."""
        path = scope["path"]
        tokens = headers.get(TOKEN_HEADER, [])
        if path.startswith(WITHOUT_HEADER) and scope["method"] != "POST":
            tokens = [*tokens, *_read_query(scope).get("token", ())]
        if any(_are_equal(text, self._token) for text in tokens):
            return True
        return not path.startswith(DATA) and self._has_cookie(headers)

    def _has_cookie(self, headers: dict[str, list[str]]) -> bool:
        for line in headers.get("cookie", ()):
            try:
                morsel = SimpleCookie(line).get(self._cookie)
            except CookieError:
                continue
            if morsel is not None and _are_equal(morsel.value, self._hash):
                return True
        return False

    def _log_in(self, scope: Scope) -> Response:
        asked = _read_query(scope)
        if not _are_equal(asked.get("token", [""])[0], self._token):
            return PlainTextResponse(
                "exptrack: the token is wrong; each start of 'exptrack ui' prints a new address\n", 403
            )
        target = asked.get("next", ["/"])[0]
        # A browser takes //host for another host, and a backslash for a slash.
        if not target.startswith("/") or target.startswith("//") or not target.isprintable() or "\\" in target:
            target = "/"
        answer = HTMLResponse(GO_ON.format(target=html.escape(target)))
        answer.set_cookie(self._cookie, self._hash, httponly=True, samesite="strict", path="/")
        return answer


def _read_query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("latin-1"))


def _are_equal(text: str, secret: str) -> bool:
    return hmac.compare_digest(text.encode("utf-8", "surrogatepass"), secret.encode())


def _refuse(scope: Scope, kind: str, problem: str) -> Response:
    if scope["path"].startswith("/api/"):
        return refuse(403, kind, problem)
    return PlainTextResponse(f"exptrack: {problem}\n", 403)


def _find_simple_post(headers: dict[str, list[str]]) -> str | None:
    """Return what a form of another site could have sent too."""
    kinds = [kind.partition(";")[0].strip().lower() for kind in headers.get("content-type", ())]
    if kinds != ["application/json"]:
        return "a change must be application/json; set the header Content-Type"
    if headers.get(OWN_HEADER) != ["1"]:
        return "a change must have the header X-Exptrack: 1; set it"
    return None
