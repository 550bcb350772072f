"""Rows of studies and trials: everything Optuna hands over comes back, and the views show it."""

from __future__ import annotations

import math
from datetime import datetime

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from exptrack import Archive, InvalidValueError
from exptrack.sweeps.optuna_storage import OptunaStorage

MINIMIZE, MAXIMIZE = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.usefixtures("quiet_optuna"),
]


def test_attributes_hold_whatever_json_holds(storage: OptunaStorage) -> None:
    study = storage.create_new_study([MINIMIZE])
    trial = storage.create_new_trial(study)
    value = {"nan": [math.nan, -math.inf], "text": "é\0\ud800", "deep": {"a": [None, True, 10**30]}}
    for setter, getter, subject in (
        (storage.set_study_user_attr, storage.get_study_user_attrs, study),
        (storage.set_study_system_attr, storage.get_study_system_attrs, study),
        (storage.set_trial_user_attr, storage.get_trial_user_attrs, trial),
        (storage.set_trial_system_attr, storage.get_trial_system_attrs, trial),
    ):
        setter(subject, "key", value)
        assert repr(getter(subject)) == repr({"key": value})
        with pytest.raises(TypeError, match="JSON"):
            setter(subject, "key", object())
        with pytest.raises(InvalidValueError, match="surrogate"):
            setter(subject, "\ud800", 1)


def test_times_keep_their_microseconds(storage: OptunaStorage) -> None:
    begin, end = datetime(2024, 7, 1, 12, 0, 0, 123457), datetime(2024, 12, 31, 23, 59, 59, 999999)
    study = optuna.create_study(storage=storage)
    trial = create_trial(value=1.0)
    trial.datetime_start, trial.datetime_complete = begin, end
    study.add_trial(trial)
    (found,) = study.trials
    assert (found.datetime_start, found.datetime_complete) == (begin, end)


def test_the_views_show_what_the_objective_saw(archive: Archive, storage: OptunaStorage) -> None:
    study = optuna.create_study(storage=storage, study_name="seen")
    trial = study.ask()
    choices = {
        "text": "adam",
        "flag": True,
        "none": None,
        "int": 3,
        "inf": math.inf,
        "nan": math.nan,
        "huge": 10**20,
        "big": 2**53 + 1,
    }
    trial.suggest_int("n", 4, 4)
    trial.suggest_float("x", 0.5, 0.5)
    for name, choice in choices.items():
        trial.suggest_categorical(name, [choice])
    study.tell(trial, 0.25)
    study.tell(study.ask(), state=TrialState.FAIL)
    found = {row[0]: row[1:] for row in archive.sql("SELECT name, value, type, num FROM trial_params").rows}
    assert found == {
        "n": ("4", "int", 4.0),
        "x": ("0.5", "float", 0.5),
        "text": ("adam", "text", None),
        "flag": ("true", "bool", None),
        "none": ("null", "null", None),
        "int": ("3", "int", 3.0),
        "inf": ("Inf", "float", math.inf),
        "nan": ("nan", "float", None),
        "huge": (str(10**20), "other", None),
        "big": (str(2**53 + 1), "int", 2.0**53),
    }
    rows = archive.sql("SELECT study, number, state, run_id, value, reason FROM trials ORDER BY number").rows
    assert rows == (("seen", 0, "complete", None, 0.25, None), ("seen", 1, "fail", None, None, None))
    assert archive.sql("SELECT count(*) FROM trials WHERE duration_s >= 0").rows == ((2,),)
    assert repr(study.trials[0].params["nan"]) == "nan"
    assert study.trials[0].params["huge"] == 10**20
