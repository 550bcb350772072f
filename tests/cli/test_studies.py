"""The commands that look at studies: for people, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from exptrack import Archive, Sampler, Trial
from exptrack.cli import main


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    """A study of one objective, one of two, and one without trials."""

    def objective(trial: Trial) -> float:
        kind = trial.suggest_choice("kind", ["a", 1, None])
        return trial.suggest_float("optim.lr", 1e-4, 1, log=True) + (kind == "a")

    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        archive.create_study("one", metric="loss", sampler=Sampler.random(seed=1)).optimize(objective, 9)
        two = archive.create_study(
            "two", ["minimize", "maximize"], metric=["a", "b"], sampler=Sampler.random(1)
        )
        two.optimize(lambda trial: (trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)), 9)
        archive.create_study("empty")
    yield path
    with Archive(path) as archive:
        assert archive.verify().problems == ()


def call(db: Path, *words: str) -> Result:
    """Run one command in this process; no call may end in a traceback."""
    result = CliRunner().invoke(main, ["--db", str(db), "sweep", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def asked(db: Path, *words: str) -> Any:
    result = call(db, *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_ls_lists_studies_the_newest_first(lab: Path) -> None:
    assert [study["name"] for study in asked(lab, "ls")] == ["empty", "two", "one"]
    lines = call(lab, "ls").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["study", "empty", "two", "one"]


def test_show_gives_programs_the_study_with_its_trials_and_the_best(lab: Path) -> None:
    found = asked(lab, "show", "one")
    assert (found["study"]["name"], len(found["trials"])) == ("one", 9)
    values = [trial["values"][0] for trial in found["trials"]]
    assert found["best"] == [values.index(min(values))] == [found["study"]["best_number"]]
    assert asked(lab, "show", "empty")["best"] == []
    assert len(asked(lab, "show", "two")["best"]) > 1


def test_show_prints_only_the_parts_asked_for(lab: Path) -> None:
    words = ["--trials", "--history", "--slice", "optim.lr", "--slice", "kind", "--importance"]
    text = call(lab, "show", "one", *words).stdout
    titles = ("loss over trials, minimized", "loss over optim.lr", "loss over kind", "importance of params")
    assert text.startswith("trial")
    assert [text.index(title) for title in titles] == sorted(text.index(title) for title in titles)
    assert "sampler" not in text
    whole = call(lab, "show", "one").stdout
    assert whole.startswith("study")
    assert "loss over optim.lr" not in whole
    found = asked(lab, "show", "one", *words)
    assert list(found) == ["trials", "history", "slices", "importance"]
    assert {row["param"] for row in found["slices"]} == {"optim.lr", "kind"}
    assert {row["param"] for row in asked(lab, "show", "one", "--slice", "kind")["slices"]} == {"kind"}


def test_csv_is_one_table(lab: Path) -> None:
    with Archive(lab) as archive:
        expected = archive.study_results("one").frame()
    rows = list(csv.DictReader(io.StringIO(call(lab, "show", "one", "--csv").stdout)))
    assert list(rows[0]) == expected.columns
    assert [float(row["params.optim.lr"]) for row in rows] == expected["params.optim.lr"]
    assert call(lab, "show", "empty", "--csv", "--history").stdout == (
        "number,state,value,best_value,feasible,started_at,ended_at\n"
    )
    assert call(lab, "show", "one", "--csv", "--history", "--trials").exit_code == 2
    assert call(lab, "show", "one", "--csv", "--json").exit_code == 2


def test_a_method_or_a_metric_asks_for_importance(lab: Path) -> None:
    assert "by mdi" in call(lab, "show", "one", "--method", "mdi").stdout
    assert "for b, by ped-anova" in call(lab, "show", "two", "--metric", "b").stdout
    assert "for the Pareto front, by ped-anova" in call(lab, "show", "two", "--importance").stdout
    assert asked(lab, "show", "two", "--metric", "b")["importance"][0]["param"] == "y"


def test_what_is_not_there_ends_in_a_sentence(lab: Path) -> None:
    for words, code, sentence in (
        (["show", "on"], 37, "did you mean 'one'?"),
        (["show", "one", "--slice", "lr"], 50, "has no param 'lr'; it has kind, optim.lr"),
        (["show", "empty", "--importance"], 50, "need two completed trials"),
        (["show", "two", "--metric", "c"], 50, "metric is one of a, b"),
    ):
        result = call(lab, *words)
        assert (result.exit_code, result.stdout) == (code, "")
        assert sentence in result.stderr


def test_looking_needs_no_optuna(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert call(lab, "ls").exit_code == 0
    text = call(lab, "show", "one").stdout
    assert "loss over trials" in text
    assert "optuna" in text.splitlines()[-1]
    assert call(lab, "show", "one", "--importance").exit_code != 0


def test_a_shell_completes_the_names_of_studies(lab: Path) -> None:
    words = {
        "_EXPTRACK_COMPLETE": "bash_complete",
        "COMP_WORDS": f"exptrack --db {lab} sweep show t",
        "COMP_CWORD": "5",
    }
    assert CliRunner().invoke(main, [], prog_name="exptrack", env=words).stdout.split() == ["plain,two"]
