"""Record many finished runs at once: for importers, generators and sweeps of commands.

Invariants:

- A recorded run is stored as if it had been logged when it happened.
- A batch is stored whole or not at all. The bytes of artifacts are stored before it, held until the runs of the
  batch name them, and deleted if the batch fails.
- An event is late if it happened after the run's end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from exptrack.config.store import RowIds
from exptrack.database.connection import Connection, in_section
from exptrack.database.row_sums import GatheredRows, hash_row
from exptrack.errors import ConflictError, ExptrackError, ExternalIdError, InvalidValueError
from exptrack.known_secrets import mask_secrets
from exptrack.metrics.series_seals import save_blocks_and_levels
from exptrack.metrics.store import NewPoints, append_points, begin_series
from exptrack.plain import is_text, iter_any, short_repr
from exptrack.records import FOLDER_TYPE, RunStatus
from exptrack.runs.attributes import save_attributes
from exptrack.runs.events import record_event
from exptrack.runs.identity import derive_run_id, make_run_id
from exptrack.runs.lookup import resolve_run
from exptrack.runs.seal import save_run_checksum, seal_run
from exptrack.runs.store import INSERT_TAG, WrittenRun, insert_note, insert_run, record_end
from exptrack.times import EPOCH, MILLISECOND, utc_text
from exptrack.tracking.recorded_run import CheckedArtifact, CheckedRecord, RecordedRun, check_record
from exptrack.validation import check_choice, check_name

if TYPE_CHECKING:
    from exptrack.artifacts.blobs import Intake, NewBlob
    from exptrack.artifacts.stored_folder import StoredFolder

TAKEN_IDS = "SELECT run_id FROM run WHERE run_id IN (SELECT value FROM json_each(?))"
KNOWN_EXTERNAL_IDS = """
SELECT external_id, run_id FROM run WHERE external_id IN (SELECT value FROM json_each(?))
"""

# The limits of one transaction. A larger one would block other writers; smaller ones need more commits.
RUNS_AT_ONCE = 256
POINTS_AT_ONCE = 200_000
BYTES_AT_ONCE = 256 << 20  # of artifacts


class _Accepted(NamedTuple):
    """A record that waits for its batch; its artifacts are on their way into the file.

    None are if the record is to be passed over.
    """

    record: CheckedRecord
    stored: list[NewBlob | StoredFolder] | None


def record_runs(connection: Connection, records: Iterable[RecordedRun], known: str = "refuse") -> list[str]:
    """Store finished runs; see :meth:`exptrack.Archive.record_runs`."""
    skips = check_choice(known, "known", ("refuse", "skip")) == "skip"
    run_ids: list[str] = []
    position = 0
    remaining = iter_any(records, "records")
    while True:
        with _Batch(connection, skips=skips) as batch:
            try:
                for record in remaining:
                    batch.add(record)
                    position += 1
                    if batch.is_full():
                        break
            except ExptrackError as error:
                error.add_note(f"in record {position} (from 0); only the first {len(run_ids)} are stored")
                raise
            if not batch.accepted:
                return run_ids
            run_ids += batch.store()


class _Batch:
    """The records that one transaction stores. Use it as a context manager."""

    def __init__(self, connection: Connection, *, skips: bool) -> None:
        self._connection = connection
        self._skips = skips
        self._points = self._bytes = 0
        self._intake: Intake | None = None
        self._stack = ExitStack()
        self._ids: dict[str, str] = {}  # by external id, of the records that have one
        self.accepted: list[_Accepted] = []

    def __enter__(self) -> _Batch:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def is_full(self) -> bool:
        """Whether the batch has reached a limit."""
        return (
            len(self.accepted) >= RUNS_AT_ONCE or self._points >= POINTS_AT_ONCE or self._bytes >= BYTES_AT_ONCE
        )

    def add(self, record: object) -> None:
        """Check a record, and put the bytes of its artifacts into the file. Commits if they are many."""
        checked = check_record(record, self._find_parent)
        external_id = checked.new.external_id
        known = external_id is not None and self._is_known(external_id)
        stored = None if known else [self._put(artifact) for artifact in checked.artifacts]
        if external_id is not None:
            self._ids.setdefault(external_id, derive_run_id(_count_ms(checked.new.started_at), external_id))
        without_content = [artifact._replace(content=None) for artifact in checked.artifacts]
        self.accepted.append(_Accepted(checked._replace(artifacts=without_content), stored))
        self._points += sum(len(steps) for steps, _times, _values in checked.metrics.values())
        self._bytes += sum(one.size_bytes for one in stored or ())

    def _find_parent(self, parent: object) -> str:
        """Return the id of a run, which may be named by its external id."""
        if is_text(parent):
            name = mask_secrets(check_name(parent, "parent"))
            found = _find_known(self._connection, [name]).get(name) or self._ids.get(name)
            if found is not None:
                return found
        return str(resolve_run(self._connection, parent)["run_id"])

    def _is_known(self, external_id: str) -> bool:
        """Whether the archive or the batch has a run of this external id, which is then passed over."""
        found = _find_known(self._connection, [external_id]).get(external_id)
        if found is not None and not self._skips:
            raise ExternalIdError(external_id, found)
        if external_id in self._ids and not self._skips:
            raise InvalidValueError(
                f"two records have the external id {short_repr(external_id)}; give one of them, or known='skip'"
            )
        return found is not None or external_id in self._ids

    def _put(self, artifact: CheckedArtifact) -> NewBlob | StoredFolder:
        from exptrack import own_files
        from exptrack.artifacts.blobs import Intake
        from exptrack.artifacts.chunks import guard_content
        from exptrack.artifacts.folder_intake import put_folder
        from exptrack.artifacts.folders import open_for_reading

        if self._intake is None:
            self._intake = self._stack.enter_context(Intake(self._connection))
        if artifact.path is not None and artifact.said.media_type == FOLDER_TYPE:
            return put_folder(self._intake, artifact.path)
        if artifact.path is not None:
            with open_for_reading(artifact.path) as source:
                return self._intake.put(source)
        if is_text(artifact.content):
            return self._intake.put(artifact.content.encode("utf-8"))
        own_files.require_foreign_file(artifact.content)
        return self._intake.put(guard_content(artifact.content))

    def store(self) -> list[str]:
        """Store the batch in one transaction, and return the ids of its runs in their order. Commits."""
        if self._intake is None:
            return self._store_apart()
        found: list[str] = []
        self._intake.attach(lambda: found.extend(self._store()))
        return found

    @in_section
    def _store_apart(self) -> list[str]:
        # All that the rows refer to is found or written in this transaction.
        with self._connection.in_bulk(), self._connection.transaction():
            return self._store()

    def _store(self) -> list[str]:
        """Write the rows of the batch. Call inside the transaction."""
        known = self._find_known_runs()
        run_ids = self._draw_run_ids(known)
        # New for each batch: another process may delete sources that no config uses in between.
        row_ids, gathered = RowIds(self._connection), GatheredRows(self._connection)
        runs: list[tuple[WrittenRun, CheckedRecord]] = []
        begun: set[str] = set()
        # Where another process began such a run since the record was added, that is the parent.
        moved = {self._ids[external_id]: run_id for external_id, run_id in known.items()}
        for run_id, (record, stored) in zip(run_ids, self.accepted, strict=True):
            external_id = record.new.external_id
            if external_id is not None and (external_id in known or external_id in begun):
                continue
            if external_id is not None:
                begun.add(external_id)
            if stored is None:
                raise ConflictError(
                    f"the run of the external id {short_repr(external_id)} was deleted while its record was"
                    " passed over; call record_runs() again"
                )
            parent = record.new.parent
            new = record.new if parent is None else record.new._replace(parent=moved.get(parent, parent))
            written = insert_run(self._connection, run_id, new, gathered, row_ids)
            self._write_happenings(written.row_id, run_id, record, stored, gathered)
            runs.append((written, record))
        self._write_points(runs, gathered)
        return run_ids

    def _find_known_runs(self) -> dict[str, str]:
        """Return the runs of the archive that the batch names by external id."""
        known = _find_known(self._connection, list(self._ids)) if self._ids else {}
        if known and not self._skips:  # stored by another process since the record was added
            raise ExternalIdError(*next(iter(known.items())))
        return known

    def _draw_run_ids(self, known: dict[str, str]) -> list[str]:
        """Return an id for each record. Starts in the same millisecond differ by the random part only."""
        found: list[str] = []
        made: dict[str, bool] = {}  # by id: whether it is made of an external id
        for record, _stored in self.accepted:
            milliseconds, external_id = _count_ms(record.new.started_at), record.new.external_id
            if external_id is None:
                while (run_id := make_run_id(milliseconds)) in made:
                    pass
                made[run_id] = False
            else:
                run_id = known.get(external_id) or self._ids[external_id]
                if external_id not in known:
                    made[run_id] = True
            found.append(run_id)
        taken = self._connection.value(TAKEN_IDS, (json.dumps(list(made)),))
        if taken is None:
            return found
        if made[taken]:
            raise ConflictError(
                f"the id {taken}, which is made of an external id, belongs to another run;"
                " give another external id"
            )
        return self._draw_run_ids(known)

    def _write_happenings(
        self,
        run: int,
        run_id: str,
        record: CheckedRecord,
        stored: list[NewBlob | StoredFolder],
        gathered: GatheredRows,
    ) -> None:
        """Write all that happened in a run, by time. The run's end comes before what happened later."""
        connection, new = self._connection, record.new
        assert new.ended_at is not None
        end = utc_text(new.ended_at)
        if not record.happened and not stored and not record.attributes:
            record_end(connection, run, new.status, new.reason, end, gathered=gathered)
            return
        gathered.write()  # each of these looks at what is there already
        steps: list[tuple[str, Callable[..., None], tuple[Any, ...]]] = [
            (at, _WRITERS[kind], (connection, run, data)) for at, kind, data in record.happened
        ]
        if stored:
            for artifact, content in zip(record.artifacts, stored, strict=True):
                steps.append((artifact.at, _write_artifact, (connection, run, (run_id, artifact, content))))
            steps.sort(key=lambda step: step[0])
        has_ended = False
        for at, write, facts in steps:
            if at > end and not has_ended:
                record_end(connection, run, new.status, new.reason, end)
                has_ended = True
            write(*facts, at, late=has_ended)
        if not has_ended:
            record_end(connection, run, new.status, new.reason, end)
        if record.attributes:
            save_attributes(connection, run, record.attributes, end)

    def _write_points(self, runs: list[tuple[WrittenRun, CheckedRecord]], gathered: GatheredRows) -> None:
        connection = self._connection
        series = [
            (written.row_id, name, one.new.status is RunStatus.COMPLETED)
            for written, one in runs
            for name in one.metrics
        ]
        begun = begin_series(connection, series, gathered)
        gathered.write()
        points = (columns for _run, one in runs for columns in one.metrics.values())
        append_points(
            connection, [NewPoints(one, *columns) for one, columns in zip(begun, points, strict=True)]
        )
        # The checksum of points that did not come by rising steps is computed by reading them in key order.
        unsealed = {one.run for one in begun if one.checksum is None}
        save_blocks_and_levels(connection, (one for one in begun if one.run not in unsealed))
        for written, one in runs:
            if written.row_id in unsealed:
                seal_run(connection, written.row_id, completed=one.new.status is RunStatus.COMPLETED)
            else:
                save_run_checksum(connection, written.row_id, written)


def _write_tag(connection: Connection, run: int, tag: str, at: str, *, late: bool) -> None:
    if connection.execute(INSERT_TAG, (run, tag, at)).rowcount:
        record_event(
            connection, run, "tag", {"tag": tag}, at=at, rows=hash_row("run_tag", (tag, at)), late=late
        )


def _write_event(
    connection: Connection, run: int, event: tuple[str, dict[str, Any]], at: str, *, late: bool
) -> None:
    record_event(connection, run, *event, at=at, late=late)


def _write_artifact(
    connection: Connection,
    run: int,
    registered: tuple[str, CheckedArtifact, NewBlob | StoredFolder],
    at: str,
    *,
    late: bool,
) -> None:
    from exptrack.artifacts.registration import insert_artifact
    from exptrack.artifacts.stored_folder import StoredFolder, insert_entries

    run_id, (_at, said, metadata, _content, _path), stored = registered
    blob = stored.manifest if isinstance(stored, StoredFolder) else stored
    artifact = insert_artifact(connection, run, run_id, said, metadata, blob, at, late=late)
    if isinstance(stored, StoredFolder):
        insert_entries(connection, artifact, stored)


_WRITERS: dict[str, Callable[..., None]] = {"tag": _write_tag, "note": insert_note, "event": _write_event}


def _find_known(connection: Connection, external_ids: list[str]) -> dict[str, str]:
    """Return the ids of the runs that have these external ids."""
    return dict(connection.fold(KNOWN_EXTERNAL_IDS, (json.dumps(external_ids),), list))


def _count_ms(start: datetime) -> int:
    return (start - EPOCH) // MILLISECOND
