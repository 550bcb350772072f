"""Flip single bits of the ``-wal`` of a process that was killed or that lives.

What a call returned for is there afterwards, or something tells: a warning, an error with a type, or
``verify``. A part of the kind `bit_flips`.
"""

from __future__ import annotations

import atexit
import functools
import logging
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from exptrack import Archive, ExptrackError
from tests.faults.deeds import Deeds
from tests.faults.judge import compare, read_states
from tests.faults.ledger import REFUSED, Ledger, expect, read_lines
from tests.faults.tally import Tally

FRAME_BYTES = 24 + 4096
ROOT = Path(__file__).parent.parent.parent
SCRIPT = """
import os, signal, sys
from pathlib import Path
from tests.faults.log_flips import do_deeds
do_deeds(Path(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def do_deeds(folder: Path) -> Deeds:
    """Make calls of each kind that commits by itself, and let points be flushed in between."""
    deeds = Deeds(Archive(folder / "lab.db"), Ledger(folder / "one.ledger", 2 << 20))
    deeds.start()
    for _ in range(4):
        deeds.log()
        deeds.tag()
        deeds.note()
        deeds.log_metric()
        deeds.flush()
        deeds.put(3_000)
    return deeds


@functools.cache
def left() -> Path:
    """Return the folder that a killed process left."""
    folder = Path(tempfile.mkdtemp(prefix="exptrack-log-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    done = subprocess.run([sys.executable, "-c", SCRIPT, folder], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    return folder


def flip(wal: Path, chance: random.Random) -> int:
    """Flip a bit of a log, and return which: none of its last frame, which may be torn without damage."""
    bit = chance.randrange(8 * (wal.stat().st_size - FRAME_BYTES))
    with open(wal, "r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))
    return bit


class _Told(logging.Handler):
    """Keeps what was warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.words.append(record.getMessage())


def try_killed(chance: random.Random, tally: Tally) -> str:
    """Flip a bit of the log that a killed process left; the next program opens it."""
    folder = Path(tempfile.mkdtemp())
    try:
        shutil.copytree(left(), folder, dirs_exist_ok=True)
        bit = flip(folder / "lab.db-wal", chance)
        judge(folder, [], tally)
        return f"bit {bit} of the log of a killed process"
    finally:
        shutil.rmtree(folder)


def try_live(chance: random.Random, tally: Tally) -> str:
    """Flip a bit of the log of this process between its calls, which go on; then close, and open again."""
    folder = Path(tempfile.mkdtemp())
    told = _Told()
    logging.getLogger("exptrack").addHandler(told)
    try:
        deeds = do_deeds(folder)
        bit = flip(folder / "lab.db-wal", chance)
        for _ in range(chance.randrange(3)):
            deeds.log()
            deeds.tag()
            deeds.flush()
        if chance.random() < 0.5:
            deeds.complete()
        try:
            deeds.archive.close()
        except ExptrackError as error:
            told.words.append(str(error))
        judge(folder, told.words, tally)
        return f"bit {bit} of the log of a live process"
    finally:
        logging.getLogger("exptrack").removeHandler(told)
        shutil.rmtree(folder)


def judge(folder: Path, before: list[str], tally: Tally) -> None:
    """Open the archive, and count what is not as acknowledged although nothing tells."""
    ledger = folder / "one.ledger"
    told = _Told()
    logger = logging.getLogger("exptrack")
    logger.addHandler(told)
    found = Tally()
    words = [*before, *(str(more[0]) for what, _, *more in expect(read_lines(ledger))[1] if what == REFUSED)]
    try:
        with Archive(folder / "lab.db") as archive:
            compare([ledger], read_states(archive), found)
            words += map(str, archive.verify().problems)
    except ExptrackError as error:
        words.append(str(error))
    except Exception as error:
        tally.blame("unreported", f"raw {type(error).__name__}: {error}")
    finally:
        logger.removeHandler(told)
    words += told.words
    raw = [note for note in found.notes if "Traceback" in note]
    if raw:
        tally.blame("unreported", raw[0])
    elif found.failures and not any("damaged" in word or "checksum" in word for word in words):
        tally.blame("unreported", f"{found.notes[:3]}, and {words} told of it")


def try_one(seed: int) -> Tally:
    tally = Tally(tries=1)
    chance = random.Random(seed)
    what = (try_live if seed % 2 else try_killed)(chance, tally)
    tally.notes = [f"{what}: {note}" for note in tally.notes]
    return tally
