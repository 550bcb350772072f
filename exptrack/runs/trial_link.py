"""How a run knows the trial it belongs to."""

from __future__ import annotations

import os

from exptrack.database.connection import Connection, Row
from exptrack.records import TrialState

TRIAL_VARIABLE = "EXPTRACK_TRIAL"  # study/number, in the environment of a script that is a trial
SELECT_TRIAL = """
SELECT t.id, t.number, t.state, s.name AS study
FROM trial AS t JOIN study AS s ON s.id = t.study WHERE s.name = ? AND t.number = ?
"""
JOIN_RUN = "UPDATE trial SET run = ? WHERE id = ? AND run IS NULL"


class TrialPruned(SystemExit):
    """Raised by an objective that gives its trial up; a script that lets it through ends with 0."""

    def __init__(self, message: str = "", *, step: int | None = None) -> None:
        super().__init__(0)
        self.message = message
        self.step = step


def read_trial_variable() -> tuple[str, int] | None:
    """Study and number of the trial that this process is, as its environment says; None when it is none."""
    study, _slash, number = os.environ.get(TRIAL_VARIABLE, "").rpartition("/")
    return (study, int(number)) if number.isdecimal() and study else None


def find_surrounding_trial(connection: Connection) -> Row | None:
    """The row of the trial that this process is; None unless it is one of this archive and still running."""
    named = read_trial_variable()
    row = None if named is None else connection.one(SELECT_TRIAL, named)
    return row if row is not None and row["state"] == TrialState.RUNNING else None


def name_trial_run(study: str, number: int) -> str:
    """What a trial's run is called; the longest name of a study leaves no room for a number."""
    return f"{study[:STUDY_CHARS]} #{number}"


def join_run(connection: Connection, trial: int, run: int) -> None:
    """Say that this run is the trial, unless another is already; inside the caller's transaction."""
    connection.execute(JOIN_RUN, (run, trial))


STUDY_CHARS = 900  # of the name of a study in the names of its runs
