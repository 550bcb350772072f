"""Kill a salvage at a commit or before a system call: the new archive is whole or not there, and a rerun works.

strace kills before a system call. Without it, a try kills at a commit alone.
"""

from __future__ import annotations

import atexit
import functools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import exptrack
from exptrack import Archive
from tests.faults.salvage import read_content, subject
from tests.faults.tally import Tally

ROOT = Path(__file__).parent.parent.parent
CALLS = """
write pwrite64 openat fsync fdatasync rename renameat linkat link unlink unlinkat mkdir rmdir fcntl
""".split()
COMMIT = "commit"
NEVER = 1 << 30


def begin(folder: Path, call: str, number: int) -> int:
    """Salvage in a process that is killed at this commit, or before this system call; return its code."""
    at_commit = number if call == COMMIT else NEVER
    command = [sys.executable, "-m", "tests.faults.salvage_kills", str(folder), str(at_commit)]
    if call != COMMIT:
        injected = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
        command = ["strace", "-f", "-o", os.devnull, *injected, *command]
    return subprocess.run(command, cwd=ROOT, check=False, stderr=subprocess.DEVNULL, timeout=120).returncode


def work(folder: Path, at_commit: int) -> None:
    """Salvage, and die at a commit."""
    from exptrack.database.connection import Connection

    commits = 0
    commit = Connection._commit

    def count(self: Connection, raw: object) -> None:
        nonlocal commits
        commits += 1
        if commits == at_commit:
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, raw)  # type: ignore[arg-type]

    Connection._commit = count  # type: ignore[method-assign]
    exptrack.salvage(folder / "damaged.db", folder / "out.db")
    (folder / "commits").write_text(str(commits))


@functools.cache
def damaged() -> bytes:
    """A damaged archive."""
    lab = subject(small=True)
    data = bytearray(lab.sound)
    place = next(page for page, rows in sorted(lab.rows_on.items()) if rows[0][0] == "note")
    data[(place - 1) * 4096 : place * 4096] = bytes(4096)
    return bytes(data)


@functools.cache
def counts() -> Counter[str]:
    """Return how many commits an undisturbed salvage makes, and at most how many calls a thread of it."""
    folder = Path(tempfile.mkdtemp(prefix="exptrack-salvage-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "damaged.db").write_bytes(damaged())
    command = [sys.executable, "-m", "tests.faults.salvage_kills", str(folder), str(NEVER)]
    found: Counter[str] = Counter()
    if has_strace():
        command = ["strace", "-f", "-o", str(folder / "trace"), "-e", f"trace=?{',?'.join(CALLS)}", *command]
    subprocess.run(command, cwd=ROOT, check=True)
    found[COMMIT] = int((folder / "commits").read_text())
    if has_strace():
        lines = (folder / "trace").read_text(errors="replace").splitlines()
        threads = Counter(begun.groups() for line in lines if (begun := re.match(r"(\d+) +(\w+)\(", line)))
        for (_thread, call), count in threads.items():
            found[call] = max(found[call], count)
    return found


def has_strace() -> bool:
    return shutil.which("strace") is not None


def try_one(seed: int) -> Tally:
    """Kill one salvage, judge what it leaves, and salvage again."""
    chance = random.Random(seed)
    call = chance.choice([COMMIT, *(name for name in CALLS if counts()[name])])
    number = chance.randint(1, counts()[call])
    return kill_at(call, number)


def kill_at(call: str, number: int) -> Tally:
    """Kill a salvage at this commit, or before this call of the system."""
    tally = Tally(tries=1)
    what = f"{call} number {number}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, out = folder / "damaged.db", folder / "out.db"
        path.write_bytes(damaged())
        code = begin(folder, call, number)
        if path.read_bytes() != damaged():
            tally.blame("unreported", f"{what}: the damaged file was changed")
        if code == 0 and not out.exists():
            tally.blame("lost", f"{what}: it ended, and there is no archive")
        others = {one for one in os.listdir(folder) if not one.startswith(".exptrack-")}
        if others - {"damaged.db", "out.db", "commits"}:
            tally.blame("unreported", f"{what}: it left {others}")
        if out.exists() and out.stat().st_size:
            judge(out, what, tally)
        out.unlink(missing_ok=True)
        exptrack.salvage(path, out)
        judge(out, f"{what}, again", tally)
    return tally


def judge(out: Path, what: str, tally: Tally) -> None:
    """Compare an archive with that of an undisturbed salvage."""
    with Archive(out, mode="ro") as archive:
        if not archive.verify().ok:
            tally.blame("unreported", f"{what}: the archive does not verify")
    found = read_content(out)
    if {name: rows for name, rows in found.items() if rows != undisturbed()[name]}:
        tally.blame("lost", f"{what}: the archive is not that of an undisturbed salvage")


@functools.cache
def undisturbed() -> dict[str, Counter[tuple[object, ...]]]:
    with tempfile.TemporaryDirectory() as name:
        path, out = Path(name) / "damaged.db", Path(name) / "out.db"
        path.write_bytes(damaged())
        exptrack.salvage(path, out)
        return read_content(out)  # type: ignore[return-value]


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    total = Tally()
    for one in range(seed, seed + tries):
        total.add(try_one(one))
    return total


def missing() -> str:
    """Return what this machine lacks, or nothing."""
    return "" if os.name == "posix" else "POSIX"


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
