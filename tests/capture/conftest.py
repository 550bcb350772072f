"""A repository to change; no answer is remembered from one test to the next."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exptrack.capture import code as capture
from tests.capture.repositories import git


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered from one capture to the next, and no settings of this user's git count."""
    monkeypatch.setattr(capture, "CODE_FRESH_S", 0.0)
    monkeypatch.setattr(capture, "CODE_FRESHEST_S", 0.0)
    monkeypatch.setattr(capture, "_captured", {})
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init")
    for name in ("train.py", "sub/model.py", "ü name.txt"):
        (folder / name).write_text(f"# {name}\n", encoding="utf-8")
    (folder / "link").symlink_to("train.py")
    (folder / "win.txt").write_bytes(b"one\r\ntwo\r\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    git(folder, "remote", "add", "origin", "https://me:secret@example.org/lab.git")
    return folder
