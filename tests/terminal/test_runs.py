"""Runs in a terminal: columns are dropped before words are cut."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exptrack import Archive, RunStatus, RunSummary
from exptrack.terminal.runs import print_fields, print_runs


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_narrow_terminal_loses_columns_before_words(lab: Path, width: int) -> None:
    """Runs stay readable: id, status and a metric are whole at every usual width."""
    from rich.console import Console

    from exptrack import RunFilter

    out = io.StringIO()
    with Archive(lab) as archive:
        console = Console(file=out, width=width, force_terminal=True, color_system=None, markup=False)
        print_runs(console, archive.list_runs(RunFilter.by_group("sweep")), metrics=["acc", "loss"])
    lines = out.getvalue().splitlines()
    said = ["2 more columns: --columns, or a wider terminal"] if width == 60 else []
    assert lines[4:] == said, "a heading, a rule and a line a run"
    assert "…" not in out.getvalue()
    assert "completed" in lines[2]
    assert "acc" in lines[0]


def test_columns_that_have_no_room_get_a_line_a_value_and_nothing_is_cut(lr_lab: Path) -> None:
    from rich.console import Console

    with Archive(lr_lab) as archive:
        found = [
            (run, list(values.values())) for run, values in archive.runs().values("fingerprint, config_hash")
        ]
    for width, heads in ((40, len(found)), (200, 1)):
        out = io.StringIO()
        console = Console(file=out, width=width, force_terminal=True, color_system=None)
        print_fields(console, ["fingerprint", "config_hash"], found)
        assert out.getvalue().count("fingerprint") == heads
        shown = "".join(out.getvalue().split())
        for run, (fingerprint, _hash) in found:
            assert run.run_id in shown
            assert fingerprint[:16] in shown


def test_a_running_run_took_the_time_until_now(tmp_path: Path) -> None:
    from rich.console import Console

    def took(record: RunSummary) -> str:
        out = io.StringIO()
        print_runs(Console(file=out, width=200, color_system=None), [record], metrics=[])
        return out.getvalue()

    with Archive(tmp_path / "lab.db") as archive, archive.start_run():
        (record,) = archive.list_runs()
    heard = datetime.now(UTC) - timedelta(seconds=20)
    running = record._replace(status=RunStatus.RUNNING, heartbeat_at=heard, duration_s=3590.0)
    assert "1 h 00 min" in took(running)
    silent = running._replace(heartbeat_at=heard - timedelta(hours=5))
    assert "1 h 00 min" not in took(silent), "its process may have ended"
