"""Link a run to the trial it belongs to.

A script that runs as a trial finds its trial in the environment variable ``EXPTRACK_TRIAL``. Invariant: a trial
has at most one run, the first that joins it.
"""

from __future__ import annotations

import os

from exptrack.database.connection import Connection, Row
from exptrack.records import TrialState
from exptrack.runs.row_sums import changing_trial

TRIAL_VARIABLE = "EXPTRACK_TRIAL"  # "study/number", in the environment of a script that is a trial
RETRY_MARK = "exptrack:retry_of"  # attribute of a trial that repeats an earlier one: the number of that
PROCESS_DIED = "its process died"  # a stored reason
STUDY_CHARS = 900  # of a study's name, kept in the names of its runs so that the trial's number fits

SELECT_TRIAL = """
SELECT t.id, t.number, t.state, s.name AS study
FROM trial AS t JOIN study AS s ON s.id = t.study WHERE s.name = ? AND t.number = ?
"""
# The trial may name a run that was deleted since.
JOIN_RUN = """
UPDATE trial SET run_id = ? WHERE id = ? AND NOT EXISTS (SELECT 1 FROM run WHERE run.run_id = trial.run_id)
"""


class TrialPruned(SystemExit):
    """Raised by an objective to give up its trial. In a script that does not catch it, the exit code is 0."""

    def __init__(self, message: str = "", *, step: int | None = None) -> None:
        super().__init__(0)
        self.message = message
        self.step = step


def read_trial_variable() -> tuple[str, int] | None:
    """Return study and number of the trial that the environment names; None if it names none."""
    study, _slash, number = os.environ.get(TRIAL_VARIABLE, "").rpartition("/")
    return (study, int(number)) if number.isdecimal() and study else None


def find_surrounding_trial(connection: Connection) -> Row | None:
    """Return the row of the trial that this process runs. None unless it is in this archive and running."""
    named = read_trial_variable()
    row = None if named is None else connection.one(SELECT_TRIAL, named)
    return row if row is not None and row["state"] == TrialState.RUNNING else None


def name_trial_run(study: str, number: int) -> str:
    """Return the name of a trial's run: the study's name, shortened if necessary, and the trial's number."""
    return f"{study[:STUDY_CHARS]} #{number}"


def join_run(connection: Connection, trial: int, run_id: str) -> None:
    """Make this run the trial's run, unless the trial has one already. Call inside a transaction."""
    with changing_trial(connection, trial):
        connection.execute(JOIN_RUN, (run_id, trial))
