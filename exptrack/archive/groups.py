"""The part of an archive that keeps groups of runs.

Invariant: a run names its group, and starting a run in a group makes it. These calls are for groups that are
described, renamed, empty or in the trash.
"""

from __future__ import annotations

from collections.abc import Callable

from exptrack.database.connection import Connection
from exptrack.listed import listed
from exptrack.validation import check_flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from exptrack.runs.groups import RunGroup


class ArchiveGroups:
    """The calls of an archive about groups of runs."""

    _connection: Connection
    _settle: Callable[[], None]

    def create_group(self, name: str) -> None:
        """Make an empty group. Commits.

        A group of that name in the trash comes back without its runs and attributes.

        Raises:
            GroupExistsError: there is a group of this name.
            InvalidTypeError, InvalidValueError: it is no name.
        """
        from exptrack.runs import groups

        groups.create_group(self._connection, groups.check_group(name))

    @listed
    def list_groups(self, *, trash: bool = False) -> list[RunGroup]:
        """List the groups by name, empty ones too; with `trash`, those in the trash.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     archive.start_run(group="digits").complete()
        ...     archive.set_group_attribute("digits", "owner", "ada")
        ...     archive.create_group("empty")
        ...     _ = archive.rename_group("digits", "mnist")
        ...     [(group.name, group.runs, group.attributes) for group in archive.list_groups()]
        [('empty', 0, {}), ('mnist', 1, {'owner': 'ada'})]
        """
        from exptrack.runs import groups

        self._settle()
        return groups.list_groups(self._connection, trash=check_flag(trash, "trash"))

    def rename_group(self, old: str, new: str) -> int:
        """Rename a group with its attributes, and return how many runs it has. Commits.

        Each of its runs names the new group, also those in the trash, and gets an event ``group``.

        Raises:
            GroupNotFoundError: there is no group `old`, or it is in the trash.
            GroupExistsError: there is a group `new`.
            InvalidTypeError, InvalidValueError: `new` is no name.
        """
        from exptrack.runs import groups

        return groups.rename_group(self._connection, groups.check_group(old), groups.check_group(new))

    def set_group_attribute(self, name: str, key: str, value: object) -> None:
        """Set an attribute of a group; keys and values are as in :meth:`Run.set_attribute`. Commits.

        Raises:
            GroupNotFoundError: there is no such group, or it is in the trash.
            InvalidTypeError, InvalidValueError: the key is no name, or the value cannot be stored.
        """
        from exptrack.runs import groups

        groups.set_group_attribute(self._connection, groups.check_group(name), key, value)

    def delete_group_attribute(self, name: str, key: str) -> None:
        """Delete an attribute of a group. A key that the group does not have is ignored. Commits.

        Raises:
            GroupNotFoundError: there is no such group, or it is in the trash.
        """
        from exptrack.runs import groups

        groups.delete_group_attribute(self._connection, groups.check_group(name), key)

    def trash_group(self, name: str) -> tuple[str, ...]:
        """Move a group and its runs to the trash, and return the ids of the runs. Commits.

        Raises:
            GroupNotFoundError: there is no such group, or it is in the trash.
            RunBusyError: one of its runs is running; nothing is moved.
        """
        from exptrack.runs import groups

        self._settle()
        return tuple(groups.trash_group(self._connection, groups.check_group(name)))

    def restore_group(self, name: str) -> tuple[str, ...]:
        """Take a group out of the trash, with the runs that were moved there with it. Commits.

        Returns the ids of these runs. A group that is not in the trash is left as it is.

        Raises:
            GroupNotFoundError: there is no such group.
        """
        from exptrack.runs import groups

        return tuple(groups.restore_group(self._connection, groups.check_group(name)))
