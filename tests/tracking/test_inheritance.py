"""A run follows the living: a forked child goes on with it once the process that started it has gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from exptrack import Archive, Run, RunBusyError, RunStatus
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
needs_locks = pytest.mark.skipif(not HAS_OPEN_FILE_LOCKS, reason="the system has no open file locks")

# say(word) tells the test how far the script is; await_word(word) waits for the test.
HEAD = """
import multiprocessing, os, sys, time, exptrack
from pathlib import Path

def say(word):
    Path(word).write_text(str(os.getpid()))

def await_word(word):
    while not Path(word).exists():
        time.sleep(0.005)

def become_daemon(leave=lambda: os._exit(0)):
    if os.fork():
        leave()
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 256)

archive = exptrack.Archive("lab.db")
"""


class Script:
    """A script that runs in a folder of its own, and what its processes say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "lab.db"
        self.pids: list[int] = []

    def run(self, code: str) -> int:
        """Run the code until its first process ends; return its exit code."""
        with open(self.folder / "errors", "wb") as errors:
            done = subprocess.run([sys.executable, "-c", HEAD + code], cwd=self.folder, stderr=errors)
        return done.returncode

    def say(self, word: str) -> None:
        (self.folder / word).touch()

    def await_word(self, word: str) -> int:
        """Wait for a process of the script to say the word; return its pid once it has."""
        deadline = time.monotonic() + 30
        while not (self.folder / word).exists() or not (self.folder / word).read_text():
            assert time.monotonic() < deadline, (self.folder / "errors").read_text()
            time.sleep(0.005)
        pid = int((self.folder / word).read_text())
        self.pids.append(pid)
        return pid

    def await_end(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            while Path(f"/proc/{pid}").exists() if os.path.exists("/proc") else os.kill(pid, 0) is None:
                time.sleep(0.005)

    def only_run(self) -> tuple[Archive, Run]:
        archive = Archive(self.path)
        (found,) = archive.list_runs()
        return archive, archive.get_run(found.run_id)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    made = Script(tmp_path)
    yield made
    for pid in made.pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kinds(run: Run) -> list[str]:
    return [event.kind for event in run.read_events()]


@needs_locks
def test_a_daemon_keeps_the_run_that_it_started_before_it_forked(script: Script) -> None:
    script.run("""
run = archive.start_run()
run.log({"loss": 1.0})
run.log({"loss": 0.9})
become_daemon()
say("away")
await_word("go")
for step in range(50):
    run.log({"loss": 0.5})
say("logged")
await_word("end")
run.complete()
archive.close()
say("done")
""")
    script.await_word("away")
    archive, run = script.only_run()  # opens for writing, and would mark what is dead
    with archive:
        assert run.status == RunStatus.RUNNING
        assert [point.value for point in run.get_metric("loss")] == [1.0, 0.9]
        with pytest.raises(RunBusyError, match="forked from"):
            archive.resume_run(run.run_id)
    script.say("go")
    script.await_word("logged")
    with Archive(script.path) as archive:
        assert archive.show_run(run.run_id).summary.status == RunStatus.RUNNING
    script.say("end")
    script.await_end(script.await_word("done"))
    archive, run = script.only_run()
    with archive:
        assert run.status == RunStatus.COMPLETED
        assert [point.step for point in run.get_metric("loss")] == list(range(52))
        assert kinds(run) == ["start", "inherit", "end"]
        assert archive.verify().problems == ()
    assert sorted(path.name for path in script.folder.iterdir() if path.name.startswith("lab")) == ["lab.db"]


@needs_locks
def test_a_script_that_ends_hands_its_run_to_a_child(script: Script) -> None:
    script.run("""
run = archive.start_run()
if os.fork() == 0:
    say("child")
    await_word("go")
    run.add_note("from the child")
    sys.exit()
""")
    child = script.await_word("child")
    archive, run = script.only_run()
    with archive:
        assert (run.status, kinds(run)) == (RunStatus.RUNNING, ["start", "hand over"])
    script.say("go")
    script.await_end(child)
    archive, run = script.only_run()
    with archive:
        assert kinds(run) == ["start", "hand over", "note", "inherit", "end"]
        assert run.status == RunStatus.INTERRUPTED
        assert "without complete()" in (archive.show_run(run.run_id).summary.reason or "")


@needs_locks
@pytest.mark.parametrize(
    ("last", "status"), [("pass", "completed"), ("raise ValueError(run.run_id)", "failed")]
)
def test_the_block_ends_the_run_in_the_process_that_is_left(script: Script, last: str, status: str) -> None:
    script.run(f"""
with archive.start_run() as run:
    become_daemon(sys.exit)
    say("away")
    await_word("go")
    {last}
""")
    daemon = script.await_word("away")
    archive, run = script.only_run()
    with archive:
        assert run.status == RunStatus.RUNNING
    script.say("go")
    script.await_end(daemon)
    archive, run = script.only_run()
    with archive:
        assert run.status == status


def test_an_exception_in_the_parent_fails_the_run(script: Script) -> None:
    script.run("""
with archive.start_run() as run:
    if os.fork() == 0:
        say("child")
        await_word("never")
    await_word("child")
    raise ValueError("diverged")
""")
    script.await_word("child")
    archive, run = script.only_run()
    with archive:
        assert run.status == RunStatus.FAILED


@needs_locks
def test_the_last_of_several_children_ends_the_run(script: Script) -> None:
    script.run("""
with archive.start_run() as run:
    for name in ("a", "b"):
        if os.fork() == 0:
            say(name)
            await_word(f"go {name}")
            run.log({name: 1.0})
            break
    else:
        await_word("a")
        await_word("b")
        os._exit(0)
""")
    a, b = script.await_word("a"), script.await_word("b")
    script.say("go a")
    script.await_end(a)
    archive, run = script.only_run()
    with archive:
        assert run.status == RunStatus.RUNNING
        assert run.get_last_metric("a") is not None
    script.say("go b")
    script.await_end(b)
    archive, run = script.only_run()
    with archive:
        assert run.status == RunStatus.COMPLETED
        assert run.get_last_metric("b") is not None
        assert archive.verify().problems == ()


@needs_locks
def test_a_run_whose_last_child_is_killed_is_interrupted(script: Script) -> None:
    script.run("""
run = archive.start_run()
become_daemon()
run.log({"loss": 1.0})
say("away")
await_word("never")
""")
    daemon = script.await_word("away")
    os.kill(daemon, signal.SIGKILL)
    script.await_end(daemon)
    archive, run = script.only_run()
    with archive:
        assert run.status == RunStatus.INTERRUPTED
        assert [point.value for point in run.get_metric("loss")] == [1.0]
        assert archive.verify().problems == ()


def test_workers_of_a_pool_that_lost_its_parent_keep_no_run(script: Script) -> None:
    script.run("""
run = archive.start_run()
def work(number):
    say(f"worker {number}")
    await_word("never")
pool = multiprocessing.get_context("fork").Pool(2)
pool.map_async(work, range(2))
await_word("worker 0")
await_word("worker 1")
os._exit(0)
""")
    script.await_word("worker 0")
    script.await_word("worker 1")
    archive, run = script.only_run()
    with archive:
        assert run.status == RunStatus.INTERRUPTED


def test_the_end_of_the_block_completes_the_run_beside_the_workers_of_a_pool(script: Script) -> None:
    code = script.run("""
def work(number):
    run.log({f"worker {number}": 1.0})
    say(f"worker {number}")
    await_word("never")
with archive.start_run() as run:
    pool = multiprocessing.get_context("fork").Pool(2)
    pool.map_async(work, range(2))
    await_word("worker 0")
    await_word("worker 1")
    sys.exit(0)
""")
    archive, run = script.only_run()
    with archive:
        assert (code, run.status) == (0, RunStatus.COMPLETED)
        assert run.get_last_metric("worker 1") is not None


def test_a_run_taken_for_dead_is_reopened_by_the_child_that_logs(script: Script) -> None:
    # As where the system has no such locks.
    script.run("""
from exptrack.database import presence
from exptrack.metrics import journal_locks
journal_locks.HAS_OPEN_FILE_LOCKS = presence.HAS_OPEN_FILE_LOCKS = False
run = archive.start_run()
run.log({"loss": 1.0})
become_daemon()
say("away")
await_word("go")
run.log({"loss": 0.5})
say("logged")
await_word("end")
run.complete()
""")
    daemon = script.await_word("away")
    archive, run = script.only_run()
    with archive:
        assert run.status == RunStatus.INTERRUPTED
    script.say("go")
    script.await_word("logged")
    with Archive(script.path) as archive:
        assert archive.get_run(run.run_id).status == RunStatus.RUNNING
    script.say("end")
    script.await_end(daemon)
    archive, run = script.only_run()
    with archive:
        assert run.status == RunStatus.COMPLETED
        assert kinds(run) == ["start", "end", "resume", "inherit", "end"]
        assert [point.step for point in run.get_metric("loss")] == [0, 1]
        assert archive.verify().problems == ()


@needs_locks
def test_a_run_of_which_a_silent_child_lives_can_be_taken_over(script: Script) -> None:
    script.run("""
run = archive.start_run()
become_daemon()
say("away")
await_word("never")
""")
    script.await_word("away")
    archive, run = script.only_run()
    with archive:
        with archive.resume_run(run.run_id, take_over=True) as resumed:
            resumed.log({"loss": 1.0})
        assert run.status == RunStatus.COMPLETED


@needs_locks
def test_a_program_that_a_forked_child_executes_keeps_no_run(script: Script) -> None:
    script.run("""
run = archive.start_run()
if os.fork() == 0:
    say("child")
    await_word("executes")
    os.execv(sys.executable, [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"])
await_word("child")
os._exit(0)
""")
    child = script.await_word("child")
    script.say("executes")
    while b"become_daemon" in Path(f"/proc/{child}/cmdline").read_bytes():  # of the script
        time.sleep(0.005)
    archive, run = script.only_run()
    with archive:
        assert run.status == RunStatus.INTERRUPTED


@needs_locks
def test_a_journal_that_was_deleted_after_the_fork_does_not_make_the_run_a_dead_one(script: Script) -> None:
    script.run("""
run = archive.start_run()
run.log({"loss": 1.0})
if os.fork() == 0:
    say("forked")
    await_word("go")
    run.log({"loss": 0.5})
    run.complete()
    archive.close()
    say("done")
    os._exit(0)
await_word("forked")
journal = Path(run._writer.journal.path)
journal.unlink()
while not journal.exists():  # the parent writes it again, as another file
    run.log({"loss": 0.9})
    time.sleep(0.01)
os._exit(0)
""")
    script.await_word("forked")
    archive, run = script.only_run()
    with archive:
        assert run.status == RunStatus.RUNNING
        script.say("go")
        script.await_end(script.await_word("done"))
        assert run.status == RunStatus.COMPLETED
        values = [point.value for point in run.get_metric("loss")]
        assert (values[0], values[-1], set(values)) == (1.0, 0.5, {1.0, 0.9, 0.5})
        assert archive.verify().problems == ()
