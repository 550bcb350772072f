"""Try out in a folder what an archive needs of its file system: locks, shared memory, mappings and syncs.

Invariants: the trials use files of their own in a new folder, which is removed. No archive is opened.
"""

from __future__ import annotations

import mmap
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

from exptrack.database.failures import SQLITE_FAILURE
from exptrack.database.filesystem import ADVICE, find_file_system, find_network
from exptrack.shown import shown

PREFIX = ".exptrack-doctor-"
TRIAL_S = 20.0
SYNCS = 5
# What another process sees of a file that is locked for writing, and of the last row in its WAL.
OTHER = """
import sqlite3, sys
raw = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
print(raw.execute("SELECT count(*) FROM trial").fetchone()[0])
try:
    raw.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError:
    print("kept out")
else:
    print("let in")
"""


@shown
class FolderCheck(NamedTuple):
    """What was tried out, whether it works, and what was found or is to be done."""

    name: str
    passed: bool
    found: str


def check_folder(folder: str) -> list[FolderCheck]:
    """Try out whether a folder can hold an archive that is written."""
    checks = [_check_kind(folder)]
    try:
        place = tempfile.mkdtemp(prefix=PREFIX, dir=folder)
    except OSError as error:
        said = f"no file can be made in {folder} ({error.strerror}), so an archive there can only be read"
        return [*checks, FolderCheck("write", False, said)]
    try:
        trials = (("lock", _try_locks), ("map", _try_mapping), ("sync", _try_syncs))
        checks.append(FolderCheck("write", True, "files can be made in the folder"))
        return checks + [_run_trial(name, trial, place) for name, trial in trials]
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _check_kind(folder: str) -> FolderCheck:
    network = find_network(folder)
    if network:
        return FolderCheck("file system", False, f"{network}, which other machines share; {ADVICE}")
    return FolderCheck("file system", True, find_file_system(folder) or "of an unknown kind")


def _run_trial(name: str, trial: Callable[[str], tuple[bool, str]], place: str) -> FolderCheck:
    try:
        passed, found = trial(place)
    except (OSError, ValueError, subprocess.SubprocessError, *SQLITE_FAILURE) as error:
        passed, found = False, f"{type(error).__name__}: {error}"
    return FolderCheck(name, passed, found)


def _try_locks(place: str) -> tuple[bool, str]:
    path = os.path.join(place, "lock.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        (mode,) = raw.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            return False, f"SQLite cannot keep a write-ahead log here, only {mode!r}"
        raw.execute("CREATE TABLE trial (value INTEGER) STRICT")
        raw.execute("INSERT INTO trial VALUES (1)")
        raw.execute("BEGIN IMMEDIATE")
        done = subprocess.run(
            [sys.executable, "-I", "-c", OTHER, path], capture_output=True, text=True, timeout=TRIAL_S
        )
        raw.execute("ROLLBACK")
    if done.stdout.split("\n")[:2] == ["1", "kept out"]:
        return True, "two processes see each other's rows and locks"
    seen = (done.stdout + done.stderr).strip().replace("\n", ", ")
    return False, f"another process was not kept out of a locked file, or did not see its rows: {seen}"


def _try_mapping(place: str) -> tuple[bool, str]:
    with open(os.path.join(place, "map"), "w+b") as file:
        file.truncate(mmap.PAGESIZE)
        with mmap.mmap(file.fileno(), mmap.PAGESIZE) as mapped:
            mapped[:4] = b"seen"
            file.seek(0)
            is_seen = file.read(4) == b"seen"
    if is_seen:
        return True, "what is written to a mapped file is in the file"
    return False, "what is written to a mapped file is not seen in the file, so log calls would be slower"


def _try_syncs(place: str) -> tuple[bool, str]:
    times_ms = []
    with open(os.path.join(place, "sync"), "wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            times_ms.append(1e3 * (time.perf_counter() - began))
    return True, f"a sync takes {statistics.median(times_ms):.1f} ms; the end of a run makes a few"
