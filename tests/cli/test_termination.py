"""SIGTERM ends a command as an error does: what it was making is removed, and the exit code tells."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.termination import Terminated, ended_by_sigterm

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGTERM ends a Windows process at once")

# Runs a command, and sends it the signal as soon as it does something with a draft that is there.
COMMAND = """
import os, signal, sys
sent = []
def watch(event, arguments):
    for one in arguments if not sent else ():
        if isinstance(one, (str, bytes, os.PathLike)) and ".exptrack-" in os.fsdecode(one):
            text = os.fsdecode(one).removeprefix("file:").partition("?")[0]
            if os.path.lexists(text) or os.path.lexists(os.path.join("work", text)):
                sent.append(event)
                os.kill(os.getpid(), signal.SIGTERM)
sys.addaudithook(watch)
from exptrack.cli import main
try:
    main()
finally:
    print(sent, flush=True)
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    with Archive(tmp_path / "lab.db") as archive:
        for number in range(3):
            with archive.start_run({"seed": number}) as run:
                run.log_many("loss", range(100), [1 / (step + 1) for step in range(100)])
                run.artifacts.register_data("weights", os.urandom(50_000))
        archive.pack(tmp_path / "packed.db")
    (tmp_path / "work").mkdir()
    return tmp_path / "lab.db"


@pytest.mark.parametrize(
    "words",
    [
        "snapshot work/out.db",
        "pack work/out.db",
        "extract work/out.db --where config.seed=1",
        "unpack packed.db work/out.db",
        "salvage lab.db work/out.db",
        "ui --export work/out.html",
        "report work/out.html",
    ],
)
def test_a_command_that_is_terminated_leaves_no_file_behind(lab: Path, words: str) -> None:
    before = sorted(one.name for one in lab.parent.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "--db", "lab.db", *words.split()],
        cwd=lab.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "[]" not in done.stdout, (done.stdout, done.stderr)
    assert done.returncode == 128 + signal.SIGTERM, (done.stdout, done.stderr)
    assert done.stderr == ""
    assert list((lab.parent / "work").iterdir()) == []
    assert sorted(one.name for one in lab.parent.iterdir()) == before
    with Archive(lab) as archive:
        assert archive.verify().ok


def test_only_the_first_signal_is_heard() -> None:
    done = []
    with pytest.raises(Terminated) as caught, ended_by_sigterm():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("cleaned up")
    assert (caught.value.code, done) == (143, ["cleaned up"])
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_that_is_there_stays() -> None:
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    try:
        with ended_by_sigterm():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]
