"""Git repositories for tests, changes to them, and the answer that git and dulwich agree on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from exptrack.capture.code import CodeVersion, capture_code

Change = Callable[[Path], None]


def git(folder: Path, *words: str) -> str:
    settings = [
        "user.name=A",
        "user.email=a@example.org",
        "init.defaultBranch=main",
        "protocol.file.allow=always",
    ]
    options = [part for setting in settings for part in ("-c", setting)]
    done = subprocess.run(["git", *options, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def by_both(folder: Path) -> CodeVersion:
    """What git and dulwich agree on."""
    by_git = capture_code(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        by_dulwich = capture_code(folder)
    assert by_dulwich == by_git
    return by_git


def change_nothing(folder: Path) -> None:
    """A clean tree."""


def modify(folder: Path) -> None:
    (folder / "train.py").write_text("changed, and longer\n")


def stage(folder: Path) -> None:
    modify(folder)
    git(folder, "add", "train.py")


def delete(folder: Path) -> None:
    (folder / "sub/model.py").unlink()


def add_new(folder: Path) -> None:
    (folder / "new.py").write_text("new")
    git(folder, "add", "new.py")


def intend_to_add(folder: Path) -> None:
    (folder / "new.py").write_text("new")
    git(folder, "add", "-N", "new.py")


def detach(folder: Path) -> None:
    git(folder, "checkout", "--detach")


def make_executable(folder: Path) -> None:
    (folder / "train.py").chmod(0o755)


def file_to_link(folder: Path) -> None:
    (folder / "train.py").unlink()
    (folder / "train.py").symlink_to("sub/model.py")


def link_elsewhere(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("win.txt")


def file_to_fifo(folder: Path) -> None:
    (folder / "train.py").unlink()
    os.mkfifo(folder / "train.py")


def git_head(repository: Path) -> str:
    return (repository / ".git" / "refs" / "heads" / "main").read_text().strip()
