"""The commands that compare: side by side, since the run before, over seeds, and what matters."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from exptrack import Archive
from exptrack.cli import main
from exptrack.terminal import comparison as sidebyside

HOSTILE = "[red]x[/red]\x1b[31m"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    """Six completed runs: two learning rates with three seeds each; one value of the metric is NaN."""
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        for lr in (0.1, 0.01):
            for seed in range(3):
                config = {"lr": lr, "seed": seed, "same": "x"}
                with archive.start_run(config, ["t"], name=f"{lr}-{seed}", group="g") as run:
                    run.log({"acc": float("nan") if (lr, seed) == (0.1, 2) else 1 - lr - seed / 100}, 0)
    yield path
    with Archive(path) as archive:
        assert archive.verify().problems == ()


def call(db: Path, *words: str) -> Result:
    """Run one command in this process; no call may end in a traceback."""
    result = CliRunner().invoke(main, ["--db", str(db), *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def asked(db: Path, *words: str) -> Any:
    result = call(db, *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def ids(db: Path) -> list[str]:
    """Oldest first."""
    with Archive(db) as archive:
        return [run.run_id for run in reversed(archive.list_runs())]


def test_compare_shows_only_what_differs_unless_asked_for_all(lab: Path) -> None:
    first, second = ids(lab)[:2]
    shown = call(lab, "compare", first, second).stdout
    assert [line.split()[0] for line in shown.splitlines()[1:]] == ["status", "name", "started", "seed", "acc"]
    everything = call(lab, "compare", first, second, "--all").stdout
    assert {"lr", "same"} <= {line.split()[0] for line in everything.splitlines()[1:]}
    assert [key["key"] for key in asked(lab, "compare", first, second)["config"]] == ["seed"]


def test_compare_finds_runs_by_filters(lab: Path) -> None:
    found = asked(lab, "compare", "--where", "config.lr < 0.05", "--where", "tag = t or tag = u")
    assert len(found["runs"]) == 3
    assert call(lab, "compare", "--where", "config.lr > 5").stdout == "no such run\n"
    for words in ([], [ids(lab)[0], "--where", "tag = t"]):
        assert call(lab, "compare", *words).exit_code == 2
    assert call(lab, "compare", "nothing").exit_code == 31


def test_many_runs_have_a_row_each_where_columns_have_no_room(lab: Path) -> None:
    with Archive(lab) as archive:
        found = archive.compare(ids(lab))
    for width, turned in ((60, True), (160, False)):
        out = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
        sidebyside.comparison(out, found)
        first = out.file.getvalue().splitlines()[0].split()  # type: ignore[attr-defined]
        assert (first[0] == "run") is turned
        assert ("lr" in first) is turned


def test_changes_names_the_run_before_and_what_is_different(lab: Path) -> None:
    found = ids(lab)
    shown = call(lab, "changes", found[3]).stdout
    assert f"{found[3]} beside {found[2]}" in shown
    assert "the run before it of the same" in shown
    assert {"lr", "seed", "acc"} <= {line.split()[0] for line in shown.splitlines() if line.strip()}
    assert asked(lab, "changes", found[3])["previous"] == found[2]
    assert "no earlier run" in call(lab, "changes", found[0]).stdout
    assert asked(lab, "changes", found[0]) is None


def test_groups_give_mean_and_spread_over_seeds(lab: Path) -> None:
    low, high = asked(lab, "groups", "acc", "lr")
    assert (low["config"], low["count"], round(low["mean"], 6)) == ({"lr": 0.01}, 3, 0.98)
    assert (high["nan_count"], high["finite"]) == (1, 2)
    shown = call(lab, "groups", "acc", "lr").stdout.splitlines()
    assert shown[0].split() == ["lr", "runs", "mean", "±", "std", "min", "max", "not", "finite"]
    assert len(shown) == 3
    assert len(asked(lab, "groups", "acc", "lr", "seed", "--where", "config.seed < 2")) == 4
    assert call(lab, "groups", "nothing", "lr").exit_code == 34
    assert call(lab, "groups", "acc", "nothing").exit_code == 50


def test_importance_ranks_keys(lab: Path) -> None:
    assert next(one["key"] for one in asked(lab, "importance", "acc")) == "lr"
    shown = call(lab, "importance", "acc").stdout
    assert "█" in shown
    assert call(lab, "importance", "acc", "--where", "config.lr = 0.1 and config.seed = 0").exit_code == 50


def test_words_of_an_archive_do_not_steer_the_terminal(tmp_path: Path) -> None:
    db = tmp_path / "hostile.db"
    with Archive(db) as archive:
        for number in range(3):
            with archive.start_run({HOSTILE: HOSTILE + str(number)}, name="n") as run:
                run.log({"[bold]acc": number}, 0)
    found = ids(db)
    for words in (
        ["compare", *found],
        ["changes", found[1]],
        ["groups", "[bold]acc", HOSTILE],
        ["importance", "[bold]acc"],
    ):
        result = call(db, *words)
        assert "\x1b" not in result.stdout
        if result.exit_code == 0 and words[0] != "importance":
            assert "[red]x[/red]\\x1b[31m" in result.stdout
