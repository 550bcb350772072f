"""The part of an archive that searches over configs: studies, their trials, sweeps, and Optuna's storage.

Invariant: calls that only read studies, stop them or delete them need no Optuna.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exptrack.database.connection import Connection
from exptrack.listed import listed
from exptrack.records import TrialState
from exptrack.validation import check_choice, check_flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from exptrack.sweeps.optuna_storage import OptunaStorage, StaleTrialCallback
    from exptrack.sweeps.plan import SweepPlan
    from exptrack.sweeps.records import StudyInfo, SweepReport, SweepTrial, TrialRecord
    from exptrack.sweeps.results import StudyResults
    from exptrack.sweeps.study import Study
    from exptrack.sweeps.study_config import StudyConfig


class ArchiveStudies:
    """The calls of an archive about studies and sweeps."""

    _connection: Connection
    _settle: Callable[[], None]

    # Searching

    def create_study(
        self, config: StudyConfig | str, direction: str | Sequence[str] = "minimize", **options: Any
    ) -> Study:
        """Create a study: a search over configs whose trials are runs. Commits.

        `config` is a :class:`StudyConfig`, or the name of the study with the options of one.

        Raises:
            StudyExistsError: there is already a study of this name.
            InvalidValueError: an option is invalid; the message names it.
            MissingPackageError: Optuna is not installed.
        """
        from exptrack.extras import require_optuna

        require_optuna()
        from exptrack.sweeps.study import Study

        return Study.create(config, direction, archive=self, **options)

    def study(self, name: str, *, sampler: object = None, pruner: object = None) -> Study:
        """Return a study by its name, to read it or to continue it.

        A `sampler` or `pruner` replaces, in the returned object only, the one that the study was created with.

        Raises:
            StudyNotFoundError: there is no such study.
            MissingPackageError: Optuna is not installed.
        """
        from exptrack.extras import require_optuna

        require_optuna()
        from exptrack.sweeps.study import open_study

        return open_study(self._connection, name, sampler=sampler, pruner=pruner)

    def run_sweep(
        self,
        sweep: SweepPlan | str,
        command: Sequence[str] | None = None,
        *,
        args: str | None = None,
        dashes: bool = False,
        flags: bool = False,
        jobs: int | None = None,
        max_trials: int | None = None,
        time_limit: float | str | None = None,
        retries: int | None = None,
        retry: bool = False,
        retry_failed: bool = False,
        take_over: bool = False,
        accept_changes: bool = False,
        stop_on_failure: bool = False,
        keep_going: bool = False,
        before: Callable[[SweepPlan], None] | None = None,
        after: Callable[[SweepTrial], None] | None = None,
        listener: Callable[[bytes, bool], None] | None = None,
    ) -> SweepReport:
        """Run a command for each trial of a sweep until the sweep is over; continue it if it exists. Commits.

        `sweep` is a plan, or the name of a study. For a plan without a study, the study is created. In the
        command, ``{optim.lr}`` stands for the value of a param, and ``{overrides}`` for all params that have no
        such place; without it they are added at the end. They are written as overrides ``key=value``. With
        `args` they are options: ``--{key}={value}`` is a form for argparse, in which `dashes` writes
        ``--batch-size`` for ``batch_size``. With `flags`, a param that is true is an option without a value,
        and false leaves it out. A param that is None is left out too.

        The command finds its archive and trial in the environment: its :func:`exptrack.start_run` starts the
        trial's run, and its :func:`exptrack.current_trial` is the trial.

        The study remembers the plan, and the command unless that holds a secret. `jobs`, `max_trials`,
        `time_limit` (seconds, or text like ``"2h 30m"``) and `retries` replace the values of the plan. A plan
        or a command that differs from the remembered one is refused, unless `accept_changes` is true.

        `retry` repeats the trials that died or were interrupted earlier, and `retry_failed` all that failed; a
        repetition does not count for `max_trials`. `take_over` also fails running trials whose process cannot
        be seen from here, as on another host; only you can know that it is dead.

        If the first trials all fail, and three of them in the same way within 30 seconds, no more begin. The
        report has the reason and the last lines of output. `keep_going` goes on all the same, and
        `stop_on_failure` starts no more trials after one failed.

        `before` is called with the plan before the first trial begins, and `after` with each trial that ended.
        `listener` is called with the output of the commands: bytes, and whether they were written to standard
        error.

        Ctrl-C and SIGTERM ask the commands to end; a second one kills them. Then this call raises
        KeyboardInterrupt or SystemExit.

        Raises:
            SweepDiffersError: a sweep of this name has another plan or command. With `accept_changes`: one
                study cannot hold the trials of both, as of two objectives.
            ConflictError: the plan or command differs, and trials with the earlier one are running.
            StudyNotFoundError: there is no study of this name.
            InvalidValueError: the command cannot be run, or an option is invalid; the message names it.
            MissingPackageError: Optuna is not installed.
        """
        from exptrack.extras import require_optuna

        require_optuna()
        from exptrack.sweeps.runner import run_sweep

        return run_sweep(
            self._connection,
            sweep,
            command,
            args=args,
            dashes=dashes,
            flags=flags,
            jobs=jobs,
            max_trials=max_trials,
            time_limit=time_limit,
            retries=retries,
            retry=retry,
            retry_failed=retry_failed,
            take_over=take_over,
            accept_changes=accept_changes,
            stop_on_failure=stop_on_failure,
            keep_going=keep_going,
            before=before,
            after=after,
            listener=listener,
        )

    def optuna_storage(
        self,
        *,
        heartbeat_interval: int | None = None,
        grace_period: int | None = None,
        failed_trial_callback: StaleTrialCallback | None = None,
    ) -> OptunaStorage:
        """Return this archive as an Optuna storage: ``optuna.create_study(storage=archive.optuna_storage())``.

        It shares the archive's connection and stops working when that is closed. Every change of a study
        commits.

        `heartbeat_interval` is the time in seconds between the heartbeats that Optuna's ``optimize`` writes for
        a trial. A process that runs the study marks a trial with heartbeats failed once the trial's process is
        dead. If it cannot see that process, it waits until no new heartbeat has come for `grace_period` seconds
        (by default twice the interval). It then calls `failed_trial_callback` with the study and the trial.

        Raises:
            MissingPackageError: optuna 5 or newer is not installed.
            InvalidValueError: the interval or the grace period is not a positive number of seconds.
        """
        from exptrack.extras import require_optuna

        require_optuna()
        from exptrack.sweeps.optuna_storage import OptunaStorage

        return OptunaStorage(
            self._connection,
            heartbeat_interval=heartbeat_interval,
            grace_period=grace_period,
            failed_trial_callback=failed_trial_callback,
        )

    # Reading and tending; needs no Optuna

    @listed
    def studies(self) -> list[StudyInfo]:
        """List every study, the newest first. Needs no Optuna."""
        from exptrack.sweeps.store import list_studies

        return list_studies(self._connection)

    @listed
    def trials(self, study: str, *states: TrialState) -> list[TrialRecord]:
        """List the trials of a study by number, or only those in the given states. Needs no Optuna.

        Raises:
            StudyNotFoundError: there is no such study.
            InvalidValueError: there is no such state.
        """
        from exptrack.sweeps.store import find_study, read_trials

        chosen = tuple(TrialState(check_choice(state, "a trial state", TrialState)) for state in states)
        found = find_study(self._connection, study)["id"]
        return read_trials(self._connection, found, chosen or tuple(TrialState))

    def study_results(self, study: str) -> StudyResults:
        """Read the results of a study as they are now: trials, history, slices, reports. Needs no Optuna.

        Raises:
            StudyNotFoundError: there is no such study.
        """
        from exptrack.sweeps.results import StudyResults

        return StudyResults(self._connection, study)

    def stop_study(self, name: str, *, now: bool = False) -> int:
        """Ask every process that searches a study to start no more trials; count the running ones. Commits.

        Running trials go on to their end. With `now`, the commands that a sweep runs are asked to end too. A
        search that begins later is not stopped. Needs no Optuna.

        Raises:
            StudyNotFoundError: there is no such study.
        """
        from exptrack.sweeps.store import ask_to_stop, find_study, study_info

        at_once = check_flag(now, "now")
        row = find_study(self._connection, name)
        ask_to_stop(self._connection, row["id"], now=at_once)
        return study_info(self._connection, row).counts[TrialState.RUNNING]

    def delete_study(self, name: str, *, with_runs: bool = False, only_ended: bool = False) -> int:
        """Delete a study and its trials, and return how many trials it had. Commits; power-safe `with_runs`.

        The runs of the trials stay. `with_runs` deletes them too, in the same transaction, and gives the space
        back. With `only_ended`, nothing is deleted if a trial may be running. Needs no Optuna.

        Raises:
            StudyNotFoundError: there is no such study.
            ConflictError: with `only_ended`, a trial may be running.
            RunBusyError: with `with_runs`, the run of a trial is running; nothing is deleted.
        """
        from exptrack.sweeps.store import delete_study

        with_runs, only_ended = check_flag(with_runs, "with_runs"), check_flag(only_ended, "only_ended")
        self._settle()
        return delete_study(self._connection, name, with_runs=with_runs, only_ended=only_ended)
