"""Print what came back of a damaged archive, and what is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from exptrack.terminal.console import format_count, print_heading, print_table, safe

if TYPE_CHECKING:
    from exptrack import SalvageReport

MOST_NAMED = 50


def print_salvaged(out: Console, report: SalvageReport, saved: str) -> None:
    """Print how much came back, then for each run that is not whole what is missing of it.

    `saved` is what the user calls the new file.
    """
    whole = sum(run.whole for run in report.runs)
    found = f"{format_count(len(report.runs), 'run')}, {format_count(report.points, 'point')}"
    said = f"{found} and {format_count(report.artifacts, 'artifact')} saved to {safe(saved)}"
    if report.ok:
        out.print(Text(f"nothing is lost: {said}", style="green"))
    else:
        out.print(Text(f"{said}; {whole:,} of the runs are whole", style="red"))
    journal = sum(run.from_journals for run in report.runs)
    if journal:
        out.print(Text(f"{format_count(journal, 'point')} came from journals"))
    rows = [
        (run.run_id if not place else "", run.status if not place else "", what)
        for run in report.runs
        for place, what in enumerate(run.missing)
    ]
    if rows:
        print_heading(out, "Missing")
        columns = [("run", "left"), ("status", "left"), ("what is missing", "left")]
        print_table(out, columns, ([safe(cell) for cell in row] for row in rows[:MOST_NAMED]))
        _print_rest(out, len(rows))
    if report.lost:
        print_heading(out, "Lost besides")
        for what in report.lost[:MOST_NAMED]:
            out.print(Text(safe(what)))
        _print_rest(out, len(report.lost))
    left_out = sum(run.unproven_points for run in report.runs)
    if left_out:
        out.print(
            Text(
                f"{format_count(left_out, 'point')} were read, but nothing proves them: --unproven keeps them,"
                " and --with OTHER proves them by another copy"
            )
        )
    unproven = sum(run.unproven for run in report.runs)
    if unproven:
        out.print(
            Text(f"{format_count(unproven, 'run')} with the tag 'unproven': do not trust them", style="yellow")
        )


def _print_rest(out: Console, count: int) -> None:
    if count > MOST_NAMED:
        out.print(Text(f"and {count - MOST_NAMED:,} more: --json lists them", style="dim"))
