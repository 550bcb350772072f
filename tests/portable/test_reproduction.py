"""The code of a run is written as it ran, and its command gives the same again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import Archive, ExportError, NotFoundError
from exptrack.artifacts.code_folder import read_kept_code as read
from tests.capture.repositories import git, git_head

SCRIPT = """
import exptrack, lib, sys
with exptrack.start_run({"x": lib.x}, name=sys.argv[1]) as run:
    run.log({"y": float(lib.x)})
print(run.run_id, open("data.txt").read() if len(sys.argv) > 2 else "")
"""


@pytest.fixture(autouse=True)
def _keep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXPTRACK_KEEP_CODE", "yes")
    monkeypatch.setenv("EXPTRACK_DB", str(tmp_path / "lab.db"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "deep").mkdir(parents=True)
    git(folder, "init")
    (folder / "lib.py").write_text("x = 1\n")
    (folder / "gone.py").write_text("old\n")
    (folder / "win.txt").write_bytes(b"one\r\ntwo\r\n")
    (folder / "deep" / "model.sh").write_text("echo\n")
    (folder / "link").symlink_to("lib.py")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


def start(folder: Path, *words: str, script: str = "train.py") -> str:
    command = [sys.executable, script, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.split()[0]


def tree(folder: Path) -> dict[str, tuple[bool, int, bytes]]:
    """The files of a folder but those of git and Python: link, executable, content."""
    return {
        str(path.relative_to(folder)): (path.is_symlink(), path.lstat().st_mode & 0o100, path.read_bytes())
        for path in folder.rglob("*")
        if not path.is_dir() and not {".git", "__pycache__"} & set(path.relative_to(folder).parts)
    }


def change(project: Path) -> None:
    (project / "lib.py").write_text("x = 2\n")
    (project / "gone.py").unlink()
    (project / "win.txt").write_bytes(b"one\r\nTWO\r\n")
    (project / "deep" / "model.sh").chmod(0o755)
    (project / "link").unlink()
    (project / "link").symlink_to("win.txt")
    (project / "staged.py").write_text("3\n")
    git(project, "add", "staged.py")
    (project / "binary.bin").write_bytes(bytes(range(256)))
    git(project, "add", "binary.bin")
    (project / "train.py").write_text(SCRIPT)
    (project / "data.txt").write_text("words\n")


def test_a_dirty_tree_is_written_as_it_was_and_runs_again(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(project)
    run_id = start(project, "one", "more")
    wanted = tree(project)
    git(project, "stash", "--include-untracked")
    before = (git(project, "status", "--porcelain"), git_head(project), sorted((project / ".git").rglob("*")))
    monkeypatch.chdir(project)
    with Archive(tmp_path / "lab.db") as archive:
        found = archive.reproduce(run_id[:12], tmp_path / "again")
    assert tree(tmp_path / "again") == wanted
    assert (found.missing, found.differing) == ((), {})
    assert (found.run_id, found.commit, found.repository) == (run_id, git_head(project), str(project))
    assert found.files == len(wanted)
    assert found.command == (os.path.basename(sys.executable), "train.py", "one", "more")
    assert found.working_folder == "."
    after = (git(project, "status", "--porcelain"), git_head(project), sorted((project / ".git").rglob("*")))
    assert after == before, "the repository stays as it is"
    again = start(tmp_path / "again", *found.command[2:])
    with Archive(tmp_path / "lab.db") as archive:
        first, second = (archive.show_run(one).summary for one in (run_id, again))
        assert first.config_hash == second.config_hash
        assert archive.diff_runs(run_id, again).metrics[0].last_b == 2.0


@pytest.mark.parametrize("setting", ["core.autocrlf=true", "core.eol=crlf"])
def test_line_ends_come_out_as_git_writes_them(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    (project / ".gitattributes").write_text("*.py text\n")
    git(project, "add", ".gitattributes")
    git(project, "commit", "-m", "attributes")
    git(project, "config", *setting.split("="))
    (project / "lib.py").write_bytes(b"x = 2\r\ny = 3\r\n")
    (project / "train.py").write_text(SCRIPT)
    run_id = start(project, "one")
    monkeypatch.chdir(project)
    with Archive(tmp_path / "lab.db") as archive:
        found = archive.reproduce(run_id, tmp_path / "again")
    assert found.missing == ()
    assert (tmp_path / "again" / "lib.py").read_bytes() == b"x = 2\r\ny = 3\r\n"


def test_the_target_may_lie_in_a_repository(project: Path, tmp_path: Path) -> None:
    change(project)
    run_id = start(project, "one")
    with Archive(tmp_path / "lab.db") as archive:
        archive.reproduce(run_id, project / "deep" / "again", repository=project)
    assert (project / "deep" / "again" / "lib.py").read_text() == "x = 2\n"


def test_a_script_outside_of_git_is_written(tmp_path: Path) -> None:
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "train.py").write_text(SCRIPT)
    (tmp_path / "exp" / "lib.py").write_text("x = 5\n")
    run_id = start(tmp_path, "one", script="exp/train.py")
    shutil.rmtree(tmp_path / "exp")
    with Archive(tmp_path / "lab.db") as archive:
        found = archive.reproduce(run_id, tmp_path / "again")
    assert (found.missing, found.commit, found.repository) == ((), None, None)
    assert set(tree(tmp_path / "again")) == {"exp/train.py", "exp/lib.py"}
    assert found.command[1:] == ("exp/train.py", "one")
    start(tmp_path / "again", "two", script=found.command[1])


def test_a_commit_that_is_nowhere_is_told_and_the_rest_is_written(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(project, "remote", "add", "origin", "https://me:secret@example.org/lab.git")
    change(project)
    run_id = start(project, "one")
    commit = git_head(project)
    monkeypatch.chdir(tmp_path)
    with Archive(tmp_path / "lab.db") as archive:
        found = archive.reproduce(run_id, tmp_path / "again")
    assert set(tree(tmp_path / "again")) == {"train.py", "data.txt"}
    assert found.missing == (
        f"Commit {commit} is in no repository here; call this inside a clone of https://***@example.org/lab.git,"
        " or name its folder.",
        "The changes to 7 files of the commit are not there either.",
    )
    with Archive(tmp_path / "lab.db") as archive, pytest.raises(NotFoundError, match="is not here: Commit"):
        git(project, "add", ".")
        git(project, "commit", "-m", "all")
        archive.reproduce(start(project, "two"), tmp_path / "more")
    assert not (tmp_path / "more").exists()


def test_what_was_left_out_is_told(project: Path, tmp_path: Path) -> None:
    (project / "train.py").write_text(SCRIPT)
    (project / "data.txt").write_text("words\n")
    (project / "big.csv").write_text("1," * 200_000)
    run_id = start(project, "one", "--password=hunter22")
    with Archive(tmp_path / "lab.db") as archive:
        found = archive.reproduce(run_id, tmp_path / "again", repository=project)
    assert found.missing == (
        "big.csv is not there: it is larger than 256 KiB.",
        "The command had secrets, which are not recorded: *** stands for each.",
    )


def test_a_run_without_kept_code_says_so(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPTRACK_KEEP_CODE", "no")
    change(project)
    run_id = start(project, "one")
    with Archive(tmp_path / "lab.db") as archive:
        found = archive.reproduce(run_id, tmp_path / "again", repository=project)
        assert (tmp_path / "again" / "lib.py").read_text() == "x = 1\n"
        assert found.missing == (
            "The tree differed from its commit, and no changes were kept with the run.",
            "The script train.py is not there: it lies outside of the code.",
        )
        with archive.start_run() as run, pytest.raises(NotFoundError, match="without code and outside of git"):
            archive.reproduce(run.run_id, tmp_path / "none")


def test_other_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib.py").write_text("x = 5\n")
    (tmp_path / "train.py").write_text(SCRIPT)
    site = tmp_path / "site"
    for name in ("same-1.0", "other-1.0", "gone-1.0"):
        (site / f"{name}.dist-info").mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(site))
    run_id = start(tmp_path, "one")
    (site / "other-1.0.dist-info").rename(site / "other-2.0.dist-info")
    (site / "gone-1.0.dist-info").rmdir()
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    with Archive(tmp_path / "lab.db") as archive:
        found = archive.reproduce(run_id, tmp_path / "again")
    assert found.differing == {"gone": ("1.0", None), "other": ("1.0", "2.0")}
    assert found.packages["same"] == "1.0"


def test_the_target_is_new_and_whole_or_not_there(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(project)
    run_id = start(project, "one")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "empty").mkdir()
    with Archive(tmp_path / "lab.db") as archive:
        with pytest.raises(ExportError, match="it exists"):
            archive.reproduce(run_id, tmp_path / "full", repository=project)
        archive.reproduce(run_id, tmp_path / "empty", repository=project)
        assert (tmp_path / "empty" / "lib.py").exists()

        def fail(*_args: object) -> None:
            raise OSError("broken")

        monkeypatch.setattr("exptrack.portable.reproduction._write_texts", fail)
        with pytest.raises(OSError, match="broken"):
            archive.reproduce(run_id, tmp_path / "new", repository=project)
    assert not (tmp_path / "new").exists()
    assert [path.name for path in tmp_path.glob(".exptrack-*")] == []


def test_a_patch_of_a_stranger_cannot_leave_the_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that the patch makes is not followed by what is written after it."""
    (tmp_path / "outside").mkdir()
    (project / "way").symlink_to(tmp_path / "outside")
    git(project, "add", "way")
    (project / "train.py").write_text(SCRIPT)
    run_id = start(project, "one")
    monkeypatch.setattr(
        "exptrack.portable.reproduction.read_kept_code",
        lambda store, real=read: (kept := real(store)) and kept._replace(texts={"way/x.py": (0o644, b"x")}),
    )
    with Archive(tmp_path / "lab.db") as archive, pytest.raises(Exception, match="is a link"):
        archive.reproduce(run_id, tmp_path / "again", repository=project)
    assert list((tmp_path / "outside").iterdir()) == []
    assert not (tmp_path / "again").exists()
