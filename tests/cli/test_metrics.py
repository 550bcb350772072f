"""The commands for metrics: points, charts, and runs watched while they log."""

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
import time
from pathlib import Path
from typing import Any

import pytest

import exptrack
from exptrack import Archive
from exptrack.cli.watch import Pace
from tests.cli.calls import asked, call

ROOT = Path(exptrack.__file__).parent.parent


@pytest.mark.parametrize("every", ["nan", "inf", "1e300", "0"])
def test_watch_refuses_a_time_that_no_clock_has(lr_lab: Path, every: str) -> None:
    with Archive(lr_lab) as archive, archive.start_run() as run:
        run.log({"loss": 1.0})
        done = call(lr_lab, "watch", "-n", "2", "--every", every)
    assert (done.exit_code, "--every" in done.output) == (2, True), done.output


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "Infinity", "1e999", "abc"])
@pytest.mark.parametrize(
    "words",
    [("history", "latest", "--smooth"), ("watch", "-n", "1", "--every"), ("sql", "SELECT 1", "--timeout")],
)
def test_no_option_takes_what_is_no_finite_number(lr_lab: Path, words: tuple[str, ...], number: str) -> None:
    done = call(lr_lab, *words, number)
    problem = "is not a number" if number == "abc" else "is not a finite number"
    assert done.exit_code == 2
    assert f"Invalid value for '{words[-1]}': '{number}' {problem}" in done.stderr
    assert done.stdout == ""


def test_history_prints_points_as_csv_and_json(lr_lab: Path) -> None:
    second, first = (asked(lr_lab, "ls", "--where", f"name = run{n}")[0]["run_id"] for n in (2, 1))
    text = call(
        lr_lab, "history", second, "loss", "val/acc", "--with", first, "--from", "19", "--to", "21", "--csv"
    )
    rows = list(csv.DictReader(io.StringIO(text.stdout)))
    assert [(row["run_id"], row["metric"], row["step"]) for row in rows] == [
        (run, metric, step)
        for metric in ("loss", "val/acc")
        for run in (second, first)
        for step in ("19", "20")
    ]
    assert rows[1]["value"] == "nan"
    found = asked(lr_lab, "history", second, "loss", "--from", "19", "--to", "21")
    assert (found[0]["metric"], found[0]["step"], found[0]["value"]) == ("loss", [19, 20], [3 / 20, "NaN"])
    assert call(lr_lab, "history", second, "loss", "--csv", "--json").exit_code == 2


def test_history_draws_every_metric_with_every_run_in_its_legend(lr_lab: Path) -> None:
    second, first = (asked(lr_lab, "ls", "--where", f"name = run{n}")[0]["run_id"] for n in (2, 1))
    shown = call(lr_lab, "history", second[:14], "loss", "val/acc", "--with", first).stdout
    lines = shown.splitlines()
    assert [line for line in lines if line in ("loss", "val/acc")] == ["loss", "val/acc"]
    assert lines.count(f"a run2 ({second})  best 0.15 at step 19, last nan  without 20 NaN") == 1
    assert lines.count(f"b run1 ({first})  best 0.05 at step 39, last 0.05") == 1
    assert lines.count(f"b run1 ({first})  best 0.49 at step 39, last 0.49") == 1
    assert "\x1b" not in shown
    assert max(map(len, lines)) <= 100
    assert any("│" in line and "a" in line and "b" in line for line in lines)
    logarithmic = call(lr_lab, "history", first, "val/acc", "--log", "--by", "time").stdout
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
        run.log_many("late", [2**63 - 3, 2**63 - 2, 2**63 - 1], [1e308, -1e308, 5e-324])
    shown = call(path, "history", run.run_id, "odd", "--log").stdout
    assert "nothing can be drawn" in shown
    assert "without 1 NaN, infinite values, values without a logarithm" in shown
    assert "without 1 NaN, infinite values" in call(path, "history", run.run_id, "odd").stdout
    assert "nothing can be drawn" in call(path, "history", run.run_id, "nan").stdout
    for name in ("huge", "one", "far", "late"):
        for options in ([], ["--log"], ["--by", "time"]):
            assert "└" in call(path, "history", run.run_id, name, *options).stdout
    for words in (["show", run.run_id], ["watch", run.run_id, "--looks", "1"]):
        assert "late" in call(path, *words, env={"COLUMNS": "20"}).stdout


def test_history_without_a_metric_draws_the_main_ones_and_names_the_others(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        with archive.start_run(name="wide") as run:
            names = ["lr", "train/loss", "val/loss", "val/acc", "epoch", "test/f1", "system/cpu_percent"]
            for step in range(5):
                run.log({name: float(step) for name in names}, step)
        with archive.start_run(name="empty"):
            pass
    shown = call(path, "history", "wide").stdout
    assert [line for line in shown.splitlines() if line in names] == [
        "test/f1",
        "val/acc",
        "val/loss",
        "train/loss",
    ]
    assert shown.endswith("\n2 more metrics, drawn if you name them: epoch, lr\n")
    assert "best 0 at step 0, last 4" in shown, "less loss is better"
    assert "best 4 at step 4, last 4" in shown, "more accuracy is better"
    assert "0 to 4, last 4" in call(path, "history", "wide", "lr").stdout, "nothing tells what is better"
    assert "3 more metrics" in call(path, "history", "wide", "--system").stdout
    assert call(path, "history", "empty").stdout == "the run has no metrics\n"


def test_history_smooths_and_cuts(lr_lab: Path) -> None:
    def labels(*words: str) -> list[float]:
        shown = call(lr_lab, "history", "run0", "loss", *words).stdout
        return [float(line.split("│")[0]) for line in shown.splitlines() if re.match(r" *[\d.e-]+ │", line)]

    rough, smooth, cut = labels(), labels("--smooth", "10"), labels("--y", "0.1:0.5")
    assert (rough[0], cut[0], cut[-1]) == (1.0, 0.5, 0.1)
    assert smooth[-1] > rough[-1], "a mean that remembers greater values"
    assert "loss, smoothed over 10 steps" in call(lr_lab, "history", "run0", "loss", "--smooth", "10").stdout
    assert "nothing" not in call(lr_lab, "history", "run0", "loss", "--y", "1e-3:2", "--log").stdout


def test_history_of_a_metric_that_was_not_logged_is_an_error(lr_lab: Path) -> None:
    run = asked(lr_lab, "ls", "-n", "1")[0]["run_id"]
    result = call(lr_lab, "history", run, "val/ac")
    assert result.exit_code == 34
    assert "did you mean 'val/acc'" in result.stderr
    assert call(lr_lab, "history", "zzzz", "loss").exit_code == 31


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


def test_watch_prints_what_grows_until_the_named_run_has_ended(lr_lab: Path) -> None:
    process, run = logging(lr_lab, 100)
    done = call(lr_lab, "watch", run, "--metric", "loss", "--every", "0.2", "--json")
    process.communicate()
    assert process.returncode == 0
    assert done.exit_code == 0
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(one["run_id"], one["metric"], one["replaces"]) for one in told} == {(run, "loss", False)}
    assert [step for one in told for step in one["step"]] == list(range(100)), "every point, once"
    assert len(told) >= 2
    assert call(lr_lab, "watch", run).stdout == f"{run}\tloss\t99\t0.01\n"


def test_watch_looks_as_often_as_asked_and_follows_only_what_runs(lr_lab: Path) -> None:
    done = call(lr_lab, "watch", "-n", "2", "--every", "0.05")
    assert (done.exit_code, done.stdout) == (0, "no run is running\n")
    assert call(lr_lab, "watch", "zzzz").exit_code == 31


def test_watch_draws_a_live_table_and_ends_at_ctrl_c(lr_lab: Path) -> None:
    """In a terminal it shows runs, trends and a chart; the interrupt ends it wordlessly and with success."""
    process, run = logging(lr_lab, 2000)
    leader, follower = pty.openpty()
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "TERM": "xterm-256color",
        "COLUMNS": "100",
        "LINES": "40",
    }
    words = [sys.executable, "-c", WATCH, "--db", str(lr_lab), "watch", "--plot", "--every", "0.2"]
    watching = subprocess.Popen(words, stdout=follower, stderr=subprocess.PIPE, env=environment)
    os.close(follower)
    shown = b""
    try:
        while not all(word.encode() in shown for word in ("live", "▁", "└")):
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
    for word in (run[-4:], "running", "live", "loss", "▁", "└", "/s"):
        assert word in shown.decode(errors="replace")


def on_terminal(db: Path, *words: str) -> str:
    """What a command prints on a terminal of 80 columns, without the signs that move the cursor."""
    leader, follower = pty.openpty()
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "COLUMNS": "80",
        "LINES": "40",
    }
    command = [sys.executable, "-c", WATCH, "--db", str(db), *words]
    process = subprocess.Popen(command, stdout=follower, stderr=subprocess.PIPE, env=environment)
    os.close(follower)
    shown = b""
    try:
        while more := os.read(leader, 65536):
            shown += more
    except OSError:
        shown += b"\n"  # so a terminal tells that the other end has gone
    finally:
        errors = process.communicate(timeout=60)[1]
        os.close(leader)
    assert (process.returncode, errors) == (0, b"")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


def test_history_draws_the_best_runs_or_those_that_match(lr_lab: Path) -> None:
    best = call(lr_lab, "history", "--best", "val/acc", "-n", "2", "val/acc").stdout
    assert ("run2" in best, "run1" in best, "run0" in best) == (True, True, False)
    least = call(lr_lab, "history", "--best", "val/acc:min", "-n", "1", "val/acc").stdout
    assert ("run2" in least, "run0" in least) == (False, True)
    both = call(lr_lab, "history", "--best", "val/acc", "--where", "config.lr > 0.005", "-n", "9").stdout
    assert ("run2" in both, "run1" in both, "run0" in both) == (False, True, True)
    newest = call(lr_lab, "history", "val/acc", "--where", "tag = base", "-n", "1").stdout
    assert ("run2" in newest, "run1" in newest) == (True, False)
    nothing = ["history", "--where", "tag = nothing"]
    said = "no run satisfies tag = 'nothing'; its only value is 'base'\n"
    assert call(lr_lab, *nothing).stdout == said
    assert call(lr_lab, "history", "--best", "val/acc", "--where", "tag = nothing").stdout == said
    assert json.loads(call(lr_lab, *nothing, "--json").stdout) == []
    assert call(lr_lab, *nothing, "--csv").stdout.splitlines() == ["run_id,metric,step,value,time_s"]
    for words, said in ((["--best", "peak"], "peak:min or peak:max"), ([], "name a RUN")):
        refused = call(lr_lab, "history", *words)
        assert refused.exit_code == 2
        assert said in refused.stderr.replace("\n", " ")


def test_watch_tells_step_speed_and_what_is_left_and_when_nothing_runs(tmp_path: Path) -> None:
    lab = tmp_path / "lab.db"
    with Archive(lab) as archive:
        assert "no run is running; this waits for one" in on_terminal(lab, "watch", "-n", "1")
        with archive.start_run({"optim": {"max_steps": 2_000}}, name="live") as run:
            for step in range(100):
                run.log({"val/loss": 1 / (step + 1), "lr": 0.1, "system/cpu_percent": 1.0}, step)
                time.sleep(0.005)
            run.flush()
            shown = on_terminal(lab, "watch", "-n", "1")
        over = on_terminal(lab, "watch", run.run_id)
    line = [line for line in shown.splitlines() if "live" in line][-1]
    assert re.search(r"99 of 2,000  +\d+/s  +~\d+(\.\d)? s  +0\.01 █[▁▂▃▄▅▆▇]+", line), shown
    assert "system/" not in shown
    assert "running any more" not in shown
    assert "no run is running any more" in over
    assert "~" not in over
    full = on_terminal(lab, "watch", run.run_id, "--system", "--metric", "system/cpu_percent")
    assert "1 %" in full


def points(steps: list[int], seconds: float = 1.0, values: list[float] | None = None) -> dict[str, list[float]]:
    times = [seconds * place for place in range(len(steps))]
    return {"step": list(steps), "time_s": times, "value": values or [0.0] * len(steps)}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"max_steps": 101}, (10, 101, 1.0, 90.0)),
        ({"a": {"TOTAL_STEPS": 101}, "epochs": 3}, (10, 101, 1.0, 90.0)),
        ({"epochs": 20}, (10, 20, 1.0, 9.0)),
        ({"epochs": 5}, (10, None, 1.0, None)),  # these steps are no epochs
        ({"max_steps": 5}, (10, None, 1.0, None)),  # it went on
        ({"max_steps": 50, "other": {"steps": 60}}, (10, None, 1.0, None)),  # which of them is not known
        ({"max_steps": "many", "epochs": True}, (10, None, 1.0, None)),
        ({}, (10, None, 1.0, None)),
    ],
)
def test_what_is_left_follows_from_the_config_and_the_speed(
    config: dict[str, Any], expected: tuple[object, ...]
) -> None:
    pace = Pace(config)
    assert pace.read() == (None, None, None, None)
    pace.take("loss", points(list(range(11))))
    pace.take("system/cpu_percent", points(list(range(500))))
    assert pace.read() == expected


def test_a_metric_of_epochs_tells_what_is_left_and_the_last_minute_how_fast() -> None:
    pace = Pace({"epochs": 10})
    pace.take("epoch", points(list(range(0, 500, 100)), 10.0, [0.0, 0.5, 1.0, 1.5, 2.0]))
    assert pace.read() == (400, None, 10.0, 160.0)
    slower = points(list(range(400, 800)), 1.0)
    pace.take("loss", slower | {"time_s": [40.0 + place for place in range(400)]})
    assert pace.read().speed == 1.0
    once = Pace({"max_steps": 10})
    once.take("loss", points([3]))
    assert once.read() == (3, 10, None, None)
