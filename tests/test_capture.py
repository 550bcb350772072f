"""What is captured: code by either route, commands without secrets, processes by more than a pid."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import capture
from exptrack.capture import capture_code, capture_environment, current_process, is_alive
from exptrack.redaction import redact_command


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init")
    for name in ("train.py", "sub/model.py", "ü name.txt"):
        (folder / name).write_text(f"# {name}\n", encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    git(folder, "remote", "add", "origin", "https://me:secret@example.org/lab.git")
    return folder


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


def leave_untracked(folder: Path) -> None:
    (folder / "results.db").write_text("x")


def detach(folder: Path) -> None:
    git(folder, "checkout", "--detach")


CHANGES = {
    change_nothing: False,
    modify: True,
    stage: True,
    delete: True,
    add_new: True,
    leave_untracked: False,
    detach: False,
}


@pytest.mark.parametrize("change", CHANGES)
def test_both_routes_see_the_same_code(
    repository: Path, monkeypatch: pytest.MonkeyPatch, change: object
) -> None:
    change(repository)  # type: ignore[operator]
    by_git = capture_code(repository / "sub")
    monkeypatch.setenv("PATH", "")
    by_dulwich = capture_code(repository / "sub")
    assert by_git.problem is None
    assert by_dulwich == by_git
    assert by_git.dirty is CHANGES[change]  # type: ignore[index]
    assert by_git.commit is not None
    assert len(by_git.commit) == 40
    assert by_git.branch == (None if change is detach else "main")
    assert by_git.remote == "https://***@example.org/lab.git"


def test_different_changes_have_different_digests(repository: Path) -> None:
    digests = [capture_code(repository).digest]
    for text in ("one", "two"):
        (repository / "train.py").write_text(text)
        digests.append(capture_code(repository).digest)
    assert len(set(digests)) == 3


def test_a_repository_without_commits_and_none_at_all_are_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert capture_code(tmp_path)[:4] == (None, None, None, None)
    git(tmp_path, "init")
    (tmp_path / "a.py").write_text("x")
    git(tmp_path, "add", ".")
    by_git = capture_code(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert capture_code(tmp_path) == by_git
    assert (by_git.commit, by_git.dirty, by_git.problem) == (None, True, None)


def test_a_worktree_is_a_repository(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(repository, "worktree", "add", "-b", "side", str(tmp_path / "side"))
    by_git = capture_code(tmp_path / "side")
    monkeypatch.setenv("PATH", "")
    assert capture_code(tmp_path / "side") == by_git
    assert (by_git.branch, by_git.remote) == ("side", "https://***@example.org/lab.git")


def test_a_broken_repository_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("nonsense")
    code = capture_code(tmp_path)
    assert (code.commit, code.dirty) == (None, None)
    assert code.problem


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["train.py", "--token", "s3cret", "--lr", "0.1"], ["train.py", "--token", "***", "--lr", "0.1"]),
        (["train.py", "--api-key=s3cret"], ["train.py", "--api-key=***"]),
        (
            ["train.py", "db.password=s3cret", "max_tokens=512"],
            ["train.py", "db.password=***", "max_tokens=512"],
        ),
        (["t", "WANDB_API_KEY=s3cret"], ["t", "WANDB_API_KEY=***"]),
        (["t", "--token-count", "5", "tokenizer=bpe"], ["t", "--token-count", "5", "tokenizer=bpe"]),
        (["t", "https://me:s3cret@h.org/x"], ["t", "https://***@h.org/x"]),
        (["t", "hf_abcdefghijklmnopqrstuvwx"], ["t", "***"]),
        (["t", "\udcff"], ["t", "\\udcff"]),
        (["/somewhere/else/train.py"], ["train.py"]),
    ],
)
def test_command_lines_lose_their_secrets_and_nothing_else(given: list[str], kept: list[str]) -> None:
    assert redact_command(given) == kept


def test_the_environment_names_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    environment = capture_environment()
    assert environment.variables["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert "s3cret" not in repr(environment)
    assert environment.system["cpu_count"]


def test_without_uname_the_platform_module_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    before = capture_environment().system
    monkeypatch.delattr(os, "uname", raising=False)
    after = capture_environment()
    assert {key: after.system[key] for key in ("os", "machine", "release")} == {
        key: before[key] for key in ("os", "machine", "release")
    }


@pytest.mark.parametrize("with_proc", [True, False])
def test_a_process_is_known_by_more_than_its_pid(monkeypatch: pytest.MonkeyPatch, with_proc: bool) -> None:
    """Also by the fallback, where there is no /proc."""
    if not with_proc:
        monkeypatch.setattr(capture, "_read", lambda path: None)
    monkeypatch.setattr(capture, "_current", None)
    me = current_process()
    assert is_alive(me) is True
    assert is_alive(me._replace(started="0")) is False
    assert is_alive(me._replace(boot_id="another")) is False
    assert is_alive(me._replace(host_id="another")) is None
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = me._replace(pid=child.pid, started=capture._started(child.pid) or "?")
    assert is_alive(identity) is True
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_alive(identity) is False, "a zombie is dead"
    child.communicate()
    assert is_alive(identity) is False
