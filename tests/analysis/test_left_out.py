"""What rankings, groups and importances leave out is counted by its reason."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from exptrack import Archive, FilterError, MetricNotFoundError, RunsLeftOut, TrialPruned
from exptrack.sweeps.trial import Trial
from tests.analysis.runs import finished
from tests.cli.calls import call


@pytest.fixture
def mixed(archive: Archive) -> Iterator[Archive]:
    """Runs of lr 1 and 2 with every fate, one of another metric, one in the trash, one live."""
    for value in (0.5, math.nan, -math.inf, 0.4):
        finished(archive, {"lr": 1}, loss=value)
    finished(archive, {"lr": 1}, acc=1.0)
    for lr, end in ((1, "fail"), (2, "fail"), (2, "interrupt"), (3, "fail")):
        run = archive.start_run({"lr": lr})
        run.log({"loss": 1.0})
        getattr(run, end)("because")
    finished(archive, {"lr": 2}, loss=0.7)
    archive.trash_run(finished(archive, {"lr": 1}, loss=math.nan))

    def objective(trial: Trial) -> float:
        trial.run.log({"loss": 0.1})
        raise TrialPruned

    archive.create_study("s", base={"lr": 2}).optimize(objective, 1)
    live = archive.start_run({"lr": 1})
    live.log({"loss": 2.0})
    live.flush()
    yield archive
    live.complete()


def test_each_run_is_counted_once_by_its_reason(mixed: Archive) -> None:
    found = mixed.count_left_out("loss")
    assert found == RunsLeftOut(pruned=1, failed=3, interrupted=1, running=1, not_finite=2)
    assert found.total == 8
    assert str(found) == "1 pruned, 3 failed, 1 interrupted, 1 running, 2 NaN or infinite"
    assert (
        found.total + len(mixed.best_runs("loss", "min")) == mixed.runs().where("exists metrics.loss").count()
    )
    assert mixed.count_left_out("acc") == RunsLeftOut()
    assert str(RunsLeftOut()) == "none"


def test_a_filter_narrows_it_and_may_name_pruned_ones(mixed: Archive) -> None:
    assert mixed.count_left_out("loss", where="config.lr = 2") == RunsLeftOut(1, 1, 1)
    assert mixed.count_left_out("loss", where=["config.lr = 2", "status = failed"]) == RunsLeftOut(failed=1)
    assert mixed.count_left_out("loss", where="status in (completed, pruned)") == RunsLeftOut(not_finite=2)
    assert mixed.count_left_out("loss", statistic="count") == RunsLeftOut(1, 3, 1, 1)
    with pytest.raises(FilterError):
        mixed.count_left_out("loss", where="config.lrr = 2")
    with pytest.raises(MetricNotFoundError):
        mixed.count_left_out("los")


def test_groups_that_lost_runs_are_marked(mixed: Archive) -> None:
    one, two = mixed.group_by("lr", "loss")
    assert (one.config, one.count, one.left_out) == ({"lr": 1}, 4, RunsLeftOut(failed=1, running=1))
    assert (two.config, two.count, two.left_out) == ({"lr": 2}, 1, RunsLeftOut(1, 1, 1))
    (only,) = mixed.group_by("lr", "loss", where="status = completed and config.lr = 1")
    assert only.left_out == RunsLeftOut()


def test_commands_say_what_they_left_out(mixed: Archive) -> None:
    best = call(Path(mixed.path), "best", "metrics.loss", "--min").stdout
    assert best.splitlines()[-1] == "left out: 1 pruned, 3 failed, 1 interrupted, 1 running, 2 NaN or infinite"
    groups = call(Path(mixed.path), "groups", "loss", "lr").stdout
    assert "1 pruned, 1 failed, 1 interrupted" in groups
    assert groups.splitlines()[-1] == "left out: 1 pruned, 3 failed, 1 interrupted, 1 running"
    none = call(Path(mixed.path), "best", "loss", "--max", "--where", "status = failed").stdout
    assert none.splitlines() == ["no completed run has a finite loss", "left out: 3 failed"]
    assert "left out" not in call(Path(mixed.path), "best", "acc", "--max").stdout
    ranked = call(Path(mixed.path), "importance", "loss").stdout
    assert ranked.splitlines()[0] == "importance for loss, by groups"
    assert ranked.splitlines()[-1].startswith("left out: 1 pruned")
    (_, group) = json.loads(call(Path(mixed.path), "groups", "loss", "lr", "--json").stdout)
    assert group["left_out"]["pruned"] == 1
