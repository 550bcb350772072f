"""Write studies and trials as rows, and read them back as Optuna describes them.

Invariants: call the functions that insert inside a transaction. Times are written in UTC; Optuna has them in
this machine's time, without a zone. NaN is stored as NULL, because SQLite has no NaN.
"""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from datetime import datetime
from functools import lru_cache
from math import isnan, nan
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.errors import InvalidTypeError
from exptrack.plain import plain, reading, short_repr
from exptrack.runs.ownership import DIED
from exptrack.sweeps.optuna_arguments import check_values, encode_attribute, encode_json
from exptrack.times import moment, utc_text
from exptrack.validation import EXACT_INT, INT64_MAX, INT64_MIN, check_number, check_step, check_text

STUDY_BY_NAME = "SELECT id FROM study WHERE name = ?"
STUDY_NAME = "SELECT name FROM study WHERE id = ?"
ALL_STUDIES = "SELECT id, name FROM study ORDER BY id"
INSERT_STUDY = "INSERT INTO study (uid, name, created_at, settings) VALUES (?, ?, ?, '{}')"
INSERT_OBJECTIVE = "INSERT INTO study_objective (study, position, direction) VALUES (?, ?, ?)"
STUDY_ATTRIBUTES = "SELECT name, value FROM study_attribute WHERE study = ? AND scope = ? ORDER BY id"
SET_STUDY_ATTRIBUTE = """
INSERT INTO study_attribute (study, scope, name, value) SELECT id, ?, ?, ? FROM study WHERE id = ?
ON CONFLICT (study, scope, name) DO UPDATE SET value = excluded.value
"""

NEWEST_UID = "SELECT uid FROM trial WHERE study = ? ORDER BY number DESC LIMIT 1"
INSERT_TRIAL = """
INSERT INTO trial (uid, study, number, state, started_at, ended_at, duration_ms, owner)
SELECT ?1, s.id, (SELECT coalesce(max(t.number) + 1, 0) FROM trial AS t WHERE t.study = s.id), ?2, ?3, ?4,
       CAST(round((julianday(?4) - julianday(?3)) * 86400000.0) AS INTEGER), ?5
FROM study AS s WHERE s.id = ?6
"""
# If a write inserts no row, the trial has ended or is absent. Only then does another statement find out which.
OPEN = "id = ? AND state IN ('running', 'waiting')"
SET_PARAM = f"""
INSERT INTO trial_param (trial, position, name, value, type, num, text, distribution)
SELECT id, (SELECT count(*) FROM trial_param AS p WHERE p.trial = trial.id), ?, ?, ?, ?, ?, ?
FROM trial WHERE {OPEN}
ON CONFLICT (trial, name) DO UPDATE
SET value = excluded.value, type = excluded.type, num = excluded.num, text = excluded.text,
    distribution = excluded.distribution
"""
SET_REPORT = f"""
INSERT INTO trial_report (trial, step, value) SELECT id, ?, ? FROM trial WHERE {OPEN}
ON CONFLICT (trial, step) DO UPDATE SET value = excluded.value
"""
SET_TRIAL_ATTRIBUTE = f"""
INSERT INTO trial_attribute (trial, scope, name, value) SELECT id, ?, ?, ? FROM trial WHERE {OPEN}
ON CONFLICT (trial, scope, name) DO UPDATE SET value = excluded.value
"""
INSERT_PARAM = """
INSERT INTO trial_param (trial, position, name, value, type, num, text, distribution)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_VALUE = "INSERT INTO trial_value (trial, position, value) VALUES (?, ?, ?)"
INSERT_REPORT = "INSERT INTO trial_report (trial, step, value) VALUES (?, ?, ?)"
INSERT_TRIAL_ATTRIBUTE = "INSERT INTO trial_attribute (trial, scope, name, value) VALUES (?, ?, ?, ?)"
DELETE_VALUES = "DELETE FROM trial_value WHERE trial = ?"
COUNT_VALUES = """
SELECT (SELECT count(*) FROM study_objective WHERE study = ?),
       (SELECT count(*) FROM trial_value WHERE trial = ?)
"""
BEGIN_TRIAL = "UPDATE trial SET state = 'running', started_at = ?, owner = ? WHERE id = ?"
# A trial that fails while it waits was never begun. Where the clock was set back, one ends when it began.
# A trial whose run died ended with that run, however much later this is noticed.
END_TRIAL = f"""
UPDATE trial
SET state = ?1, owner = NULL, ended_at = ended.at,
    duration_ms = CAST(round((julianday(ended.at) - julianday(started_at)) * 86400000.0) AS INTEGER)
FROM (
    SELECT max(coalesce(t.started_at, ''), coalesce(
        (SELECT r.ended_at FROM run AS r
         WHERE r.run_id = t.run_id AND r.status = 'interrupted' AND r.reason = '{DIED}'), ?2)) AS at
    FROM trial AS t WHERE t.id = ?3
) AS ended
WHERE id = ?3
"""
REQUEUE_TRIAL = "UPDATE trial SET state = 'waiting', owner = NULL WHERE id = ?"
BEAT = "UPDATE trial SET heartbeat_at = ? WHERE id = ? AND state = 'running'"

STATE_OF_TRIAL = "SELECT study, state FROM trial WHERE id = ?"
NUMBER_OF_TRIAL = "SELECT number FROM trial WHERE id = ?"
TRIAL_BY_NUMBER = "SELECT id FROM trial WHERE study = ? AND number = ?"
PARAM = "SELECT value FROM trial_param WHERE trial = ? AND name = ?"
TRIAL_ATTRIBUTES = "SELECT name, value FROM trial_attribute WHERE trial = ? AND scope = ? ORDER BY id"
FIRST_DISTRIBUTION = """
SELECT p.distribution FROM trial AS t JOIN trial_param AS p ON p.trial = t.id AND p.name = ?
WHERE t.study = ? ORDER BY t.number LIMIT 1
"""
# A row if the study exists; its trials from a number on; and earlier ones that had not ended when last read.
HEADS = """
SELECT NULL AS id, NULL AS number, NULL AS state, NULL AS started_at, NULL AS ended_at
FROM study WHERE id = :study
UNION ALL
SELECT id, number, state, started_at, ended_at FROM trial WHERE study = :study AND number >= :seen
UNION ALL
SELECT t.id, t.number, t.state, t.started_at, t.ended_at
FROM json_each(:open) AS j CROSS JOIN trial AS t ON t.study = :study AND t.number = j.value
"""
HEAD = "SELECT id, number, state, started_at, ended_at FROM trial WHERE id = ?"
HEADS_IN = """
SELECT NULL AS id, NULL AS number, NULL AS state, NULL AS started_at, NULL AS ended_at
FROM study WHERE id = :study
UNION ALL
SELECT id, number, state, started_at, ended_at FROM trial
WHERE study = :study AND state IN (SELECT value FROM json_each(:states))
"""
# Everything of some trials at once: trial, part, order in the part, key, float, text.
PARAMS, VALUES, REPORTS, USER, SYSTEM = range(5)
DETAILS = f"""
SELECT p.trial, {PARAMS}, p.position, p.name, p.value, p.distribution
FROM json_each(:trials) AS j CROSS JOIN trial_param AS p ON p.trial = j.value
UNION ALL
SELECT v.trial, {VALUES}, v.position, v.id, v.value, NULL
FROM json_each(:trials) AS j CROSS JOIN trial_value AS v ON v.trial = j.value
UNION ALL
SELECT r.trial, {REPORTS}, r.id, r.step, r.value, NULL
FROM json_each(:trials) AS j CROSS JOIN trial_report AS r ON r.trial = j.value
UNION ALL
SELECT a.trial, CASE a.scope WHEN 'user' THEN {USER} ELSE {SYSTEM} END, a.id, a.name, NULL, a.value
FROM json_each(:trials) AS j CROSS JOIN trial_attribute AS a ON a.trial = j.value
ORDER BY 1, 2, 3
"""

FINISHED = {state for state in TrialState if state.is_finished()}
STATES = {state.name.lower(): state for state in TrialState}
DIRECTIONS = {"minimize": StudyDirection.MINIMIZE, "maximize": StudyDirection.MAXIMIZE}
DISTRIBUTIONS_KEPT = 4096


# Writing


def insert_details(connection: Connection, study_id: int, trial_id: int, trial: FrozenTrial) -> None:
    """Insert everything of a trial but its head row.

    Raises:
        ValueError: a value is NaN, or a complete trial lacks one for an objective.
    """
    params = []
    for position, (name, value) in enumerate(trial.params.items()):
        distribution = trial.distributions[name]
        internal = distribution.to_internal_repr(value)
        params.append((trial_id, position, *encode_param(name, internal, distribution)))
    reports = [
        (trial_id, check_step(step), check_number(value, "a reported value"))
        for step, value in trial.intermediate_values.items()
    ]
    attributes = [
        (trial_id, scope, *encode_attribute(scope, name, value))
        for scope, found in (("user", trial.user_attrs), ("system", trial.system_attrs))
        for name, value in found.items()
    ]
    for statement, rows in (
        (INSERT_PARAM, params),
        (INSERT_REPORT, reports),
        (INSERT_TRIAL_ATTRIBUTE, attributes),
    ):
        if rows:
            connection.execute_many(statement, rows)
    if trial.values is not None:
        insert_values(connection, trial_id, check_values(trial.values))
    if trial.state == TrialState.COMPLETE:
        require_values(connection, study_id, trial_id)


def insert_values(connection: Connection, trial_id: int, values: Sequence[float]) -> None:
    """Insert a trial's values.

    Raises:
        ValueError: a value is NaN.
    """
    rows = [(trial_id, position, value) for position, value in enumerate(values)]
    if any(isnan(row[2]) for row in rows):
        raise ValueError("NaN is no value of a trial; Optuna fails a trial that returns it")
    connection.execute_many(INSERT_VALUE, rows)


def require_values(connection: Connection, study_id: int, trial_id: int) -> None:
    """Check that a trial has a value for each objective.

    Raises:
        ValueError: there are fewer values than objectives, or more.
    """
    objectives, values = connection.all(COUNT_VALUES, (study_id, trial_id))[0]
    if objectives != values:
        raise ValueError(f"a complete trial of this study has {objectives} values, not {values}")


def encode_param(name: str, internal: float, distribution: BaseDistribution) -> tuple[Any, ...]:
    """Return a row of trial_param, from the name on."""
    name = check_text(name, "the name of a parameter")
    internal = check_number(internal, f"param {name!r}")
    if not isinstance(distribution, BaseDistribution):
        raise InvalidTypeError(
            f"param {name!r} needs a distribution of Optuna's, not {short_repr(distribution)}"
        )
    with reading(f"param {name!r}"):
        value = plain(distribution.to_external_repr(internal))
    num, text = None, None
    if value is None:
        kind = "null"
    elif isinstance(value, str):
        kind, text = "text", check_text(value, "a choice")
    elif isinstance(value, float):
        kind, num = "float", float(value)
    elif isinstance(value, int) and not isinstance(value, bool) and INT64_MIN <= value <= INT64_MAX:
        kind, num, text = "int", float(value), None if abs(value) <= EXACT_INT else str(value)
    else:
        kind, text = "bool" if isinstance(value, bool) else "other", encode_json(value)
    return name, internal, kind, num, text, distribution_to_json(distribution)


def format_local(when: datetime | None) -> str | None:
    """Return a moment of Optuna's as the archive writes it."""
    return None if when is None else utc_text(when)


# Reading


@decoding_rows
def read_trials_in(
    connection: Connection, heads: Sequence[tuple[Any, ...]], states: Container[TrialState]
) -> list[FrozenTrial]:
    """Read those of the trials with these heads that are in one of these states, as `read_frozen_trials`."""
    return read_frozen_trials(connection, [head for head in heads if STATES[head[2]] in states])


@decoding_rows
def read_frozen_trials(connection: Connection, heads: Sequence[tuple[Any, ...]]) -> list[FrozenTrial]:
    """Read the trials with these heads."""
    if not heads:
        return []
    trials = json.dumps([head[0] for head in heads])
    details: dict[int, list[tuple[Any, ...]]] = {head[0]: [] for head in heads}
    for row in connection.fold(DETAILS, {"trials": trials}, list):
        details[row[0]].append(row)
    return [_build_trial(head, details[head[0]]) for head in heads]


def _build_trial(head: tuple[Any, ...], details: list[tuple[Any, ...]]) -> FrozenTrial:
    trial_id, number, state, started_at, ended_at = head
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    values: list[float] = []
    reports: dict[int, float] = {}
    attributes: dict[int, dict[str, Any]] = {USER: {}, SYSTEM: {}}
    for _trial, part, _place, key, value, text in details:
        if part == PARAMS:
            distribution = distributions[key] = decode_distribution(text)
            params[key] = distribution.to_external_repr(nan if value is None else value)
        elif part == VALUES:
            values.append(value)
        elif part == REPORTS:
            reports[key] = nan if value is None else value
        else:
            attributes[part][key] = json.loads(text)
    return FrozenTrial(
        number=number,
        state=STATES[state],
        value=None,
        values=values or None,
        datetime_start=_parse_local(started_at),
        datetime_complete=_parse_local(ended_at),
        params=params,
        distributions=distributions,
        user_attrs=attributes[USER],
        system_attrs=attributes[SYSTEM],
        intermediate_values=reports,
        trial_id=trial_id,
    )


@lru_cache(maxsize=DISTRIBUTIONS_KEPT)
def decode_distribution(text: str) -> BaseDistribution:
    """Return the distribution that this JSON describes."""
    return json_to_distribution(text)


def _parse_local(text: str | None) -> datetime | None:
    return None if text is None else moment(text).astimezone().replace(tzinfo=None)
