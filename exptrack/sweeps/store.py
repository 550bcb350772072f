"""Studies and trials as they stand in the file: all that can be read, and joined to runs, without Optuna.

Invariants: a trial is joined to at most one run, the first that began for it. Who reads a study sees the state
of one moment. Numbers of trials count from 0 within their study.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from exptrack.database.connection import Connection, Row
from exptrack.errors import StudyNotFoundError
from exptrack.process import ProcessIdentity, is_alive
from exptrack.records import TrialState
from exptrack.sweeps.records import StudyInfo, TrialRecord
from exptrack.times import moment, utc_text
from exptrack.validation import check_name

ASK_TO_STOP = """
INSERT INTO study_attribute (study, scope, name, value) VALUES (?, 'system', ?, json_quote(?))
ON CONFLICT (study, scope, name) DO UPDATE SET value = excluded.value
"""
STOP_ASKED = """
SELECT json_extract(value, '$') FROM study_attribute WHERE study = ? AND scope = 'system' AND name = ?
"""
STOP_MARK = "exptrack:stop"  # when somebody last asked to begin no more trials
STOP_NOW_MARK = "exptrack:stop_now"  # when somebody last asked to end those under way too

PROCESS_DIED = "its process died"
SELECT_STUDY = "SELECT id, name, created_at, settings FROM study WHERE name = ?"
SELECT_STUDIES = "SELECT id, name, created_at, settings FROM study ORDER BY created_at DESC, id DESC"
STUDY_NAMES = "SELECT name FROM study ORDER BY id DESC LIMIT 1000"
OBJECTIVES = "SELECT direction, metric FROM study_objective WHERE study = ? ORDER BY position"
COUNTS_BY_STATE = "SELECT state, count(*) FROM trial WHERE study = ? GROUP BY state"
# Constraints are met at zero and below; older samplers keep them in one list, newer ones under a name each.
BROKEN_CONSTRAINT = """EXISTS (
    SELECT 1 FROM trial_attribute AS a, json_each(CASE WHEN json_valid(a.value) THEN a.value ELSE '[]' END) AS c
    WHERE a.trial = t.id AND a.scope = 'system' AND (a.name = 'constraints' OR a.name GLOB 'constraints:*')
      AND c.value > 0
)"""
BEST_TRIAL = f"""
SELECT t.number, v.value
FROM trial AS t JOIN trial_value AS v ON v.trial = t.id AND v.position = 0
WHERE t.study = :study AND t.state = 'complete' AND NOT {BROKEN_CONSTRAINT}
ORDER BY v.value * :sign, t.number LIMIT 1
"""
INFEASIBLE_TRIALS = f"SELECT t.number FROM trial AS t WHERE t.study = ? AND {BROKEN_CONSTRAINT}"
TRIALS_OF = """
SELECT t.id, t.number, t.state, t.started_at, t.ended_at, t.reason, r.run_id
FROM trial AS t LEFT JOIN run AS r ON r.id = t.run
WHERE t.study = ? AND t.state IN (SELECT value FROM json_each(?)) ORDER BY t.number
"""
TRIAL_AT = """
SELECT t.id, t.number, t.state, t.started_at, t.ended_at, t.reason, r.run_id
FROM trial AS t LEFT JOIN run AS r ON r.id = t.run WHERE t.study = ? AND t.number = ?
"""
VALUES_OF = """
SELECT v.trial, v.value FROM json_each(?) AS j CROSS JOIN trial_value AS v ON v.trial = j.value
ORDER BY v.trial, v.position
"""
PARAMS_OF = """
SELECT p.trial, p.name, p.value, p.distribution
FROM json_each(?) AS j CROSS JOIN trial_param AS p ON p.trial = j.value ORDER BY p.trial, p.position
"""
REPORTS_OF = """
SELECT p.trial, p.step, p.value FROM json_each(?) AS j CROSS JOIN trial_report AS p ON p.trial = j.value
ORDER BY p.trial, p.step
"""
COUNT_TRIALS = "SELECT count(*) FROM trial WHERE study = ?"
COUNT_ATTEMPTS = """
SELECT count(*) FROM trial AS t WHERE t.study = ? AND NOT EXISTS (
    SELECT 1 FROM trial_attribute AS a WHERE a.trial = t.id AND a.scope = 'system' AND a.name = ?
)
"""
DELETE_STUDY = "DELETE FROM study WHERE id = ?"
RUNNING_TRIALS = (
    "SELECT id, number, owner FROM trial WHERE study = ? AND state = 'running' AND owner IS NOT NULL"
)


def find_study(connection: Connection, name: object) -> Row:
    """The row of a study.

    Raises:
        StudyNotFoundError: there is none of this name.
    """
    checked = check_name(name, "study name")
    row = connection.one(SELECT_STUDY, (checked,))
    if row is None:
        known = [row["name"] for row in connection.all(STUDY_NAMES)]
        raise StudyNotFoundError(checked, str(connection.path), difflib.get_close_matches(checked, known))
    return row


def list_studies(connection: Connection) -> list[StudyInfo]:
    """Every study, the newest first."""
    with connection.snapshot():
        return [study_info(connection, row) for row in connection.all(SELECT_STUDIES)]


def study_info(connection: Connection, row: Row) -> StudyInfo:
    """A study in a few facts; `row` as of :func:`find_study`."""
    objectives = connection.all(OBJECTIVES, (row["id"],))
    directions = tuple(objective["direction"] for objective in objectives)
    counts = {TrialState(state): count for state, count in connection.all(COUNTS_BY_STATE, (row["id"],))}
    dead = len(dead_trials(connection, row["id"]))
    if dead:
        counts[TrialState.RUNNING] -= dead
        counts[TrialState.FAIL] = counts.get(TrialState.FAIL, 0) + dead
    best = None
    if len(directions) == 1:
        sign = 1 if directions[0] == "minimize" else -1
        best = connection.one(BEST_TRIAL, {"study": row["id"], "sign": sign})
    return StudyInfo(
        name=row["name"],
        created_at=moment(row["created_at"]),
        directions=directions,
        metrics=tuple(objective["metric"] for objective in objectives),
        counts={state: counts.get(state, 0) for state in TrialState},
        best_value=None if best is None else best["value"],
        best_number=None if best is None else best["number"],
        settings=json.loads(row["settings"]),
    )


def read_trials(
    connection: Connection, study: int, states: Iterable[TrialState] = tuple(TrialState)
) -> list[TrialRecord]:
    """The trials of a study that are in one of these states, by number; those of dead processes have failed."""
    asked = set(states)
    # A dead one still stands as running in the file.
    looked_up = asked | {TrialState.RUNNING} if TrialState.FAIL in asked else asked
    with connection.snapshot():
        rows = connection.all(TRIALS_OF, (study, json.dumps(sorted(looked_up))))
        found = _records(connection, study, rows)
    return [trial for trial in found if trial.state in asked]


def read_trial(connection: Connection, study: int, number: int) -> TrialRecord | None:
    """One trial of a study, or None when it has none of this number."""
    with connection.snapshot():
        found = _records(connection, study, connection.all(TRIAL_AT, (study, number)))
    return found[0] if found else None


def _records(connection: Connection, study: int, rows: Sequence[Row]) -> list[TrialRecord]:
    running = any(row["state"] == TrialState.RUNNING for row in rows)
    dead = {row["id"] for row in dead_trials(connection, study)} if running else set()
    wanted = (json.dumps([row["id"] for row in rows]),)
    values = _by_trial(connection.all(VALUES_OF, wanted))
    params = _by_trial(connection.all(PARAMS_OF, wanted))
    reports = _by_trial(connection.all(REPORTS_OF, wanted))
    return [
        TrialRecord(
            number=row["number"],
            state=TrialState.FAIL if row["id"] in dead else TrialState(row["state"]),
            values=tuple(value for (value,) in values.get(row["id"], ())),
            params={name: _external(num, text) for name, num, text in params.get(row["id"], ())},
            reports={step: math.nan if value is None else value for step, value in reports.get(row["id"], ())},
            run_id=row["run_id"],
            started_at=None if row["started_at"] is None else moment(row["started_at"]),
            ended_at=None if row["ended_at"] is None else moment(row["ended_at"]),
            reason=PROCESS_DIED if row["id"] in dead else row["reason"],
        )
        for row in rows
    ]


def infeasible_trials(connection: Connection, study: int) -> set[int]:
    """The numbers of the trials that broke a constraint; they are never the best."""
    return {row["number"] for row in connection.all(INFEASIBLE_TRIALS, (study,))}


def _by_trial(rows: Sequence[Row]) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = {}
    for trial, *columns in rows:
        found.setdefault(trial, []).append(tuple(columns))
    return found


def _external(number: float | None, distribution: str) -> Any:
    """A param as the objective saw it; see ``optuna.distributions.json_to_distribution`` for the form."""
    value = math.nan if number is None else number
    drawn = json.loads(distribution)
    if drawn["name"] == "CategoricalDistribution":
        return drawn["attributes"]["choices"][int(value)]
    return int(value) if drawn["name"] == "IntDistribution" else value


def dead_trials(connection: Connection, study: int) -> list[Row]:
    """Running trials (id, number) of which the process is known to be dead."""
    rows = connection.all(RUNNING_TRIALS, (study,))
    return [row for row in rows if is_alive(ProcessIdentity(**json.loads(row["owner"]))) is False]


def delete_study(connection: Connection, name: object) -> int:
    """Delete a study and its trials; see :meth:`exptrack.Archive.delete_study`."""
    with connection.transaction():
        study = find_study(connection, name)["id"]
        count = int(connection.value(COUNT_TRIALS, (study,)))
        connection.execute(DELETE_STUDY, (study,))
    return count


def ask_to_stop(connection: Connection, study: int, *, now: bool = False) -> None:
    """Ask whoever searches a study to begin no more trials; `now`: and to end those under way. Commits."""
    with connection.transaction():
        for mark in (STOP_MARK, STOP_NOW_MARK)[: 1 + now]:
            connection.execute(ASK_TO_STOP, (study, mark, utc_text()))


def stop_asked_since(connection: Connection, study: int, began: str, *, now: bool = False) -> bool:
    """Whether somebody has asked for that since a time."""
    asked = connection.value(STOP_ASKED, (study, STOP_NOW_MARK if now else STOP_MARK))
    return asked is not None and str(asked) >= began
