"""A damaged note on how far a journal is stored: it is told, and nothing is stored twice without a word."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exptrack import Archive
from tests.metrics.points import journals, killed, values_of


def damage_note(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        changed = connection.execute("UPDATE metric_journal SET drained = drained - 1").rowcount
    assert changed == 1


def test_a_journal_whose_note_is_damaged_is_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "lab.db"
    killed(tmp_path, "run.log({'x': 1.0}); run.flush(); run.log({'x': 2.0})")
    (journal,) = journals(tmp_path)
    damage_note(path)
    before = journal.read_bytes()
    for _ in range(2):
        with Archive(path) as archive:
            (record,) = archive.list_runs()
            assert values_of(archive.get_run(record.run_id), "x") == [(0, 1.0)]
    (aside,) = journals(tmp_path)
    assert (aside.suffix, aside.read_bytes()) == (".unclaimed", before)
    assert caplog.text.count(str(aside)) == 1


def test_a_writer_that_finds_its_note_damaged_tells_it_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run() as run:
        run.log({"x": 1.0})
        run.flush()
        damage_note(path)
        run.log({"x": 2.0})
        run.flush()
        assert values_of(run, "x") == [(0, 1.0), (1, 2.0)]
        run.log({"x": 3.0})
        run.flush()
        assert len(run.get_metric("x")) == 3
    assert caplog.text.count("is damaged; it is written again") == 1
