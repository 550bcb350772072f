"""What does a SIGKILL do to artifacts? Nothing acknowledged is lost, and nothing is left after a collection.

    python -m benchmarks.artifact_kills [--kills 100] [--seed 1] [--quick]

A process puts small and large artifacts and folders, removes and keeps versions, collects bytes and deletes
runs, in a random order. It is killed from outside at a random moment, or kills itself before the n-th of its
SQL statements. A transaction stores a quarter of a megabyte, so most kills meet a put of several transactions.

After each kill, ``verify()`` finds nothing, and all that was acknowledged comes back byte for byte. A
collection leaves exactly the blobs and chunks that a row names. Five kills in turn meet the same archive.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import exptrack
from benchmarks.timing import argument_parser, headline, scaled
from exptrack.artifacts import blobs, chunks

ROOT = Path(__file__).parent.parent
WAYS = ("outside", "statement")
ROUNDS_OF_AN_ARCHIVE = 5
BIG_BYTES, FILE_BYTES = 2_000_000, 600_000
BLOCK_BYTES = 256 * 1024
EXTRA_CHUNKS = """
SELECT (SELECT count(*) FROM chunk) - (SELECT count(DISTINCT chunk) FROM blob_chunk),
       (SELECT count(*) FROM chunk) - (SELECT count(*) FROM chunk_data),
       (SELECT count(*) FROM blob) - (SELECT count(*) FROM (
           SELECT blob FROM artifact WHERE blob IS NOT NULL
           UNION SELECT blob FROM artifact_entry WHERE blob IS NOT NULL)),
       (SELECT count(*) FROM blob_writer)
"""


def content_of(seed: int, size: int) -> bytes:
    """Return the content of an artifact; neighbouring seeds share all but the beginning."""
    return b"%d" % seed + random.Random(seed // 4).randbytes(size)


class _Worker:
    """Takes random steps, and tells before and after each step what it is."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.archive = exptrack.Archive(folder / "lab.db")
        self.run = self.archive.start_run()
        self.runs = [self.run.run_id]
        self.count = 0

    def tell(self, what: str, *facts: object) -> None:
        """Write a line that survives this process: the kernel has it before the next step."""
        with open(self.folder / "told", "a", encoding="utf-8") as file:
            file.write(json.dumps([what, *facts]) + "\n")

    def work(self) -> None:
        self.tell("ready")
        while True:
            self.count += 1
            deeds = [self.put, self.put, self.put_folder, self.remove, self.keep, self.collect, self.delete]
            self.chance.choice(deeds)()

    def put(self) -> None:
        name = f"a{self.chance.randrange(4)}"
        seed, size = self.chance.randrange(40), self.chance.choice((0, 1000, 300_000, BIG_BYTES))
        data = content_of(seed, size)
        pieces = (data[begin : begin + 100_000] for begin in range(0, len(data), 100_000))
        self.run.artifacts.register_data(name, pieces)
        found = self.run.artifacts.get_artifact(name)
        assert found is not None
        self.tell("put", self.run.run_id, name, found.version, seed, size)

    def put_folder(self) -> None:
        top = self.folder / "tree"
        top.mkdir(exist_ok=True)
        seeds = [self.chance.randrange(40) for _ in range(3)]
        for number, seed in enumerate(seeds):
            (top / str(number)).write_bytes(content_of(seed, FILE_BYTES))
        self.run.artifacts.register_dir("tree", top)
        found = self.run.artifacts.get_artifact("tree")
        assert found is not None
        self.tell("folder", self.run.run_id, "tree", found.version, seeds, FILE_BYTES)

    def remove(self) -> None:
        mine = self.run.artifacts.list_artifacts()
        if mine:
            chosen = self.chance.choice(mine)
            self.tell("removing", self.run.run_id, chosen.name, chosen.version)
            self.run.artifacts.remove(chosen.name, chosen.version)

    def keep(self) -> None:
        mine = self.run.artifacts.list_artifacts()
        if mine:
            name = self.chance.choice(mine).name
            for artifact in [artifact for artifact in mine if artifact.name == name][:-1]:
                self.tell("removing", self.run.run_id, name, artifact.version)
            self.run.artifacts.keep(name, last=1)

    def collect(self) -> None:
        self.archive.gc_artifacts()

    def delete(self) -> None:
        if self.count % 3 == 0:
            self.run.complete()
            self.run = self.archive.start_run()
            self.runs.append(self.run.run_id)
        elif len(self.runs) > 1:
            gone = self.runs.pop(0)
            self.tell("deleting", gone)
            self.archive.delete_run(gone)


def work(folder: Path, seed: int, fuse: int) -> None:
    """Work until killed; with a fuse, this process kills itself before that statement."""
    # Where a stream is cut does not depend on its blocks.
    chunks.BLOCK_BYTES = blobs.FLUSH_BYTES = BLOCK_BYTES
    left = [fuse]

    def burn(_statement: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    worker = _Worker(folder, seed)
    if fuse:
        connection = worker.archive._connection
        connection.trace = burn
        for handle in list(connection._handles):
            with handle.busy:
                handle.close()  # opened again, traced
    worker.work()


def killed_worker(folder: Path, way: str, seed: int) -> None:
    """Let a process work until it dies."""
    chance = random.Random(seed)
    fuse = chance.randrange(1, 600) if way == "statement" else 0
    told = folder / "told"
    before = told.stat().st_size if told.exists() else 0
    command = [sys.executable, "-m", "benchmarks.artifact_kills", "--work", str(folder)]
    command += ["--seed", str(seed), "--fuse", str(fuse)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        if way == "outside":
            while process.poll() is None and (not told.exists() or told.stat().st_size == before):
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.5))
            process.kill()
        assert process.stderr is not None
        said = process.stderr.read().decode()
        code = process.wait()
    assert code == -9, f"it ended with {code}: {said}"


def check(folder: Path) -> int:
    """Return how many acknowledged artifacts came back.

    Raises:
        AssertionError: something is not as promised.
    """
    expected: dict[tuple[str, str, int], tuple[str, object, int]] = {}
    maybe: set[tuple[str, str, int]] = set()
    deleted: set[str] = set()
    for line in (folder / "told").read_text(encoding="utf-8").splitlines():
        what, *facts = json.loads(line)
        if what in ("put", "folder"):
            run_id, name, version, seed, size = facts
            expected[run_id, name, version] = (what, seed, size)
        elif what == "removing":
            maybe.add((facts[0], facts[1], facts[2]))
        elif what == "deleting":
            deleted.add(facts[0])
    with exptrack.Archive(folder / "lab.db") as archive:
        problems = archive.verify().problems
        assert problems == (), problems
        present = {
            (run.run_id, artifact.name, artifact.version)
            for run in archive.list_runs()
            for artifact in archive.artifacts(run.run_id).list_artifacts()
        }
        safe = {key for key in expected if key not in maybe and key[0] not in deleted}
        assert safe <= present, f"{len(safe - present)} of {len(safe)} acknowledged artifacts are lost"
        for key in expected.keys() & present:
            run_id, name, version = key
            what, seed, size = expected[key]
            store = archive.artifacts(run_id)
            if what == "put":
                assert isinstance(seed, int)
                assert store.get_blob(name, version) == content_of(seed, size), "other bytes"
                continue
            assert isinstance(seed, list)
            for number, one in enumerate(seed):
                with store.open(name, version, file=str(number)) as file:
                    assert file.read() == content_of(one, size), "other bytes"
        archive.gc_artifacts()
        rows = archive._connection.one(EXTRA_CHUNKS)
        assert rows is not None
        assert tuple(rows) == (0, 0, 0, 0), f"left after a collection: {tuple(rows)}"
        assert archive.gc_artifacts() == exptrack.GcReport(0, 0, 0, 0)
        problems = archive.verify().problems
        assert problems == (), problems
    return len(safe)


def trial(way: str, seed: int, folder: Path) -> int:
    """One killed process in a folder that may have had others; see :func:`check`."""
    killed_worker(folder, way, seed)
    return check(folder)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--kills", type=int, help="default 100")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fuse", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.work is not None:
        work(options.work, options.seed, options.fuse)
    wanted = scaled(100, options.quick) if options.kills is None else options.kills
    kills: Counter[str] = Counter()
    safe = done = 0
    while done < wanted:
        with tempfile.TemporaryDirectory() as name:
            for number in range(done, min(wanted, done + ROUNDS_OF_AN_ARCHIVE)):
                way = WAYS[number % len(WAYS)]
                try:
                    safe += trial(way, options.seed * 100_000 + number, Path(name))
                except AssertionError as error:
                    raise SystemExit(f"kill {number} ({way}): {error}") from error
                kills[way] += 1
        done += ROUNDS_OF_AN_ARCHIVE
    print(f"kills: {', '.join(f'{count} {way}' for way, count in kills.items())}")
    headline(
        f"{sum(kills.values())} kills: verify() clean after each, 0 of {safe:,} acknowledged artifacts lost,"
        " nothing left after a collection"
    )


if __name__ == "__main__":
    main()
