"""SQL of a run's trial, for statements in which the run's row is called r."""

from __future__ import annotations

# Read from the newest trial of the run: a run that was tried again has several.
_OF_TRIAL = "(SELECT {value} FROM {source} WHERE t.run_id = r.run_id ORDER BY t.id DESC LIMIT 1)"
TRIAL_VALUES = {
    "study": _OF_TRIAL.format(value="y.name", source="trial AS t CROSS JOIN study AS y ON y.id = t.study"),
    "trial.number": _OF_TRIAL.format(value="t.number", source="trial AS t"),
    "trial.state": _OF_TRIAL.format(value="t.state", source="trial AS t"),
}
IS_PRUNED = f"(r.status = 'completed' AND {TRIAL_VALUES['trial.state']} IS 'pruned')"
