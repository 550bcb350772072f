"""Read studies and trials, delete studies, and ask searches to stop: all without Optuna.

Invariants: a trial is joined to at most one run, the first that began for it. Each call reads the state of one
moment. The numbers of trials count from 0 within their study. A running trial whose process is dead, with every
process forked from it and its command, reads as :meth:`Study.fail_dead_trials` will write it: failed, or with
the value of its run.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import Enum
from shlex import quote
from typing import Any, NamedTuple

from exptrack.artifacts.deletion import delete_runs
from exptrack.database.connection import Connection, Row, in_reading, in_section
from exptrack.database.damage import decoding_rows
from exptrack.database.presence import has_living_child, is_process_alive, show_presence
from exptrack.errors import ConflictError, StudyNotFoundError
from exptrack.process import ProcessIdentity, current_process, is_alive, shares_boot
from exptrack.records import TrialState
from exptrack.runs.lookup import read_runs
from exptrack.runs.ownership import identity_of_owner, is_dead, is_run_dead
from exptrack.runs.row_sums import changing_study_attribute, changing_trial
from exptrack.runs.trial_link import PROCESS_DIED, RETRY_MARK
from exptrack.sweeps.records import StudyInfo, TrialRecord
from exptrack.sweeps.verdict import Verdict, judge_left, last_report
from exptrack.times import moment
from exptrack.validation import check_name

# The attributes of studies and trials that are exptrack's, among Optuna's.
STOP_MARK = "exptrack:stop"  # of a study: how often it was asked to begin no more trials
STOP_NOW_MARK = "exptrack:stop_now"  # of a study: how often it was asked to end running trials too

ENDS = {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}

SET_OWNER = "UPDATE trial SET owner = ? WHERE id = ? AND state = 'running'"
SELECT_STUDY = "SELECT id, name, created_at, settings FROM study WHERE name = ?"
SELECT_STUDIES = "SELECT id, name, created_at, settings FROM study ORDER BY created_at DESC, id DESC"
SETTINGS_OF = "SELECT settings FROM study WHERE id = ?"
STUDY_NAMES = "SELECT name FROM study ORDER BY id DESC LIMIT 1000"
OBJECTIVES = "SELECT direction, metric FROM study_objective WHERE study = ? ORDER BY position"
COUNTS_BY_STATE = "SELECT state, count(*) FROM trial WHERE study = ? GROUP BY state"
# A constraint is met at 0 and below. Older samplers store all as one list, newer ones each under its own name.
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
SELECT t.id, t.number, t.state, t.started_at, t.ended_at, t.reason, t.run_id
FROM trial AS t
WHERE t.study = ? AND t.state IN (SELECT value FROM json_each(?)) ORDER BY t.number
"""
TRIAL_AT = """
SELECT t.id, t.number, t.state, t.started_at, t.ended_at, t.reason, t.run_id
FROM trial AS t WHERE t.study = ? AND t.number = ?
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
COUNT_RUNNING = "SELECT count(*) FROM trial WHERE study = ? AND state = 'running'"
RUNS_OF_STUDY = "SELECT r.id FROM trial AS t JOIN run AS r ON r.run_id = t.run_id WHERE t.study = ?"
COUNT_TRIALS = "SELECT count(*) FROM trial WHERE study = ?"
# Trials that repeat an earlier one are not counted.
COUNT_ATTEMPTS = """
SELECT count(*) FROM trial AS t WHERE t.study = ? AND NOT EXISTS (
    SELECT 1 FROM trial_attribute AS a WHERE a.trial = t.id AND a.scope = 'system' AND a.name = ?
)
"""
RETRIED_NUMBERS = """
SELECT json_extract(a.value, '$') FROM trial AS t JOIN trial_attribute AS a ON a.trial = t.id
WHERE t.study = ? AND a.scope = 'system' AND a.name = ?
"""
RUNNING_TRIALS = """
SELECT t.id, t.number, t.owner, o.host_id, o.boot_id, o.pid, o.pid_started, o.lease_s, r.heartbeat_at
FROM trial AS t LEFT JOIN run AS r ON r.run_id = t.run_id LEFT JOIN run_owner AS o ON o.run = r.id
WHERE t.study = ? AND t.state = 'running' AND t.owner IS NOT NULL
"""
# A trial that has ended keeps the reason it ended for.
NOTE_FAILURE = "UPDATE trial SET reason = ? WHERE id = ? AND state = 'running'"
DELETE_STUDY = "DELETE FROM study WHERE id = ?"
ASK_TO_STOP = """
INSERT INTO study_attribute (study, scope, name, value) VALUES (?, 'system', ?, '1')
ON CONFLICT (study, scope, name) DO UPDATE SET value = CAST(value AS INTEGER) + 1
"""
COUNT_STOPS = """
SELECT CAST(value AS INTEGER) FROM study_attribute WHERE study = ? AND scope = 'system' AND name = ?
"""


# Studies


def find_study(connection: Connection, name: object) -> Row:
    """Read the row of a study.

    Raises:
        StudyNotFoundError: no study has this name.
    """
    checked = check_name(name, "study name")
    row = connection.one(SELECT_STUDY, (checked,))
    if row is None:
        known = [row["name"] for row in connection.all(STUDY_NAMES)]
        raise StudyNotFoundError(checked, str(connection.path), difflib.get_close_matches(checked, known))
    return row


@in_reading
def list_studies(connection: Connection) -> list[StudyInfo]:
    """Read every study, the newest first."""
    with connection.snapshot():
        return [study_info(connection, row) for row in connection.all(SELECT_STUDIES)]


@decoding_rows
def study_info(connection: Connection, row: Row) -> StudyInfo:
    """Summarize a study; `row` is a row as :func:`find_study` returns it."""
    objectives = connection.all(OBJECTIVES, (row["id"],))
    directions = tuple(objective["direction"] for objective in objectives)
    counts = {TrialState(state): count for state, count in connection.all(COUNTS_BY_STATE, (row["id"],))}
    ends = _find_ends(connection, row["id"], row["settings"])
    for end in ends.values():
        counts[TrialState.RUNNING] -= 1
        counts[end.state] = counts.get(end.state, 0) + 1
    best = None
    if len(directions) == 1:
        sign = 1 if directions[0] == "minimize" else -1
        found = connection.one(BEST_TRIAL, {"study": row["id"], "sign": sign})
        complete = [(end.values[0], end.number) for end in ends.values() if end.state is TrialState.COMPLETE]
        complete += [] if found is None else [(found["value"], found["number"])]
        best = min(complete, key=lambda one: (sign * one[0], one[1]), default=None)
    return StudyInfo(
        name=row["name"],
        created_at=moment(row["created_at"]),
        directions=directions,
        metrics=tuple(objective["metric"] for objective in objectives),
        counts={state: counts.get(state, 0) for state in TrialState},
        best_value=None if best is None else best[0],
        best_number=None if best is None else best[1],
        settings=json.loads(row["settings"]),
    )


@in_section
def delete_study(connection: Connection, name: object, *, with_runs: bool, only_ended: bool) -> int:
    """Delete a study and its trials; see :meth:`exptrack.Archive.delete_study`."""
    with connection.transaction(durable=with_runs):
        row = find_study(connection, name)
        if only_ended:
            running = count_running_trials(connection, row["id"])
            if running:
                raise ConflictError(
                    f"{running} trial{'s' * (running > 1)} of study {row['name']!r} may be running; stop the"
                    f" search first, by `exptrack sweep stop {quote(row['name'])} --now`"
                )
        count = int(connection.value(COUNT_TRIALS, (row["id"],)))
        runs = read_runs(connection, [run for (run,) in connection.all(RUNS_OF_STUDY, (row["id"],))])
        connection.execute(DELETE_STUDY, (row["id"],))
        if with_runs:
            delete_runs(connection, runs)
    if with_runs:
        connection.vacuum_free_pages()
    return count


def count_running_trials(connection: Connection, study: int) -> int:
    """Count the trials of a study, by its row id, whose process lives or cannot be seen from here."""
    running = connection.value(COUNT_RUNNING, (study,))
    return int(running) - len(read_dead_trials(connection, study))


@in_section
def ask_to_stop(connection: Connection, study: int, *, now: bool = False) -> None:
    """Ask all processes that search a study to begin no more trials. Commits.

    With `now` they are asked to end running trials too.
    """
    with connection.transaction():
        for mark in (STOP_MARK, STOP_NOW_MARK)[: 1 + now]:
            with changing_study_attribute(connection, study, "system", mark):
                connection.execute(ASK_TO_STOP, (study, mark))


class StopRequests:
    """The requests to stop a study that come after this object was made. Counts them, so no clock matters."""

    def __init__(self, connection: Connection, study: int) -> None:
        self._connection = connection
        self._study = study
        self._before = {now: self._count(now) for now in (False, True)}

    def _count(self, now: bool) -> int:
        found = self._connection.value(COUNT_STOPS, (self._study, STOP_NOW_MARK if now else STOP_MARK))
        return 0 if found is None else int(found)

    def came(self, *, now: bool = False) -> bool:
        """Whether a request came; with `now`, one to end running trials too."""
        return self._count(now) != self._before[now]


# Trials


@in_reading
def read_trials(
    connection: Connection, study: int, states: Iterable[TrialState] = tuple(TrialState)
) -> list[TrialRecord]:
    """Read the trials of a study that are in one of these states, by number."""
    asked = set(states)
    # In the file the trial of a dead process is still running.
    looked_up = asked | {TrialState.RUNNING} if asked & ENDS else asked
    with connection.snapshot():
        rows = connection.all(TRIALS_OF, (study, json.dumps(sorted(looked_up))))
        found = _read_records(connection, study, rows)
    return [trial for trial in found if trial.state in asked]


@in_reading
def read_trial(connection: Connection, study: int, number: int) -> TrialRecord | None:
    """Read one trial of a study; None if it has no trial of this number."""
    with connection.snapshot():
        found = _read_records(connection, study, connection.all(TRIAL_AT, (study, number)))
    return found[0] if found else None


@decoding_rows
def _read_records(connection: Connection, study: int, rows: Sequence[Row]) -> list[TrialRecord]:
    running = any(row["state"] == TrialState.RUNNING for row in rows)
    ends = _find_ends(connection, study, connection.value(SETTINGS_OF, (study,))) if running else {}
    wanted = (json.dumps([row["id"] for row in rows]),)
    values = _group_by_trial(connection.all(VALUES_OF, wanted))
    params = _group_by_trial(connection.all(PARAMS_OF, wanted))
    reports = _group_by_trial(connection.all(REPORTS_OF, wanted))
    found = [
        TrialRecord(
            number=row["number"],
            state=TrialState(row["state"]),
            values=tuple(value for (value,) in values.get(row["id"], ())),
            params={name: _decode_param(value, drawn) for name, value, drawn in params.get(row["id"], ())},
            reports={step: math.nan if value is None else value for step, value in reports.get(row["id"], ())},
            run_id=row["run_id"],
            started_at=None if row["started_at"] is None else moment(row["started_at"]),
            ended_at=None if row["ended_at"] is None else moment(row["ended_at"]),
            reason=row["reason"],
        )
        for row in rows
    ]
    for place, row in enumerate(rows):
        if end := ends.get(row["id"]):
            found[place] = replace(found[place], state=end.state, values=end.values, reason=end.reason)
    return found


class _End(NamedTuple):
    """How a trial ends whose process is dead, before that is written."""

    number: int
    state: TrialState
    values: tuple[float, ...] = ()
    reason: str | None = None


def _find_ends(connection: Connection, study: int, settings: str) -> dict[int, _End]:
    """Return how each running trial ends whose process is dead, by its row id."""
    dead = read_dead_trials(connection, study)
    plan = json.loads(settings).get("sweep") if dead else None
    ends = {}
    for row in dead:
        verdict = judge_left(connection, plan, row["id"]) or Verdict(reason=PROCESS_DIED)
        if verdict.value is not None:
            ends[row["id"]] = _End(row["number"], TrialState.COMPLETE, (verdict.value,))
        elif verdict.pruned:
            reported = tuple(last_report(connection, row["id"]))
            ends[row["id"]] = _End(row["number"], TrialState.PRUNED, reported)
        else:
            ends[row["id"]] = _End(row["number"], TrialState.FAIL, (), verdict.reason)
    return ends


def _group_by_trial(rows: Sequence[Row]) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = {}
    for trial, *columns in rows:
        found.setdefault(trial, []).append(tuple(columns))
    return found


def _decode_param(stored: float | None, distribution: str) -> Any:
    """Return a param as the objective saw it.

    `distribution` has the form that ``optuna.distributions.distribution_to_json`` writes.
    """
    value = math.nan if stored is None else stored
    drawn = json.loads(distribution)
    if drawn["name"] == "CategoricalDistribution":
        return drawn["attributes"]["choices"][int(value)]
    return int(value) if drawn["name"] == "IntDistribution" else value


def read_infeasible_trials(connection: Connection, study: int) -> set[int]:
    """Read the numbers of the trials that broke a constraint; these are never the best."""
    return {row["number"] for row in connection.all(INFEASIBLE_TRIALS, (study,))}


def read_dead_trials(connection: Connection, study: int) -> list[Row]:
    """Read the running trials (id, number) whose process is known to be dead, and all forked from it."""
    return _read_running(connection, study, Owner.DEAD)


def read_unseen_trials(connection: Connection, study: int) -> list[Row]:
    """Read the running trials (id, number) whose process cannot be seen from here, so that it may live.

    It ran on another host. On this host a process is seen, or its lock on the archive is.
    """
    return _read_running(connection, study, Owner.UNSEEN)


def read_inherited_trials(connection: Connection, study: int) -> list[Row]:
    """Read the running trials (id, number) whose process is dead, while one that was forked from it lives."""
    return _read_running(connection, study, Owner.INHERITED)


@decoding_rows
def look_at_owners(connection: Connection, study: int) -> dict[int, Owner]:
    """Return what is known of the process of each running trial, by the trial's row id."""
    return {row["id"]: _look_at(connection, row) for row in connection.all(RUNNING_TRIALS, (study,))}


def describe_owner(connection: Connection, command: ProcessIdentity | None = None) -> str:
    """Return this process as the row of a trial names it; `shown` says that a lock tells whether it lives.

    `command` is a process that runs the trial for this one.
    """
    facts: dict[str, Any] = {**current_process()._asdict(), "shown": show_presence(connection)}
    return json.dumps(facts if command is None else {**facts, "command": [command.pid, command.started]})


@in_section
def name_command(connection: Connection, trial: int, command: ProcessIdentity) -> None:
    """Note which process runs a trial for this one: the trial goes on with it if this one dies. Commits."""
    with connection.transaction(), changing_trial(connection, trial):
        connection.execute(SET_OWNER, (describe_owner(connection, command), trial))


class Owner(Enum):
    """What is known of the process that began a trial."""

    ALIVE, DEAD, UNSEEN, INHERITED = range(4)


@decoding_rows
def _read_running(connection: Connection, study: int, wanted: Owner) -> list[Row]:
    return [row for row in connection.all(RUNNING_TRIALS, (study,)) if _look_at(connection, row) is wanted]


def _look_at(connection: Connection, row: Row) -> Owner:
    facts = json.loads(row["owner"])
    shown, command = facts.pop("shown", False), facts.pop("command", None)
    owner = ProcessIdentity(**facts)
    alive = is_process_alive(connection, owner) if shown else is_alive(owner)
    if alive is None:
        # A process here that hides when it started is not one of another host.
        return Owner.ALIVE if owner.host_id == current_process().host_id else Owner.UNSEEN
    if alive or (command and is_alive(owner._replace(pid=command[0], started=command[1]))):
        return Owner.ALIVE
    of_run = Owner.DEAD if row["pid"] is None else _look_at_run(connection, row)
    if of_run is not Owner.DEAD:
        return of_run
    return Owner.INHERITED if shown and has_living_child(connection, owner) else Owner.DEAD


def _look_at_run(connection: Connection, row: Row) -> Owner:
    """Tell whether the command of a trial lives whose sweep is gone; if so, it goes on with the trial."""
    if row["lease_s"] is not None:
        return Owner.DEAD if is_run_dead(connection, row) else Owner.ALIVE
    owner = identity_of_owner(row)
    if is_dead(connection, owner, shares_boot):
        return Owner.DEAD
    return Owner.UNSEEN if is_alive(owner) is None and not shares_boot(owner) else Owner.ALIVE


def read_retried_numbers(connection: Connection, study: int) -> set[int]:
    """Read the numbers of the trials that others repeat."""
    return {row[0] for row in connection.all(RETRIED_NUMBERS, (study, RETRY_MARK))}
