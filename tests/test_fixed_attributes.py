"""What is no attribute of a run, archive, study or trial cannot be set, and the error says what to do."""

from __future__ import annotations

import operator
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import exptrack
from exptrack import Archive, Run, Sampler, Study, Trial
from exptrack.other_trackers import CALLS


@pytest.fixture
def run(archive: Archive) -> Run:
    return archive.start_run({"lr": 0.1}, name="first")


@pytest.fixture
def study(archive: Archive) -> Study:
    return archive.create_study("s", sampler=Sampler.random(seed=1))


RUN_CALLS = {
    "name": r"call run\.rename\(name\)",
    "group": r"call run\.set_group\(name\)",
    "tags": r"call run\.add_tag\(tag\) or run\.remove_tag\(tag\)",
    "notes": r"call run\.add_note\(text\)",
    "attributes": r"call run\.set_attribute\(key, value\)",
    "config": r"call run\.update_config\(values\)",
    "metrics": r"call run\.log\(values\)",
    "status": r"call run\.finish\(status\)",
    "inputs": r"call run\.use_artifact\(reference\)",
    "artifacts": r"call run\.artifacts\.register_data\(name, content\)",
    "deleted_at": r"call archive\.trash_run\(run\)",
    "run_id": "the run_id of the run is not set by assignment; it stays as it is",
    "started_at": "it stays as it is",
    "duration": "it stays as it is",
    "elapsed_s": "it stays as it is",
    "url": "it stays as it is",
    "complete": r"complete of the run is a method; call run\.complete\(\)",
    "nmae": r"the run has no attribute 'nmae'; did you mean 'name'\? It changes by run\.rename\(name\)",
    "log_artifact": r"no attribute 'log_artifact'; use run\.artifacts\.register_file\(name, path\)$",
    "log_metrics": r"use run\.log\(\{name: value\}, step\)$",
    "epoch": r"the run has no attribute 'epoch'; to store a value with the run, call run\.set_attribute",
}


@pytest.mark.parametrize(("name", "message"), RUN_CALLS.items(), ids=list(RUN_CALLS))
def test_a_run_says_which_call_to_make_instead(run: Run, name: str, message: str) -> None:
    before = vars(run).copy()
    with pytest.raises(AttributeError, match=message):
        setattr(run, name, "other")
    assert vars(run) == before
    assert (run.name, run.config["lr"], run.status) == ("first", 0.1, "running")


def test_every_public_attribute_of_a_run_is_named_by_these(run: Run) -> None:
    """A new property has a call that changes it, or stays as it is."""
    properties = {name for name in dir(Run) if isinstance(getattr(Run, name), property) and name[0] != "_"}
    public = {name for name in vars(run) if name[0] != "_"}
    assert properties | public <= set(RUN_CALLS)
    assert set(Run._CALLS) <= set(RUN_CALLS)


def test_an_archive_a_study_and_a_trial_refuse_too(archive: Archive, study: Study) -> None:
    trial = study.ask()
    cases: list[tuple[Any, str, str]] = [
        (archive, "path", "it stays as it is"),
        (archive, "paht", r"the archive has no attribute 'paht'; did you mean 'path'\?$"),
        (archive, "project", "keep it in a variable of your own"),
        (archive, "runs", r"is a method; call archive\.runs\(\)"),
        (study, "name", "the name of the study is not set by assignment"),
        (study, "direction", r"did you mean 'directions'\?"),
        (study, "best_params", "it stays as it is"),
        (study, "n_trials", r"the study has no attribute 'n_trials'"),
        (trial, "number", "it stays as it is"),
        (trial, "params", r"call trial\.suggest_float"),
        (trial, "run", "it stays as it is"),
        (trial, "loss", r"call trial\.run\.set_attribute"),
    ]
    for thing, name, message in cases:
        before = vars(thing).copy()
        with pytest.raises(AttributeError, match=message):
            setattr(thing, name, 1)
        assert vars(thing) == before, name


def test_a_method_can_be_replaced_by_a_function_as_tests_do(run: Run) -> None:
    with mock.patch.object(run, "log") as log:
        run.log({"loss": 1.0})
    log.assert_called_once_with({"loss": 1.0})
    run.log({"loss": 0.5})
    assert run.metrics == {"loss": 0.5}


def test_a_class_of_the_caller_has_attributes_of_its_own(archive: Archive) -> None:
    class Lab(Archive):
        def __init__(self, path: str) -> None:
            super().__init__(path)
            self.owner = "ada"

    with Lab(archive.path) as lab:
        assert lab.owner == "ada"


def test_a_trial_that_an_objective_gets_has_its_run(study: Study) -> None:
    def objective(trial: Trial) -> float:
        assert trial.run is not None
        with pytest.raises(AttributeError, match="it stays as it is"):
            trial.run = None
        return trial.suggest_float("x", 0, 1)

    study.optimize(objective, n_trials=1)
    assert len(study.completed_trials()) == 1


# What one types who comes from another tracker


def test_a_word_of_another_tracker_names_the_call(archive: Archive) -> None:
    cases: list[tuple[Any, str, str]] = [
        (archive, "search_runs", r"the archive has no attribute 'search_runs'; use archive\.runs\(\)$"),
        (exptrack, "init", r"exptrack has no 'init'; use exptrack\.start_run\(config\)$"),
        (exptrack, "strat_run", r"exptrack has no 'strat_run'; did you mean 'start_run'\?$"),
        (exptrack, "kubernetes", r"exptrack has no 'kubernetes'$"),
        (archive, "kubernetes", "'Archive' object has no attribute 'kubernetes'"),
    ]
    for thing, name, message in cases:
        with pytest.raises(AttributeError, match=message):
            getattr(thing, name)
        assert not hasattr(thing, name)


def test_python_adds_no_guess_to_the_call(tmp_path: Path) -> None:
    """A guess at the end of the traceback would send the caller elsewhere."""
    code = "from exptrack import Archive\nArchive('lab.db').search_runs()"
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "use archive.runs()\n" in ended.stderr
    assert "Did you mean" not in ended.stderr


def test_each_advice_is_a_call_that_exists(archive: Archive, run: Run) -> None:
    roots = {"run": run, "archive": archive, "exptrack": exptrack}
    for noun, calls in CALLS.items():
        for word, call in calls.items():
            assert not hasattr(roots[noun], word), word
            named = re.findall(r"\b(run|archive|exptrack)((?:\.\w+)+)", call)
            assert named, call
            for root, path in named:
                operator.attrgetter(path[1:])(roots[root])


def test_an_error_inside_a_property_is_told_as_it_is(archive: Archive) -> None:
    class Lab(Archive):
        @property
        def owner(self) -> str:
            raise AttributeError("no owner yet")

    with Lab(archive.path) as lab, pytest.raises(AttributeError, match=r"^no owner yet$"):
        _ = lab.owner
