"""Studies in a terminal: nothing is cut or lost without a word, at any width and without colour or Unicode."""

from __future__ import annotations

import io
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from exptrack import Archive, InvalidValueError, Pruner, Sampler, Study, Trial, TrialPruned
from exptrack.terminal.studies import (
    print_facts,
    print_history,
    print_overview,
    print_param_importances,
    print_slices,
    print_studies,
    print_trials,
)

HOSTILE = "[red]x[/red]\x1b[31m"


SCREENS = (print_overview, print_facts, print_trials, print_history, print_param_importances)


def terminal(width: int = 80, *, colour: bool = False) -> Console:
    system = "standard" if colour else None
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=system)  # type: ignore[arg-type]


def shown(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def objective(trial: Trial) -> float:
    lr = trial.suggest_float("optim.lr", 1e-5, 1e-1, log=True)
    kind = trial.suggest_choice("optim.name", ["adam", "sgd", None])
    trial.suggest_int("model.layers", 1, 6)
    if trial.number == 3:
        raise RuntimeError("no memory left on this device for a tensor of any size")
    value = 1 - abs(math.log10(lr) + 3) / 4 - (kind == "sgd") / 8
    for step in range(3):
        trial.report(step, value + step / 100)
        if trial.should_prune():
            raise TrialPruned
    return value


@pytest.fixture(scope="module")
def made_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("digits") / "lab.db"
    with Archive(path) as archive:
        made = archive.create_study(
            "digits",
            "maximize",
            metric="acc",
            sampler=Sampler.tpe(seed=2, n_startup_trials=5),
            pruner=Pruner.median(n_startup_trials=3),
            max_trials=30,
            time_limit=90,
        )
        made.optimize(objective, 25, on_error="continue")
    return path


@pytest.fixture
def studied(made_study: Path, tmp_path: Path) -> Iterator[Archive]:
    """A copy of the archive with the study, which is searched once."""
    shutil.copy(made_study, tmp_path / "studied.db")
    with Archive(tmp_path / "studied.db") as archive:
        yield archive
        assert archive.verify().problems == ()


@pytest.fixture
def study(studied: Archive) -> Study:
    return studied.study("digits")


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_every_screen_keeps_to_the_width(study: Study, width: int) -> None:
    results = study.results()
    for view in SCREENS:
        out = terminal(width)
        view(out, results)
        assert max(map(len, shown(out).splitlines())) <= width, view.__name__
    for param in results.params:
        out = terminal(width)
        print_slices(out, results, param)
        assert max(map(len, shown(out).splitlines())) <= width, param


def test_the_overview_says_what_the_study_is_and_what_it_found(study: Study) -> None:
    out = terminal(120)
    print_overview(out, study.results())
    text, best = shown(out), study.best_trial
    pruned = len(study.pruned_trials())
    for words in (
        "maximize acc",
        "tpe, seed 2, n_startup_trials 5",
        "median, n_startup_trials 3",
        "30 trials, 1 min 30 s a session",
        f"25: {24 - pruned} complete, {pruned} pruned, 1 failed",
        f"in trial {best.number}, run {best.run_id}",
        f"optim.name = {best.params['optim.name'] or 'null'}",
        "acc over trials, maximized",
        "without a value: 1 failed",
        "importance of params for acc, by groups",
    ):
        assert words in text


def test_the_overview_of_a_study_without_trials_is_short(archive: Archive) -> None:
    archive.create_study("empty")
    out = terminal()
    results = archive.study_results("empty")
    print_overview(out, results)
    assert [line.split()[0] for line in shown(out).splitlines()] == [
        "study",
        "objective",
        "sampler",
        "pruner",
        "started",
        "trials",
    ]
    print_trials(out, results)
    print_history(out, results)
    assert "no trials" in shown(out)
    assert "nothing can be drawn" in shown(out)


def test_an_overview_says_why_it_has_no_importances(archive: Archive) -> None:
    study = archive.create_study("one", sampler="random")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), 1)
    out = terminal(200)
    print_overview(out, study.results())
    assert "importances need two completed trials" in shown(out)


def test_trials_mark_the_best_and_dim_what_was_given_up(study: Study) -> None:
    out = terminal(120, colour=True)
    print_trials(out, study.results())
    lines = [Text.from_ansi(line) for line in shown(out).splitlines()]
    rows = {int(found[1]): line for line in lines if (found := re.match(r"\s*★?\s*(\d+) ", line.plain))}
    assert set(rows) == set(range(25))
    assert [number for number, line in rows.items() if "★" in line.plain] == [study.best_trial.number]
    for trial in study.pruned_trials():
        assert f"pruned at {max(trial.reports)}" in rows[trial.number].plain
        assert "dim" in {part for span in rows[trial.number].spans for part in str(span.style).split()}
    assert all(trial.run_id in rows[trial.number].plain for trial in study.trials if trial.run_id)


def test_a_narrow_table_of_trials_says_what_it_lost_and_a_pipe_loses_nothing(study: Study) -> None:
    out = terminal(52)
    print_trials(out, study.results())
    head, *_rest, last = shown(out).splitlines()
    assert head.split() == ["trial", "state", "acc", "run"]
    assert last.startswith("no room for ")
    piped = Console(file=io.StringIO(), width=100_000)
    print_trials(piped, study.results())
    assert shown(piped).split("\n")[0].split() == (
        "trial state acc took optim.lr optim.name model.layers run reason".split()
    )
    assert "no memory left on this device for a tensor of any size" in shown(piped)


def test_columns_are_called_by_the_last_part_unless_it_is_anothers(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        return sum(trial.suggest_float(name, 0, 1) for name in ("a.lr", "b.lr", "c.run", "d.wd"))

    study = archive.create_study("names", sampler="random")
    study.optimize(objective, 1)
    out = terminal(200)
    print_trials(out, study.results())
    assert shown(out).splitlines()[0].split() == "trial state objective took a.lr b.lr c.run wd run".split()


def test_words_of_an_archive_do_not_draw_on_the_terminal(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        trial.suggest_choice("kind", [HOSTILE, "b"])
        return trial.suggest_float("x", 0, 1)

    study = archive.create_study("[b]n[/b]", metric="[i]m[/i]", sampler=Sampler.random(seed=1))
    study.optimize(objective, 8)
    results = study.results()
    out = terminal(200)
    for view in SCREENS:
        view(out, results)
    print_slices(out, results, "kind")
    print_studies(out, archive.studies())
    text = shown(out)
    assert "\x1b[31m" not in text
    assert "[red]x[/red]\\x1b[31m" in text
    assert "[b]n[/b]" in text
    assert "[i]m[/i]" in text


def test_several_objectives_show_their_front(archive: Archive) -> None:
    def objective(trial: Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 3)
        return x**2, x + trial.suggest_float("y", 0, 1)

    study = archive.create_study(
        "two", ["minimize", "maximize"], metric=["loss", "acc"], sampler=Sampler.random(1)
    )
    study.optimize(objective, 30)
    out = terminal(100)
    print_overview(out, study.results())
    text = shown(out)
    front = len(study.best_trials)
    assert f"Pareto front: {front} trials that no other trial dominates" in text
    for words in (
        "loss over trials, minimized",
        "acc over trials, maximized",
        "acc over loss",
        "★ Pareto front",
    ):
        assert words in text
    assert "importance of params for the Pareto front, by ped-anova" in text


def test_the_list_of_studies_counts_trials_by_state(study: Study, studied: Archive) -> None:
    studied.create_study("other", ["minimize", "maximize"])
    out = terminal(120)
    print_studies(out, studied.studies())
    head, _rule, other, digits = map(str.split, shown(out).splitlines())
    assert head == "study trials complete pruned failed best objective started".split()
    pruned = len(study.pruned_trials())
    assert digits[:5] == ["digits", "25", str(24 - pruned), str(pruned), "1"]
    assert digits[6:8] == ["max", "acc"]
    assert other[:2] == ["other", "0"]
    narrow = terminal(50)
    print_studies(narrow, studied.studies())
    assert shown(narrow).splitlines()[0].split() == "study trials best objective".split()
    nothing = terminal()
    print_studies(nothing, [])
    assert shown(nothing) == "no studies\n"


def test_a_slice_of_a_misspelled_param_names_the_others(study: Study) -> None:
    with pytest.raises(InvalidValueError, match=r"no param 'lr'; it has optim\.lr, optim\.name, model\.layers"):
        print_slices(terminal(), study.results(), "lr")
