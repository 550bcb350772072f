"""Optuna's storage over the archive: studies and trials as rows, for all of Optuna's samplers and pruners.

Invariants: each ``set_`` and ``create_`` call is one transaction, which survives a SIGKILL once the call has
returned. The ids that Optuna sees are row ids and are never reused. A trial gets its number inside the
transaction that creates it, and trials are only deleted with their study. So the trials of a study have the
numbers 0, 1, … without a gap. Exactly one process begins a waiting trial. A finished trial never changes: it is
read once and kept in memory. Before the storage returns kept trials, it asks the file whether their study still
exists. Trials that were returned are never changed. The storage knows nothing of runs.
"""

from __future__ import annotations

import copy
import json
import os
import threading
import uuid
from collections.abc import Callable, Container, Iterable, Sequence
from math import nan
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias

import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.storages._base import DEFAULT_STUDY_NAME_PREFIX
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from exptrack.database.connection import Connection, in_reading, in_section
from exptrack.database.damage import decoding_rows, telling_damage
from exptrack.errors import InvalidTypeError
from exptrack.plain import reading, short_repr
from exptrack.runs import row_sums
from exptrack.runs.identity import new_run_id
from exptrack.sweeps import optuna_rows as rows
from exptrack.sweeps.heartbeats import Heartbeats
from exptrack.sweeps.optuna_arguments import (
    check_directions,
    check_id,
    check_interval,
    check_state,
    check_template,
    check_values,
    encode_attribute,
)
from exptrack.sweeps.store import COUNTS_BY_STATE, DELETE_STUDY, OBJECTIVES, describe_owner
from exptrack.times import utc_text
from exptrack.validation import (
    INT64_MIN,
    check_flag,
    check_function,
    check_number,
    check_step,
    check_text,
    check_whole,
)

OF_THIS_PROCESS = {"_pid", "_lock", "_known", "_heartbeats"}

StaleTrialCallback: TypeAlias = Callable[[optuna.Study, FrozenTrial], None]


# Trials are numbered without gaps, and a page of new ones is read at once.
MOST_UNSEEN = 1_000_000


class _Known:
    """The trials of one study that this process keeps, and where it has to read again."""

    def __init__(self) -> None:
        self.by_number: list[FrozenTrial | None] = []  # the finished trials, None for an unfinished one
        self.open: set[int] = set()  # the numbers at which that has None
        self.unranked: list[FrozenTrial] = []  # complete; not compared to best yet
        self.best: tuple[tuple[float, int], FrozenTrial] | None = None
        self.distributions: dict[str, BaseDistribution] = {}


class OptunaStorage(BaseStorage, BaseHeartbeat):
    """An archive as Optuna's storage, for ``optuna.create_study(storage=…)``. Every change commits.

    `heartbeat_interval` in seconds turns on Optuna's heartbeat. A running trial with heartbeats is stale once
    its process is dead. If this storage cannot see that process, the trial is stale after `grace_period`
    seconds without a new heartbeat, by default twice the interval. A process that runs the study fails stale
    trials, and calls `failed_trial_callback` with the study and the trial. Threads may share a storage, and a
    forked child may go on using it. An unpickled storage opens the archive again by its path.

    >>> import optuna, exptrack
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> with exptrack.Archive(tmp_path / "lab.db") as archive:
    ...     study = optuna.create_study(storage=archive.optuna_storage(), study_name="parabola")
    ...     study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=5)
    ...     archive.sql("SELECT study, count(*) FROM trials WHERE state = 'complete'").rows
    (('parabola', 5),)

    Raises:
        InvalidValueError: the interval or the grace period is not a positive number of seconds.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        heartbeat_interval: int | None = None,
        grace_period: int | None = None,
        failed_trial_callback: StaleTrialCallback | None = None,
    ) -> None:
        self._connection = connection
        self._heartbeat_interval = check_interval(heartbeat_interval, "heartbeat_interval")
        self._grace_period = check_interval(grace_period, "grace_period")
        self._failed_trial_callback = check_function(failed_trial_callback, "failed_trial_callback")
        self._begin_afresh()

    def _begin_afresh(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._known: dict[int, _Known] = {}
        self._heartbeats = Heartbeats()

    def _renew_if_forked(self) -> None:
        """Begin afresh in a forked child: a thread of the parent may have held the lock, amid a change."""
        if self._pid != os.getpid():
            self._begin_afresh()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in OF_THIS_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin_afresh()

    # Studies

    @in_section
    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Add a study; without a name it gets a random one. Commits.

        Raises:
            DuplicatedStudyError: the name is taken.
            InvalidValueError: the name cannot be stored.
        """
        name = DEFAULT_STUDY_NAME_PREFIX + str(uuid.uuid4()) if study_name is None else study_name
        name = check_text(name, "the name of a study")
        words = check_directions(directions)
        with self._connection.transaction():
            if self._connection.value(rows.STUDY_BY_NAME, (name,)) is not None:
                raise DuplicatedStudyError(
                    f"a study named {name!r} is already in {self._connection.path}; choose another name"
                )
            study_id = self._connection.execute(rows.INSERT_STUDY, (new_run_id(), name, utc_text())).lastrowid
            objectives = [(study_id, position, word) for position, word in enumerate(words)]
            self._connection.execute_many(rows.INSERT_OBJECTIVE, objectives)
            assert study_id is not None
            row_sums.begin_study_sum(self._connection, study_id)
        return study_id

    @in_section
    def delete_study(self, study_id: int) -> None:
        """Delete a study and its trials. Commits.

        Raises:
            KeyError: no study has this id.
        """
        study_id = check_id(study_id, "study")
        with self._connection.transaction():
            if not self._connection.execute(DELETE_STUDY, (study_id,)).rowcount:
                raise _no_study(study_id)
        self._forget(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a user's attribute of a study to any value that JSON holds. Commits."""
        study_id = check_id(study_id, "study")
        self._set_study_attribute(study_id, "user", key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute of Optuna's of a study. Commits."""
        study_id = check_id(study_id, "study")
        self._set_study_attribute(study_id, "system", key, value)

    @in_section
    def _set_study_attribute(self, study_id: int, scope: str, key: str, value: Any) -> None:
        key, text = encode_attribute(scope, key, value)
        given = (scope, key, text, study_id)
        attribute = row_sums.changing_study_attribute(self._connection, study_id, scope, key)
        with self._connection.transaction(), attribute:
            if not self._connection.execute(rows.SET_STUDY_ATTRIBUTE, given).rowcount:
                raise _no_study(study_id)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the row id of the study with this name; KeyError if there is none."""
        study_name = check_text(study_name, "the name of a study")
        found = self._connection.value(rows.STUDY_BY_NAME, (study_name,))
        if found is None:
            raise KeyError(f"there is no study named {study_name!r}")
        return int(found)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the name of a study; KeyError if there is none."""
        study_id = check_id(study_id, "study")
        found = self._connection.value(rows.STUDY_NAME, (study_id,))
        if found is None:
            raise _no_study(study_id)
        return str(found)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return the directions of a study's objectives; KeyError if there is no such study."""
        study_id = check_id(study_id, "study")
        objectives = self._connection.all(OBJECTIVES, (study_id,))
        if not objectives:
            raise _no_study(study_id)
        with telling_damage(self):
            return [rows.DIRECTIONS[row["direction"]] for row in objectives]

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the users' attributes of a study; KeyError if there is no such study."""
        return self._study_attributes(check_id(study_id, "study"), "user")

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return Optuna's attributes of a study; KeyError if there is no such study."""
        return self._study_attributes(check_id(study_id, "study"), "system")

    def _study_attributes(self, study_id: int, scope: str) -> dict[str, Any]:
        found = self._attributes(rows.STUDY_ATTRIBUTES, study_id, scope)
        if not found:
            self.get_study_name_from_id(study_id)
        return found

    @decoding_rows
    def _attributes(self, query: str, subject: int, scope: str) -> dict[str, Any]:
        return {name: json.loads(value) for name, value in self._connection.all(query, (subject, scope))}

    @in_reading
    def get_all_studies(self) -> list[FrozenStudy]:
        """Return every study, by row id."""
        with self._connection.snapshot():
            return [
                FrozenStudy(
                    study_name=name,
                    direction=None,
                    directions=self.get_study_directions(study_id),
                    user_attrs=self.get_study_user_attrs(study_id),
                    system_attrs=self.get_study_system_attrs(study_id),
                    study_id=study_id,
                )
                for study_id, name in self._connection.all(rows.ALL_STUDIES)
            ]

    # Writing trials

    @in_section
    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Add a running trial, or a copy of the template, with the study's next number. Commits.

        Return its row id. A finished template without an end time ends now.

        Raises:
            KeyError: no study has this id.
        """
        study_id = check_id(study_id, "study")
        self._renew_if_forked()
        state, ended_at = TrialState.RUNNING, None
        started_at: str | None = utc_text()
        if template_trial is not None:
            template_trial = check_template(template_trial)
            state = template_trial.state
            started_at = rows.format_local(template_trial.datetime_start)
            ended_at = utc_text(template_trial.datetime_complete) if state.is_finished() else None
        owner = describe_owner(self._connection) if state == TrialState.RUNNING else None
        with self._connection.transaction():
            newest = self._connection.value(rows.NEWEST_UID, (study_id,))
            head = (new_run_id(after=newest), state.name.lower(), started_at, ended_at, owner, study_id)
            cursor = self._connection.execute(rows.INSERT_TRIAL, head)
            if not cursor.rowcount:
                raise _no_study(study_id)
            trial_id = cursor.lastrowid
            assert trial_id is not None
            if template_trial is not None:
                rows.insert_details(self._connection, study_id, trial_id, template_trial)
            number = self.get_trial_number_from_id(trial_id)
            row_sums.begin_trial_sum(self._connection, study_id, trial_id, number)
        return trial_id

    @in_section
    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Set a parameter of an unfinished trial. Commits.

        Raises:
            KeyError: no trial has this id.
            UpdateFinishedTrialError: the trial has ended.
            ValueError: an earlier trial of the study drew this parameter from a distribution of another kind.
        """
        trial_id = check_id(trial_id, "trial")
        self._renew_if_forked()
        param_name = check_text(param_name, "the name of a parameter")
        param = rows.encode_param(param_name, param_value_internal, distribution)
        with self._connection.transaction():
            study_id, _state = self._require_open(trial_id)
            known = self._known_of(study_id).distributions
            before = known.get(param_name)
            if before is None:
                found = self._connection.value(rows.FIRST_DISTRIBUTION, (param_name, study_id))
                before = distribution if found is None else rows.decode_distribution(found)
            check_distribution_compatibility(before, distribution)
            with row_sums.changing_param(self._connection, trial_id, param_name):
                self._connection.execute(rows.SET_PARAM, (*param, trial_id))
        known.setdefault(param_name, before)

    @in_section
    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Begin, end or requeue a trial, and set its values. Commits.

        Return False if the trial should begin but is not waiting. If several processes begin one waiting
        trial, exactly one of them gets True.

        Raises:
            KeyError: no trial has this id.
            UpdateFinishedTrialError: the trial has ended.
            ValueError: a value is NaN, or a complete trial lacks one for an objective.
        """
        trial_id = check_id(trial_id, "trial")
        self._renew_if_forked()
        state = check_state(state)
        numbers = None if values is None else check_values(values)
        owner = describe_owner(self._connection) if state == TrialState.RUNNING else None
        with self._connection.transaction():
            study_id, before = self._require_open(trial_id)
            if state == TrialState.RUNNING and before != TrialState.WAITING:
                return False
            if numbers is not None:
                with row_sums.changing_values(self._connection, trial_id):
                    self._connection.execute(rows.DELETE_VALUES, (trial_id,))
                    rows.insert_values(self._connection, trial_id, numbers)
            if state == TrialState.COMPLETE:
                rows.require_values(self._connection, study_id, trial_id)
            with row_sums.changing_trial(self._connection, trial_id):
                if state == TrialState.RUNNING:
                    self._connection.execute(rows.BEGIN_TRIAL, (utc_text(), owner, trial_id))
                elif state == TrialState.WAITING:
                    self._connection.execute(rows.REQUEUE_TRIAL, (trial_id,))
                else:
                    self._connection.execute(rows.END_TRIAL, (state.name.lower(), utc_text(), trial_id))
        return True

    @in_section
    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Report a value, which may be NaN or infinite, at a step of an unfinished trial. Commits."""
        trial_id = check_id(trial_id, "trial")
        step, value = check_step(step), check_number(intermediate_value, "a reported value")
        with self._connection.transaction(), row_sums.changing_report(self._connection, trial_id, step):
            self._write(rows.SET_REPORT, step, value, trial_id)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a user's attribute of an unfinished trial to any value that JSON holds. Commits."""
        trial_id = check_id(trial_id, "trial")
        self._set_trial_attribute(trial_id, "user", key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute of Optuna's of an unfinished trial. Commits."""
        trial_id = check_id(trial_id, "trial")
        self._set_trial_attribute(trial_id, "system", key, value)

    @in_section
    def _set_trial_attribute(self, trial_id: int, scope: str, key: str, value: Any) -> None:
        key, text = encode_attribute(scope, key, value)
        attribute = row_sums.changing_trial_attribute(self._connection, trial_id, scope, key)
        with self._connection.transaction(), attribute:
            self._write(rows.SET_TRIAL_ATTRIBUTE, scope, key, text, trial_id)

    def _write(self, statement: str, *given: Any) -> None:
        """Run a statement that inserts a row of the unfinished trial whose row id is given last."""
        if not self._connection.execute(statement, given).rowcount:
            self._require_open(given[-1])

    def _require_open(self, trial_id: int) -> tuple[int, TrialState]:
        """Return the study's row id and the state of a trial; raise if the trial is absent or has ended."""
        row = self._connection.one(rows.STATE_OF_TRIAL, (trial_id,))
        if row is None:
            raise _no_trial(trial_id)
        state = rows.STATES[row["state"]]
        self.check_trial_is_updatable(trial_id, state)
        return row["study"], state

    # Reading trials

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Return the row id of a study's trial with this number; KeyError if there is none."""
        study_id = check_id(study_id, "study")
        trial_number = check_whole(trial_number, "the number of a trial", INT64_MIN)
        found = self._connection.value(rows.TRIAL_BY_NUMBER, (study_id, trial_number))
        if found is None:
            raise KeyError(f"study {study_id} has no trial number {trial_number}")
        return int(found)

    def get_trial_number_from_id(self, trial_id: int) -> int:
        """Return the number of a trial in its study; KeyError if there is no such trial."""
        trial_id = check_id(trial_id, "trial")
        found = self._connection.value(rows.NUMBER_OF_TRIAL, (trial_id,))
        if found is None:
            raise _no_trial(trial_id)
        return int(found)

    def get_trial_param(self, trial_id: int, param_name: str) -> float:
        """Return a parameter as samplers see it; KeyError if there is no such trial or parameter."""
        trial_id = check_id(trial_id, "trial")
        param_name = check_text(param_name, "the name of a parameter")
        row = self._connection.one(rows.PARAM, (trial_id, param_name))
        if row is None:
            raise KeyError(f"trial {trial_id} has no parameter {param_name!r}")
        return nan if row[0] is None else float(row[0])

    def get_trial_user_attrs(self, trial_id: int) -> dict[str, Any]:
        """Return the users' attributes of a trial; KeyError if there is no such trial."""
        trial_id = check_id(trial_id, "trial")
        return self._trial_attributes(trial_id, "user")

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        """Return Optuna's attributes of a trial; KeyError if there is no such trial."""
        trial_id = check_id(trial_id, "trial")
        return self._trial_attributes(trial_id, "system")

    def _trial_attributes(self, trial_id: int, scope: str) -> dict[str, Any]:
        found = self._attributes(rows.TRIAL_ATTRIBUTES, trial_id, scope)
        if not found:
            self.get_trial_number_from_id(trial_id)
        return found

    @in_reading
    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Read a trial; KeyError if there is none."""
        trial_id = check_id(trial_id, "trial")
        with self._connection.snapshot():
            heads = self._connection.fold(rows.HEAD, (trial_id,), list)
            if not heads:
                raise _no_trial(trial_id)
            return rows.read_frozen_trials(self._connection, heads)[0]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials of a study by number; with `states`, only those in one of them.

        Raises:
            KeyError: no study has this id.
        """
        study_id = check_id(study_id, "study")
        if states is not None and not isinstance(states, Container):  # 'in' may never end in an iterator
            raise InvalidTypeError(f"states must be a list, tuple or set, not {short_repr(states)}")
        with reading("states"):
            wanted = {state for state in TrialState if states is None or state in states}
        deepcopy = check_flag(deepcopy, "deepcopy")
        with self._own_lock():
            unfinished = self._read_new(study_id, wanted)
            known = self._known_of(study_id).by_number if wanted & rows.FINISHED else []
            if wanted >= rows.FINISHED:
                found = [trial for trial in known if trial is not None]
            else:
                found = [trial for trial in known if trial is not None and trial.state in wanted]
        if unfinished:
            found = sorted([*found, *unfinished], key=attrgetter("number"))
        return copy.deepcopy(found) if deepcopy else found

    def get_n_trials(self, study_id: int, state: tuple[TrialState, ...] | TrialState | None = None) -> int:
        """Count the trials of a study, or those in some states; KeyError if there is no such study."""
        study_id = check_id(study_id, "study")
        counts = self._connection.all(COUNTS_BY_STATE, (study_id,))
        if not counts:
            self.get_study_name_from_id(study_id)
        states = (state,) if isinstance(state, TrialState) else state
        with reading("state"):
            return sum(count for word, count in counts if states is None or rows.STATES[word] in states)

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the complete trial with the best value; of equal ones, that with the lowest number.

        Raises:
            KeyError: no study has this id.
            ValueError: no trial is complete yet.
            RuntimeError: the study has several objectives.
        """
        study_id = check_id(study_id, "study")
        first, *others = self.get_study_directions(study_id)
        with self._own_lock():
            self._read_new(study_id, {TrialState.COMPLETE})
            seen = self._known_of(study_id)
            if not seen.unranked and seen.best is None:
                raise ValueError("no trial of the study is complete yet")
            if others:
                raise RuntimeError("a study with several objectives has no best trial; use study.best_trials")
            sign = -1 if first == StudyDirection.MAXIMIZE else 1
            with telling_damage(self):
                ranked = [((sign * trial.values[0], trial.number), trial) for trial in seen.unranked]
                best = min([*ranked, *([seen.best] if seen.best else [])], key=itemgetter(0))
            seen.best = best
            seen.unranked.clear()
        return best[1]

    # Trials kept in memory

    def _own_lock(self) -> threading.RLock:
        self._renew_if_forked()
        return self._lock

    def _known_of(self, study_id: int) -> _Known:
        with self._own_lock():
            return self._known.setdefault(study_id, _Known())

    def _forget(self, study_id: int) -> None:
        with self._own_lock():
            self._known.pop(study_id, None)

    def _read_new(self, study_id: int, states: set[TrialState]) -> list[FrozenTrial]:
        """Read and keep the finished trials that are new; return the unfinished ones in these states.

        One query if no trial is unfinished or new.
        """
        try:
            return self._read_new_of(study_id, states)
        except KeyError:
            self._forget(study_id)
            raise

    def _read_new_of(self, study_id: int, states: set[TrialState]) -> list[FrozenTrial]:
        seen = self._known_of(study_id)
        if not states & rows.FINISHED:
            words = json.dumps([state.name.lower() for state in states])
            return self._read_trials(study_id, rows.HEADS_IN, {"states": words}, states)
        given = {"seen": len(seen.by_number), "open": json.dumps(list(seen.open))}
        return self._keep(seen, self._read_trials(study_id, rows.HEADS, given, states | rows.FINISHED))

    @decoding_rows
    def _keep(self, seen: _Known, found: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """Keep the finished ones of the trials found; return the others."""
        unfinished = []
        for trial in found:
            if trial.number > len(seen.by_number) + MOST_UNSEEN:
                raise ValueError(f"a trial has the number {trial.number}")
            while len(seen.by_number) <= trial.number:
                seen.open.add(len(seen.by_number))
                seen.by_number.append(None)
            if not trial.state.is_finished():
                unfinished.append(trial)
                continue
            seen.open.discard(trial.number)
            seen.by_number[trial.number] = trial
            if trial.state == TrialState.COMPLETE and trial.values:
                seen.unranked.append(trial)
        return unfinished

    @in_reading
    def _read_trials(
        self, study_id: int, query: str, given: dict[str, Any], states: set[TrialState]
    ) -> list[FrozenTrial]:
        """Read the trials in these states whose heads `query` finds."""
        with self._connection.snapshot():
            heads = self._connection.fold(query, {"study": study_id, **given}, list)
            if not heads:
                raise _no_study(study_id)
            return rows.read_trials_in(self._connection, heads[1:], states)

    # Heartbeats

    @in_section
    def record_heartbeat(self, trial_id: int) -> None:
        """Note that a running trial is alive. Commits."""
        trial_id = check_id(trial_id, "trial")
        with self._connection.transaction(), row_sums.changing_trial(self._connection, trial_id):
            self._connection.execute(rows.BEAT, (utc_text(), trial_id))

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        if self._heartbeat_interval is None:
            return []
        grace_s = 2 * self._heartbeat_interval if self._grace_period is None else self._grace_period
        return self._heartbeats.find_stale(self._connection, study_id, grace_s)

    def get_heartbeat_interval(self) -> int | None:
        """Return the seconds between heartbeats; None if heartbeats are off."""
        return self._heartbeat_interval

    def get_heartbeat_stale_trial_callback(self) -> StaleTrialCallback | None:
        """Return the function to call with a study and its trial whose heartbeats stopped."""
        return self._failed_trial_callback


def _no_study(study_id: int) -> KeyError:
    return KeyError(f"no study has the id {study_id}")


def _no_trial(trial_id: int) -> KeyError:
    return KeyError(f"no trial has the id {trial_id}")
