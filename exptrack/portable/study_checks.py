"""Verify studies and trials."""

from __future__ import annotations

import json
from collections.abc import Iterator

from exptrack.database.connection import Connection
from exptrack.portable.findings import Problem, guard
from exptrack.records import TrialState
from exptrack.runs.row_sums import OF_STUDY, OF_TRIAL, sum_all
from exptrack.times import moment

STUDY_ROW_IDS = "SELECT id FROM study ORDER BY id"
ONE_STUDY = "SELECT name, created_at, settings, rows_sum FROM study WHERE id = ?"
TRIAL_ROW_IDS = "SELECT id FROM trial WHERE study = ? ORDER BY number"
ONE_TRIAL = "SELECT number, state, started_at, ended_at, heartbeat_at, rows_sum FROM trial WHERE id = ?"
# Trials are numbered one after the other, and a trial is deleted only with its study. So a gap is damage.
NUMBERS_OF_TRIALS = (
    "SELECT count(*) AS trials, min(number) AS first, max(number) AS last FROM trial WHERE study = ?"
)
COUNT_OBJECTIVES = "SELECT count(*) FROM study_objective WHERE study = ?"
COUNT_VALUES_GIVEN = """
SELECT count(*) FROM trial_value AS v
JOIN trial AS t ON t.id = v.trial
JOIN study_objective AS o ON o.study = t.study AND o.position = v.position
WHERE v.trial = ?
"""
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def check_studies(connection: Connection) -> Iterator[Problem]:
    """Verify every study and its trials."""
    for (study,) in connection.all(STUDY_ROW_IDS):
        yield from guard("study", f"row {study}", _check_study(connection, study))


def _check_study(connection: Connection, study: int) -> Iterator[Problem]:
    row = connection.one(ONE_STUDY, (study,))
    if row is None:
        yield Problem("study", f"row {study}", "its row is in an index only")
        return
    name = row["name"]
    numbers = connection.one(NUMBERS_OF_TRIALS, (study,))
    if numbers is not None and numbers["trials"]:
        if numbers["first"] != 0 or numbers["last"] != numbers["trials"] - 1:
            message = f"has {numbers['trials']:,} trials, the last one number {numbers['last']}"
            yield Problem("study", name, message)
    if sum_all(connection, OF_STUDY, study) != row["rows_sum"]:
        what = "its settings, objectives, attributes or trials"
        yield Problem("study", name, f"{what} are not those that were stored")
    moment(row["created_at"])
    json.loads(row["settings"])
    objectives = connection.value(COUNT_OBJECTIVES, (study,))
    for (trial,) in connection.all(TRIAL_ROW_IDS, (study,)):
        yield from guard(
            "study", f"{name}, trial row {trial}", _check_trial(connection, name, objectives, trial)
        )


def _check_trial(connection: Connection, study: str, objectives: int, trial: int) -> Iterator[Problem]:
    row = connection.one(ONE_TRIAL, (trial,))
    if row is None:
        yield Problem("study", f"{study}, trial row {trial}", "its row is in an index only")
        return
    where = f"{study} #{row['number']}"
    ended = row["ended_at"] is not None
    if ended != (row["state"] in ENDED):
        yield Problem("study", where, f"is {row['state']} {'with' if ended else 'without'} an end")
    elif row["state"] == TrialState.COMPLETE:
        given = connection.value(COUNT_VALUES_GIVEN, (trial,))
        if given != objectives:
            yield Problem("study", where, f"has {given} values for {objectives} objectives")
    if sum_all(connection, OF_TRIAL, trial) != row["rows_sum"]:
        what = "its state, params, values, reports or attributes"
        yield Problem("study", where, f"{what} are not those that were stored")
    for column in ("started_at", "ended_at", "heartbeat_at"):
        if row[column] is not None:
            moment(row[column])
