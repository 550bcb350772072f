"""Fork again and again, from two threads, while three others use the archive and a visitor comes and goes.

Each child, and each grandchild, logs to the run of its parent, makes a run of its own, or reads. Meanwhile the
main file and its ``-shm`` are copied: by the visitor, or by a thread of the forking process. A fork that meets
such a copy makes a child in which SQLite is not safe: what it logs is kept all the same, and every other call
says so. No child hangs, and what any process was told is there once.
"""

from __future__ import annotations

import faulthandler
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path

from exptrack import Archive, Run
from tests.faults.deeds import Deeds, import_everything
from tests.faults.judge import judge
from tests.faults.ledger import REFUSED, STUCK, Ledger, expect, read_lines
from tests.faults.tally import Tally, begin, end, kill, sum_tries
from tests.faults.tools import missing_tool

ROOT = Path(__file__).parent.parent.parent
MODULE = "tests.faults.forks"
BUSY_S = 3.0
CHILD_S = 20.0  # of two loaded cores; a child takes 0.1 s
WITHIN_S = 90.0
LONGEST_S = 120.0
THREADS, FORKERS = 3, 2
CALLS = 4  # of a child
LEDGER_BYTES = 2 << 20
SHARED = "shared"  # the run to which all processes log
NUMBERS = 10_000  # of the calls of one process on the shared run

VISIT = """
import shutil, sqlite3, sys, time
path, copies = sys.argv[1], sys.argv[2] == "outside"
while True:
    visitor = sqlite3.connect(path, timeout=5)
    try:
        visitor.execute("SELECT count(*) FROM run").fetchall()
        for ending in ("", "-shm") if copies else ():
            shutil.copyfile(path + ending, path + ".copy")
    except (sqlite3.OperationalError, FileNotFoundError):
        pass
    visitor.close()
    time.sleep(0.01)
"""


class Storm:
    """The processes of one try: the one that begins it, and all that are forked from it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.archive = Archive(folder / "lab.db")
        self.run: Run = self.archive.start_run(name=SHARED)

    def deeds(self, name: str, number: int) -> Deeds:
        ledger = Ledger(self.folder / f"{name}.ledger", LEDGER_BYTES)
        return Deeds(self.archive, ledger, self.seed * 1000 + number, prefix=f"{name}-")

    def shared(self, deeds: Deeds, number: int) -> Deeds:
        """Let the deeds go to the shared run, with numbers that no other process uses."""
        deeds.run, deeds.name = self.run, SHARED
        deeds._count = number * NUMBERS
        return deeds

    # Children

    def fork(self, name: str, number: int, depth: int) -> int:
        """Fork a child that uses the archive and ends; return its process id."""
        if depth == 0:
            faulthandler.cancel_dump_traceback_later()  # a copy of its locks would hang the grandchild
        pid = os.fork()
        if depth == 0 or pid == 0:
            faulthandler.dump_traceback_later(CHILD_S, exit=True)
        if pid:
            return pid
        code = 1
        try:
            self.live(name, number, depth)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def live(self, name: str, number: int, depth: int) -> None:
        deeds = self.deeds(name, number)
        chance = deeds.chance
        heirs = (
            [self.fork(f"{name}-g", number + NUMBERS // 2, depth - 1)]
            if depth and chance.random() < 0.4
            else []
        )
        part = chance.choice(["log", "own", "read", "log"])
        if part == "log":
            self.shared(deeds, number)
            calls = [
                deeds.log,
                deeds.log_metric,
                deeds.log_many,
                deeds.tag,
                deeds.note,
                deeds.flush,
                deeds.put_text,
            ]
            for _ in range(CALLS):
                chance.choice(calls)()
        elif part == "own":
            deeds.start()
            for _ in range(CALLS):
                deeds.any()
        else:
            for _ in range(CALLS):
                deeds.read()
        for pid in heirs:
            self.wait(pid, f"the grandchild {name}-g", deeds.ledger)

    def wait(self, pid: int, what: str, ledger: Ledger) -> None:
        """Wait for the end of a child, for a bounded time."""
        limit = time.monotonic() + 2 * CHILD_S
        while True:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                break
            if time.monotonic() > limit:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
                ledger.say(STUCK, what, "it did not end")
                return
            time.sleep(0.002)
        if status:
            ledger.say(STUCK, what, f"it ended with {os.waitstatus_to_exitcode(status)}")

    # Threads of the first process

    def go_on(self, name: str, number: int, until: float) -> None:
        deeds = self.deeds(name, number)
        deeds.start()
        while time.monotonic() < until:
            deeds.any()

    def log_to_shared(self, name: str, number: int, until: float) -> None:
        deeds = self.shared(self.deeds(name, number), number)
        while time.monotonic() < until:
            deeds.chance.choice(
                [deeds.log, deeds.log_metric, deeds.tag, deeds.flush, deeds.log_many, deeds.read]
            )()

    def fork_on(self, name: str, number: int, until: float) -> None:
        ledger = Ledger(self.folder / f"{name}.ledger", LEDGER_BYTES)
        while time.monotonic() < until:
            pids = []
            for _ in range(2):
                number += 10
                pids.append(self.fork(f"{name}-{number}", number, 1))
            for pid in pids:
                self.wait(pid, f"a child of {name}", ledger)

    def copy_on(self, until: float) -> None:
        path = self.folder / "lab.db"
        while time.monotonic() < until:
            for ending in ("", "-shm"):
                with suppress(FileNotFoundError):
                    shutil.copyfile(f"{path}{ending}", f"{path}.copy")
            time.sleep(0.02)


def work(folder: Path, seed: int, busy_s: float) -> None:
    """Use the archive in threads, and fork from others."""
    import_everything()  # an import in a thread, under way at a fork, locks the module in the child
    storm = Storm(folder, seed)
    until = time.monotonic() + busy_s
    parts = [(storm.go_on, (f"t{number}", number, until)) for number in range(1, THREADS)]
    parts.append((storm.log_to_shared, ("shared", THREADS, until)))
    parts += [(storm.fork_on, (f"f{number}", number, until)) for number in range(FORKERS)]
    if copies_of(seed) == "inside":
        parts.append((storm.copy_on, (until,)))
    threads = [threading.Thread(target=part, args=given) for part, given in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    storm.run.complete()
    storm.deeds("main", 0).afterwards()


def copies_of(seed: int) -> str:
    return random.Random(seed).choice(["inside", "outside"])


def is_told(copies: str, error: str) -> bool:
    """Whether a call may be refused so: the forking process copies, and so drops locks or taints a child."""
    return copies == "inside" and (error.startswith("ForkUnsafeError") or "was dropped while" in error)


def try_one(seed: int, busy_s: float = BUSY_S) -> Tally:
    tally = Tally(tries=1)
    folder = Path(tempfile.mkdtemp())
    copies = copies_of(seed)
    Archive(folder / "lab.db").close()
    visitor = begin([sys.executable, "-S", "-c", VISIT, str(folder / "lab.db"), copies])
    command = [sys.executable, "-m", MODULE, str(folder), str(seed), str(busy_s)]
    process = begin(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    code, said = end(process, WITHIN_S)
    if visitor.poll() is not None:
        tally.blame("unreported", "the visitor could not read the archive")
    kill(visitor)
    if code is None:
        tally.blame("hung", said[-3000:])
    elif code != 0 or "Traceback" in said or "most recent call first" in said:
        tally.blame("unreported", f"it ended with {code}: {said[-3000:]}")
    ledgers = sorted(folder.glob("*.ledger"))
    for ledger in ledgers:
        for what, about, *more in expect(read_lines(ledger))[1]:
            if what == REFUSED and not is_told(copies, str(more[0])):
                tally.blame("hung", f"{ledger.stem}: {about}: {more[0]}")
    judge(folder / "lab.db", ledgers, tally)
    tally.notes = [f"copies {copies}: {note}" for note in tally.notes]
    shutil.rmtree(folder)
    return tally


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    return sum_tries(try_one, tries, seed)


def missing() -> str:
    """Return what this system lacks, or nothing."""
    return missing_tool("forks")


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
