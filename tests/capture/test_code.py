"""The version of the code: digests, remotes, no secrets, and cheap when repeated."""

from __future__ import annotations

import inspect
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from exptrack import Archive
from exptrack.capture import code as capture
from exptrack.capture import git as capture_git
from exptrack.capture.code import capture_code
from exptrack.tracking import lifecycle
from tests.capture.repositories import (
    Change,
    add_new,
    by_both,
    delete,
    detach,
    file_to_fifo,
    file_to_link,
    git,
    intend_to_add,
    link_elsewhere,
    make_executable,
    modify,
    stage,
)

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


# What is read of a file


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
    real = capture._digest_file
    monkeypatch.setattr(
        capture, "_digest_file", lambda path, budget: (read.append(budget), real(path, budget))[1]
    )
    assert by_both(repository).digest == before
    assert sorted(set(read))[0] == 10_000


def test_a_small_file_after_the_budget_is_spent_is_told_from_another(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "WHOLE_TREE_BYTES", 100_000)
    (repository / "sub/model.py").write_bytes(b"x" * 100_000)
    digests = set()
    for content in (b"a", b"bc"):
        (repository / "train.py").write_bytes(content)
        digests.add(by_both(repository).digest)
    assert len(digests) == 2


# Code that git does not track


def leave_untracked(repository: Path, script: Path) -> None:
    """A new script beside a commit."""


def ignore(repository: Path, script: Path) -> None:
    (repository / ".gitignore").write_text("*.py\n")
    git(repository, "add", ".gitignore")
    git(repository, "commit", "-m", "second")


def begin_anew(repository: Path, script: Path) -> None:
    """A repository without a commit."""
    shutil.rmtree(repository / ".git")
    git(repository, "init")


@pytest.mark.parametrize("before", [leave_untracked, ignore, begin_anew])
@pytest.mark.parametrize("is_module", [False, True])
def test_untracked_code_that_runs_is_code_too(
    before: Callable[[Path, Path], None], is_module: bool, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = repository / "sub" / "größe [a].py"
    script.write_text("1")
    before(repository, script)
    if is_module:
        module = ModuleType("loaded")
        module.__file__ = str(script)
        monkeypatch.setitem(sys.modules, "loaded", module)
    else:
        monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    one = by_both(repository)
    script.write_text("2")
    two = by_both(repository)
    assert (one.dirty, two.dirty) == (True, True)
    assert one.digest != two.digest
    script.write_text("1")
    assert by_both(repository) == one
    git(repository, "add", "--all", "--force")
    git(repository, "commit", "-m", "all")
    assert by_both(repository).dirty is False


def test_what_an_environment_in_the_work_tree_imports_is_no_code(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = repository / ".venv" / "bin" / "launch"
    packages = repository / "env" / "lib" / "site-packages" / "a.py"
    for file, name in ((inside, "launch"), (packages, "a")):
        file.parent.mkdir(parents=True)
        file.write_text("1")
        module = ModuleType(name)
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys, "prefix", str(repository / ".venv"))
    assert by_both(repository).dirty is False


def test_a_lazy_module_stays_lazy(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy(ModuleType):
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"asked for {name}")

    monkeypatch.setitem(sys.modules, "lazy", Lazy("lazy"))
    assert capture_code(repository).problem is None


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
    assert capture._read_remote(str(repository)) is None


# Repetition


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The roots that git was asked about, with answers that stay fresh for an hour."""
    calls: list[str] = []
    real = capture_git._compare_by_git

    def counted(root: str, *rest: Any) -> capture_git.TreeState | None:
        calls.append(root)
        return real(root, *rest)

    monkeypatch.setattr(capture_git, "_compare_by_git", counted)
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
    assert len(capture._captured) <= 16


def test_a_run_says_why_its_code_is_unknown(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = capture_code()._replace(problem="OSError: HEAD of the repository is damaged")
    monkeypatch.setattr(lifecycle, "capture_code", lambda: broken)
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


def test_an_archive_in_the_repository_is_no_code(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither opened nor a change: SQLite would lose its locks, and equal code has an equal digest."""
    clean = by_both(repository)
    (repository / "lab.db").write_bytes(b"")
    git(repository, "add", "lab.db")
    opened: list[object] = []
    real = os.open

    def spy(path: object, *rest: Any, **more: Any) -> int:
        # A run may open its own files again at any moment; here it is about what looks for code.
        frame = inspect.currentframe()
        while frame is not None:
            if str(frame.f_globals.get("__name__")).startswith("exptrack.capture."):
                opened.append(path)
                break
            frame = frame.f_back
        return real(path, *rest, **more)  # type: ignore[call-overload, no-any-return]

    with Archive(repository / "lab.db") as archive:
        archive.start_run().complete()
        monkeypatch.setattr(os, "open", spy)
        with_staged = by_both(repository)
        git(repository, "commit", "-m", "the archive too")
        committed = by_both(repository)
        archive.start_run().complete()
        (repository / "train.py").write_text("changed\n")
        changed = by_both(repository)
        monkeypatch.setattr(os, "open", real)
        archive.start_run().complete()
        assert by_both(repository) == changed
    assert (with_staged.digest, with_staged.dirty) == (clean.digest, False)
    assert (committed.commit != clean.commit, committed.dirty, changed.dirty) == (True, False, True)
    assert any(os.fsdecode(path).endswith("train.py") for path in opened if isinstance(path, bytes))
    names = [os.fsdecode(path) for path in opened if isinstance(path, (str, bytes, os.PathLike))]
    assert not any("lab.db" in name for name in names)
