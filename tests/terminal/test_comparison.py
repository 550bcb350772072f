"""Comparisons in a terminal: many runs have a row each where columns have no room."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from exptrack import Archive
from exptrack.terminal.comparison import print_comparison
from tests.cli.calls import oldest_first


def test_many_runs_have_a_row_each_where_columns_have_no_room(seeds_lab: Path) -> None:
    with Archive(seeds_lab) as archive:
        found = archive.compare(oldest_first(seeds_lab))
    for width, turned in ((60, True), (160, False)):
        out = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
        print_comparison(out, found)
        first = out.file.getvalue().splitlines()[0].split()  # type: ignore[attr-defined]
        assert (first[0] == "run") is turned
        assert ("lr" in first) is turned
