"""A run ends by what reached the script: signals, cancellations, prompts; forked workers end as without it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exptrack import Archive, RunStatus


@pytest.fixture
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_ctrl_c_under_asyncio_interrupts_the_run(archive: Archive) -> None:
    async def train() -> None:
        with archive.start_run(name="coroutine"):
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            await asyncio.sleep(20)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(train())
    (run,) = archive.list_runs()
    assert run.status == RunStatus.INTERRUPTED


TERMINATED = """
import asyncio, os, signal, exptrack
async def train():
    with exptrack.Archive("lab.db").start_run():
        asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)
        await asyncio.sleep(20)
asyncio.run(train())
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGTERM ends a Windows process at once")
def test_sigterm_under_asyncio_interrupts_the_run(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", TERMINATED], cwd=tmp_path, timeout=60)
    assert done.returncode == 128 + signal.SIGTERM
    with Archive(tmp_path / "lab.db") as archive:
        (run,) = archive.list_runs()
    assert (run.status, run.reason) == (RunStatus.INTERRUPTED, "terminated by SIGTERM")


def test_a_cancelled_task_interrupts_its_run(archive: Archive) -> None:
    async def train() -> None:
        with archive.start_run():
            await asyncio.sleep(20)

    async def main() -> None:
        task = asyncio.create_task(train())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    (run,) = archive.list_runs()
    assert (run.status, run.reason) == (RunStatus.INTERRUPTED, "cancelled from outside")


def test_a_closed_generator_interrupts_its_run(archive: Archive) -> None:
    def train() -> Iterator[int]:
        with archive.start_run():
            yield 1

    steps = train()
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    (run,) = archive.list_runs()
    assert run.status == RunStatus.INTERRUPTED


def test_a_handler_that_the_script_installs_inside_the_block_stays(archive: Archive, handler: None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def own(_number: int, _frame: object) -> None:
        pass

    with archive.start_run():
        signal.signal(signal.SIGTERM, own)
    assert signal.getsignal(signal.SIGTERM) is own


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_sigterm_ends_a_forked_worker_as_without_exptrack(archive: Archive, handler: None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with archive.start_run():
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(20,))
        worker.start()
        time.sleep(0.2)
        worker.terminate()
        worker.join(10)
    assert worker.exitcode == -signal.SIGTERM


def test_an_error_in_an_earlier_cell_says_nothing_about_a_run(tmp_path: Path) -> None:
    cells = "typo\nimport exptrack\nrun = exptrack.start_run()\nrun.log({'loss': 1.0})\nexit()\n"
    subprocess.run([sys.executable, "-i", "-q"], input=cells, cwd=tmp_path, capture_output=True, text=True)
    with Archive(tmp_path / "exptrack.db") as archive:
        (run,) = archive.list_runs()
    assert run.status == RunStatus.INTERRUPTED
    assert "typo" not in (run.reason or "")


def test_only_an_error_that_ended_the_script_ends_its_run(tmp_path: Path) -> None:
    """A console inside the script leaves its errors in `sys`, as a test runner does."""
    begin = "import code, exptrack, sys\nrun = exptrack.start_run()\n"
    console = "code.InteractiveInterpreter().runsource('typo')\n"
    (tmp_path / "dies.py").write_text(f"{begin}{console}def last():\n    1 / 0\nlast()\n")
    (tmp_path / "goes_on.py").write_text(f"{begin}{console}assert sys.last_value\n")
    for words in (["goes_on.py"], ["-m", "goes_on"], ["dies.py"], ["-m", "dies"]):
        subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True)
    with Archive(tmp_path / "exptrack.db") as archive:
        ended = [(run.status, (run.reason or "").partition(":")[0]) for run in archive.list_runs()]
    unfinished = "the script ended without complete() or fail(); start the run in a 'with' block"
    died, went_on = (RunStatus.FAILED, "ZeroDivisionError"), (RunStatus.INTERRUPTED, unfinished)
    assert ended == [died, died, went_on, went_on]
