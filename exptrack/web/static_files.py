"""Serve the files of the page as they lie in ``static/``, and the shell for the address of every view."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exptrack.web.encoding import refuse

ROOT = Path(__file__).parent / "static"
SHELL, ICON = "index.html", "favicon.svg"
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
# The rest of an address belongs to a view, or is a mistake.
NO_VIEWS = ("api", "static", "artifact", "thumbnail", "events", "login")


async def _serve_file(request: Request) -> Response:
    return _answer(request, request.path_params["path"])


async def _serve_icon(request: Request) -> Response:
    return _answer(request, ICON)


async def _serve_shell(request: Request) -> Response:
    first = request.path_params["path"].partition("/")[0]
    if first in NO_VIEWS or first.endswith(tuple(MEDIA_TYPES)):
        return refuse(404, "NotFound", "the page has nothing at this address")
    return _answer(request, SHELL)


def _answer(request: Request, path: str) -> Response:
    file = _find(path)
    media_type = None if file is None else MEDIA_TYPES.get(file.suffix)
    if file is None or media_type is None:
        return refuse(404, "NotFound", "the page has no such file")
    status = os.stat(file)
    tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    headers = {"etag": tag, "cache-control": "no-cache", "content-type": media_type}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(file.read_bytes(), headers=headers)


def _find(path: str) -> Path | None:
    """Return the file of a path below ``static/``; None if there is none.

    Each part of the path must be a name in its folder, as the folder itself spells it. So no part leads
    elsewhere, on any system.
    """
    here = ROOT
    for part in path.split("/"):
        if not here.is_dir() or part not in os.listdir(here):
            return None
        here /= part
    return here if here.is_file() else None


ROUTES = [
    Route("/static/{path:path}", _serve_file, methods=["GET"]),
    Route("/favicon.ico", _serve_icon, methods=["GET"]),  # browsers ask for it on pages that name no icon
    Route("/{path:path}", _serve_shell, methods=["GET"]),
]
