"""Finished runs, recorded in bulk: as if they had been logged, and whole batches or nothing."""

from __future__ import annotations

import math
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from benchmarks.make_archive import make_records
from exptrack import (
    AmbiguousRunError,
    Archive,
    ConfigError,
    ExpConfig,
    InvalidTypeError,
    InvalidValueError,
    RecordedRun,
    RunNotFoundError,
    RunStatus,
)
from exptrack.database.side_files import AnotherWrite
from exptrack.runs import identity
from exptrack.tracking import recording

BEGIN = datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)


NAN, INF = math.nan, math.inf


CONFIG = {"lr": 0.1, "model": {"name": "mlp", "layers": [8, 8]}, "n": 2**60, "debug": True, "note": None}


CURVES: dict[str, tuple[list[int], list[float]]] = {
    "rising": ([0, 1, 2], [0.5, 0.25, 0.125]),
    "with holes": ([0, 10, 20], [NAN, INF, -0.0]),
    "all nan": ([0, 1], [NAN, NAN]),
    "repeated": ([0, 0, 1, 1, 1], [1.0, 2.0, 3.0, 4.0, 5.0]),
    "going back": ([5, 6, 2, 5], [1.0, 2.0, 3.0, 4.0]),
    "below zero": ([-3, -2], [1.0, 2.0]),
    "one": ([7], [1e308]),
}


def times(count: int) -> list[float]:
    return [BEGIN.timestamp() + 0.25 * n for n in range(count)]


def rows(path: str, table: str, left_out: set[str]) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in left_out]
        return connection.execute(f"SELECT {', '.join(names)} FROM {table} ORDER BY rowid").fetchall()
    except sqlite3.OperationalError:  # WITHOUT ROWID
        return connection.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()
    finally:
        connection.close()


def dump(archive: Archive) -> list[str]:
    connection = sqlite3.connect(archive.path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


@pytest.mark.parametrize("status", ["completed", "failed", "interrupted"])
def test_what_is_recorded_is_what_logging_it_would_have_stored(tmp_path: Path, status: str) -> None:
    reason = None if status == "completed" else "out of memory"
    words: dict[str, Any] = {"name": "first", "group": "g", "data": {"train": "s3://bucket"}}
    with Archive(tmp_path / "logged.db") as logged:
        run = logged.start_run(CONFIG, ["b", "a", "b"], **words)
        run._set_fixed(started_at=BEGIN)
        for name, (steps, values) in CURVES.items():
            run.log_many(name, steps, values, times(len(steps)))
        run.add_note("worth a look")
        run.finish(status, reason)
    with Archive(tmp_path / "recorded.db") as recorded_lab:
        curves = {name: (*columns, times(len(columns[0]))) for name, columns in CURVES.items()}
        words |= {"tags": ["b", "a", "b"], "notes": ["worth a look"], "metrics": curves}
        record = RecordedRun(CONFIG, BEGIN, 0, status, reason, **words)
        recorded_lab.record_runs([record])
        assert recorded_lab.verify().problems == ()
    machine = {"host", "vcs_commit", "vcs_dirty", "fingerprint"}
    moments = {"started_at", "ended_at", "heartbeat_at", "duration_ms"}
    for table, left_out in {
        "run": {"id", "run_id", "checksum", "rows_sum", *machine, *moments},
        "run_config": set(),
        "config_key": set(),
        "config_value": set(),
        "config_source": set(),
        "run_tag": {"added_at"},
        "note": {"written_at"},
        "event": {"happened_at", "checksum"},
        "metric_name": set(),
        "metric_series": set(),
        "metric_point": set(),
        "run_owner": set(),
    }.items():
        assert rows(str(tmp_path / "recorded.db"), table, left_out) == rows(
            str(tmp_path / "logged.db"), table, left_out
        ), table


def test_of_the_machine_only_what_the_record_says_is_stored(archive: Archive) -> None:
    code: dict[str, Any] = {"commit": "a" * 40, "dirty": True, "branch": "main", "script": "train.py"}
    full = RecordedRun({}, BEGIN, host="node", python="CPython 3.8", **code)
    bare, told = (archive.show_run(run_id) for run_id in archive.record_runs([RecordedRun({}, BEGIN), full]))
    assert (bare.summary.host, bare.summary.vcs_commit, bare.summary.vcs_dirty) == ("", None, None)
    assert {value for value in bare.environment.values() if value} == set()
    assert (told.summary.host, told.summary.vcs_commit, told.summary.vcs_dirty) == ("node", "a" * 40, True)
    found = {key: value for key, value in told.environment.items() if value}
    assert found == {"python": "CPython 3.8", "script": "train.py", "vcs_branch": "main"}


def test_times_are_those_of_the_record(archive: Archive) -> None:
    (run_id,) = archive.record_runs(
        [RecordedRun({}, BEGIN, 90.5, "failed", "broke", tags=["x"], notes=["n"], metrics={"m": ([0], [1.0])})]
    )
    end = BEGIN + timedelta(seconds=90.5)
    detail = archive.show_run(run_id)
    summary = detail.summary
    assert (summary.started_at, summary.ended_at, summary.heartbeat_at) == (BEGIN, end, end)
    assert (summary.duration_s, summary.reason, summary.status) == (90.5, "broke", RunStatus.FAILED)
    assert [(event.kind, event.happened_at) for event in detail.events] == [
        ("start", BEGIN),
        ("note", end),
        ("fail", end),
        ("end", end),
    ]
    assert [note.written_at for note in detail.notes] == [end]
    assert archive.sql("SELECT added_at FROM tags").rows == (("2024-05-01 12:30:15.123456",),)
    # Without times, points count as logged at the start.
    assert [point.time for point in archive.get_run(run_id).get_metric("m")] == [
        BEGIN.replace(microsecond=123456)
    ]


def test_a_start_without_a_zone_is_utc_and_others_are_converted(archive: Archive) -> None:
    naive = BEGIN.replace(tzinfo=None)
    east = BEGIN.astimezone(timezone(timedelta(hours=5)))
    ids = archive.record_runs(RecordedRun({}, when) for when in (naive, east))
    assert [archive.show_run(run_id).summary.started_at for run_id in ids] == [BEGIN, BEGIN]
    assert ids[0][:9] == ids[1][:9]


def test_many_runs_of_one_millisecond_have_ids_of_their_own(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Little chance, so that ids do meet: within a batch, and with those there already.
    drawn = count()
    monkeypatch.setattr(identity, "_take_bits", lambda _said: next(drawn) // 3 % 40)
    first = archive.record_runs(RecordedRun({}, BEGIN) for _ in range(3))
    second = archive.record_runs(RecordedRun({}, BEGIN) for _ in range(3))
    assert len({*first, *second}) == 6


def test_only_completed_ones_are_ranked_and_all_are_found(archive: Archive) -> None:
    ids = archive.record_runs(
        RecordedRun({"n": n}, BEGIN, status=status, metrics={"acc": ([0], [n / 10])})
        for n, status in enumerate(["completed", "completed", "failed", "interrupted"])
    )
    best = archive.best_run("acc", "maximize")
    assert best is not None
    assert best.run_id == ids[1]
    assert [run.run_id for run in archive.runs().order_by("-metrics.acc").limit(4)] == ids[::-1]


def test_a_recorded_run_can_be_resumed_and_goes_on(archive: Archive) -> None:
    (run_id,) = archive.record_runs([RecordedRun(CONFIG, BEGIN, metrics={"m": ([0, 1], [1.0, 2.0])})])
    with archive.resume_run(run_id) as run:
        run.log({"m": 3.0})
    assert [(point.step, point.value) for point in run.get_metric("m")] == [(0, 1.0), (1, 2.0), (2, 3.0)]
    assert archive.verify().problems == ()


def test_a_parent_is_a_run_of_the_archive(archive: Archive) -> None:
    (parent,) = archive.record_runs([RecordedRun({}, BEGIN)])
    (child,) = archive.record_runs([RecordedRun({}, BEGIN, parent=parent)])
    assert archive.show_run(child).summary.parent == parent


def test_columns_may_be_arrays_and_values_anything_that_is_a_number(archive: Archive) -> None:
    import numpy

    curve = (numpy.arange(3), numpy.array([1, 2, 3], "float32"), [BEGIN, BEGIN + timedelta(seconds=1), BEGIN])
    record = RecordedRun(ExpConfig(CONFIG), BEGIN, metrics={"m": curve, "none": ([], [])})
    (run_id,) = archive.record_runs([record])
    points = archive.get_run(run_id).get_metric("m")
    assert [(point.step, point.value) for point in points] == [(0, 1.0), (1, 2.0), (2, 3.0)]
    assert points[1].time - points[0].time == timedelta(seconds=1)
    assert [metric.name for metric in archive.show_run(run_id).metrics] == ["m"]


def test_a_reason_and_a_script_are_stored_without_secrets_and_paths(archive: Archive) -> None:
    secret = "ghp_" + "a1" * 20
    record = RecordedRun(
        {}, BEGIN, status="failed", reason=f"token={secret}", traceback=f"at {secret}", script=f"x/{secret}.py"
    )
    (run_id,) = archive.record_runs([record])
    assert secret not in repr(archive.show_run(run_id))
    assert not [line for line in dump(archive) if secret in line]


BAD: dict[str, tuple[Any, type[Exception]]] = {
    "no record": ({"lr": 1}, InvalidTypeError),
    "config": (RecordedRun({"x": object()}, BEGIN), ConfigError),
    "config type": (RecordedRun(5, BEGIN), ConfigError),
    "start": (RecordedRun({}, "2024-01-01"), InvalidTypeError),  # type: ignore[arg-type]
    "too early": (RecordedRun({}, datetime(1969, 12, 31, tzinfo=UTC)), InvalidValueError),
    "too late": (RecordedRun({}, datetime(3000, 1, 1, tzinfo=UTC)), InvalidValueError),
    "duration": (RecordedRun({}, BEGIN, -1), InvalidValueError),
    "endless": (RecordedRun({}, BEGIN, INF), InvalidValueError),
    "no number of seconds": (RecordedRun({}, BEGIN, NAN), InvalidValueError),
    "beyond all years": (RecordedRun({}, BEGIN, 1e12), InvalidValueError),
    "running": (RecordedRun({}, BEGIN, status="running"), InvalidValueError),
    "status": (RecordedRun({}, BEGIN, status="done"), InvalidValueError),
    "reason": (RecordedRun({}, BEGIN, reason="\ud800"), InvalidValueError),
    "name": (RecordedRun({}, BEGIN, name=""), InvalidValueError),
    "group": (RecordedRun({}, BEGIN, group="a\nb"), InvalidValueError),
    "tags": (RecordedRun({}, BEGIN, tags="one"), InvalidTypeError),
    "tag": (RecordedRun({}, BEGIN, tags=["a", ""]), InvalidValueError),
    "notes": (RecordedRun({}, BEGIN, notes="one"), InvalidTypeError),
    "note": (RecordedRun({}, BEGIN, notes=[" "]), InvalidValueError),
    "host": (RecordedRun({}, BEGIN, host=None), InvalidTypeError),  # type: ignore[arg-type]
    "data": (RecordedRun({}, BEGIN, data="file"), InvalidTypeError),
    "parent": (RecordedRun({}, BEGIN, parent="nobody"), RunNotFoundError),
    "which parent": (RecordedRun({}, BEGIN, parent="1"), AmbiguousRunError),
    "metrics": (RecordedRun({}, BEGIN, metrics=[1]), InvalidTypeError),  # type: ignore[arg-type]
    "metric name": (RecordedRun({}, BEGIN, metrics={"": ([0], [1.0])}), InvalidValueError),
    "columns": (RecordedRun({}, BEGIN, metrics={"m": ([0],)}), InvalidTypeError),
    "lengths": (RecordedRun({}, BEGIN, metrics={"m": ([0, 1], [1.0])}), InvalidValueError),
    "times": (RecordedRun({}, BEGIN, metrics={"m": ([0], [1.0], [])}), InvalidValueError),
    "time": (RecordedRun({}, BEGIN, metrics={"m": ([0], [1.0], [1e18])}), InvalidValueError),
    "nan time": (RecordedRun({}, BEGIN, metrics={"m": ([0], [1.0], [NAN])}), InvalidValueError),
    "step": (RecordedRun({}, BEGIN, metrics={"m": ([0.5], [1.0])}), InvalidTypeError),
    "large step": (RecordedRun({}, BEGIN, metrics={"m": ([2**63], [1.0])}), InvalidValueError),
    "value": (RecordedRun({}, BEGIN, metrics={"m": ([0], ["1"])}), InvalidTypeError),
}


@pytest.mark.parametrize("case", BAD)
def test_a_record_that_cannot_be_stored_changes_nothing(archive: Archive, case: str) -> None:
    archive.record_runs(RecordedRun({}, BEGIN + timedelta(seconds=n)) for n in range(2))
    before = dump(archive)
    bad, error = BAD[case]
    with pytest.raises(error) as caught:
        archive.record_runs([RecordedRun({"new key": 1}, BEGIN, tags=["new"]), bad])
    assert dump(archive) == before
    assert caught.value.__notes__ == ["in record 1 (from 0); only the first 0 are stored"]


def test_batches_before_one_that_fails_stay_and_are_told_of(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "RUNS_AT_ONCE", 3)
    records = [RecordedRun({"n": n}, BEGIN) for n in range(7)] + [RecordedRun({"n": object()}, BEGIN)]
    with pytest.raises(ConfigError) as caught:
        archive.record_runs(records)
    assert caught.value.__notes__ == ["in record 7 (from 0); only the first 6 are stored"]
    assert archive.runs().count() == 6


def test_a_batch_ends_when_it_has_many_points(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "POINTS_AT_ONCE", 5)
    stored = []

    def records() -> Iterator[RecordedRun]:
        for n in range(4):
            stored.append(archive.runs().count())
            yield RecordedRun({"n": n}, BEGIN, metrics={"m": ([0, 1, 2], [0.0, 1.0, 2.0])})

    archive.record_runs(records())
    assert stored == [0, 0, 2, 2]


KILLED = """
import os, signal, sys
from benchmarks.make_archive import make_records
from exptrack import Archive
from exptrack.tracking import recording

recording.RUNS_AT_ONCE = 10
append, calls = recording.append_points, 0

def append_and_die(connection, batches):
    global calls
    append(connection, batches)
    calls += 1
    if calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)

recording.append_points = append_and_die
Archive(sys.argv[1]).record_runs(make_records(100, points=3))
"""


def test_a_kill_inside_a_batch_leaves_the_batches_before_it(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=root)
    assert done.returncode == -signal.SIGKILL
    with Archive(path) as archive:
        assert archive.runs().count() == 20
        assert archive.verify().problems == ()


def test_the_generated_archive_is_sound_and_depends_on_its_seed_only(tmp_path: Path) -> None:
    found = []
    for name in ("a.db", "b.db"):
        with Archive(tmp_path / name) as archive:
            archive.record_runs(make_records(300, seed=3))
            assert archive.verify().problems == ()
            found.append(
                archive.sql("SELECT started_at, status, config_hash FROM runs ORDER BY started_at").rows
            )
            statuses = archive.info().runs
            keys = archive.sql("SELECT run_id, count(*) FROM configs GROUP BY run_id").rows
            assert {number for _run, number in keys} == {20}
            assert archive.runs().where("metrics.loss is null").count() > 0
    assert found[0] == found[1]
    assert statuses["completed"] > statuses["failed"] > statuses["interrupted"] > 0


def test_runs_with_and_without_happenings_keep_the_order_of_their_events(archive: Archive) -> None:
    plain = RecordedRun({"lr": 0.1}, BEGIN, 60, tags=["plain"], metrics={"loss": ([0, 1], [1.0, 0.5])})
    said = RecordedRun({"lr": 0.2}, BEGIN, 60, tags=[("late", BEGIN + timedelta(seconds=90))], notes=["well"])
    failed = RecordedRun({"lr": 0.3}, BEGIN, 60, status="failed", reason="no luck", attributes={"a": 1})
    ids = archive.record_runs([plain, said, plain, failed, plain])
    kinds = [[event.kind for event in archive.read_events(run_id)] for run_id in ids]
    ended = ["start", "end"]
    assert kinds == [ended, ["start", "note", "end", "tag"], ended, ["start", "fail", "end"], ended]
    assert [[event.seq for event in archive.read_events(run_id)] for run_id in ids] == [
        list(range(len(found))) for found in kinds
    ]
    assert archive.verify().ok


def test_a_batch_that_runs_again_refers_to_no_name_of_the_first_time(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, calls = recording._Batch._store, count()

    def store_twice(batch: Any) -> list[str]:
        run_ids: list[str] = store(batch)
        if next(calls) == 1:
            raise AnotherWrite
        return run_ids

    monkeypatch.setattr(recording, "RUNS_AT_ONCE", 1)
    monkeypatch.setattr(recording._Batch, "_store", store_twice)
    records = [RecordedRun({key: 1}, BEGIN, 1, metrics={key: ([0], [1.0])}) for key in ("a", "b", "c")]
    ids = archive.record_runs(records)
    logged = [[metric.name for metric in archive.show_run(run_id).metrics] for run_id in ids]
    assert logged == [["a"], ["b"], ["c"]]
    assert archive.verify().ok
