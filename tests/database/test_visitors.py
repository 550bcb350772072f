"""The last visitor leaves a file that holds all, or has said that it does not; and none shuts the owner out.

Each visitor is a forked process of the owner's user or of another one.
"""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive, ExptrackError

OWNER, OTHER = 4321, 65534

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0, reason="acts as two users, so it has to be root's"
)


def make_folder() -> Path:
    """A folder of the owner's that others may enter."""
    made = Path(tempfile.mkdtemp())
    os.chown(made, OWNER, OWNER)
    made.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def _loaded() -> None:
    """Every module is loaded while root may read it."""
    with tempfile.TemporaryDirectory() as warm, Archive(f"{warm}/warm.db") as archive:
        archive.start_run().complete()
        archive.list_runs()
        archive.verify()


@pytest.fixture
def folder(_loaded: None) -> Iterator[Path]:
    made = make_folder()
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def left(_loaded: None) -> Iterator[dict[str, Path]]:
    """A folder for each state that the owner's processes leave an archive in."""
    made = {"folded": make_folder(), "wal": make_folder()}
    for name, folder in made.items():
        path = folder / "lab.db"
        assert visit(OWNER, partial(write, path)) == ("written", [])
        if name == "wal":
            visit(OWNER, partial(write_and_die, path))
            assert (folder / "lab.db-wal").stat().st_size > 0
    yield made
    for folder in made.values():
        shutil.rmtree(folder)


def begin(user: int, act: Callable[[], Any]) -> tuple[int, int]:
    """Fork a process of `user` that runs `act`; return its pid, and a pipe with its result and warnings."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        os.setgid(user)
        os.setuid(user)
        told: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("exptrack").handlers = [handler]
        try:
            result = act()
        except ExptrackError as error:
            result = error
        os.write(writing, pickle.dumps((str(result), told)))
    except BaseException as error:
        os.write(writing, pickle.dumps((f"{type(error).__name__}: {error}", [])))
    os._exit(0)


def end(begun: tuple[int, int]) -> tuple[str, list[str]]:
    pid, reading = begun
    with open(reading, "rb") as pipe:
        content = pipe.read()
    os.waitpid(pid, 0)
    return pickle.loads(content) if content else ("", [])


def visit(user: int, act: Callable[[], Any]) -> tuple[str, list[str]]:
    return end(begin(user, act))


def write(path: Path) -> str:
    with Archive(path) as archive:
        archive.start_run(name="a").complete()
    return "written"


def write_and_die(path: Path) -> None:
    archive = Archive(path)
    archive.start_run(name="a").complete()
    os.kill(os.getpid(), signal.SIGKILL)


def read(path: Path) -> int:
    with Archive(path, mode="ro") as archive:
        return len(archive.list_runs()) if archive.verify().ok else -1


def count_in_copy(path: Path, target: Path) -> int:
    """Count the runs in a copy of the main file alone."""
    shutil.copy(path, target / "copy.db")
    with Archive(target / "copy.db", mode="ro") as archive:
        return len(archive.list_runs())


@pytest.mark.parametrize("file_mode", [0o644, 0o666])
@pytest.mark.parametrize("folder_mode", [0o755, 0o777])
@pytest.mark.parametrize("state", ["folded", "wal", "wal without shm"])
@pytest.mark.parametrize("company", ["alone", "writer", "four"])
def test_a_reader_of_another_user(
    folder: Path,
    left: dict[str, Path],
    tmp_path: Path,
    file_mode: int,
    folder_mode: int,
    state: str,
    company: str,
) -> None:
    path = folder / "lab.db"
    runs = 1 if state == "folded" else 2
    for file in left["folded" if state == "folded" else "wal"].iterdir():
        shutil.copy(file, folder)
        os.chown(folder / file.name, OWNER, OWNER)
        (folder / file.name).chmod(file_mode)
    if state == "wal without shm":
        (folder / "lab.db-shm").unlink()
    folder.chmod(folder_mode)
    writer = begin(OWNER, lambda: _hold(path, folder)) if company == "writer" else None
    if writer is not None:
        while not (folder / "holds").exists():
            time.sleep(0.01)
        runs += 1
    found = [
        end(one) for one in [begin(OTHER, lambda: read(path)) for _ in range(4 if company == "four" else 1)]
    ]
    assert {result for result, _told in found} == {str(runs)}
    if writer is not None:
        (folder / "holds").unlink()
        assert end(writer) == ("left", [])
    told = [message for _result, messages in found for message in messages]
    if count_in_copy(path, tmp_path) < runs:
        assert [message for message in told if f"{path}-wal" in message]
    # The owner is not shut out by files that were made in the reader's name.
    assert visit(OWNER, lambda: write(path)) == ("written", [])
    assert count_in_copy(path, tmp_path) == runs + 1


def _hold(path: Path, folder: Path) -> str:
    with Archive(path) as archive:
        archive.start_run(name="b").complete()
        (folder / "holds").touch()
        while (folder / "holds").exists():
            time.sleep(0.01)
    return "left"


def test_a_reader_without_rights_sees_what_a_writer_stores_meanwhile(folder: Path) -> None:
    path = folder / "lab.db"
    visit(OWNER, lambda: write(path))
    path.chmod(0o644)
    folder.chmod(0o777)

    def watch() -> list[int]:
        with Archive(path, mode="ro") as archive:
            seen = [len(archive.list_runs())]
            (folder / "begun").touch()
            while not (folder / "holds").exists():
                time.sleep(0.01)
            seen.append(len(archive.list_runs()))
            (folder / "begun").unlink()
            while (folder / "holds").exists():
                time.sleep(0.01)
            seen.append(archive.sql("SELECT count(*) FROM runs").rows[0][0])
            return [*seen, len(archive.list_runs())]

    reader = begin(OTHER, watch)
    while not (folder / "begun").exists():
        time.sleep(0.01)
    writer = begin(OWNER, lambda: _hold(path, folder))
    while (folder / "begun").exists():
        time.sleep(0.01)
    (folder / "holds").unlink()
    assert end(writer)[0] == "left"
    assert end(reader) == ("[1, 2, 2, 2]", [])
    assert visit(OWNER, lambda: write(path)) == ("written", [])
