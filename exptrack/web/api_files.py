"""Answer questions about artifacts and the archive file, and send the bytes of artifacts.

Invariant: bytes are read piece by piece, each by a query of its own. No query is open while a piece is sent. So
a slow browser never keeps the write-ahead log from being folded.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Send

from exptrack import Artifact, ArtifactNotFoundError, ExptrackError, InvalidValueError
from exptrack.web.api import Handler
from exptrack.web.encoding import answer_error, refuse
from exptrack.web.page import Page
from exptrack.web.question import Question
from exptrack.web.readers import ClientLeftError

PIECE_BYTES = 512 * 1024
TEXT_BYTES = 256 * 1024
TABLE_BYTES = 32 * 1024 * 1024  # a table is read whole
TABLE_ROWS = 1_000
LARGEST_RUNS = 500
# What an artifact holds must never run as a part of the page.
SANDBOX = {"content-security-policy": "sandbox; default-src 'none'"}
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
BYTES = "application/octet-stream"
# The page shows these by <img>. Everything else is a file to save, whatever it says it is.
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/svg+xml")


def find_artifact(page: Page, run: str, name: str, version: int | None) -> Artifact:
    """Return the record of an artifact.

    Raises:
        ArtifactNotFoundError: the run has no such artifact.
    """
    found = page.archive.artifacts(run).get_artifact(name, version)
    if found is None:
        raise ArtifactNotFoundError(name, run, version)
    return found


def read_text(page: Page, question: Question) -> dict[str, Any]:
    """Read the beginning of an artifact as text."""
    found = _find_asked(page, question)
    with page.archive.artifacts(found.run_id).open(found.name, found.version) as file:
        content = file.read(TEXT_BYTES)
    text = content.decode("utf-8", "replace")
    return {"artifact": found, "text": text, "truncated": len(content) < found.size_bytes}


def read_table(page: Page, question: Question) -> dict[str, Any]:
    """Read the first rows of a table."""
    found = _find_asked(page, question)
    if found.size_bytes > TABLE_BYTES:
        raise InvalidValueError(
            f"the table {found.name!r} has {found.size_bytes:,} bytes, too many to show; save it as a file"
        )
    rows = min(question.whole("rows", 100), TABLE_ROWS)
    columns = page.archive.artifacts(found.run_id).get_table(found.name, found.version)
    total = max(map(len, columns.values()), default=0)
    shown = [{"name": name, "cells": cells[:rows]} for name, cells in columns.items()]
    return {"artifact": found, "rows": total, "columns": shown}


def list_folder(page: Page, question: Question) -> dict[str, Any]:
    """List the files of an artifact that is a folder."""
    found = _find_asked(page, question)
    return {
        "artifact": found,
        "files": page.archive.artifacts(found.run_id).list_files(found.name, found.version),
    }


def _find_asked(page: Page, question: Question) -> Artifact:
    version = question.whole("version", 0)
    return find_artifact(page, question.require("run"), question.require("name"), version or None)


def show_file(page: Page, _question: Question) -> dict[str, Any]:
    """Show the sizes and versions of the file, and the runs whose artifacts take most space."""
    storage = sorted(page.archive.storage(), key=lambda one: -one.stored_bytes)
    return {
        "info": page.archive.info(),
        "storage": storage[:LARGEST_RUNS],
        "holders": len(storage),
    }


def list_groups(page: Page, _question: Question) -> dict[str, Any]:
    """List the groups of runs."""
    return {"groups": page.archive.list_groups()}


def list_trash(page: Page, _question: Question) -> dict[str, Any]:
    """List the runs in the trash, those that were moved there last first, and what emptying it gives back."""
    trash = page.archive.list_trash()
    freed = page.archive.measure_deletion(*(one.run.run_id for one in trash))
    return {"trash": trash, "freed_bytes": freed}


def list_views(page: Page, _question: Question) -> dict[str, Any]:
    """List the SQL views that were added to the file."""
    return {"views": page.archive.list_views()}


def list_page_views(page: Page, _question: Question) -> dict[str, Any]:
    """List the named views of the page."""
    return {"page_views": page.archive.list_page_views()}


HANDLERS: list[tuple[str, Handler]] = [
    ("/api/artifact-text", read_text),
    ("/api/artifact-table", read_table),
    ("/api/artifact-files", list_folder),
    ("/api/file", show_file),
    ("/api/groups-list", list_groups),
    ("/api/trash", list_trash),
    ("/api/views", list_views),
    ("/api/page-views", list_page_views),
]


@dataclass
class _Content:
    """The bytes of an artifact, opened, and what a browser may do with them."""

    name: str
    media_type: str
    size_bytes: int
    hash: str
    file: BinaryIO


def make_route(page: Page) -> Route:
    """Return the route on which a browser gets the bytes of an artifact."""

    def open_content(path: dict[str, Any], question: Question) -> _Content:
        store = page.archive.artifacts(path["run"])
        found = find_artifact(page, path["run"], path["name"], path["version"])
        part = question.text("file") or None
        file = store.open(found.name, found.version, file=part)
        size = file.seek(0, 2)
        if part is not None:
            return _Content(part, BYTES, size, f"{found.hash}/{quote(part)}", file)
        media_type = found.media_type if found.media_type in IMAGES else None
        return _Content(found.name, media_type or BYTES, size, found.hash, file)

    async def send_artifact(request: Request) -> Response:
        try:
            question = Question(request.path_params, request.scope["query_string"])
            content = await page.readers.read(
                lambda: open_content(request.path_params, question), request.receive
            )
            return await _answer(content, request, page.readers.read)
        except (ExptrackError, ClientLeftError) as error:
            return answer_error(error)

    return Route("/artifact/{run}/{version:int}/{name:path}", send_artifact, methods=["GET"])


class _Pieces(StreamingResponse):
    """Sends pieces. If one cannot be read, it says why and closes the connection: the browser keeps no part."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except ExptrackError as error:
            print(f"exptrack: an artifact could not be sent to its end: {error}", file=sys.stderr)


async def _answer(content: _Content, request: Request, read: Callable[..., Awaitable[bytes]]) -> Response:
    """Return the answer with the bytes that are asked for.

    Raises:
        ArchiveCorruptError: the first piece is damaged.
    """
    tag = f'"{content.hash}"'
    headers = {
        **SANDBOX,
        "etag": tag,
        "accept-ranges": "bytes",
        "content-disposition": f"attachment; filename*=UTF-8''{quote_name(content.name)}",
        "content-type": content.media_type,
    }
    span = find_range(request, tag, content.size_bytes)
    if span is None:
        size = {"content-range": f"bytes */{content.size_bytes}"}
        return refuse(416, "RangeNotSatisfiable", "the artifact has no such bytes", size)
    begin, end = span
    is_part = end - begin < content.size_bytes
    headers["content-length"] = str(end - begin)
    if is_part:
        headers["content-range"] = f"bytes {begin}-{end - 1}/{content.size_bytes}"
    if request.method == "HEAD":
        return Response(headers=headers, status_code=206 if is_part else 200)
    pieces = _iterate(content.file, begin, end, read)
    first = await anext(pieces, b"")  # before the status is sent, so that damage is an error of its own
    return _Pieces(_put_before(first, pieces), 206 if is_part else 200, headers)


async def _put_before(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def find_range(request: Request, tag: str, size: int) -> tuple[int, int] | None:
    """Return the first byte asked for and the one behind the last; None if there are no such bytes.

    A request for several ranges, or in a form that is not understood, gets everything, as HTTP allows.
    """
    text = request.headers.get("range", "")
    found = RANGE.fullmatch(text.replace(" ", ""))
    if found is None or found.groups() == ("", "") or request.headers.get("if-range", tag) != tag:
        return 0, size
    first, last = found.groups()
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(int(last) + 1, size) if last else size
    return (begin, end) if begin < end else None


async def _iterate(
    file: BinaryIO, begin: int, end: int, read: Callable[..., Awaitable[bytes]]
) -> AsyncIterator[bytes]:
    place = begin
    while place < end:

        def read_piece(start: int = place) -> bytes:
            file.seek(start)
            return file.read(min(PIECE_BYTES, end - start))

        piece = await read(read_piece)
        place += len(piece)
        yield piece


def quote_name(name: str) -> str:
    """Return the last part of an artifact's name as RFC 5987 has it, without characters that act."""
    last = re.split(r"[/\\]", name)[-1]
    shown = "".join(c if c.isprintable() else "_" for c in last) or "artifact"
    return quote(shown, safe="", errors="replace")
