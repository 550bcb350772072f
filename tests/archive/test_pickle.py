"""An archive and a run can be handed to a process that is spawned: as their path and id."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveNotFoundError, Run, RunNotFoundError


def log(run: Run, archive: Archive, number: int) -> tuple[str, int]:
    """What a worker does with what it was given."""
    run.log({"x": float(number)}, step=number)
    run.add_tag(f"worker-{number}")
    return run.run_id, len(archive.list_runs())


@pytest.mark.parametrize(
    "method", sorted({"spawn", "forkserver"} & set(multiprocessing.get_all_start_methods()))
)
def test_workers_log_to_the_run_of_their_parent(archive: Archive, method: str) -> None:
    with archive.start_run({"lr": 0.1}) as run:
        run.log({"x": 9.0}, step=9)
        with multiprocessing.get_context(method).Pool(2) as pool:
            found = pool.starmap(log, [(run, archive, number) for number in range(4)])
        assert found == [(run.run_id, 1)] * 4
        assert run.status == "running"
    assert sorted(point.step for point in run.get_metric("x")) == [0, 1, 2, 3, 9]
    assert run.tags == tuple(f"worker-{number}" for number in range(4))
    assert archive.verify().problems == ()


def test_a_pickled_run_has_its_config_and_ends_nothing(archive: Archive) -> None:
    with archive.start_run({"lr": 0.1}) as run:
        with pickle.loads(pickle.dumps(run)) as other:
            assert (other.run_id, other.config["lr"]) == (run.run_id, 0.1)
        assert run.status == "running"


def test_a_copy_is_the_same_handle(archive: Archive) -> None:
    run = archive.start_run()
    for thing in (run, archive):
        assert copy.copy(thing) is thing
        assert copy.deepcopy({"nested": thing})["nested"] is thing
    run.complete()


def test_where_the_file_or_the_run_is_missing_an_error_says_so(archive: Archive, tmp_path: Path) -> None:
    run = archive.start_run()
    run.complete()
    pickled = pickle.dumps(run)
    archive.delete_run(run.run_id)
    with pytest.raises(RunNotFoundError):
        pickle.loads(pickled)
    with Archive(tmp_path / "other.db") as other:
        pickled = pickle.dumps(other)
    (tmp_path / "other.db").unlink()
    with pytest.raises(ArchiveNotFoundError):
        pickle.loads(pickled)
