"""Everything that a file holds of a study and its trials, for other files to take.

Invariant: no row id is in it, and no number of another trial. A trial that repeats an earlier one names it by
its uid here, and by its number in a file: numbers change when two files of one study are merged.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, NamedTuple

from exptrack.database.connection import Connection
from exptrack.database.row_sums import wrap_sum
from exptrack.runs.row_sums import ADD_TO_TRIAL, OF_STUDY, OF_TRIAL, begin_study_sum, sum_all
from exptrack.runs.trial_link import RETRY_MARK

STUDY_OF_UID = "SELECT id, uid, name, created_at, settings, rows_sum FROM study WHERE uid = ?"
OBJECTIVES = "SELECT position, direction, metric FROM study_objective WHERE study = ? ORDER BY position"
STUDY_ATTRIBUTES = "SELECT scope, name, value FROM study_attribute WHERE study = ? ORDER BY id"
TRIALS = """
SELECT id, uid, number, state, run_id, started_at, ended_at, duration_ms, heartbeat_at, reason, owner, rows_sum
FROM trial WHERE study = ? ORDER BY number
"""
_OF_TRIALS = "IN (SELECT id FROM trial WHERE study = ?)"
PARAMS = f"""
SELECT trial, position, name, value, type, num, text, distribution
FROM trial_param WHERE trial {_OF_TRIALS} ORDER BY trial, position
"""
VALUES = f"SELECT trial, position, value FROM trial_value WHERE trial {_OF_TRIALS} ORDER BY trial, id"
REPORTS = f"SELECT trial, step, value FROM trial_report WHERE trial {_OF_TRIALS} ORDER BY trial, id"
TRIAL_ATTRIBUTES = f"""
SELECT trial, scope, name, value FROM trial_attribute WHERE trial {_OF_TRIALS} ORDER BY trial, id
"""
INSERT_STUDY = "INSERT INTO study (uid, name, created_at, settings) VALUES (?, ?, ?, ?)"
UPDATE_STUDY = "UPDATE study SET name = ?, settings = ?, rows_sum = 0 WHERE id = ?"
INSERT_OBJECTIVE = "INSERT INTO study_objective (study, position, direction, metric) VALUES (?, ?, ?, ?)"
SAVE_STUDY_ATTRIBUTE = """
INSERT INTO study_attribute (study, scope, name, value) VALUES (?, ?, ?, ?)
ON CONFLICT (study, scope, name) DO UPDATE SET value = excluded.value
"""
INSERT_TRIAL = """
INSERT INTO trial
    (id, uid, study, number, state, run_id, started_at, ended_at, duration_ms, heartbeat_at, reason, owner)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
DELETE_TRIAL = "DELETE FROM trial WHERE id = ?"
INSERT_PARAM = """
INSERT INTO trial_param (trial, position, name, value, type, num, text, distribution)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_VALUE = "INSERT INTO trial_value (trial, position, value) VALUES (?, ?, ?)"
INSERT_REPORT = "INSERT INTO trial_report (trial, step, value) VALUES (?, ?, ?)"
INSERT_TRIAL_ATTRIBUTE = "INSERT INTO trial_attribute (trial, scope, name, value) VALUES (?, ?, ?, ?)"


class TrialRows(NamedTuple):
    """What a file holds of a trial, but its number: that is the rank of its uid in the study."""

    uid: str
    facts: tuple[Any, ...]  # state, run_id, started_at, ended_at, duration_ms, heartbeat_at, reason, owner
    params: tuple[tuple[Any, ...], ...]
    values: tuple[tuple[Any, ...], ...]
    reports: tuple[tuple[Any, ...], ...]
    attributes: tuple[tuple[str, str, str], ...]  # scope, name, value


class StudyRows(NamedTuple):
    """What a file holds of a study. `row_ids` are those of its trials in that file, by uid."""

    row_id: int
    uid: str
    name: str
    created_at: str
    settings: str
    objectives: tuple[tuple[Any, ...], ...]
    attributes: tuple[tuple[str, str, str], ...]  # scope, name, value
    trials: tuple[TrialRows, ...]
    row_ids: dict[str, int]
    numbers: dict[str, int]
    is_sound: bool  # the sums of its rows hold


def read_study(connection: Connection, uid: str) -> StudyRows | None:
    """Read a study; None if the file does not have it. Call inside a reading or a section."""
    row = connection.one(STUDY_OF_UID, (uid,))
    if row is None:
        return None
    study = (row["id"],)

    def read(sql: str) -> dict[int, list[tuple[Any, ...]]]:
        found: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for trial, *rest in connection.fold(sql, study, list):
            found[trial].append(tuple(rest))
        return found

    rows: list[tuple[Any, ...]] = connection.fold(TRIALS, study, list)
    uids = {one[2]: one[1] for one in rows}
    params, values, reports, attributes = map(read, (PARAMS, VALUES, REPORTS, TRIAL_ATTRIBUTES))
    trials = tuple(
        TrialRows(
            one[1],
            tuple(one[3:11]),
            tuple(params.get(one[0], ())),
            tuple(values.get(one[0], ())),
            tuple(reports.get(one[0], ())),
            tuple(_name_retried(said, uids) for said in attributes.get(one[0], ())),
        )
        for one in rows
    )
    is_sound = sum_all(connection, OF_STUDY, row["id"]) == row["rows_sum"] and all(
        sum_all(connection, OF_TRIAL, one[0]) == one[11] for one in rows
    )
    return StudyRows(
        row["id"],
        uid,
        row["name"],
        row["created_at"],
        row["settings"],
        tuple(connection.fold(OBJECTIVES, study, list)),
        tuple(connection.fold(STUDY_ATTRIBUTES, study, list)),
        trials,
        {one[1]: one[0] for one in rows},
        {one[1]: one[2] for one in rows},
        is_sound,
    )


def _name_retried(said: tuple[Any, ...], uids: dict[int, str]) -> tuple[str, str, str]:
    scope, name, value = said
    if (scope, name) != ("system", RETRY_MARK):
        return scope, name, value
    return scope, name, json.dumps(uids.get(json.loads(value)))


def _number_retried(said: tuple[str, str, str], numbers: dict[str, int]) -> tuple[str, str, str]:
    scope, name, value = said
    if (scope, name) != ("system", RETRY_MARK):
        return said
    return scope, name, json.dumps(numbers.get(json.loads(value)))


def insert_study(connection: Connection, study: StudyRows) -> int:
    """Write the row and the objectives of a study, without its sum. Call inside a transaction."""
    facts = (study.uid, study.name, study.created_at, study.settings)
    row_id = connection.execute(INSERT_STUDY, facts).lastrowid
    assert row_id is not None
    connection.execute_many(INSERT_OBJECTIVE, [(row_id, *one) for one in study.objectives])
    return row_id


def insert_trial(
    connection: Connection, study: int, trial: TrialRows, numbers: dict[str, int], row_id: int | None = None
) -> None:
    """Write a trial with all that belongs to it, and its sum. Call inside a transaction."""
    facts = (row_id, trial.uid, study, numbers[trial.uid], *trial.facts)
    written = connection.execute(INSERT_TRIAL, facts).lastrowid
    assert written is not None
    connection.execute_many(INSERT_PARAM, [(written, *one) for one in trial.params])
    connection.execute_many(INSERT_VALUE, [(written, *one) for one in trial.values])
    connection.execute_many(INSERT_REPORT, [(written, *one) for one in trial.reports])
    attributes = [(written, *_number_retried(one, numbers)) for one in trial.attributes]
    connection.execute_many(INSERT_TRIAL_ATTRIBUTE, attributes)
    connection.execute(ADD_TO_TRIAL, (wrap_sum(sum_all(connection, OF_TRIAL, written)), written))


def save_study(connection: Connection, study: int, rows: StudyRows) -> None:
    """Save name, settings and attributes of a study, and sum it up with the trials that it has now."""
    connection.execute(UPDATE_STUDY, (rows.name, rows.settings, study))
    connection.execute_many(SAVE_STUDY_ATTRIBUTE, [(study, *one) for one in rows.attributes])
    begin_study_sum(connection, study)
