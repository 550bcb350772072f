"""Work trees: git and dulwich see the same changes, without hanging and without side effects."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from exptrack.capture import code as capture
from exptrack.capture import git as capture_git
from exptrack.capture.code import capture_code
from tests.capture.repositories import (
    Change,
    add_new,
    by_both,
    change_nothing,
    delete,
    detach,
    file_to_fifo,
    file_to_link,
    git,
    git_head,
    intend_to_add,
    link_elsewhere,
    make_executable,
    modify,
    stage,
)


def touch(folder: Path) -> None:
    os.utime(folder / "train.py", (1, 1))
    os.utime(folder / "link", (1, 1), follow_symlinks=False)


def modify_alike(folder: Path) -> None:
    """The same size and the same time of modification."""
    seen = (folder / "train.py").stat()
    (folder / "train.py").write_text("# TRAIN.py\n")
    os.utime(folder / "train.py", ns=(seen.st_atime_ns, seen.st_mtime_ns))


def stage_and_take_back(folder: Path) -> None:
    before = (folder / "train.py").read_bytes()
    stage(folder)
    (folder / "train.py").write_bytes(before)


def delete_from_index(folder: Path) -> None:
    git(folder, "rm", "--cached", "train.py")


def rename(folder: Path) -> None:
    git(folder, "mv", "train.py", "sub/train.py")


def leave_untracked(folder: Path) -> None:
    (folder / "results.db").write_text("x")


def make_executable_where_that_means_nothing(folder: Path) -> None:
    git(folder, "config", "core.fileMode", "false")
    make_executable(folder)


def stage_executable(folder: Path) -> None:
    git(folder, "update-index", "--chmod=+x", "train.py")


def link_to_file(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").write_text("train.py")


def file_to_folder(folder: Path) -> None:
    (folder / "train.py").unlink()
    (folder / "train.py").mkdir()
    (folder / "train.py" / "x").write_text("x")


def folder_to_file(folder: Path) -> None:
    shutil.rmtree(folder / "sub")
    (folder / "sub").write_text("x")


def folder_to_link(folder: Path) -> None:
    (folder / "sub").rename(folder / "moved")
    (folder / "sub").symlink_to("moved")


def assume_unchanged(folder: Path) -> None:
    git(folder, "update-index", "--assume-unchanged", "train.py")
    modify(folder)


def skip_worktree(folder: Path) -> None:
    git(folder, "update-index", "--skip-worktree", "train.py", "link")
    modify(folder)
    (folder / "link").unlink()


def stage_and_assume_unchanged(folder: Path) -> None:
    stage(folder)
    git(folder, "update-index", "--assume-unchanged", "train.py")
    (folder / "train.py").write_text("and again")


def sparse_checkout(folder: Path) -> None:
    git(folder, "sparse-checkout", "set", "--no-cone", "/*", "!/sub/")
    assert not (folder / "sub").exists()


def conflict(folder: Path) -> None:
    git(folder, "checkout", "-b", "other")
    (folder / "train.py").write_text("theirs\n")
    git(folder, "commit", "-am", "theirs")
    git(folder, "checkout", "main")
    (folder / "train.py").write_text("ours\n")
    git(folder, "commit", "-am", "ours")
    with pytest.raises(subprocess.CalledProcessError):
        git(folder, "merge", "other")


def line_ends(
    setting: str, attributes: str = "", name: str = "train.py", content: bytes | None = None, wild: bool = False
) -> Change:
    """A file checked out under a setting, then touched, or written with other line ends of the same size."""

    def change(folder: Path) -> None:
        if attributes:
            (folder / ".gitattributes").write_text(attributes)
            git(folder, "add", ".gitattributes")
            git(folder, "commit", "-m", "attributes")
        git(folder, "config", "core.autocrlf", setting)
        path = folder / name
        if wild:
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        else:
            path.unlink()
            git(folder, "checkout", "--", name)
        if content is not None:
            assert path.stat().st_size == len(content)
            path.write_bytes(content)
        os.utime(path, (2, 2))

    change.__name__ = f"{setting}_{attributes.strip()}_{name}_{content!r}_{wild}"
    return change


CHANGES: dict[Change, bool] = {
    change_nothing: False,
    touch: False,
    modify: True,
    modify_alike: True,
    stage: True,
    stage_and_take_back: True,
    delete: True,
    delete_from_index: True,
    rename: True,
    add_new: True,
    intend_to_add: True,
    leave_untracked: False,
    detach: False,
    make_executable: True,
    make_executable_where_that_means_nothing: False,
    stage_executable: True,
    file_to_link: True,
    link_to_file: True,
    link_elsewhere: True,
    file_to_folder: True,
    folder_to_file: True,
    folder_to_link: True,
    file_to_fifo: True,
    assume_unchanged: False,
    skip_worktree: False,
    stage_and_assume_unchanged: True,
    sparse_checkout: False,
    conflict: True,
    line_ends("false"): False,
    line_ends("false", wild=True): True,
    line_ends("true", wild=True): True,  # git looks at the size first
    line_ends("true"): False,
    line_ends("input"): False,
    line_ends("true", content=b"# TRAIN.py\r\n"): True,
    line_ends("true", content=b"# train.p\r\r\n"): True,
    line_ends("true", content=b"# train.p\0\r\n"): True,
    line_ends("false", "*.py text\n"): False,
    line_ends("false", "*.py text eol=crlf\n"): False,
    line_ends("false", "*.py text=auto eol=crlf\n"): False,
    line_ends("false", "*.py eol=crlf\n"): False,
    line_ends("true", "*.py -text\n"): False,
    line_ends("true", "*.py binary\n"): False,
    line_ends("true", "*.py crlf\n"): False,
    line_ends("true", name="win.txt"): False,
    line_ends("input", name="win.txt"): False,
    line_ends("false", "*.txt text\n", name="win.txt"): True,
    line_ends("true", "*.txt text\n", name="win.txt"): True,
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_both_routes_see_the_same_code(repository: Path, change: Change) -> None:
    change(repository)
    code = by_both(repository)
    assert code.problem is None
    assert code.dirty is CHANGES[change]
    assert code.commit == git(repository, "rev-parse", "HEAD")
    assert code.branch == (None if change is detach else "main")
    assert code.remote == "https://***@example.org/lab.git"


def test_a_repository_without_commits_and_none_at_all_are_fine(tmp_path: Path) -> None:
    assert by_both(tmp_path)[:4] == (None, None, None, None)
    git(tmp_path, "init")
    (tmp_path / "a.py").write_text("x")
    git(tmp_path, "add", ".")
    code = by_both(tmp_path)
    assert (code.commit, code.dirty, code.branch, code.problem) == (None, True, "main", None)


def test_a_worktree_is_a_repository(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-b", "side", str(tmp_path / "side"))
    code = by_both(tmp_path / "side")
    assert (code.branch, code.remote, code.dirty) == ("side", "https://***@example.org/lab.git", False)
    modify(tmp_path / "side")
    assert by_both(tmp_path / "side").dirty is True
    assert by_both(repository).dirty is False


def commit_in_submodule(module: Path) -> None:
    (module / "inner.py").write_text("newer")
    git(module, "commit", "-am", "newer")


def modify_submodule(module: Path) -> None:
    (module / "inner.py").write_text("changed")


def litter_submodule(module: Path) -> None:
    (module / "untracked").write_text("x")


def remove_submodule(module: Path) -> None:
    shutil.rmtree(module)


def empty_submodule(module: Path) -> None:
    remove_submodule(module)
    module.mkdir()


def submodule_to_file(module: Path) -> None:
    remove_submodule(module)
    module.write_text("x")


@pytest.mark.parametrize(
    ("change", "dirty"),
    [
        (change_nothing, False),
        (commit_in_submodule, True),
        (modify_submodule, True),
        (litter_submodule, False),
        (remove_submodule, True),
        (empty_submodule, False),
        (submodule_to_file, True),
    ],
)
def test_a_submodule_counts_by_its_tracked_files(
    repository: Path, tmp_path: Path, change: Change, dirty: bool
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init")
    (inner / "inner.py").write_text("x")
    git(inner, "add", ".")
    git(inner, "commit", "-m", "inner")
    git(repository, "submodule", "add", str(inner), "mod")
    git(repository, "commit", "-m", "with a module")
    clean = by_both(repository)
    assert clean.dirty is False
    change(repository / "mod")
    code = by_both(repository)
    assert (code.problem, code.dirty) == (None, dirty)
    assert (code.digest != clean.digest) is dirty
    if change is modify_submodule:
        (repository / "mod" / "inner.py").write_text("changed otherwise")
        assert by_both(repository).digest != code.digest


def break_head(folder: Path) -> None:
    (folder / ".git" / "HEAD").write_text("nonsense")


def break_index(folder: Path) -> None:
    (folder / ".git" / "index").write_bytes(b"DIRC nonsense")


def lose_objects(folder: Path) -> None:
    shutil.rmtree(folder / ".git" / "objects")


def make_bare(folder: Path) -> None:
    git(folder, "config", "core.bare", "true")


def lose_repository(folder: Path) -> None:
    shutil.rmtree(folder / ".git")
    (folder / ".git").write_text(f"gitdir: {folder}/nowhere/private\n")


def make_index_a_fifo(folder: Path) -> None:
    (folder / ".git" / "index").unlink()
    (folder / ".git" / "index").mkdir()


@pytest.mark.parametrize(
    ("change", "knows_commit"),
    [
        (break_head, False),
        (break_index, True),
        (lose_objects, False),
        (make_bare, True),
        (lose_repository, False),
        (make_index_a_fifo, True),
    ],
)
def test_a_broken_repository_stops_nothing(repository: Path, change: Change, knows_commit: bool) -> None:
    """What can still be read is recorded; the problem names no folder of this machine."""
    change(repository)
    code = by_both(repository)
    assert code.dirty is None
    assert bool(code.commit) is knows_commit
    assert code.problem
    assert str(repository.parent) not in code.problem


def test_a_repository_above_a_folder_called_git_is_not_mistaken_for_it(repository: Path) -> None:
    """An empty .git is none; a broken one does not make the files those of the repository around it."""
    inner = repository / "sub" / "deep"
    (inner / ".git").mkdir(parents=True)
    modify(repository)
    assert by_both(inner) == by_both(repository)
    (inner / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    assert by_both(inner).dirty is None


# Time, locks and side effects


def fake_git(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


def test_a_git_that_hangs_is_ended_with_all_it_started(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child of git that keeps the pipe open must not keep us, nor stay behind."""
    fake_git(tmp_path, monkeypatch, f"sleep 1000 & echo $! > {tmp_path}/child; sleep 1000")
    monkeypatch.setattr(capture, "GIT_TIMEOUT_S", 0.5)
    begin = time.monotonic()
    code = capture_code(repository)
    assert time.monotonic() - begin < 100
    assert code.problem is not None
    assert "too long" in code.problem
    assert (code.commit, code.dirty, code.branch) == (git_head(repository), None, "main")
    child = int((tmp_path / "child").read_text())
    while (
        Path(f"/proc/{child}/stat").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]
    ):
        time.sleep(0.01)


def test_a_comparison_by_dulwich_ends_in_time(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(capture, "GIT_TIMEOUT_S", 0.0)
    code = capture_code(repository)
    assert (code.commit, code.dirty) == (git_head(repository), None)
    assert code.problem is not None
    assert "too long" in code.problem


def test_git_neither_asks_nor_locks_nor_runs_what_the_repository_says(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "diff.external", "core.pager", "core.askPass", "core.sshCommand"):
        git(repository, "config", name, str(trap))
    git(repository, "config", "core.untrackedCache", "true")
    for hook in ("post-index-change", "fsmonitor-watchman"):
        shutil.copy(trap, repository / ".git" / "hooks" / hook)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(trap))
    index = (repository / ".git" / "index").stat().st_ino
    os.utime(repository / "train.py", (3, 3))
    assert capture_code(repository).dirty is False
    assert (repository / ".git" / "index").stat().st_ino == index
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code", "trap"]
    environment = capture_git.git_environment(str(repository))
    assert environment["GIT_TERMINAL_PROMPT"] == environment["GIT_OPTIONAL_LOCKS"] == "0"
    assert "GIT_DIR" not in environment


def test_a_locked_index_is_read_all_the_same(repository: Path) -> None:
    (repository / ".git" / "index.lock").touch()
    modify(repository)
    assert by_both(repository).dirty is True
