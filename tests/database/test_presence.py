"""A process that cannot be looked up by its pid is known to live by its lock, and to be gone without it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.database import hold, presence
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS
from exptrack.database.presence import has_living_child, is_process_alive, show_presence
from exptrack.process import ProcessIdentity, current_process
from tests.changes import changing

pytestmark = pytest.mark.skipif(not HAS_OPEN_FILE_LOCKS, reason="the system has no open-file locks")

SHOWS = """
import json, sys
from exptrack import process
process._read_namespace = lambda kind: "another container"
from exptrack import Archive
from exptrack.database.presence import show_presence
archive = Archive(sys.argv[1])
assert show_presence(archive._connection)
if sys.argv[2] == "closed":
    archive.close()
print(json.dumps(process.current_process()), flush=True)
sys.stdin.read()
"""


@contextmanager
def begin(path: Path, state: str) -> Iterator[ProcessIdentity]:
    """Start a process that shows itself; it is killed when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", SHOWS, str(path), state],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            yield ProcessIdentity(*json.loads(process.stdout.readline()))
        finally:
            process.kill()


@pytest.mark.parametrize("state", ["open", "closed"])
def test_a_process_lives_until_it_ends(archive: Archive, tmp_path: Path, state: str) -> None:
    connection = archive._connection
    with begin(Path(archive.path), state) as identity:
        assert is_process_alive(connection, identity) is True
    assert is_process_alive(connection, identity) is False


def test_the_kernel_of_another_machine_tells_nothing(archive: Archive) -> None:
    elsewhere = ProcessIdentity("0" * 16, "another-boot", 1, "1")
    assert is_process_alive(archive._connection, elsewhere) is None


def test_a_child_closes_the_descriptor_of_its_parent(archive: Archive) -> None:
    assert show_presence(archive._connection)
    held = archive._connection.current_hold
    assert held is not None
    descriptor = presence._SHOWN[held.main_id]
    child = os.fork()
    if not child:
        try:
            os.fstat(descriptor)
        except OSError:
            os._exit(0 if not presence._SHOWN else 2)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    with changing(archive._connection):
        pass


FORKS = """
import json, multiprocessing, os, sys, time
from exptrack import Archive, process
from exptrack.database.presence import show_presence
archive = Archive(sys.argv[1])
assert show_presence(archive._connection)
identity = process.current_process()

def live():
    os.closerange(3, 256)
    print(json.dumps([identity, os.getpid()]), flush=True)
    time.sleep(600)

if sys.argv[2] == "worker":
    multiprocessing.get_context("fork").Process(target=live, daemon=True).start()
    time.sleep(600)
if sys.argv[2] == "program":
    os.posix_spawn("/bin/sleep", ["sleep", "600"], os.environ)
    print(json.dumps([identity, os.getpid()]), flush=True)
    time.sleep(600)
if os.fork() == 0:
    live()
time.sleep(600)
"""


@pytest.mark.parametrize(("kind", "lives"), [("child", True), ("worker", False), ("program", False)])
def test_a_child_shows_its_parent_unless_the_parent_ends_it(archive: Archive, kind: str, lives: bool) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", FORKS, archive.path, kind], stdout=subprocess.PIPE, start_new_session=True
    )
    with parent:
        try:
            assert parent.stdout is not None
            facts, child = json.loads(parent.stdout.readline())
            identity = ProcessIdentity(*facts)
            connection = archive._connection
            assert has_living_child(connection, identity) is is_process_alive(connection, identity) is True
            parent.kill()
            parent.wait()
            assert is_process_alive(connection, identity) is False
            if lives:
                assert has_living_child(connection, identity)
                os.kill(child, signal.SIGKILL)
            while has_living_child(connection, identity):  # the kernel drops the lock a moment later
                time.sleep(0.005)
        finally:
            os.killpg(parent.pid, signal.SIGKILL)


def test_opening_and_closing_again_and_again_leaves_one_descriptor(tmp_path: Path) -> None:
    counts = []
    for _ in range(4):
        with Archive(tmp_path / "lab.db") as archive:
            archive.start_run().complete()
            assert show_presence(archive._connection)
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts == counts[:1] * 4
    (tmp_path / "lab.db").unlink()
    with Archive(tmp_path / "other.db") as archive:
        archive.start_run().complete()
        assert show_presence(archive._connection)
    assert len(os.listdir("/proc/self/fd")) == counts[0]
    assert not hold.is_open_elsewhere()
    assert current_process().pid == os.getpid()
