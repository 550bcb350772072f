"""Choose the runs of the right side, and read a page of text about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from rich.text import Text

from exptrack.terminal.console import safe
from exptrack.tui import pages, reading
from exptrack.tui.charts import DrawnRun
from exptrack.tui.marks import STYLES, Marks
from exptrack.tui.reading import ListedRun
from exptrack.tui.source import Source

ALONE = len(STYLES)  # the letter of a run that is chosen but not marked


def choose_runs(chosen: ListedRun | None, marks: Marks) -> list[DrawnRun]:
    """Return the chosen run and the marked ones, the chosen one first."""
    marked = [DrawnRun(one.run_id, one.label, one.place, one.style) for one in marks.all]
    if chosen is None:
        return marked
    if chosen.row_id in marks:
        return sorted(marked, key=lambda one: one.run_id != chosen.run_id)
    style, place = ("", ALONE) if marked else (STYLES[0], 0)
    return [DrawnRun(chosen.run_id, chosen.label, place, style), *marked]


async def read_page(
    source: Source, tab: str, runs: Sequence[DrawnRun], text: str, *, colour: bool
) -> Callable[[int], list[Text]]:
    """Read the page of a tab about runs, and return what writes it for a width.

    The pages of config and metrics are about all runs, the others about the first. Of metrics only those are
    read whose names hold `text`.

    Raises:
        RunNotFoundError: a run is gone.
    """
    run_ids = [one.run_id for one in runs]
    first, read = run_ids[0], source.read
    if tab == "run":
        return partial(pages.write_run, await read(partial(reading.read_run, run_id=first)), colour=colour)
    if tab == "config":
        found = await read(partial(reading.read_config, run_ids=run_ids))
        return partial(pages.write_config, found, colour=colour)
    if tab == "metrics":
        metrics = await read(lambda archive: reading.read_metrics(archive, run_ids, text))
        heads = [(one.run_id, Text(safe(one.label), style=one.style if colour else "")) for one in runs]
        return partial(pages.write_metrics, metrics, heads, colour=colour)
    if tab == "artifacts":
        artifacts = await read(partial(reading.read_artifacts, run_id=first))
        return partial(pages.write_artifacts, artifacts, colour=colour)
    start, events = await read(partial(reading.read_events, run_id=first))
    return partial(pages.write_events, start, events, colour=colour)
