"""A packed file is read everywhere: by an ordinary user, in a folder that nothing can be written to."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exptrack import Archive
from tests.test_other_programs import ask_datasette, duckdb_on

# It loads every module while root may read it, then becomes an ordinary user.
READER = """
import os, sys, tempfile
import click.testing, exptrack, exptrack.cli
def run(*words):
    done = click.testing.CliRunner().invoke(exptrack.cli.main, words)
    assert done.exit_code == 0, done.output
    return done.output
def read(path, run_id):
    run("--db", path, "ls")
    run("--db", path, "show", run_id)
    return run("verify", path)
with tempfile.TemporaryDirectory() as folder:
    with exptrack.Archive(folder + "/lab.db") as archive:
        with archive.start_run({"lr": 0.1}) as run_of_mine:
            run_of_mine.log({"loss": 1.0})
        archive.pack(folder + "/warm.db")
    read(folder + "/warm.db", run_of_mine.run_id)
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
os.environ["HOME"] = "/nowhere"
print(read(*sys.argv[1:]).split(":")[0])
try:
    open(sys.argv[1], "r+b")
except PermissionError:
    print("refused")
"""


@pytest.fixture(scope="module")
def sealed() -> Iterator[tuple[Path, str]]:
    """A packed file in a folder of mode 0555 that others may enter, and the id of the run in it."""
    if os.name != "posix":
        pytest.skip("folder modes are POSIX's")
    folder = Path(tempfile.mkdtemp())
    try:
        with Archive(folder / "lab.db") as archive:
            with archive.start_run({"lr": 0.1}, name="done") as run:
                run.log({"loss": 1.0})
            (folder / "out").mkdir()
            archive.pack(folder / "out" / "paper.db")
        (folder / "out").chmod(0o555)
        folder.chmod(0o755)
        yield folder / "out" / "paper.db", run.run_id
    finally:
        (folder / "out").chmod(0o755)
        shutil.rmtree(folder)


def test_an_ordinary_user_reads_it_in_a_folder_that_cannot_be_written(sealed: tuple[Path, str]) -> None:
    done = subprocess.run([sys.executable, "-c", READER, *map(str, sealed)], capture_output=True, text=True)
    assert (done.stdout.splitlines(), done.stderr) == (["intact", "refused"], "")
    assert os.listdir(sealed[0].parent) == ["paper.db"]


def test_bare_sqlite_datasette_and_duckdb_read_it(sealed: tuple[Path, str]) -> None:
    path, run_id = sealed
    with closing(sqlite3.connect(path)) as bare:
        assert bare.execute("SELECT run_id, status FROM runs").fetchall() == [(run_id, "completed")]
    if shutil.which("sqlite3"):
        done = subprocess.run(["sqlite3", path, "SELECT status FROM runs"], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("completed\n", "")
    (runs,) = ask_datasette(path, ["runs.json?_shape=array"])
    assert [run["status"] for run in runs] == ["completed"]
    with duckdb_on(path) as lab:
        assert lab.execute("SELECT status FROM lab.runs").fetchall() == [("completed",)]
    assert os.listdir(path.parent) == ["paper.db"]
