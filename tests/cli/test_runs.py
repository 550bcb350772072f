"""The commands for runs: what they list, rank, write and refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive
from tests.cli.calls import MARKUP, asked, call, ids


def names(db: Path, *words: str) -> list[str]:
    return [run["name"] for run in asked(db, "ls", *words)]


def test_ls_filters_and_limits(lab: Path) -> None:
    assert len(ids(lab)) == 3
    for words, count in (
        (("--status", "failed"), 1),
        (("--tag", "baseline"), 2),
        (("--tag", "baseline", "--tag", "odd"), 0),
        (("--group", "sweep"), 2),
        (("--after", "2001-01-01"), 3),
        (("--before", "2001-01-01"), 0),
        (("-n", "1"), 1),
    ):
        assert len(json.loads(call(lab, "ls", "--json", *words).stdout)) == count, words
    assert "lr0.01" in call(lab, "ls", "--tag", "baseline").stdout


def test_a_bad_date_or_option_is_a_sentence(lab: Path) -> None:
    bad_date = call(lab, "ls", "--after", "yesterday")
    assert bad_date.exit_code == 50
    assert bad_date.stderr.startswith("exptrack: ")
    assert bad_date.stdout == ""
    assert call(lab, "ls", "-n", "0").exit_code == 2
    assert call(lab, "ls", "--status", "happy").exit_code == 2


def test_ls_takes_filters_beside_its_options_and_orders(lr_lab: Path) -> None:
    assert names(lr_lab, "--where", "config.lr < 0.05") == ["run2", "run1"]
    assert names(lr_lab, "--where", "config.lr < 0.05", "--where", "not config.lr = 0.001") == ["run1"]
    assert names(lr_lab, "--where", "config.lr > 0.005", "--tag", "base", "--status", "completed") == ["run1"]
    assert names(lr_lab, "--order", "config.lr") == ["run2", "run1", "run0", MARKUP]
    assert names(lr_lab, "--order", "-config.optim.amp,config.lr", "-n", "2") == ["run2", "run1"]
    assert names(lr_lab, "--order", "-metrics.loss.last", "-n", "3") == ["run1", "run0", MARKUP]
    assert names(lr_lab, "--where", "status = failed", "--after", "2001-01-01") == [MARKUP]
    nobody = call(lr_lab, "ls", "--where", "name = nobody").stdout
    assert nobody.startswith("no run satisfies name = 'nobody'; its values are ")


def test_ls_shows_the_columns_that_were_asked_for_typed(lr_lab: Path) -> None:
    words = "name,config.lr,config.optim.amp,config.layers,config.big,metrics.loss,metrics.loss.min,tag,status"
    rows = asked(lr_lab, "ls", "--columns", words, "--where", "name = run2")
    (run,) = asked(lr_lab, "ls", "--where", "name = run2")
    assert rows == [
        {
            "run_id": run["run_id"],
            "name": "run2",
            "config.lr": 0.001,
            "config.optim.amp": True,
            "config.layers": [1, 2],
            "config.big": 2**60 + 2,
            "metrics.loss": "NaN",
            "metrics.loss.min": 3 / 20,
            "tag": ["base"],
            "status": "completed",
        }
    ]
    head, *lines = call(lr_lab, "ls", "--columns", words).stdout.splitlines()
    assert head.split() == ["run", *words.split(",")]
    assert re.search(
        r"run2 +0\.001 +true +\[1, 2\] +1152921504606846978 +nan +0\.15 +base +completed", lines[1]
    )
    assert lines[0].startswith(asked(lr_lab, "ls", "-n", "1")[0]["run_id"])
    assert "no run satisfies" in call(lr_lab, "ls", "--columns", words, "--where", "name = nobody").stdout


def test_a_wrong_filter_order_or_column_is_shown_with_a_caret(lr_lab: Path) -> None:
    for words, said in (
        (("ls", "--where", "config.lrr < 1"), "did you mean config.lr?\n  config.lrr < 1\n  ^\n"),
        (("ls", "--where", "config.lr < "), "a value"),
        (("ls", "--order", "-config.lrr"), "did you mean config.lr?"),
        (("ls", "--order", "loss"), "metrics.loss or attr.loss?"),
        (("ls", "--columns", "name,metrics.los"), "did you mean metrics.loss?"),
        (("best", "loss", "--min", "--where", "nam = x"), "did you mean name?"),
        (("top", "metrics.los"), "did you mean metrics.loss?"),
    ):
        result = call(lr_lab, *words)
        assert result.exit_code == 56, words
        assert result.stdout == ""
        assert said in result.stderr
        assert result.stderr.endswith("^\n")


def test_hostile_names_are_shown_as_text_in_the_new_tables_too(lr_lab: Path) -> None:
    for words in (("ls", "--columns", "name"), ("top", "metrics.val/acc"), ("show", "%")):
        run = asked(lr_lab, "ls", "--status", "failed")[0]["run_id"]
        shown = call(lr_lab, *(run if word == "%" else word for word in words)).stdout
        assert MARKUP in shown
        assert "\x1b" not in shown


def test_best_ranks_in_the_direction_asked_for(lab: Path) -> None:
    _, b, a = ids(lab)
    for direction, first in (("--max", b), ("--min", a)):
        ranked = json.loads(call(lab, "best", "acc", direction, "--json").stdout)
        assert ranked[0]["run"]["run_id"] == first
    assert b in call(lab, "best", "acc", "--max", "--by", "max", "-n", "1").stdout
    by_name = call(lab, "best", "acc")
    assert by_name.stdout.splitlines()[1].startswith(b)
    assert "the greatest value counts as the best" in by_name.stdout
    assert json.loads(call(lab, "best", "loss", "--json").stdout)[0]["run"]["run_id"] == b
    unclear = call(lab, "best", "peak")
    assert unclear.exit_code == 2
    assert "does not tell whether less or more is better" in unclear.stderr
    unknown = call(lab, "best", "accc", "--max")
    assert unknown.exit_code == 34
    assert "did you mean 'acc'" in unknown.stderr
    assert "no completed run" in call(lab, "best", "peak", "--max").stdout


def test_a_name_that_scripts_keep_in_the_config_too_is_shown_once(tmp_path: Path) -> None:
    db = tmp_path / "lab.db"
    with Archive(db) as archive:
        for name in ("a", "b"):
            with archive.start_run({"name": name, "lr": len(name)}, name=name) as run:
                run.log({"acc": 1.0})
    assert call(db, "best", "acc").stdout.splitlines()[0].split().count("name") == 1


def test_best_ranks_only_what_the_filters_admit(lr_lab: Path) -> None:
    def ranked(*words: str) -> list[str]:
        return [one["run"]["name"] for one in asked(lr_lab, "best", "val/acc", "--max", *words)]

    assert ranked() == ["run2", "run1", "run0"]
    assert ranked("--where", "config.lr > 0.001") == ["run1", "run0"]
    assert ranked("--where", "tag = base", "--where", "metrics.loss < 1") == ["run1"]
    assert ranked("--where", "metrics.loss.mean > 0 and not tag = base", "--by", "min") == ["run0"]
    assert "no run satisfies name" in call(lr_lab, "best", "val/acc", "--max", "--where", "name = x").stdout


def test_top_ranks_runs_of_every_status_by_any_field(lr_lab: Path) -> None:
    def ranked(*words: str) -> list[tuple[str, Any]]:
        return [(one["run"]["name"], one["value"]) for one in asked(lr_lab, "top", *words)]

    assert ranked("config.lr") == [(MARKUP, 7), ("run0", 0.1), ("run1", 0.01), ("run2", 0.001)]
    assert ranked("metrics.loss", "--min") == [("run0", 1 / 40), ("run1", 2 / 40)], "NaN has no rank"
    assert ranked("metrics.val/acc.max", "-n", "1") == [(MARKUP, 0.99)]
    assert ranked("name", "--where", "tag = base") == [("run2", "run2"), ("run1", "run1")]
    assert [name for name, _tags in ranked("tag")] == ["run2", "run1"]
    assert "no run satisfies name" in call(lr_lab, "top", "ended", "--where", "name = x").stdout
    assert "0.99" in call(lr_lab, "top", "metrics.val/acc.max").stdout


def test_show_prints_every_section(lab: Path) -> None:
    failed, good, _ = ids(lab)
    call(lab, "note", good, "keep this one")
    shown = call(lab, "show", good).stdout
    for word in ("completed", "optim.lr", "0.01", "acc", "weights.bin", "4.0 kB", "keep this one", "baseline"):
        assert word in shown
    assert "too hot" in call(lab, "show", failed).stdout


def test_show_draws_the_course_of_each_metric_with_its_gaps(lr_lab: Path) -> None:
    run = asked(lr_lab, "ls", "--where", "name = run2")[0]["run_id"]
    shown = call(lr_lab, "show", run).stdout
    line = next(line for line in shown.splitlines() if line.startswith("loss"))
    course = line.split()[1]
    assert course[0] == "█"
    assert course.endswith("·····"), "from the middle on it is NaN"
    assert "▁▂▃▄▅▆▇█" in next(line for line in shown.splitlines() if line.startswith("val/acc")).replace(
        "▁▁", "▁"
    ).replace("▃▃", "▃").replace("▅▅", "▅").replace("▆▆", "▆").replace("██", "█")


def test_tags_and_notes_are_written(lab: Path) -> None:
    run = ids(lab)[1]
    assert json.loads(call(lab, "tag", run, "x", "y", "--json").stdout)["tags"] == ["baseline", "x", "y"]
    assert "y" not in json.loads(call(lab, "tag", run, "y", "--remove", "--json").stdout)["tags"]
    assert call(lab, "tag", run, "").exit_code == 50
    assert "1 note" in call(lab, "note", run, "remark").stdout
    assert json.loads(call(lab, "note", run, "again", "--json").stdout)["notes"] == 2


def test_rm_asks_first_and_reports_the_space(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed, good, _ = ids(lab)
    refused = call(lab, "rm", failed)
    assert refused.exit_code == 50
    assert "--yes" in refused.stderr
    assert len(ids(lab)) == 3
    assert call(lab, "rm", failed, "nosuchrun", "--yes").exit_code == 31
    assert len(ids(lab)) == 3, "an unknown id deletes nothing"
    assert "smaller" in call(lab, "rm", failed, "--yes").stdout
    assert json.loads(call(lab, "rm", good, "-y", "--json").stdout)["runs"] == [good]


def test_set_and_rename_change_a_run_after_its_end(lab: Path) -> None:
    run = ids(lab)[0]
    assert call(lab, "rename", run[:16], "other").stdout == f"{run}: other\n"
    told = asked(lab, "rename", run, "third")
    assert told == {"run_id": run, "name": "third", "before": "other"}
    assert names(lab, "--where", "name = third") == ["third"]
    words = ("a=1", "b.c=text", "d=[1, 2]", "e=true", "f=0.5", "g=null", 'h=""', "i=x=y", "j=[x, null]")
    held = {"a": 1, "b.c": "text", "d": [1, 2], "e": True, "f": 0.5, "g": None, "h": "", "i": "x=y"}
    held["j"] = ["x", None]
    assert asked(lab, "set", run, *words) == {"run_id": run, "attributes": held}
    shown = call(lab, "show", run).stdout
    assert re.search(r"Attributes\nkey +value *\na +1 *\nb\.c +text *\n", shown)
    assert re.search(r'\nj +\["x", null\] *\n', shown)
    assert asked(lab, "show", run)["attributes"] == held
    rows = asked(lab, "ls", "--columns", "attr.a,attr.d", "--where", "attr.f > 0.4", "--order", "attr.a")
    assert rows == [{"run_id": run, "attr.a": 1, "attr.d": [1, 2]}]
    left = call(lab, "set", run, "--remove", *(key for key in held if key != "e"))
    assert left.stdout == f"{run}: e = true\n"
    assert call(lab, "set", run, "--remove", "e").stdout == f"{run}: no attributes\n"


def test_set_refuses_what_is_no_assignment(lab: Path) -> None:
    run = ids(lab)[0]
    for word in ("a", "a=", "=1"):
        refused = call(lab, "set", run, "fine=1", word)
        assert (refused.exit_code, "is not KEY=VALUE" in refused.stderr) == (2, True), word
    assert call(lab, "set", run, "fine=1", "a\tb=1").exit_code == 50
    assert call(lab, "set", run, "--remove", "fine=1").exit_code == 2
    assert asked(lab, "show", run)["attributes"] == {}
    assert call(lab, "set", "zzz", "a=1").exit_code == 31
    assert call(lab, "rename", "zzz", "x").exit_code == 31
