"""The benchmarks run, say what they measured, and name their exact command. Speed is asserted nowhere."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import log_latency, peer_questions, peer_table, peers, processes, startup, sweeps, timing
from benchmarks.__main__ import benchmark_names

ROOT = Path(__file__).parent.parent
ROWS_OF_PEERS = [text.format(runs=12, megabytes=1) for text in peer_table.ROWS.values()]
CHEAP = ["downsampling", "file_size", "frames", "reading"]
SMALL = {
    "artifact_kills": ["--kills", "2"],
    "integrations": ["--repeat", "2"],
    "first_calls": ["--runs", "20", "--repeat", "1"],
    "kill_loss": ["--kills", "2"],
    "levels": ["--runs", "2", "--points", "2000", "--repeat", "1"],
    "log_latency": ["--calls", "200", "--laps", "3", "--turns", "20"],
    "make_archive": ["--runs", "40", "--bare"],
    "memory": ["--points", "20000"],
    "merge": ["--runs", "4", "--repeat", "1"],
    "questions": ["--runs", "60", "--repeat", "2"],
    "runs_in_a_row": ["--runs", "3", "--recorded", "20"],
    "throughput": ["--points", "2000", "--repeat", "1"],
    "verification": ["--runs", "2", "--metrics", "2", "--points", "20", "--long", "2000", "--repeat", "1"],
}


def test_all_of_them_run_from_one_command() -> None:
    only = [word for name in CHEAP for word in ("--only", name)]
    command = [sys.executable, "-m", "benchmarks", "--quick", *only]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = done.stdout.partition("# summary")[2].splitlines()
    assert [line.split(":")[0] for line in summary if " done in " in line] == CHEAP
    assert sum(line.startswith("    ") for line in summary) >= len(CHEAP)
    assert timing.HEADLINE not in "\n".join(summary)


def test_a_benchmark_that_fails_fails_the_command() -> None:
    code = (
        "import benchmarks.__main__ as all_of_them, sys;"
        "all_of_them.benchmark_names = lambda quick=False: ['absent']; sys.exit(all_of_them.main([]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "absent: failed with exit code 1" in done.stdout


def test_every_script_with_a_main_is_found_or_is_no_benchmark() -> None:
    assert {*CHEAP, "peers", "processes", "startup", "sweeps", *SMALL} <= set(benchmark_names())
    assert set(SMALL) <= set(benchmark_names(quick=True))
    assert not {"timing", "learning_curve"} & set(benchmark_names())
    assert set(benchmark_names(quick=True)) <= set(benchmark_names())


@pytest.mark.parametrize("name", benchmark_names())
def test_each_names_its_exact_command(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    assert f"python -m benchmarks.{name} " in module.__doc__
    assert callable(module.main)


def test_startup_measures_compiled_modules_and_leaves_none_in_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    # A checkout of its own: in the one at hand, other tests compile at the same time.
    checkout, kept = tmp_path / "checkout", tmp_path / "compiled"
    shutil.copytree(ROOT / "exptrack", checkout / "exptrack", ignore=shutil.ignore_patterns("__pycache__"))
    startup.milliseconds("import exptrack.config", str(checkout), startup.environment(str(kept)))
    compiled = [path.name for path in kept.rglob("exptrack/config/*.pyc")]
    assert any(name.startswith("exp_config.") for name in compiled)
    assert list(checkout.rglob("*.pyc")) == []


@pytest.mark.parametrize("name", SMALL)
def test_each_of_the_metric_path_says_what_it_measured(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module(f"benchmarks.{name}").main(SMALL[name])
    said = capsys.readouterr().out
    assert timing.HEADLINE in said
    if name == "kill_loss":
        assert "2 kills" in said
        assert "acknowledged points lost" in said


def test_slowdowns_are_ratios_within_a_lap_for_each_target() -> None:
    calls: list[str] = []

    class Target:
        def __init__(self, name: str) -> None:
            self.name = name

        def log_metric(self, _name: str, _value: float, _step: int) -> None:
            calls.append(self.name)

    ours, theirs = log_latency.slowdowns([Target("a"), Target("b")], laps=3, turns=2)
    assert len(ours) == len(theirs) == 3
    assert (calls.count("a"), calls.count("b")) == (30, 30)
    assert calls[:10] == ["a"] * 10
    assert calls[40:50] == ["b"] * 10  # the order rotates
    assert all(min(ratio) > 0 for ratio in (*ours, *theirs))


def test_processes_lose_nothing_and_meet_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    processes.main(["--processes", "2", "--points", "100"])
    said = capsys.readouterr().out
    assert "2 processes and a reader: 0 errors, 0 lost" in said
    assert "error:" not in said


def test_processes_share_a_study_without_an_error_and_lose_no_trial(capsys: pytest.CaptureFixture[str]) -> None:
    sweeps.main(["--processes", "2", "--trials", "6"])
    said = capsys.readouterr().out
    assert "=> 0 errors, 0 numbers given twice, 0 values lost" in said
    assert "error:" not in said
    assert "2 processes: " in said


def test_peers_that_are_absent_are_named_and_the_others_are_in_one_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.peers.importlib.util.find_spec", lambda _name: None)
    only = ["exptrack", "sqlite3, a commit a call", "Aim", "MLflow"]
    peers.main(["--points", "50", *(word for title in only for word in ("--only", title))])
    said = capsys.readouterr().out
    assert "not installed, left out: Aim, MLflow" in said
    assert "failed" not in said
    rows = [line for line in said.splitlines() if line.startswith(("exptrack", "sqlite3"))]
    assert [row.split("  ")[0].strip() for row in rows] == ["exptrack", "sqlite3, a commit a call"]
    assert all("50" in row for row in rows)


def test_what_others_cannot_be_asked_is_named_and_ours_is_answered(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.peer_questions.importlib.util.find_spec", lambda _name: None)
    peer_questions.main(["--runs", "40", "--repeat", "1"])
    said = capsys.readouterr().out
    assert "not installed, left out: Trackio" in said
    assert "not installed, left out: MLflow" in said
    expected = sum(
        made.config["optimizer"] == "adam" and made.curves[-1]["acc"] > peer_questions.BOUND
        for made in peer_questions.runs_to_make(40)
    )
    (row,) = [line for line in said.splitlines() if line.startswith("exptrack")]
    assert row.split()[-1] == str(expected) != "0"


def test_one_table_has_all_rows_and_names_the_trackers_that_are_absent(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    size = ["--points", "200", "--runs", "12", "--megabytes", "1", "--fresh", "1", "--begins", "2"]
    only = [word for title in ("exptrack", "sqlite3", "Aim") for word in ("--only", title)]
    peer_table.main(["--environments", str(tmp_path), *size, *only])
    said = capsys.readouterr().out
    assert "not installed, left out: Aim" in said
    assert "failed" not in said
    rows = [line for line in said.splitlines() if line.startswith(tuple(text[:20] for text in ROWS_OF_PEERS))]
    assert len(rows) == len(ROWS_OF_PEERS)
    assert not [row for row in rows if row.split()[-1] == "-"]


def test_a_tracker_that_fails_is_named_with_its_last_words(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_table.Place, "version", "1.0")
    size = ["--points", "10", "--runs", "12", "--megabytes", "1", "--fresh", "1", "--begins", "1"]
    peer_table.main([*size, "--only", "Sacred"])
    said = capsys.readouterr().out
    assert "failed: Sacred, log: ModuleNotFoundError: No module named 'sacred'" in said
    assert "failed: Sacred, processes: " in said


def test_quantiles_are_of_the_nearest_rank() -> None:
    values = list(range(1, 101))
    assert [timing.quantile(values, share) for share in (0.5, 0.9, 0.99, 1.0)] == [50, 90, 99, 100]
    assert timing.quantile([3.0], 0.5) == 3.0


def test_tasks_take_turns() -> None:
    calls: list[str] = []
    times = timing.in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert [len(values) for values in times.values()] == [2, 2]
