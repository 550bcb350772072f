"""The command that writes the code of a run, and prints how to run it again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.calls import call

SCRIPT = "import exptrack\nwith exptrack.start_run() as run: pass\nprint(run.run_id)\n"


@pytest.fixture
def run_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run of a script outside of git."""
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "train.py").write_text(SCRIPT)
    env = {"EXPTRACK_KEEP_CODE": "yes", "EXPTRACK_DB": str(tmp_path / "lab.db"), "OMP_NUM_THREADS": "2"}
    words = [sys.executable, "a b/train.py", "--lr", "0.1", "--token", "hf_" + "a1" * 10, "two words"]
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True, env={**kept, **env})
    return done.stdout.strip()


def test_it_writes_the_code_and_prints_environment_and_command(tmp_path: Path, run_id: str) -> None:
    result = call(tmp_path / "lab.db", "reproduce", run_id, "again")
    assert result.exit_code == 1
    assert (tmp_path / "again" / "a b" / "train.py").read_text() == SCRIPT
    lines = result.stdout.splitlines()
    assert lines[0] == f"again holds 1 file of run {run_id}, from what the archive keeps"
    python = os.path.basename(sys.executable)
    assert lines[-2:] == [
        "cd again",
        f"OMP_NUM_THREADS=2 {python} 'a b/train.py' --lr 0.1 --token '***' 'two words'",
    ]
    assert "have the same versions here" in result.stdout
    assert result.stderr == (
        "exptrack: The command had secrets, which are not recorded: *** stands for each.\n"
    )


def test_the_folder_has_the_name_of_the_run_unless_it_is_given(tmp_path: Path, run_id: str) -> None:
    found = json.loads(call(tmp_path / "lab.db", "reproduce", run_id, "--json").stdout)
    assert found["folder"] == str(tmp_path / f"code-{run_id}")
    assert (tmp_path / f"code-{run_id}").is_dir()
    again = call(tmp_path / "lab.db", "reproduce", run_id)
    assert again.exit_code == 61
    assert "it exists" in again.stderr


def test_a_run_without_code_is_an_error(tmp_path: Path, lab: Path) -> None:
    run = json.loads(call(lab, "ls", "--json").stdout)[0]["run_id"]
    result = call(lab, "reproduce", run, "again")
    assert (result.exit_code, result.stdout) == (30, "")
    assert "is not here" in result.stderr
    assert not (tmp_path / "again").exists()
