"""Print facts about the archive as a whole: contents, verification, added views, results of SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from exptrack.terminal.console import (
    format_count,
    format_size,
    print_heading,
    print_table,
    safe,
)

if TYPE_CHECKING:
    from exptrack import ArchiveInfo, JournalReport, RecoveryReport, SqlResult, UserView, VerifyReport, Waiting


def print_info(out: Console, record: ArchiveInfo) -> None:
    """Print the contents, sizes and versions of an archive."""
    grid = Table.grid(padding=(0, 2))
    free = f", of which {format_size(record.free_bytes)} is free" if record.free_bytes else ""
    log = f"; write-ahead log {format_size(record.wal_bytes)}" if record.wal_bytes else ""
    by_status = ", ".join(f"{count:,} {status}" for status, count in record.runs.items())
    pairs = [
        ("file", record.path),
        ("size", f"{format_size(record.file_bytes)}{free}{log}"),
        ("format", f"{record.format} (exptrack {record.library}, SQLite {record.sqlite})"),
        ("runs", f"{sum(record.runs.values()):,}" + (f" ({by_status})" if by_status else "")),
    ]
    if record.sealed_at:
        pairs.append(("sealed", f"{record.sealed_at:%Y-%m-%d %H:%M} UTC ('exptrack verify' proves the seal)"))
    if record.trashed:
        pairs.append(("in the trash", f"{record.trashed:,} ('exptrack trash' lists them)"))
    if record.network:
        pairs.append(("file system", f"{record.network}, a network file system: docs/clusters.md"))
    points, series = (record.rows.get(table, 0) for table in ("metric_point", "metric_series"))
    levels = f"; stored levels take {format_size(record.level_bytes)}" if record.level_bytes else ""
    pairs += [
        ("metric points", f"{points:,} in {series:,} series{levels}"),
        ("artifacts", f"{format_size(record.artifact_bytes)} stored in {format_size(record.stored_bytes)}"),
    ]
    if record.first_run and record.last_run:
        pairs.append(
            ("first – last", f"{record.first_run:%Y-%m-%d %H:%M} – {record.last_run:%Y-%m-%d %H:%M} UTC")
        )
    pairs += [("waiting", str(one)) for one in record.waiting]
    for key, value in pairs:
        grid.add_row(Text(key, style="dim"), Text(safe(value)))
    out.print(grid)
    print_heading(out, "Rows")
    print_table(
        out, [("table", "left"), ("rows", "right")], ([k, f"{v:,}"] for k, v in record.rows.items() if v)
    )


def print_verified(out: Console, record: VerifyReport) -> None:
    """Print the problems that a verification found, and how much it checked."""
    runs, points = format_count(record.runs, "run"), format_count(record.points, "point")
    looked = f"{runs}, {points}, {format_count(record.blobs, 'blob')} in {format_count(record.chunks, 'chunk')}"
    if record.ok:
        out.print(Text(f"intact: {looked}", style="green"))
        _print_waiting(out, record.waiting)
        return
    out.print(Text(f"{format_count(len(record.problems), 'problem')} in {looked}", style="red"))
    columns = [("part", "left"), ("where", "left"), ("problem", "left")]
    print_table(out, columns, ([p.part, p.where, p.message] for p in record.problems))
    out.print(Text("'exptrack salvage' makes a new archive of what is sound"))
    _print_waiting(out, record.waiting)


def print_recovered(out: Console, record: RecoveryReport) -> None:
    """Print what was stored and marked, and what still waits."""
    marked = f"{format_count(len(record.runs), 'run')} marked as interrupted{': ' * bool(record.runs)}"
    out.print(Text(f"{format_count(record.points, 'point')} stored, {marked}{', '.join(record.runs)}"))
    if record.journal is not None:
        _print_journal(out, record.journal)
    _print_waiting(out, record.waiting)


def _print_journal(out: Console, journal: JournalReport) -> None:
    if journal.problem:
        out.print(Text(f"not all of {safe(journal.path)} is stored: {safe(journal.problem)}", style="yellow"))
    elif not journal.points:
        out.print(Text(f"all points of {safe(journal.path)} were stored before"))
    if journal.kept_as is None:
        out.print(Text(f"removed {safe(journal.path)}"))
    else:
        out.print(Text(f"left {safe(journal.kept_as)}; delete it if you do not need it"))


def _print_waiting(out: Console, waiting: Sequence[Waiting]) -> None:
    for one in waiting:
        out.print(Text(f"not in the file: {safe(one)}", style="yellow"))


def print_views(out: Console, found: Sequence[UserView]) -> None:
    """Print the views that were added to the file."""
    if not found:
        out.print("no views were added")
        return
    columns = [("view", "left"), ("columns", "left")]
    print_table(out, columns, ([Text(safe(v.name), style="bold"), ", ".join(v.columns)] for v in found))


def print_sql_result(out: Console, result: SqlResult) -> None:
    """Print the rows of a query; if the columns do not fit the terminal, a line for each value."""
    cells = [[format_sql_value(value) for value in row] for row in result.rows]
    numeric = [
        bool(result.rows) and all(isinstance(row[i], (int, float, type(None))) for row in result.rows)
        for i in range(len(result.columns))
    ]
    columns = [
        (name, "right" if right else "left") for name, right in zip(result.columns, numeric, strict=True)
    ]
    print_table(out, columns, cells)
    if result.truncated:
        out.print(Text(f"… more than {len(result.rows):,} rows; give --max-rows to see more", style="dim"))


def format_sql_value(value: object) -> str:
    """Format one value of a query."""
    if value is None:
        return ""
    return f"<{len(value):,} bytes>" if isinstance(value, bytes) else str(value)
