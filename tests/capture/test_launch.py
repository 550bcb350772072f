"""How a process was started: the words before the arguments, and the folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack.capture.code import CapturedTree
from exptrack.capture.launch import capture_launch
from tests.capture.repositories import git

DEFINE = """
import json, sys
from exptrack.capture.code import capture_code, find_captured_tree
from exptrack.capture.launch import capture_launch
def tell():
    print(json.dumps(capture_launch(find_captured_tree(capture_code()))))
"""
TELL = f"{DEFINE}tell()\n"
PYTHON = os.path.basename(sys.executable)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "pkg").mkdir(parents=True)
    git(folder, "init")
    (folder / "train.py").write_text(TELL)
    (folder / "pkg" / "__init__.py").write_text("")
    (folder / "pkg" / "fit.py").write_text(TELL)
    (folder / "pkg" / "__main__.py").write_text(TELL)
    (folder / "deep").mkdir()
    return folder


def launch(folder: Path, *words: str) -> list[object]:
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    found: list[object] = json.loads(done.stdout)
    return found


def test_a_script_a_module_and_options_of_the_interpreter(project: Path) -> None:
    assert launch(project, "train.py", "--lr", "1") == [[PYTHON, "train.py"], ".", False, False]
    assert launch(project, "-X", "utf8", "-W", "ignore", "-m", "pkg.fit", "a") == [
        [PYTHON, "-X", "utf8", "-W", "ignore", "-m", "pkg.fit"], ".", False, False,
    ]  # fmt: skip
    assert launch(project, "-m", "pkg")[0] == [PYTHON, "-m", "pkg"]


def test_the_folder_is_relative_to_the_repository(project: Path, tmp_path: Path) -> None:
    assert launch(project / "deep", "../train.py")[:2] == [[PYTHON, "../train.py"], "deep"]
    absolute = str(project / "train.py")
    assert launch(project / "deep", absolute)[:2] == [[PYTHON, "../train.py"], "deep"]
    assert launch(tmp_path, absolute)[:2] == [[PYTHON, "train.py"], None], "from outside: as from the root"


def test_outside_of_git_the_folder_is_that_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "train.py").write_text(TELL)
    assert launch(tmp_path, "exp/train.py")[:2] == [[PYTHON, "exp/train.py"], "."]
    assert launch(tmp_path / "exp", "train.py")[:2] == [[PYTHON, "train.py"], "."]


def test_arguments_that_the_script_had_changed_make_the_words_whole(project: Path) -> None:
    (project / "train.py").write_text(f"{DEFINE}del sys.argv[1:]\ntell()\n")
    assert launch(project, "train.py", "--lr", "1") == [[PYTHON, "train.py", "--lr", "1"], ".", True, False]


def test_a_spawned_worker_tells_the_script(project: Path) -> None:
    (project / "train.py").write_text(
        f"{DEFINE}if __name__ == '__main__':\n"
        "    import multiprocessing\n"
        "    process = multiprocessing.get_context('spawn').Process(target=tell)\n"
        "    process.start(); process.join()\n"
    )
    assert launch(project, "train.py", "7")[0] == [PYTHON, "train.py"]


def test_a_command_of_a_package_needs_no_interpreter(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = os.path.join(sys.prefix, "bin", "fit")
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, command, "--lr", "1"])
    monkeypatch.setattr(sys, "argv", [command, "--lr", "1"])
    assert capture_launch(CapturedTree(None, command, None)).words == ["fit"]


def test_secrets_and_paths_of_the_machine_are_hidden(project: Path) -> None:
    (project / "train.py").write_text(f"{DEFINE}sys.argv.pop()\ntell()\n")
    token = "hf_" + "x1" * 12
    words = launch(project, "train.py", f"--token={token}", "--out", "/var/elsewhere/out.csv")[0]
    assert words == [PYTHON, "train.py", "--token=***", "--out", "…/out.csv"]


def test_a_command_that_runs_another_program_needs_no_interpreter(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = os.path.join(sys.prefix, "bin", "exptrack")
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, command, "run", "sh", "train.sh"])
    monkeypatch.setattr(sys, "argv", [command, "run", "sh", "train.sh"])
    script = str(project / "train.sh")
    assert capture_launch(CapturedTree(str(project), script, None)).words == ["exptrack"]
