"""Optuna's storage over an archive: Optuna's own conformance suite, and what it does not ask."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    CmaEsSampler,
    GridSampler,
    NSGAIIISampler,
    NSGAIISampler,
    PartialFixedSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import StudyDirection
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import FrozenTrial, TrialState, create_trial

import exptrack.database.connection
from exptrack import Archive, ArchiveReadOnlyError, InvalidValueError, MissingPackageError
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS
from exptrack.process import current_process
from exptrack.sweeps.optuna_rows import DETAILS
from exptrack.sweeps.optuna_storage import OptunaStorage
from exptrack.sweeps.store import list_studies
from tests.changes import altering
from tests.effort import IS_THOROUGH, tries

MINIMIZE, MAXIMIZE = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.usefixtures("quiet_optuna"),
]


class TestOptunasOwnSuite(StorageTestCase):
    """Every test that Optuna has for storages."""


# Optuna's cases for samplers take no storage: their studies are in memory unless told otherwise; here in ours.


@pytest.fixture
def _studies_are_in_the_archive(storage: OptunaStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna.storages, "get_storage", lambda given: given or storage)


@pytest.mark.sampled(4)
@pytest.mark.usefixtures("_studies_are_in_the_archive")
class TestOptunasCasesForTpe(BasicSamplerTestCase, RelativeSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: TPESampler(n_startup_trials=0, multivariate=True)


@pytest.mark.sampled(4)
@pytest.mark.usefixtures("_studies_are_in_the_archive")
class TestOptunasCasesForCmaEs(RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: CmaEsSampler(n_startup_trials=0)


@pytest.mark.sampled(4)
@pytest.mark.usefixtures("_studies_are_in_the_archive")
class TestOptunasCasesForNsgaII(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return NSGAIISampler


# The same trials as in memory


def made(storage: optuna.storages.BaseStorage, trials: int, objective: Any, **how: Any) -> optuna.Study:
    study = optuna.create_study(storage=storage, study_name="same", **how)
    study.optimize(objective, n_trials=trials, catch=(ArithmeticError,))
    return study


def facts(trial: FrozenTrial) -> tuple[Any, ...]:
    """Of a trial what does not depend on the clock, order included; text, so that NaN equals itself."""
    reports = list(trial.intermediate_values.items())
    return (
        trial.number,
        trial.state,
        repr((trial.values, list(trial.params.items()), reports)),
        trial.distributions,
    )


def assert_same(ours: optuna.Study, theirs: optuna.Study) -> None:
    assert list(map(facts, ours.trials)) == list(map(facts, theirs.trials))
    for one, other in zip(ours.trials, theirs.trials, strict=True):
        assert list(one.user_attrs.items()) == list(other.user_attrs.items())
        assert list(one.system_attrs) == list(other.system_attrs)
    if len(ours.directions) == 1:
        assert ours.best_trial.number == theirs.best_trial.number
    else:
        assert [trial.number for trial in ours.best_trials] == [trial.number for trial in theirs.best_trials]


def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -2.0, 2.0, step=0.5)
    kind = trial.suggest_categorical("kind", ["a", None, True, 2.5])
    deep = trial.suggest_int("n", 1, 4)
    if kind == "a" and isinstance(trial.study.sampler, (TPESampler, RandomSampler, NSGAIISampler)):
        trial.suggest_float("only a", 1e-3, 1.0, log=True)
    value = (x - 1) ** 2 + deep / 4 + (kind is None)
    trial.set_user_attr("seen", [x, deep])
    for step in (3, 0, 7):
        trial.report(math.nan if step == 7 and trial.number % 4 == 0 else value / (step + 1), step)
    if trial.number % 5 == 4:
        raise optuna.TrialPruned
    if trial.number % 7 == 3:
        raise ArithmeticError
    return math.inf if trial.number == 8 else value


GRID = {"x": [-1.0, 0.0, 1.0, 2.0], "kind": ["a", None, True], "n": [1, 2, 4]}
# Of Optuna's samplers only GPSampler is not here: it needs torch.
SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "random": lambda: RandomSampler(seed=1),
    "grid": lambda: GridSampler(GRID, seed=1),
    "tpe": lambda: TPESampler(seed=1, n_startup_trials=4),
    "tpe multivariate": lambda: TPESampler(seed=1, n_startup_trials=4, multivariate=True),
    "tpe group": lambda: TPESampler(seed=1, n_startup_trials=4, multivariate=True, group=True),
    "tpe liar": lambda: TPESampler(seed=1, n_startup_trials=4, constant_liar=True),
    "cma-es": lambda: CmaEsSampler(seed=1, n_startup_trials=4, warn_independent_sampling=False),
    "qmc": lambda: QMCSampler(seed=1, scramble=True, warn_independent_sampling=False),
    "nsga2": lambda: NSGAIISampler(seed=1, population_size=6),
    "nsga3": lambda: NSGAIIISampler(seed=1, population_size=6),
    "brute force": lambda: BruteForceSampler(seed=1),
    "partial fixed": lambda: PartialFixedSampler({"n": 2}, TPESampler(seed=1, n_startup_trials=4)),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_each_sampler_makes_the_trials_that_it_makes_in_memory(storage: OptunaStorage, name: str) -> None:
    ours = made(storage, 30, objective, sampler=SAMPLERS[name]())
    theirs = made(optuna.storages.InMemoryStorage(), 30, objective, sampler=SAMPLERS[name]())
    assert {trial.state for trial in ours.trials} == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    assert_same(ours, theirs)


def noisy_course(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", 0.0, 1.0)
    for step in range(12):
        value = x + math.sin(trial.number * 7 + step * 3) / 2 - step / 20
        trial.report(value, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value


PRUNERS: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
    "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=12),
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
    "nop": optuna.pruners.NopPruner,
    "patient": lambda: optuna.pruners.PatientPruner(optuna.pruners.MedianPruner(n_startup_trials=3), 1),
    "percentile": lambda: optuna.pruners.PercentilePruner(25.0, n_startup_trials=3),
    "successive halving": lambda: optuna.pruners.SuccessiveHalvingPruner(),
    "threshold": lambda: optuna.pruners.ThresholdPruner(upper=1.2),
    "wilcoxon": lambda: optuna.pruners.WilcoxonPruner(p_threshold=0.3, n_startup_steps=1),
}


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_each_pruner_stops_the_trials_that_it_stops_in_memory(
    storage: OptunaStorage, name: str, direction: str
) -> None:
    how = {"direction": direction}
    ours = made(storage, 30, noisy_course, sampler=TPESampler(seed=2), pruner=PRUNERS[name](), **how)
    memory = optuna.storages.InMemoryStorage()
    theirs = made(memory, 30, noisy_course, sampler=TPESampler(seed=2), pruner=PRUNERS[name](), **how)
    assert any(trial.state == TrialState.PRUNED for trial in ours.trials) == (name != "nop")
    assert_same(ours, theirs)


def two_goals(trial: optuna.Trial, constrained: bool) -> tuple[float, float]:
    x, y = trial.suggest_float("x", 0.0, 5.0), trial.suggest_float("y", 0.0, 3.0)
    if constrained:
        trial.set_constraint("sum", x + y - 5)
        trial.set_constraint("never", -1)
    return 4 * x * x + 4 * y * y, (x - 5) ** 2 + (y - 5) ** 2


@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize("kind", [TPESampler, NSGAIISampler, NSGAIIISampler])
def test_several_objectives_and_constraints_give_the_trials_of_memory(
    storage: OptunaStorage, kind: Any, constrained: bool
) -> None:
    how: dict[str, Any] = {"directions": ["minimize", "maximize"]}
    size: dict[str, Any] = {"n_startup_trials": 5} if kind is TPESampler else {"population_size": 6}
    goals = partial(two_goals, constrained=constrained)
    ours = made(storage, 30, goals, sampler=kind(seed=3, **size), **how)
    theirs = made(optuna.storages.InMemoryStorage(), 30, goals, sampler=kind(seed=3, **size), **how)
    assert_same(ours, theirs)
    names = ["sum", "never"] if constrained else []
    assert [list(trial.constraints) for trial in ours.trials] == [names] * 30
    assert [trial.constraints for trial in ours.trials] == [trial.constraints for trial in theirs.trials]


X, N = FloatDistribution(-1, 1), IntDistribution(0, 9)
C = CategoricalDistribution(("a", None, 1.5, math.inf, True))
# Without a negative zero, which SQLite stores as zero.
VALUE = st.floats(allow_nan=False, width=16).map(lambda value: value + 0.0)
REPORT = st.floats(width=16).map(lambda value: value + 0.0)
STEP = st.one_of(
    st.tuples(st.just("new"), st.none()),
    st.tuples(st.just("add"), st.tuples(VALUE, st.sampled_from([TrialState.COMPLETE, TrialState.WAITING]))),
    st.tuples(st.just("begin"), st.integers(0, 5)),
    st.tuples(st.just("tell"), st.tuples(st.integers(0, 5), VALUE)),
    st.tuples(st.just("fail"), st.integers(0, 5)),
    st.tuples(st.just("requeue"), st.integers(0, 5)),
    st.tuples(st.just("param"), st.tuples(st.integers(0, 5), st.sampled_from("xnc"), st.integers(0, 4))),
    st.tuples(st.just("report"), st.tuples(st.integers(0, 5), st.integers(0, 3), REPORT)),
    st.tuples(st.just("attribute"), st.tuples(st.integers(0, 5), st.text(max_size=2), st.floats())),
)


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or the kind of error it raises."""
    try:
        return call()
    except (KeyError, ValueError, RuntimeError) as error:
        return type(error)


def do(storage: optuna.storages.BaseStorage, study: int, what: str, given: Any) -> Any:
    def trial(number: int) -> int:
        return storage.get_trial_id_from_study_id_trial_number(study, number)

    def act() -> Any:
        if what == "new":
            storage.create_new_trial(study)
        elif what == "add":
            value, state = given
            values = value if state == TrialState.COMPLETE else None
            template = create_trial(state=state, value=values, params={"x": 0.5}, distributions={"x": X})
            storage.create_new_trial(study, template)
        elif what == "begin":
            return storage.set_trial_state_values(trial(given), TrialState.RUNNING)
        elif what == "tell":
            return storage.set_trial_state_values(trial(given[0]), TrialState.COMPLETE, [given[1]])
        elif what == "fail":
            return storage.set_trial_state_values(trial(given), TrialState.FAIL)
        elif what == "requeue":
            return storage.set_trial_state_values(trial(given), TrialState.WAITING)
        elif what == "param":
            number, name, value = given
            storage.set_trial_param(trial(number), name, float(value), {"x": X, "n": N, "c": C}[name])
        elif what == "report":
            storage.set_trial_intermediate_value(trial(given[0]), *given[1:])
        else:
            storage.set_trial_user_attr(trial(given[0]), *given[1:])
        return None

    return outcome(act)


@settings(max_examples=tries(60), deadline=None)
@given(steps=st.lists(STEP, max_size=25), direction=st.sampled_from([MINIMIZE, MAXIMIZE]))
def test_whatever_is_done_to_it_looks_as_in_memory(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]], direction: StudyDirection
) -> None:
    with Archive(tmp_path_factory.mktemp("same") / "lab.db") as archive:
        ours, theirs = archive.optuna_storage(), optuna.storages.InMemoryStorage()
        fresh = archive.optuna_storage()
        mine, other = (one.create_new_study([direction]) for one in (ours, theirs))
        for what, given in steps:
            assert do(ours, mine, what, given) == do(theirs, other, what, given)
            expected = theirs.get_all_trials(other)
            assert list(map(facts, ours.get_all_trials(mine, deepcopy=False))) == list(map(facts, expected))
            best = [
                outcome(lambda s=s, i=i: s.get_best_trial(i).values) for s, i in ((ours, mine), (theirs, other))
            ]
            assert best[0] == best[1]
        expected = theirs.get_all_trials(other)
        assert list(map(facts, fresh.get_all_trials(mine))) == list(map(facts, expected))
        for one, another in zip(fresh.get_all_trials(mine), expected, strict=True):
            assert repr(list(one.user_attrs.items())) == repr(list(another.user_attrs.items()))
        assert archive.verify().problems == ()


# What is kept in memory


def test_finished_trials_are_read_once(storage: OptunaStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    study = storage.create_new_study([MINIMIZE])
    for value in range(1000):
        storage.create_new_trial(study, create_trial(value=value, params={"x": 0.5}, distributions={"x": X}))
    first = storage.get_all_trials(study, deepcopy=False)
    queries: list[str] = []
    fold = exptrack.database.connection.Connection.fold
    monkeypatch.setattr(
        exptrack.database.connection.Connection,
        "fold",
        lambda self, sql, *rest: (queries.append(sql), fold(self, sql, *rest))[1],
    )
    second = storage.get_all_trials(study, deepcopy=False)
    assert len(first) == 1000
    assert all(one is other for one, other in zip(first, second, strict=True))
    assert storage.get_best_trial(study) is first[0]
    assert len(queries) == 2
    assert DETAILS not in queries
    running = storage.create_new_trial(study)
    assert storage.get_all_trials(study, deepcopy=False)[-1]._trial_id == running
    assert queries.count(DETAILS) == 1


def test_a_zombie_does_not_make_later_trials_read_again(storage: OptunaStorage) -> None:
    study = storage.create_new_study([MINIMIZE])
    storage.create_new_trial(study)
    for value in range(5):
        storage.create_new_trial(study, create_trial(value=value))
    first = storage.get_all_trials(study, deepcopy=False)
    second = storage.get_all_trials(study, deepcopy=False)
    assert [one is other for one, other in zip(first, second, strict=True)] == [False, *[True] * 5]


def test_of_equal_values_that_of_the_lowest_number_is_the_best(storage: OptunaStorage) -> None:
    """The order of telling is lost when two files are merged."""
    study = optuna.create_study(storage=storage, direction="maximize", study_name="equal")
    trials = [study.ask() for _ in range(4)]
    for number, value in ((2, 1.0), (1, 1.0), (3, 0.5), (0, 0.25)):
        study.tell(trials[number], value)
        best = storage.get_best_trial(study._study_id)
    assert best.number == 1
    assert [one.best_number for one in list_studies(storage._connection)] == [1]


def test_a_study_that_another_process_deleted_is_gone(archive: Archive, storage: OptunaStorage) -> None:
    study = optuna.create_study(storage=storage, study_name="gone")
    study.add_trials([create_trial(value=value) for value in range(3)])
    old, trial = study._study_id, study.trials[0]._trial_id
    assert len(storage.get_all_trials(old, deepcopy=False)) == 3
    run(
        "optuna.delete_study(study_name='gone', storage=storage)\n"
        "study = optuna.create_study(study_name='gone', storage=storage)\n"
        "study.add_trial(optuna.create_trial(value=9.0))",
        archive.path,
    )
    calls: list[Callable[[], Any]] = [
        lambda: storage.get_all_trials(old),
        lambda: storage.get_all_trials(old, states=(TrialState.WAITING,)),
        lambda: storage.get_best_trial(old),
        lambda: storage.get_n_trials(old),
        lambda: storage.get_trial(trial),
        lambda: storage.get_study_name_from_id(old),
        lambda: storage.get_study_directions(old),
        lambda: storage.create_new_trial(old),
        lambda: storage.delete_study(old),
    ]
    assert [outcome(call) for call in calls] == [KeyError] * len(calls)
    again = optuna.load_study(study_name="gone", storage=storage)
    assert again._study_id != old
    assert [(one.number, one.value) for one in again.trials] == [(0, 9.0)]
    assert again.trials[0]._trial_id != trial


# Several processes


def script(body: str) -> str:
    return (
        "import json, sys, optuna, exptrack\n"
        "optuna.logging.set_verbosity(optuna.logging.ERROR)\n"
        "storage = exptrack.Archive(sys.argv[1]).optuna_storage()\n"
        f"{body}\n"
    )


def start(body: str, path: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script(body), path, *words]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(body: str, path: str) -> str:
    done = subprocess.run([sys.executable, "-c", script(body), path], capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


def at_once(body: str, path: str, processes: int) -> list[str]:
    """What each of several processes printed that all went on together after saying that they are ready."""
    ready = "print('ready', flush=True)\nsys.stdin.readline()\n"
    running = [start(ready + body, path, str(number)) for number in range(processes)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=240) for process in running]
    assert [errors for _said, errors in ends] == [""] * processes
    return [said for said, _errors in ends]


def test_exactly_one_process_gets_a_waiting_trial(archive: Archive, storage: OptunaStorage) -> None:
    study = optuna.create_study(storage=storage, study_name="race")
    for number in range(50):
        study.enqueue_trial({"x": number})
    ids = [trial._trial_id for trial in study.trials]
    said = at_once(
        f"state = optuna.trial.TrialState.RUNNING\n"
        f"print(json.dumps([storage.set_trial_state_values(one, state) for one in {ids}]))",
        archive.path,
        2,
    )
    wins = [json.loads(one) for one in said]
    assert [first + second for first, second in zip(*wins, strict=True)] == [1] * 50
    owners = archive._connection.all("SELECT owner FROM trial ORDER BY id")
    pids = [json.loads(row[0])["pid"] for row in owners]
    assert len(set(pids)) <= 2
    assert [pids[n] == pids[m] for n in range(50) for m in range(50)] == [
        wins[0][n] == wins[0][m] for n in range(50) for m in range(50)
    ]


WORKER = """
def objective(trial):
    x, y = trial.suggest_float("x", -5, 5), trial.suggest_int("y", 0, 9)
    for step in range(3):
        trial.report(x + step, step)
    told.append([trial.number, x * x + y])
    return x * x + y
told = []
sampler = optuna.samplers.RandomSampler(seed=int(sys.argv[2]))
study = optuna.create_study(storage=storage, study_name="many", sampler=sampler, load_if_exists=True)
study.optimize(objective, n_trials=25)
print(json.dumps(told))
"""


def test_many_processes_lose_nothing_and_meet_no_error(archive: Archive) -> None:
    processes = 16 if IS_THOROUGH else 6
    said = at_once(WORKER, archive.path, processes)
    told = sorted(tuple(pair) for one in said for pair in json.loads(one))
    assert [number for number, _value in told] == list(range(25 * processes))
    study = optuna.load_study(study_name="many", storage=archive.optuna_storage())
    assert [(trial.number, trial.value) for trial in study.trials] == told
    for trial in study.trials:
        x = trial.params["x"]
        assert trial.intermediate_values == {0: x, 1: x + 1, 2: x + 2}
        assert trial.value == x * x + trial.params["y"]
    assert archive.sql("SELECT count(*) FROM trial_params").rows == ((50 * processes,),)
    assert archive.verify().problems == ()


DOOMED = """
def said(*what):
    print(json.dumps(what), flush=True)
study = optuna.create_study(storage=storage, study_name="doomed")
while True:
    trial = study.ask()
    said("trial", trial.number)
    said("param", trial.number, trial.suggest_float("x", 0, 1))
    for step in range(5):
        trial.report(step / 2, step)
        said("report", trial.number, step)
    trial.set_user_attr("note", trial.number)
    said("note", trial.number)
    study.tell(trial, trial.params["x"])
    said("told", trial.number, trial.params["x"])
"""


@pytest.mark.parametrize("lines", [1, 40, 95, 211])
def test_a_killed_process_loses_nothing_that_was_set(archive: Archive, lines: int) -> None:
    process = start(DOOMED, archive.path)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    rest, _errors = process.communicate(timeout=60)
    said += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    assert process.returncode == -signal.SIGKILL
    storage = archive.optuna_storage()
    trials = storage.get_all_trials(storage.get_study_id_from_name("doomed"))
    for what, number, *facts in map(json.loads, said):
        trial = trials[number]
        if what == "param":
            assert trial.params == {"x": facts[0]}
        elif what == "report":
            assert trial.intermediate_values[facts[0]] == facts[0] / 2
        elif what == "note":
            assert trial.user_attrs == {"note": number}
        elif what == "told":
            assert (trial.state, trial.value) == (TrialState.COMPLETE, facts[0])
    assert archive.verify().problems == ()


def test_a_script_that_closes_nothing_ends_without_a_word(archive: Archive) -> None:
    body = "study = optuna.create_study(storage=storage)\nstudy.ask()\nprint(len(study.trials))"
    assert run(body, archive.path) == "1\n"


def test_threads_share_one_storage(storage: OptunaStorage) -> None:
    study = optuna.create_study(storage=storage, sampler=RandomSampler(seed=1))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=60, n_jobs=6)
    assert [trial.number for trial in study.trials] == list(range(60))
    assert all(trial.value == trial.params["x"] for trial in study.trials)


def test_a_pickled_storage_opens_the_archive_in_another_process(
    archive: Archive, storage: OptunaStorage, tmp_path: Path
) -> None:
    study = optuna.create_study(storage=storage, study_name="pickled")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    (tmp_path / "study.pickle").write_bytes(pickle.dumps(study))
    code = (
        "import pickle, sys\n"
        "study = pickle.load(open(sys.argv[1], 'rb'))\n"
        "study.optimize(lambda trial: trial.suggest_float('x', 0, 1), n_trials=3)\n"
        "print(len(study.trials), study._storage.get_heartbeat_interval())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "study.pickle")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "5 None\n"
    assert len(study.trials) == 5


def test_a_pickled_storage_keeps_its_heartbeat_and_mode(archive: Archive) -> None:
    given = archive.optuna_storage(heartbeat_interval=7, grace_period=9, failed_trial_callback=print)
    found = pickle.loads(pickle.dumps(given))
    assert (found._heartbeat_interval, found._grace_period, found._failed_trial_callback) == (7, 9, print)
    with Archive(archive.path, mode="ro") as reader:
        assert pickle.loads(pickle.dumps(reader.optuna_storage()))._connection.mode == "ro"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_goes_on_with_the_storage(archive: Archive, storage: OptunaStorage) -> None:
    study = optuna.create_study(storage=storage, study_name="fork")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    storage._lock.acquire()  # as a thread of the parent's may hold it at the fork
    child = os.fork()
    if child == 0:
        code = 1
        try:
            study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
            code = 0 if len(study.trials) == 6 else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    storage._lock.release()
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    assert [trial.number for trial in study.trials] == list(range(9))


# Heartbeats


def put_far_away(archive: Archive, trial: int) -> None:
    """Let a process of another machine own a trial."""
    owner = json.dumps({"host_id": "far", "boot_id": "another-machine", "pid": 7, "started": "1"})
    with altering(archive._connection):
        archive._connection.execute("UPDATE trial SET owner = ? WHERE id = ?", (owner, trial))


@pytest.fixture
def passed_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of the storage's clock, in a list so that a test moves it."""
    now_s = [0.0]
    monkeypatch.setattr("exptrack.sweeps.heartbeats.time", SimpleNamespace(monotonic=lambda: now_s[0]))
    return now_s


def test_a_trial_without_a_heartbeat_for_long_is_failed_and_the_callback_told(
    archive: Archive, passed_s: list[float]
) -> None:
    told: list[tuple[str, int, TrialState]] = []
    storage = archive.optuna_storage(
        heartbeat_interval=60,
        grace_period=120,
        failed_trial_callback=lambda study, trial: told.append((study.study_name, trial.number, trial.state)),
    )
    study = optuna.create_study(storage=storage, study_name="stale")
    silent, alive, never, ours = (storage.create_new_trial(study._study_id) for _ in range(4))
    for trial in (silent, alive, ours):
        storage.record_heartbeat(trial)
    for trial in (silent, alive, never):
        put_far_away(archive, trial)
    for passed_s[0] in (0.0, 60.0, 120.0):
        assert storage._get_stale_trial_ids(study._study_id) == []
        storage.record_heartbeat(alive)
    passed_s[0] = 121.0
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert told == [("stale", 0, TrialState.FAIL)]
    # A process that is seen to live is never taken for dead, however long ago its heartbeat is.
    states = [storage.get_trial(trial).state for trial in (silent, alive, never, ours)]
    assert states == [TrialState.FAIL, TrialState.RUNNING, TrialState.RUNNING, TrialState.RUNNING]
    row = archive._connection.one("SELECT heartbeat_at, ended_at, owner FROM trial WHERE number = 4")
    assert row is not None
    assert row["heartbeat_at"] is not None
    assert row["ended_at"] is not None
    assert row["owner"] is None


@pytest.mark.parametrize("years", ["1990", "2090"])
def test_no_clock_makes_a_trial_stale_nor_keeps_it_from_that(
    archive: Archive, years: str, passed_s: list[float]
) -> None:
    """Heartbeats of another clock come from the past or the future."""
    storage = archive.optuna_storage(heartbeat_interval=60)
    study = storage.create_new_study([MINIMIZE])
    trial = storage.create_new_trial(study)
    put_far_away(archive, trial)
    for second in range(3):
        with altering(archive._connection):
            archive._connection.execute(
                "UPDATE trial SET heartbeat_at = ?", (f"{years}-01-01 00:00:0{second}",)
            )
        assert storage._get_stale_trial_ids(study) == []
        passed_s[0] += 119.0
    assert storage._get_stale_trial_ids(study) == []
    passed_s[0] += 2.0
    assert storage._get_stale_trial_ids(study) == [trial]


def test_a_trial_whose_process_is_known_to_be_dead_is_stale_at_once(archive: Archive) -> None:
    storage = archive.optuna_storage(heartbeat_interval=60)
    study = storage.create_new_study([MINIMIZE])
    trial = storage.create_new_trial(study)
    storage.record_heartbeat(trial)
    owner = json.dumps(current_process()._replace(started="long ago")._asdict())
    with altering(archive._connection):
        archive._connection.execute("UPDATE trial SET owner = ?", (owner,))
    assert storage._get_stale_trial_ids(study) == [trial]


def test_optunas_own_callback_queues_the_failed_trial_again(archive: Archive, passed_s: list[float]) -> None:
    retry = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=1)
    storage = archive.optuna_storage(heartbeat_interval=60, failed_trial_callback=retry)
    study = optuna.create_study(storage=storage)
    trial = storage.create_new_trial(study._study_id)
    storage.set_trial_param(trial, "x", 0.25, X)
    storage.record_heartbeat(trial)
    put_far_away(archive, trial)
    assert storage._get_stale_trial_ids(study._study_id) == []
    passed_s[0] = 121.0
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1), n_trials=1)
    assert [(one.state, one.params) for one in study.trials] == [
        (TrialState.FAIL, {"x": 0.25}),
        (TrialState.COMPLETE, {"x": 0.25}),
    ]


def test_without_an_interval_nothing_is_stale(archive: Archive, storage: OptunaStorage) -> None:
    study = storage.create_new_study([MINIMIZE])
    storage.record_heartbeat(storage.create_new_trial(study))
    with altering(archive._connection):
        archive._connection.execute("UPDATE trial SET heartbeat_at = '2020-01-01'")
    assert storage._get_stale_trial_ids(study) == []
    assert storage.get_heartbeat_stale_trial_callback() is None


@pytest.mark.parametrize("given", [{"heartbeat_interval": 0}, {"grace_period": -1}, {"grace_period": math.nan}])
def test_an_interval_is_seconds_above_zero(archive: Archive, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match="seconds above 0"):
        archive.optuna_storage(**given)


# What is stored, and what is refused


def test_what_cannot_be_stored_is_refused_and_changes_nothing(storage: OptunaStorage) -> None:
    study = storage.create_new_study([MINIMIZE, MAXIMIZE])
    trial = storage.create_new_trial(study)
    complete = TrialState.COMPLETE
    refused: list[tuple[str, Callable[[], Any]]] = [
        ("NaN", lambda: storage.set_trial_state_values(trial, complete, [math.nan, 1.0])),
        ("2 values", lambda: storage.set_trial_state_values(trial, complete, [1.0])),
        ("2 values", lambda: storage.set_trial_state_values(trial, complete)),
        ("2 values", lambda: storage.create_new_trial(study, create_trial(value=1.0))),
        ("surrogate", lambda: storage.create_new_study([MINIMIZE], "\ud800")),
        ("surrogate", lambda: storage.set_trial_param(trial, "\ud800", 0.0, X)),
        ("surrogate", lambda: storage.set_trial_param(trial, "x", 0, CategoricalDistribution(("\ud800",)))),
        (
            "directions must be a list of StudyDirection",
            lambda: storage.create_new_study([StudyDirection.NOT_SET]),
        ),
        ("directions must be a list of StudyDirection", lambda: storage.create_new_study([])),
    ]
    for words, call in refused:
        with pytest.raises(ValueError, match=words):
            call()
    assert len(storage.get_all_studies()) == 1
    (found,) = storage.get_all_trials(study)
    assert (found.state, found.values, found.params) == (TrialState.RUNNING, None, {})


def test_a_parameter_that_other_processes_set_otherwise_is_refused(archive: Archive) -> None:
    first, second = archive.optuna_storage(), archive.optuna_storage()
    study = first.create_new_study([MINIMIZE])
    first.set_trial_param(first.create_new_trial(study), "x", 0.5, X)
    trial = second.create_new_trial(study)
    with pytest.raises(ValueError, match="distribution kind"):
        second.set_trial_param(trial, "x", 1, N)
    assert second.get_trial(trial).params == {}


def test_a_running_trial_names_its_process(archive: Archive, storage: OptunaStorage) -> None:
    study = optuna.create_study(storage=storage)
    study.enqueue_trial({"x": 0.5})

    def owner() -> Any:
        found = archive._connection.value("SELECT owner FROM trial")
        return None if found is None else json.loads(found)

    assert owner() is None
    trial = study.ask()
    assert owner() == {**current_process()._asdict(), "shown": HAS_OPEN_FILE_LOCKS}
    study.tell(trial, 1.0)
    assert owner() is None


def test_a_reader_reads_studies_and_changes_none(archive: Archive, storage: OptunaStorage) -> None:
    made(storage, 5, lambda trial: trial.suggest_float("x", 0, 1))
    with Archive(archive.path, mode="ro") as reader:
        study = optuna.load_study(study_name="same", storage=reader.optuna_storage())
        assert [trial.number for trial in study.trials] == [0, 1, 2, 3, 4]
        assert study.best_value == min(trial.value for trial in study.trials)
        for change in (study.ask, lambda: study.set_user_attr("a", 1), lambda: study.enqueue_trial({"x": 1})):
            with pytest.raises(ArchiveReadOnlyError):
                change()


# Optuna itself


@pytest.mark.parametrize("version", ["4.9.0", None])
def test_an_absent_or_old_optuna_is_named_with_the_extra(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    if version is None:
        monkeypatch.setitem(sys.modules, "optuna", None)
    else:
        monkeypatch.setattr(optuna, "__version__", version)
    with pytest.raises(MissingPackageError, match=r"optuna 5 or newer.*\[sweep\]"):
        archive.optuna_storage()


def asked(app: Any, path: str) -> Any:
    """What a WSGI application answers to a GET, which has to be JSON."""
    path, _, query = path.partition("?")
    answered: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
    body = b"".join(app(environ, lambda status, _headers, *_rest: answered.append(status)))
    assert answered == ["200 OK"]
    return json.loads(body)


def test_optunas_dashboard_shows_the_studies_of_an_archive(storage: OptunaStorage) -> None:
    import optuna_dashboard  # takes scikit-learn along, which collecting the tests need not wait for

    study = made(storage, 12, objective, sampler=RandomSampler(seed=1))
    app = optuna_dashboard.wsgi(storage)
    (listed,) = asked(app, "/api/studies")["study_summaries"]
    assert (listed["study_id"], listed["study_name"]) == (study._study_id, "same")
    detail = asked(app, f"/api/studies/{study._study_id}?after=0")
    assert [trial["number"] for trial in detail["trials"]] == list(range(12))
    assert [trial["state"].lower() for trial in detail["trials"]] == [
        t.state.name.lower() for t in study.trials
    ]
    assert [best["number"] for best in detail["best_trials"]] == [study.best_trial.number]
    shown = {param["name"] for trial in detail["trials"] for param in trial["params"]}
    assert shown == {name for trial in study.trials for name in trial.params}


def test_no_trial_ends_before_it_began_where_the_clock_is_set_back(
    archive: Archive, storage: OptunaStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(study_name="s", storage=storage)
    trial = study.ask()
    monkeypatch.setattr("exptrack.sweeps.optuna_storage.utc_text", lambda: "2001-01-01 00:00:00.000000")
    study.tell(trial, 1.0)
    ended = study.trials[0]
    assert ended.datetime_complete == ended.datetime_start
    assert archive.verify().problems == ()
