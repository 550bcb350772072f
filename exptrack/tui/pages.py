"""Write the pages about a run, or about several, as lines of text.

Invariant: each line is as wide as the page at most. Text from an archive comes through the console, which
escapes its control characters, or through `safe`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from exptrack import Artifact, Event, RunComparison, RunConfig
from exptrack.amounts import format_duration
from exptrack.directions import guess_direction
from exptrack.terminal.artifacts import print_artifacts
from exptrack.terminal.comparison import print_comparison, print_config_differences
from exptrack.terminal.console import (
    draw_lines_of,
    format_age,
    format_count,
    format_number,
    format_setting,
    print_heading,
    safe,
)
from exptrack.terminal.runs import SHOWN_DIGITS, print_config, print_events, style_status
from exptrack.tui.reading import RunMetrics, RunPage

STAR = "★"


def write_run(page: RunPage, width: int, *, colour: bool) -> list[Text]:
    """Write what a run is: facts, attributes, notes, how it failed, and what changed since the run before."""
    return draw_lines_of(lambda out: _print_run(out, page), width, colour=colour)


def _print_run(out: Console, page: RunPage) -> None:
    head, environment = page.head, page.environment.environment
    run = head.summary
    trial = f"#{run.trial_number} of study {run.study} ({run.trial_state})" if run.study else None
    dirty = " (with uncommitted changes)" if run.vcs_dirty else ""
    facts: list[tuple[str, object]] = [
        ("run", run.run_id),
        ("name", run.name),
        ("reason", run.reason),
        ("tags", ", ".join(run.tags)),
        ("group", run.group),
        ("trial", trial),
        ("parent", run.parent),
        ("external id", run.external_id),
        ("started", f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC ({format_age(run.started_at)})"),
        ("ended", None if run.ended_at is None else f"{run.ended_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("took", format_duration(run.duration_s)),
        ("host", run.host),
        ("commit", f"{run.vcs_commit}{dirty}" if run.vcs_commit else None),
        ("command", " ".join(environment.get("command", []))),
        ("python", environment.get("python")),
        ("config hash", run.config_hash[:SHOWN_DIGITS]),
        ("holds", _count_contents(page)),
    ]
    grid = _make_grid()
    grid.add_row(Text("status", style="dim"), style_status(run))
    for key, value in facts:
        if value:
            grid.add_row(Text(key, style="dim"), Text(safe(value)))
    out.print(grid)
    if head.attributes:
        print_heading(out, "Attributes")
        _print_pairs(out, ((key, format_setting(value)) for key, value in head.attributes.items()))
    if head.notes:
        print_heading(out, "Notes")
        for note in head.notes:
            out.print(Text(f"{format_age(note.written_at)}: {safe(note.text)}"))
    if page.environment.traceback:
        print_heading(out, "Traceback")
        out.print(Text("\n".join(safe(line) for line in page.environment.traceback.rstrip().split("\n"))))
    if page.changes is not None and page.changes.config:
        print_heading(out, f"Changed since {safe(page.changes.previous)} (the same {page.changes.because})")
        print_config_differences(out, page.changes.previous, page.changes.run_id, page.changes.config)


def _count_contents(page: RunPage) -> str:
    head = page.head
    counts = (
        (head.metric_count, "metric"),
        (head.artifact_count, "artifact"),
        (head.input_count, "input"),
        (head.event_count, "event"),
    )
    return ", ".join(format_count(count, noun) for count, noun in counts if count)


def write_config(found: RunConfig | RunComparison, width: int, *, colour: bool) -> list[Text]:
    """Write the config of a run, or the keys in which several runs differ."""
    if isinstance(found, RunConfig):
        if not found.config:
            return [Text("the config is empty", style="dim")]
        return draw_lines_of(lambda out: print_config(out, found.config, found.sources), width, colour=colour)
    return draw_lines_of(lambda out: print_comparison(out, found), width, colour=colour)


def write_metrics(
    found: RunMetrics, runs: Sequence[tuple[str, Text]], width: int, *, colour: bool
) -> list[Text]:
    """Write the values of metrics: all of one run, or the last ones of several, the best of each with a star.

    `runs` are the ids, and the heads of their columns.
    """
    if not found.by_name:
        return [Text("no metrics", style="dim")]
    if len(runs) > 1:
        return draw_lines_of(lambda out: _print_side_by_side(out, found, runs), width, colour=colour)
    return draw_lines_of(lambda out: _print_metrics(out, found, runs[0][0]), width, colour=colour)


def _print_metrics(out: Console, found: RunMetrics, run_id: str) -> None:
    table = _make_table("metric", "last", "min", "max", "points")
    for name, by_run in found.by_name.items():
        one = by_run[run_id]
        points = Text(f"{one.count:,}")
        if one.nan_count:
            points = Text(f"{one.nan_count:,} NaN of {one.count:,}", style="yellow")
        table.add_row(Text(safe(name)), *map(format_number, (one.last, one.min, one.max)), points)
    out.print(table)
    _print_more(out, found)


def _print_side_by_side(out: Console, found: RunMetrics, runs: Sequence[tuple[str, Text]]) -> None:
    table = _make_table("last values", *(head for _run_id, head in runs))
    for name, by_run in found.by_name.items():
        lasts = {run_id: one.last for run_id, one in by_run.items()}
        best = _find_best(name, lasts)
        cells = (
            Text("")
            if run_id not in lasts
            else Text(f"{STAR * (run_id in best)}{format_number(lasts[run_id])}", "bold" * (run_id in best))
            for run_id, _head in runs
        )
        table.add_row(Text(safe(name)), *cells)
    out.print(table)
    _print_more(out, found)


def _find_best(name: str, lasts: Mapping[str, float]) -> set[str]:
    """Return the runs with the best last value, if the name of the metric tells which is better."""
    finite = [value for value in lasts.values() if abs(value) < float("inf")]
    direction = guess_direction(name)
    if direction is None or len(finite) < 2 or min(finite) == max(finite):
        return set()
    best = min(finite) if direction == "minimize" else max(finite)
    return {run_id for run_id, value in lasts.items() if value == best}


def _print_more(out: Console, found: RunMetrics) -> None:
    if found.more:
        out.print(Text("a run has more metrics than are shown; press f to find some by name", style="yellow"))


def write_artifacts(found: Sequence[Artifact], width: int, *, colour: bool) -> list[Text]:
    """Write the newest version of each artifact."""
    newest = {one.name: one for one in found}  # they come by name and version
    counts = Counter(one.name for one in found)
    return draw_lines_of(lambda out: print_artifacts(out, list(newest.values()), counts), width, colour=colour)


def write_events(start: int, events: Sequence[Event], width: int, *, colour: bool) -> list[Text]:
    """Write events, oldest first; `start` counts those that are left out before them."""
    lines = draw_lines_of(lambda out: print_events(out, events), width, colour=colour)
    return (
        [Text(f"{format_count(start, 'earlier event')} left out", style="yellow"), *lines] if start else lines
    )


# Tables


def _make_grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _print_pairs(out: Console, pairs: Iterable[tuple[str, object]]) -> None:
    grid = _make_grid()
    for key, value in pairs:
        grid.add_row(Text(safe(key), style="dim"), Text(safe(value)))
    out.print(grid)


def _make_table(first: str, *heads: str | Text) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first, overflow="fold")
    for head in heads:
        table.add_column(head if isinstance(head, Text) else Text(head), justify="right", no_wrap=True)
    return table
