"""The commands for SQL: what a SELECT prints, writes and may not do; views added for it."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import exptrack
from exptrack import Archive
from exptrack.cli import main
from tests.cli.calls import HOSTILE, MARKUP, asked, call, ids
from tests.test_other_programs import ask_datasette


def test_the_help_of_sql_names_every_view(lab: Path) -> None:
    named = call(lab, "sql", "--help").stdout.split("Example")[0].replace(",", " ").replace(".", " ").split()
    views = asked(lab, "sql", "SELECT name FROM sqlite_schema WHERE type = 'view'")["rows"]
    assert {view["name"] for view in views} <= {*named}


def test_sql_prints_tables_csv_and_json(lab: Path) -> None:
    query = "SELECT name, status FROM runs ORDER BY started_at"
    assert "lr0.1" in call(lab, "sql", query).stdout
    rows = list(csv.reader(io.StringIO(call(lab, "sql", query, "--csv").stdout)))
    assert rows[0] == ["name", "status"]
    assert rows[3][0] == MARKUP
    kept = call(lab, "sql", "SELECT text FROM configs WHERE key = 'note'", "--csv").stdout
    spelled = HOSTILE.replace("\x1b", "\\x1b").replace("\x07", "\\x07").replace("\u202e", "\\u202e")
    assert list(csv.reader(io.StringIO(kept)))[1] == [spelled], "and CSV is shown on terminals, too"
    exact = json.loads(call(lab, "sql", "SELECT text FROM configs WHERE key = 'note'", "--json").stdout)
    assert exact["rows"] == [{"text": HOSTILE}], "JSON is for programs: words stay as they are"
    found = json.loads(call(lab, "sql", query, "--json").stdout)
    assert found["rows"][0] == {"name": "lr0.1", "status": "completed"}
    cut = call(lab, "sql", query, "--json", "--max-rows", "1")
    assert json.loads(cut.stdout)["truncated"] is True
    assert "--max-rows" in cut.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO note VALUES (1, 9, 'x', 'x')",
        "DELETE FROM run",
        "UPDATE run SET name = 'x'",
        "DROP VIEW runs",
        "ATTACH 'other.db' AS other",
        "PRAGMA user_version = 9",
        "PRAGMA journal_mode = DELETE",
        "VACUUM INTO 'copy.db'",
        "SELECT load_extension('x')",
        "SELECT 1; DROP TABLE run",
        "SELECT * FROM nosuchtable",
        "SELEKT",
        "",
    ],
)
def test_sql_refuses_whatever_is_not_one_select(lab: Path, statement: str, tmp_path: Path) -> None:
    result = call(lab, "sql", statement)
    assert result.exit_code == 54
    assert result.stderr.startswith("exptrack: ")
    assert not (tmp_path / "other.db").exists()
    assert not (tmp_path / "copy.db").exists()
    assert len(ids(lab)) == 3


def test_sql_stops_at_its_time_limit(lab: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    assert call(lab, "sql", endless, "--timeout", "0.2").exit_code == 62


def test_sql_prints_in_one_way_at_a_time(lab: Path) -> None:
    done = call(lab, "sql", "SELECT 1", "--csv", "--json")
    assert done.exit_code == 2
    assert done.stdout == ""


def test_sql_writes_parquet_with_types(lr_lab: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    target = tmp_path / "runs.parquet"
    query = (
        "SELECT name, length(name) AS chars, length(name) * 1.5 AS more, CAST(name AS BLOB) AS raw,"
        " NULL AS none, iif(name = 'run0', 1, 0.5) AS mixed, iif(name = 'run0', 1, name) AS words"
        " FROM runs ORDER BY started_at"
    )
    done = call(lr_lab, "sql", query, "--parquet", str(target))
    assert (done.exit_code, done.stdout) == (0, "")
    assert "4 rows" in done.stderr
    table = parquet.read_table(target)
    kinds = [str(field.type) for field in table.schema]
    assert kinds == ["string", "int64", "double", "binary", "string", "double", "string"]
    first = table.to_pylist()[0]
    assert first == {
        "name": "run0",
        "chars": 4,
        "more": 6.0,
        "raw": b"run0",
        "none": None,
        "mixed": 1.0,
        "words": "1",
    }
    assert [path.name for path in tmp_path.iterdir() if "parquet" in path.name] == ["runs.parquet"]
    printed = CliRunner().invoke(main, ["--db", str(lr_lab), "sql", "SELECT 1 AS one", "--parquet", "-"])
    assert printed.stdout_bytes[:4] == b"PAR1"


def test_sql_parquet_refuses_what_it_cannot_write(lr_lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(lr_lab, "sql", "SELECT 1 AS a, 2 AS a", "--parquet", "x").exit_code == 54
    assert call(lr_lab, "sql", "SELECT 1", "--parquet", "x", "--csv").exit_code == 2
    nowhere = call(lr_lab, "sql", "SELECT 1 AS a", "--parquet", "nowhere/x")
    assert (nowhere.exit_code, "cannot write nowhere/x" in nowhere.stderr) == (61, True)
    cut = call(lr_lab, "sql", "SELECT name FROM runs", "--parquet", "cut", "--max-rows", "2")
    assert "more than 2 rows" in cut.stderr
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    missing = call(lr_lab, "sql", "SELECT 1 AS a", "--parquet", "y")
    assert (missing.exit_code, "exptrack-archive[media]" in missing.stderr) == (24, True)
    assert not Path("y").exists()


def test_view_adds_lists_and_drops_wide_views(lr_lab: Path) -> None:
    assert "no views were added" in call(lr_lab, "view", "--list").stdout
    fields = [
        "config.lr",
        "config.optim.amp",
        "config.layers",
        "config.big",
        "metrics.loss",
        "metrics.loss.min",
    ]
    made = asked(lr_lab, "view", "sweep", *fields, "tag", "duration")
    columns = "run_id name status started_at lr optim.amp layers big loss loss.min tag duration".split()
    assert made == {"name": "sweep", "columns": columns}
    rows = asked(lr_lab, "sql", "SELECT * FROM sweep ORDER BY started_at")["rows"]
    assert list(rows[0]) == columns
    assert [row["lr"] for row in rows] == [0.1, 0.01, 0.001, 7]
    assert [type(row["lr"]) for row in rows] == [float, float, float, int]
    assert [row["optim.amp"] for row in rows] == [0, 1, 1, None]
    assert [row["big"] for row in rows] == [2**60, 2**60 + 1, 2**60 + 2, None]
    assert [row["layers"] for row in rows] == ["[1,0]", "[1,1]", "[1,2]", None]
    assert [row["loss"] for row in rows] == [1 / 40, 2 / 40, None, None], "NaN and none are NULL"
    assert [row["tag"] for row in rows] == [None, "base", "base", None]
    assert asked(lr_lab, "view", "--list") == [made]
    assert "sweep" in call(lr_lab, "view", "--list").stdout
    assert "optim.amp" in call(lr_lab, "view", "wide", "config.optim.amp").stdout
    assert asked(lr_lab, "view", "--drop", "SWEEP") == {"dropped": "SWEEP"}
    assert [one["name"] for one in asked(lr_lab, "view", "--list")] == ["wide"]


def test_a_view_reads_runs_by_their_index_and_values_by_run(lr_lab: Path) -> None:

    call(lr_lab, "view", "sweep", "config.lr", "metrics.loss", "tag")
    connection = sqlite3.connect(lr_lab)
    steps = connection.execute(
        "EXPLAIN QUERY PLAN SELECT * FROM sweep WHERE started_at > '2026' ORDER BY started_at DESC LIMIT 5"
    ).fetchall()
    connection.close()
    plan = [step[3] for step in steps]
    assert "SEARCH r USING INDEX run_by_start (started_at>?)" in plan
    assert [step for step in plan if step.startswith("SCAN")] == []


def test_a_view_that_cannot_be_is_an_error_and_leaves_nothing(lr_lab: Path) -> None:
    call(lr_lab, "view", "sweep", "config.lr")
    for words, code, said in (
        (("sweep", "config.lr"), 40, "already has a table or view 'sweep'"),
        (("SWEEP", "config.lr"), 40, "already has a table or view 'sweep'"),
        (("runs", "config.lr"), 40, "already has a table or view 'runs'"),
        (("run", "config.lr"), 40, "already has a table or view 'run'"),
        (("sqlite_x", "config.lr"), 50, "is a reserved word of SQL"),
        (("select", "config.lr"), 50, "is a reserved word of SQL"),
        (("a b", "config.lr"), 50, "letters, digits and underscores"),
        (("x; DROP TABLE run", "config.lr"), 50, "letters, digits and underscores"),
        (("1x", "config.lr"), 50, "letters, digits and underscores"),
        (("new", "config.lrr"), 56, "did you mean config.lr?"),
        (("new", "config.lr", "metrics.los.max"), 56, "did you mean metrics.loss.max?"),
        (("new", "lr"), 56, "config.lr"),
        (("--drop", "swep"), 30, "did you mean sweep?"),
        (("--drop", "runs"), 30, "no view 'runs' was added"),
        (("new",), 2, "has no fields"),
        ((), 2, "--list"),
        (("new", "config.lr", "--list"), 2, "--list"),
    ):
        result = call(lr_lab, "view", *words)
        assert (result.exit_code, said in result.stderr) == (code, True), (words, result.stderr)
    assert [one["name"] for one in asked(lr_lab, "view", "--list")] == ["sweep"]


def test_added_views_stay_through_reopening_and_deleting_runs(lr_lab: Path) -> None:
    call(lr_lab, "view", "sweep", "config.lr", "metrics.loss")
    run = asked(lr_lab, "ls", "--where", "name = run0")[0]["run_id"]
    assert call(lr_lab, "rm", run, "--yes").exit_code == 0
    assert len(asked(lr_lab, "sql", "SELECT lr FROM sweep")["rows"]) == 3
    with Archive(lr_lab, mode="ro") as archive:
        assert [one.name for one in archive.list_views()] == ["sweep"]
        with pytest.raises(exptrack.ArchiveReadOnlyError):
            archive.create_view("other", ["config.lr"])
        with pytest.raises(exptrack.ArchiveReadOnlyError):
            archive.drop_view("sweep")


def test_datasette_shows_an_added_view(lr_lab: Path) -> None:
    call(lr_lab, "view", "sweep", "config.lr", "metrics.loss")
    (rows,) = ask_datasette(lr_lab, ["sweep.json?_shape=array&loss__lt=0.03"])
    assert [row["name"] for row in rows] == ["run0"]
