"""What an archive gives can be handed to another process: as its path, and the id of what it is about."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
from collections.abc import Iterator
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import optuna
import pytest

import exptrack
from exptrack import (
    Archive,
    ArchiveNotFoundError,
    ArtifactStore,
    ExptrackError,
    InvalidTypeError,
    Run,
    RunFinishedError,
    RunNotFoundError,
    RunQuery,
    Sampler,
    Study,
    StudyNotFoundError,
    Trial,
)
from exptrack.database import opening
from tests.archive.everything import make, objective, promised_classes, public_classes


@pytest.fixture(scope="module")
def workers() -> Iterator[Pool]:
    """Two processes that share nothing with this one."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        yield pool


@pytest.fixture(autouse=True)
def _close_what_was_unpickled() -> Iterator[None]:
    """Unpickled handles share a connection, which otherwise stays open until the process ends."""
    yield
    while opening._UNPICKLED:
        opening._UNPICKLED.popitem()[1].close()


METHODS = sorted({"spawn", "forkserver"} & set(multiprocessing.get_all_start_methods()))


def log(run: Run, archive: Archive, number: int) -> tuple[str, int]:
    """What a worker does with what it was given."""
    run.log({"x": float(number)}, step=number)
    run.add_tag(f"worker-{number}")
    return run.run_id, len(archive.list_runs())


@pytest.mark.parametrize("method", METHODS)
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


def test_where_the_file_or_the_run_is_missing_an_error_says_so(archive: Archive, tmp_path: Path) -> None:
    run = archive.start_run()
    run.complete()
    pickled = [pickle.dumps(run), pickle.dumps(run.artifacts)]
    archive.delete_run(run.run_id)
    for one in pickled:
        with pytest.raises(RunNotFoundError):
            pickle.loads(one)
    with Archive(tmp_path / "other.db") as other:
        pickled = [pickle.dumps(other), pickle.dumps(other.runs())]
    (tmp_path / "other.db").unlink()
    for one in pickled:
        with pytest.raises(ArchiveNotFoundError):
            pickle.loads(one)


# Every public object


def name_kinds(things: dict[str, object]) -> dict[str, str]:
    return {name: type(thing).__name__ for name, thing in things.items()}


def test_every_object_that_a_call_returns_can_be_handed_over_and_copied(tmp_path: Path, workers: Pool) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        made = make(archive, tmp_path)
        assert set(public_classes()) | promised_classes() <= set(made)
        for thing in made.values():
            for twin in (copy.copy(thing), copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))):
                assert type(twin) is type(thing)
        assert workers.apply(name_kinds, (made,)) == {name: name for name in made}
        for name in ("Archive", "Run"):
            assert copy.copy(made[name]) is copy.deepcopy([made[name]])[0] is made[name]


def test_an_open_artifact_says_what_to_hand_over_instead(archive: Archive) -> None:
    with archive.start_run() as run:
        run.artifacts.register_data("words", "to be")
        with run.artifacts.open("words") as file:
            for hand_over in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(InvalidTypeError, match="hand over the store"):
                    hand_over(file)
            assert file.read() == b"to be"


def arguments(kind: type[ExptrackError]) -> dict[str, Any]:
    """Arguments that an error of this class can be made of."""
    made: dict[str, Any] = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        annotation = str(parameter.annotation)
        made[name] = ["a", "b"] if "Sequence" in annotation else 2 if "int" in annotation else f"a {name}"
    return made


ERRORS = [
    one
    for name in exptrack.__all__
    if isinstance(one := getattr(exptrack, name), type) and issubclass(one, ExptrackError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_the_same_in_another_process(kind: type[ExptrackError]) -> None:
    takes_a_message = kind.__init__ is ExptrackError.__init__
    error = kind("a message") if takes_a_message else kind(**arguments(kind))
    error.add_note("a note")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is kind
        assert (str(twin), vars(twin)) == (str(error), vars(error))


def log_to_what_has_ended(run: Run) -> None:
    run.log({"x": 1.0})


def test_an_error_of_a_worker_reaches_its_parent(archive: Archive, workers: Pool) -> None:
    run = archive.start_run()
    run.complete()
    outcome = workers.apply_async(log_to_what_has_ended, (run,))
    with pytest.raises(RunFinishedError, match=run.run_id) as raised:
        outcome.get(timeout=120)
    assert raised.value.status == "completed"


# Queries, stores and tails


def register(store: ArtifactStore, query: RunQuery) -> tuple[object, int]:
    store.register_data("made", "by a worker")
    return store.get_blob("words"), query.count()


def test_a_worker_reads_and_stores_by_what_it_was_given(archive: Archive, workers: Pool) -> None:
    with archive.start_run({"lr": 0.1}) as run:
        run.artifacts.register_data("words", "to be")
        query = archive.runs().where("config.lr < 1")
        assert workers.apply(register, (run.artifacts, query)) == ("to be", 1)
        assert run.artifacts.get_blob("made") == "by a worker"


def test_a_store_finds_its_run_in_a_file_that_numbers_its_runs_otherwise(
    archive: Archive, tmp_path: Path
) -> None:
    run = archive.start_run()
    run.complete()
    pickled = pickle.dumps((run, run.artifacts))
    archive.close()
    (tmp_path / "lab.db").rename(tmp_path / "old.db")
    with Archive(tmp_path / "lab.db") as other:
        other.start_run().complete()
        with pytest.raises(RunNotFoundError):
            pickle.loads(pickled)
    for connection in opening._UNPICKLED.values():
        connection.close()
    (tmp_path / "lab.db").unlink()
    (tmp_path / "old.db").rename(tmp_path / "lab.db")
    archive.__init__(tmp_path / "lab.db")  # type: ignore[misc]
    assert pickle.loads(pickled)[1].run_id == run.run_id


def test_a_tail_goes_on_where_it_was(archive: Archive) -> None:
    with archive.start_run() as run:
        tail = archive.tail(run)
        run.log({"x": 1.0}, step=0)
        assert len(tail.read()) == 1
        run.log({"x": 2.0}, step=1)
        (update,) = pickle.loads(pickle.dumps(tail)).read()
        assert (update.series.lists()["step"], update.replaces) == ([1], False)


# Studies and trials


def search(study: Study) -> None:
    study.optimize(objective, n_trials=3)


@pytest.mark.parametrize("given", [None, Sampler.random(seed=3), optuna.samplers.RandomSampler(seed=3)])
def test_workers_search_one_study_and_suggest_each_their_own(
    archive: Archive, given: Any, workers: Pool
) -> None:
    study = archive.create_study("s", sampler=given or Sampler.random(seed=3), max_trials=6)
    workers.map(search, [study, study, study], chunksize=1)
    assert [trial.number for trial in study.completed_trials()] == list(range(6))
    assert len({trial.params["lr"] for trial in study.trials}) == 6
    assert study.fail_dead_trials() == []


def evaluate(trial: Trial) -> tuple[Trial, float]:
    lr = trial.suggest_float("lr", 0.1, 1.0)
    trial.report(0, lr)
    return trial, lr


def test_a_trial_is_asked_here_evaluated_elsewhere_and_told_here(archive: Archive, workers: Pool) -> None:
    study = archive.create_study("s", sampler=Sampler.random(seed=3))
    asked = [study.ask() for _ in range(3)]
    drawn = asked[0].suggest_float("lr", 0.1, 1.0)
    found = workers.map(evaluate, asked, chunksize=1)
    assert found[0][1] == drawn
    for trial, value in found:
        assert trial.params == {"lr": value}
        study.tell(trial, value)
    assert [trial.values for trial in study.trials] == [(value,) for _trial, value in found]
    assert [trial.reports for trial in study.trials] == [{0: value} for _trial, value in found]
    assert len({value for _trial, value in found}) == 3


def test_a_trial_keeps_what_its_sampler_has_drawn_for_it(archive: Archive) -> None:
    sampler = Sampler.tpe(seed=1, multivariate=True, n_startup_trials=2)
    study = archive.create_study("s", sampler=sampler)
    study.optimize(lambda trial: trial.suggest_float("a", 0, 1) + trial.suggest_float("b", 0, 1), 4)
    trial = study.ask()
    trial.suggest_float("a", 0, 1)
    twin = pickle.loads(pickle.dumps(trial))
    assert twin.suggest_float("b", 0, 1) == trial.optuna_trial.relative_params["b"]  # type: ignore[union-attr]


def test_optunas_own_study_can_be_handed_over(archive: Archive) -> None:
    study = archive.create_study("s", sampler=Sampler.random(seed=3), max_trials=2)
    for hand_over in (copy.deepcopy, _by_pickle):
        hand_over(study.optuna_study).optimize(lambda trial: trial.suggest_float("x", 0, 1), 1)
    assert len(study.completed_trials()) == 2
    assert _by_pickle(study.optuna_study)._storage.max_trials == 2


def _by_pickle(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


@pytest.mark.parametrize("again", [False, True])
def test_a_study_that_was_deleted_is_not_found(archive: Archive, again: bool) -> None:
    study = archive.create_study("s")
    pickled = pickle.dumps(study)
    archive.delete_study("s")
    if again:
        archive.create_study("s")
    with pytest.raises(StudyNotFoundError):
        pickle.loads(pickled)
