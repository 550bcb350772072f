"""The commands that compare: side by side, since the run before, over seeds, and what matters."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from exptrack import Archive
from tests.cli.calls import asked, call, ids, oldest_first

HOSTILE = "[red]x[/red]\x1b[31m"


def test_diff_names_the_changed_keys_and_metrics(lab: Path) -> None:
    _, b, a = ids(lab)
    shown = call(lab, "diff", a, b).stdout
    assert "optim.lr" in shown
    assert "changed" in shown
    assert "model.kind" not in shown
    found = json.loads(call(lab, "diff", a, b, "--json").stdout)
    source = {"kind": "code", "name": "dict", "line": 0}
    expected = {"key": "optim.lr", "change": "changed", "a": 0.1, "b": 0.01}
    assert found["config"] == [expected | {"source_a": source, "source_b": source}]
    assert {m["name"] for m in found["metrics"]} == {"acc", "loss"}


def test_diff_writes_truth_values_as_the_config_does(lab: Path) -> None:
    with Archive(lab) as archive:
        a, b = archive.start_run({"amp": True}), archive.start_run({"amp": False})
        a.complete()
        b.complete()
    words = next(line for line in call(lab, "diff", a.run_id, b.run_id).stdout.splitlines() if "amp" in line)
    assert words.split()[:3] == ["amp", "true", "false"]


def test_compare_shows_only_what_differs_unless_asked_for_all(seeds_lab: Path) -> None:
    first, second = oldest_first(seeds_lab)[:2]
    shown = call(seeds_lab, "compare", first, second).stdout
    assert [line.split()[0] for line in shown.splitlines()[1:]] == ["status", "name", "started", "seed", "acc"]
    everything = call(seeds_lab, "compare", first, second, "--all").stdout
    assert {"lr", "same"} <= {line.split()[0] for line in everything.splitlines()[1:]}
    assert [key["key"] for key in asked(seeds_lab, "compare", first, second)["config"]] == ["seed"]


def test_compare_finds_runs_by_filters(seeds_lab: Path) -> None:
    found = asked(seeds_lab, "compare", "--where", "config.lr < 0.05", "--where", "tag = t or tag = u")
    assert len(found["runs"]) == 3
    nothing = call(seeds_lab, "compare", "--where", "config.lr > 5").stdout
    assert nothing.startswith("no run satisfies config.lr > 5; its values go from")
    for words in ([], [oldest_first(seeds_lab)[0], "--where", "tag = t"]):
        assert call(seeds_lab, "compare", *words).exit_code == 2
    assert call(seeds_lab, "compare", "nothing").exit_code == 31


def test_changes_names_the_run_before_and_what_is_different(seeds_lab: Path) -> None:
    found = oldest_first(seeds_lab)
    shown = call(seeds_lab, "changes", found[3]).stdout
    assert f"{found[3]} compared with {found[2]}" in shown
    assert "the run before it of the same" in shown
    assert {"lr", "seed", "acc"} <= {line.split()[0] for line in shown.splitlines() if line.strip()}
    assert asked(seeds_lab, "changes", found[3])["previous"] == found[2]
    assert "no earlier run" in call(seeds_lab, "changes", found[0]).stdout
    assert asked(seeds_lab, "changes", found[0]) is None


def test_changes_write_a_command_as_a_shell_reads_it(tmp_path: Path) -> None:
    db = tmp_path / "lab.db"
    script = "import exptrack; exptrack.Archive('lab.db').start_run().complete()"
    (tmp_path / "train.py").write_text(script, encoding="utf-8")
    for words in (["--lr", "0.1"], ["--lr", "0.2", "--name", "a b"]):
        subprocess.run([sys.executable, "train.py", *words], cwd=tmp_path, check=True)
    shown = call(db, "changes", "latest").stdout
    assert "train.py --lr 0.1" in shown
    assert "train.py --lr 0.2 --name 'a b'" in shown


def test_groups_give_mean_and_spread_over_seeds(seeds_lab: Path) -> None:
    low, high = asked(seeds_lab, "groups", "acc", "lr")
    assert (low["config"], low["count"], round(low["mean"], 6)) == ({"lr": 0.01}, 3, 0.98)
    assert (high["nan_count"], high["finite"]) == (1, 2)
    shown = call(seeds_lab, "groups", "acc", "lr").stdout.splitlines()
    assert shown[0].split() == ["lr", "runs", "mean", "±", "std", "min", "max", "not", "finite"]
    assert len(shown) == 3
    assert len(asked(seeds_lab, "groups", "acc", "lr", "seed", "--where", "config.seed < 2")) == 4
    assert call(seeds_lab, "groups", "nothing", "lr").exit_code == 34
    assert call(seeds_lab, "groups", "acc", "nothing").exit_code == 50


def test_importance_ranks_keys(seeds_lab: Path) -> None:
    assert next(one["key"] for one in asked(seeds_lab, "importance", "acc")) == "lr"
    shown = call(seeds_lab, "importance", "acc").stdout
    assert "█" in shown
    assert (
        call(seeds_lab, "importance", "acc", "--where", "config.lr = 0.1 and config.seed = 0").exit_code == 50
    )


def test_words_of_an_archive_do_not_steer_the_terminal(tmp_path: Path) -> None:
    db = tmp_path / "hostile.db"
    with Archive(db) as archive:
        for number in range(3):
            with archive.start_run({HOSTILE: HOSTILE + str(number)}, name="n") as run:
                run.log({"[bold]acc": number}, 0)
    found = oldest_first(db)
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
