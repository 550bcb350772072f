"""Records that calls about the whole archive return."""

from __future__ import annotations

from datetime import datetime
from itertools import count

from exptrack.named_tuples import NamedTuple
from exptrack.records import JournalReport, Waiting
from exptrack.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import pandas
    import polars

    from exptrack.frames import Frame
    from exptrack.markup.notebook import View


@shown
class DeleteReport(NamedTuple):
    """The result of deleting runs; the file shrank by `file_bytes`."""

    runs: tuple[str, ...]
    blobs: int
    stored_bytes: int
    file_bytes: int


@shown
class SqlResult(NamedTuple):
    """The rows of a query; `truncated` says that there were more than the allowed number."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool

    def frame(self) -> Frame:
        """Return the rows as a :class:`Frame`, which becomes dicts, pandas or polars.

        Columns have the types of their cells: SQL keeps bools as 0 and 1, and times as text. Of columns with
        the same name, the second is ``NAME_2``, and so on.
        """
        from exptrack.frames import Frame, infer_column

        names: dict[str, None] = {}
        for column in self.columns:
            again = (f"{column}_{place}" for place in count(2))
            names[column if column not in names else next(one for one in again if one not in names)] = None
        cells = zip(*self.rows, strict=True) if self.rows else ([] for _ in names)
        return Frame({name: infer_column(list(values)) for name, values in zip(names, cells, strict=True)})

    def to_pandas(self) -> pandas.DataFrame:
        """Return a pandas frame with nullable columns; see :meth:`frame`.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return self.frame().to_pandas()

    def to_polars(self) -> polars.DataFrame:
        """Return a polars frame; see :meth:`frame`.

        Raises:
            MissingPackageError: polars is not installed.
        """
        return self.frame().to_polars()

    def _view(self) -> View:
        view = self.frame()._view()
        said = (
            f"The first {len(self.rows):,} rows of SQL" if self.truncated else f"{len(self.rows):,} rows of SQL"
        )
        return view._replace(title=said)


@shown
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


@shown
class RecoveryReport(NamedTuple):
    """How many points were stored, the runs that became interrupted, and what still waits.

    `journal` tells what became of the journal that was named; it is None if none was.
    """

    points: int
    runs: tuple[str, ...]
    waiting: tuple[Waiting, ...]
    journal: JournalReport | None = None
