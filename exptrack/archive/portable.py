"""The archive as a file to be handed on: what it says in one digest, and other archives merged into it."""

from __future__ import annotations

from collections.abc import Callable

from exptrack.database.connection import Connection


class ArchivePortable:
    """The calls of an archive that deal with other files."""

    _connection: Connection
    _settle: Callable[[], None]

    def digest(self) -> str:
        """Return the SHA-256 (hex) of what the archive says, whatever its row ids are.

        Two archives have the same digest exactly if they say the same of the same runs, groups and studies:
        facts, configs, metrics, tags, notes, events, attributes and artifacts. It is computed from the seals of
        the runs, which :meth:`verify` proves. Views of users do not enter.
        """
        from exptrack.portable.digest import digest_content

        self._settle()
        return digest_content(self._connection)
