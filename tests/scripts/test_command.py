"""What is to run is read as a shell and Python read it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from exptrack import InvalidValueError
from exptrack.scripts.command import Target, read_target
from exptrack.scripts.ranks import find_rank

PYTHON = sys.executable


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a script."""
    (tmp_path / "train.py").write_text("")
    (tmp_path / "plain").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["train.py", "-m", "x"], Target("script", ["train.py", "-m", "x"], [])),
        (["-m", "pkg.mod", "--lr"], Target("module", ["pkg.mod", "--lr"], [])),
        ([PYTHON, "train.py", "a"], Target("script", ["train.py", "a"], [])),
        ([PYTHON, "plain"], Target("script", ["plain"], [])),
        ([PYTHON, "-u", "-W", "error", "-X", "dev", "train.py"], None),
        ([PYTHON, "-m", "pkg"], Target("module", ["pkg"], [])),
        ([PYTHON, "-c", "pass"], Target("command", [PYTHON, "-c", "pass"], [])),
        ([PYTHON, "-I", "train.py"], Target("command", [PYTHON, "-I", "train.py"], [])),
        ([PYTHON], Target("command", [PYTHON], [])),
    ],
)
def test_a_script_a_module_or_a_command(words: list[str], found: Target | None) -> None:
    expected = found or Target("script", ["train.py"], ["-u", "-W", "error", "-X", "dev"])
    assert read_target(words) == expected


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_another_python_is_a_command(folder: Path) -> None:
    other = folder / "bin" / "python3"
    other.parent.mkdir()
    other.symlink_to(os.path.realpath(PYTHON))
    assert read_target([str(other), "train.py"]).kind == "command"


def test_a_word_with_a_nul_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="NUL") as told:
        read_target(["train.py", "a\0b"])
    assert told.value.exit_code == 2
    assert InvalidValueError.exit_code != 2


def test_the_rank_is_that_of_the_launcher() -> None:
    assert find_rank({}) == 0
    assert find_rank({"RANK": "2", "SLURM_PROCID": "0"}) == 2
    assert find_rank({"SLURM_PROCID": "3"}) == 3
    assert find_rank({"RANK": "none", "PMI_RANK": "1"}) == 1
