"""Runs are listed newest first, whichever way finds them; a list without a filter imports little."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exptrack import Archive, InvalidTypeError, InvalidValueError, RecordedRun, RunFilter, RunStatus
from tests.strategies import exactly

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def lab(archive: Archive) -> Archive:
    """Runs whose order of starting is not that of their row ids, two of one moment, one in the trash."""
    starts = (3, 1, 2, 2, 5, 4, 0)
    records = [
        RecordedRun(
            {"n": n},
            BEGIN + timedelta(hours=hours),
            60.5,
            "failed" if n == 1 else "completed",
            "too hot" if n == 1 else None,
            name=f"run{n}",
            tags=["b", "a"][: n % 3],
            metrics={name: ([0, 1], [0.5, value]) for name, value in VALUES[n].items()},
        )
        for n, hours in enumerate(starts)
    ]
    runs = archive.record_runs(records)
    archive.trash_run(runs[5])
    archive.start_run({"n": 7}, name="run7")
    return archive


VALUES: list[dict[str, float]] = [
    {"loss": 0.25, "acc": 1.0},
    {"acc": math.nan, "loss": math.inf},
    {},
    {"zeta": 1.0, "alpha": -0.5, "acc": 3.0},
    {"loss": 7.0},
    {"loss": 8.0},
    {"beta": 2.0, "acc": math.nan},
]
IN_ORDER = ["run7", "run4", "run0", "run3", "run2", "run1", "run6"]


def test_all_runs_are_listed_newest_first(archive: Archive) -> None:
    ids = []
    for _ in range(5):
        with archive.start_run() as run:
            run.log_metric("x", 1)
        ids.append(run.run_id)
    assert [r.run_id for r in archive.list_runs()] == ids[::-1]
    assert sorted(ids) == ids
    assert len(archive.list_runs(limit=2)) == 2


def test_every_way_to_list_runs_gives_the_same_records(lab: Archive) -> None:
    listed = lab.list_runs()
    assert [run.name for run in listed] == IN_ORDER
    for other in (
        lab.list_runs(RunFilter()),
        lab.runs().list(),
        lab.runs().order_by("-started").list(),
        lab.runs().where("exists id").list(),
    ):
        assert exactly(list(other)) == exactly(list(listed))
    for limit in (0, 3, 100):
        assert exactly(list(lab.list_runs(limit=limit))) == exactly(list(listed[:limit]))
        assert lab.runs().limit(limit).index() == lab.runs().index()[:limit]
    assert lab.runs().index() == lab.runs().where("exists id").index()


def test_a_summary_has_what_the_run_was_recorded_with(lab: Archive) -> None:
    by_name = {run.name: run for run in lab.list_runs()}
    for n, values in enumerate(VALUES):
        if n == 5:
            continue
        run = by_name[f"run{n}"]
        assert list(run.metrics) == sorted(values)
        assert exactly(run.metrics) == exactly({name: values[name] for name in sorted(values)})
        assert set(run.tags) == set(["b", "a"][: n % 3])
        assert (run.duration_s, run.ended_at) == (60.5, run.started_at + timedelta(seconds=60.5))
        assert run.status is (RunStatus.FAILED if n == 1 else RunStatus.COMPLETED)
        assert run.started_at.tzinfo is UTC
    assert (by_name["run7"].status, by_name["run7"].ended_at) == (RunStatus.RUNNING, None)


def test_columns_of_all_runs_are_those_of_their_records(lab: Archive) -> None:
    columns = ["id", "name", "status", "started"]
    expected = [
        {"id": run.run_id, "name": run.name, "status": run.status, "started": run.started_at}
        for run in lab.list_runs()
    ]
    assert lab.runs().to_dicts(columns) == expected
    assert lab.runs().limit(2).to_dicts(columns) == expected[:2]
    assert lab.runs().rows(columns).rows == expected


def test_wrong_filters_and_limits_are_refused(lab: Archive) -> None:
    with pytest.raises(InvalidTypeError, match="list_runs takes a RunFilter, not 'failed'"):
        lab.list_runs("failed")  # type: ignore[arg-type]
    for run_filter in (None, RunFilter()):
        with pytest.raises(InvalidValueError, match="limit"):
            lab.list_runs(run_filter, limit=-1)


def test_equal_queries_are_equal(lab: Archive) -> None:
    query = lab.runs().where("config.n < 3").limit(2)
    assert query == lab.runs().where("config.n < 3").limit(2)
    assert hash(query) == hash(lab.runs().where("config.n < 3").limit(2))
    assert query != lab.runs().where("config.n < 3")
    assert query != "config.n < 3"


LANGUAGE = ("parser", "compiler", "selection", "run_filter", "run_sets")


@pytest.mark.parametrize(
    ("call", "unwanted"),
    [
        ("list_runs()", (*LANGUAGE, "conditions", "run_query")),
        ("best_runs('loss', 'minimize')", (*LANGUAGE, "conditions", "run_query")),
        ("runs().to_dicts(['id', 'name', 'status', 'started'])", LANGUAGE),
        ("diff_runs('run0', 'run1')", (*LANGUAGE, "conditions", "run_query")),
    ],
)
def test_a_first_question_imports_nothing_that_it_does_not_need(
    lab: Archive, call: str, unwanted: tuple[str, ...]
) -> None:
    code = (
        f"import sys, exptrack\nwith exptrack.Archive({str(lab.path)!r}, mode='ro') as archive:\n"
        f"    assert archive.{call}\n"
        "print(*(name.removeprefix('exptrack.query.') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(lab.path).parent
    )
    assert set(done.stdout.split()) & {*unwanted, "numpy", "pandas", "exptrack.artifacts.store"} == set()
