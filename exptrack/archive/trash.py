"""The part of an archive that takes runs away: to the trash and back, or for good.

Invariant: runs are deleted in one transaction with the bytes that no other run uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from exptrack.database.connection import Connection, Row, in_reading, in_section
from exptrack.listed import listed
from exptrack.runs import lookup
from exptrack.times import seconds_of, utc_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from exptrack.archive.records import DeleteReport
    from exptrack.artifacts.blobs import Collected
    from exptrack.runs.trash import TrashedRun


class ArchiveTrash:
    """The calls of an archive that move runs to the trash, restore them and delete them."""

    _connection: Connection
    _settle: Callable[[], None]

    def trash_run(self, *run_ids: object) -> tuple[str, ...]:
        """Move runs to the trash, all or none, and return their ids. Commits.

        A run in the trash keeps everything and takes no changes. It appears in no list, filter, ranking,
        analysis or view; :meth:`get_run` and :meth:`show_run` still find it. Each run gets an event ``trash``.
        A run that is in the trash already is left as it is. Where a run is a trial, its study keeps the trial.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     with archive.start_run(name="typo") as run:
        ...         run.log({"loss": 0.5})
        ...     _ = archive.trash_run(run)
        ...     found = len(archive.list_runs()), [one.run.name for one in archive.list_trash()]
        ...     _ = archive.restore_run(run)
        ...     found, len(archive.list_runs())
        ((0, ['typo']), 1)

        Raises:
            RunNotFoundError: no run has one of the ids.
            AmbiguousRunError: one of them means several runs.
            RunBusyError: one of the runs is running.
        """
        from exptrack.runs.trash import trash_runs

        self._settle()
        return tuple(trash_runs(self._connection, run_ids))

    def restore_run(self, *run_ids: object) -> tuple[str, ...]:
        """Take runs out of the trash, all or none, and return their ids. Commits.

        Each run gets an event ``restore``. A run that is not in the trash is left as it is.

        Raises:
            RunNotFoundError: no run has one of the ids.
            AmbiguousRunError: one of them means several runs.
        """
        from exptrack.runs.trash import restore_runs

        return tuple(restore_runs(self._connection, run_ids))

    @listed
    def list_trash(self) -> list[TrashedRun]:
        """List the runs in the trash, those that were moved there last first."""
        from exptrack.runs.trash import list_trash

        self._settle()
        return list_trash(self._connection)

    def measure_deletion(self, *run_ids: object) -> int:
        """Return how many stored bytes of artifacts deleting these runs together would give back.

        Bytes that other runs use too do not count. The rows of metrics and configs come on top.

        Raises:
            RunNotFoundError: no run has one of the ids.
            AmbiguousRunError: several runs begin with one of the ids.
        """
        self._settle()
        return self._measure(run_ids)

    @in_reading
    def _measure(self, run_ids: Sequence[object]) -> int:
        from exptrack.artifacts.retention import count_bytes_of_runs_alone

        with self._connection.snapshot():
            runs = [lookup.resolve_run(self._connection, one)["id"] for one in run_ids]
            return count_bytes_of_runs_alone(self._connection, runs)

    def empty_trash(self, *, older_than: float | str | None = None) -> DeleteReport:
        """Delete the runs in the trash, then give the space back; see :meth:`delete_run`. Commits, power-safe.

        `older_than` leaves runs that were moved there later than that ago: seconds, or a text like ``"30d"``.

        Raises:
            InvalidValueError: `older_than` is no duration.
            ConflictError: a table that you added refers to one of the runs; nothing is deleted.
        """
        from exptrack.runs.trash import IN_TRASH_SINCE

        until = datetime.now(UTC)
        if older_than is not None:
            try:
                until -= timedelta(seconds=seconds_of(older_than, "an age"))
            except OverflowError:
                until = datetime.min.replace(tzinfo=UTC)

        def find() -> list[Row]:
            found = self._connection.all(IN_TRASH_SINCE, (utc_text(until),))
            return lookup.read_runs(self._connection, [run for (run,) in found])

        return self._delete(find)

    def delete_run(self, *run_ids: object) -> DeleteReport:
        """Delete runs with everything they hold, then give the space back. Commits, power-safe.

        All runs are deleted in one transaction, whether they are in the trash or not. Artifacts that other runs
        share stay. Children of a deleted run lose their parent.

        Raises:
            RunNotFoundError: no run has one of the ids; nothing is deleted.
            AmbiguousRunError: one of them means several runs; nothing is deleted.
            RunBusyError: one of the runs is running; nothing is deleted.
            ConflictError: a table that you added refers to one of the runs; nothing is deleted.
        """
        self._settle()
        wanted = [lookup.id_of(one) for one in run_ids]
        return self._delete(lambda: [lookup.resolve_run(self._connection, one) for one in wanted])

    def _delete(self, find: Callable[[], Sequence[Row]]) -> DeleteReport:
        from exptrack.archive.records import DeleteReport

        names, removed = self._delete_rows(find)
        freed = self._connection.vacuum_free_pages()
        return DeleteReport(names, removed.blobs, removed.stored_bytes, freed)

    @in_section
    def _delete_rows(self, find: Callable[[], Sequence[Row]]) -> tuple[tuple[str, ...], Collected]:
        from exptrack.artifacts.deletion import delete_runs

        with self._connection.transaction(durable=True):
            rows = list({row["id"]: row for row in find()}.values())
            removed = delete_runs(self._connection, rows)
        return tuple(row["run_id"] for row in rows), removed
