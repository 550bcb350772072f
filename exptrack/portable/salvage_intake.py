"""Bring the rows that pages hold into a draft: a new archive, in which they are then proved.

The draft has the row ids of the damaged file, so the sums of rows, which cover row ids, can be proved in it.

Invariants:

- Rows are inserted by statements of exptrack into tables of exptrack, so the draft has no other schema.
- A row that contradicts one that is there already, or a rule of its table, stays out. Nothing is proved here.
- What SQLite stores twice is read twice: an index has the name of a lost row of `metric_name`, for instance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from exptrack.database.connection import Connection
from exptrack.database.row_sums import hash_row
from exptrack.portable.salvage_report import Findings
from exptrack.portable.tables import TableReader

# Rows that mean nothing in another file. Journals and views are read apart.
NOT_CARRIED = {"migration", "metric_journal", "metric_level", "blob_writer", "seal", "user_view"}
MOST_RIVALS = 1_000
ROWS_AT_ONCE, BYTES_AT_ONCE = 10_000, 8 << 20

INSERT_ROW = "INSERT OR IGNORE INTO {table} ({columns}) VALUES ({values})"
OWNER_OF_SERIES = "SELECT run, metric FROM metric_series WHERE id = ?"
# The tables that hold a name and whose rows an index has too, with that index.
NAMES = {
    "metric_name": "sqlite_autoindex_metric_name_1",
    "config_key": "sqlite_autoindex_config_key_1",
    "config_source": "sqlite_autoindex_config_source_1",
}
RUN_COLUMNS = {
    "run_id": "sqlite_autoindex_run_1",
    "started_at": "run_by_start",
    "status": "run_by_status",
    "ended_at": "run_by_end",
    "name": "run_by_name",
    "group_name": "run_by_group",
    "parent_run_id": "run_by_parent",
    "external_id": "run_by_external_id",
    "deleted_at": "run_by_deletion",
    "config_hash": "run_by_config",
    "family": "run_by_family",
    "fingerprint": "run_by_fingerprint",
}
# Deeper rows go with those that belong to no other at the end.
ROWS_OF_RUN = tuple(
    f"DELETE FROM {table} WHERE run = ?"
    for table in (
        *("run_environment", "run_config", "config_value", "run_tag", "note", "event", "run_attribute"),
        *("run_ingest", "artifact_alias", "run_input", "artifact", "metric_series"),
    )
)
CHANGES = "SELECT total_changes()"
SAME_KEY = "SELECT time_ms, value FROM metric_point WHERE series = ? AND step = ? AND seq = ?"
SELECT_NAME = "SELECT {columns} FROM {table} WHERE id = ?"


Point = tuple[int, int, int, float | None]  # step, seq, time_ms, value


class Alternative(NamedTuple):
    """A row of a table of names for which an index has other values."""

    table: str
    id: int
    values: dict[str, Any]


class Draft:
    """A new archive that takes the rows of a damaged file, and that file's pages."""

    def __init__(self, connection: Connection, reader: TableReader, *, unproven: bool) -> None:
        self.connection = connection
        self.reader = reader
        self.unproven = unproven
        self.findings = Findings()
        self.birth: str | None = None  # of the damaged archive
        self.drained: dict[str, int] = {}  # by journal
        self.views: list[tuple[str, str]] = []
        # Rows that an index has too: metrics by their names, series by their runs and metrics.
        self.sure_names: set[int] = set()
        self.sure_series: set[int] = set()
        # Points that a damaged key has given the key of another one.
        self.rivals: list[tuple[int, Point]] = []
        self.alternatives: list[Alternative] = []

    def change(self, work: Callable[..., object], *arguments: object) -> None:
        """Run a change of the draft in a transaction, without foreign keys: rows come in any order."""

        def section() -> None:
            self.connection.execute("PRAGMA foreign_keys = OFF")
            with self.connection.transaction():
                work(*arguments)

        self.connection.section(section)

    def forget_run(self, run: int) -> None:
        """Delete the rows of a run whose own row is deleted. Call inside a transaction."""
        for sql in ROWS_OF_RUN:
            self.connection.execute(sql, (run,))

    # Rows

    def take_rows(self, told: Callable[[int], None]) -> None:
        """Insert the rows of all tables; `told` hears how many pages were read."""
        for name, tree in self.reader.layout.items():
            if tree.table != name or name in NOT_CARRIED:
                continue
            columns = [column.name for column in tree.columns]
            sql = INSERT_ROW.format(
                table=name, columns=", ".join(columns), values=", ".join("?" * len(columns))
            )
            has_bytes = any(bytes in one.types or str in one.types for one in tree.columns)
            for rows in _batches(self.reader.rows(name, told), has_bytes):
                self.change(self._insert, name, sql, rows)

    def _insert(self, name: str, sql: str, rows: list[tuple[Any, ...]]) -> None:
        """Insert rows; note the points whose key another point has."""
        before = self.connection.value(CHANGES)
        self.connection.execute_many(sql, rows)
        if name != "metric_point" or self.connection.value(CHANGES) - before == len(rows):
            return
        for series, *point in rows:
            stored = self.connection.one(SAME_KEY, (series, *point[:2]))
            if stored is not None and tuple(stored) != tuple(point[2:]) and len(self.rivals) < MOST_RIVALS:
                self.rivals.append((series, (point[0], point[1], point[2], point[3])))

    def read_apart(self) -> None:
        """Read the rows with a checksum each that belong to the file and not to a run."""
        for number, *rest, checksum in self.reader.rows("migration"):
            if number == 1 and hash_row("migration", (number, *rest)) == checksum:
                self.birth = f"{rest[2]} {rest[1]}"
        for journal, drained, checksum in self.reader.rows("metric_journal"):
            if hash_row("metric_journal", (journal, drained)) == checksum:
                self.drained[journal] = drained
        for name, fields, checksum in self.reader.rows("user_view"):
            if hash_row("user_view", (name, fields)) == checksum:
                self.views.append((name, fields))
            else:
                self.findings.others.append(f"the view {name!r}: it does not match its checksum")

    # What indexes hold too

    def take_names(self) -> None:
        """Insert the names that only an index still has; note those of which an index has another one."""
        for table, index in NAMES.items():
            columns = [column.name for column in self.reader.layout[index].columns]
            select = SELECT_NAME.format(columns=", ".join(columns), table=table)
            insert = INSERT_ROW.format(
                table=table, columns=", ".join(columns), values=", ".join("?" * len(columns))
            )
            missing = []
            for values in self.reader.rows(index):
                row = self.connection.one(select, (values[-1],))
                if row is None:
                    missing.append(values)
                elif tuple(row) == values:
                    if table == "metric_name":
                        self.sure_names.add(values[-1])
                else:
                    named = dict(zip(columns[:-1], values[:-1], strict=True))
                    self.alternatives.append(Alternative(table, values[-1], named))
            if missing:
                self.change(self.connection.execute_many, insert, missing)

    def read_run_columns(self, runs: set[int] | None) -> dict[int, dict[str, Any]]:
        """Return what indexes say of runs, by row id and column. With None: of all runs, their ids only."""
        found: dict[int, dict[str, Any]] = {}
        for column, index in RUN_COLUMNS.items():
            if runs is None and column not in ("run_id", "started_at"):
                continue
            for values in self.reader.rows(index):
                run = values[-1]
                if runs is None or run in runs:
                    place = [one.name for one in self.reader.layout[index].columns].index(column)
                    found.setdefault(run, {})[column] = values[place]
        return found

    def read_other_series(self) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
        """Return the id, run and metric of series to which an index gives others, and of those it alone has."""
        wrong, lost = [], []
        for run, metric, series in self.reader.rows("sqlite_autoindex_metric_series_1"):
            row = self.connection.one(OWNER_OF_SERIES, (series,))
            if row is None:
                lost.append((series, run, metric))
            elif tuple(row) != (run, metric):
                wrong.append((series, run, metric))
            elif metric in self.sure_names:
                self.sure_series.add(series)
        return wrong, lost

    def read_others(self, table: str, index: str) -> dict[int, Any]:
        """Return the first column of an index, by row id, where the table lacks it or has another value."""
        column = self.reader.layout[index].columns[0].name
        select = SELECT_NAME.format(columns=column, table=table)
        rows = self.reader.rows(index)
        return {row[-1]: row[0] for row in rows if self.connection.value(select, (row[-1],)) != row[0]}


def _batches(rows: Iterator[tuple[Any, ...]], has_bytes: bool) -> Iterator[list[tuple[Any, ...]]]:
    """Yield rows by the thousand, fewer where they are long."""
    batch: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        batch.append(row)
        if has_bytes:
            size += sum(len(value) for value in row if isinstance(value, (bytes, str)))
        if len(batch) == ROWS_AT_ONCE or size > BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
