"""Results of SQL in a terminal: nothing is cut where columns have no room."""

from __future__ import annotations

import io
from pathlib import Path

from exptrack import Archive
from exptrack.terminal.archive import print_sql_result


def test_sql_too_wide_for_the_terminal_gets_a_line_a_value_and_nothing_is_cut(lab: Path) -> None:
    from rich.console import Console

    with Archive(lab) as archive:
        wide = archive.sql("SELECT * FROM runs ORDER BY started_at LIMIT 2")
        narrow = archive.sql(
            "SELECT run_id, config_hash || config_hash AS long FROM runs ORDER BY started_at LIMIT 2"
        )
        long = archive.sql("SELECT fingerprint || config_hash FROM runs ORDER BY started_at LIMIT 2")
    for result, heads in ((wide, 2), (narrow, 1), (long, 2)):
        out = io.StringIO()
        print_sql_result(Console(file=out, width=80, force_terminal=True, color_system=None), result)
        shown = "".join(out.getvalue().split())
        assert "…" not in shown
        assert out.getvalue().count(result.columns[0][:11]) >= heads
        for row in result.rows:
            assert str(row[0])[:60] in shown
