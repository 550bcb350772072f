"""Flip single bits of an archive that uses every table, and see whether ``verify`` and the readers tell.

A flip that changes what any reader gets must be reported. No reading call may return other bytes of an
artifact, or raise an error that is not exptrack's. Every fourth try flips a bit of the log instead.
"""

from __future__ import annotations

import atexit
import functools
import os
import random
import shutil
import sqlite3
import tempfile
import warnings
from pathlib import Path

from exptrack import Archive, ExptrackError
from tests.faults import log_flips
from tests.faults.alarms import TookTooLong, limited
from tests.faults.full_lab import build, tables
from tests.faults.readings import list_readings
from tests.faults.tally import Tally

LIMIT_S = 30
# The stored form of a chunk may differ where its content does not: some bits of a frame mean nothing.
NO_ANSWER = {"chunk_data"}


class Subject:
    """The sound archive: its bytes, its runs and artifacts, and what readers get from it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "flipped.db"
        build(folder / "full.db")
        self.sound = (folder / "full.db").read_bytes()
        self.used = [place for place, byte in enumerate(self.sound) if byte]
        self.changed = 0  # flips that changed what a reader gets
        self.tables = tables(folder / "full.db")
        self.path.write_bytes(self.sound)
        with Archive(self.path, mode="ro") as archive:
            assert archive.verify().problems == ()
            self.readings = list_readings(archive)
        self.answers = self.ask()

    def ask(self) -> dict[str, str]:
        """What each reading call, and SQL on each table, makes of the file as it is now."""
        found = {}
        with Archive(self.path, mode="ro") as archive:
            for name, reading in self.readings.items():
                try:
                    found[name] = repr(reading(archive))
                except ExptrackError as error:
                    found[name] = f"{type(error).__name__} {error}"
                except Exception as error:
                    found[name] = f"RAW {type(error).__name__} {error}"
        raw = sqlite3.connect(f"{self.path.as_uri()}?mode=ro&immutable=1", uri=True)
        raw.text_factory = bytes
        for table in self.tables.keys() - NO_ANSWER:
            try:
                found[f"table {table}"] = repr(raw.execute(f"SELECT * FROM {table} NOT INDEXED").fetchall())
            except sqlite3.Error as error:
                found[f"table {table}"] = str(error)
        raw.close()
        return found

    def flip(self, bit: int) -> None:
        """Write the archive with one bit flipped."""
        data = bytearray(self.sound)
        data[bit // 8] ^= 1 << bit % 8
        for suffix in ("-wal", "-shm", "-journal"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        self.path.write_bytes(data)

    def try_flip(self, bit: int) -> tuple[str, str] | None:
        """Flip a bit; return the failure and what it was, or None."""
        self.flip(bit)
        try:
            with limited(LIMIT_S):
                return self._judge()
        except TookTooLong:
            return "hung", f"no answer within {LIMIT_S} s"

    def _judge(self) -> tuple[str, str] | None:
        try:
            answers = self.ask()
            with Archive(self.path, mode="ro") as archive:
                reported = not archive.verify().ok
        except ExptrackError:
            self.changed += 1
            return None  # it cannot be opened, and that is told
        except Exception as error:
            return "lost", f"opening or verify raised {type(error).__name__}: {error}"
        different = {name for name, answer in answers.items() if answer != self.answers[name]}
        self.changed += bool(different)
        for name in different:
            if answers[name].startswith("RAW"):
                return "lost", f"{name}: {answers[name]}"
            if name.startswith("artifact") and not _is_told(answers[name]):
                return "lost", f"{name} returned {answers[name]}"
        if different and not reported:
            return "unreported", str(sorted(different))
        return None


def _is_told(answer: str) -> bool:
    return answer.startswith(("Archive", "ArtifactNotFoundError", "RunNotFoundError"))


@functools.cache
def subject() -> Subject:
    """The one sound archive of this process. Its ids and times are new in each process, so its bits are too."""
    folder = tempfile.mkdtemp(prefix="exptrack-flips-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Subject(Path(folder))


def run(tries: int, seed: int) -> Tally:
    """Flip one bit a try. `lost`: a reading call returned other bytes of an artifact, or an untyped error."""
    tally = Tally()
    archive = subject()
    for number in range(seed, seed + tries):
        if number % 4 == 0 and os.name == "posix":  # elsewhere an open log cannot be written
            tally.add(log_flips.try_one(number // 4))
            continue
        chance = random.Random(number)
        # Most of a small file is unused; every second flip hits a byte that is not 0.
        place = chance.choice(archive.used) if number % 2 else chance.randrange(len(archive.sound))
        bit = 8 * place + chance.randrange(8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problem = archive.try_flip(bit)
        tally.tries += 1
        if problem:
            tally.blame(problem[0], f"bit {bit} of {len(archive.sound):,} bytes: {problem[1]}")
    return tally
