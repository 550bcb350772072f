"""How fast do artifacts go in and out, how small are versions of one file, and how much memory does it take?

    python -m benchmarks.artifacts [--megabytes 200] [--weights 40] [--stream 2048] [--repeat 5] [--quick]

First, a process of its own streams a large file in and out, and measures by how much its memory grows. Then
these are timed in turn: storing random bytes; storing the same bytes behind a new header, so that most chunks
are known; writing them to a file again, with every chunk verified. Last come six versions of a float32 file.
Five have a growing header and 1 % changed in another region each; one is identical.

Baseline in the same process: bare ``sqlite3`` stores the same bytes as rows of 256 KiB, 4 MiB a transaction,
and writes them to a file unverified. It uses WAL mode with ``synchronous=NORMAL``, so after a kill both keep
what was committed.
"""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.timing import arguments, headline, print_table
from exptrack import Archive, ArtifactStore

MB = 1_000_000
ROW_BYTES = 256 * 1024
ROWS_AT_ONCE = 16


def bare_store(path: Path, data: bytes) -> None:
    """Store bytes as rows with bare ``sqlite3``."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE part (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT")
    for begin in range(0, len(data), ROWS_AT_ONCE * ROW_BYTES):
        connection.execute("BEGIN IMMEDIATE")
        for at in range(begin, min(begin + ROWS_AT_ONCE * ROW_BYTES, len(data)), ROW_BYTES):
            connection.execute("INSERT INTO part (data) VALUES (?)", (data[at : at + ROW_BYTES],))
        connection.execute("COMMIT")
    connection.close()


def bare_read(path: Path, target: Path) -> None:
    """Write the rows to a file, unverified but synced, as ours are."""
    connection = sqlite3.connect(path)
    with open(target, "wb") as file:
        for (data,) in connection.execute("SELECT data FROM part ORDER BY id"):
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    connection.close()


def seconds(task: Callable[[], object]) -> float:
    """Return the seconds that a task takes."""
    begin = time.perf_counter()
    task()
    return time.perf_counter() - begin


def _drop(store: ArtifactStore) -> None:
    with store.open("random") as file:
        while file.read(ROW_BYTES):
            pass


def rates(size: int, repeat: int) -> dict[str, list[float]]:
    """MB a second of everything, in turn."""
    found: dict[str, list[float]] = {}
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            source = folder / "random.bin"
            source.write_bytes(os.urandom(size))
            shifted = folder / "shifted.bin"
            shifted.write_bytes(b"a new header" + source.read_bytes())
            data = source.read_bytes()
            with Archive(folder / "lab.db") as archive, archive.start_run() as run:
                store = run.artifacts
                took = {
                    "bare sqlite3, random bytes in": seconds(
                        lambda f=folder, d=data: bare_store(f / "bare.db", d)
                    ),
                    "random bytes in": seconds(lambda s=store, p=source: s.register_file("random", p)),
                    "mostly known bytes in": seconds(lambda s=store, p=shifted: s.register_file("known", p)),
                    "bare sqlite3, out": seconds(lambda f=folder: bare_read(f / "bare.db", f / "bare.out")),
                    "verified, read and dropped": seconds(lambda s=store: _drop(s)),
                    "verified, out": seconds(lambda s=store, f=folder: s.export("random", f / "out")),
                }
                assert (folder / "out").read_bytes() == data
                assert archive.verify().ok
        for what, spent in took.items():
            found.setdefault(what, []).append(size / MB / spent)
    return found


def versions(size: int) -> tuple[int, int]:
    """Bytes put in and bytes stored for six versions of weights."""
    chance = random.Random(0)
    weights = array("f", [chance.gauss(0, 0.02) for _ in range(size // 4)])
    count = len(weights) // 100
    with tempfile.TemporaryDirectory() as name, Archive(Path(name) / "lab.db") as archive:
        with archive.start_run() as run:
            put = 0
            for version in range(6):
                if version < 5:
                    begin = chance.randrange(len(weights) - count)
                    for place in range(begin, begin + count):
                        weights[place] = chance.gauss(0, 0.02)
                data = b"header " * min(1 + version, 5) + weights.tobytes()
                put += len(data)
                run.artifacts.register_data("weights", data)
        return put, archive.info().stored_bytes


STREAM = """
import os, resource, sys
from exptrack import Archive
size, folder = int(sys.argv[1]), sys.argv[2]
block = os.urandom(1 << 20)
def stream():
    for number in range(size >> 20):
        yield number.to_bytes(8, "little") + block[8:]
archive = Archive(os.path.join(folder, "lab.db"))
run = archive.start_run()
run.artifacts.register_data("small", os.urandom(100))  # imports what it takes
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
run.artifacts.register_data("large", stream())
after = peak()
run.artifacts.export("large", os.path.join(folder, "out"))
print(before, after, peak())
"""


def memory(size: int) -> tuple[int, int]:
    """By how many bytes the memory of a process grows that streams so much in, and then out."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", STREAM, str(size), folder]
        before, after, end = map(
            int, subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
        )
    return after - before, end - before


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, megabytes=200, weights=40, stream=2048, repeat=5)
    # First: the peak of a new process counts what its parent took when it was forked.
    grown_in, grown_out = memory(given.stream * (1 << 20))
    found = {
        what: statistics.median(values) for what, values in rates(given.megabytes * MB, given.repeat).items()
    }
    base_in, base_out = found["bare sqlite3, random bytes in"], found["bare sqlite3, out"]
    print(f"{given.megabytes} MB of random bytes, {given.repeat} times in turn")
    rows = [
        (what, rate, rate / (base_out if "in" not in what.split() else base_in)) for what, rate in found.items()
    ]
    print_table(("", "MB/s, median", "x bare"), rows)
    put, stored = versions(given.weights * MB)
    out = found["verified, out"]
    headline(f"random bytes in: {found['random bytes in'] / base_in:.0%} of bare sqlite3's rate (>= 55 %)")
    headline(f"mostly known bytes in: {found['mostly known bytes in']:.0f} MB/s (>= 300)")
    headline(f"out, verified: {out:.0f} MB/s (>= 400), {out / base_out:.0%} of bare sqlite3 unverified")
    share = f"{stored / put:.1%} of {put / MB:.0f} MB"
    headline(f"six versions of {given.weights} MB of float32: {share} stored (<= 28 %)")
    grown = f"{grown_in / MB:.0f} MB in, {grown_out / MB:.0f} MB in and out"
    headline(f"a stream of {given.stream:,} MiB: memory grows by {grown} (<= 64)")


if __name__ == "__main__":
    main()
