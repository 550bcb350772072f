"""Keep the named views of the page: names for addresses of it, which a copy of the file has too.

Invariants:

- An address is a path of this page. It begins with one ``/``, so no browser takes it for another site.
- A view that was deleted or renamed leaves its row, marked as deleted. So a merge brings the deletion along.
- The time of a change is later than that of the change before it, also if the clock was set back.
- A file of format 1, which is only read, has no table of them, and so no view.
"""

from __future__ import annotations

import difflib
from datetime import datetime
from typing import Any, NamedTuple

from exptrack.database.connection import Connection, in_reading, in_section
from exptrack.database.damage import decoding_rows
from exptrack.database.own_schema import has_table
from exptrack.database.row_sums import hash_row
from exptrack.errors import ConflictError, InvalidValueError, NotFoundError
from exptrack.known_secrets import mask_secrets
from exptrack.plain import short_repr
from exptrack.shown import shown
from exptrack.times import moment, time_after, utc_text
from exptrack.validation import check_name, check_text

TABLE = "page_view"
MAX_PATH_CHARS = 8000

LIST_PAGE_VIEWS = "SELECT name, path, changed_at FROM page_view WHERE deleted_at IS NULL ORDER BY name"
SELECT_PAGE_VIEW = "SELECT path, changed_at, deleted_at FROM page_view WHERE name = ?"
SAVE_PAGE_VIEW = """
INSERT OR REPLACE INTO page_view (name, path, changed_at, deleted_at, checksum) VALUES (?, ?, ?, ?, ?)
"""


@shown
class PageView(NamedTuple):
    """A named view of the page: the address that restores it, and when it was last saved.

    `path` is the path of the address with its query and fragment, such as ``"/runs?where=tag%3Dbase"``.
    """

    name: str
    path: str
    changed_at: datetime


def check_page_view_name(name: object) -> str:
    """Return the name of a view, without secrets."""
    return mask_secrets(check_name(name, "the name of a view of the page"))


def check_page_path(path: object) -> str:
    """Return the address of a view, without secrets.

    Raises:
        InvalidTypeError: it is not text.
        InvalidValueError: it is no path of the page, is too long, or holds a control character.
    """
    text = mask_secrets(check_text(path, "the path of a view of the page", max_chars=MAX_PATH_CHARS))
    if not text.startswith("/") or text[1:2] in ("/", "\\"):
        raise InvalidValueError(
            f"the path of a view of the page must begin with one '/', as '/runs' does; it is {short_repr(text)}"
        )
    if any(character < " " or character == "\x7f" for character in text):
        raise InvalidValueError(
            f"the path {short_repr(text)} holds a control character; give the address as the browser has it"
        )
    return text


@in_reading
@decoding_rows
def list_page_views(connection: Connection) -> list[PageView]:
    """List the views by name; see :meth:`exptrack.Archive.list_page_views`."""
    if not has_table(connection, TABLE):
        return []
    return [PageView(name, path, moment(at)) for name, path, at in connection.all(LIST_PAGE_VIEWS)]


@in_section
def save_page_view(connection: Connection, name: object, path: object, *, replace: bool) -> None:
    """Save a view; see :meth:`exptrack.Archive.save_page_view`."""
    checked, checked_path = check_page_view_name(name), check_page_path(path)
    with connection.transaction():
        if not replace:
            _require_free(connection, checked)
        _write(connection, checked, checked_path)


@in_section
def rename_page_view(connection: Connection, old: object, new: object) -> None:
    """Rename a view; see :meth:`exptrack.Archive.rename_page_view`."""
    before, after = check_page_view_name(old), check_page_view_name(new)
    with connection.transaction():
        path = _get_path(connection, before)
        if before == after:
            return
        _require_free(connection, after)
        _write(connection, before, path, is_deleted=True)
        _write(connection, after, path)


@in_section
def delete_page_view(connection: Connection, name: object) -> None:
    """Delete a view; see :meth:`exptrack.Archive.delete_page_view`."""
    checked = check_page_view_name(name)
    with connection.transaction():
        _write(connection, checked, _get_path(connection, checked), is_deleted=True)


def insert_row(connection: Connection, row: tuple[Any, ...]) -> None:
    """Write name, path and both times of a view over those that are there. Call inside a transaction."""
    connection.execute(SAVE_PAGE_VIEW, (*row, hash_row(TABLE, row)))


@decoding_rows
def _write(connection: Connection, name: str, path: str, *, is_deleted: bool = False) -> None:
    row = connection.one(SELECT_PAGE_VIEW, (name,))
    now = time_after(utc_text(), None if row is None else row["changed_at"])
    insert_row(connection, (name, path, now, now if is_deleted else None))


def _get_path(connection: Connection, name: str) -> str:
    row = connection.one(SELECT_PAGE_VIEW, (name,))
    if row is None or row["deleted_at"] is not None:
        present = [one["name"] for one in connection.all(LIST_PAGE_VIEWS)]
        close = difflib.get_close_matches(name, present, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "list_page_views() lists them"
        raise NotFoundError(f"the page has no view named {name!r} in {connection.path}; {hint}")
    return str(row["path"])


def _require_free(connection: Connection, name: str) -> None:
    row = connection.one(SELECT_PAGE_VIEW, (name,))
    if row is not None and row["deleted_at"] is None:
        raise ConflictError(
            f"the page has a view named {name!r} in {connection.path}; choose another name, or delete that one"
        )
