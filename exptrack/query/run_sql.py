"""SQL of trashed runs, and of the trial of a run whose row is called r."""

from __future__ import annotations

# An index has these runs, which are few. Where there are none, no statement tests for them.
TRASHED = "SELECT id FROM run WHERE deleted_at IS NOT NULL"
# Read from the newest trial of the run: a run that was tried again has several.
_OF_TRIAL = "(SELECT {value} FROM {source} WHERE t.run_id = r.run_id ORDER BY t.id DESC LIMIT 1)"
TRIAL_VALUES = {
    "study": _OF_TRIAL.format(value="y.name", source="trial AS t CROSS JOIN study AS y ON y.id = t.study"),
    "trial.number": _OF_TRIAL.format(value="t.number", source="trial AS t"),
    "trial.state": _OF_TRIAL.format(value="t.state", source="trial AS t"),
}
IS_PRUNED = f"(r.status = 'completed' AND {TRIAL_VALUES['trial.state']} IS 'pruned')"
