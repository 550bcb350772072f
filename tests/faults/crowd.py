"""Let many processes create one archive and write to it, beside a reader and one that keeps a long snapshot.

Every process creates the file if it is not there yet. No call may fail, and each acknowledged point, tag and
artifact is there once.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from exptrack import Archive
from tests.faults.deeds import Deeds
from tests.faults.judge import judge
from tests.faults.ledger import REFUSED, Ledger, expect, read_lines
from tests.faults.tally import Tally, begin, end, kill, sum_tries

ROOT = Path(__file__).parent.parent.parent
MODULE = "tests.faults.crowd"
WRITERS = 16
BUSY_S = 8.0
WITHIN_S = 120.0
LONGEST_S = 300.0


def write(folder: Path, number: int, seed: int, busy_s: float) -> None:
    """Create or open the archive, and do deeds."""
    ledger = Ledger(folder / f"{number}.ledger")
    archive = Archive(folder / "lab.db")
    deeds = Deeds(archive, ledger, seed * 1000 + number, prefix=f"w{number}-")
    until = time.monotonic() + busy_s
    deeds.start()
    while time.monotonic() < until:
        deeds.any()
    deeds.afterwards()


def read(folder: Path, seed: int, busy_s: float) -> None:
    """Ask questions, as a page does."""
    ledger = Ledger(folder / "reader.ledger")
    deeds = Deeds(Archive(folder / "lab.db"), ledger, seed)
    until = time.monotonic() + busy_s
    while time.monotonic() < until:
        deeds.read()


def keep_a_snapshot(folder: Path, busy_s: float) -> None:
    """Read the same moment all the time, as another program does: no checkpoint can go beyond it."""
    connection = sqlite3.connect(folder / "lab.db", isolation_level=None, timeout=30)
    connection.execute("BEGIN")
    first = connection.execute("SELECT count(*) FROM event").fetchone()
    time.sleep(busy_s)
    assert connection.execute("SELECT count(*) FROM event").fetchone() == first
    connection.execute("ROLLBACK")
    connection.close()


def try_one(seed: int, writers: int = WRITERS, busy_s: float = BUSY_S) -> Tally:
    tally = Tally(tries=1)
    folder = Path(tempfile.mkdtemp())
    command = [sys.executable, "-m", MODULE, str(folder), str(seed), str(busy_s)]
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    begun = [begin([*command, str(number)], **options) for number in range(writers)]
    begun.append(begin([*command, "read"], **options))
    while not (folder / "lab.db-wal").exists() and any(one.poll() is None for one in begun):
        time.sleep(0.01)
    begun.append(begin([*command, "snapshot"], **options))
    for process in begun:
        code, said = end(process, WITHIN_S)
        if code is None:
            tally.blame("hung", said[-2000:])
        elif code != 0 or "Traceback" in said:
            tally.blame("unreported", f"a process ended with {code}: {said[-2000:]}")
        kill(process)
    ledgers = sorted(folder.glob("*.ledger"))
    for ledger in ledgers:
        for what, about, *more in expect(read_lines(ledger))[1]:
            if what == REFUSED:
                tally.blame("hung", f"{about}: {more[0]}")
    judge(folder / "lab.db", ledgers, tally)
    shutil.rmtree(folder)
    return tally


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    return sum_tries(try_one, tries, seed)


def main(folder: Path, seed: int, busy_s: float, part: str) -> None:
    os.chdir(folder)
    if part == "read":
        read(folder, seed, busy_s)
    elif part == "snapshot":
        keep_a_snapshot(folder, busy_s)
    else:
        write(folder, int(part), seed, busy_s)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
