"""What one file says and another one does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.portable.differences import Known, find_unknown
from exptrack.runs import events


def test_equal_rows_count_as_often_as_they_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Archive(tmp_path / "new.db") as new:
        monkeypatch.setattr(events, "utc_text", lambda: "2030-05-01 10:00:00.000000")
        run = new.start_run()
        run.complete()
        run.append_event("looked at")
        new.backup(tmp_path / "old.db")
        run.append_event("looked at")
        with Archive(tmp_path / "old.db", mode="ro") as old:
            assert find_unknown(Known(old._connection), new._connection).runs == {run.run_id}
            assert not find_unknown(Known(new._connection), old._connection)
