"""Change the archive, and run SQL: what a browser asks for by POST.

Invariant: each change opens the archive for writing, and closes it again. ``/api/sql`` only reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exptrack import Archive, ArchiveReadOnlyError, ExptrackError, InvalidValueError, Note
from exptrack.plain import short_repr
from exptrack.web.encoding import answer_error, answer_json, refuse
from exptrack.web.page import Page
from exptrack.web.readers import ClientLeftError

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_SQL_ROWS = 10_000
SQL_S = 25.0  # below the limit of any question


class Command:
    """The members of a JSON object that a browser sent."""

    def __init__(self, body: bytes) -> None:
        try:
            members = json.loads(body.decode("utf-8"))
        except (ValueError, RecursionError):
            raise InvalidValueError("the body is no JSON; send one object") from None
        if not isinstance(members, dict):
            raise InvalidValueError(f"the body must be an object, not {short_repr(members)}")
        self._members: dict[str, Any] = members

    def value(self, name: str) -> Any:
        """Return a member of any type; None if it is missing."""
        return self._members.get(name)

    def text(self, name: str) -> str:
        """Return a member that is a text."""
        value = self._members.get(name)
        if not isinstance(value, str):
            raise InvalidValueError(f"{name} must be a text, not {short_repr(value)}")
        return value

    def runs(self) -> list[str]:
        """Return the ids of the runs that are meant, at least one."""
        value = self._members.get("runs")
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            raise InvalidValueError("runs must be a list of run ids, with at least one")
        return value

    def flag(self, name: str) -> bool:
        """Return a member that is true or false; false if it is missing."""
        value = self._members.get(name, False)
        if not isinstance(value, bool):
            raise InvalidValueError(f"{name} must be true or false, not {short_repr(value)}")
        return value


Change = Callable[[Archive, Command], Mapping[str, Any]]


def edit_runs(archive: Archive, command: Command) -> dict[str, Any]:
    """Change what runs are called, how they are tagged, and what is noted of them."""
    action, value = command.text("action"), command.value("value")
    runs = [archive.get_run(run_id) for run_id in command.runs()]
    # Everything is looked up before the first run changes.
    for run in runs:
        match action:
            case "add_tag":
                run.add_tag(command.text("value"))
            case "remove_tag":
                run.remove_tag(command.text("value"))
            case "add_note":
                run.add_note(command.text("value"))
            case "edit_note":
                run.edit_note(_read_note(command), command.text("value"))
            case "remove_note":
                run.remove_note(_read_note(command))
            case "rename":
                run.rename(value)
            case "set_group":
                run.set_group(value)
            case "set_attribute":
                run.set_attribute(command.text("key"), value)
            case "delete_attribute":
                run.delete_attribute(command.text("key"))
            case _:
                raise InvalidValueError(f"there is no action {short_repr(action)}")
    return {}


def _read_note(command: Command) -> Note:
    """Return the note that is meant: `key` has its time and text as ``/api/run`` tells them."""
    key = command.value("key")
    if isinstance(key, dict) and isinstance(key.get("text"), str):
        with suppress(TypeError, ValueError):
            return Note(datetime.fromisoformat(key.get("written_at", "")), key["text"])
    raise InvalidValueError(f"key must be a note, with written_at and text, not {short_repr(key)}")


def delete_runs(archive: Archive, command: Command) -> dict[str, Any]:
    """Move runs to the trash, or delete them for good."""
    runs = command.runs()
    if command.flag("forever"):
        return {"report": archive.delete_run(*runs)}
    return {"report": {"runs": archive.trash_run(*runs)}}


def restore_runs(archive: Archive, command: Command) -> dict[str, Any]:
    """Take runs out of the trash."""
    return {"runs": archive.restore_run(*command.runs())}


def stop_study(archive: Archive, command: Command) -> dict[str, Any]:
    """Ask the processes of a study to start no more trials."""
    return {"running": archive.stop_study(command.text("name"))}


def change_page_view(archive: Archive, command: Command) -> dict[str, Any]:
    """Save, rename or delete a named view of the page; return all that there are then."""
    name, action = command.text("name"), command.text("action")
    match action:
        case "save":
            archive.save_page_view(name, command.text("path"), replace=command.flag("replace"))
        case "rename":
            archive.rename_page_view(name, command.text("value"))
        case "delete":
            archive.delete_page_view(name)
        case _:
            raise InvalidValueError(f"there is no action {short_repr(action)}")
    return {"page_views": archive.list_page_views()}


CHANGES: list[tuple[str, Change]] = [
    ("/api/edit", edit_runs),
    ("/api/delete", delete_runs),
    ("/api/restore", restore_runs),
    ("/api/stop-study", stop_study),
    ("/api/page-view", change_page_view),
]


def make_routes(page: Page) -> list[Route]:
    """Return the routes of all changes, and that of SQL."""
    return [
        *(_make_route(path, _open_for(page, change)) for path, change in CHANGES),
        _make_route("/api/sql", lambda request, command: _run_sql(page, request, command)),
    ]


def _open_for(page: Page, change: Change) -> Callable[[Request, Command], Any]:
    async def answer(_request: Request, command: Command) -> Response:
        if not page.can_edit:
            problem = f"{page.path} can only be read; change its permissions, and start the page again"
            raise ArchiveReadOnlyError(problem, path=page.path)
        facts = await page.change(lambda archive: change(archive, command))
        version = await page.readers.read(page.archive.data_version)
        return answer_json({"version": version, **facts})

    return answer


async def _run_sql(page: Page, request: Request, command: Command) -> Response:
    query, limit = command.text("query"), command.value("limit")
    rows = MAX_SQL_ROWS if limit is None else limit

    def run() -> Response:
        version = page.archive.data_version()
        found = page.archive.sql(query, max_rows=rows, timeout_s=SQL_S)
        return answer_json({"version": version, **found._asdict()})

    return await page.readers.read(run, request.receive)


def _make_route(path: str, work: Callable[[Request, Command], Any]) -> Route:
    async def endpoint(request: Request) -> Response:
        body = await _read_body(request)
        if body is None:
            return refuse(413, "TooLarge", f"the body has more than {MAX_BODY_BYTES:,} bytes; send less")
        try:
            answer = await work(request, Command(body))
        except (ExptrackError, ClientLeftError) as error:
            return answer_error(error)
        assert isinstance(answer, Response)
        return answer

    return Route(path, endpoint, methods=["POST"])


async def _read_body(request: Request) -> bytes | None:
    """Return the body of a request; None if it is too large. No more of it is then read."""
    stated = request.headers.get("content-length", "0")
    if not stated.isdecimal() or int(stated) > MAX_BODY_BYTES:
        return None
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)
