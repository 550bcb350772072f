"""The code of a run is kept with it: once for all runs, without secrets, and cheaply."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import Archive, InvalidValueError
from exptrack.artifacts.code_folder import CODE_NAME, read_kept_code
from tests.capture.repositories import git

SCRIPT = """
import exptrack, sys
with exptrack.start_run({"lr": 0.1}, name=sys.argv[1]) as run:
    pass
print(run.run_id)
"""
TOKEN = "hf_" + "s3" * 12


@pytest.fixture(autouse=True)
def _keep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXPTRACK_KEEP_CODE", "yes")
    monkeypatch.setenv("EXPTRACK_DB", str(tmp_path / "lab.db"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init")
    (folder / "lib.py").write_text("x = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    (folder / "train.py").write_text(SCRIPT)
    return folder


def start(folder: Path, *words: str) -> str:
    command = [sys.executable, "train.py", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_a_run_keeps_patch_texts_packages_and_launch(project: Path, tmp_path: Path) -> None:
    (project / "lib.py").write_text("x = 2\n")
    (project / "notes.txt").write_text("note\n")
    run_id = start(project, "one")
    with Archive(tmp_path / "lab.db") as archive:
        kept = read_kept_code(archive.artifacts(run_id))
        (artifact,) = archive.artifacts(run_id).list_artifacts()
        assert archive.verify().problems == ()
    assert kept is not None
    assert (artifact.name, artifact.kind, artifact.is_folder) == (CODE_NAME, "code", True)
    assert b"+x = 2" in kept.parts["lib.py"]
    assert set(kept.texts) == {"train.py", "notes.txt"}
    assert (kept.launch.words[1:], kept.launch.folder) == (["train.py"], ".")
    assert kept.packages["numpy"]


def test_equal_code_is_stored_once(project: Path, tmp_path: Path) -> None:
    ids = [start(project, name) for name in ("one", "two")]
    with Archive(tmp_path / "lab.db") as archive:
        hashes = {one.hash for run_id in ids for one in archive.artifacts(run_id).list_artifacts()}
        assert len(hashes) == 1, "the arguments are not in it"
        blobs = archive.sql("SELECT count(*) FROM blob").rows[0][0]
        (project / "train.py").write_text(f"{SCRIPT}# longer\n")
        start(project, "three")
        assert archive.sql("SELECT count(*) FROM blob").rows[0][0] == blobs + 2, "the script and the manifest"


@pytest.mark.parametrize("has_commit", [True, False])
def test_a_change_of_an_untracked_script_is_another_experiment_and_is_named(
    project: Path, tmp_path: Path, has_commit: bool
) -> None:
    if not has_commit:
        subprocess.run(["rm", "-r", project / ".git"], check=True)
        git(project, "init")
    first = start(project, "one")
    (project / "train.py").write_text(f"{SCRIPT}# second\n")
    second = start(project, "two")
    with Archive(tmp_path / "lab.db") as archive:
        a, b = (archive.show_run(one).summary for one in (first, second))
        changes = archive.what_changed(second)
    assert a.fingerprint != b.fingerprint
    assert (a.vcs_dirty, b.vcs_dirty) == (True, True)
    assert changes is not None
    assert [(one.name, one.change) for one in changes.code] == [
        ("code_digest", "changed"), ("train.py", "changed"),
    ]  # fmt: skip


def test_changes_name_files_of_the_patch_and_packages(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "site"
    (place / "tool-1.0.dist-info").mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(place))
    (project / "lib.py").write_text("x = 2\n")
    start(project, "one")
    (project / "lib.py").write_text("x = 3\n")
    (project / "new.py").write_text("y = 1\n")
    (place / "tool-1.0.dist-info").rename(place / "tool-1.1.dist-info")
    second = start(project, "two")
    with Archive(tmp_path / "lab.db") as archive:
        changes = archive.what_changed(second)
    assert changes is not None
    assert [(one.name, one.change) for one in changes.code] == [
        ("code_digest", "changed"), ("lib.py", "changed"), ("new.py", "added"),
    ]  # fmt: skip
    told = {one.name: (one.a, one.b) for one in changes.environment}
    assert told["package tool"] == ("1.0", "1.1")


def test_a_secret_reaches_neither_the_file_nor_its_side_files(project: Path, tmp_path: Path) -> None:
    (project / "lib.py").write_text(f"token = '{TOKEN}'\n")
    (project / "settings.env").write_text(f"HF_TOKEN={TOKEN}\n")
    run_id = start(project, "one", f"--token={TOKEN}")
    with Archive(tmp_path / "lab.db") as archive:
        kept = read_kept_code(archive.artifacts(run_id))
    assert kept is not None
    assert {one.path for one in kept.left_out} == {"lib.py", "settings.env"}
    for file in tmp_path.glob("lab.db*"):
        assert TOKEN.encode() not in file.read_bytes()


def test_it_can_be_turned_off(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("no", "0", "Off", "FALSE"):
        monkeypatch.setenv("EXPTRACK_KEEP_CODE", word)
        with Archive(tmp_path / "lab.db") as archive:
            with archive.start_run() as run:
                pass
            assert run.artifacts.list_artifacts() == []
    monkeypatch.setenv("EXPTRACK_KEEP_CODE", "perhaps")
    with (
        Archive(tmp_path / "lab.db") as archive,
        pytest.raises(InvalidValueError, match="EXPTRACK_KEEP_CODE is yes or no"),
    ):
        archive.start_run()


def test_code_of_elsewhere_is_not_that_of_this_process(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        for given in ({"code": {}}, {"environment": {}}):
            with archive.start_run(**given) as run:  # type: ignore[arg-type]
                pass
            assert run.artifacts.list_artifacts() == []


def test_a_name_that_not_every_system_can_have_is_left_out(project: Path, tmp_path: Path) -> None:
    (project / "aux.py").write_text("1\n")
    (project / "TRAIN.py").write_text("2\n")
    run_id = start(project, "one")
    with Archive(tmp_path / "lab.db") as archive:
        kept = read_kept_code(archive.artifacts(run_id))
    assert kept is not None
    assert "train.py" in kept.texts
    assert {one.path: one.reason for one in kept.left_out} == dict.fromkeys(
        ("aux.py", "TRAIN.py"), "not every system can have its name"
    )


def test_keeping_code_loads_nothing_heavy(tmp_path: Path) -> None:
    statement = (
        "import exptrack\nwith exptrack.start_run() as r: r.log({'x': 1})\nimport sys; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", statement], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    with Archive(tmp_path / "lab.db") as archive:
        (run,) = archive.list_runs()
        assert read_kept_code(archive.artifacts(run.run_id)) is not None
    unwanted = {"zstandard", "pyfastcdc", "numpy", "dulwich", "click", "rich", "pydantic", "importlib.metadata"}
    unwanted |= {"dataclasses", "inspect", "shutil", "tempfile", "secrets"}
    unwanted |= {f"exptrack.{room}" for room in ("analysis", "portable", "query", "sweeps", "media")}
    unwanted |= {f"exptrack.artifacts.{name}" for name in ("store", "lineage", "listing", "restore", "folders")}
    assert set(done.stdout.split()) & unwanted == set()


def test_damaged_words_about_the_code_are_an_error(tmp_path: Path) -> None:
    from exptrack import ArchiveCorruptError

    with Archive(tmp_path / "lab.db") as archive, archive.start_run(code={}) as run:
        (tmp_path / "tree").mkdir()
        for text in ("{", "[]", json.dumps({"launch": {}}), json.dumps({"launch": 3})):
            (tmp_path / "tree" / "about.json").write_text(text)
            run.artifacts.register_dir(CODE_NAME, tmp_path / "tree", kind="code")
            with pytest.raises(ArchiveCorruptError, match="not as exptrack writes it"):
                read_kept_code(run.artifacts)
            run.artifacts.remove(CODE_NAME)


def test_runs_in_a_row_store_the_code_again_once_another_process_has_deleted_it(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        runs = []
        for number in range(4):
            if number == 2:
                archive.delete_run(*runs)
                assert archive._connection.value("SELECT count(*) FROM blob") == 0
            with archive.start_run() as run:
                pass
            runs.append(run.run_id)
        first, second = (read_kept_code(archive.artifacts(run_id)) for run_id in runs[2:])
        assert first is not None
        assert first == second
        assert archive.verify().problems == ()
