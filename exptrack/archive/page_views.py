"""The part of an archive that keeps the named views of the page.

Invariant: the address of a view is text that only the page understands. No call checks that it leads anywhere.
"""

from __future__ import annotations

from exptrack.database.connection import Connection
from exptrack.listed import listed
from exptrack.validation import check_flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from exptrack.query.page_views import PageView


class ArchivePageViews:
    """The calls of an archive about named views of the page."""

    _connection: Connection

    def save_page_view(self, name: str, path: str, *, replace: bool = True) -> None:
        """Give an address of the page a name, which the page then lists. Commits.

        `path` is the address without scheme and host: ``"/runs?where=status+%3D+failed"``. It has at most 8,000
        characters. A view of this name is replaced, unless `replace` is false. Secrets in both are replaced by
        what is shown for them.

        Raises:
            InvalidTypeError, InvalidValueError: `name` is no name, or `path` is no path of the page.
            ConflictError: there is a view of this name, and `replace` is false.
            ArchiveReadOnlyError: the archive is only read.
        """
        from exptrack.query import page_views

        page_views.save_page_view(self._connection, name, path, replace=check_flag(replace, "replace"))

    @listed
    def list_page_views(self) -> list[PageView]:
        """List the named views of the page, by name.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     archive.save_page_view("failed", "/runs?where=status+%3D+failed")
        ...     archive.rename_page_view("failed", "what failed")
        ...     [(view.name, view.path) for view in archive.list_page_views()]
        [('what failed', '/runs?where=status+%3D+failed')]
        """
        from exptrack.query import page_views

        return page_views.list_page_views(self._connection)

    def rename_page_view(self, old: str, new: str) -> None:
        """Give a view of the page another name. Commits.

        Raises:
            NotFoundError: no view has the name `old`.
            ConflictError: there is a view named `new`.
            InvalidTypeError, InvalidValueError: `new` is no name.
            ArchiveReadOnlyError: the archive is only read.
        """
        from exptrack.query import page_views

        page_views.rename_page_view(self._connection, old, new)

    def delete_page_view(self, name: str) -> None:
        """Delete a view of the page by its name. Commits.

        Raises:
            NotFoundError: no view has this name.
            ArchiveReadOnlyError: the archive is only read.
        """
        from exptrack.query import page_views

        page_views.delete_page_view(self._connection, name)
