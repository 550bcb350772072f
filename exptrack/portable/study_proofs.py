"""Prove what a stranger's file says of its groups, studies and trials, before any of it is stored.

As in `proofs`: each row by a checksum, each value by the rules of the calls, and none is kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from exptrack.database.connection import Connection
from exptrack.database.failures import DAMAGE
from exptrack.errors import ExptrackError
from exptrack.hashed_lists import encode_list
from exptrack.portable.stranger_values import (
    RowsProof,
    check_attribute,
    check_optional_text,
    check_time,
    is_run_id,
    parse_json,
    require,
)
from exptrack.records import TrialState
from exptrack.validation import check_name

Row: TypeAlias = tuple[Any, ...]

GROUPS = """
SELECT name, rows_sum, id, name, created_at, changed_at, deleted_at FROM run_group
WHERE name IN (SELECT value FROM json_each(?))
"""
GROUP_ATTRIBUTES = """
SELECT g.name, a.key, a.type, a.num, a.text, a.set_at FROM run_group AS g
JOIN run_group_attribute AS a ON a.run_group = g.id WHERE g.name IN (SELECT value FROM json_each(?))
"""
STUDIES = """
SELECT uid, rows_sum, id, uid, name, created_at, settings FROM study
WHERE uid IN (SELECT value FROM json_each(?))
"""
_OF_STUDIES = "AS s JOIN {table} AS o ON o.study = s.id WHERE s.uid IN (SELECT value FROM json_each(?))"
OBJECTIVES = f"""
SELECT s.uid, o.position, o.direction, o.metric FROM study {_OF_STUDIES.format(table="study_objective")}
"""
STUDY_ATTRIBUTES = f"""
SELECT s.uid, o.id, o.scope, o.name, o.value FROM study {_OF_STUDIES.format(table="study_attribute")}
"""
TRIALS = f"""
SELECT s.uid, o.rows_sum, o.id, o.uid, o.number, o.state, o.run_id, o.started_at, o.ended_at, o.duration_ms,
       o.heartbeat_at, o.reason, o.owner
FROM study {_OF_STUDIES.format(table="trial")}
"""
_OF_TRIALS = """
FROM study AS s JOIN trial AS t ON t.study = s.id JOIN {table} AS o ON o.trial = t.id
WHERE s.uid IN (SELECT value FROM json_each(?))
"""
PARAMS = f"""
SELECT s.uid, t.id, o.position, o.name, o.value, o.type, o.num, o.text, o.distribution
{_OF_TRIALS.format(table="trial_param")}
"""
VALUES = f"SELECT s.uid, t.id, o.id, o.position, o.value {_OF_TRIALS.format(table='trial_value')}"
REPORTS = f"SELECT s.uid, t.id, o.id, o.step, o.value {_OF_TRIALS.format(table='trial_report')}"
TRIAL_ATTRIBUTES = f"""
SELECT s.uid, t.id, o.id, o.scope, o.name, o.value {_OF_TRIALS.format(table="trial_attribute")}
"""
MISSING = "its row is missing"
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_ANY = (dict, list, str, int, float, bool, type(None))


def prove_groups(connection: Connection, names: Iterable[str]) -> dict[str, list[str]]:
    """Return what is wrong with each of these groups, by name: an empty list for a sound one."""
    return _prove_each(connection, sorted(names), lambda name: _prove_group(connection, name))


def prove_studies(connection: Connection, uids: Iterable[str]) -> dict[str, list[str]]:
    """Return what is wrong with each of these studies and its trials, by uid: an empty list for a sound one."""
    return _prove_each(connection, sorted(uids), lambda uid: _StudyProof(connection, uid).run())


def _prove_each(
    connection: Connection, keys: Sequence[str], prove: Callable[[str], list[str]]
) -> dict[str, list[str]]:
    def attempt(key: str) -> list[str]:
        try:
            return prove(key)
        except DAMAGE as error:
            return [f"it cannot be read: {error or type(error).__name__}"]

    return connection.reading(lambda: {key: attempt(key) for key in keys})


def _read(connection: Connection, query: str, key: str, proof: RowsProof, take: Callable[[Row], None]) -> None:
    """Give the rows of one group or study to `take`; note in `proof` what is wrong with them."""

    def take_all(rows: Iterable[Row]) -> None:
        for row in rows:
            try:
                take(row[1:])
            except (ExptrackError, ValueError, TypeError, RecursionError) as error:
                proof.say(str(error))

    connection.fold(query, (json.dumps([key]),), take_all)


# Groups


def _prove_group(connection: Connection, group: str) -> list[str]:
    proof = RowsProof()
    seen: list[Row] = []

    def take_group(row: Row) -> None:
        seen.append(row)
        proof.stored_sum, *facts = row
        proof.add(encode_list(("run_group", *facts)))
        _id, name, *times = facts
        check_name(name, "group")
        for time in times:
            check_time(time, "group")

    def take_attribute(row: Row) -> None:
        proof.add(encode_list(("run_group_attribute", *row)))
        check_attribute(*row)

    _read(connection, GROUPS, group, proof, take_group)
    _read(connection, GROUP_ATTRIBUTES, group, proof, take_attribute)
    proof.end("its times or attributes")
    return proof.problems if seen else [MISSING]


# Studies


class _StudyProof(RowsProof):
    """The proof of one study and of its trials, by row id."""

    __slots__ = ("_connection", "_is_there", "_objectives", "_trials", "_uid")

    def __init__(self, connection: Connection, uid: str) -> None:
        super().__init__()
        self._connection = connection
        self._uid = uid
        self._trials: dict[int, RowsProof] = {}
        self._objectives = 0
        self._is_there = False

    def run(self) -> list[str]:
        """Return the problems of the study and its trials."""
        takes: tuple[tuple[str, Callable[[Row], None]], ...] = (
            (STUDIES, self._take_study),
            (OBJECTIVES, self._take_objective),
            (STUDY_ATTRIBUTES, self._take_attribute),
            (TRIALS, self._take_trial),
            (PARAMS, self._take_param),
            (VALUES, self._take_value),
            (REPORTS, self._take_report),
            (TRIAL_ATTRIBUTES, self._take_trial_attribute),
        )
        for query, take in takes:
            _read(self._connection, query, self._uid, self, take)
        self.end("its settings, objectives, attributes or trials")
        for trial in self._trials.values():
            trial.end("the state, params, values, reports or attributes of a trial")
            for problem in trial.problems:
                self.say(problem)
        return self.problems if self._is_there else [MISSING]

    def _take_study(self, row: Row) -> None:
        self._is_there = True
        self.stored_sum, *facts = row
        self.add(encode_list(("study", *facts)))
        _id, uid, name, created_at, settings = facts
        require(is_run_id(uid), "its id is not an id")
        check_name(name, "study name")
        check_time(created_at, "study")
        parse_json(settings, dict, "settings")

    def _take_objective(self, row: Row) -> None:
        self.add(encode_list(("study_objective", *row)))
        require(row[0] == self._objectives, f"objective {self._objectives} is missing")
        self._objectives += 1
        if row[2] is not None:
            check_name(row[2], "metric name")

    def _take_attribute(self, row: Row) -> None:
        self.add(encode_list(("study_attribute", *row)))
        check_optional_text(row[2])
        parse_json(row[3], _ANY, "attribute", finite=False)

    def _take_trial(self, row: Row) -> None:
        stored_sum, *facts = row
        trial_id, uid, number, state, run_id, started, ended, duration_ms, heartbeat, reason, owner = facts
        trial = self._trials[trial_id] = RowsProof()
        trial.stored_sum = stored_sum
        trial.add(encode_list(("trial", *facts)))
        self.add(encode_list(("number", number)))
        require(is_run_id(uid) and number >= 0, "a trial has no id or number")
        require(run_id is None or is_run_id(run_id), "the run of a trial is not a run id")
        for time, what in ((started, "trial"), (ended, "end of a trial"), (heartbeat, "heartbeat of a trial")):
            check_time(time, what)
        is_over = TrialState(state) in ENDED
        require((ended is not None) == is_over, f"a trial is {state} {'without' if is_over else 'with'} an end")
        require(duration_ms is None or duration_ms >= 0, "the duration of a trial is below 0")
        check_optional_text(reason)
        if owner is not None:
            parse_json(owner, dict, "owner of a trial")

    def _add_to_trial(self, kind: str, row: Row) -> Row:
        trial_id, *facts = row
        self._trials[trial_id].add(encode_list((kind, *facts)))
        return tuple(facts)

    def _take_param(self, row: Row) -> None:
        position, name, _value, kind, _num, text, distribution = self._add_to_trial("trial_param", row)
        require(position >= 0, "the place of a parameter is below 0")
        check_optional_text(name)
        check_optional_text(text)
        require(kind in ("null", "bool", "int", "float", "text", "other"), "the type of a parameter is unknown")
        parse_json(distribution, dict, "distribution of a parameter", finite=False)

    def _take_value(self, row: Row) -> None:
        _id, position, value = self._add_to_trial("trial_value", row)
        require(0 <= position < self._objectives, "a value of a trial has no objective")
        require(not math.isnan(value), "a value of a trial is NaN")

    def _take_report(self, row: Row) -> None:
        self._add_to_trial("trial_report", row)

    def _take_trial_attribute(self, row: Row) -> None:
        _id, _scope, name, value = self._add_to_trial("trial_attribute", row)
        check_optional_text(name)
        parse_json(value, _ANY, "attribute of a trial", finite=False)
