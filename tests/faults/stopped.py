"""Stop a process with SIGSTOP while it holds a lock, and let others write, open and read beside it.

The process stops inside a transaction, inside the snapshot of a reader, or wherever it happens to be while it
checkpoints, logs or makes any call. Others wait, or raise an ArchiveLockedError; `log` raises nothing. Nobody
takes the stopped process for dead, and it goes on as if nothing had been.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from exptrack import Archive
from tests.faults.deeds import Deeds, import_everything
from tests.faults.ledger import RAW, Ledger
from tests.faults.onlookers import WITHIN_S, begin_onlookers, begin_ready, end_all, is_over, stay
from tests.faults.tally import Tally, sum_tries
from tests.faults.tools import missing_tool

MODULE = "tests.faults.stopped"
STOPPED_S = (1.0, 4.0)
PARTS = ("transaction", "snapshot", "checkpoint", "log_all_the_time", "any")
STOP_ITSELF = PARTS[:2]


class Stopping(Deeds):
    """Deeds of a process that is to be stopped."""

    def transaction(self) -> None:
        """Stop between two changes of one transaction."""
        run, name, tag = self.run, self.name, f"t{self.next()}"
        if run is None:
            return
        connection = self.archive._connection

        def change() -> None:
            with connection.transaction():
                run.add_tag(tag)
                _stop()
                run.append_event("mark", {"number": number})

        number = self.next()
        states = {f"tag {name}/{tag}": "there", f"event {name}/{number}": "there"}
        self.act(states, lambda: connection.section(change))

    def snapshot(self) -> None:
        """Stop between two questions of one reading: neither answer has what others write meanwhile."""
        connection = self.archive._connection

        def ask_twice() -> tuple[object, object]:
            first = connection.value("SELECT count(*) FROM event", ())
            _stop()
            return first, connection.value("SELECT count(*) FROM event", ())

        answers = self.act({}, lambda: connection.reading(ask_twice))
        if answers is not None and answers[0] != answers[1]:
            self.ledger.say(RAW, "a snapshot", f"it had {answers[0]} events, then {answers[1]}")

    def log_all_the_time(self) -> None:
        for _ in range(20):
            self.log()
        time.sleep(0.01)

    def checkpoint(self) -> None:
        """Copy the WAL into the file, and have something to copy."""
        self.tag()
        self.act({}, self.archive._connection.checkpoint)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def work(folder: Path, seed: int, part: str) -> None:
    os.chdir(folder)
    import_everything()
    deeds = Stopping(Archive(folder / "lab.db"), Ledger(folder / "stopped.ledger"), seed, prefix="s-")
    deeds.start()
    deeds.log()
    print("ready", flush=True)
    deed: Callable[[], None] = getattr(deeds, part)
    while not is_over(folder):
        if part in STOP_ITSELF:
            sys.stdin.readline()
            if not is_over(folder):
                deed()
                deeds.log()
        else:
            deed()
    if deeds.run is None:
        deeds.start()
    stay(deeds)


def try_one(seed: int, longest_s: float = STOPPED_S[1], times: int = 2) -> Tally:
    tally = Tally(tries=1)
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp())
    part = PARTS[seed % len(PARTS)]
    process = begin_ready([sys.executable, "-m", MODULE, str(folder), str(seed), part])
    others = begin_onlookers(folder, seed)
    for _ in range(times):
        if part not in STOP_ITSELF:
            time.sleep(chance.uniform(0, 0.3))
            process.send_signal(signal.SIGSTOP)
        else:
            assert process.stdin is not None
            process.stdin.write("stop\n")
            process.stdin.flush()
        if _is_stopped(process):
            time.sleep(chance.uniform(STOPPED_S[0], longest_s))
        else:
            tally.blame("hung", f"seed {seed}, {part}: the process did not come to its stop")
        process.send_signal(signal.SIGCONT)
    time.sleep(0.3)
    end_all(folder, [process, *others], tally)
    tally.notes = [f"{part}: {note}" for note in tally.notes]
    shutil.rmtree(folder)
    return tally


def _is_stopped(process: subprocess.Popen[str]) -> bool:
    until = time.monotonic() + WITHIN_S
    whole = psutil.Process(process.pid)
    while (status := whole.status()) != psutil.STATUS_STOPPED and time.monotonic() < until:
        if status == psutil.STATUS_ZOMBIE:
            return False
        time.sleep(0.005)
    return status == psutil.STATUS_STOPPED


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    return sum_tries(try_one, tries, seed)


def missing() -> str:
    """Return what this system lacks, or nothing."""
    return missing_tool("stopped")


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
