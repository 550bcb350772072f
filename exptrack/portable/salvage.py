"""Make a new archive of everything in a damaged file that can be proved.

The rows are read from the pages (`tables`) and brought into a draft (`salvage_intake`). There they are proved,
and what nothing proves is taken out (`salvage_artifacts`, `salvage_runs`, `salvage_studies`). Then the draft
becomes `out`.

Invariants:

- The damaged file and the files beside it are only read, and SQLite opens none of them.
- `out` appears whole and synced, or not at all. It is a new archive of the current format, and verifies clean.
- Whatever is in it is proved by a checksum, unless the caller asks for what is not.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from exptrack import own_files
from exptrack.artifacts.blobs import DELETE_UNUSED_CHUNKS, UNUSED_BLOBS
from exptrack.artifacts.drafts import locked
from exptrack.artifacts.restore import new_file
from exptrack.database.opening import archive_path, open_connection
from exptrack.errors import ExportError, ExptrackError, InvalidValueError
from exptrack.metrics.series_seals import remake_levels
from exptrack.new_files import draft_name
from exptrack.plain import read_elements, read_path
from exptrack.portable.findings import Tell
from exptrack.portable.pages import PageFile
from exptrack.portable.salvage_artifacts import ArtifactProof
from exptrack.portable.salvage_copies import OtherCopies
from exptrack.portable.salvage_intake import Draft
from exptrack.portable.salvage_journals import take_journals
from exptrack.portable.salvage_points import return_strays
from exptrack.portable.salvage_report import SalvageReport, count_of
from exptrack.portable.salvage_runs import RunProof, restore_runs
from exptrack.portable.salvage_series import restore_series
from exptrack.portable.salvage_studies import StudyProof, settle_groups, settle_page_views
from exptrack.portable.snapshot import WRITABLE, mode_of, require_free_name
from exptrack.portable.tables import TableReader
from exptrack.query.views import create_view
from exptrack.validation import check_flag, check_function

__all__ = ["SalvageReport", "salvage"]

COUNT_ORPHANS = """
SELECT count(*), coalesce(sum(count), 0) FROM metric_series WHERE run NOT IN (SELECT id FROM run)
"""
# Rows that belong to a row that is lost, owners first.
DELETE_ORPHANS = (
    *(
        f"DELETE FROM {table} WHERE run NOT IN (SELECT id FROM run)"
        for table in (
            *("run_owner", "run_environment", "run_config", "config_value", "run_tag", "note", "event"),
            *("run_attribute", "run_ingest", "artifact_alias", "run_input", "artifact", "metric_series"),
        )
    ),
    *(
        f"DELETE FROM {table} WHERE series NOT IN (SELECT id FROM metric_series)"
        for table in ("metric_point", "metric_check")
    ),
    "DELETE FROM artifact_entry WHERE artifact NOT IN (SELECT id FROM artifact)",
    "DELETE FROM run_group_attribute WHERE run_group NOT IN (SELECT id FROM run_group)",
    *(
        f"DELETE FROM {table} WHERE study NOT IN (SELECT id FROM study)"
        for table in ("study_objective", "study_attribute", "trial")
    ),
    *(
        f"DELETE FROM {table} WHERE trial NOT IN (SELECT id FROM trial)"
        for table in ("trial_param", "trial_value", "trial_report", "trial_attribute")
    ),
    "DELETE FROM metric_name WHERE id NOT IN (SELECT metric FROM metric_series)",
    "DELETE FROM config_key WHERE id NOT IN (SELECT key FROM config_value)",
    "DELETE FROM config_source WHERE id NOT IN (SELECT source FROM config_value WHERE source IS NOT NULL)",
    f"DELETE FROM blob WHERE id IN ({UNUSED_BLOBS})",
    "DELETE FROM blob_chunk WHERE blob NOT IN (SELECT id FROM blob)",
    DELETE_UNUSED_CHUNKS,
    "DELETE FROM chunk_data WHERE chunk NOT IN (SELECT id FROM chunk)",
)
SET_SEQUENCES = tuple(
    f"UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(id), 0) FROM {table}) WHERE name = '{table}'"
    for table in ("run", "study", "trial")
)
COUNT_POINTS = "SELECT coalesce(sum(count), 0) FROM metric_series"
COUNT_ARTIFACTS = "SELECT count(*) FROM artifact WHERE blob IS NOT NULL"
COPY_INTO = "VACUUM INTO ?"


def salvage(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    others: Iterable[str | os.PathLike[str]] = (),
    unproven: bool = False,
    progress: Tell | None = None,
) -> SalvageReport:
    """Make the new archive `out` of everything in the damaged file `path` that a checksum proves.

    A run whose seal holds comes back whole. Of another run its proved parts come back; it is then interrupted,
    and its event `salvage` lists what is missing. Journals beside the file are read too. The damaged file stays
    as it is.

    `others` are other copies of the archive, damaged or not: what they prove fills what is missing. With
    `unproven`, what nothing proves comes back too, in runs with the tag ``unproven``. `progress` is called with
    a part (``"pages"``, ``"chunks"``, ``"artifacts"``, ``"runs"``), how many of them are done and their total.

    >>> from exptrack import Archive, salvage
    >>> with Archive(tmp_path / "lab.db") as archive:
    ...     with archive.start_run({"lr": 0.1}) as run:
    ...         run.log({"loss": 0.5}, step=0)
    >>> with open(tmp_path / "lab.db", "r+b") as file:
    ...     file.write(bytes(4096)) and None  # page 1 is lost
    >>> report = salvage(tmp_path / "lab.db", tmp_path / "saved.db")
    >>> report.ok, report.points, [run.status for run in report.runs]
    (True, 1, ['completed'])

    Raises:
        NotAnArchiveError: nothing in the file looks like an archive; or it is empty, a folder or a device.
        ArchiveNotFoundError: there is no such file.
        OwnFileError: a file belongs to an archive that this process has open; close it first.
        ArchiveLockedError: another process has a file open, or changed it meanwhile; end that process first.
        ExportError: `out` exists, or cannot be written.
        ArchiveFullError: there is no room for `out`, which for a while takes three times its size.
        ArchiveIOError: the system refused to read the file.
    """
    place = archive_path(read_path(out, "out"))
    damaged = _make_absolute(read_path(path))
    copies = [_make_absolute(read_path(one, "a path of others")) for one in _list(others)]
    unproven = check_flag(unproven, "unproven")
    tell: Tell = (lambda *_: None) if progress is None else check_function(progress, "progress")
    own_files.require_foreign(place)
    require_free_name(place)
    with ExitStack() as stack:
        files = [stack.enter_context(PageFile(one)) for one in (damaged, *copies)]
        for file in files:
            file.require_steady()
        readers = [TableReader(file) for file in files]
        folder = stack.enter_context(_working_folder(place))
        drafts = []
        for number, reader in enumerate(readers):
            connection = open_connection(folder / f"{number}.db")
            stack.callback(connection.close)
            drafts.append(Draft(connection, reader, unproven=unproven and not number))
        first, *rest = drafts
        second = [_Salvage(draft, copy, OtherCopies(), tell) for draft, copy in zip(rest, copies, strict=True)]
        for other in second:
            other.run()
        work = _Salvage(first, damaged, OtherCopies(rest), tell)
        work.run()
        work.fill([other.whole_runs() for other in second])
        _note_lost_pages(first, files[0])
        for file in files:
            file.require_steady()
        report = work.report(place, files[0].size)
        with new_file(place, mode_of(damaged) | WRITABLE) as draft_of_out:
            first.connection.section(lambda: first.connection.execute(COPY_INTO, (str(draft_of_out),)))
    return report


def _make_absolute(path: str | os.PathLike[str]) -> Path:
    """Return the full path of a file to read, whose name may be longer than that of an archive."""
    if not os.fspath(path):
        raise InvalidValueError("'' is not a path: it is empty; give another path")
    return Path(os.path.abspath(path))


def _list(others: object) -> list[str | os.PathLike[str]]:
    if isinstance(others, (str, os.PathLike)):
        return [others]
    return list(read_elements(others, "others", like="['copy.db']"))


@contextmanager
def _working_folder(out: Path) -> Iterator[Path]:
    """Make a folder beside `out` for the drafts, and remove it with all that is in it."""
    folder = out.parent / draft_name()
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise ExportError(
            f"cannot write {out}: its folder cannot be written ({error.strerror}); choose another place",
            path=str(out),
        ) from None
    try:
        parent = os.open(out.parent, os.O_RDONLY) if os.open in os.supports_dir_fd else None
        try:
            with locked(folder.name, parent):
                yield folder
        finally:
            if parent is not None:
                os.close(parent)
    finally:
        with suppress(OSError):
            shutil.rmtree(folder)


class _Salvage:
    """The salvage of one copy into its draft."""

    def __init__(self, draft: Draft, path: Path, others: OtherCopies, tell: Tell) -> None:
        self._draft = draft
        self._connection = draft.connection
        self._path = path
        self._others = others
        self._tell = tell
        self._from_journals: dict[int, int] = {}

    def run(self) -> None:
        """Read all rows and prove them."""
        draft = self._draft
        pages = sum(
            count
            for name, count in draft.reader.page_counts().items()
            if draft.reader.layout[name].table == name
        )
        draft.take_rows(self._counter("pages", pages))
        draft.read_apart()
        draft.take_names()
        restored_runs = restore_runs(draft)
        restored_series = restore_series(draft)
        return_strays(draft)
        artifacts = ArtifactProof(draft, self._others)
        artifacts.prove_chunks(self._counter("chunks", self._count("SELECT count(*) FROM chunk")))
        artifacts.prove_blobs(self._counter("artifacts", self._count("SELECT count(*) FROM blob")))
        self._runs = RunProof(draft, artifacts, self._others, restored_runs, restored_series)
        self._runs.settle_all(self._counter("runs", self._count("SELECT count(*) FROM run")))
        self._from_journals = take_journals(draft, self._path)
        self._runs.finish_all()
        self._note_orphans()
        draft.change(self._delete_orphans)
        settle_groups(draft)
        settle_page_views(draft)
        StudyProof(draft).settle_all(lambda: None)
        draft.change(self._delete_orphans)

    def whole_runs(self) -> dict[str, int]:
        """Return the row ids of the runs that are whole, by run id."""
        return self._runs.whole_runs()

    def fill(self, wholes: list[dict[str, int]]) -> None:
        """Take from the other copies the runs that are whole there only, and make the views."""
        runs = {run.run_id: run for run in self._runs.report(self._from_journals)}
        self._others.take_runs(self._draft, runs, wholes)
        self._others.take_studies(self._draft, lambda: self._draft.change(self._delete_orphans))
        self._others.take_page_views(self._draft)
        settle_groups(self._draft)
        self._draft.change(self._delete_orphans)
        self._draft.change(remake_levels, self._connection)
        self._make_views()

    def _count(self, sql: str) -> int:
        return int(self._connection.value(sql))

    def _counter(self, part: str, total: int) -> Callable[..., None]:
        done = 0

        def count(more: int = 1) -> None:
            nonlocal done
            done += more
            self._tell(part, min(done, total), total)

        return count

    def _note_orphans(self) -> None:
        row = self._connection.one(COUNT_ORPHANS)
        if row is not None and row[0]:
            metrics, points = count_of(row[0], "metric"), count_of(row[1], "point")
            self._draft.findings.others.append(f"{metrics} with {points}: the rows of their runs are lost")

    def _delete_orphans(self) -> None:
        for sql in (*DELETE_ORPHANS, *SET_SEQUENCES):
            self._connection.execute(sql)

    def _make_views(self) -> None:
        for name, fields in self._draft.views:
            try:
                create_view(self._connection, name, json.loads(fields))
            except (ExptrackError, ValueError, RecursionError) as error:
                self._draft.findings.others.append(f"the view {name!r}: {error}")

    def report(self, out: Path, file_bytes: int) -> SalvageReport:
        """Say what came back."""
        return SalvageReport(
            str(self._path),
            str(out),
            file_bytes,
            tuple(self._runs.report(self._from_journals)),
            self._count(COUNT_POINTS),
            self._count(COUNT_ARTIFACTS),
            self._draft.findings.lost(),
        )


def _note_lost_pages(draft: Draft, file: PageFile) -> None:
    """Note the rows and pages that could not be read."""
    reader = draft.reader
    for name, count in sorted(reader.lost_pages.items()):
        draft.findings.others.append(f"{count_of(count, 'page')} of the table {name}: damaged")
    for name, count in sorted(reader.lost.items()):
        if reader.layout[name].table == name:
            draft.findings.others.append(f"{count_of(count, 'row')} of the table {name}: damaged")
    if file.log_problem is not None:
        draft.findings.others.append(file.log_problem)
    missing = file.count_missing()
    if missing:
        draft.findings.others.append(f"{count_of(missing, 'page')} at the end of the file: missing")
    if file.failures:
        draft.findings.others.append(f"{count_of(file.failures, 'page')}: the system could not read them")
