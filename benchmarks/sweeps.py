"""How many trials a second does a study make, in one process and in 16 at once?

    python -m benchmarks.sweeps [--processes 16] [--trials 400] [--quick]

The processes share one study with a random sampler, and each runs an equal share of the trials. A trial
suggests two floats, reports three values and is told its value. Counted are errors, trial numbers given twice,
values that were told but are not found, the longest trial, and trials a second from the first begin to the last
end.

There are three baselines. Two use Optuna's RDBStorage on SQLite, waiting for locks without limit: once with its
defaults (every commit survives a power cut), and once with the settings of exptrack (WAL, synchronous NORMAL:
every commit survives a kill). The third is Optuna's storage in memory, in one process.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import sqlalchemy.event

from benchmarks.timing import arguments, headline, print_table
from exptrack import Archive

STUDY = "sweep"
REPORTS = 3
RDB_WAIT_S = 600


class Outcome(NamedTuple):
    """What one process told; moments are of the system-wide monotonic clock."""

    told: list[tuple[int, float]]
    began: float
    ended: float
    longest_s: float
    error: str


def ours(path: str) -> optuna.storages.BaseStorage:
    return Archive(path).optuna_storage()


def rdb(path: str) -> optuna.storages.BaseStorage:
    waiting = {"connect_args": {"timeout": RDB_WAIT_S}}
    return optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs=waiting)


def rdb_in_wal_mode(path: str) -> optuna.storages.BaseStorage:
    storage = rdb(path)
    assert isinstance(storage, optuna.storages.RDBStorage)

    @sqlalchemy.event.listens_for(storage.engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_mode = WAL")

    close(storage)  # those that are opened from now on are configured
    return storage


def close(storage: optuna.storages.BaseStorage) -> None:
    """Close the connections of Optuna's own storage. Python 3.13 warns of those that the collector closes."""
    if isinstance(storage, optuna.storages.RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


def in_memory(_path: str) -> optuna.storages.BaseStorage:
    return optuna.storages.InMemoryStorage()


def objective(trial: optuna.Trial) -> float:
    x, y = trial.suggest_float("x", -5, 5), trial.suggest_float("y", -5, 5)
    value = (x - 2) ** 2 + (y + 1) ** 2
    for step in range(REPORTS):
        trial.report(value / (1 + step), step)
    return value


def make_trials(storage: optuna.storages.BaseStorage, number: int, trials: int, gate: Any = None) -> Outcome:
    """Run one process's share of the study's trials."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=number)
    study = optuna.load_study(study_name=STUDY, storage=storage, sampler=sampler)
    told: list[tuple[int, float]] = []
    longest, error = 0.0, ""
    if gate is not None:
        gate.wait()
    began = time.monotonic()
    try:
        for _ in range(trials):
            before = time.perf_counter()
            study.optimize(objective, 1, callbacks=[lambda _, trial: told.append((trial.number, trial.value))])
            longest = max(longest, time.perf_counter() - before)
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
    return Outcome(told, began, time.monotonic(), longest, error)


def in_a_process(
    opener: Callable[[str], optuna.storages.BaseStorage], path: str, number: int, trials: int, gate: Any
) -> Outcome:
    return make_trials(opener(path), number, trials, gate)


def measure(
    opener: Callable[[str], optuna.storages.BaseStorage],
    path: str,
    processes: int,
    trials: int,
    pool: Pool,
    gate: Any,
) -> tuple[list[Outcome], int, int]:
    """Make the trials of a new study; return the outcomes, the numbers given twice and the values lost.

    Several processes are those of the pool: one of them waits at the gate for the others.
    """
    storage = opener(path)
    optuna.create_study(storage=storage, study_name=STUDY)
    share = trials // processes
    if processes == 1:
        outcomes = [make_trials(storage, 0, share)]
    else:
        waiting = [
            pool.apply_async(in_a_process, (opener, path, number, share, gate)) for number in range(processes)
        ]
        outcomes = [one.get() for one in waiting]
    told = [pair for outcome in outcomes for pair in outcome.told]
    found = {trial.number: trial for trial in optuna.load_study(study_name=STUDY, storage=storage).trials}
    close(storage)
    twice = len(told) - len(dict(told))
    lost = sum(
        number not in found or found[number].value != value or len(found[number].intermediate_values) != REPORTS
        for number, value in told
    )
    return outcomes, twice, lost


def rate(outcomes: Sequence[Outcome]) -> float:
    """Trials a second, from the first beginning to the last end."""
    made = sum(len(one.told) for one in outcomes)
    return made / (max(one.ended for one in outcomes) - min(one.began for one in outcomes))


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, processes=16, trials=400)
    processes = given.processes
    trials = max(1, given.trials // processes) * processes
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows, rates = [], {}
    errors = twice = lost = 0
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as name,
        context.Manager() as manager,
        context.Pool(processes) as pool,
    ):
        gate = manager.Barrier(processes)
        for title, opener, count in (
            ("Optuna in memory, 1 process", in_memory, 1),
            ("Optuna RDBStorage, 1 process", rdb, 1),
            ("Optuna RDBStorage in WAL mode, 1 process", rdb_in_wal_mode, 1),
            ("exptrack, 1 process", ours, 1),
            (f"Optuna RDBStorage, {processes} processes", rdb, processes),
            (f"Optuna RDBStorage in WAL mode, {processes} processes", rdb_in_wal_mode, processes),
            (f"exptrack, {processes} processes", ours, processes),
        ):
            path = Path(name) / f"{opener.__name__}{count}.db"
            outcomes, doubled, missing = measure(opener, str(path), count, trials, pool, gate)
            failed = [outcome.error for outcome in outcomes if outcome.error]
            for error in failed:
                print(f"error: {title}: {error}")
            longest = max(outcome.longest_s for outcome in outcomes) * 1000
            rates[opener, count] = rate(outcomes)
            rows.append((title, rates[opener, count], longest, len(failed), doubled, missing))
            if opener is ours:
                errors, twice, lost = errors + len(failed), twice + doubled, lost + missing
                with Archive(path) as archive:
                    report = archive.verify()
                    assert report.ok, report.problems
    print(f"{trials:,} trials of two floats and {REPORTS} reports")
    print_table(("", "trials/s", "longest ms", "errors", "doubled", "lost"), rows)
    for count in (1, processes):
        mine = rates[ours, count]
        plain, in_wal_mode = mine / rates[rdb, count], mine / rates[rdb_in_wal_mode, count]
        headline(
            f"{count} process{'es' if count > 1 else ''}: {mine:,.0f} trials/s, {plain:.1f} x Optuna's own"
            f" SQLite storage (>= 5), {in_wal_mode:.1f} x the same in WAL mode"
        )
    headline(f"{errors} errors, {twice} numbers given twice, {lost} values lost")


if __name__ == "__main__":
    main()
