"""The machine and the command line, without secrets, folders and users."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from exptrack.capture import environment
from exptrack.capture.environment import capture_environment
from exptrack.process import node_name


@pytest.mark.parametrize(
    ("argv", "kept"),
    [
        (["train.py", "--token", "s3cret", "--lr", "0.1"], ["train.py", "--token", "***", "--lr", "0.1"]),
        (["{cwd}/sub/train.py"], ["sub/train.py"]),
        (["/somewhere/else/train.py"], ["train.py"]),
        (["t", "--data=/home/alice/x.npz", "{cwd}/y.npz"], ["t", "--data=…/x.npz", "y.npz"]),
        (["t", "\udcff"], ["t", "\\udcff"]),
        (["-c"], ["-c"]),
        ([], []),
    ],
)
def test_the_command_names_no_secret_and_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str], kept: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [word.replace("{cwd}", str(tmp_path)) for word in argv])
    assert capture_environment().command == kept


def test_the_environment_names_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("SLURM_JOB_ID", "https://me:s3cret@host/")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    environment = capture_environment()
    assert environment.variables["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert "s3cret" not in repr(environment)
    assert environment.system["cpu_count"]
    assert environment.host == node_name()


def test_without_uname_the_platform_module_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    before = capture_environment().system
    monkeypatch.delattr(os, "uname", raising=False)
    environment._system.cache_clear()
    after = capture_environment()
    assert {key: after.system[key] for key in ("os", "machine", "release")} == {
        key: before[key] for key in ("os", "machine", "release")
    }


def test_what_a_caller_does_to_its_environment_stays_with_it() -> None:
    mine = capture_environment()
    mine.system["cpu_count"] = -1
    mine.command.append("x")
    assert capture_environment().system["cpu_count"] != -1
    assert capture_environment().command == mine.command[:-1]
