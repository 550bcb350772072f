"""Read and write the rows of studies and trials as Optuna describes them."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from math import nan
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    distribution_to_json,
    json_to_distribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from exptrack.times import moment, utc_text
from exptrack.validation import INT64_MAX, INT64_MIN, check_text

STUDY_BY_NAME = "SELECT id FROM study WHERE name = ?"
STUDY_NAME = "SELECT name FROM study WHERE id = ?"
ALL_STUDIES = "SELECT id, name FROM study ORDER BY id"
INSERT_STUDY = "INSERT INTO study (name, created_at, settings) VALUES (?, ?, '{}')"
INSERT_OBJECTIVE = "INSERT INTO study_objective (study, position, direction) VALUES (?, ?, ?)"
DIRECTIONS = "SELECT direction FROM study_objective WHERE study = ? ORDER BY position"
DELETE_STUDY = "DELETE FROM study WHERE id = ?"
STUDY_ATTRIBUTES = "SELECT name, value FROM study_attribute WHERE study = ? AND scope = ? ORDER BY id"
SET_STUDY_ATTRIBUTE = """
INSERT INTO study_attribute (study, scope, name, value) SELECT id, ?, ?, ? FROM study WHERE id = ?
ON CONFLICT (study, scope, name) DO UPDATE SET value = excluded.value
"""

INSERT_TRIAL = """
INSERT INTO trial (study, number, state, started_at, ended_at, owner)
SELECT s.id, (SELECT coalesce(max(t.number) + 1, 0) FROM trial AS t WHERE t.study = s.id), ?, ?, ?, ?
FROM study AS s WHERE s.id = ?
"""
# An insert that finds no row tells that the trial is over or absent, which is looked into only then.
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
END_TRIAL = "UPDATE trial SET state = ?, ended_at = ?, owner = NULL WHERE id = ?"
REQUEUE_TRIAL = "UPDATE trial SET state = 'waiting', owner = NULL WHERE id = ?"
BEAT = "UPDATE trial SET heartbeat_at = ? WHERE id = ? AND state = 'running'"
STALE = "SELECT id FROM trial WHERE study = ? AND state = 'running' AND heartbeat_at < ? ORDER BY number"

STATE_OF_TRIAL = "SELECT study, state FROM trial WHERE id = ?"
NUMBER_OF_TRIAL = "SELECT number FROM trial WHERE id = ?"
TRIAL_BY_NUMBER = "SELECT id FROM trial WHERE study = ? AND number = ?"
COUNT_BY_STATE = "SELECT state, count(*) FROM trial WHERE study = ? GROUP BY state"
PARAM = "SELECT value FROM trial_param WHERE trial = ? AND name = ?"
TRIAL_ATTRIBUTES = "SELECT name, value FROM trial_attribute WHERE trial = ? AND scope = ? ORDER BY id"
FIRST_DISTRIBUTION = """
SELECT p.distribution FROM trial AS t JOIN trial_param AS p ON p.trial = t.id AND p.name = ?
WHERE t.study = ? ORDER BY t.number LIMIT 1
"""
# Whether the study is there; its trials from a number on; those that were not over when last looked at.
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
# Everything of some trials at once: trial, part, order in the part, key, number, text.
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
_STATES = {state.name.lower(): state for state in TrialState}
_DIRECTIONS = {"minimize": StudyDirection.MINIMIZE, "maximize": StudyDirection.MAXIMIZE}
DISTRIBUTIONS_KEPT = 4096


class _Seen:
    """What this process knows of one study: its finished trials, and where it has to look again."""

    def __init__(self) -> None:
        self.by_number: list[FrozenTrial | None] = []
        self.open: set[int] = set()  # the numbers at which that has None
        self.unranked: list[tuple[int, FrozenTrial]] = []  # complete ones that may be better than the best
        self.best: tuple[tuple[float, int], FrozenTrial] | None = None
        self.distributions: dict[str, BaseDistribution] = {}


def _text(local: datetime | None) -> str | None:
    return None if local is None else utc_text(local)


def _local(text: str | None) -> datetime | None:
    """A moment as Optuna has it: this machine's time, without a zone."""
    return None if text is None else moment(text).astimezone().replace(tzinfo=None)


def _param(name: str, internal: float, distribution: BaseDistribution) -> tuple[Any, ...]:
    """A row of trial_param from the name on."""
    check_text(name, "the name of a parameter")
    seen = distribution.to_external_repr(internal)
    number, text = None, None
    if seen is None:
        kind = "null"
    elif isinstance(seen, str):
        kind, text = "text", check_text(seen, "a choice")
    elif isinstance(seen, float):
        kind, number = "float", float(seen)
    elif isinstance(seen, int) and not isinstance(seen, bool) and INT64_MIN <= seen <= INT64_MAX:
        kind, number = "int", float(seen)
    else:
        kind, text = "bool" if isinstance(seen, bool) else "other", json.dumps(seen)
    return name, float(internal), kind, number, text, distribution_to_json(distribution)


@lru_cache(maxsize=DISTRIBUTIONS_KEPT)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def _frozen(head: tuple[Any, ...], details: list[tuple[Any, ...]]) -> tuple[FrozenTrial, int | None]:
    trial_id, number, state, started_at, ended_at = head
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    values: list[float] = []
    reports: dict[int, float] = {}
    attributes: dict[int, dict[str, Any]] = {USER: {}, SYSTEM: {}}
    rank = None
    for _trial, part, place, key, value, text in details:
        if part == PARAMS:
            distribution = distributions[key] = _distribution(text)
            params[key] = distribution.to_external_repr(nan if value is None else value)
        elif part == VALUES:
            rank = rank if place else key
            values.append(value)
        elif part == REPORTS:
            reports[key] = nan if value is None else value
        else:
            attributes[part][key] = json.loads(text)
    trial = FrozenTrial(
        number=number,
        state=_STATES[state],
        value=None,
        values=values or None,
        datetime_start=_local(started_at),
        datetime_complete=_local(ended_at),
        params=params,
        distributions=distributions,
        user_attrs=attributes[USER],
        system_attrs=attributes[SYSTEM],
        intermediate_values=reports,
        trial_id=trial_id,
    )
    return trial, rank
