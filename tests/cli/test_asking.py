"""The commands that ask: filters, orders and columns, rankings, courses, live tables, views, Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import exptrack
from exptrack import Archive
from exptrack.cli import main

ROOT = Path(exptrack.__file__).parent.parent
HOSTILE = "[red]x[/red] [link=http://x]y"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    """Three completed runs that differ in lr, the last of them diverging, and a failed one."""
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        for number, lr in enumerate((0.1, 0.01, 0.001)):
            config = {"lr": lr, "optim": {"amp": bool(number)}, "layers": [1, number], "big": 2**60 + number}
            with archive.start_run(config, ["base"] * bool(number), name=f"run{number}") as run:
                for step in range(40):
                    loss = math.nan if number == 2 and step >= 20 else (number + 1) / (step + 1)
                    run.log({"loss": loss, "val/acc": step / 100 + number / 10}, step)
        with pytest.raises(ValueError, match="hot"), archive.start_run({"lr": 7}, name=HOSTILE) as run:
            run.log({HOSTILE: 1.0, "val/acc": 0.99}, 0)
            raise ValueError("hot")
    yield path
    with Archive(path) as archive:
        assert archive.verify().problems == ()


def call(db: Path, *words: str) -> Result:
    """Run one command in this process; no call may end in a traceback."""
    result = CliRunner().invoke(main, ["--db", str(db), *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.stderr
    return result


def asked(db: Path, *words: str) -> Any:
    result = call(db, *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def names(db: Path, *words: str) -> list[str]:
    return [run["name"] for run in asked(db, "ls", *words)]


# ls


def test_ls_takes_filters_beside_its_options_and_orders(lab: Path) -> None:
    assert names(lab, "--where", "config.lr < 0.05") == ["run2", "run1"]
    assert names(lab, "--where", "config.lr < 0.05", "--where", "not config.lr = 0.001") == ["run1"]
    assert names(lab, "--where", "config.lr > 0.005", "--tag", "base", "--status", "completed") == ["run1"]
    assert names(lab, "--order", "config.lr") == ["run2", "run1", "run0", HOSTILE]
    assert names(lab, "--order", "-config.optim.amp,config.lr", "-n", "2") == ["run2", "run1"]
    assert names(lab, "--order", "-metrics.loss.last", "-n", "3") == ["run1", "run0", HOSTILE]
    assert names(lab, "--where", "status = failed", "--after", "2001-01-01") == [HOSTILE]
    assert "no runs" in call(lab, "ls", "--where", "name = nobody").stdout


def test_ls_shows_the_columns_that_were_asked_for_typed(lab: Path) -> None:
    words = "name,config.lr,config.optim.amp,config.layers,config.big,metrics.loss,metrics.loss.min,tag,status"
    rows = asked(lab, "ls", "--columns", words, "--where", "name = run2")
    (run,) = asked(lab, "ls", "--where", "name = run2")
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
    head, *lines = call(lab, "ls", "--columns", words).stdout.splitlines()
    assert head.split() == ["run", *words.split(",")]
    assert re.search(
        r"run2 +0\.001 +true +\[1, 2\] +1152921504606846978 +nan +0\.15 +base +completed", lines[1]
    )
    assert lines[0].startswith(asked(lab, "ls", "-n", "1")[0]["run_id"])
    assert "no runs" in call(lab, "ls", "--columns", words, "--where", "name = nobody").stdout


def test_columns_that_have_no_room_get_a_line_a_value_and_nothing_is_cut(lab: Path) -> None:
    from rich.console import Console

    from exptrack.terminal import console as render

    with Archive(lab) as archive:
        found = [
            (run, list(values.values())) for run, values in archive.runs().values("fingerprint, config_hash")
        ]
    for width, heads in ((40, len(found)), (200, 1)):
        out = io.StringIO()
        console = Console(file=out, width=width, force_terminal=True, color_system=None)
        render.columns(console, ["fingerprint", "config_hash"], found)
        assert out.getvalue().count("fingerprint") == heads
        shown = "".join(out.getvalue().split())
        for run, (fingerprint, _hash) in found:
            assert run.run_id in shown
            assert fingerprint[:16] in shown


def test_a_wrong_filter_order_or_column_is_shown_with_a_caret(lab: Path) -> None:
    for words, said in (
        (("ls", "--where", "config.lrr < 1"), "did you mean config.lr?\n  config.lrr < 1\n  ^\n"),
        (("ls", "--where", "config.lr < "), "a value"),
        (("ls", "--order", "-config.lrr"), "did you mean config.lr?"),
        (("ls", "--order", "loss"), "metrics.loss?"),
        (("ls", "--columns", "name,metrics.los"), "did you mean metrics.loss?"),
        (("best", "loss", "--min", "--where", "nam = x"), "did you mean name?"),
        (("top", "metrics.los"), "did you mean metrics.loss?"),
    ):
        result = call(lab, *words)
        assert result.exit_code == 56, words
        assert result.stdout == ""
        assert said in result.stderr
        assert result.stderr.endswith("^\n")


def test_hostile_names_are_shown_as_text_in_the_new_tables_too(lab: Path) -> None:
    for words in (("ls", "--columns", "name"), ("top", "metrics.val/acc"), ("show", "%")):
        run = asked(lab, "ls", "--status", "failed")[0]["run_id"]
        shown = call(lab, *(run if word == "%" else word for word in words)).stdout
        assert HOSTILE in shown
        assert "\x1b" not in shown


# best and top


def test_best_ranks_only_what_the_filters_admit(lab: Path) -> None:
    def ranked(*words: str) -> list[str]:
        return [one["run"]["name"] for one in asked(lab, "best", "val/acc", "--max", *words)]

    assert ranked() == ["run2", "run1", "run0"]
    assert ranked("--where", "config.lr > 0.001") == ["run1", "run0"]
    assert ranked("--where", "tag = base", "--where", "metrics.loss < 1") == ["run1"]
    assert ranked("--where", "metrics.loss.mean > 0 and not tag = base", "--by", "min") == ["run0"]
    assert "no completed run" in call(lab, "best", "val/acc", "--max", "--where", "name = x").stdout


def test_top_ranks_runs_of_every_status_by_any_field(lab: Path) -> None:
    def ranked(*words: str) -> list[tuple[str, Any]]:
        return [(one["run"]["name"], one["value"]) for one in asked(lab, "top", *words)]

    assert ranked("config.lr") == [(HOSTILE, 7), ("run0", 0.1), ("run1", 0.01), ("run2", 0.001)]
    assert ranked("metrics.loss", "--min") == [("run0", 1 / 40), ("run1", 2 / 40)], "NaN has no rank"
    assert ranked("metrics.val/acc.max", "-n", "1") == [(HOSTILE, 0.99)]
    assert ranked("name", "--where", "tag = base") == [("run2", "run2"), ("run1", "run1")]
    assert [name for name, _tags in ranked("tag")] == ["run2", "run1"]
    assert "no such run has a value" in call(lab, "top", "ended", "--where", "name = x").stdout
    assert "0.99" in call(lab, "top", "metrics.val/acc.max").stdout


# show


def test_show_draws_the_course_of_each_metric_with_its_gaps(lab: Path) -> None:
    run = asked(lab, "ls", "--where", "name = run2")[0]["run_id"]
    shown = call(lab, "show", run).stdout
    line = next(line for line in shown.splitlines() if line.startswith("loss"))
    course = line.split()[1]
    assert course[0] == "█"
    assert course.endswith("·····"), "from the middle on it is NaN"
    assert "▁▂▃▄▅▆▇█" in next(line for line in shown.splitlines() if line.startswith("val/acc")).replace(
        "▁▁", "▁"
    ).replace("▃▃", "▃").replace("▅▅", "▅").replace("▆▆", "▆").replace("██", "█")


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([1.0], "▅"),
        ([0.0, 1.0], "▁█"),
        ([1.0, math.nan, 0.0], "█·▁"),
        ([math.inf, 0.0, -math.inf, 1.0], "↑▁↓█"),
        ([math.nan], "·"),
        ([-1.7e308, 1.7e308, 0.0], "▁█▅"),
        ([5e-324, 0.0], "▅▅"),
    ],
)
def test_bars_stand_for_values_and_other_signs_for_what_is_none(values: list[float], drawn: str) -> None:
    from exptrack.terminal.charts import spark

    assert spark(values) == drawn


# history


def test_history_prints_points_as_csv_and_json(lab: Path) -> None:
    second, first = (asked(lab, "ls", "--where", f"name = run{n}")[0]["run_id"] for n in (2, 1))
    text = call(
        lab, "history", second, "loss", "val/acc", "--with", first, "--from", "19", "--to", "21", "--csv"
    )
    rows = list(csv.DictReader(io.StringIO(text.stdout)))
    assert [(row["run_id"], row["metric"], row["step"]) for row in rows] == [
        (run, metric, step)
        for metric in ("loss", "val/acc")
        for run in (second, first)
        for step in ("19", "20")
    ]
    assert rows[1]["value"] == "nan"
    found = asked(lab, "history", second, "loss", "--from", "19", "--to", "21")
    assert (found[0]["metric"], found[0]["step"], found[0]["value"]) == ("loss", [19, 20], [3 / 20, "NaN"])
    assert call(lab, "history", second, "loss", "--csv", "--json").exit_code == 2


def test_history_draws_every_metric_with_every_run_in_its_legend(lab: Path) -> None:
    second, first = (asked(lab, "ls", "--where", f"name = run{n}")[0]["run_id"] for n in (2, 1))
    shown = call(lab, "history", second[:14], "loss", "val/acc", "--with", first).stdout
    lines = shown.splitlines()
    assert [line for line in lines if line in ("loss", "val/acc")] == ["loss", "val/acc"]
    assert lines.count(f"a {second} run2  without 20 NaN") == 1
    assert lines.count(f"b {first} run1") == 2
    assert "\x1b" not in shown
    assert max(map(len, lines)) <= 100
    assert any("│" in line and "a" in line and "b" in line for line in lines)
    logarithmic = call(lab, "history", first, "val/acc", "--log", "--by", "time").stdout
    assert "val/acc (log)" in logarithmic
    assert "seconds" in logarithmic


def test_history_says_what_cannot_be_drawn(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run() as run:
        run.log_many("odd", [0, 1, 2, 3], [0.0, -1.0, math.inf, math.nan])
        run.log_many("huge", [0, 1], [-1.7e308, 1.7e308])
        run.log_many("nan", [5], [math.nan])
        run.log_many("one", [5], [3.0])
        run.log_many("far", [-(2**63), 2**63 - 1], [1.0, 2.0])
    shown = call(path, "history", run.run_id, "odd", "--log").stdout
    assert "nothing that can be drawn" in shown
    assert "without 1 NaN, infinite values, values that have no logarithm" in shown
    assert "without 1 NaN, infinite values" in call(path, "history", run.run_id, "odd").stdout
    assert "nothing that can be drawn" in call(path, "history", run.run_id, "nan").stdout
    for name in ("huge", "one", "far"):
        assert "└" in call(path, "history", run.run_id, name).stdout


def test_history_of_a_metric_that_was_not_logged_is_an_error(lab: Path) -> None:
    run = asked(lab, "ls", "-n", "1")[0]["run_id"]
    result = call(lab, "history", run, "val/ac")
    assert result.exit_code == 34
    assert "did you mean 'val/acc'" in result.stderr
    assert call(lab, "history", "zzzz", "loss").exit_code == 31


# watch

LOGGING = """
import sys, time, exptrack
with exptrack.Archive(sys.argv[1]) as archive, archive.start_run(name="live") as run:
    print(run.run_id, flush=True)
    for step in range(int(sys.argv[2])):
        run.log({"loss": 1 / (step + 1)}, step)
        time.sleep(0.02)
"""
WATCH = "import sys; from exptrack.cli import main; main(sys.argv[1:])"


def logging(db: Path, steps: int) -> tuple[subprocess.Popen[str], str]:
    """A process that logs for a while, and its run."""
    command = [sys.executable, "-c", LOGGING, str(db), str(steps)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_watch_prints_what_grows_until_the_named_run_has_ended(lab: Path) -> None:
    process, run = logging(lab, 100)
    done = call(lab, "watch", run, "--metric", "loss", "--every", "0.2", "--json")
    process.communicate()
    assert process.returncode == 0
    assert done.exit_code == 0
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(one["run_id"], one["metric"], one["replaces"]) for one in told} == {(run, "loss", False)}
    assert [step for one in told for step in one["step"]] == list(range(100)), "every point, once"
    assert len(told) >= 2
    assert call(lab, "watch", run).stdout == f"{run}\tloss\t99\t0.01\n"


def test_watch_looks_as_often_as_asked_and_follows_only_what_runs(lab: Path) -> None:
    done = call(lab, "watch", "-n", "2", "--every", "0.05")
    assert (done.exit_code, done.stdout) == (0, "")
    assert call(lab, "watch", "zzzz").exit_code == 31


def test_watch_draws_a_live_table_and_ends_at_ctrl_c(lab: Path) -> None:
    """In a terminal it shows runs, courses and a chart; the interrupt ends it wordlessly and with success."""
    process, run = logging(lab, 2000)
    leader, follower = pty.openpty()
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "TERM": "xterm-256color",
        "COLUMNS": "100",
        "LINES": "40",
    }
    words = [sys.executable, "-c", WATCH, "--db", str(lab), "watch", "--plot", "--every", "0.2"]
    watching = subprocess.Popen(words, stdout=follower, stderr=subprocess.PIPE, env=environment)
    os.close(follower)
    shown = b""
    try:
        while not all(word.encode() in shown for word in (run, "▁", "└")):
            shown += os.read(leader, 65536)
        watching.send_signal(signal.SIGINT)
        while more := os.read(leader, 65536):
            shown += more
    except OSError:
        shown += b"closed"  # so a terminal tells that the other end has gone
    finally:
        errors = watching.communicate(timeout=60)[1]
        process.kill()
        process.communicate()
        os.close(leader)
    assert (watching.returncode, errors) == (0, b"")
    for word in (run, "running", "live", "loss", "▁", "└"):
        assert word in shown.decode(errors="replace")


# view


def test_view_adds_lists_and_drops_wide_views(lab: Path) -> None:
    assert "no views were added" in call(lab, "view", "--list").stdout
    fields = [
        "config.lr",
        "config.optim.amp",
        "config.layers",
        "config.big",
        "metrics.loss",
        "metrics.loss.min",
    ]
    made = asked(lab, "view", "sweep", *fields, "tag", "duration")
    columns = "run_id name status started_at lr optim.amp layers big loss loss.min tag duration".split()
    assert made == {"name": "sweep", "columns": columns}
    rows = asked(lab, "sql", "SELECT * FROM sweep ORDER BY started_at")["rows"]
    assert list(rows[0]) == columns
    assert [row["lr"] for row in rows] == [0.1, 0.01, 0.001, 7]
    assert [type(row["lr"]) for row in rows] == [float, float, float, int]
    assert [row["optim.amp"] for row in rows] == [0, 1, 1, None]
    assert [row["big"] for row in rows] == [2**60, 2**60 + 1, 2**60 + 2, None]
    assert [row["layers"] for row in rows] == ["[1,0]", "[1,1]", "[1,2]", None]
    assert [row["loss"] for row in rows] == [1 / 40, 2 / 40, None, None], "NaN and none are NULL"
    assert [row["tag"] for row in rows] == [None, "base", "base", None]
    assert asked(lab, "view", "--list") == [made]
    assert "sweep" in call(lab, "view", "--list").stdout
    assert "optim.amp" in call(lab, "view", "wide", "config.optim.amp").stdout
    assert asked(lab, "view", "--drop", "SWEEP") == {"dropped": "SWEEP"}
    assert [one["name"] for one in asked(lab, "view", "--list")] == ["wide"]


def test_a_view_reads_runs_by_their_index_and_values_by_run(lab: Path) -> None:
    import sqlite3

    call(lab, "view", "sweep", "config.lr", "metrics.loss", "tag")
    connection = sqlite3.connect(lab)
    steps = connection.execute(
        "EXPLAIN QUERY PLAN SELECT * FROM sweep WHERE started_at > '2026' ORDER BY started_at DESC LIMIT 5"
    ).fetchall()
    connection.close()
    plan = [step[3] for step in steps]
    assert "SEARCH r USING INDEX run_by_start (started_at>?)" in plan
    assert [step for step in plan if step.startswith("SCAN")] == []


def test_a_view_that_cannot_be_is_an_error_and_leaves_nothing(lab: Path) -> None:
    call(lab, "view", "sweep", "config.lr")
    for words, code, said in (
        (("sweep", "config.lr"), 40, "there is a 'sweep'"),
        (("SWEEP", "config.lr"), 40, "there is a 'sweep'"),
        (("runs", "config.lr"), 40, "there is a 'runs'"),
        (("run", "config.lr"), 40, "there is a 'run'"),
        (("sqlite_x", "config.lr"), 50, "means something in SQL"),
        (("select", "config.lr"), 50, "means something in SQL"),
        (("a b", "config.lr"), 50, "letters, digits and underscores"),
        (("x; DROP TABLE run", "config.lr"), 50, "letters, digits and underscores"),
        (("1x", "config.lr"), 50, "letters, digits and underscores"),
        (("new", "config.lrr"), 56, "did you mean config.lr?"),
        (("new", "config.lr", "metrics.los.max"), 56, "did you mean metrics.loss.max?"),
        (("new", "lr"), 56, "config.lr"),
        (("--drop", "swep"), 30, "did you mean sweep?"),
        (("--drop", "runs"), 30, "no view 'runs' was added"),
        (("new",), 2, "name the fields"),
        ((), 2, "--list"),
        (("new", "config.lr", "--list"), 2, "--list"),
    ):
        result = call(lab, "view", *words)
        assert (result.exit_code, said in result.stderr) == (code, True), (words, result.stderr)
    assert [one["name"] for one in asked(lab, "view", "--list")] == ["sweep"]


def test_columns_of_a_view_that_would_be_called_alike_get_their_whole_names(archive: Archive) -> None:
    config = {"name": "a", "x": 1, "X": 2, "true": True, 'odd "key"': 3, "nul\0": 4, "metrics": {"x": 5}}
    with archive.start_run(config) as run:
        run.log({"x": 6.0, "x.max": 7.0})
    fields = [f'config."{key}"' for key in ("name", "x", "X", "true")] + [
        r'config."odd \"key\""',
        'config."nul\0"',
    ]
    fields += ["config.metrics.x", "metrics.x", "metrics.x.max", 'metrics."x.max"', "name"]
    made = archive.create_view("odd", fields)
    assert made.columns[4:] == (
        *("config.name", "x", "config.X", "config.true", '"odd \\"key\\""', "nul_", "metrics.x"),
        *("metrics.x_2", "x.max", 'metrics.x."max"', "name_2"),
    )
    assert archive.sql("SELECT * FROM odd").rows[0][4:] == ("a", 1, 2, 1, 3, 4, 5, 6.0, 6.0, 7.0, None)


def test_added_views_stay_through_reopening_and_deleting_runs(lab: Path) -> None:
    call(lab, "view", "sweep", "config.lr", "metrics.loss")
    run = asked(lab, "ls", "--where", "name = run0")[0]["run_id"]
    assert call(lab, "rm", run, "--yes").exit_code == 0
    assert len(asked(lab, "sql", "SELECT lr FROM sweep")["rows"]) == 3
    with Archive(lab, mode="ro") as archive:
        assert [one.name for one in archive.list_views()] == ["sweep"]
        with pytest.raises(exptrack.ArchiveReadOnlyError):
            archive.create_view("other", ["config.lr"])
        with pytest.raises(exptrack.ArchiveReadOnlyError):
            archive.drop_view("sweep")


def test_datasette_shows_an_added_view(lab: Path) -> None:
    call(lab, "view", "sweep", "config.lr", "metrics.loss")
    command = [
        sys.executable,
        "-m",
        "datasette",
        str(lab),
        "--get",
        "/lab/sweep.json?_shape=array&loss__lt=0.03",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [row["name"] for row in json.loads(done.stdout)] == ["run0"]


# sql


def test_sql_writes_parquet_with_types(lab: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    target = tmp_path / "runs.parquet"
    query = (
        "SELECT name, length(name) AS chars, length(name) * 1.5 AS more, CAST(name AS BLOB) AS raw,"
        " NULL AS none, iif(name = 'run0', 1, 0.5) AS mixed, iif(name = 'run0', 1, name) AS words"
        " FROM runs ORDER BY started_at"
    )
    done = call(lab, "sql", query, "--parquet", str(target))
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
    printed = CliRunner().invoke(main, ["--db", str(lab), "sql", "SELECT 1 AS one", "--parquet", "-"])
    assert printed.stdout_bytes[:4] == b"PAR1"


def test_sql_parquet_refuses_what_it_cannot_write(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(lab, "sql", "SELECT 1 AS a, 2 AS a", "--parquet", "x").exit_code == 54
    assert call(lab, "sql", "SELECT 1", "--parquet", "x", "--csv").exit_code == 2
    nowhere = call(lab, "sql", "SELECT 1 AS a", "--parquet", "nowhere/x")
    assert (nowhere.exit_code, "cannot write nowhere/x" in nowhere.stderr) == (61, True)
    cut = call(lab, "sql", "SELECT name FROM runs", "--parquet", "cut", "--max-rows", "2")
    assert "more than 2 rows" in cut.stderr
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    missing = call(lab, "sql", "SELECT 1 AS a", "--parquet", "y")
    assert (missing.exit_code, "exptrack-archive[media]" in missing.stderr) == (24, True)
    assert not Path("y").exists()


# Plans


def test_columns_and_rankings_are_read_through_indexes(lab: Path) -> None:
    """No statement of theirs looks at a whole table; lists of runs and the names of the file are short."""
    with Archive(lab) as archive:
        raw = archive._connection._handle().raw
        asked: list[str] = []
        raw.set_trace_callback(asked.append)
        fields = [
            "config.lr",
            "metrics.loss.mean",
            "tag",
            "note",
            "artifact",
            "status",
            "branch",
            "parent",
            "id",
        ]
        assert len(list(archive.runs().where("config.lr < 1").values(*fields))) == 3
        assert archive.best_runs("loss", "minimize", where="tag = base and not metrics.loss > 5")
        archive.create_view("sweep", fields)
        archive.list_views()
        archive.drop_view("sweep")
        raw.set_trace_callback(None)
        selects = [sql for sql in asked if sql.lstrip().startswith("SELECT")]
        plans = [row[3] for sql in selects for row in raw.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert len(selects) > len(fields)
    scans = {step for step in plans if step.startswith("SCAN")}
    allowed = ("json_each", "sqlite_schema", "pragma_table_info", "run_owner", "CONSTANT", "(subquery", "d")
    assert {step for step in scans if not step.removeprefix("SCAN ").startswith(allowed)} == set()
