"""Tables for files and papers: what `--format` prints of each command that shows rows."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest

from exptrack import Archive
from tests.cli.calls import MARKUP, call, oldest_first


def rows_of(db: Path, *words: str) -> list[dict[str, str]]:
    result = call(db, *words, "--format", "csv")
    assert result.exit_code == 0, result.stderr
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_csv_of_a_list_has_every_digit_and_the_config_that_differs(lr_lab: Path) -> None:
    with Archive(lr_lab) as archive:
        found = {run.run_id: run for run in archive.list_runs()}
    rows = rows_of(lr_lab, "ls", "-n", "10")
    assert [row["run"] for row in rows] == list(found)
    assert {"config.lr", "config.big", "config.layers"} <= set(rows[0])
    for row in rows:
        run = found[row["run"]]
        assert row["started"] == run.started_at.isoformat()
        assert float(row["metrics.val/acc"]) == run.metrics["val/acc"]
        loss = run.metrics.get("loss")
        written = row["metrics.loss"]
        assert written == "" if loss is None else math.isnan(float(written)) or float(written) == loss
    assert [row["config.big"] for row in rows] == ["", str(2**60 + 2), str(2**60 + 1), str(2**60)]
    assert rows[0]["name"] == MARKUP
    assert rows[1]["config.layers"] == "[1, 2]"
    assert rows[1]["tags"] == '["base"]'


def test_chosen_fields_are_the_columns(lr_lab: Path) -> None:
    rows = rows_of(lr_lab, "ls", "--columns", 'name, config."lr",tag', "--where", "status = completed")
    assert [list(row)[1:] for row in rows] == [["name", 'config."lr"', "tag"]] * 3
    asked = call(
        lr_lab, "ls", "--columns", 'name,config."a,b"', "--where", "name = no", "--format", "csv"
    ).stdout
    assert next(csv.reader([asked.splitlines()[0]])) == ["run", "name", 'config."a,b"']


def test_rankings_show_the_config_keys_in_which_the_runs_differ(lr_lab: Path) -> None:
    rows = rows_of(lr_lab, "best", "val/acc", "--max")
    assert [float(row["config.lr"]) for row in rows] == [0.001, 0.01, 0.1]
    assert [float(row["val/acc"]) for row in rows] == pytest.approx([0.59, 0.49, 0.39])
    shown = call(lr_lab, "best", "val/acc", "--max").stdout.splitlines()
    assert shown[0].split()[:4] == ["run", "val/acc", "name", "big"]
    by_lr = rows_of(lr_lab, "top", "config.lr")
    assert [float(row["config.lr"]) for row in by_lr] == [7, 0.1, 0.01, 0.001]
    assert call(lr_lab, "top", "config.lr").stdout.splitlines()[0].split()[:4] == [
        "run",
        "config.lr",
        "name",
        "big",
    ]


def test_a_comparison_has_a_row_for_each_run(seeds_lab: Path) -> None:
    first, second = oldest_first(seeds_lab)[:2]
    rows = rows_of(seeds_lab, "compare", first, second)
    assert [(row["run"], row["config.seed"]) for row in rows] == [(first, "0"), (second, "1")]
    with Archive(seeds_lab) as archive:
        assert float(rows[1]["metrics.acc"]) == archive.show_run(second).summary.metrics["acc"]


def test_groups_have_mean_and_spread(seeds_lab: Path) -> None:
    with Archive(seeds_lab) as archive:
        found = archive.group_by(["lr"], "acc")
    rows = rows_of(seeds_lab, "groups", "acc", "lr")
    assert [float(row["mean"]) for row in rows] == [one.mean for one in found]
    assert [float(row["std"]) for row in rows] == [one.std for one in found]
    assert [row["runs"] for row in rows] == ["3", "3"]
    assert [row["not_finite"] for row in rows] == ["0", "1"]


def test_markdown_and_latex_are_tables_that_nothing_in_a_cell_breaks(tmp_path: Path) -> None:
    db = tmp_path / "lab.db"
    with Archive(db) as archive:
        archive.start_run(name="a|b <img> 50% & $x_1$ \\end").complete()
    statement = "SELECT name, 0.123456789 AS value, NULL AS absent FROM runs"
    assert call(db, "sql", statement, "--format", "markdown").stdout.splitlines() == [
        "| name                           |   value |   absent |",
        "|--------------------------------|---------|----------|",
        "| a\\|b \\<img> 50% \\& $x_1$ \\\\end | 0.12346 |          |",
    ]
    latex = call(db, "sql", statement, "--format", "latex").stdout.splitlines()
    assert latex[0] == "\\begin{tabular}{lrr}"
    assert latex[-1] == "\\end{tabular}"
    (row,) = [line for line in latex if "0.12346" in line]
    assert "50\\% \\& \\$x\\_1\\$ \\textbackslash{}end" in row


def test_what_would_be_a_mark_is_text(tmp_path: Path) -> None:
    db = tmp_path / "lab.db"
    with Archive(db) as archive:
        archive.start_run({"a_b": "[opt]"}, name="*s* __b__ `c` [l](u) &amp; a_b").complete()
        archive.start_run({"a_b": "*star"}, name="~x~").complete()
    asked = ["ls", "--columns", "config.a_b,name", "--format"]
    markdown = call(db, *asked, "markdown").stdout
    assert "config.a_b" in markdown
    assert "\\*s\\* \\_\\_b\\_\\_ \\`c\\` \\[l\\](u) \\&amp; a_b" in markdown
    assert "\\~x\\~" in markdown
    statement = "SELECT value, 1 FROM configs ORDER BY value"
    latex = call(db, "sql", statement, "--format", "latex").stdout
    assert [line.split(" & ")[0].strip() for line in latex.splitlines() if " & " in line] == [
        "value",
        "{}*star",
        "{}[opt]",
    ]


def test_an_empty_table_still_declares_its_columns(lr_lab: Path) -> None:
    shown = call(lr_lab, "ls", "--columns", "name,status", "--where", "tag = no", "--format", "latex").stdout
    assert shown.splitlines()[0] == "\\begin{tabular}{rrr}"


@pytest.mark.parametrize(
    "words", ["ls", "best loss --min", "top loss", "compare RUN", "groups loss lr", "sql SELECT"]
)
def test_one_form_is_asked_for_at_a_time(lr_lab: Path, words: str) -> None:
    result = call(lr_lab, *words.split(), "--format", "latex", "--json")
    assert result.exit_code == 2
    assert "--format" in result.stderr
