"""What is captured: code by either route, without hanging, without secrets, and cheap when repeated."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.capture import code, environment
from exptrack.capture import code as capture
from exptrack.capture import git as worktree
from exptrack.capture.code import CodeVersion, capture_code
from exptrack.capture.environment import capture_environment
from exptrack.process import node_name
from exptrack.tracking import lifecycle as run_module

Change = Callable[[Path], None]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered from one capture to the next, and no settings of this user's git count."""
    monkeypatch.setattr(capture, "CODE_FRESH_S", 0.0)
    monkeypatch.setattr(capture, "CODE_FRESHEST_S", 0.0)
    monkeypatch.setattr(capture, "_captured", {})
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


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


def touch(folder: Path) -> None:
    os.utime(folder / "train.py", (1, 1))
    os.utime(folder / "link", (1, 1), follow_symlinks=False)


def modify(folder: Path) -> None:
    (folder / "train.py").write_text("changed, and longer\n")


def modify_alike(folder: Path) -> None:
    """The same size and the same time of modification."""
    seen = (folder / "train.py").stat()
    (folder / "train.py").write_text("# TRAIN.py\n")
    os.utime(folder / "train.py", ns=(seen.st_atime_ns, seen.st_mtime_ns))


def stage(folder: Path) -> None:
    modify(folder)
    git(folder, "add", "train.py")


def stage_and_take_back(folder: Path) -> None:
    before = (folder / "train.py").read_bytes()
    stage(folder)
    (folder / "train.py").write_bytes(before)


def delete(folder: Path) -> None:
    (folder / "sub/model.py").unlink()


def delete_from_index(folder: Path) -> None:
    git(folder, "rm", "--cached", "train.py")


def rename(folder: Path) -> None:
    git(folder, "mv", "train.py", "sub/train.py")


def add_new(folder: Path) -> None:
    (folder / "new.py").write_text("new")
    git(folder, "add", "new.py")


def intend_to_add(folder: Path) -> None:
    (folder / "new.py").write_text("new")
    git(folder, "add", "-N", "new.py")


def leave_untracked(folder: Path) -> None:
    (folder / "results.db").write_text("x")


def detach(folder: Path) -> None:
    git(folder, "checkout", "--detach")


def make_executable(folder: Path) -> None:
    (folder / "train.py").chmod(0o755)


def make_executable_where_that_means_nothing(folder: Path) -> None:
    git(folder, "config", "core.fileMode", "false")
    make_executable(folder)


def stage_executable(folder: Path) -> None:
    git(folder, "update-index", "--chmod=+x", "train.py")


def file_to_link(folder: Path) -> None:
    (folder / "train.py").unlink()
    (folder / "train.py").symlink_to("sub/model.py")


def link_to_file(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").write_text("train.py")


def link_elsewhere(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("win.txt")


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


def file_to_fifo(folder: Path) -> None:
    (folder / "train.py").unlink()
    os.mkfifo(folder / "train.py")


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


DIFFERENT = [
    modify,
    delete,
    make_executable,
    file_to_link,
    link_elsewhere,
    file_to_fifo,
    add_new,
    intend_to_add,
]


def test_different_changes_have_different_digests(repository: Path, tmp_path: Path) -> None:
    digests = [by_both(repository).digest]
    for number, change in enumerate(DIFFERENT):
        copy = tmp_path / str(number)
        shutil.copytree(repository, copy, symlinks=True)
        change(copy)
        digests.append(by_both(copy).digest)
    for text in ("one", "two"):
        (repository / "train.py").write_text(text)
        digests.append(by_both(repository).digest)
    assert len(set(digests)) == len(digests) - 1, "only `add_new` and `intend_to_add` leave the same files"


def test_equal_code_elsewhere_has_the_same_digest(repository: Path, tmp_path: Path) -> None:
    modify(repository)
    shutil.copytree(repository, tmp_path / "copy", symlinks=True)
    assert by_both(tmp_path / "copy").digest == by_both(repository).digest


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


# Hanging


def test_a_fifo_or_device_as_script_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (str(tmp_path / "fifo"), "/dev/zero", "/dev/stdin", str(tmp_path)):
        monkeypatch.setattr(capture, "find_main_script", lambda path=path: path)
        assert capture_code(tmp_path).digest == ""


def test_a_huge_file_counts_by_its_ends_size_and_time(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exabyte would take years: the file is sparse, so it costs nothing here."""
    path = repository / "train.py"
    with path.open("r+b") as file:
        file.truncate(1 << 42)
    os.utime(path, (1, 1))
    digests = {capture_code(repository).digest}
    os.utime(path, (2, 2))
    digests.add(capture_code(repository).digest)
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, (2, 2))
    digests.add(capture_code(repository).digest)
    assert len(digests) == 3


def test_many_large_files_share_one_budget(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "WHOLE_TREE_BYTES", 150_000)
    for name in ("train.py", "sub/model.py"):
        (repository / name).write_bytes(b"x" * 140_000)
    before = by_both(repository).digest
    read: list[int] = []
    real = code._digest_file
    monkeypatch.setattr(
        capture, "_digest_file", lambda path, budget: (read.append(budget), real(path, budget))[1]
    )
    assert by_both(repository).digest == before
    assert sorted(set(read))[0] == 10_000


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


def git_head(repository: Path) -> str:
    return (repository / ".git" / "refs" / "heads" / "main").read_text().strip()


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
    environment = worktree._git_environment(str(repository))
    assert environment["GIT_TERMINAL_PROMPT"] == environment["GIT_OPTIONAL_LOCKS"] == "0"
    assert "GIT_DIR" not in environment


def test_a_locked_index_is_read_all_the_same(repository: Path) -> None:
    (repository / ".git" / "index.lock").touch()
    modify(repository)
    assert by_both(repository).dirty is True


# Remotes


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://me:se/cr@et@example.org/lab.git", "https://***@example.org/lab.git"),
        ("me:secret@example.org:lab/code.git", "***@example.org:lab/code.git"),
        ("secret@example.org:lab/code.git", "***@example.org:lab/code.git"),
        ("git@github.com:lab/code.git", "git@github.com:lab/code.git"),
        ("ssh://git@github.com/lab/code.git", "ssh://git@github.com/lab/code.git"),
        ("/srv/alice/code.git", "code.git"),
        ("file:///srv/alice/code.git", "file://…/code.git"),
        ("../code.git", "../code.git"),
    ],
)
def test_remotes_lose_credentials_and_folders(repository: Path, url: str, kept: str) -> None:
    git(repository, "remote", "set-url", "origin", url)
    git(repository, "remote", "add", "other", "https://other.example.org/x.git")
    assert by_both(repository).remote == kept


def test_a_config_without_origin_has_no_remote(repository: Path) -> None:
    git(repository, "remote", "rename", "origin", "upstream")
    assert by_both(repository).remote is None
    (repository / ".git" / "config").unlink()
    os.mkfifo(repository / ".git" / "config")
    assert code._read_remote(str(repository)) is None


# The environment


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


# Repetition


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The roots that git was asked about, with answers that stay fresh for an hour."""
    calls: list[str] = []
    real = worktree._compare_by_git

    def counted(root: str, deadline: float) -> worktree.TreeState | None:
        calls.append(root)
        return real(root, deadline)

    monkeypatch.setattr(worktree, "_compare_by_git", counted)
    monkeypatch.setattr(capture, "CODE_FRESH_S", 3600.0)
    monkeypatch.setattr(capture, "CODE_FRESHEST_S", 3600.0)
    return calls


def test_repeated_captures_do_not_ask_again(repository: Path, asked: list[str]) -> None:
    first = capture_code(repository)
    assert all(capture_code(repository) is first for _ in range(100))
    assert len(asked) == 1


def commit_nothing(folder: Path) -> None:
    git(folder, "commit", "--allow-empty", "-m", "empty")


def switch(folder: Path) -> None:
    git(folder, "checkout", "-b", "other")


def modify_again(folder: Path) -> None:
    (folder / "sub/model.py").write_text("y")


def take_back(folder: Path) -> None:
    git(folder, "checkout", "sub/model.py")


@pytest.mark.parametrize("change", [commit_nothing, switch, stage, modify_again, take_back, detach])
def test_a_visible_change_is_noticed_at_once(repository: Path, asked: list[str], change: Change) -> None:
    (repository / "sub/model.py").write_text("x")
    first = capture_code(repository)
    change(repository)
    assert capture_code(repository) != first
    assert len(asked) == 2


def test_an_edited_script_is_noticed_at_once(
    repository: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "find_main_script", lambda: str(repository / "train.py"))
    first = capture_code()
    assert (first.script, first.dirty) == ("train.py", False)
    modify(repository)
    assert capture_code().dirty is True
    assert len(asked) == 2


def test_any_change_is_noticed_when_the_answer_is_no_longer_fresh(
    repository: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(capture, "CODE_FRESH_S", 2.0)
    assert capture_code(repository).dirty is False
    modify(repository)
    monkeypatch.setattr(time, "monotonic", lambda: now + 3600)
    assert capture_code(repository).dirty is True


def test_folders_and_scripts_are_remembered_apart(repository: Path, asked: list[str], tmp_path: Path) -> None:
    assert capture_code(repository).commit
    assert capture_code(tmp_path).commit is None
    for number in range(40):
        (tmp_path / str(number)).mkdir()
        capture_code(tmp_path / str(number))
    assert len(code._captured) <= 16


def test_a_run_says_why_its_code_is_unknown(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = capture_code()._replace(problem="OSError: HEAD of the repository is damaged")
    monkeypatch.setattr(run_module, "capture_code", lambda: broken)
    with archive.start_run() as run:
        (start, *_others) = archive.read_events(run.run_id)
    assert start.data["code_problem"] == "OSError: HEAD of the repository is damaged"


def test_reasons_lose_their_secrets_and_folders(archive: Archive) -> None:
    run = archive.start_run()
    run.fail(f"no {os.path.abspath('x')}/y at postgresql://me:s3cret@host/db")
    assert archive.show_run(run.run_id).summary.reason == "no x/y at postgresql://***@host/db"


# Canaries

CANARY_SCRIPT = """
import os, sys
import exptrack
archive = exptrack.Archive(sys.argv[1])
with archive.start_run({"lr": 0.1}) as run:
    run.log({"loss": 1.0})
try:
    with archive.start_run():
        canary = os.environ["CANARY"]
        raise RuntimeError(f"cannot reach postgresql://me:{canary}@host/db; password={canary}")
except RuntimeError:
    pass
try:
    with archive.start_run():
        open(os.path.join(os.path.expanduser("~"), "deep", "nothing.npz"))
except FileNotFoundError:
    pass
archive.start_run().fail(f"token={os.environ['CANARY']} in {os.path.abspath('x')}")
os.kill(os.getpid(), 9)
"""


def test_no_canary_reaches_the_file_or_its_wal(repository: Path, tmp_path: Path) -> None:
    """The process is killed, so that the WAL stays as it was written."""
    canary, home = "c4n4ryW0rd", tmp_path / "canary-home"
    home.mkdir()
    git(repository, "remote", "set-url", "origin", f"https://me:{canary}@example.org/lab.git")
    (repository / "canary.py").write_text(CANARY_SCRIPT)
    (home / "archive").mkdir()
    path = home / "archive" / "lab.db"
    words = [
        *("--token", canary, f"--hfToken={canary}", f"--env=API_TOKEN={canary}", f"PGPASSWORD={canary}"),
        *(f"Authorization: Bearer {canary}", f'{{"api_key": "{canary}"}}', f"postgresql://u:p@{canary}/w@h/db"),
        *(
            f"Server=x;Password={canary}",
            f"u:{canary}@host:path",
            f"ghp_{canary}{'x' * 20}",
            f"--data={home}/x.npz",
        ),
    ]
    environment = {**os.environ, "CANARY": canary, "HF_TOKEN": canary, "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, str(repository / "canary.py"), str(path), *words],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr
    files = sorted(path.parent.iterdir())
    content = b"".join(file.read_bytes() for file in files)
    assert len(files) >= 2
    assert b"--hfToken=***" in content
    assert b"https://***@example.org/lab.git" in content
    for secret in (canary, str(tmp_path), sys.prefix):
        assert secret.encode() not in content


def test_starting_a_run_leaves_modes_and_times_of_the_tree_alone(repository: Path) -> None:
    before = {path: path.lstat().st_mtime_ns for path in repository.rglob("*")}
    by_both(repository)
    assert {path: path.lstat().st_mtime_ns for path in repository.rglob("*")} == before
    assert stat.S_IMODE((repository / "train.py").stat().st_mode) & 0o111 == 0
