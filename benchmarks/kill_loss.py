"""What does a SIGKILL lose? Nothing that a logging call returned for, whenever it comes.

    python -m benchmarks.kill_loss [--kills 200] [--seed 1] [--quick]

A process logs as fast as it can and is killed, in turn in one of four ways:

- by itself, right after a call;
- from outside, at a random moment;
- inside a drain, before the n-th SQL statement of its writer thread;
- from outside, and then the processes that replay its journal are killed too, each before the n-th of its
  statements and file operations, until one finishes.

After each kill, every acknowledged point is there once and in order, the run is interrupted, ``verify()`` finds
nothing, and no journal is left. Baseline: raw ``sqlite3``, a batch a second.
"""

from __future__ import annotations

import mmap
import random
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import exptrack
from benchmarks.timing import argument_parser, headline, scaled

SETTING_OUT = """
import mmap, os, random, signal, sys, threading
import exptrack, exptrack.database.connection
path, counter, way, seed = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
chance = random.Random(seed)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Fuse:
    def __init__(self, length):
        self.left = length
    def burn(self, *_):
        self.left -= 1
        if self.left < 0:
            die()
"""

WRITER = (
    SETTING_OUT
    + """
with open(counter, "r+b") as file:
    done = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")  # stores at once; struct writes zeros first
archive = exptrack.Archive(path)
run = archive.start_run()
if way == "drain":
    fuse = Fuse(chance.randrange(60))
    def traced(statement):
        if threading.current_thread() is not threading.main_thread():
            fuse.burn()
    archive._connection.trace = traced
    for handle in list(archive._connection._handles):
        with handle.busy:
            handle.close()  # opened again, traced
last = chance.randrange(60_000) if way == "self" else 10**9
for step in range(last):
    if step % 3:
        run.log_metric("loss", step / 7, step)
        run.log_metric("accuracy", step * 1.0, step)
    else:
        run.log({"loss": step / 7, "accuracy": step * 1.0}, step)
    done[0] = step + 1
die()
"""
)

REPLAYER = (
    SETTING_OUT
    + """
fuse = Fuse(int(way))
connect = exptrack.database.connection.Connection.__init__
def traced_connection(self, *args, **kwargs):
    connect(self, *args, **kwargs)
    self.trace = fuse.burn
exptrack.database.connection.Connection.__init__ = traced_connection
unlink = os.unlink
def burning_unlink(*args, **kwargs):
    fuse.burn()
    unlink(*args, **kwargs)
    fuse.burn()
os.unlink = burning_unlink
exptrack.Archive(path).close()
"""
)

RAW = """
import mmap, sqlite3, sys, time
with open(sys.argv[2], "r+b") as file:
    done = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("CREATE TABLE point (step INTEGER, value REAL)")
held, written = [], time.monotonic()
for step in range(10**9):
    held.append((step, step / 7))
    if time.monotonic() - written > 1:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO point VALUES (?, ?)", held)
        connection.execute("COMMIT")
        held, written = [], time.monotonic()
    done[0] = step + 1
"""

WAYS = ("self", "outside", "drain", "replay")


def killed_writer(code: str, folder: Path, way: str, seed: int) -> int:
    """Let a process log until it dies; return how many steps it was told are safe."""
    counter = folder / "acknowledged"
    counter.write_bytes(bytes(8))
    command = [sys.executable, "-c", code, str(folder / "lab.db"), str(counter), way, str(seed)]
    with (
        subprocess.Popen(command) as process,
        open(counter, "rb") as file,
        mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ) as done,
    ):
        if way in ("outside", "replay"):
            while process.poll() is None and not any(done[:8]):
                time.sleep(0.005)
            time.sleep(random.Random(seed).uniform(0, 0.6))
            process.kill()
        process.wait()
        return int(struct.unpack("q", done[:8])[0])


def killed_replays(folder: Path, first: int, stride: int) -> int:
    """Kill replays, each later than the one before, until one finishes; return how many died."""
    for died in range(1000):
        command = [sys.executable, "-c", REPLAYER, str(folder / "lab.db"), "", str(first + stride * died), "0"]
        code = subprocess.run(command, check=False).returncode
        assert code in (0, -9), f"a replay ended with {code}"
        if code == 0:
            return died
    raise AssertionError("a replay never got through")


def trial(way: str, seed: int, stride: int = 3) -> tuple[int, int, int]:
    """One killed process. Returns acknowledged steps, steps found, and how many replays were killed.

    Raises:
        AssertionError: something is not as promised.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        acknowledged = killed_writer(WRITER, folder, way, seed)
        replays = killed_replays(folder, seed % stride, stride) if way == "replay" else 0
        with exptrack.Archive(folder / "lab.db") as archive:
            (record,) = archive.list_runs()
            run = archive.get_run(record.run_id)
            assert record.status == "interrupted", record
            counts = set()
            for metric, factor in (("loss", 1 / 7), ("accuracy", 1.0)):
                points = run.get_metric(metric)
                assert [p.step for p in points] == list(range(len(points))), "a gap or a repetition"
                assert all(abs(p.value - p.step * factor) <= p.step * 1e-15 for p in points), "another value"
                assert len(points) >= acknowledged, f"{acknowledged - len(points)} of {acknowledged} lost"
                assert len(points) <= acknowledged + 1, "more than was logged"
                counts.add(len(points))
            assert archive.verify().problems == ()
            assert archive.sql("SELECT count(*) FROM metrics").rows == ((2 if max(counts) else 0,),)
        assert list(folder.glob("*.points*")) == [], "a journal is left"
        return acknowledged, max(counts), replays


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--kills", type=int, help="default 200")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    wanted = scaled(200, options.quick) if options.kills is None else options.kills
    kills: Counter[str] = Counter()
    acknowledged, replays = 0, 0
    for number in range(wanted):
        way = WAYS[number % len(WAYS)]
        try:
            safe, _found, died = trial(way, options.seed * 100_000 + number)
        except AssertionError as error:
            raise SystemExit(f"kill {number} ({way}): {error}") from error
        kills[way] += 1
        acknowledged += safe
        replays += died
    print(f"kills: {', '.join(f'{count} {way}' for way, count in kills.items())}")
    with tempfile.TemporaryDirectory() as name:
        safe = killed_writer(RAW, Path(name), "outside", options.seed)
        connection = sqlite3.connect(Path(name) / "lab.db")
        (stored,) = connection.execute("SELECT count(*) FROM point").fetchone()
        connection.close()
    headline(
        f"{wanted} kills and {replays} killed replays: 0 of {2 * acknowledged:,} acknowledged points lost"
        f" (raw sqlite3, a batch a second: {safe - stored:,} of {safe:,} in 1 kill)"
    )


if __name__ == "__main__":
    main()
