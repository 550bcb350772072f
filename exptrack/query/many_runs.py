"""Change or delete every run of a query.

Invariants: each transaction changes up to a fixed number of runs, all or none, and survives a power cut. It
tests each run once more. So a run that changed meanwhile is left alone, and no run is changed that the query
did not have when the call began. A running run stops a call that would take runs away, before anything is
changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from exptrack.database.connection import Connection, Row, in_reading, in_section
from exptrack.errors import RunBusyError
from exptrack.named_tuples import NamedTuple
from exptrack.query.conditions import And, Comparison, Condition, Field
from exptrack.runs.attributes import (
    check_attribute_key,
    check_attributes,
    encode_attribute,
    remove_attribute,
    save_attributes,
)
from exptrack.runs.changes import add_tags, remove_tags
from exptrack.runs.lease import renew_lease
from exptrack.runs.ownership import find_dead_runs
from exptrack.runs.store import check_note, check_tags, insert_note
from exptrack.shown import shown
from exptrack.times import utc_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from typing import Any

    from exptrack.artifacts.blobs import Collected
    from exptrack.query.asked import Asked

# A change takes 0.1 ms a run, so that other writers get their turn after 50 ms. A deletion takes as long as the
# run has points.
BATCH_RUNS, BATCH_DELETED = 500, 50
ADVICE = "end it first, or leave such runs out by the filter 'status != running'"

AMONG = """
SELECT r.id, r.run_id, r.status, r.host, r.deleted_at
FROM json_each(?) AS d CROSS JOIN run AS r ON r.id = d.value WHERE {test} ORDER BY d.key
"""
RUNNING_AMONG = """
SELECT run_id, host FROM run
WHERE id IN (SELECT value FROM json_each(?)) AND status = 'running' LIMIT 1
"""


@shown
class ChangeReport(NamedTuple):
    """The result of changing every run of a query.

    The query had `matched` runs, and `changed` of them were changed: those of `runs`, by their ids. The others
    had what the call sets already, or changed meanwhile so that the query no longer has them. If runs were
    deleted, `stored_bytes` of artifacts went with them, and the file shrank by `file_bytes`.
    """

    matched: int
    changed: int
    runs: tuple[str, ...]
    stored_bytes: int = 0
    file_bytes: int = 0


class ManyRuns:
    """The part of a query that changes its runs."""

    __slots__ = ()

    _connection: Connection
    _settle: Callable[[], None]
    _asked: Asked

    if TYPE_CHECKING:

        def _read_index(self) -> array[int]: ...

    def tag(self, *tags: str) -> ChangeReport:
        """Add tags to the runs. A run that has them all is left as it is. Commits, power-safe.

        Each transaction changes up to 500 runs, all or none. After an error, a note of it says how many runs
        were changed before. So do the calls below.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     for lr in (0.1, 0.01, 0.001):
        ...         archive.start_run({"lr": lr}).complete()
        ...     report = archive.runs().where("config.lr < 0.05").tag("small")
        ...     report.matched, report.changed, archive.runs().tagged("small").count()
        (2, 2, 2)

        Raises:
            InvalidTypeError, InvalidValueError: a tag is no name.
        """
        checked = check_tags(tags)
        return self._change(lambda row: add_tags(self._connection, row["id"], checked))

    def untag(self, *tags: str) -> ChangeReport:
        """Remove tags from the runs. A run that has none of them is left as it is. Commits, power-safe.

        Raises:
            InvalidTypeError, InvalidValueError: a tag is no name.
        """
        checked = check_tags(tags)
        return self._change(lambda row: remove_tags(self._connection, row["id"], checked))

    def note(self, text: str) -> ChangeReport:
        """Add a note to each of the runs. Commits, power-safe.

        Raises:
            InvalidTypeError, InvalidValueError: it is no text, or empty.
        """
        checked = check_note(text)

        def write(row: Row) -> bool:
            insert_note(self._connection, row["id"], checked)
            return True

        return self._change(write)

    def set(self, key: str, value: object) -> ChangeReport:
        """Set an attribute of each of the runs; see :meth:`exptrack.Run.set_attribute`. Commits, power-safe.

        Raises:
            InvalidTypeError, InvalidValueError: the key is no name, or the value cannot be stored.
        """
        return self._save(dict([encode_attribute(key, value)]))

    def set_attributes(self, values: Mapping[str, Any]) -> ChangeReport:
        """Set several attributes of each of the runs, as :meth:`set` does. Commits, power-safe.

        Raises:
            InvalidTypeError, InvalidValueError: a key is no name, or a value cannot be stored.
        """
        return self._save(check_attributes(values))

    def _save(self, values: Mapping[str, tuple[str, float | None, str | None]]) -> ChangeReport:
        def save(row: Row) -> bool:
            save_attributes(self._connection, row["id"], values, utc_text())
            return bool(values)

        return self._change(save)

    def unset(self, *keys: str) -> ChangeReport:
        """Delete attributes of the runs. A run that has none of them is left as it is. Commits, power-safe.

        Raises:
            InvalidTypeError, InvalidValueError: a key is no name.
        """
        checked = [check_attribute_key(key) for key in keys]

        def remove(row: Row) -> bool:
            removed = [remove_attribute(self._connection, row["id"], key, utc_text()) for key in checked]
            return any(removed)

        return self._change(remove)

    def trash(self) -> ChangeReport:
        """Move the runs to the trash; see :meth:`exptrack.Archive.trash_run`. Commits, power-safe.

        Raises:
            RunBusyError: one of the runs is running; nothing is changed.
        """
        from exptrack.runs.trash import mark_as_trash

        at = utc_text()

        def mark(row: Row) -> bool:
            mark_as_trash(self._connection, [row], at, ADVICE)
            return True

        return self._change(mark, only_ended=True)

    def delete(self) -> ChangeReport:
        """Delete the runs for good, then give the space back. Commits, power-safe.

        Each transaction deletes up to 50 runs with everything they hold, as :meth:`exptrack.Archive.delete_run`
        does.

        Raises:
            RunBusyError: one of the runs is running; nothing is deleted.
            ConflictError: a table that you added refers to one of the runs; its transaction deletes nothing.
        """
        self._settle()
        found = self._find(only_ended=True)
        deleted: list[str] = []
        stored_bytes = 0
        for batch in _cut(found, BATCH_DELETED):
            with _counting(deleted, len(found)):
                names, removed = self._delete_batch(batch)
            deleted += names
            stored_bytes += removed.stored_bytes
        freed = self._connection.vacuum_free_pages() if deleted else 0
        return ChangeReport(len(found), len(deleted), tuple(deleted), stored_bytes, freed)

    @in_section
    def _delete_batch(self, runs: Sequence[int]) -> tuple[list[str], Collected]:
        from exptrack.artifacts.deletion import delete_runs

        with self._connection.transaction(durable=True):
            rows = self._read_among(runs)
            removed = delete_runs(self._connection, rows, ADVICE)
        return [row["run_id"] for row in rows], removed

    def _change(self, change: Callable[[Row], bool], *, only_ended: bool = False) -> ChangeReport:
        """Call `change` for the row of each run, inside a transaction. It tells whether it changed the run."""
        self._settle()
        found = self._find(only_ended=only_ended)
        changed: list[str] = []
        for batch in _cut(found, BATCH_RUNS):
            with _counting(changed, len(found)):
                names = self._change_batch(batch, change)
            changed += names
        return ChangeReport(len(found), len(changed), tuple(changed))

    @in_section
    def _change_batch(self, runs: Sequence[int], change: Callable[[Row], bool]) -> list[str]:
        changed = []
        with self._connection.transaction(durable=True):
            for row in self._read_among(runs):
                renew_lease(self._connection, row["id"])
                if change(row):
                    changed.append(row["run_id"])
        return changed

    @in_reading
    def _find(self, *, only_ended: bool) -> Sequence[int]:
        """Return the row ids of the runs."""
        found = list(self._read_index())
        if only_ended:
            row = self._connection.one(RUNNING_AMONG, (json.dumps(found),))
            if row is not None:
                raise RunBusyError(row["run_id"], f"on {row['host']}", ADVICE)
        return found

    def _read_among(self, runs: Sequence[int]) -> list[Row]:
        """Return the rows of these runs, but for those that the query no longer has."""
        from exptrack.query.compiler import Compiler

        compiler = Compiler(self._connection, find_dead_runs(self._connection))
        # A run keeps its id. To look it up in a long list again would take longer than the change.
        test = compiler.admit(
            And(tuple(one for one in _list_parts(self._asked.condition) if not _is_of_id(one)))
        )
        sql = AMONG.format(test=test.sql.format(id="r.id"))
        return self._connection.all(sql, (json.dumps(list(runs)), *test.values))


def _list_parts(condition: Condition) -> tuple[Condition, ...]:
    return condition.conditions if isinstance(condition, And) else (condition,)


def _is_of_id(condition: Condition) -> bool:
    return isinstance(condition, Comparison) and condition.field == Field("fact", "id")


def _cut(runs: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (runs[begin : begin + size] for begin in range(0, len(runs), size))


@contextmanager
def _counting(changed: Sequence[str], total: int) -> Iterator[None]:
    """Say in a note of an error how many runs were changed before it."""
    try:
        yield
    except Exception as error:
        if changed:
            error.add_note(f"{len(changed):,} of {total:,} runs were changed before this; the others were not")
        raise
