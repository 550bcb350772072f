"""Send real SIGINTs at random moments, also twice in a row, while a process makes every public call.

The tracer of ``interrupts`` raises KeyboardInterrupt between two opcodes; a real signal also comes inside
SQLite, a wait for a lock or a system call. A call that was interrupted did its work whole or not at all, the
next calls succeed, no lock is left behind, and nothing is stored twice.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

from exptrack import Archive, ArchiveError
from tests.faults.deeds import Deeds, import_everything
from tests.faults.judge import judge
from tests.faults.ledger import REFUSED, STUCK, Ledger, expect, read_lines
from tests.faults.tally import Tally, begin, end, kill, sum_tries
from tests.faults.tools import missing_tool

_T = TypeVar("_T")

ROOT = Path(__file__).parent.parent.parent
MODULE = "tests.faults.signals"
WITHIN_S = 60.0
BUSY_S = 2.0  # of calls in one try
LONGEST_PAUSE_S = 0.02
UNDISTURBED = 150  # deeds before the first signal


class Interrupted(Deeds):
    """Deeds whose calls, and nothing but the calls, a signal interrupts: at most twice each."""

    left = 0

    def listen(self) -> None:
        signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self.left > 0:
            self.left -= 1
            raise KeyboardInterrupt

    def call(self, work: Callable[[], _T]) -> _T:
        self.left = 2
        try:
            return work()
        finally:
            self.left = 0


def work(folder: Path, seed: int) -> None:
    os.chdir(folder)
    archive = Archive(folder / "lab.db")
    ledger = Ledger(folder / "one.ledger")
    deeds = Interrupted(archive, ledger, seed)
    import_everything()
    for _ in range(UNDISTURBED):  # an import that is interrupted keeps Python's own lock of imports for ever
        deeds.any()
    deeds.listen()
    print("ready", flush=True)
    until = time.monotonic() + BUSY_S
    while time.monotonic() < until:
        try:
            try:
                deeds.any()
            except KeyboardInterrupt:
                deeds.left = 0
        except KeyboardInterrupt:  # the second signal, before that line
            deeds.left = 0
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdin.read()  # until no more signals come: as it ends, Python lets them end it
    other = sqlite3.connect(archive.path, timeout=5, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    except sqlite3.Error as error:
        ledger.say(STUCK, "the write lock", repr(error))
    other.close()
    deeds.afterwards()


def try_one(seed: int) -> Tally:
    tally = Tally(tries=1)
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp())
    command = [sys.executable, "-m", MODULE, str(folder), str(seed)]
    process = begin(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    until = time.monotonic() + BUSY_S
    while time.monotonic() < until and process.poll() is None:
        process.send_signal(signal.SIGINT)
        if chance.random() < 0.3:
            time.sleep(chance.uniform(0, 0.001))
            process.send_signal(signal.SIGINT)
        time.sleep(chance.uniform(0, LONGEST_PAUSE_S))
    code, said = end(process, WITHIN_S)
    kill(process)
    if code is None:
        tally.blame("hung", said[-2000:])
    elif code != 0:  # what Python says of an interrupt inside a weak reference's callback is no failure
        tally.blame("unreported", f"it ended with {code}: {said[-2000:]}")
    ledger = folder / "one.ledger"
    for what, about, *more in expect(read_lines(ledger))[1]:
        if what == REFUSED and str(more[0]).split(":")[0] in ARCHIVE_ERRORS:
            tally.blame("hung", f"{about}: {more[0]}")
    judge(folder / "lab.db", [ledger], tally)
    shutil.rmtree(folder)
    return tally


def _names_below(kind: type) -> set[str]:
    return {kind.__name__}.union(*(_names_below(one) for one in kind.__subclasses__()))


ARCHIVE_ERRORS = _names_below(ArchiveError)


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    return sum_tries(try_one, tries, seed)


def missing() -> str:
    """Return what this system lacks, or nothing."""
    return missing_tool("signals")


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
