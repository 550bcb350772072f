"""What is kept of the code that no commit holds, and what is left out, by name and with a reason."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.capture import code as capture
from exptrack.capture import code_files, git_content
from exptrack.capture.code import capture_code
from exptrack.capture.code_files import CodeFiles, read_code_files
from exptrack.capture.git_content import read_path_of_part, split_patch
from tests.capture.repositories import (
    add_new,
    delete,
    file_to_link,
    git,
    intend_to_add,
    link_elsewhere,
    make_executable,
    modify,
    stage,
)

TOKEN = "ghp_" + "a1" * 18


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_files, "_remembered", {})
    monkeypatch.setattr(code_files, "FILES_FRESH_S", 0.0)
    monkeypatch.setattr(code_files, "CONTENT_TIMEOUT_S", 60.0)


def collect(folder: Path) -> CodeFiles:
    code_files._remembered.clear()
    found = read_code_files(capture_code(folder))
    assert found is not None
    return found


def reasons(found: CodeFiles) -> dict[str, str]:
    return {one.path: one.reason for one in found.left_out}


def test_a_clean_tree_keeps_nothing(repository: Path) -> None:
    assert collect(repository) == CodeFiles(b"", {}, (), None)


@pytest.mark.parametrize(
    "change",
    [modify, stage, delete, make_executable, file_to_link, link_elsewhere, add_new, intend_to_add],
)
def test_the_patch_makes_the_changed_tree_of_the_commit(
    repository: Path, tmp_path: Path, change: object
) -> None:
    assert callable(change)
    change(repository)
    found = collect(repository)
    assert found.left_out == ()
    git(tmp_path, "clone", "-q", str(repository), "clone")
    (tmp_path / "patch").write_bytes(found.patch)
    git(tmp_path / "clone", "apply", "--index", str(tmp_path / "patch"))
    trees = [
        {
            str(path.relative_to(folder)): (path.is_symlink(), path.lstat().st_mode & 0o100, path.read_bytes())
            for path in folder.rglob("*.*")
            if path.is_file() and ".git" not in path.parts
        }
        for folder in (repository, tmp_path / "clone")
    ]
    assert trees[0] == trees[1]


def test_settings_of_the_user_do_not_change_the_patch(repository: Path) -> None:
    modify(repository)
    plain = collect(repository)
    for setting in (
        "diff.noprefix=true", "diff.mnemonicPrefix=true", "color.ui=always", "diff.context=0",
        "diff.external=false", "diff.renames=copies", "core.abbrev=4", "diff.algorithm=patience",
    ):  # fmt: skip
        git(repository, "config", *setting.split("=", 1))
    assert collect(repository) == plain


def test_untracked_texts_are_kept_and_what_git_ignores_is_not(repository: Path) -> None:
    (repository / ".gitignore").write_text("*.log\n")
    git(repository, "add", ".gitignore")
    git(repository, "commit", "-m", "ignore")
    (repository / "sub" / "new ü.py").write_text("x = 1\n", encoding="utf-8")
    (repository / "run.sh").write_text("echo\n")
    (repository / "run.sh").chmod(0o755)
    (repository / "out.log").write_text("noise\n")
    (repository / "__pycache__").mkdir()
    (repository / "__pycache__" / "x.txt").write_text("compiled\n")
    assert collect(repository).texts == {
        "run.sh": (0o755, b"echo\n"),
        "sub/new ü.py": (0o644, b"x = 1\n"),
    }


def test_what_is_left_out_is_named_with_the_reason(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_files, "FILES_BYTES", 1000)
    monkeypatch.setattr(code_files, "FILE_BYTES", 600)
    (repository / "a.py").write_bytes(b"#" * 500)
    (repository / "b.py").write_bytes(b"#" * 501)
    (repository / "big.csv").write_bytes(b"1," * 400)
    (repository / "image.png").write_bytes(b"\x89PNG\xff")
    (repository / "nul.txt").write_bytes(b"a\0b")
    (repository / "secret.env").write_text(f"GH={TOKEN}\n")
    (repository / "shortcut").symlink_to("a.py")
    (repository / "inner").mkdir()
    git(repository / "inner", "init")
    (repository / "inner" / "x").write_text("x")
    os.mkfifo(repository / "pipe")
    found = collect(repository)
    assert set(found.texts) == {"a.py"}
    assert reasons(found) == {
        "b.py": code_files.TOO_MANY,
        "big.csv": code_files.TOO_LARGE,
        "image.png": code_files.NO_TEXT,
        "inner/": code_files.SUBMODULE,
        "nul.txt": code_files.NO_TEXT,
        "secret.env": code_files.SECRET,
        "shortcut": code_files.NO_FILE,
    }


def test_of_a_patch_the_parts_with_a_secret_and_the_largest_are_left_out(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_files, "PATCH_BYTES", 2000)
    (repository / "train.py").write_text("changed\n")
    (repository / "win.txt").write_text("word\n" * 1000)
    (repository / "sub/model.py").write_text(f'token = "{TOKEN}"\n')
    found = collect(repository)
    assert list(split_patch(found.patch)) == ["train.py"]
    assert reasons(found) == {
        "sub/model.py": code_files.SECRET,
        "win.txt": "the patch would be larger than 1 MiB",
    }
    assert TOKEN.encode() not in found.patch


def test_a_binary_change_is_in_the_patch(repository: Path) -> None:
    (repository / "train.py").write_bytes(bytes(range(256)))
    found = collect(repository)
    assert b"GIT binary patch" in found.patch
    assert found.left_out == ()


def test_a_patch_that_git_writes_without_end_is_not_read(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exptrack.capture.git_content.PATCH_OUTPUT_BYTES", 1 << 20)
    (repository / "train.py").write_bytes(os.urandom(2 << 20))
    (repository / "sub/model.py").write_text("changed\n")
    found = collect(repository)
    assert found.patch == b""
    assert found.problem == "the changes are not kept: they are larger than 1 MiB"
    assert found.texts == {"sub/model.py": (0o644, b"changed\n")}, "the small ones are kept whole"
    assert reasons(found) == {"train.py": code_files.TOO_LARGE}


def test_without_git_the_changed_files_are_kept_whole(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modify(repository)
    delete(repository)
    monkeypatch.setenv("PATH", "/nowhere")
    found = collect(repository)
    assert found.patch == b""
    assert set(found.texts) == {"train.py"}
    assert reasons(found) == {"sub/model.py": code_files.DELETED}
    assert found.problem == "changes and untracked files are not kept: the program git is not installed"


def test_a_repository_without_a_commit_keeps_its_texts(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "staged.py").write_text("1\n")
    git(tmp_path, "add", "staged.py")
    (tmp_path / "new.py").write_text("2\n")
    assert collect(tmp_path).texts == {"new.py": (0o644, b"2\n"), "staged.py": (0o644, b"1\n")}


def test_an_open_archive_in_the_repository_is_no_code(repository: Path) -> None:
    with Archive(repository / "lab.db") as archive, archive.start_run() as run:
        run.log({"x": 1.0})
        found = collect(repository)
    assert (found.texts, found.left_out) == ({}, ())


def test_time_that_runs_out_is_told(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "new.py").write_text("x\n")
    monkeypatch.setattr(code_files, "CONTENT_TIMEOUT_S", -1.0)
    found = collect(repository)
    assert found.problem == "the untracked files are not kept: git took too long"
    assert found.texts == {}


def test_an_unexpected_error_is_told_and_stops_nothing(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(git_content, "read_tree_content", fail)
    assert collect(repository) == CodeFiles(b"", {}, (), "RuntimeError: broken")


def test_many_files_that_are_left_out_are_counted(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_files, "MOST_LEFT_OUT", 3)
    for number in range(5):
        (repository / f"{number}.bin").write_bytes(b"\xff")
    found = collect(repository)
    assert len(found.left_out) == 3
    assert found.problem == "2 more files are not kept"


def test_the_answer_is_used_again_while_the_code_is_the_same(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_files, "FILES_FRESH_S", 60.0)
    monkeypatch.setattr(capture, "CODE_FRESH_S", 60.0)
    first = read_code_files(capture_code(repository))
    assert read_code_files(capture_code(repository)) is first
    modify(repository)
    assert read_code_files(capture_code(repository)) is not first


def test_a_script_outside_of_git_is_kept_with_the_modules_beside_it(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "model.py").write_text("depth = 3\n")
    (tmp_path / "train.py").write_text(
        "import sys; sys.path.insert(0, 'lib')\nimport model, numpy, json\n"
        "from exptrack.capture.code import capture_code\n"
        "from exptrack.capture.code_files import read_code_files\n"
        "print(sorted(read_code_files(capture_code()).texts))\n"
    )
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['lib/model.py', 'train.py']"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b"diff --git a/x.py b/x.py", b"x.py"),
        (b"diff --git a/a b/c.py b/a b/c.py", b"a b/c.py"),
        (b'diff --git "a/q\\"t\\303\\274.py" "b/q\\"t\\303\\274.py"', 'q"tü.py'.encode()),
    ],
)
def test_a_part_of_a_patch_tells_its_path(line: bytes, path: bytes) -> None:
    assert read_path_of_part(line + b"\nindex 1..2\n") == path
