"""A program that closes every descriptor of the process, as daemonizers do, ends neither a run nor the archive.

Each script runs in a process of its own: it closes the descriptors of whatever else is in its process too.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS

pytestmark = pytest.mark.skipif(not HAS_OPEN_FILE_LOCKS, reason="the system has no open-file locks")

BEGIN = """
import os, sys, threading
from pathlib import Path
import exptrack

folder = Path(sys.argv[1])
taken = []

def close_all(*, take):
    # Closes what is open, and gives the numbers to files of the user.
    os.closerange(3, 10**6)
    for number in range(40 if take else 0):
        path = folder / f"user-{len(taken)}-{number}"
        taken.append(path)
        os.write(os.open(path, os.O_RDWR | os.O_CREAT), b"mine")

archive = exptrack.Archive(folder / "lab.db")
run = archive.start_run()
run.add_tag("begun")
run.log_metric("x", 0.0)
archive.list_runs()
"""

END = """
run.complete()
archive.close()
assert all(path.read_bytes() == b"mine" for path in taken), "a file of the user's was written"
"""

CHANGES = """
for take in (True, False, True):
    close_all(take=take)
    run.add_tag(f"t{len(taken)}")
    close_all(take=take)
    run.log_metric("x", 1.0)
    run.flush()
    close_all(take=take)
    assert len(archive.list_runs()) == 1
    close_all(take=take)
    assert archive.get_run(run.run_id).tags[0] == "begun"
    thread = threading.Thread(target=run.add_tag, args=("thread",))
    thread.start()
    thread.join()
"""

IN_A_CHILD = f"""
child = os.fork()
if not child:
    {CHANGES.strip().replace(chr(10), chr(10) + "    ")}
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
run.add_tag("parent")
"""

AT_THE_END = """
close_all(take=True)
run.add_tag("last")
run.complete()
close_all(take=True)
archive.close()
"""

IN_A_TRANSACTION = """
connection = archive._connection

def change():
    with connection.transaction():
        connection.execute("INSERT INTO metric_name (name) VALUES ('inside')")
        if not taken:
            close_all(take=True)

connection.section(change)
assert connection.value("SELECT count(*) FROM metric_name WHERE name = 'inside'") == 1
"""

BY_ANOTHER_OBJECT = """
other = exptrack.Archive(folder / "lab.db")
close_all(take=True)
third = exptrack.Archive(folder / "lab.db")
third.get_run(run.run_id).add_tag("third")
run.add_tag("first")
other.get_run(run.run_id).add_tag("other")
close_all(take=True)
other.close()
third.close()
run.add_tag("again")
"""

BEFORE_A_FORK = """
close_all(take=True)
child = os.fork()
if not child:
    run.add_tag("child")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""

AMID_A_COMMIT = """
from exptrack.database import hold
ask_lock = hold.ask_lock

def close_and_ask(*arguments):
    # The look at the descriptors is over, and the commit not yet begun.
    if not closed:
        closed.append(True)
        close_all(take={take})
    return ask_lock(*arguments)

closed = []
hold.ask_lock = close_and_ask
run.add_tag("amid")
assert closed
"""


@pytest.mark.parametrize(
    ("script", "tags"),
    [
        pytest.param(CHANGES + END, {"begun", "t40", "t160", "thread"}, id="changes"),
        pytest.param(IN_A_CHILD + END, {"begun", "t40", "thread", "parent"}, id="in-a-child"),
        pytest.param(AT_THE_END, {"begun", "last"}, id="at-the-end"),
        pytest.param(IN_A_TRANSACTION + END, {"begun"}, id="in-a-transaction"),
        pytest.param(
            BY_ANOTHER_OBJECT + END, {"begun", "first", "other", "third", "again"}, id="other-objects"
        ),
        pytest.param(BEFORE_A_FORK + END, {"begun", "child"}, id="before-a-fork"),
        pytest.param(AMID_A_COMMIT.replace("{take}", "False") + END, {"begun", "amid"}, id="amid-a-commit"),
        pytest.param(
            AMID_A_COMMIT.replace("{take}", "True") + END, {"begun", "amid"}, id="amid-a-commit-taken"
        ),
    ],
)
def test_everything_goes_on_and_no_file_of_the_user_is_touched(
    tmp_path: Path, script: str, tags: set[str]
) -> None:
    done = subprocess.run([sys.executable, "-c", BEGIN + script, str(tmp_path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.glob("lab.db*")] == ["lab.db"]
    with Archive(tmp_path / "lab.db") as archive:
        (run,) = archive.list_runs()
        assert run.status == "completed"
        assert tags <= set(run.tags)
        assert archive.verify().problems == ()


BESIDE_THE_USERS = """
import sqlite3
own = sqlite3.connect(folder / "lab.db")
own.execute("SELECT count(*) FROM run").fetchall()
close_all(take=False)
try:
    run.add_tag("refused")
except exptrack.ArchiveIOError as error:
    print(error)
os._exit(0)
"""


def test_beside_a_connection_of_the_users_nothing_more_is_acknowledged(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BEGIN + BESIDE_THE_USERS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert str(tmp_path / "lab.db") in done.stdout, done.stderr
    with Archive(tmp_path / "lab.db") as archive:
        (run,) = archive.list_runs()
        assert run.tags == ("begun",)
        assert [point.value for point in archive.get_run(run.run_id).get_metric("x")] == [0.0]
        assert archive.verify().problems == ()
