"""Recorded texts name files by project or package, never by a path of the machine."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exptrack.capture import paths
from exptrack.capture.paths import find_repository_root, relative_path, shorten_paths


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the script in it; the working folder is its folder `sub`."""
    folder = tmp_path / "my code"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder / "sub")
    monkeypatch.setattr(paths, "find_main_script", lambda: str(folder / "train.py"))
    monkeypatch.setenv("HOME", "/home/alice")
    return folder


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('File "{project}/models/net.py", line 3', 'File "models/net.py", line 3'),
        ('File "{project}/sub/a b.py", line 3', 'File "a b.py", line 3'),
        ("cannot read {project}/data.npz", "cannot read data.npz"),
        ("{project}", "."),
        ('"{project}/"', '"."'),
        ('File "/usr/lib/python3.11/json/decoder.py"', 'File "…/json/decoder.py"'),
        ('File "/opt/x/lib/python3.12/site-packages/torch/nn/f.py"', 'File "…/torch/nn/f.py"'),
        ("/usr/lib/python3/dist-packages/numpy/core/x.py:12", "…/numpy/core/x.py:12"),
        (r'File "C:\py\Lib\site-packages\torch\nn\f.py"', 'File "…/torch/nn/f.py"'),
        ("No such file: '/home/alice/secret plans/x.npz'", "No such file: '…/x.npz'"),
        ("No such file: /home/alice/x.npz!", "No such file: …/x.npz!"),
        ("/home/alice", "…"),
        ("/home/bob/", "…"),
        ("'/home/bob'", "'…'"),
        ("/Users/bob", "…"),
        (r"C:\Users\bob", "…"),
        (r"C:\Users\bob\x.npz", "…/x.npz"),
        (r"'C:\\Users\\bob\\my x.npz'", "'…/my x.npz'"),
        ("D:/data/x.npz", "…/x.npz"),
        (r"\\server\share\bob\x.npz", "…/x.npz"),
        ("~bob/x.npz", "…/x.npz"),
        ("--data=/mnt/lab/x.npz", "--data=…/x.npz"),
        ("-I/mnt/lab/include", "-I…/include"),
        ("data: /mnt/lab/x", "data: …/x"),
        ("data:/mnt/lab/x", "data:…/x"),
        ("/mnt/a/x:/mnt/b/y", "…/x:…/y"),
        ("'/mnt/a/x:/mnt/b/y'", "'…/x:…/y'"),
        ("[/mnt/a/x, /mnt/b/y]", "[…/x, …/y]"),
        ("(/mnt/a/x)", "(…/x)"),
        ("file:///mnt/lab/x", "file://…/x"),
        ("sqlite:////mnt/lab/x.db", "sqlite:///…/x.db"),
        ("/dev/shm/x", "…/x"),
        ("/tmp", "…/tmp"),
    ],
)
def test_paths_of_the_machine_are_shortened(project: Path, text: str, kept: str) -> None:
    assert shorten_paths(text.replace("{project}", str(project))) == kept


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a/b?c=d/e",
        "http://host:8080/a/b",
        "s3://bucket/a/b",
        "git@host:lab/code.git",
        "a/b and ../c and ./d",
        "1/2 + 3 / 4",
        "models/net.py",
        "and/or",
        "//",
        "/",
        "say yes /maybe",
        "${ROOT}/data/x",
        "$ROOT/data/x",
        "lr=0.1",
        "a:\tb",
        "x = a // b",
        "~/x",
    ],
)
def test_other_texts_stay(project: Path, text: str) -> None:
    assert shorten_paths(text) == text


def test_a_traceback_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    script = tmp_path / "deep" / "train it.py"
    script.parent.mkdir()
    script.write_text("import json\njson.loads('{')\n")
    try:
        exec(compile(script.read_text(), str(script), "exec"), {})
    except ValueError as error:
        text = "".join(traceback.format_exception(error))
    short = shorten_paths(text)
    assert '"deep/train it.py", line 2' in short
    assert '"…/json/decoder.py", line' in short
    for secret in (str(tmp_path), os.path.dirname(json.__file__), sys.prefix, os.path.expanduser("~")):
        assert secret not in short


def test_a_link_to_the_project_is_the_project(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(project)
    monkeypatch.setattr(paths, "find_main_script", lambda: str(tmp_path / "link" / "train.py"))
    for place in (project, tmp_path / "link"):
        assert shorten_paths(f"File '{place}/models/net.py'") == "File 'models/net.py'"
    assert relative_path(str(tmp_path / "link" / "a.py"), str(project)) == "a.py"


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("{cwd}/a/b.py", "a/b.py"),
        ("{cwd}/..a/b.py", "..a/b.py"),
        ("/elsewhere/b.py", "b.py"),
        ("a/b.py", "a/b.py"),
    ],
)
def test_a_script_is_named_from_its_folder_or_alone(tmp_path: Path, path: str, kept: str) -> None:
    assert relative_path(path.replace("{cwd}", str(tmp_path))) == kept


def test_a_deleted_working_folder_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert paths.working_folder() == ""
    assert shorten_paths("/mnt/a/b") == "…/b"
    assert relative_path("/mnt/a/b") == "b"
    monkeypatch.chdir(tmp_path)


def test_only_what_git_takes_for_a_repository_is_a_root(tmp_path: Path) -> None:
    inner = tmp_path / "repo" / "inner" / "deep"
    (inner.parent / ".git").mkdir(parents=True)
    inner.mkdir()
    assert find_repository_root(str(inner)) is None
    (tmp_path / "repo" / ".git").mkdir()
    (tmp_path / "repo" / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    assert find_repository_root(str(inner)) == str(tmp_path / "repo")
    (inner / ".git").write_text("gitdir: elsewhere\n")
    assert find_repository_root(str(inner)) == str(inner)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "piece", ["/", "/a", "a/", "\\", "\\\\a", "C:\\", "C:/a", "~a", "~a/b ", "'/a", "'/a:/", '"', "a:"]
)
def test_no_pattern_is_quadratic(piece: str) -> None:
    assert len(shorten_paths(piece * (200_000 // len(piece)))) <= 300_000


WORD = st.text("abcxyz019._-", min_size=1, max_size=8).filter(lambda word: word.strip("."))


@given(
    st.sampled_from(
        ["/home/canary", "/Users/canary/work", "/mnt/canary/a", "C:\\Users\\canary", "/root/canary"]
    ),
    st.lists(WORD, min_size=1, max_size=4),
    st.sampled_from(
        ["{}", "'{}'", '"{}"', "x={}", "a {} b", "({})", "[{}, 1]", "e: {}", "<{}>", "`{}`", "e:\n{}"]
    ),
)
def test_whatever_is_around_a_path_its_folders_are_gone(folder: str, parts: list[str], around: str) -> None:
    separator = "\\" if "\\" in folder else "/"
    assert "canary" not in shorten_paths(around.format(separator.join([folder, *parts])))
