"""Records that calls about the whole archive return."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from exptrack.records import JournalReport, Waiting


class DeleteReport(NamedTuple):
    """The result of deleting runs; the file shrank by `file_bytes`."""

    runs: tuple[str, ...]
    blobs: int
    stored_bytes: int
    file_bytes: int


class SqlResult(NamedTuple):
    """The rows of a query; `truncated` says that there were more than the allowed number."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool


class ArchiveInfo(NamedTuple):
    """The contents, sizes and versions of a file.

    `runs` counts runs by status; `rows` counts the rows of each table, if that was asked for.

    `waiting` lists what stands beside the file and is not in it, see :class:`exptrack.Waiting`. `runs` leaves
    out those in the trash; `trashed` counts them.

    `level_bytes` is what stored levels of metrics take, see ``docs/format.md``.

    `network` is the kind of file system of the file if other machines share it, such as ``nfs4``; else "".
    `sealed_at` is the time at which :meth:`Archive.pack` made the file; None if it has no seal.
    """

    path: str
    format: int
    library: str
    sqlite: str
    file_bytes: int
    wal_bytes: int
    free_bytes: int
    runs: dict[str, int]
    rows: dict[str, int]
    artifact_bytes: int
    stored_bytes: int
    first_run: datetime | None
    last_run: datetime | None
    waiting: tuple[Waiting, ...]
    trashed: int = 0
    network: str = ""
    sealed_at: datetime | None = None
    level_bytes: int = 0


class RecoveryReport(NamedTuple):
    """How many points were stored, the runs that became interrupted, and what still waits.

    `journal` tells what became of the journal that was named; it is None if none was.
    """

    points: int
    runs: tuple[str, ...]
    waiting: tuple[Waiting, ...]
    journal: JournalReport | None = None
