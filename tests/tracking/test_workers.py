"""Workers of every kind log to the run of their parent: nothing is lost or doubled, and nothing hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import Archive, RunStatus

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")

# note(worker, step) is written behind a log call that has returned.
HEAD = """
import asyncio, concurrent.futures, multiprocessing, os, signal, subprocess, sys, threading, time, exptrack

archive = exptrack.Archive("lab.db")

def note(worker, step):
    noted = os.open("noted", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(noted, f"{worker} {step}\\n".encode())
    os.close(noted)

def log(run, worker, steps):
    for step in steps:
        run.log({f"worker/{worker}": float(step)}, step=step)
        note(worker, step)

def await_notes(count):
    while not os.path.exists("noted") or open("noted").read().count("\\n") < count:
        time.sleep(0.005)
"""
STEPS = 25


def run_script(folder: Path, code: str, status: RunStatus = RunStatus.COMPLETED) -> dict[str, list[int]]:
    """Run a script, and check what its workers logged against what they noted; return the steps of each."""
    ended = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", HEAD + code],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr
    noted: dict[str, list[int]] = {}
    for line in (folder / "noted").read_text().splitlines():
        worker, _space, step = line.rpartition(" ")
        noted.setdefault(f"worker/{worker}", []).append(int(step))
    with Archive(folder / "lab.db") as archive:
        (found,) = archive.list_runs()
        assert found.status == status, found.reason
        run = archive.get_run(found.run_id)
        stored = {name: [point.step for point in run.get_metric(name)] for name in noted}
        for name, steps in noted.items():
            # The last call of a worker that was ended may be stored although it had not returned.
            assert stored[name] in (sorted(steps), [*sorted(steps), max(steps) + 1]), name
        assert archive.verify().problems == ()
    assert sorted(file.name for file in folder.iterdir() if file.name.startswith("lab")) == ["lab.db"]
    return stored


@pytest.mark.parametrize("kind", ["process pool", "multiprocessing pool"])
def test_forked_workers_of_a_pool(tmp_path: Path, kind: str) -> None:
    """The run is inherited, not pickled; the parent logs meanwhile."""
    begin = {
        "process pool": "concurrent.futures.ProcessPoolExecutor(3, multiprocessing.get_context('fork'))",
        "multiprocessing pool": "multiprocessing.get_context('fork').Pool(3)",
    }[kind]
    found = run_script(
        tmp_path,
        f"""
with archive.start_run() as run:
    def work(worker):
        log(run, worker, range({STEPS}))
        return worker
    log(run, "parent", range(10))
    with {begin} as pool:
        answers = pool.map(work, range(6))
        log(run, "parent", range(10, 100))
        assert list(answers) == list(range(6))
""",
    )
    assert len(found) == 7


def test_a_function_that_runs_between_fork_and_exec(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
with archive.start_run() as run:
    log(run, "parent", range(10))
    for worker in range(3):
        subprocess.run(["true"], preexec_fn=lambda: log(run, worker, range(5)), check=True)
        log(run, "parent", range(10 * worker + 10, 10 * worker + 20))
""",
    )


def test_a_child_at_a_terminal_of_its_own(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
with archive.start_run() as run:
    log(run, "parent", range(10))
    child, terminal = os.forkpty()
    if child == 0:
        log(run, "child", range(10))
        os._exit(0)
    log(run, "parent", range(10, 60))
    assert os.waitpid(child, 0)[1] == 0
    os.close(terminal)
""",
    )


@pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit(0)"])
def test_a_child_forked_inside_an_event_loop(tmp_path: Path, leave: str) -> None:
    """With ``sys.exit`` the child leaves the loop and the block, and its interpreter ends in order."""
    run_script(
        tmp_path,
        f"""
async def train(run):
    side = asyncio.create_task(log_aside(run))
    child = os.fork()
    if child == 0:
        log(run, "child", range(10))
        {leave}
    log(run, "parent", range(10))
    await side
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        await asyncio.sleep(0.005)

async def log_aside(run):
    for step in range(20):
        log(run, "task", [step])
        await asyncio.sleep(0)

with archive.start_run() as run:
    asyncio.run(train(run))
""",
    )


def test_sigterm_ends_a_child_that_a_thread_has_forked(tmp_path: Path) -> None:
    run_script(
        tmp_path,
        """
ended = []

def fork():
    child = os.fork()
    if child == 0:
        log(run, "child", range(10**6))
    await_notes(40)
    os.kill(child, signal.SIGTERM)
    ended.append(os.waitpid(child, 0)[1])

with archive.start_run() as run:
    thread = threading.Thread(target=fork)
    thread.start()
    log(run, "parent", range(30))
    thread.join()
    assert ended == [signal.SIGTERM], ended
""",
    )


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_pool_that_is_terminated_while_its_workers_log(tmp_path: Path, method: str) -> None:
    """As a DataLoader ends its workers: they are killed amid their calls, again and again."""
    (tmp_path / "work.py").write_text(
        HEAD.replace('archive = exptrack.Archive("lab.db")', "")
        + "\ndef work(job):\n    log(*job, range(10**6))\n"
    )
    run_script(
        tmp_path,
        f"""
sys.path.insert(0, "")
from work import work
if __name__ == "__main__":
    with archive.start_run() as run:
        for epoch in range(2):
            pool = multiprocessing.get_context({method!r}).Pool(3)
            pool.map_async(work, [(run, f"{{epoch}}-{{worker}}") for worker in range(3)], chunksize=1)
            await_notes(60 * (epoch + 1))
            pool.terminate()
            pool.join()
        log(run, "parent", range(10))
""",
    )


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_the_workers_run_is_that_of_the_parent_by_every_pickle(tmp_path: Path, method: str) -> None:
    """The parent logs meanwhile; a worker raises an error that its parent gets."""
    (tmp_path / "work.py").write_text(
        HEAD.replace('archive = exptrack.Archive("lab.db")', "")
        + f"""
def work(job):
    run, worker = job
    with run:
        log(run, worker, range({STEPS}))
    if worker == 2:
        raise exptrack.RunFinishedError(run.run_id, "completed")
    return run.run_id
"""
    )
    found = run_script(
        tmp_path,
        f"""
sys.path.insert(0, "")
from work import work
if __name__ == "__main__":
    with archive.start_run() as run:
        with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context({method!r})) as pool:
            jobs = [pool.submit(work, (run, worker)) for worker in range(3)]
            log(run, "parent", range(200))
            assert [job.result() for job in jobs[:2]] == [run.run_id] * 2
            assert isinstance(jobs[2].exception(), exptrack.RunFinishedError)
""",
    )
    assert sorted(map(len, found.values())) == [STEPS] * 3 + [200]
