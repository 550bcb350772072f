"""Checkpoints are chosen by their step, or by the value of a metric there."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from exptrack import Archive, ArtifactNotFoundError, InvalidTypeError, InvalidValueError, Run

NAN = math.nan


@pytest.fixture
def run(archive: Archive) -> Run:
    return archive.start_run({"lr": 0.1})


def log(run: Run, tmp_path: Path, values: dict[int, float], metric: str = "val_loss", name: str = "c") -> None:
    """Log values by step, and store a checkpoint at each of the steps."""
    place = tmp_path / "weights"
    place.write_bytes(b"w")
    for step, value in values.items():
        run.log({metric: value}, step)
        run.artifacts.register_checkpoint(name, place, step)


def judged(run: Run, *given: str) -> list[tuple[str, int | None, float | None, bool]]:
    found = run.artifacts.list_checkpoints(*given).checkpoints
    return [(one.artifact.name, one.artifact.step, one.value, one.is_best) for one in found]


def test_each_has_the_value_at_its_step_and_the_best_of_each_name_is_marked(run: Run, tmp_path: Path) -> None:
    log(run, tmp_path, {0: 0.9, 10: 0.4, 20: 0.5})
    run.artifacts.register_checkpoint("d", tmp_path / "weights", 15)
    run.artifacts.register_data("other", "no step")
    assert judged(run) == [
        ("c", 0, 0.9, False), ("c", 10, 0.4, True), ("c", 20, 0.5, False), ("d", 15, 0.4, True),
    ]  # fmt: skip
    assert judged(run, "val_loss", "maximize")[0] == ("c", 0, 0.9, True)


def test_of_equal_values_the_newer_is_best_and_nan_is_never(run: Run, tmp_path: Path) -> None:
    log(run, tmp_path, {0: 0.4, 1: 0.4, 2: NAN, 3: math.inf})
    found = judged(run)
    assert [one[3] for one in found] == [False, True, False, False]
    assert math.isnan(found[2][2] or 0.0)
    with pytest.raises(ArtifactNotFoundError, match="n with a value of val_loss"):
        run.artifacts.get_checkpoint("n", best="val_loss")


def test_an_infinite_value_may_be_the_best(run: Run, tmp_path: Path) -> None:
    log(run, tmp_path, {0: math.inf})
    assert judged(run) == [("c", 0, math.inf, True)]


def test_the_choice_is_that_of_keep(run: Run, tmp_path: Path) -> None:
    log(run, tmp_path, {0: 3.0, 1: 1.0, 2: NAN, 3: 1.0, 4: 2.0})
    best = run.artifacts.get_checkpoint("c", best="val_loss")
    run.artifacts.keep("c", best=1, metric="val_loss", direction="minimize")
    assert [one.version for one in run.artifacts.list_artifacts()] == [best.version]


def test_a_checkpoint_before_the_first_value_has_none(run: Run, tmp_path: Path) -> None:
    log(run, tmp_path, {5: 0.5})
    run.artifacts.register_checkpoint("c", tmp_path / "weights", 1)
    assert judged(run) == [("c", 5, 0.5, True), ("c", 1, None, False)]


def test_the_metric_is_of_validation_data_and_its_name_tells_the_direction(run: Run, tmp_path: Path) -> None:
    log(run, tmp_path, {0: 0.1, 1: 0.2}, "accuracy")
    assert run.artifacts.list_checkpoints().metric == "accuracy"
    run.log({"test_acc": 0.1, "lr": 0.3}, 0)
    assert run.artifacts.list_checkpoints().metric == "test_acc"
    run.log({"eval/error": 0.1}, 0)
    found = run.artifacts.list_checkpoints()
    assert (found.metric, found.direction) == ("eval/error", "minimize")
    assert run.artifacts.get_checkpoint("c", best="accuracy").step == 1


def test_without_a_metric_they_are_listed_without_values(run: Run, tmp_path: Path) -> None:
    log(run, tmp_path, {0: 0.1}, "lr")
    found = run.artifacts.list_checkpoints()
    assert (found.metric, found.direction) == (None, None)
    assert judged(run) == [("c", 0, None, False)]


def test_a_step_chooses_its_newest_version(run: Run, tmp_path: Path) -> None:
    log(run, tmp_path, {0: 0.1, 10: 0.2})
    log(run, tmp_path, {10: 0.3})
    assert run.artifacts.get_checkpoint("c", step=10).version == 3
    with pytest.raises(ArtifactNotFoundError, match=r"c of step 7 \(there are 0, 10, 10\)"):
        run.artifacts.get_checkpoint("c", step=7)
    with pytest.raises(ArtifactNotFoundError, match="none of step 7"):
        run.artifacts.get_checkpoint("none", step=7)


def test_what_cannot_be_asked_is_refused(run: Run, tmp_path: Path) -> None:
    log(run, tmp_path, {0: 0.1}, "lr")
    store = run.artifacts
    with pytest.raises(InvalidValueError, match="by its step or by a metric"):
        store.get_checkpoint("c")
    with pytest.raises(InvalidValueError, match="by its step or by a metric"):
        store.get_checkpoint("c", step=1, best="lr")
    with pytest.raises(InvalidValueError, match="does not tell whether less or more"):
        store.get_checkpoint("c", best="lr")
    with pytest.raises(InvalidValueError, match="has not logged 'loss'"):
        store.list_checkpoints("loss")
    with pytest.raises(InvalidValueError, match="sideways"):
        store.list_checkpoints("lr", "sideways")
    with pytest.raises(InvalidTypeError):
        store.get_checkpoint("c", step="ten")  # type: ignore[arg-type]


def test_an_alias_names_the_best_wherever_an_artifact_is_meant(
    archive: Archive, run: Run, tmp_path: Path
) -> None:
    log(run, tmp_path, {0: 0.9, 10: 0.4, 20: 0.5})
    run.artifacts.set_alias("c", "best", run.artifacts.get_checkpoint("c", best="val_loss").version)
    with archive.start_run() as other:
        assert other.use_artifact(f"{run.run_id}/c:best").artifact.step == 10


def test_those_past_the_step_of_a_rewinding_are_left_out(archive: Archive, run: Run, tmp_path: Path) -> None:
    log(run, tmp_path, {0: 0.9, 10: 0.8, 20: 0.1})
    run.complete()
    with archive.resume_run(run.run_id, from_step=10) as again:
        again.append_event("rewind", {"from_step": "not ours"})
        log(again, tmp_path, {20: 0.5})
        assert judged(again) == [("c", 0, 0.9, False), ("c", 10, 0.8, False), ("c", 20, 0.5, True)]
        assert again.artifacts.get_checkpoint("c", step=20).version == 4
        assert len(again.artifacts.list_artifacts()) == 4, "nothing is lost"
