"""Write the lines around the list and the right side: what is open, what is asked, which runs are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from exptrack.terminal.console import format_count, safe
from exptrack.terminal.runs import STATUS_STYLES
from exptrack.tui.marks import Mark, Marks
from exptrack.tui.reading import ListedRun, RunsQuestion
from exptrack.tui.run_list import SIGNS, write_age

TABS = ("charts", "run", "config", "metrics", "artifacts", "events")


def write_counts(listed: int, counts: Mapping[str, int], marked: int, notes: Sequence[str]) -> str:
    """Write how many runs are listed, run and are marked, and `notes` behind that."""
    everything = sum(counts.values())
    is_whole = listed == everything or not everything
    words = [format_count(listed, "run") if is_whole else f"{listed:,} of {format_count(everything, 'run')}"]
    words += [f"{counts['running']:,} running"] if counts.get("running") else []
    words += [f"{marked} marked"] if marked else []
    return " · ".join((*words, *notes)) + " "


def write_question(question: RunsQuestion, place: str, width: int) -> Text:
    """Write which runs are listed and in which order, and at the right end how the charts are drawn."""
    line = Text()
    for label, text in (("/", question.where), ("find", question.find), ("sorted by", question.order)):
        if text:
            line.append(f" {label} ", "dim").append(safe(text), "bold").append(" ")
    if not line.plain:
        line = Text(" all runs, newest first", style="dim")
    return _put_at_ends(line, Text(safe(place), style="dim"), width)


def write_run_head(chosen: ListedRun | None, marks: Marks, *, colour: bool) -> Text:
    """Write which run is chosen, and which others are marked."""
    line = Text(" ", no_wrap=True, overflow="ellipsis")
    if chosen is not None:
        mark = marks.get(chosen.row_id)
        if mark is not None:
            _write_mark(line, mark, colour)
        line.append(f"{SIGNS[chosen.status]} {chosen.status}", STATUS_STYLES[chosen.status] if colour else "")
        line.append("  ").append(safe(chosen.label), "bold")
        if not marks:  # their names need the room
            line.append(f"  {chosen.run_id[-8:]}" if chosen.name else "", "dim")
            line.append(f"  {write_age(chosen.started)} ago", "dim")
    for mark in marks.all:
        if chosen is None or mark.row_id != chosen.row_id:
            line.append("  ")
            _write_mark(line, mark, colour)
            line.append(safe(mark.label), mark.style if colour else "")
    return line


def _write_mark(line: Text, mark: Mark, colour: bool) -> None:
    line.append("▌" if colour else f"{mark.letter} ", mark.style if colour else "bold")


def write_tabs(chosen: int, width: int) -> Text:
    """Write the tabs, with the chosen one underlined, and with their numbers if there is room."""
    with_numbers = width >= sum(len(one) + 4 for one in TABS) + 1
    line = Text(" ", no_wrap=True, overflow="ellipsis")
    for number, name in enumerate(TABS):
        if with_numbers:
            line.append(f"{number + 1} ", "dim")
        line.append(name, "bold underline" if number == chosen else "dim").append("  " if with_numbers else " ")
    return line


def write_ends(left: str, right: str, width: int) -> Text:
    """Return a line with one text at its left end and one at its right end, as far as there is room."""
    return _put_at_ends(Text(safe(left)), Text(right), width)


def _put_at_ends(line: Text, end: Text, width: int) -> Text:
    space = width - line.cell_len - end.cell_len
    if space < 1:
        line.truncate(max(width - end.cell_len - 1, 0), overflow="ellipsis")
        space = 1
    return line.append(" " * space).append_text(end)
