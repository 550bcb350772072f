"""The config keys that matter for a metric are found, by ranks and by a forest."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable

import pytest

from exptrack import (
    Archive,
    InvalidValueError,
    MissingPackageError,
    Sampler,
    Trial,
    group_variance,
)
from tests.analysis.runs import finished


@pytest.fixture
def trained(archive: Archive) -> Archive:
    """24 runs whose loss falls with lr, bends with width, hangs on the optimizer and not on the seed."""
    for n in range(24):
        lr, width, optimizer = n % 4, (n // 4) % 3, "adam" if n % 2 else "sgd"
        config = {
            "lr": 10.0**-lr,
            "width": width,
            "optimizer": optimizer,
            "seed": n * 7 % 24,
            "fixed": 1,
            "id": f"r{n}",
        }
        if n % 3 == 0:
            config["momentum"] = 0.9
        finished(archive, config, loss=-lr / 10 + 3 * (width - 1) ** 2 + (optimizer == "sgd") / 10)
    finished(archive, {"lr": 1e9}, loss=math.nan)
    finished(archive, {"lr": 1e9}, loss=math.inf)
    return archive


def test_spearman_tells_what_rises_with_a_metric(trained: Archive) -> None:
    found = {one.key: one for one in trained.importance("loss", method="spearman")}
    assert found.keys() == {"lr", "width", "optimizer", "seed", "momentum"}
    lr = found["lr"]
    assert (lr.method, lr.runs, lr.values) == ("spearman", 24, 4)
    assert lr.correlation is not None
    assert lr.correlation > 0
    assert lr.importance == lr.correlation**2
    assert found["width"].importance < 0.01
    for key in ("optimizer", "momentum"):  # momentum is 0.9 or not there
        assert (found[key].method, found[key].correlation, found[key].values) == ("eta_squared", None, 2)


def test_spearman_is_scipy_s_and_eta_squared_that_of_kruskal(trained: Archive) -> None:
    from scipy import stats

    rows = (
        trained.runs()
        .where("metrics.loss < 1e9")
        .to_dicts(["config.lr", "config.seed", "config.optimizer", "metrics.loss"])
    )
    losses = [row["metrics.loss"] for row in rows]
    found = {one.key: one for one in trained.importance("loss", method="spearman")}
    for key in ("lr", "seed"):
        expected = stats.spearmanr([row[f"config.{key}"] for row in rows], losses).statistic
        assert found[key].correlation == pytest.approx(expected, abs=1e-12)
    groups = [
        [loss for loss, row in zip(losses, rows, strict=True) if row["config.optimizer"] == name]
        for name in ("adam", "sgd")
    ]
    expected = stats.kruskal(*groups).statistic / (len(losses) - 1)
    assert found["optimizer"].importance == pytest.approx(expected, abs=1e-12)


def test_groups_see_a_bend_and_chance_scores_nothing(archive: Archive) -> None:
    chance = random.Random(3)
    for _ in range(400):
        lr = 10 ** chance.uniform(-5, -1)
        config = {"lr": lr, "noise": chance.random(), "name": chance.choice("abcdefgh")}
        finished(archive, config, loss=(math.log10(lr) + 3) ** 2)
    found = {one.key: one for one in archive.importance("loss")}
    assert next(iter(found)) == "lr"
    assert found["lr"].importance > 0.8
    assert {key for key, one in found.items() if one.importance > 0.03} == {"lr"}
    assert {one.method for one in found.values()} == {"groups"}
    assert archive.importance("loss", method="spearman")[0].importance < 0.1  # ranks do not see it


def test_each_value_of_a_small_grid_is_a_group_of_its_own(archive: Archive) -> None:
    for step, lr in enumerate((0.3, 0.03, 0.003)):
        for seed in range(2):
            finished(archive, {"lr": lr}, loss=step + seed / 10)
    (found,) = archive.importance("loss", method="groups")
    # Ranks 1 to 6 in pairs: 1.5 of 17.5 lies within the groups.
    assert found.importance == pytest.approx(1 - 1.5 / 17.5 * 5 / 3)


def test_groups_are_adjusted_eta_squared_of_ranks_with_missing_values_as_a_group(archive: Archive) -> None:
    losses = {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 9.0], None: [6.0, 7.0, 8.0]}
    for kind, values in losses.items():
        for loss in values:
            finished(archive, {} if kind is None else {"kind": kind}, loss=loss)
    (found,) = archive.importance("loss", method="groups")
    means, whole = [2.0, 6.0, 7.0], sum((rank - 5) ** 2 for rank in range(1, 10))
    eta = sum(3 * (mean - 5) ** 2 for mean in means) / whole
    assert found.importance == pytest.approx(1 - (1 - eta) * 8 / 6)
    assert (found.key, found.runs, found.values) == ("kind", 9, 3)


def test_the_forest_sees_a_bend_and_gives_the_same_answer_again(archive: Archive) -> None:
    for n in range(48):
        finished(archive, {"width": n % 3, "seed": n * 7 % 48}, loss=(n % 3 - 1) ** 2 + n / 1000)
    found = archive.importance("loss", method="forest")
    assert [(one.key, one.method, one.runs) for one in found] == [
        ("width", "forest", 48),
        ("seed", "forest", 48),
    ]
    assert found[0].importance > 0.5 > abs(found[1].importance)
    assert archive.importance("loss", method="forest") == found
    by_ranks = {one.key: one.importance for one in archive.importance("loss", method="spearman")}
    assert by_ranks["width"] < 0.01


def test_a_constant_metric_has_no_causes(archive: Archive) -> None:
    for n in range(10):
        finished(archive, {"lr": n, "opt": "ab"[n % 2]}, loss=1.0)
    assert [one.importance for one in archive.importance("loss")] == [0.0, 0.0]
    assert [one.importance for one in archive.importance("loss", method="forest")] == [0.0, 0.0]


def test_configs_that_never_vary_leave_nothing_to_say(archive: Archive) -> None:
    for n in range(10):
        finished(archive, {"lr": 1}, loss=float(n))
    assert archive.importance("loss") == archive.importance("loss", method="forest") == []


def test_a_filter_narrows_what_importance_looks_at(trained: Archive) -> None:
    found = trained.importance("loss", where="config.optimizer = 'adam' and config.width != 1")
    assert {one.runs for one in found} == {8}
    assert "optimizer" not in {one.key for one in found}


def test_the_forest_says_what_it_needs(trained: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(MissingPackageError, match=r"exptrack-archive\[importance\]"):
        trained.importance("loss", method="forest")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a: a.importance("loss"), InvalidValueError, "needs 3 completed runs .* there are 1"),
        (lambda a: a.importance("loss", method="forest"), InvalidValueError, "needs 10"),
        (lambda a: a.importance("loss", method="tree"), InvalidValueError, "spearman"),
    ],
)
def test_wrong_questions_are_refused(
    archive: Archive, call: Callable[[Archive], object], error: type[Exception], message: str
) -> None:
    finished(archive, {"lr": 0.1}, loss=1.0)
    with pytest.raises(error, match=message):
        call(archive)


def test_a_sample_is_the_same_each_time_and_says_how_many_it_saw(trained: Archive) -> None:
    whole = trained.importance("loss")
    assert trained.importance("loss", sample=24) == trained.importance("loss", sample=1000) == whole
    some = trained.importance("loss", sample=20)
    assert some == trained.importance("loss", sample=20) != whole
    assert {one.runs for one in some if one.key == "lr"} == {20}
    for method, least in (("spearman", 3), ("forest", 10)):
        with pytest.raises(InvalidValueError, match="sample"):
            trained.importance("loss", method=method, sample=least - 1)


def test_noise_is_warned_of_once_for_a_metric(
    archive: Archive, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_variance, "_told", set())
    for n in range(19):
        finished(archive, {"lr": n % 3}, loss=float(n))
    for _ in range(2):
        archive.importance("loss")
    assert caplog.messages == [
        "importance for 'loss' may be noise: only 19 runs count; below 20, chance explains about as much as"
        " what matters does"
    ]
    caplog.clear()
    finished(archive, {"lr": 1}, loss=3.0, acc=1.0)
    archive.importance("loss", where="config.lr >= 0")
    assert caplog.messages == []
    for _ in range(21):
        run = archive.start_run({"lr": 2})
        run.log({"loss": 1.0})
        run.fail("diverged")
    monkeypatch.setattr(group_variance, "_told", set())
    archive.importance("loss")
    assert "21 runs are left out, more than the 20 that count" in caplog.text


def test_a_study_is_rated_by_the_same_method(archive: Archive) -> None:
    """The params of trials, as configs of their runs, have the same importance as the study tells."""

    def objective(trial: Trial) -> float:
        lr, kind = trial.suggest_float("lr", 1e-4, 1.0, log=True), trial.suggest_choice("kind", ["a", "b", 3])
        loss = abs(math.log10(lr) + 2) + (kind == "a") / 10
        trial.run.log({"loss": loss})
        return loss

    study = archive.create_study("s", metric="loss", sampler=Sampler.random(seed=1))
    study.optimize(objective, 40)
    found = study.importances()
    assert found["method"] == ["groups", "groups"]
    of_runs = {one.key: one.importance for one in archive.importance("loss") if one.key in ("lr", "kind")}
    assert dict(zip(found["param"], found["importance"], strict=True)) == pytest.approx(of_runs)
    assert of_runs["lr"] > 0.5 > of_runs["kind"]
