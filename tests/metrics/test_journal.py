"""The journal: a private file while a run is open, read back whole records and nothing else."""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.errors import (
    ArchiveFullError,
)
from exptrack.metrics import journal as journal_module
from exptrack.metrics.journal import SEGMENT, SLOT, Journal, read_header, read_points
from exptrack.tracking.run import Run
from tests.metrics.points import journals, values_of


def test_the_journal_is_there_while_a_run_is_open_and_private(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        assert journals(tmp_path) == []
        first, second = archive.start_run(), archive.start_run()
        (path,) = journals(tmp_path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_blocks * 512 >= 2 * SEGMENT
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
        assert archive._connection.value("SELECT count(*) FROM metric_journal") == 0


def test_no_room_for_the_journal_is_an_error_of_the_start(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "_allocate", refuse)
        with pytest.raises(ArchiveFullError, match="no room for the journal"):
            archive.start_run()
    assert archive.list_runs() == []
    assert journals(Path(archive.path).parent) == []


@pytest.fixture
def logged(archive: Archive, quiet: None) -> Iterator[tuple[Run, Journal]]:
    """A run with a single record, one of three values, and a single one again, in its journal only."""
    run = archive.start_run()
    run.log_metric("a", 1.0)
    run.log({"a": 2.0, "b": 2.0, "c": 2.0})
    run.log_metric("a", 3.0)
    yield run, run._journal
    run.complete()


def left(journal: Journal, path: Path, drained: int = 0) -> list[tuple[str, float] | None]:
    header = read_header(path)
    assert header == journal.header
    return [point and (point.name, point.value) for point in read_points(path, header, drained)]


GROUP = [("a", 2.0), ("b", 2.0), ("c", 2.0)]


def test_a_torn_record_is_not_there_and_its_neighbours_are(logged: tuple[Run, Journal], tmp_path: Path) -> None:
    """Every byte of a group of three is damaged in turn: the group is gone as a whole, nothing else is."""
    _, journal = logged
    whole = journal.path.read_bytes()
    copy = tmp_path / "copy.points"
    copy.write_bytes(whole)
    assert left(journal, copy) == [("a", 1.0), *GROUP, ("a", 3.0)]
    assert left(journal, copy, SLOT * 2) == [*GROUP, ("a", 3.0)]
    begin = journal.at - 4 * SLOT
    for place in range(begin, begin + 3 * SLOT):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        copy.write_bytes(damaged)
        assert left(journal, copy) == [("a", 1.0), ("a", 3.0)]


def test_what_an_earlier_epoch_left_is_not_taken_again(archive: Archive, quiet: None) -> None:
    run = archive.start_run()
    step = 0
    while run._journal.epoch < 3:
        run.log_metric("x", float(step), step)
        step += 1
    journal = run._journal
    found = [point.step for point in read_points(journal.path, journal.header, 0) if point is not None]
    assert found == list(range(step - len(found), step))
    assert len(found) < 2 * SEGMENT // SLOT
    assert list(read_points(journal.path, journal.header, journal.address)) == []
    run.complete()
