"""Removing leaves what others hold, keeping leaves the best, and no version number is given twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from exptrack import Archive, ArtifactNotFoundError, ArtifactStore, InvalidValueError, Run
from tests.artifacts.contents import DATA, versions

NAN = float("nan")


# Removing


def test_the_number_of_a_removed_version_is_never_given_again(archive: Archive, store: ArtifactStore) -> None:
    for number in range(1, 4):
        store.register_data("a", str(number))
    assert store.remove("a", 3).versions == (3,)
    assert store.get_blob("a") == "2"
    assert store.remove("a").versions == (1, 2)
    assert store.get_blob("a") is None
    archive.gc_artifacts()
    store.register_data("a", "4")
    assert versions(store, "a") == [4]
    for version in (1, 3, 9):
        with pytest.raises(ArtifactNotFoundError):
            store.remove("a", version)
    with pytest.raises(ArtifactNotFoundError):
        store.remove("b")


def test_a_removal_leaves_what_others_hold_and_tells_what_went(archive: Archive, store: ArtifactStore) -> None:
    store.register_data("a", DATA)
    store.register_data("a", "own" * 1000)
    with archive.start_run() as other:
        other.artifacts.register_data("b", DATA)
    report = store.remove("a")
    assert (report.versions, report.blobs) == ((1, 2), 1)
    assert 0 < report.stored_bytes < 3000
    assert other.artifacts.get_blob("b") == DATA
    report = other.artifacts.remove("b")
    assert report.stored_bytes >= 0.9 * len(DATA)
    assert report.file_bytes >= 0.9 * len(DATA)
    assert archive.info().stored_bytes == 0


def test_deleting_a_run_leaves_what_others_hold(archive: Archive, store: ArtifactStore) -> None:
    with archive.start_run() as other:
        other.artifacts.register_data("b", DATA)
        other.artifacts.register_data("own", DATA[::-1])
    store.register_data("a", DATA)
    report = archive.delete_run(other.run_id)
    assert report.blobs == 1
    assert store.get_blob("a") == DATA


# Keeping


def checkpoints(run: Run, values: list[float | None], tmp_path: Path) -> None:
    """A version a step; None: no value logged."""
    place = tmp_path / "checkpoint"
    for step, value in enumerate(values):
        if value is not None:
            run.log({"loss": value}, step)
        place.write_bytes(str(step).encode())
        run.artifacts.register_checkpoint("c", place, step)


@pytest.mark.parametrize(
    ("values", "direction", "best", "kept"),
    [
        ([3.0, 1.0, 2.0], "minimize", 1, [2]),
        ([3.0, 1.0, 2.0], "maximize", 2, [1, 3]),
        ([1.0, 1.0, 1.0], "minimize", 2, [2, 3]),
        ([NAN, 5.0, NAN], "minimize", 1, [2]),
        ([NAN, 5.0, NAN], "maximize", 2, [2, 3]),
        ([float("inf"), NAN], "minimize", 1, [1]),
        ([float("-inf"), NAN], "maximize", 1, [1]),
        ([float("-inf"), 0.0], "minimize", 1, [1]),
        ([1.0, None, 2.0], "minimize", 1, [2]),  # the latest value before its step
        ([None, 2.0, 3.0], "minimize", 1, [2]),
        ([1.0, 2.0], "minimize", 9, [1, 2]),
    ],
)
def test_the_best_are_kept(
    run: Run, tmp_path: Path, values: list[float | None], direction: str, best: int, kept: list[int]
) -> None:
    checkpoints(run, values, tmp_path)
    report = run.artifacts.keep("c", best=best, metric="loss", direction=direction)
    assert versions(run.artifacts, "c") == kept
    assert sorted([*report.versions, *kept]) == list(range(1, len(values) + 1))


def test_the_last_are_kept_and_with_best_both(run: Run, tmp_path: Path) -> None:
    checkpoints(run, [1.0, 2.0, 0.0, 5.0, 4.0], tmp_path)
    run.artifacts.keep("c", last=1, best=1, metric="loss", direction="minimize")
    assert versions(run.artifacts, "c") == [3, 5]
    assert run.artifacts.keep("c", last=5).versions == ()
    run.artifacts.keep("c", last=1)
    assert versions(run.artifacts, "c") == [5]
    assert run.artifacts.get_blob("c") == b"4"


def test_versions_without_a_step_are_not_removed_for_not_being_best(run: Run, tmp_path: Path) -> None:
    run.artifacts.register_data("c", b"no step")
    checkpoints(run, [1.0, 2.0], tmp_path)
    run.artifacts.keep("c", best=1, metric="loss", direction="minimize")
    assert versions(run.artifacts, "c") == [1, 2]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"last": 0},
        {"last": -1},
        {"last": True},
        {"last": 1.0},
        {"best": 1},
        {"best": 1, "metric": "loss"},
        {"last": 1, "metric": "loss"},
        {"best": 1, "direction": "minimize"},
        {"best": 1, "metric": "loss", "direction": "up"},
        {"best": 1, "metric": "absent", "direction": "minimize"},
    ],
    ids=str,
)
def test_who_does_not_say_what_to_keep_removes_nothing(
    run: Run, tmp_path: Path, how: dict[str, object]
) -> None:
    checkpoints(run, [1.0, 2.0], tmp_path)
    with pytest.raises(InvalidValueError):
        run.artifacts.keep("c", **how)  # type: ignore[arg-type]
    assert versions(run.artifacts, "c") == [1, 2]
    with pytest.raises(ArtifactNotFoundError):
        run.artifacts.keep("absent", last=1)
