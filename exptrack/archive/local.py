"""The archive that this process has to itself in a folder of many: a spool."""

from __future__ import annotations

import os

from exptrack.archive.archive import Archive
from exptrack.database.spooled_file import own_file
from exptrack.plain import read_path


def local_archive(folder: str | os.PathLike[str]) -> Archive:
    """Open this process's own archive in `folder`, which many processes on many machines may share.

    Made for cluster jobs: each process writes one file, and ``exptrack merge OUT FOLDER/`` joins them. The
    variable ``EXPTRACK_SPOOL`` does the same for all calls that name no archive. A missing folder is made.
    Further calls in this process open the same file; a forked child gets another one. If the process starts no
    run, no file stays.

    While no run is open, the file is whole, so anything can copy it. On a network file system the process works
    on a local disk, in a folder below ``TMPDIR``. It copies the file to `folder` when the last open run ends,
    and about once a minute meanwhile. ``docs/clusters.md`` says what a killed process leaves.

    >>> from exptrack import local_archive
    >>> with local_archive(tmp_path / "spool") as archive, archive.start_run({"rank": 0}) as run:
    ...     run.log({"loss": 0.5})
    >>> len(list((tmp_path / "spool").iterdir()))
    1

    Raises:
        ArchiveNotFoundError: the folder above `folder` does not exist.
        ArchiveReadOnlyError: the folder cannot be written.
        ArchiveFullError: its disk is full.
        ArchiveIOError: it is no folder.
        InvalidTypeError, InvalidValueError: it is not a path.
    """
    return Archive(own_file(read_path(folder)).path)
