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


def test_a_key_and_a_metric_of_one_name_have_rows_of_their_own(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        for value in (1, 2):
            with archive.start_run({"status": value, "loss": value, "lr": value}) as run:
                run.log_metric("loss", value)
        found = archive.compare(archive.list_runs())
    out = Console(file=io.StringIO(), force_terminal=True, width=160, color_system=None)
    print_comparison(out, found)
    shown = [line.split()[0] for line in out.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert shown[2:] == ["status", "name", "started", "config.loss", "lr", "config.status", "metrics.loss"]
