"""The archive as a file to be handed on: its digest, other archives merged into it, itself sealed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from exptrack.database.connection import Connection
from exptrack.errors import ArchiveReadOnlyError
from exptrack.metrics.writer import drain_all
from exptrack.plain import read_path
from exptrack.tracking import recovery
from exptrack.validation import check_flag, check_function

if TYPE_CHECKING:
    from exptrack.portable.merge_records import MergeReport
    from exptrack.portable.pack import PackReport


class ArchivePortable:
    """The calls of an archive that deal with other files."""

    _connection: Connection
    _writable: bool
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

    def merge(
        self,
        *sources: str | os.PathLike[str],
        dry_run: bool = False,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> MergeReport:
        """Take the runs, groups and studies of other archives into this one. Commits, power-safe.

        Runs are known by their ids and studies by their uids, so a file may be merged again at any time: it
        brings what is new in it, and else changes nothing. The order of files does not matter.

        - A run that went on in another file is brought up to date.
        - A run that went on differently in two files becomes two: the second is a *fork* with an id of its own
          and an event ``fork`` that names the run.
        - Tags, notes, names, attributes and artifacts that were added in any file come together. Of two values
          of one attribute the newer is kept. What was removed in one file is removed.
        - Runs that were deleted here come back from a file that has them.

        The other files are not written, may be in use, and need not be trusted: each is read from a private
        copy, and nothing is stored before its checksums are proved. What is damaged is left out and reported.
        With `dry_run`, only the report is made. `progress` is called with the file, how many of its runs are
        done, and how many there are. A merge that is killed leaves whole runs; merging again takes the rest.

        Raises:
            ArchiveNotFoundError: one of the files does not exist.
            NotAnArchiveError: one of them is no archive.
            ArchiveTooNewError: a newer exptrack wrote it.
            ArchiveCorruptError: it is damaged beyond that; :func:`exptrack.salvage` gets the sound rest.
            ArchiveReadOnlyError: this archive was opened for reading.
            ArchiveFullError: there is no room for what is new, or for the private copy.
            ArchiveLockedError: another process held the write lock for over 30 s.
        """
        from exptrack.portable.merge import merge_archives

        paths = [read_path(one, "source") for one in sources]
        is_dry = check_flag(dry_run, "dry_run")
        tell = check_function(progress, "progress") or (lambda _file, _done, _total: None)
        if not is_dry and not self._writable:
            raise ArchiveReadOnlyError(
                f"{self._connection.place} was opened for reading only; open it with mode 'rw', or merge dry",
                path=str(self._connection.place),
            )
        self._settle()
        return merge_archives(self._connection, paths, dry_run=is_dry, tell=tell)

    def pack(
        self,
        path: str | os.PathLike[str],
        *,
        snapshot: bool = False,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> PackReport:
        """Write the archive into one small sealed file, to be published or sent. The archive is not changed.

        The file is verified as a whole, gets a seal that ``verify`` proves, and is never written again (mode
        0444). Any SQLite client opens it, also on a read-only medium. :func:`exptrack.unpack` makes an archive
        of it that can be written. Deleted runs leave no trace in it; runs in the trash are in it.

        It appears whole and synced, or not at all. With `snapshot`, runs may be running: they stay so in the
        file. `progress` is called with a part, how much of it is done and how much there is.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     with archive.start_run() as run:
        ...         run.log({"loss": 0.5}, step=0)
        ...     report = archive.pack(tmp_path / "paper.db")
        >>> report.runs, report.points, len(report.sha256)
        (1, 1, 64)

        Raises:
            RunBusyError: a run is running, and `snapshot` is not given.
            VerificationError: the archive is damaged; `problems` of the error lists how.
            ExportError: a file of that name exists, or one beside it that would become a part of the file; or
                the file cannot be written.
            OwnFileError: the path is that of an open archive, or of a file that belongs to one.
            ArchiveFullError: there is no room for the file.
            ArchiveCorruptError: a row of the archive cannot be read.
        """
        from exptrack.portable.pack import pack_archive

        drain_all(self._connection.path)
        if self._writable:
            recovery.settle(self._connection, opening=True)
        return pack_archive(self._connection, path, snapshot=snapshot, progress=progress)
