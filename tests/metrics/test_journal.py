"""The journal: a private file while a run is open, read back whole records and nothing else."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.errors import (
    ArchiveFullError,
)
from exptrack.metrics import journal_file
from exptrack.metrics.journal_file import SEGMENT_BYTES
from tests.metrics.points import journals, values_of


def test_the_journal_is_there_while_a_run_is_open_and_private(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        assert journals(tmp_path) == []
        first, second = archive.start_run(), archive.start_run()
        (path,) = journals(tmp_path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o400
        assert path.stat().st_blocks * 512 >= 2 * SEGMENT_BYTES
        first.complete()
        assert journals(tmp_path) == [path]
        second.log({"x": 1.0})
        second.complete()
        assert journals(tmp_path) == []
        third = archive.start_run()
        third.log_metric("x", 2.0)
    assert journals(tmp_path) == []
    with Archive(tmp_path / "lab.db") as archive:
        assert values_of(archive.get_run(third.run_id), "x") == [(0, 2.0)]
        assert archive.verify().problems == ()
        assert archive._connection.value("SELECT count(*) FROM metric_journal") == 2


def test_touching_pages_ahead_stays_within_the_mapping(archive: Archive) -> None:
    """The writer thread does so while a logging call lets the file grow: its header is ahead of the mapping."""
    run = archive.start_run()
    assert run._writer is not None
    journal = run._writer.journal
    with journal.lock:
        header = journal.file.header
        journal.file.header = header._replace(segments=header.segments + 1)
        while journal.prefault(1 << 20):
            pass
        journal.file.header = header
    run.complete()


def test_no_room_for_the_journal_is_an_error_of_the_start(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_file, "allocate", refuse)
        with pytest.raises(ArchiveFullError, match="no room for the journal"):
            archive.start_run()
    assert archive.list_runs() == []
    assert journals(Path(archive.path).parent) == []
