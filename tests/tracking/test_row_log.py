"""Rows of several metrics in one call: each batch of a source once, and also after the run's end."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive, InvalidTypeError, InvalidValueError, Run, RunFinishedError, RunNotFoundError
from exptrack.metrics.series_seals import lift_seals_of_series
from exptrack.runs.row_sums import reopening_run
from tests.changes import changing

SENDS = """
import sys
import exptrack
archive, run_id = exptrack.Archive(sys.argv[1]), sys.argv[2]
run = archive.get_run(run_id)
for sequence in range(60):
    rows = [("loss", float(3 * sequence + part), 3 * sequence + part) for part in range(3)]
    run.log_rows([*rows, ("acc", 1.0)], source="worker", sequence=sequence)
    print(sequence, flush=True)
"""


def points_of(run: Run, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in run.get_metric(name)]


def test_rows_of_several_metrics_are_stored_in_their_order(archive: Archive) -> None:
    run = archive.start_run()
    run.log({"loss": 9.0}, step=4)
    when = run.started_at + timedelta(seconds=2)
    rows: list[Any] = [("loss", 5.0), ("acc", 0.5, 7), ["loss", 4.0, None, when], ("loss", 3.0, 1), ("loss", 2)]
    assert run.log_rows(iter(rows))
    assert points_of(run, "loss") == [(1, 3.0), (4, 9.0), (5, 5.0), (6, 4.0), (7, 2.0)]
    assert [point.time for point in run.get_metric("loss") if point.step == 6] == [when]
    assert points_of(run, "acc") == [(7, 0.5)]
    # Automatic steps in the journal go on from there.
    run.log({"loss": 1.0})
    assert points_of(run, "loss")[-1] == (8, 1.0)
    last = run.get_last_metric("loss")
    assert last is not None
    assert last.value == 1.0
    assert run.log_rows([])
    run.complete()


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([("loss", 1.0), ("loss", "high")], InvalidTypeError),
        ([("loss", 1.0), ("", 1.0)], InvalidValueError),
        ([("loss", 1.0), ("loss",)], InvalidValueError),
        ([("loss", 1.0), ("loss", 1.0, 0, None, 5)], InvalidValueError),
        ([("loss", 1.0), ("loss", 1.0, 0.5)], InvalidTypeError),
        ([("loss", 1.0, 2**63 - 1), ("loss", 1.0)], InvalidValueError),
        ([("loss", 1.0), "loss"], InvalidTypeError),
        (5, InvalidTypeError),
    ],
)
def test_a_wrong_row_leaves_nothing_behind(archive: Archive, rows: Any, error: type[Exception]) -> None:
    run = archive.start_run()
    with pytest.raises(error):
        run.log_rows(rows, source="worker", sequence=1)
    assert points_of(run, "loss") == []
    assert run.log_rows([("loss", 1.0)], source="worker", sequence=1)
    run.complete()


def test_a_name_of_any_class_is_the_text_that_it_equals(archive: Archive) -> None:
    class Unhashable(str):
        __slots__ = ()
        __hash__ = None  # type: ignore[assignment]

    run = archive.start_run()
    assert run.log_rows([(Unhashable("loss"), 0.5), ("loss", 0.25)])
    assert points_of(run, "loss") == [(0, 0.5), (1, 0.25)]


def test_a_batch_of_a_source_is_stored_once(archive: Archive) -> None:
    run = archive.start_run()
    rows = [("loss", 1.0), ("loss", 2.0)]
    assert run.log_rows(rows, source="a", sequence=3)
    assert not run.log_rows(rows, source="a", sequence=3)
    assert not run.log_rows(rows, source="a", sequence=-5)
    assert run.log_rows(rows, source="b", sequence=-5)
    run.complete()
    # Also after the end, where a repeated batch changes nothing.
    assert not run.log_rows(rows, source="b", sequence=-5)
    assert [event.kind for event in run.read_events()] == ["start", "end"]
    assert run.log_rows(rows, source="b", sequence=2**63 - 1)
    assert [point.value for point in run.get_metric("loss")] == [1.0, 2.0] * 3
    with pytest.raises(InvalidValueError, match="belong together"):
        run.log_rows(rows, source="a")
    with pytest.raises(InvalidValueError, match="belong together"):
        run.log_rows(rows, sequence=9)


def test_a_run_that_has_ended_takes_rows_and_keeps_its_end(archive: Archive) -> None:
    with archive.start_run() as run:
        run.log_many("loss", None, [5.0, 4.0])
        run.log({"other": 1.0})
    before = archive.show_run(run.run_id).summary
    with pytest.raises(RunFinishedError):
        run.log({"loss": 3.0})
    later = datetime.now(UTC) + timedelta(hours=1)
    assert archive.get_run(run.run_id).log_rows([("loss", 3.0), ("test", math.nan, 0, later)])
    after = archive.show_run(run.run_id).summary
    assert (after.status, after.ended_at, after.duration_s) == (
        before.status,
        before.ended_at,
        before.duration_s,
    )
    event = run.read_events()[-1]
    assert (event.kind, event.data) == ("amend", {"points": 2})
    assert archive.sql("SELECT late FROM events ORDER BY seq DESC LIMIT 1").rows == ((1,),)
    # The series are sealed anew and ranked by the new value.
    assert [value for _run, value in archive.best_runs("loss", "minimize")] == [3.0]
    assert points_of(run, "loss") == [(0, 5.0), (1, 4.0), (2, 3.0)]


def test_a_failed_run_takes_rows_and_a_deleted_one_does_not(archive: Archive) -> None:
    run = archive.start_run()
    run.fail("out of memory")
    run.log_rows([("loss", float(value)) for value in range(2000)])
    run.log_rows([("loss", 0.5, 3)])
    assert str(run.status) == "failed"
    assert archive.verify().problems == ()
    archive.delete_run(run)
    with pytest.raises(RunNotFoundError):
        run.log_rows([("loss", 1.0)])


def test_rows_seal_a_run_whole_whose_seal_was_lifted(archive: Archive) -> None:
    with archive.start_run() as run:
        run.log({"loss": 2.0, "other": 1.0})
    with changing(archive._connection), reopening_run(archive._connection, run._run):
        archive._connection.execute("UPDATE run SET checksum = NULL WHERE id = ?", (run._run,))
        lift_seals_of_series(archive._connection, run._run)
    run.log_rows([("loss", 1.0)])
    unsealed = "SELECT count(*) FROM metric_series WHERE checksum IS NULL"
    assert archive._connection.value(unsealed) == 0


def test_four_processes_that_send_the_same_batches_store_each_once(archive: Archive, tmp_path: Path) -> None:
    run = archive.start_run()
    words = [sys.executable, "-c", SENDS, archive.path, run.run_id]
    senders = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for place, sender in enumerate(senders):
        with sender:
            assert sender.stdout is not None
            if place < 2:
                # It is killed amid a later batch, which another one stores.
                while int(sender.stdout.readline()) < 5 + 10 * place:
                    run.log({"own": 1.0})
                sender.kill()
            else:
                assert sender.stdout.read().split()[-1] == "59"
    assert points_of(run, "loss") == [(step, float(step)) for step in range(180)]
    assert [step for step, _value in points_of(run, "acc")] == list(range(60))
    run.complete()
