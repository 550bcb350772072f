"""Optuna's storage over the archive: studies and trials as rows, every algorithm of Optuna's on top.

Invariants: what a ``set_`` or ``create_`` call returned from survives a SIGKILL; each is one transaction. The
ids that Optuna sees are those of the rows and are never given again. Numbers are given inside the transaction
that creates a trial and no trial is deleted alone, so a study's numbers are 0, 1, … without a gap. Exactly one
process gets a waiting trial. A finished trial never changes: it is read once and kept, and kept ones are handed
out only after the file has said that their study is still there. What is handed out is never changed
afterwards. The storage knows nothing of runs.
"""

from __future__ import annotations

import copy
import json
import os
import threading
import uuid
from collections.abc import Callable, Container, Sequence
from datetime import UTC, datetime, timedelta
from math import isnan, nan
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import optuna
from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
)
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.storages._base import DEFAULT_STUDY_NAME_PREFIX
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from exptrack.database.connection import Connection
from exptrack.database.opening import open_connection
from exptrack.errors import InvalidValueError
from exptrack.process import current_process
from exptrack.sweeps.optuna_rows import (
    _DIRECTIONS,
    _STATES,
    ALL_STUDIES,
    BEAT,
    BEGIN_TRIAL,
    COUNT_BY_STATE,
    COUNT_VALUES,
    DELETE_STUDY,
    DELETE_VALUES,
    DETAILS,
    DIRECTIONS,
    END_TRIAL,
    FINISHED,
    FIRST_DISTRIBUTION,
    HEAD,
    HEADS,
    HEADS_IN,
    INSERT_OBJECTIVE,
    INSERT_PARAM,
    INSERT_REPORT,
    INSERT_STUDY,
    INSERT_TRIAL,
    INSERT_TRIAL_ATTRIBUTE,
    INSERT_VALUE,
    NUMBER_OF_TRIAL,
    PARAM,
    REQUEUE_TRIAL,
    SET_PARAM,
    SET_REPORT,
    SET_STUDY_ATTRIBUTE,
    SET_TRIAL_ATTRIBUTE,
    STALE,
    STATE_OF_TRIAL,
    STUDY_ATTRIBUTES,
    STUDY_BY_NAME,
    STUDY_NAME,
    TRIAL_ATTRIBUTES,
    TRIAL_BY_NUMBER,
    _distribution,
    _frozen,
    _param,
    _Seen,
    _text,
)
from exptrack.times import utc_text
from exptrack.validation import check_text

StaleTrialCallback: TypeAlias = Callable[[optuna.Study, FrozenTrial], None]


class OptunaStorage(BaseStorage, BaseHeartbeat):
    """An archive as Optuna's storage, for ``optuna.create_study(storage=…)``. Every change commits.

    `heartbeat_interval` in seconds turns on Optuna's heartbeat; a running trial whose last heartbeat is older
    than `grace_period` seconds (twice the interval unless given) is failed by whoever runs the study next, and
    `failed_trial_callback` is called with the study and the trial. Safe to share between threads; a forked
    child may go on using it, and a pickled one opens the archive again, by its path.

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
        for name, seconds in (("heartbeat_interval", heartbeat_interval), ("grace_period", grace_period)):
            if seconds is not None and not seconds > 0:
                raise InvalidValueError(f"{name} must be seconds above 0, not {seconds}")
        self._connection = connection
        self._heartbeat_interval = heartbeat_interval
        self._grace_period = grace_period
        self._failed_trial_callback = failed_trial_callback
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._seen: dict[int, _Seen] = {}
        self._owner = json.dumps(current_process()._asdict())

    def _here(self) -> None:
        """In a forked child: a thread of the parent's may have held the lock, and left things half done."""
        if self._pid != os.getpid():
            self._start_afresh()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "path": str(self._connection.path),
            "mode": "rw" if self._connection.mode == "rw" else "ro",
            "heartbeat_interval": self._heartbeat_interval,
            "grace_period": self._grace_period,
            "failed_trial_callback": self._failed_trial_callback,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        path, mode = Path(state.pop("path")), state.pop("mode")
        self.__init__(open_connection(path, mode=mode, create=False), **state)  # type: ignore[misc]

    # Studies

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Add a study; without a name it gets one by chance. Commits.

        Raises:
            DuplicatedStudyError: the name is taken.
            InvalidValueError: the name cannot be stored.
        """
        name = DEFAULT_STUDY_NAME_PREFIX + str(uuid.uuid4()) if study_name is None else study_name
        check_text(name, "the name of a study")
        words = [direction.name.lower() for direction in directions]
        if not words or not set(words) <= set(_DIRECTIONS):
            raise ValueError(f"each objective is minimized or maximized, not {words}")
        with self._connection.transaction():
            if self._connection.value(STUDY_BY_NAME, (name,)) is not None:
                raise DuplicatedStudyError(f"a study named {name!r} is in {self._connection.path}")
            study_id = self._connection.execute(INSERT_STUDY, (name, utc_text())).lastrowid
            rows = [(study_id, position, word) for position, word in enumerate(words)]
            self._connection.execute_many(INSERT_OBJECTIVE, rows)
        assert study_id is not None
        return study_id

    def delete_study(self, study_id: int) -> None:
        """Delete a study and its trials. Commits.

        Raises:
            KeyError: there is no such study.
        """
        with self._connection.transaction():
            if not self._connection.execute(DELETE_STUDY, (study_id,)).rowcount:
                raise _no_study(study_id)
        self._forget(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set what a user says of a study, anything that JSON holds. Commits."""
        self._set_study_attribute(study_id, "user", key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set what Optuna says of a study. Commits."""
        self._set_study_attribute(study_id, "system", key, value)

    def _set_study_attribute(self, study_id: int, scope: str, key: str, value: Any) -> None:
        given = (scope, check_text(key, "the name of an attribute"), json.dumps(value), study_id)
        with self._connection.transaction():
            if not self._connection.execute(SET_STUDY_ATTRIBUTE, given).rowcount:
                raise _no_study(study_id)

    def get_study_id_from_name(self, study_name: str) -> int:
        """The id of the study of that name; KeyError when there is none."""
        found = self._connection.value(STUDY_BY_NAME, (study_name,))
        if found is None:
            raise KeyError(f"there is no study named {study_name!r}")
        return int(found)

    def get_study_name_from_id(self, study_id: int) -> str:
        """The name of a study; KeyError when there is none."""
        found = self._connection.value(STUDY_NAME, (study_id,))
        if found is None:
            raise _no_study(study_id)
        return str(found)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """The directions of a study's objectives; KeyError when there is no such study."""
        rows = self._connection.all(DIRECTIONS, (study_id,))
        if not rows:
            raise _no_study(study_id)
        return [_DIRECTIONS[row[0]] for row in rows]

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """What users said of a study; KeyError when there is none."""
        return self._study_attributes(study_id, "user")

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """What Optuna said of a study; KeyError when there is none."""
        return self._study_attributes(study_id, "system")

    def _study_attributes(self, study_id: int, scope: str) -> dict[str, Any]:
        found = self._attributes(STUDY_ATTRIBUTES, study_id, scope)
        if not found:
            self.get_study_name_from_id(study_id)
        return found

    def _attributes(self, query: str, subject: int, scope: str) -> dict[str, Any]:
        return {name: json.loads(value) for name, value in self._connection.all(query, (subject, scope))}

    def get_all_studies(self) -> list[FrozenStudy]:
        """Every study, by id."""
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
                for study_id, name in self._connection.all(ALL_STUDIES)
            ]

    # Writing trials

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Add a running trial, or one like the template, with the study's next number; return its id. Commits.

        A template that is over without saying since when is over now.

        Raises:
            KeyError: there is no such study.
        """
        self._here()
        state, ended_at = TrialState.RUNNING, None
        started_at: str | None = utc_text()
        if template_trial is not None:
            state = template_trial.state
            started_at = _text(template_trial.datetime_start)
            ended_at = utc_text(template_trial.datetime_complete) if state.is_finished() else None
        owner = self._owner if state == TrialState.RUNNING else None
        with self._connection.transaction():
            head = (state.name.lower(), started_at, ended_at, owner, study_id)
            cursor = self._connection.execute(INSERT_TRIAL, head)
            if not cursor.rowcount:
                raise _no_study(study_id)
            trial_id = cursor.lastrowid
            assert trial_id is not None
            if template_trial is not None:
                self._insert_details(study_id, trial_id, template_trial)
        return trial_id

    def _insert_details(self, study_id: int, trial_id: int, trial: FrozenTrial) -> None:
        params = []
        for position, (name, value) in enumerate(trial.params.items()):
            distribution = trial.distributions[name]
            internal = distribution.to_internal_repr(value)
            params.append((trial_id, position, *_param(name, internal, distribution)))
        reports = [(trial_id, step, float(value)) for step, value in trial.intermediate_values.items()]
        attributes = [
            (trial_id, scope, check_text(name, "the name of an attribute"), json.dumps(value))
            for scope, found in (("user", trial.user_attrs), ("system", trial.system_attrs))
            for name, value in found.items()
        ]
        many = self._connection.execute_many
        if params:
            many(INSERT_PARAM, params)
        if reports:
            many(INSERT_REPORT, reports)
        if attributes:
            many(INSERT_TRIAL_ATTRIBUTE, attributes)
        if trial.values is not None:
            self._insert_values(trial_id, trial.values)
        if trial.state == TrialState.COMPLETE:
            self._require_values(study_id, trial_id)

    def _insert_values(self, trial_id: int, values: Sequence[float]) -> None:
        rows = [(trial_id, position, float(value)) for position, value in enumerate(values)]
        if any(isnan(row[2]) for row in rows):
            raise ValueError("NaN is no value of a trial; Optuna fails a trial that returns it")
        self._connection.execute_many(INSERT_VALUE, rows)

    def _require_values(self, study_id: int, trial_id: int) -> None:
        objectives, values = self._connection.all(COUNT_VALUES, (study_id, trial_id))[0]
        if objectives != values:
            raise ValueError(f"a complete trial of this study has {objectives} values, not {values}")

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Set a parameter of a trial that is not over. Commits.

        Raises:
            KeyError: there is no such trial.
            UpdateFinishedTrialError: it is over.
            ValueError: a trial of the study had this parameter with a distribution of another kind.
        """
        self._here()
        param = _param(param_name, param_value_internal, distribution)
        with self._connection.transaction():
            study_id, _state = self._require_open(trial_id)
            known = self._seen_of(study_id).distributions
            before = known.get(param_name)
            if before is None:
                found = self._connection.value(FIRST_DISTRIBUTION, (param_name, study_id))
                before = distribution if found is None else _distribution(found)
            check_distribution_compatibility(before, distribution)
            self._connection.execute(SET_PARAM, (*param, trial_id))
        known.setdefault(param_name, before)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Begin, end or requeue a trial, and set its values; False when it does not wait to be begun. Commits.

        Of all processes that begin one waiting trial exactly one is told True.

        Raises:
            KeyError: there is no such trial.
            UpdateFinishedTrialError: it is over.
            ValueError: a value is NaN, or a complete trial has not one for each objective.
        """
        self._here()
        with self._connection.transaction():
            study_id, before = self._require_open(trial_id)
            if state == TrialState.RUNNING and before != TrialState.WAITING:
                return False
            if values is not None:
                self._connection.execute(DELETE_VALUES, (trial_id,))
                self._insert_values(trial_id, values)
            if state == TrialState.COMPLETE:
                self._require_values(study_id, trial_id)
            if state == TrialState.RUNNING:
                self._connection.execute(BEGIN_TRIAL, (utc_text(), self._owner, trial_id))
            elif state == TrialState.WAITING:
                self._connection.execute(REQUEUE_TRIAL, (trial_id,))
            else:
                self._connection.execute(END_TRIAL, (state.name.lower(), utc_text(), trial_id))
        return True

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Report a value at a step of a trial that is not over; NaN and the infinities too. Commits."""
        self._set(SET_REPORT, step, float(intermediate_value), trial_id)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set what a user says of a trial that is not over, anything that JSON holds. Commits."""
        self._set_trial_attribute(trial_id, "user", key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set what Optuna says of a trial that is not over. Commits."""
        self._set_trial_attribute(trial_id, "system", key, value)

    def _set_trial_attribute(self, trial_id: int, scope: str, key: str, value: Any) -> None:
        check_text(key, "the name of an attribute")
        self._set(SET_TRIAL_ATTRIBUTE, scope, key, json.dumps(value), trial_id)

    def _set(self, statement: str, *given: Any) -> None:
        """Insert something of the trial that is named last."""
        with self._connection.transaction():
            if not self._connection.execute(statement, given).rowcount:
                self._require_open(given[-1])

    def _require_open(self, trial_id: int) -> tuple[int, TrialState]:
        """The study and state of a trial that may still be written."""
        row = self._connection.one(STATE_OF_TRIAL, (trial_id,))
        if row is None:
            raise _no_trial(trial_id)
        state = _STATES[row["state"]]
        self.check_trial_is_updatable(trial_id, state)
        return row["study"], state

    # Reading trials

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """The id of a study's trial of that number; KeyError when there is none."""
        found = self._connection.value(TRIAL_BY_NUMBER, (study_id, trial_number))
        if found is None:
            raise KeyError(f"study {study_id} has no trial number {trial_number}")
        return int(found)

    def get_trial_number_from_id(self, trial_id: int) -> int:
        """The number of a trial in its study; KeyError when there is none."""
        found = self._connection.value(NUMBER_OF_TRIAL, (trial_id,))
        if found is None:
            raise _no_trial(trial_id)
        return int(found)

    def get_trial_param(self, trial_id: int, param_name: str) -> float:
        """A parameter as samplers see it; KeyError when there is no such trial or parameter."""
        row = self._connection.one(PARAM, (trial_id, param_name))
        if row is None:
            raise KeyError(f"trial {trial_id} has no parameter {param_name!r}")
        return nan if row[0] is None else float(row[0])

    def get_trial_user_attrs(self, trial_id: int) -> dict[str, Any]:
        """What users said of a trial; KeyError when there is none."""
        return self._trial_attributes(trial_id, "user")

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        """What Optuna said of a trial; KeyError when there is none."""
        return self._trial_attributes(trial_id, "system")

    def _trial_attributes(self, trial_id: int, scope: str) -> dict[str, Any]:
        found = self._attributes(TRIAL_ATTRIBUTES, trial_id, scope)
        if not found:
            self.get_trial_number_from_id(trial_id)
        return found

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial as it is now; KeyError when there is none."""
        with self._connection.snapshot():
            heads = self._connection.fold(HEAD, (trial_id,), list)
            if not heads:
                raise _no_trial(trial_id)
            return self._read(heads)[0][0]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials of a study in the order of their numbers; of `states` only, when given.

        Raises:
            KeyError: there is no such study.
        """
        wanted = {state for state in TrialState if states is None or state in states}
        with self._locked():
            unfinished = self._look(study_id, wanted)
            known = self._seen_of(study_id).by_number if wanted & FINISHED else []
            if wanted >= FINISHED:
                found = [trial for trial in known if trial is not None]
            else:
                found = [trial for trial in known if trial is not None and trial.state in wanted]
        if unfinished:
            found = sorted([*found, *unfinished], key=attrgetter("number"))
        return copy.deepcopy(found) if deepcopy else found

    def get_n_trials(self, study_id: int, state: tuple[TrialState, ...] | TrialState | None = None) -> int:
        """How many trials a study has, of some states only when given; KeyError when there is no such study."""
        rows = self._connection.all(COUNT_BY_STATE, (study_id,))
        if not rows:
            self.get_study_name_from_id(study_id)
        states = (state,) if isinstance(state, TrialState) else state
        return sum(count for word, count in rows if states is None or _STATES[word] in states)

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """The complete trial with the best value; of equal ones the first that was told.

        Raises:
            KeyError: there is no such study.
            ValueError: no trial is complete.
            RuntimeError: the study has several objectives.
        """
        first, *others = self.get_study_directions(study_id)
        with self._locked():
            self._look(study_id, {TrialState.COMPLETE})
            seen = self._seen_of(study_id)
            if not seen.unranked and seen.best is None:
                raise ValueError("no trial of the study is complete")
            if others:
                raise RuntimeError("of several objectives there is no best trial; ask study.best_trials")
            sign = -1 if first == StudyDirection.MAXIMIZE else 1
            ranked = [((sign * trial.values[0], rank), trial) for rank, trial in seen.unranked]
            best = min([*ranked, *([seen.best] if seen.best else [])], key=itemgetter(0))
            seen.best = best
            seen.unranked.clear()
        return best[1]

    # What is known

    def _locked(self) -> threading.RLock:
        self._here()
        return self._lock

    def _seen_of(self, study_id: int) -> _Seen:
        with self._locked():
            return self._seen.setdefault(study_id, _Seen())

    def _forget(self, study_id: int) -> None:
        with self._locked():
            self._seen.pop(study_id, None)

    def _look(self, study_id: int, states: set[TrialState]) -> list[FrozenTrial]:
        """Read those unfinished trials of a study that are wanted, and what finished ones are not yet known.

        One query when no trial is unfinished or new.
        """
        seen = self._seen_of(study_id)
        if not states & FINISHED:
            words = json.dumps([state.name.lower() for state in states])
            return [trial for trial, _rank in self._find(study_id, HEADS_IN, {"states": words}, states)]
        given = {"seen": len(seen.by_number), "open": json.dumps(list(seen.open))}
        unfinished = []
        for trial, rank in self._find(study_id, HEADS, given, states | FINISHED):
            while len(seen.by_number) <= trial.number:
                seen.open.add(len(seen.by_number))
                seen.by_number.append(None)
            if not trial.state.is_finished():
                unfinished.append(trial)
                continue
            seen.open.discard(trial.number)
            seen.by_number[trial.number] = trial
            if trial.state == TrialState.COMPLETE and rank is not None:
                seen.unranked.append((rank, trial))
        return unfinished

    def _find(
        self, study_id: int, query: str, given: dict[str, Any], states: set[TrialState]
    ) -> list[tuple[FrozenTrial, int | None]]:
        with self._connection.snapshot():
            heads = self._connection.fold(query, {"study": study_id, **given}, list)
            if not heads:
                self._forget(study_id)
                raise _no_study(study_id)
            return self._read([head for head in heads[1:] if _STATES[head[2]] in states])

    def _read(self, heads: list[tuple[Any, ...]]) -> list[tuple[FrozenTrial, int | None]]:
        """The trials with these heads, each with the rank of its first value among equals."""
        if not heads:
            return []
        trials = json.dumps([head[0] for head in heads])
        details: dict[int, list[tuple[Any, ...]]] = {head[0]: [] for head in heads}
        for row in self._connection.fold(DETAILS, {"trials": trials}, list):
            details[row[0]].append(row)
        return [_frozen(head, details[head[0]]) for head in heads]

    # Heartbeats

    def record_heartbeat(self, trial_id: int) -> None:
        """Say that a running trial lives. Commits."""
        with self._connection.transaction():
            self._connection.execute(BEAT, (utc_text(), trial_id))

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        if self._heartbeat_interval is None:
            return []
        grace_s = 2 * self._heartbeat_interval if self._grace_period is None else self._grace_period
        last = utc_text(datetime.now(UTC) - timedelta(seconds=grace_s))
        return [row[0] for row in self._connection.all(STALE, (study_id, last))]

    def get_heartbeat_interval(self) -> int | None:
        """Seconds between heartbeats; None: there are none."""
        return self._heartbeat_interval

    def get_heartbeat_stale_trial_callback(self) -> StaleTrialCallback | None:
        """What is called with a study and a trial of it that was failed for want of heartbeats."""
        return self._failed_trial_callback


def _no_study(study_id: int) -> KeyError:
    return KeyError(f"there is no study with the id {study_id}")


def _no_trial(trial_id: int) -> KeyError:
    return KeyError(f"there is no trial with the id {trial_id}")
