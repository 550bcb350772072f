"""How fast do artifacts go in and out, how small are versions of one file, and how much memory does it take?

    python -m benchmarks.artifacts [--megabytes 50] [--files 3000] [--stream 2048] [--repeat 5] [--quick]

First, a process of its own streams a large file in and out, and measures by how much its memory grows. Then
these are timed in turn, for contents of so many megabytes: storing random bytes, and the same bytes again;
storing them behind a new header, so that most chunks are known; storing float32 weights, and five more versions
of them with 1 % changed in another region each; flushing all of that; writing the random bytes and the weights
to files again, with every chunk verified; and storing and restoring a folder of small files.

Baselines in the same process:

- Bare ``sqlite3`` stores the same bytes as rows of 256 KiB, 4 MiB a transaction, and writes them to a file
  unverified. It uses WAL mode with ``synchronous=NORMAL``, so after a kill both keep what was committed.
- A copy: the bytes are hashed by SHA-256 and written to a file; as in trackers that keep copies, nothing is
  synced. The six versions are copied so too.
- The disk: the bytes are written to a file and synced. The small files are written and synced one by one.
"""

from __future__ import annotations

import hashlib
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
from typing import NamedTuple

from benchmarks.timing import arguments, headline, print_table
from exptrack import Archive, ArtifactStore

MB = 1_000_000
ROW_BYTES = 256 * 1024
ROWS_AT_ONCE = 16
VERSIONS = 6
SMALL_BYTES, FOLDERS = 4000, 30


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


def write_synced(data: bytes, target: Path) -> None:
    """Write bytes to a file and sync it."""
    with open(target, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def copy_hashed(source: Path, target: Path) -> str:
    """Copy a file and hash it, as trackers do that keep copies; nothing is synced."""
    whole = hashlib.sha256()
    with open(source, "rb") as file, open(target, "wb") as copy:
        while block := file.read(ROW_BYTES):
            whole.update(block)
            copy.write(block)
    return whole.hexdigest()


class Sources(NamedTuple):
    """The files and folders to store."""

    random: Path
    shifted: Path  # the random bytes behind a header
    versions: list[Path]  # of float32 weights
    small: Path  # a folder of many files


def make_sources(folder: Path, size: int, files: int) -> Sources:
    """Write what is to be stored."""
    chance = random.Random(0)
    data = os.urandom(size)
    (folder / "random.bin").write_bytes(data)
    (folder / "shifted.bin").write_bytes(b"a new header" + data)
    weights = array("f", [chance.gauss(0, 0.02) for _ in range(size // 4)])
    count, versions = len(weights) // 100, []
    for version in range(VERSIONS):
        if version:
            begin = chance.randrange(len(weights) - count)
            weights[begin : begin + count] = array("f", [chance.gauss(0, 0.02) for _ in range(count)])
        versions.append(folder / f"weights{version}.bin")
        versions[-1].write_bytes(weights.tobytes())
    for number in range(files):
        place = folder / "small" / f"{number % FOLDERS}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.bin").write_bytes(os.urandom(SMALL_BYTES))
    return Sources(folder / "random.bin", folder / "shifted.bin", versions, folder / "small")


def write_small(source: Path, target: Path) -> None:
    """Copy a folder of small files, each synced."""
    for path in sorted(source.glob("*/*")):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_synced(path.read_bytes(), place)


def times_of(sources: Sources, folder: Path) -> tuple[dict[str, float], int]:
    """Time everything in turn, in seconds; also return the bytes that the six versions take."""
    data = sources.random.read_bytes()

    def copy_versions() -> None:
        for number, version in enumerate(sources.versions):
            copy_hashed(version, folder / f"copy{number}")

    with Archive(folder / "lab.db") as archive, archive.start_run() as run:
        store = run.artifacts
        store.register_data("first", os.urandom(3 * MB))  # imports what it takes

        def store_versions(versions: Sequence[Path]) -> None:
            for version in versions:
                store.register_file("weights", version)

        took = {
            "bare sqlite3, in": seconds(lambda: bare_store(folder / "bare.db", data)),
            "a copy, hashed": seconds(lambda: copy_hashed(sources.random, folder / "copy")),
            "six copies, hashed": seconds(copy_versions),
            "random bytes in": seconds(lambda: store.register_file("random", sources.random)),
            "the same again": seconds(lambda: store.register_file("again", sources.random)),
            "mostly known bytes in": seconds(lambda: store.register_file("known", sources.shifted)),
        }
        before = archive.info().stored_bytes
        took |= {
            "weights in": seconds(lambda: store_versions(sources.versions[:1])),
            "five more versions in": seconds(lambda: store_versions(sources.versions[1:])),
            "flush after all that": seconds(run.flush),
        }
        stored = archive.info().stored_bytes - before
        took |= {
            "the disk, written and synced": seconds(lambda: write_synced(data, folder / "disk")),
            "bare sqlite3, out": seconds(lambda: bare_read(folder / "bare.db", folder / "bare.out")),
            "verified, read and dropped": seconds(lambda: _drop(store)),
            "verified, out": seconds(lambda: store.export("random", folder / "out")),
            "weights, verified, out": seconds(lambda: store.export("weights", folder / "weights")),
            "small files, each synced": seconds(lambda: write_small(sources.small, folder / "plain")),
            "small files in": seconds(lambda: store.register_dir("small", sources.small)),
            "small files, verified, out": seconds(lambda: store.export("small", folder / "restored")),
        }
        assert (folder / "out").read_bytes() == data
        assert (folder / "weights").read_bytes() == sources.versions[-1].read_bytes()
        assert archive.verify().ok
    return took, stored


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
    given = arguments(__doc__, argv, megabytes=50, files=3000, stream=2048, repeat=5)
    # First: the peak of a new process counts what its parent took when it was forked.
    grown_in, grown_out = memory(given.stream * (1 << 20))
    size, stored = given.megabytes * MB, 0
    times: dict[str, list[float]] = {}
    for _ in range(given.repeat):
        with tempfile.TemporaryDirectory() as name:
            sources = make_sources(Path(name), size, given.files)
            took, stored = times_of(sources, Path(name))
        for what, spent in took.items():
            times.setdefault(what, []).append(spent)
    found = {what: statistics.median(values) for what, values in times.items()}
    parts = {what: VERSIONS for what in found if what.startswith("six")} | {
        what: VERSIONS - 1 for what in found if what.startswith("five")
    }
    print(f"{given.megabytes} MB each, {given.files:,} small files; {given.repeat} times in turn, medians")
    rows: list[tuple[object, ...]] = []
    for what, spent in found.items():
        has_rate = not what.startswith(("small", "flush"))
        rate = f"{parts.get(what, 1) * size / MB / spent:,.0f}" if has_rate else ""
        rows.append((what, spent * 1000, min(times[what]) * 1000, rate))
    print_table(("", "ms", "least ms", "MB/s"), rows)

    def rate(what: str) -> float:
        return size / MB / found[what]

    disk, out = rate("the disk, written and synced"), rate("verified, out")
    six = found["weights in"] + found["five more versions in"]
    put = VERSIONS * size
    headline(
        f"random bytes in: {rate('random bytes in'):.0f} MB/s (>= 350), {rate('a copy, hashed'):.0f} as an"
        f" unsynced copy, {rate('bare sqlite3, in'):.0f} into bare sqlite3"
    )
    headline(f"the same again: {found['the same again'] * 1000:.0f} ms for {given.megabytes} MB (<= 40 for 50)")
    headline(f"mostly known bytes in: {rate('mostly known bytes in'):.0f} MB/s (>= 300)")
    headline(
        f"six versions of {given.megabytes} MB of float32: {six:.2f} s and {stored / MB:.0f} MB stored"
        f" ({stored / put:.1%}); as copies {found['six copies, hashed']:.2f} s and {put / MB:.0f} MB"
    )
    headline(f"out, verified: {out:.0f} MB/s (>= 400), {out / disk:.0%} of the disk's own rate (>= 90 %)")
    headline(
        f"{given.files:,} small files out: {found['small files, verified, out']:.2f} s (<= 3), plainly written"
        f" with a sync each {found['small files, each synced']:.2f} s"
    )
    grown = f"{grown_in / MB:.0f} MB in, {grown_out / MB:.0f} MB in and out"
    headline(f"a stream of {given.stream:,} MiB: memory grows by {grown} (<= 64)")


if __name__ == "__main__":
    main()
