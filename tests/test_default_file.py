"""The default archive is found from any folder below it, made by runs alone, and the run says where."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import exptrack
from exptrack import Archive, ArchiveNotFoundError, InvalidValueError, default_file
from exptrack.default_file import find_default_file
from tests.cli.calls import call

posix = pytest.mark.skipif(os.name != "posix", reason="modes and devices of folders are POSIX's")
ASKING = [
    "list_runs()",
    "find_run(external_id='a:b')",
    "show_run('x')",
    "diff_runs('x', 'y')",
    "compare(['x'])",
    "what_changed('x')",
    "best_run('acc', 'maximize')",
    "read_events('x')",
    "append_event('x', 'kind')",
    "resume_run('x')",
    "gc_artifacts()",
    "verify()",
    "ArtifactStore.for_run('x')",
    "Archive.default(create=False)",
]


@pytest.fixture
def below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, two folders below the one of the test."""
    place = tmp_path / "outputs" / "today"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    return place


def found() -> Path:
    return Path(find_default_file()).resolve()


def test_the_nearest_file_above_is_meant(tmp_path: Path, below: Path) -> None:
    assert found() == (below / "exptrack.db").resolve()
    (tmp_path / "exptrack.db").touch()
    assert found() == (tmp_path / "exptrack.db").resolve()
    (tmp_path / "outputs" / "exptrack.db").mkdir()  # no file
    assert found() == (tmp_path / "exptrack.db").resolve()
    (below / "exptrack.db").symlink_to("absent.db")  # which opening reports
    assert Path(find_default_file()) == Path(os.getcwd()) / "exptrack.db"


def test_the_variable_comes_first(tmp_path: Path, below: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (below / "exptrack.db").touch()
    monkeypatch.setenv("EXPTRACK_DB", str(tmp_path / "other.db"))
    assert find_default_file() == str(tmp_path / "other.db")


def test_the_home_folder_and_what_is_above_it_are_not_searched(
    tmp_path: Path, below: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "exptrack.db").touch()
    for home in (tmp_path, tmp_path / "outputs", below):
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("USERPROFILE", str(home))
        assert found() == (below / "exptrack.db").resolve()
    (below / "exptrack.db").touch()
    assert found() == (below / "exptrack.db").resolve(), "in the home folder itself it is found"


@posix
def test_the_search_ends_where_everybody_may_write(tmp_path: Path, below: Path) -> None:
    (tmp_path / "exptrack.db").touch()
    (tmp_path / "outputs").chmod(0o777)
    assert found() == (below / "exptrack.db").resolve()
    (tmp_path / "outputs").chmod(0o775)
    assert found() == (tmp_path / "exptrack.db").resolve()


@posix
def test_the_search_ends_with_the_file_system(
    tmp_path: Path, below: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "exptrack.db").touch()

    def mounted(path: str) -> os.stat_result:
        status = os.stat(path)
        return os.stat_result((*status[:2], status.st_dev + (Path(path) == tmp_path), *status[3:]))

    monkeypatch.setattr(default_file, "os", SimpleNamespace(**vars(os) | {"stat": mounted}))
    assert found() == (below / "exptrack.db").resolve()


def test_a_run_below_goes_into_the_archive_above(tmp_path: Path, below: Path) -> None:
    with Archive(tmp_path / "exptrack.db"):
        pass
    exptrack.start_run(name="below").complete()
    assert [run.name for run in exptrack.list_runs()] == ["below"]
    assert os.listdir(below) == []
    assert "below" in call(None, "ls").stdout
    exptrack.Archive.default().close()


def test_the_first_run_says_once_which_file_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Archive(tmp_path / "named.db"):
        pass
    assert capsys.readouterr().err == "", "it was named"
    for _ in range(2):
        exptrack.start_run().complete()
    told = capsys.readouterr()
    place = Path(os.getcwd()) / "exptrack.db"
    assert (told.out, told.err) == ("", f"exptrack: made the archive {place}\n")
    exptrack.Archive.default().close()
    with Archive() as archive:
        assert archive.path == str(place)
    assert capsys.readouterr().err == ""


def test_a_closed_standard_error_hinders_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    exptrack.start_run().complete()
    exptrack.Archive.default().close()


@pytest.mark.parametrize("question", ASKING)
def test_asking_makes_no_file_and_says_where_it_looked(below: Path, question: str) -> None:
    place = Path(os.getcwd())
    with pytest.raises(ArchiveNotFoundError) as caught:
        eval(f"exptrack.{question}", {"exptrack": exptrack})
    assert str(caught.value).startswith(
        f"there is no exptrack.db in {place} or in a folder above it; start_run()"
    )
    assert caught.value.path == str(place / "exptrack.db")
    assert os.listdir(below) == []


def test_asking_for_a_file_that_the_variable_names_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPTRACK_DB", str(tmp_path / "typo.db"))
    with pytest.raises(ArchiveNotFoundError, match=r"typo\.db, which EXPTRACK_DB names"):
        exptrack.list_runs()
    told = call(None, "ls", env={"EXPTRACK_DB": str(tmp_path / "typo.db")})
    assert (told.exit_code, told.stdout) == (11, "")
    assert os.listdir(tmp_path) == []


def test_a_command_makes_no_file_and_says_where_it_looked(below: Path) -> None:
    told = call(None, "ls")
    assert (told.exit_code, told.stdout) == (11, "")
    assert f"there is no exptrack.db in {os.getcwd()} or in a folder above it" in told.stderr
    assert "--db names another one" in told.stderr
    assert os.listdir(below) == []


@pytest.mark.parametrize("path", [":memory:", "file::memory:", "file::memory:?cache=shared"])
def test_an_archive_in_memory_is_refused_with_the_reason(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidValueError, match="an archive is a file"):
        Archive(path)
    monkeypatch.setenv("EXPTRACK_DB", path)
    with pytest.raises(InvalidValueError, match="an archive is a file"):
        exptrack.start_run()
    assert call(path, "ls").exit_code == InvalidValueError.exit_code
    assert os.listdir(tmp_path) == []


UMASK = """
import os, sys, exptrack
os.umask(int(sys.argv[1], 8))
with exptrack.Archive("lab.db") as archive:
    archive.start_run().complete()
    print(*(oct(os.stat(name).st_mode & 0o777) for name in ("lab.db", "lab.db-wal", "lab.db-shm")))
    archive.pack("packed.db")
exptrack.unpack("packed.db", "living.db")
print(oct(os.stat("living.db").st_mode & 0o777))
"""


@posix
@pytest.mark.parametrize(("umask", "mode"), [("022", "0o644"), ("002", "0o664"), ("077", "0o600")])
def test_the_mode_of_a_new_file_follows_the_umask(umask: str, mode: str) -> None:
    done = subprocess.run([sys.executable, "-c", UMASK, umask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [mode] * 4


@posix
def test_a_part_of_an_archive_is_no_more_open_than_it(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run()
        run.complete()
        for mode in (0o600, 0o640):
            os.chmod(archive.path, mode)
            archive.extract(tmp_path / f"{mode}.db", [run])
            assert stat.S_IMODE(os.stat(tmp_path / f"{mode}.db").st_mode) == mode


@pytest.mark.parametrize(
    "words", [["ls", "--db", "lab.db"], ["--db", "other.db", "ls", "--db", "lab.db"], ["--db=lab.db", "ls"]]
)
def test_the_archive_may_stand_behind_the_command(tmp_path: Path, words: list[str]) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.start_run(name="here").complete()
        archive.artifacts(archive.list_runs()[0]).register_data("words", "to be")
    assert "here" in call(None, *words).stdout
    for place in (
        ["artifacts", "ls", "latest", "--db", "lab.db"],
        ["artifacts", "--db", "lab.db", "ls", "latest"],
    ):
        assert "words" in call(None, *place).stdout


def test_runs_are_completed_from_the_archive_behind_the_command(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run()
        run.complete()
    asked = {"_EXPTRACK_COMPLETE": "bash_complete", "COMP_WORDS": f"exptrack show --db lab.db {run.run_id[:4]}"}
    done = subprocess.run(
        [sys.executable, "-m", "exptrack"],
        env={**os.environ, **asked, "COMP_CWORD": "4"},
        capture_output=True,
        text=True,
    )
    assert run.run_id in done.stdout
