"""Copy some runs of an archive to a new file, with all that belongs to them.

Invariants: the file appears under its name whole and synced, or not at all. Merging it into the archive changes
nothing there. The archive is only read. Runs that are running are read from a private copy of one moment, as
their rows and points would differ otherwise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from exptrack import own_files
from exptrack.artifacts.blobs import Intake
from exptrack.artifacts.folders import decode_path
from exptrack.artifacts.restore import new_file
from exptrack.database.connection import Connection
from exptrack.database.copying import leave_wal_mode
from exptrack.database.disk import reading_file
from exptrack.database.draft import DraftConnection
from exptrack.database.opening import archive_path, open_connection
from exptrack.errors import ArchiveCorruptError, FilterError, StudyNotFoundError
from exptrack.portable.foreign import open_source
from exptrack.portable.merge_groups import merge_groups
from exptrack.portable.merge_records import LeftOut
from exptrack.portable.merge_studies import merge_studies
from exptrack.portable.proofs import prove_runs
from exptrack.portable.run_copier import MiscountError, RunCopier
from exptrack.portable.run_rows import RunRows, read_runs
from exptrack.portable.snapshot import WRITABLE, mode_of, require_free_name
from exptrack.query.views import create_view
from exptrack.shown import shown

TRIES = 5  # to read runs that other processes change meanwhile

_AMONG = "IN (SELECT value FROM json_each(?))"
RUNNING = f"SELECT EXISTS (SELECT 1 FROM run WHERE status = 'running' AND id {_AMONG})"
RUN_IDS = f"SELECT run_id FROM run WHERE id {_AMONG}"
INPUTS_OF_RUNS = f"""
SELECT DISTINCT p.id FROM run_input AS i JOIN run AS p ON p.run_id = i.from_run_id WHERE i.run {_AMONG}
"""
GROUPS_OF_RUNS = f"SELECT DISTINCT group_name FROM run WHERE group_name IS NOT NULL AND id {_AMONG}"
STUDIES_OF_RUNS = f"""
SELECT DISTINCT s.uid
FROM run AS r JOIN trial AS t ON t.run_id = r.run_id JOIN study AS s ON s.id = t.study WHERE r.id {_AMONG}
"""
RUNS_OF_STUDY = """
SELECT r.id FROM study AS s JOIN trial AS t ON t.study = s.id JOIN run AS r ON r.run_id = t.run_id
WHERE s.name = ? ORDER BY r.id
"""
UID_OF_STUDY = "SELECT uid FROM study WHERE name = ?"
USER_VIEWS = "SELECT name, fields FROM user_view ORDER BY name"


@shown
class ExtractReport(NamedTuple):
    """A file that was extracted. `left_out` lists the runs that are damaged, and why."""

    path: str
    file_bytes: int
    runs: tuple[str, ...]
    studies: tuple[str, ...]
    points: int
    blobs: int
    left_out: tuple[LeftOut, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was left out."""
        return not self.left_out


def find_runs_of_study(connection: Connection, name: str) -> tuple[list[int], str]:
    """Return the row ids of the runs that are trials of a study, and its uid.

    Raises:
        StudyNotFoundError: no study has this name.
    """
    uid = connection.value(UID_OF_STUDY, (name,))
    if uid is None:
        raise StudyNotFoundError(name, str(connection.place))
    return [row[0] for row in connection.all(RUNS_OF_STUDY, (name,))], uid


def add_inputs(connection: Connection, row_ids: Iterable[int]) -> list[int]:
    """Return runs with those that made what they used, and what these used, as far as the file has them."""
    found = set(row_ids)
    new = list(found)
    while new:
        sources = {row[0] for row in connection.all(INPUTS_OF_RUNS, (json.dumps(new),))}
        new = sorted(sources - found)
        found |= sources
    return sorted(found)


def extract_runs(
    connection: Connection,
    out: str | os.PathLike[str],
    row_ids: Collection[int],
    *,
    studies: Iterable[str] = (),
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> ExtractReport:
    """Copy runs and the studies with these uids to the new file `out`; see :meth:`Archive.extract`."""
    place = archive_path(decode_path(out))
    own_files.require_foreign(place)
    require_free_name(place)
    connection.require_open()
    connection.check_identity()
    chosen, mode = sorted(row_ids), mode_of(connection.path) | WRITABLE
    with _open_steady(connection, chosen) as (source, path, alive), new_file(place, mode) as draft:
        open_connection(draft).close()
        leave_wal_mode(draft)
        with DraftConnection(draft, place) as target:
            extraction = _Extraction(target, source, path, alive, place)
            extraction.copy_runs(chosen, tell)
            names = extraction.copy_studies(chosen, studies)
            extraction.copy_views()
        with reading_file(place, "was written and cannot be read back"):
            size = os.stat(draft).st_size
    return ExtractReport(
        str(place),
        size,
        tuple(extraction.runs),
        names,
        extraction.points,
        extraction.copier.blobs,
        tuple(extraction.left_out),
    )


@contextmanager
def _open_steady(connection: Connection, row_ids: Sequence[int]) -> Iterator[tuple[Connection, Path, bool]]:
    """Yield a connection to read the runs by, the file, and whether other processes may write it."""
    if not connection.value(RUNNING, (json.dumps(row_ids),)):
        yield connection, connection.path, connection.mode not in ("immutable", "frozen")
        return
    with open_source(connection.place) as source:
        yield source.connection, source.copy, False


class _Extraction:
    """Copies runs from one archive to a new one."""

    def __init__(self, target: Connection, source: Connection, path: Path, alive: bool, place: Path) -> None:
        self._target = target
        self._source = source
        self._path = path
        self._alive = alive
        self.copier = RunCopier(target, source, source.place)
        self.runs: list[str] = []
        self.points = 0
        self.left_out: list[LeftOut] = []

    def copy_runs(self, row_ids: Sequence[int], tell: Callable[[int, int], None]) -> None:
        """Copy runs, a batch in each transaction, and the groups that they name."""
        done = 0
        for batch in self.copier.batches(row_ids):
            self._copy_batch(batch)
            done += len(batch)
            tell(done, len(row_ids))
        names = [row[0] for row in self._source.all(GROUPS_OF_RUNS, (json.dumps(row_ids),))]
        merge_groups(self._target, self._source, names, dry_run=False)

    def _copy_batch(self, row_ids: Sequence[int]) -> None:
        """Copy runs; each by itself if one of them is damaged."""
        try:
            self._copy(row_ids)
        except ArchiveCorruptError as error:
            if len(row_ids) > 1:
                for row_id in row_ids:
                    self._copy_batch([row_id])
                return
            (run_id,) = self._source.all(RUN_IDS, (json.dumps(row_ids),))[0]
            self.left_out.append(LeftOut(run_id, str(error)))

    def _copy(self, row_ids: Sequence[int]) -> None:
        for attempt in range(1, TRIES + 1):
            runs = self._source.reading(lambda: self._read(row_ids))
            try:
                with Intake(self._target) as intake:
                    self.copier.put_blobs(intake, runs)
                    self._write(intake, runs)
            except MiscountError:
                # Another process may have changed a run between the reading of its rows and of its points.
                if attempt == TRIES:
                    raise
            else:
                self.points += sum(one.points for one in runs)
                self.runs += [one.facts.run_id for one in runs]
                return

    def _read(self, row_ids: Sequence[int]) -> list[RunRows]:
        for problems in prove_runs(self._source, row_ids).values():
            if problems:
                raise ArchiveCorruptError("; ".join(problems), path=str(self._source.place))
        return read_runs(self._source, row_ids)

    def _write(self, intake: Intake, runs: list[RunRows]) -> None:
        def work() -> None:
            with self._target.attached(self._path, alive=self._alive):
                intake.attach(lambda: self.copier.write([(one, None, True) for one in runs]))

        self._target.section(work)

    def copy_studies(self, row_ids: Sequence[int], uids: Iterable[str]) -> tuple[str, ...]:
        """Copy the studies whose trials these runs are, and those with these uids; return their names."""
        found = {row[0] for row in self._source.all(STUDIES_OF_RUNS, (json.dumps(row_ids),))}
        merged = merge_studies(self._target, self._source, found | set(uids), dry_run=False)
        self.left_out += merged.left_out
        return merged.taken

    def copy_views(self) -> None:
        """Make the views of the user anew whose keys and metrics these runs have."""
        for name, fields in self._source.all(USER_VIEWS):
            with suppress(FilterError):  # a view of fields that no run here has
                create_view(self._target, name, json.loads(fields))
