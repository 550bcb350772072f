"""``exptrack sweep``: a real search, what becomes of one that is killed or stopped, and how studies look."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy
import pytest
from click.testing import CliRunner, Result

from exptrack import (
    Archive,
    Dimension,
    RunStatus,
    Sampler,
    SweepPlan,
    Trial,
    TrialRecord,
    TrialState,
    load_sweep,
)
from exptrack.cli import main
from tests.cli.calls import asked, call
from tests.sweeps.elsewhere import MACHINE, begin_trial

EXAMPLES = Path(__file__).parents[2] / "examples" / "sweeps"


SWEEP = """\
objective: {metric: acc, direction: maximize}
space: {lr: {low: 0.1, high: 1.0}}
sampler: {name: random, seed: 1}
budget: {max_trials: 2}
retries: 1
"""


TRAIN = """\
import exptrack
with exptrack.start_run(exptrack.current_trial().config) as run:
    print("training")
    run.log({"acc": run.config.get("lr")})
"""


# Tells that it has begun, and goes on when it may.
WAITS = """\
import os, time, exptrack
with exptrack.start_run(exptrack.current_trial().config) as run:
    run.log({"acc": run.config.get("lr")})
    number = os.environ["EXPTRACK_TRIAL"].split("/")[1]
    with open("begun.new", "w") as file:
        file.write(str(os.getpid()))
    os.replace("begun.new", f"begun{number}")
    while not os.path.exists("go"):
        time.sleep(0.01)
"""


# Hears that it is to end, and does not.
DEAF = (
    "import signal\n"
    "signal.signal(signal.SIGINT, lambda *_: open('heard', 'w').close())\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
) + WAITS


class Lab:
    """A folder with a sweep file and scripts, and an archive in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = folder / "lab.db"
        for name, text in (("tuning.sdn", SWEEP), ("train.py", TRAIN), ("waits.py", WAITS), ("deaf.py", DEAF)):
            (folder / name).write_text(text)

    def call(self, *words: str) -> Result:
        """Run one command in this process."""
        return call(self.db, "sweep", *words)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Run one command in a process of its own."""
        command = [sys.executable, "-m", "exptrack", "--db", str(self.db), "sweep", *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_for(self, name: str, process: subprocess.Popen[str]) -> str:
        """Wait until a script has written a file; return what is in it."""
        while not (self.folder / name).exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        return (self.folder / name).read_text()

    def trials(self, name: str = "tuning") -> list[TrialRecord]:
        with Archive(self.db) as archive:
            return archive.trials(name)

    def statuses(self) -> list[RunStatus]:
        with Archive(self.db) as archive:
            return [run.status for run in reversed(archive.list_runs())]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab whose archive must verify clean when the test is over."""
    made = Lab(tmp_path)
    yield made
    if made.db.exists():
        with Archive(made.db) as archive:
            assert archive.verify().problems == ()


PYTHON = sys.executable
DIGITS = """\
name: digits
objective: {metric: val_accuracy, direction: maximize, reduce: max}
space |param, low, high, log|
    optim.lr, 1e-5, 1e-1, true
    model.hidden, 8, 64, true
choices:
    model.activation: [relu, tanh]
sampler: {name: random, seed: 4}
pruner: {name: median, n_startup_trials: 2}
budget: {max_trials: 7, time_limit: 5min}
jobs: 2
base: {optim: {lr: 0.01, batch: 64}, model: {hidden: 16, activation: relu}, epochs: 6}
"""


# A network with one hidden layer, trained by Adam. It does without scikit-learn, whose import takes a second.
DIGITS_TRAIN = """\
import sys

import numpy as np

import exptrack

trial = exptrack.current_trial()
config = trial.config
assert exptrack.parse_cli_overrides(sys.argv)[-1] == f"model.activation={config.get('model.activation')}"
chance = np.random.default_rng(0)
digits = np.load("digits.npz")
order = chance.permutation(len(digits["target"]))
images, labels = digits["data"][order] / 16, np.eye(10)[digits["target"][order]]
is_relu = config.get("model.activation") == "relu"
hidden = config.get("model.hidden")
weights = [chance.normal(0, size[0] ** -0.5, size) for size in ((64, hidden), (hidden, 10))]
weights += [np.zeros(hidden), np.zeros(10)]
means, squares = [[np.zeros_like(one) for one in weights] for _ in range(2)]
steps = 0

def activate(images):
    summed = images @ weights[0] + weights[2]
    return np.maximum(summed, 0) if is_relu else np.tanh(summed)

with exptrack.start_run(config) as run:
    for epoch in range(config.get("epochs")):
        for begin in range(0, 1300, config.get("optim.batch")):
            some = slice(begin, min(begin + config.get("optim.batch"), 1300))
            inner = activate(images[some])
            scores = np.exp(inner @ weights[1] + weights[3])
            error = (scores / scores.sum(1, keepdims=True) - labels[some]) / len(inner)
            below = error @ weights[1].T * ((inner > 0) if is_relu else 1 - inner**2)
            steps += 1
            slopes = [images[some].T @ below, inner.T @ error, below.sum(0), error.sum(0)]
            for place, slope in enumerate(slopes):
                means[place] += 0.1 * (slope - means[place])
                squares[place] += 0.001 * (slope**2 - squares[place])
                size = np.sqrt(squares[place] / (1 - 0.999**steps)) + 1e-8
                weights[place] -= config.get("optim.lr") * means[place] / (1 - 0.9**steps) / size
        found = np.argmax(activate(images[1300:]) @ weights[1] + weights[3], axis=1)
        run.log({"val_accuracy": float(np.mean(found == np.argmax(labels[1300:], axis=1)))}, epoch)
        print("epoch", epoch)
        if trial.should_prune():
            trial.prune()
"""


def test_a_real_search_prunes_finds_a_good_model_and_keeps_every_trial_as_a_run(lab: Lab) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    numpy.savez(lab.folder / "digits.npz", data=digits.data, target=digits.target)
    (lab.folder / "digits.sdn").write_text(DIGITS)
    (lab.folder / "train_digits.py").write_text(DIGITS_TRAIN)
    runner = lab.start("run", "digits.sdn", "--jobs", "2", "--", PYTHON, "train_digits.py")
    out, errors = runner.communicate()
    assert (runner.returncode, errors) == (0, "")
    with Archive(lab.db) as archive:
        assert archive.verify().problems == ()
        (study,) = archive.studies()
        trials = archive.trials("digits")
        assert study.best_value is not None
        assert study.best_value > 0.9
        assert study.counts[TrialState.PRUNED] >= 1
        assert study.counts[TrialState.COMPLETE] + study.counts[TrialState.PRUNED] == len(trials) == 7
        runs = archive.runs().where("group = digits").list()
        assert {run.run_id for run in runs} == {trial.run_id for trial in trials}
        assert {run.status for run in runs} == {RunStatus.COMPLETED}
        for trial in trials:
            record = archive.get_run(trial.run_id)
            assert {key: record.config[key] for key in trial.params} == trial.params
            assert record.config["epochs"] == 6
            points = record.get_metric("val_accuracy")
            assert {point.step: point.value for point in points} == trial.reports
            assert (len(points) < 6) <= (trial.state == TrialState.PRUNED)
            assert record.artifacts.get_blob("output.txt") == "".join(f"epoch {p.step}\n" for p in points)
    lines = out.splitlines()
    assert len(lines) == 9
    assert lines[0] == (
        "digits: sampler random, seed 4; pruner median, n_startup_trials 2 (for scripts that ask it); 7 trials,"
        " 5 min 00 s a session; 2 at a time"
    )
    assert sorted(line.split()[0] for line in lines[1:8]) == [f"#{number}" for number in range(7)]
    assert lines[8].startswith(f"digits: {study.counts[TrialState.COMPLETE]} complete, ")
    assert lines[8].endswith(f"; best {study.best_value:.5g} (#{study.best_number})")


@pytest.mark.parametrize(("example", "study", "trials"), [("digits", "digits", 24), ("grid", "svm", 36)])
def test_an_example_runs_as_it_says(
    example: str, study: str, trials: int, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = EXAMPLES / example
    assert "exptrack sweep run sweep.sdn" in (folder / "sweep.sdn").read_text()
    plan = load_sweep(folder / "sweep.sdn")
    assert plan.max_trials == trials or math.prod(one.count or 0 for one in plan.space.values()) == trials
    monkeypatch.chdir(folder)
    result = lab.call("run", "sweep.sdn", "--trials", "1", "--", PYTHON, "train.py")
    assert (result.exit_code, result.stderr) == (0, "")
    (trial,) = lab.trials(study)
    assert trial.state == TrialState.COMPLETE
    with Archive(lab.db) as archive:
        config = archive.get_run(trial.run_id).config
        assert {key: config[key] for key in trial.params} == trial.params


def test_a_line_a_trial_tells_people_how_it_goes(lab: Lab) -> None:
    (lab.folder / "tuning.sdn").write_text(SWEEP.replace("max_trials: 2", "max_trials: 1"))
    first = lab.call("run", "tuning.sdn", "--jobs", "2", "--", PYTHON, "train.py")
    (trial,) = lab.trials()
    lr = f"{trial.params['lr']:.5g}"
    plan = "tuning: sampler random, seed 1; pruner median (for scripts that ask it)"
    assert first.stdout.splitlines() == [
        f"{plan}; 1 trial; 2 at a time",
        f"#0   complete  {lr.rjust(10)}  best {lr} (#0)".ljust(51) + f"lr={lr}",
        f"tuning: 1 complete; best {lr} (#0)",
    ]
    again = lab.call("run", "tuning.sdn", "--", PYTHON, "train.py")
    assert again.stdout == (
        f"{plan}; 1 trial\ntuning has all its trials already; --trials N allows more; best {lr} (#0)\n"
    )
    code = "import sys; print('some words'); sys.exit('no licence')"
    words = ("--trials", "2", "--jobs", "2", "--yes")
    failed = lab.call("run", "tuning.sdn", *words, "--", PYTHON, "-c", code)
    assert failed.exit_code == 1
    lines = failed.stdout.splitlines()[1:]
    assert lines[0].startswith("#1   failed             –  best")
    assert lines[1] == "     exit code 1: no licence"
    assert sorted(lines[2:4]) == ["     | no licence", "     | some words"]
    assert lines[4] == f"tuning: 1 failed; best {lr} (#0)"


def test_what_one_command_at_a_time_writes_is_passed_on(lab: Lab) -> None:
    result = lab.call("run", "tuning.sdn", "--", PYTHON, "train.py")
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        "tuning:",
        "training",
        "#0",
        "training",
        "#1",
        "tuning:",
    ]
    code = "import sys; sys.exit('no licence')"
    failed = lab.call("run", "tuning.sdn", "--name", "other", "--trials", "1", "--", PYTHON, "-c", code)
    assert failed.stderr == "no licence\n"
    assert "|" not in failed.stdout


def test_json_is_a_line_a_trial_and_one_about_all(lab: Lab) -> None:
    result = lab.call("run", "tuning.sdn", "--json", "--name", "named", "--", PYTHON, "train.py")
    *lines, last = map(json.loads, result.stdout.splitlines())
    trials = lab.trials("named")
    best = max(trials, key=lambda trial: trial.values)
    assert [
        (line["number"], line["state"], line["value"], line["params"], line["run_id"]) for line in lines
    ] == [(trial.number, "complete", trial.values[0], trial.params, trial.run_id) for trial in trials]
    assert last == {
        "study": "named",
        "counts": {"complete": 2, "pruned": 0, "fail": 0},
        "ended": "done",
        "best_number": best.number,
        "best_value": best.values[0],
        "reason": None,
        "tail": [],
    }
    assert json.loads(lab.call("stop", "named", "--json").stdout) == {
        "study": "named",
        "now": False,
        "running": 0,
    }


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("run", "bad.sdn", "--", PYTHON), 58, "bad.sdn, line 2, column 18: low 2 is above high 1"),
        (("run", "broken.sdn", "--", PYTHON), 53, "broken.sdn, line 1, column 8: '[' is not closed"),
        (("run", "none.sdn", "--", PYTHON), 35, "there is no sweep file none.sdn"),
        pytest.param(
            ("run", "tuning.sdn"), 2, "give the training command", id="words3-2-say which command trains"
        ),
        (("run", "tuning.sdn", "--", "no-such-program"), 50, "there is no program 'no-such-program' to run"),
        (("run", "tuning.sdn", "--time-limit", "soon", "--", PYTHON), 57, "a time limit is in seconds"),
        (("run", "tuning.sdn", "--name", "", "--", PYTHON), 57, "name is empty"),
        (("run", "tuning.sdn", "--jobs", "0", "--", PYTHON), 2, "Invalid value for '--jobs'"),
    ],
)
def test_a_mistake_is_a_sentence_and_leaves_no_study(
    words: list[str], code: int, message: str, lab: Lab
) -> None:
    (lab.folder / "bad.sdn").write_text(
        "objective: {metric: m, direction: minimize}\nspace: {a: {low: 2, high: 1}}\n"
    )
    (lab.folder / "broken.sdn").write_text("space: [\n")
    result = lab.call(*words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    if code in (53, 58):
        assert result.stderr.splitlines()[-1].strip() == "^"
    if lab.db.exists():
        with Archive(lab.db) as archive:
            assert archive.studies() == []


def test_another_sweep_of_the_same_name_is_refused_and_says_what_differs(lab: Lab) -> None:
    lab.call("run", "tuning.sdn", "--time-limit", "1e-9", "--", PYTHON, "train.py")
    (lab.folder / "tuning.sdn").write_text(
        SWEEP.replace("high: 1.0", "high: 2.0").replace("seed: 1", "seed: 2")
    )
    refused = lab.call("run", "tuning.sdn", "--", PYTHON, "train.py")
    assert refused.exit_code == 44
    assert "has another sampler and space (lr); choose another name (--name NAME)" in refused.stderr
    named = lab.call("run", "tuning.sdn", "--name", "two", "--trials", "1", "--", PYTHON, "train.py")
    assert (named.exit_code, len(lab.trials("two"))) == (0, 1)


def test_what_is_not_there_has_its_exit_code(lab: Lab) -> None:
    for words in (("resume", "x"), ("stop", "x")):
        assert lab.call(*words).exit_code == 11
        assert not lab.db.exists()
    lab.call("run", "tuning.sdn", "--time-limit", "1e-9", "--", PYTHON, "train.py")
    for words in (("resume", "tuninh"), ("stop", "tuninh")):
        result = lab.call(*words)
        assert result.exit_code == 37
        assert "did you mean 'tuning'?" in result.stderr


def test_the_first_line_says_what_samples_and_prunes(lab: Lab) -> None:
    (lab.folder / "grid.sdn").write_text(
        SWEEP.replace("{low: 0.1, high: 1.0}", "[0.1, 0.2]").replace("random", "grid")
    )
    first = lab.call("run", "grid.sdn", "--", PYTHON, "train.py").stdout.splitlines()[0]
    assert first == "grid: sampler grid, seed 1; no pruner; 2 trials"
    assert lab.call("resume", "grid", "--trials", "9").stdout.splitlines()[0] == first.replace("2 tr", "9 tr")


# Scripts that know nothing of sweeps


ARGPARSE = """\
import argparse
import exptrack

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--amp", action="store_true")
args = parser.parse_args()
with exptrack.start_run(args) as run:
    run.log({"loss": args.lr * args.batch_size})
"""
YAML = """\
objective: {metric: loss, direction: minimize}
space:
  lr: {low: 1e-3, high: 0.3, log: true}
  batch_size: [16, 32]
  amp: [true, false]
sampler: {name: random, seed: 5}
budget: {max_trials: 4}
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--args", "--{key}={value}", "--dashes", "--flags", "--", PYTHON, "script.py"],
        [
            *["--args", "--{key}={value}", "--flags", "--"],
            *[PYTHON, "script.py", "--batch-size", "{batch_size}", "{overrides}", "--lr={lr}"],
        ],
    ],
)
def test_an_argparse_script_is_swept_as_it_is(words: list[str], lab: Lab) -> None:
    (lab.folder / "script.py").write_text(ARGPARSE)
    (lab.folder / "search.yaml").write_text(YAML)
    result = lab.call("run", "search.yaml", *words)
    assert (result.exit_code, result.stderr) == (0, "")
    trials = lab.trials("search")
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    assert len({trial.params["amp"] for trial in trials}) == 2
    with Archive(lab.db) as archive:
        for trial in trials:
            assert archive.show_run(trial.run_id).config == trial.params
    # What is remembered is the whole of it.
    assert lab.call("resume", "search", "--trials", "5").exit_code == 0
    assert lab.trials("search")[-1].state == TrialState.COMPLETE


def test_a_script_that_takes_options_only_leads_to_those(lab: Lab) -> None:
    (lab.folder / "script.py").write_text(ARGPARSE)
    (lab.folder / "search.yaml").write_text(YAML)
    lines = lab.call("run", "search.yaml", "--", PYTHON, "script.py").stdout.splitlines()
    assert "script.py: error: unrecognized arguments: lr=" in lines[-3]
    assert lines[-2] == "If the script reads its options with argparse, add --args '--{key}={value}'."


def test_a_place_for_no_param_is_refused_before_there_is_a_study(lab: Lab) -> None:
    for place, words in (("--rate={lrr}", "did you mean {lr}?"), ("--x={rate}", "no parameter has this name")):
        result = lab.call("run", "tuning.sdn", "--", PYTHON, "train.py", place)
        assert (result.exit_code, result.stdout) == (50, "")
        assert words in result.stderr
    with Archive(lab.db) as archive:
        assert archive.studies() == []


# Commands that cannot work


@pytest.mark.parametrize("as_json", [False, True])
def test_a_sweep_whose_command_cannot_work_stops_and_shows_the_error(as_json: bool, lab: Lab) -> None:
    (lab.folder / "broken.py").write_text("import sys\nprint('loading')\nsys.exit('no data')\n")
    words = ["--trials", "9", *(["--json"] if as_json else [])]
    result = lab.call("run", "tuning.sdn", *words, "--", PYTHON, "broken.py")
    assert (result.exit_code, len(lab.trials())) == (1, 3)
    if as_json:
        last = json.loads(result.stdout.splitlines()[-1])
        assert (last["ended"], last["reason"]) == ("failing", "exit code 1: no data")
        assert sorted(last["tail"]) == ["loading", "no data"]
        return
    lines = result.stdout.splitlines()
    at = lines.index("tuning: 3 failed; stopped, because the first trials all failed in the same way")
    assert sorted(lines[at + 1 : -1]) == ["     | loading", "     | no data"]
    assert lines[-1] == "Once that is mended, `exptrack sweep resume tuning --retry-failed` repeats them."
    (lab.folder / "broken.py").write_text(TRAIN)
    again = lab.call("resume", "tuning", "--retry-failed", "--trials", "4")
    assert again.exit_code == 0, again.stderr
    trials = lab.trials()
    assert [trial.state for trial in trials[3:]] == [TrialState.COMPLETE] * 4
    assert [trial.params for trial in trials[3:6]] == [trial.params for trial in trials[:3]]


def test_a_sweep_may_go_on_although_its_first_trials_fail(lab: Lab) -> None:
    words = ["run", "tuning.sdn", "--trials", "4", "--keep-going", "--", PYTHON, "-c", "exit(1)"]
    assert (lab.call(*words).exit_code, len(lab.trials())) == (1, 4)


# A file or a command that has changed


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the answer `y` to each question, as on a terminal; return the questions."""
    questions: list[str] = []

    def confirm(question: str, **_options: Any) -> bool:
        questions.append(question)
        return True

    for name in ("main", "sweep"):
        monkeypatch.setattr(import_module(f"exptrack.cli.{name}"), "can_ask", lambda: True)
    monkeypatch.setattr("click.confirm", confirm)
    return questions


@pytest.mark.parametrize("asks", [False, True])
def test_a_changed_file_is_told_and_asked_about(asks: bool, lab: Lab, answers: list[str]) -> None:
    lab.call("run", "tuning.sdn", "--", PYTHON, "train.py")
    (lab.folder / "tuning.sdn").write_text(SWEEP.replace("high: 1.0", "high: 2.0").replace("als: 2", "als: 3"))
    words = [] if asks else ["--yes"]
    result = lab.call("run", "tuning.sdn", *words, "--", PYTHON, "train.py")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "sweep 'tuning' began with another space (lr)",
        "  lr: float from 0.1 to 1.0",
        "      now: float from 0.1 to 2.0",
    ]
    assert answers == ["Continue with the new one? Earlier trials stay."] * asks
    assert len(lab.trials()) == 3
    assert lab.call("run", "tuning.sdn", "--", PYTHON, "train.py").stderr == ""


def test_a_changed_command_is_told_and_asked_about(lab: Lab, answers: list[str]) -> None:
    lab.call("run", "tuning.sdn", "--", PYTHON, "train.py")
    for words in (["run", "tuning.sdn"], ["resume", "tuning"]):
        result = lab.call(*words, "--trials", "3", "--", PYTHON, "train.py", words[0])
        assert result.exit_code == 0
        assert result.stderr.splitlines()[0] == "sweep 'tuning' began with another command"
        assert result.stderr.splitlines()[2].endswith(f"train.py {words[0]}")
    assert (len(answers), len(lab.trials())) == (2, 3)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("words", [["run", "tuning.sdn"], ["resume", "tuning"]])
def test_a_mended_command_is_taken_if_no_trial_has_worked(words: list[str], as_json: bool, lab: Lab) -> None:
    options = ["--json"] if as_json else []
    lab.call("run", "tuning.sdn", "--", PYTHON, "-c", "exit(1)")
    assert [trial.state for trial in lab.trials()] == [TrialState.FAIL] * 2
    mended = lab.call(*words, "--trials", "3", *options, "--", PYTHON, "train.py")
    assert mended.stderr == "sweep 'tuning' takes the new command; no trial has worked with the earlier one\n"
    assert (mended.exit_code, lab.trials()[2].state) == (0, TrialState.COMPLETE)
    if as_json:
        assert [json.loads(line)["number"] for line in mended.stdout.splitlines()[:-1]] == [2]
    # Now there is a trial of the other command, so it asks; and here nobody answers.
    refused = lab.call(*words, "--trials", "4", *options, "--", PYTHON, "train.py", "--fast")
    assert (refused.exit_code, len(lab.trials())) == (44, 3)


def test_a_command_is_not_replaced_unasked_once_a_trial_was_pruned_or_runs(lab: Lab) -> None:
    prunes = "import exptrack; exptrack.start_run(); exptrack.current_trial().prune()"
    lab.call("run", "tuning.sdn", "--trials", "1", "--", PYTHON, "-c", prunes)
    assert [trial.state for trial in lab.trials()] == [TrialState.PRUNED]
    assert lab.call("run", "tuning.sdn", "--", PYTHON, "train.py").exit_code == 44
    (lab.folder / "waits.py").write_text(WAITS)
    runner = lab.start("run", "tuning.sdn", "--name", "live", "--trials", "1", "--", PYTHON, "waits.py")
    lab.wait_for("begun0", runner)
    try:
        refused = lab.call("run", "tuning.sdn", "--name", "live", "--", PYTHON, "train.py")
        assert (refused.exit_code, "takes the new" in refused.stderr) == (44, False)
    finally:
        (lab.folder / "go").touch()
        runner.communicate()
    assert [trial.state for trial in lab.trials("live")] == [TrialState.COMPLETE]


def test_a_changed_file_is_asked_about_even_if_no_trial_has_worked(lab: Lab) -> None:
    lab.call("run", "tuning.sdn", "--", PYTHON, "-c", "exit(1)")
    (lab.folder / "tuning.sdn").write_text(SWEEP.replace("high: 1.0", "high: 2.0"))
    assert lab.call("run", "tuning.sdn", "--", PYTHON, "train.py").exit_code == 44


def test_what_needs_another_name_is_not_asked_about(lab: Lab, answers: list[str]) -> None:
    lab.call("run", "tuning.sdn", "--time-limit", "1e-9", "--", PYTHON, "train.py")
    (lab.folder / "tuning.sdn").write_text(SWEEP.replace("maximize", "minimize"))
    refused = lab.call("run", "tuning.sdn", "--yes", "--", PYTHON, "train.py")
    assert (refused.exit_code, answers) == (44, [])
    assert "has another direction; choose another name (--name NAME) to begin a new sweep\n" in refused.stderr


# Studies that are deleted


def test_a_study_is_deleted_after_a_question_with_its_runs_if_asked(lab: Lab, answers: list[str]) -> None:
    for name in ("one", "two"):
        lab.call("run", "tuning.sdn", "--name", name, "--", PYTHON, "train.py")
    assert lab.call("rm", "one").stdout == "deleted study 'one' with 2 trials\n"
    assert answers == ["Delete study 'one' with 2 trials?"]
    assert len(lab.statuses()) == 4
    found = json.loads(lab.call("rm", "two", "--with-runs", "--yes", "--json").stdout)
    assert found == {"study": "two", "trials": 2, "runs": 2}
    assert len(answers) == 1
    assert len(lab.statuses()) == 2
    assert lab.call("ls", "--json").stdout == "[]\n"
    assert lab.call("rm", "two").exit_code == 37


def test_no_study_is_deleted_without_an_answer_or_while_it_is_searched(lab: Lab) -> None:
    runner = lab.start("run", "tuning.sdn", "--", PYTHON, "waits.py")
    lab.wait_for("begun0", runner)
    live = lab.call("rm", "tuning", "--with-runs", "--yes")
    assert live.exit_code == 40
    assert "1 trial of study 'tuning' may be running; stop the search first" in live.stderr
    (lab.folder / "go").touch()
    runner.communicate()
    refused = lab.call("rm", "tuning")
    assert refused.exit_code == 50
    assert "there is no terminal to ask for confirmation; give --yes" in refused.stderr
    assert len(lab.trials()) == 2


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_killed_runner_leaves_failed_trials_that_a_resumed_one_tries_again(lab: Lab) -> None:
    runner = lab.start("run", "tuning.sdn", "--jobs", "2", "--", PYTHON, "waits.py")
    children = [int(lab.wait_for(f"begun{number}", runner)) for number in range(2)]
    killed(runner)
    for child in children:
        os.kill(child, signal.SIGKILL)
    while any(trial.state == TrialState.RUNNING for trial in lab.trials()):
        with Archive(lab.db) as archive:
            archive.study("tuning").fail_dead_trials()
    left = lab.trials()
    assert [(trial.state, trial.reason) for trial in left] == [(TrialState.FAIL, "its process died")] * 2
    while RunStatus.RUNNING in lab.statuses():
        time.sleep(0.01)
    (lab.folder / "go").touch()
    result = lab.call("resume", "tuning", "--retry")
    assert result.exit_code == 0, result.stderr
    trials = lab.trials()
    assert [trial.state for trial in trials[2:]] == [TrialState.COMPLETE] * 2
    assert [trial.params for trial in trials[2:]] == [trial.params for trial in left]
    again = lab.call("resume", "tuning", "--retry")
    assert (again.exit_code, len(lab.trials())) == (0, 4)
    assert lab.statuses() == [RunStatus.INTERRUPTED] * 2 + [RunStatus.COMPLETED] * 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_end_the_commands_and_fail_their_trials(number: int, code: int, lab: Lab) -> None:
    runner = lab.start("run", "tuning.sdn", "--jobs", "2", "--", PYTHON, "waits.py")
    for trial in range(2):
        lab.wait_for(f"begun{trial}", runner)
    runner.send_signal(number)
    out, errors = runner.communicate()
    assert runner.returncode == code
    assert [line.split()[1] for line in out.splitlines() if line.startswith("#")] == ["failed", "failed"]
    assert "Traceback" not in errors
    if code == 130:
        assert errors == "interrupted; `exptrack sweep resume tuning --retry` continues it\n"
    assert [trial.reason for trial in lab.trials()] == ["interrupted"] * 2
    assert lab.statuses() == [RunStatus.INTERRUPTED] * 2
    (lab.folder / "go").touch()
    assert lab.call("resume", "tuning", "--retry").exit_code == 0
    assert [trial.state for trial in lab.trials()[2:]] == [TrialState.COMPLETE] * 2


def test_a_second_ctrl_c_kills(lab: Lab) -> None:
    runner = lab.start("run", "tuning.sdn", "--", PYTHON, "deaf.py")
    lab.wait_for("begun0", runner)
    runner.send_signal(signal.SIGINT)
    lab.wait_for("heard", runner)
    runner.send_signal(signal.SIGINT)
    runner.communicate()
    assert runner.returncode == 130
    assert [trial.reason for trial in lab.trials()] == ["interrupted"]
    assert lab.statuses() == [RunStatus.INTERRUPTED]


def test_a_killed_command_is_tried_again(lab: Lab) -> None:
    runner = lab.start("run", "tuning.sdn", "--trials", "1", "--", PYTHON, "waits.py")
    os.kill(int(lab.wait_for("begun0", runner)), signal.SIGKILL)
    lab.wait_for("begun1", runner)
    (lab.folder / "go").touch()
    out, errors = runner.communicate()
    assert (runner.returncode, errors) == (0, "")
    assert "     killed by SIGKILL; it will be repeated" in out.splitlines()
    first, second = lab.trials()
    assert (first.state, first.reason, second.state) == (
        TrialState.FAIL,
        "killed by SIGKILL",
        TrialState.COMPLETE,
    )
    assert first.params == second.params
    assert lab.statuses() == [RunStatus.INTERRUPTED, RunStatus.COMPLETED]


@pytest.mark.parametrize("now", [False, True])
def test_a_sweep_is_stopped_from_another_process(now: bool, lab: Lab) -> None:
    runner = lab.start("run", "tuning.sdn", "--jobs", "2", "--trials", "9", "--", PYTHON, "waits.py")
    for trial in range(2):
        lab.wait_for(f"begun{trial}", runner)
    stopped = lab.call("stop", "tuning", *(["--now"] if now else []))
    assert stopped.stdout == "asked to stop tuning: 2 trials running\n"
    if not now:
        (lab.folder / "go").touch()
    out, _errors = runner.communicate()
    trials = lab.trials()
    assert len(trials) == 2
    if now:
        assert [trial.reason for trial in trials] == ["stopped by 'exptrack sweep stop --now'"] * 2
        assert (runner.returncode, out.splitlines()[-1]) == (1, "tuning: 2 failed; stopped")
    else:
        assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
        assert runner.returncode == 0
        assert out.splitlines()[-1].startswith("tuning: 2 complete; stopped; best")


# Studies


def call_sweep(db: Path, *words: str) -> Result:
    return call(db, "sweep", *words)


def asked_sweep(db: Path, *words: str) -> Any:
    return asked(db, "sweep", *words)


@pytest.fixture
def studies_db(tmp_path: Path) -> Iterator[Path]:
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


def test_ls_lists_studies_the_newest_first(studies_db: Path) -> None:
    assert [study["name"] for study in asked_sweep(studies_db, "ls")] == ["empty", "two", "one"]
    lines = call_sweep(studies_db, "ls").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["study", "empty", "two", "one"]


def test_show_gives_programs_the_study_with_its_trials_and_the_best(studies_db: Path) -> None:
    found = asked_sweep(studies_db, "show", "one")
    assert (found["study"]["name"], len(found["trials"])) == ("one", 9)
    values = [trial["values"][0] for trial in found["trials"]]
    assert found["best"] == [values.index(min(values))] == [found["study"]["best_number"]]
    assert asked_sweep(studies_db, "show", "empty")["best"] == []
    assert len(asked_sweep(studies_db, "show", "two")["best"]) > 1


def test_show_prints_only_the_parts_asked_for(studies_db: Path) -> None:
    words = ["--trials", "--history", "--slice", "optim.lr", "--slice", "kind", "--importance"]
    text = call_sweep(studies_db, "show", "one", *words).stdout
    titles = ("loss over trials, minimized", "loss over optim.lr", "loss over kind", "importance of params")
    assert text.startswith("trial")
    assert [text.index(title) for title in titles] == sorted(text.index(title) for title in titles)
    assert "sampler" not in text
    whole = call_sweep(studies_db, "show", "one").stdout
    assert whole.startswith("study")
    assert "loss over optim.lr" not in whole
    found = asked_sweep(studies_db, "show", "one", *words)
    assert list(found) == ["trials", "history", "slices", "importance"]
    assert {row["param"] for row in found["slices"]} == {"optim.lr", "kind"}
    assert {row["param"] for row in asked_sweep(studies_db, "show", "one", "--slice", "kind")["slices"]} == {
        "kind"
    }


def test_csv_is_one_table(studies_db: Path) -> None:
    with Archive(studies_db) as archive:
        expected = archive.study_results("one").frame()
    rows = list(csv.DictReader(io.StringIO(call_sweep(studies_db, "show", "one", "--csv").stdout)))
    assert list(rows[0]) == expected.columns
    assert [float(row["params.optim.lr"]) for row in rows] == expected["params.optim.lr"]
    assert call_sweep(studies_db, "show", "empty", "--csv", "--history").stdout == (
        "number,state,value,best_value,feasible,started_at,ended_at\n"
    )
    assert call_sweep(studies_db, "show", "one", "--csv", "--history", "--trials").exit_code == 2
    assert call_sweep(studies_db, "show", "one", "--csv", "--json").exit_code == 2


def test_a_method_or_a_metric_asks_for_importance(studies_db: Path) -> None:
    assert "by mdi" in call_sweep(studies_db, "show", "one", "--method", "mdi").stdout
    assert "for b, by groups" in call_sweep(studies_db, "show", "two", "--metric", "b").stdout
    assert "for the Pareto front, by ped-anova" in call_sweep(studies_db, "show", "two", "--importance").stdout
    assert asked_sweep(studies_db, "show", "two", "--metric", "b")["importance"][0]["param"] == "y"


def test_what_is_not_there_ends_in_a_sentence(studies_db: Path) -> None:
    for words, code, sentence in (
        (["show", "on"], 37, "did you mean 'one'?"),
        (["show", "one", "--slice", "lr"], 50, "has no param 'lr'; it has kind, optim.lr"),
        (["show", "empty", "--importance"], 50, "need two completed trials"),
        (["show", "two", "--metric", "c"], 50, "metric is one of a, b"),
    ):
        result = call_sweep(studies_db, *words)
        assert (result.exit_code, result.stdout) == (code, "")
        assert sentence in result.stderr


def test_looking_needs_no_optuna(studies_db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert call_sweep(studies_db, "ls").exit_code == 0
    text = call_sweep(studies_db, "show", "one").stdout
    assert "loss over trials" in text
    assert "importance of params for loss, by groups" in text
    assert call_sweep(studies_db, "show", "one", "--method", "ped-anova").exit_code != 0


def test_a_shell_completes_the_names_of_studies(studies_db: Path) -> None:
    words = {
        "_EXPTRACK_COMPLETE": "bash_complete",
        "COMP_WORDS": f"exptrack --db {studies_db} sweep show t",
        "COMP_CWORD": "5",
    }
    assert CliRunner().invoke(main, [], prog_name="exptrack", env=words).stdout.split() == ["plain,two"]


def test_trials_of_another_machine_are_named_and_repeated_when_they_are_taken_over(tmp_path: Path) -> None:
    db = tmp_path / "lab.db"
    space = {"lr": Dimension("float", 0.0, 1.0)}
    plan = SweepPlan("far", "acc", "maximize", space, sampler=Sampler.random(seed=1), max_trials=2)
    code = "import exptrack\nwith exptrack.start_run() as run: run.log({'acc': 1.0})"
    with Archive(db) as archive:
        archive.run_sweep(replace(plan, max_trials=1), [sys.executable, "-c", code])
        archive.study("far")._core.remember(max_trials=2)
    with begin_trial(db, "far", MACHINE):
        pass
    advice = "exptrack sweep resume far --retry --take-over"
    assert advice in call(db, "sweep", "show", "far").stderr
    assert call(db, "sweep", "resume", "far", "--retry").exit_code == 0
    with Archive(db) as archive:
        assert [str(trial.state) for trial in archive.trials("far")] == ["complete", "running"]
    assert call(db, "sweep", "resume", "far", "--retry", "--take-over").exit_code == 0
    with Archive(db) as archive:
        assert [str(trial.state) for trial in archive.trials("far")] == ["complete", "fail", "complete"]
    assert call(db, "sweep", "show", "far").stderr == ""
