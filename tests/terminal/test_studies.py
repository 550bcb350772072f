"""Studies in a terminal: nothing is cut or lost without a word, at any width and without colour or Unicode."""

from __future__ import annotations

import io
import math
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from exptrack import Archive, InvalidValueError, Pruner, Sampler, Study, Trial, TrialPruned
from exptrack.terminal import ascii as plaintext
from exptrack.terminal import charts
from exptrack.terminal import studies as screen
from exptrack.terminal.charts import Layer

HOSTILE = "[red]x[/red]\x1b[31m"
SCREENS = (screen.overview, screen.facts, screen.trials, screen.history, screen.importances)


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


@pytest.fixture
def study(archive: Archive) -> Study:
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
    return made


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_every_screen_keeps_to_the_width(study: Study, width: int) -> None:
    results = study.results()
    for view in SCREENS:
        out = terminal(width)
        view(out, results)
        assert max(map(len, shown(out).splitlines())) <= width, view.__name__
    for param in results.params:
        out = terminal(width)
        screen.slices(out, results, param)
        assert max(map(len, shown(out).splitlines())) <= width, param


def test_the_overview_says_what_the_study_is_and_what_it_found(study: Study) -> None:
    out = terminal(120)
    screen.overview(out, study.results())
    text, best = shown(out), study.best_trial
    pruned = len(study.pruned_trials())
    for words in (
        "maximize acc",
        "tpe, seed 2, n_startup_trials 5",
        "median, n_startup_trials 3",
        "30 trials, 1 m 30 s a session",
        f"25: {24 - pruned} complete, {pruned} pruned, 1 failed",
        f"in trial {best.number}, run {best.run_id}",
        f"optim.name = {best.params['optim.name'] or 'null'}",
        "acc over trials, maximized",
        "without a value: 1 failed",
        "importance of params for acc, by ped-anova",
    ):
        assert words in text


def test_the_overview_of_a_study_without_trials_is_short(archive: Archive) -> None:
    archive.create_study("empty")
    out = terminal()
    results = archive.study_results("empty")
    screen.overview(out, results)
    assert [line.split()[0] for line in shown(out).splitlines()] == [
        "study",
        "objective",
        "sampler",
        "pruner",
        "started",
        "trials",
    ]
    screen.trials(out, results)
    screen.history(out, results)
    assert "no trials" in shown(out)
    assert "nothing that can be drawn" in shown(out)


def test_an_overview_says_why_it_has_no_importances(archive: Archive) -> None:
    study = archive.create_study("one", sampler="random")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), 1)
    out = terminal(200)
    screen.overview(out, study.results())
    assert "importances need two completed trials" in shown(out)


def test_trials_mark_the_best_and_dim_what_was_given_up(study: Study) -> None:
    out = terminal(120, colour=True)
    screen.trials(out, study.results())
    lines = [Text.from_ansi(line) for line in shown(out).splitlines()]
    rows = {int(found[1]): line for line in lines if (found := re.match(r"\s*★?\s*(\d+) ", line.plain))}
    assert set(rows) == set(range(25))
    assert [number for number, line in rows.items() if "★" in line.plain] == [study.best_trial.number]
    for trial in study.pruned_trials():
        assert f"pruned at {max(trial.reports)}" in rows[trial.number].plain
        assert "dim" in {part for span in rows[trial.number].spans for part in str(span.style).split()}
    assert all(trial.run_id in rows[trial.number].plain for trial in study.trials if trial.run_id)


def test_a_narrow_table_of_trials_says_what_it_lost_and_a_pipe_loses_nothing(study: Study) -> None:
    out = terminal(60)
    screen.trials(out, study.results())
    head, *_rest, last = shown(out).splitlines()
    assert head.split() == ["trial", "state", "acc", "run"]
    assert last.startswith("no room for ")
    piped = Console(file=io.StringIO(), width=100_000)
    screen.trials(piped, study.results())
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
    screen.trials(out, study.results())
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
    screen.slices(out, results, "kind")
    screen.studies(out, archive.studies())
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
    screen.overview(out, study.results())
    text = shown(out)
    front = len(study.best_trials)
    assert f"Pareto front: {front} trials that no other beats in all objectives" in text
    for words in (
        "loss over trials, minimized",
        "acc over trials, maximized",
        "acc over loss",
        "★ Pareto front",
    ):
        assert words in text
    assert "importance of params for the Pareto front, by ped-anova" in text


def test_the_list_of_studies_counts_trials_by_state(study: Study, archive: Archive) -> None:
    archive.create_study("other", ["minimize", "maximize"])
    out = terminal(120)
    screen.studies(out, archive.studies())
    head, _rule, other, digits = map(str.split, shown(out).splitlines())
    assert head == "study trials complete pruned failed best objective started".split()
    pruned = len(study.pruned_trials())
    assert digits[:5] == ["digits", "25", str(24 - pruned), str(pruned), "1"]
    assert digits[6:8] == ["max", "acc"]
    assert other[:2] == ["other", "0"]
    narrow = terminal(50)
    screen.studies(narrow, archive.studies())
    assert shown(narrow).splitlines()[0].split() == "study trials best objective".split()
    nothing = terminal()
    screen.studies(nothing, [])
    assert shown(nothing) == "no studies\n"


def test_a_slice_of_a_misspelled_param_names_the_others(study: Study) -> None:
    with pytest.raises(InvalidValueError, match=r"no param 'lr'; it has optim\.lr, optim\.name, model\.layers"):
        screen.slices(terminal(), study.results(), "lr")


# Charts


def drawing(layers: list[Layer], **options: object) -> list[str]:
    found = charts.scatter("t", layers, 53, 5, unit="x", colour=False, **options)  # type: ignore[arg-type]
    return found.plain.splitlines()


def test_points_at_the_ends_of_the_axes_are_drawn() -> None:
    lines = drawing([Layer("p", [(0, 0), (10, 5)], "o", "")])
    assert lines[1].endswith("o")
    assert lines[5].split("│")[1][0] == "o"


def test_a_logarithmic_axis_spaces_decades_evenly() -> None:
    decades = [(10.0**power, 1.0) for power in range(-4, 1)]
    (row,) = [line for line in drawing([Layer("p", decades, "o", "")], log_x=True) if "o" in line[12:]][:1]
    places = [place for place, character in enumerate(row) if character == "o"]
    gaps = [after - before for before, after in pairwise(places)]
    assert len(places) == 5
    assert max(gaps) - min(gaps) <= 1


def test_a_chart_says_how_many_points_it_leaves_out() -> None:
    points = [(1.0, 1.0), (2.0, math.inf), (3.0, math.nan), (-1.0, 2.0)]
    assert drawing([Layer("p", points, "o", "")])[-1] == "o p  without 2 not finite"
    assert drawing([Layer("p", points, "o", "")], log_x=True)[-1].startswith("o p  without 3 not finite, or")
    assert drawing([Layer("p", points[1:3], "o", "")])[1] == "nothing that can be drawn"
    extreme = drawing([Layer("p", [(0, -1.7e308), (1, 1.7e308)], "o", "")])
    assert sum(line[12:].count("o") for line in extreme[1:6]) == 2


def test_names_without_room_become_numbers_with_a_key() -> None:
    points = [(float(place), 1.0) for place in range(3)]
    short = drawing([Layer("p", points, "o", "")], names=["one", "two", "three"])
    assert short[-2].split() == ["one", "two", "three"]
    long = drawing([Layer("p", points, "o", "")], names=["a" * 30, "b" * 30, "c"])
    assert long[-3].split() == ["1", "2", "3"]
    assert long[-2] == f"1 = {'a' * 30}, 2 = {'b' * 30}, 3 = c"


# Without Unicode


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_output_without_unicode_is_shown_likenesses_of_the_same_width(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    plaintext.spell_out(stream)
    words = "│└─█▁★●⠉⣿⠀→é€\N{SNOWMAN}"
    stream.write(words)
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    text = stream.buffer.getvalue().decode(encoding)
    assert text.startswith("|`-#.*o.# >")
    assert text.endswith("\\u2603")


def test_commands_print_to_an_output_without_unicode(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run({"lr": 1}) as run:
        for step in range(9):
            run.log({"loss": 1 / (step + 1)}, step)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for command in ("show", "history"):
        words = [sys.executable, "-m", "exptrack", "--db", str(path), command, run.run_id]
        done = subprocess.run(
            [*words, *(["loss"] if command == "history" else [])], capture_output=True, env=environment
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"loss" in done.stdout
        assert b"\\u" not in done.stdout
