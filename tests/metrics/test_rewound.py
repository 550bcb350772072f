"""What a run logged past a step is hidden when it goes on from there: kept, and in no curve or summary."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exptrack import Archive, InvalidTypeError, MetricPoint, RunBusyError, RunNotFoundError
from exptrack.metrics.rewound import find_original, is_hidden_from, name_rewound
from tests.effort import tries

VALUES = st.one_of(st.just(math.nan), st.sampled_from([math.inf, -math.inf, 0.0]), st.floats(-1e6, 1e6))
POINTS = st.lists(st.tuples(st.integers(-3, 8), VALUES), max_size=30)


def pairs(points: list[MetricPoint]) -> list[tuple[int, str]]:
    return [(one.step, repr(one.value)) for one in points]


def test_the_points_past_the_step_leave_the_metric_and_are_kept(archive: Archive) -> None:
    with archive.start_run() as run:
        for step in range(10):
            run.log({"loss": 10.0 - step, "acc": step / 10}, step)
        run.log({"late": 1.0}, 9)
    with archive.resume_run(run.run_id, from_step=4) as again:
        again.log({"loss": 0.5})
        assert [(one.step, one.value) for one in again.get_metric("loss")][-2:] == [(4, 6.0), (5, 0.5)]
        assert again.get_last_metric("acc") == run.get_metric("acc")[4]
        assert again.get_metric("late") == []
    detail = archive.show_run(run.run_id)
    assert {one.name: (one.count, one.min, one.last) for one in detail.metrics} == {
        "acc": (5, 0.0, 0.4), "loss": (6, 0.5, 0.5),
    }  # fmt: skip
    assert detail.summary.metrics == {"acc": 0.4, "loss": 0.5}
    hidden = archive.list_rewound(run.run_id)
    assert [(one.name, one.count, one.min, one.max) for one in hidden] == [
        ("exptrack:rewound/1/acc", 5, 0.5, 0.9),
        ("exptrack:rewound/1/late", 1, 1.0, 1.0),
        ("exptrack:rewound/1/loss", 5, 1.0, 5.0),
    ]
    series = archive.series(run.run_id, "exptrack:rewound/1/loss")
    assert series.values.tolist() == [5.0, 4.0, 3.0, 2.0, 1.0]
    event = next(one for one in archive.read_events(run.run_id) if one.kind == "rewind")
    assert event.data == {"from_step": 4, "number": 1, "metrics": 3, "points": 11}


def test_no_ranking_filter_or_list_sees_what_is_hidden(archive: Archive) -> None:
    runs = []
    for best in (0.1, 0.2):
        with archive.start_run({"x": best}) as run:
            run.log_many("loss", None, [1.0, best, 0.01 if best == 0.2 else 5.0])
        runs.append(run.run_id)
    with archive.resume_run(runs[1], from_step=1):
        pass
    assert archive.best_runs("loss", "minimize", by="min")[0][0].run_id == runs[0]
    assert [one.run_id for one in archive.runs().where("metrics.loss.min < 0.05")] == []
    names = {one.name for one in archive.fields()}
    assert not any("rewound" in name for name in names)
    assert not any("rewound" in name for name in archive.runs().to_pandas().columns)
    assert not any("rewound" in one.text for one in archive.complete_filter("metrics.").completions)
    assert [one.name for one in archive.read_metrics(runs[1]).metrics] == ["loss"]
    assert [one.name for one in archive.read_metrics(runs[1], text="exptrack:rewound/").metrics] == [
        "exptrack:rewound/1/loss"
    ]
    assert archive.read_head(runs[1]).metric_count == 1
    assert [one.name for one in archive.compare(runs).metrics] == ["loss"]


def test_it_can_be_done_again(archive: Archive) -> None:
    with archive.start_run() as run:
        run.log_many("loss", None, [4.0, 3.0, 2.0])
    for value in (1.0, 0.5):
        with archive.resume_run(run.run_id, from_step=0) as again:
            again.log({"loss": value})
    assert [(one.name, one.count, one.last) for one in archive.list_rewound(run.run_id)] == [
        ("exptrack:rewound/1/loss", 2, 2.0), ("exptrack:rewound/2/loss", 1, 1.0),
    ]  # fmt: skip
    assert [one.value for one in run.get_metric("loss")] == [4.0, 0.5]


def test_a_step_beyond_all_hides_nothing_and_none_hides_nothing(archive: Archive) -> None:
    with archive.start_run() as run:
        run.log_many("loss", None, [4.0, 3.0])
    for step in (1, 2**62, None):
        with archive.resume_run(run.run_id, from_step=step):
            pass
    assert archive.list_rewound(run.run_id) == ()
    assert len(run.get_metric("loss")) == 2
    with archive.resume_run(run.run_id, from_step=-1) as again:
        assert again.get_metric("loss") == []
        again.log({"loss": 1.0})
    assert [one.step for one in run.get_metric("loss")] == [0]


@given(points=POINTS, step=st.integers(-4, 9), more=POINTS)
@settings(max_examples=tries(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_rest_is_as_if_the_hidden_points_had_never_been_logged(
    tmp_path: Path, points: list[tuple[int, float]], step: int, more: list[tuple[int, float]]
) -> None:
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.db"
    with Archive(path) as archive:
        with archive.start_run() as run:
            for at, value in points:
                run.log({"m": value}, at)
        with archive.start_run() as plain:
            for at, value in points:
                if at <= step:
                    plain.log({"m": value}, at)
        for one in (archive.resume_run(run.run_id, from_step=step), archive.resume_run(plain.run_id)):
            with one:
                for at, value in more:
                    one.log({"m": value}, at)
        assert pairs(run.get_metric("m")) == pairs(plain.get_metric("m"))
        a, b = (archive.show_run(each.run_id).metrics for each in (run, plain))
        # Of points of one millisecond, the file does not tell which was logged first. Sums differ by rounding.
        unknown = dict.fromkeys(("mean", "first", "first_step", "last", "last_step", "min_step", "max_step"))
        assert [repr(one._replace(**unknown)) for one in a] == [repr(one._replace(**unknown)) for one in b]
        gone = [(at, repr(value + 0.0)) for at, value in points if at > step]
        hidden = pairs(run.get_metric("exptrack:rewound/1/m"))
        assert sorted(hidden) == sorted(gone)
        assert archive.verify().problems == ()


def test_a_long_metric_keeps_its_levels_right(archive: Archive) -> None:
    with archive.start_run() as run:
        run.log_many("m", None, [float(n % 977) for n in range(40_000)])
    with archive.resume_run(run.run_id, from_step=19_999):
        pass
    assert archive.series(run.run_id, "m", buckets=128).counts.sum() == 20_000
    hidden = archive.series(run.run_id, "exptrack:rewound/1/m", buckets=128)
    assert (hidden.counts.sum(), int(hidden.first_steps[0])) == (20_000, 20_000)


def test_a_dead_process_leaves_its_points_to_be_hidden(archive: Archive, tmp_path: Path) -> None:
    """The points in the journal of a killed process are stored first."""
    import subprocess
    import sys

    code = (
        "import exptrack, os, signal, sys\n"
        "run = exptrack.Archive(sys.argv[1]).start_run(name='killed')\n"
        "run.log_many('loss', None, [3.0, 2.0, 1.0])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, archive.path])
    with archive.resume_run("killed", from_step=0) as run:
        assert [one.value for one in run.get_metric("loss")] == [3.0]
    assert [one.count for one in archive.list_rewound("killed")] == [2]


def test_what_cannot_be_done_changes_nothing(archive: Archive) -> None:
    with archive.start_run() as run:
        run.log_many("loss", None, [4.0, 3.0])
        with pytest.raises(RunBusyError):
            archive.resume_run(run.run_id, from_step=0)
    for step in ("0", 0.5, True, 2**63):
        with pytest.raises((InvalidTypeError, ValueError)):
            archive.resume_run(run.run_id, from_step=step)  # type: ignore[arg-type]
    with pytest.raises(RunNotFoundError):
        archive.list_rewound("none")
    assert str(run.status) == "completed"
    assert len(run.get_metric("loss")) == 2


def test_names_are_told_from_each_other_whatever_their_length() -> None:
    long = "m" * 999
    for name in ("loss", "a/b", "exptrack:rewound", long, f"{long}n"):
        hidden = name_rewound(name, 12)
        assert len(hidden) <= 1000
        assert is_hidden_from(hidden, name)
        assert not is_hidden_from(hidden, f"{name}x"[1:])
    assert find_original("exptrack:rewound/3/a/b") == "a/b"
    assert [find_original(name) for name in ("loss", "exptrack:rewound/x/a", "exptrack:rewound/3")] == [
        None
    ] * 3


def test_a_long_name_is_hidden_and_found(archive: Archive) -> None:
    with archive.start_run() as run:
        run.log_many("m" * 1000, None, [1.0, 2.0])
    with archive.resume_run(run.run_id, from_step=0):
        pass
    (hidden,) = archive.list_rewound(run.run_id)
    assert len(hidden.name) == 1000
