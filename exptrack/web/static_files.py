"""Serve the files of the page, and the shell for the address of every view.

The files are read once, so a page that is open goes on with the version of its server. Below
``/static/VERSION/``, where the version is a digest of all files, stand the bundles that `bundle` makes of
modules and styles, and all other files. A browser keeps those for good, so a second visit loads none. Below
``/static/`` each file stands as it lies.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exptrack.web.bundle import FIRST, VENDORED, Bundler
from exptrack.web.encoding import refuse

ROOT = Path(__file__).parent / "static"
SHELL, ICON, STYLES = "index.html", "favicon.svg", "page.css"
VERSION_DIGITS = 16
# Of the files themselves: what a machine's registry says of .js differs.
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
REVALIDATE, FOR_GOOD = "no-cache", "private, max-age=31536000, immutable"
# The rest of an address belongs to a view, or is a mistake.
NO_VIEWS = ("api", "static", "artifact", "thumbnail", "events", "login")


class StaticFiles:
    """All files of the page, in memory."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        digest = hashlib.sha256()
        for name, content in sorted(files.items()):
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        self.version = digest.hexdigest()[:VERSION_DIGITS]
        self.base = f"/static/{self.version}/"
        self._bundler = Bundler(files, self.base)
        self.shell = files[SHELL].decode().replace("/static/", self.base).encode()
        self._bundles: dict[str, bytes] = {}
        for first in (FIRST, STYLES):
            self.find_bundle(first)

    def find(self, path: str) -> bytes | None:
        """Return a file as it lies; None if there is none."""
        return self._files.get(path)

    def find_bundle(self, path: str) -> bytes | None:
        """Return a bundle, or a file that is none; None if there is no such file."""
        is_bundle = path == STYLES or (path.endswith(".js") and not path.startswith(VENDORED))
        if not is_bundle or path not in self._files:
            return self._files.get(path)
        if path not in self._bundles:
            join = self._bundler.join_styles if path == STYLES else self._bundler.join
            self._bundles[path] = join(path).encode()
        return self._bundles[path]


@functools.cache
def read_files() -> StaticFiles:
    """Read all files of the page."""
    found = sorted(file for file in ROOT.rglob("*") if file.suffix in MEDIA_TYPES)
    return StaticFiles({file.relative_to(ROOT).as_posix(): file.read_bytes() for file in found})


async def _serve_file(request: Request) -> Response:
    files, path = read_files(), request.path_params["path"]
    version, _, name = path.partition("/")
    if version == files.version:
        content = files.find_bundle(name)
        return _answer(request, name, content, FOR_GOOD)
    return _answer(request, path, files.find(path), REVALIDATE)


async def _serve_icon(request: Request) -> Response:
    return _answer(request, ICON, read_files().find(ICON), REVALIDATE)


async def _serve_shell(request: Request) -> Response:
    path = request.path_params["path"]
    first = path.partition("/")[0]
    if first in NO_VIEWS or first.endswith(tuple(MEDIA_TYPES)):
        return refuse(404, "NotFound", "the page has nothing at this address")
    return _answer(request, SHELL, read_files().shell, REVALIDATE)


def _answer(request: Request, name: str, content: bytes | None, keeping: str) -> Response:
    if content is None:
        return refuse(404, "NotFound", "the page has no such file")
    tag = f'"{read_files().version}-{len(content):x}"'
    headers = {"etag": tag, "cache-control": keeping, "content-type": MEDIA_TYPES[Path(name).suffix]}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers)


ROUTES = [
    Route("/static/{path:path}", _serve_file, methods=["GET"]),
    Route("/favicon.ico", _serve_icon, methods=["GET"]),  # browsers ask for it on pages that name no icon
    Route("/{path:path}", _serve_shell, methods=["GET"]),
]
