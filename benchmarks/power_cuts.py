"""What does a power cut lose? Every write of a real process is traced, then cut off at random moments.

    python -m benchmarks.power_cuts [--cuts 400] [--seed 0] [--synchronous kept|off]

Needs Linux with ``strace``. A process starts runs, logs, flushes, registers artifacts, ends and deletes runs.
Its trace shows what it wrote, what it synced and what had been acknowledged by then.

A cut keeps everything that was synced. Of unsynced writes it keeps a random choice of 512-byte sectors, and of
unsynced creations and deletions of files a random choice. The benchmark opens and verifies the archive that
remains, and looks for everything that was acknowledged as power-safe. With ``--synchronous off``, SQLite does
not sync: then archives must break, which proves that the benchmark notices a loss.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

SECTOR_BYTES = 512
SAID = ("flushed", "stored", "completed", "deleting")
CALLS = "openat,pwrite64,ftruncate,fsync,fdatasync,unlink,rename,write"

WORKER = """
import os, random, sqlite3, sys
import exptrack

if sys.argv[2] == "off":
    class Unsynced(sqlite3.Connection):
        def execute(self, sql, *rest):
            return super().execute("PRAGMA synchronous = OFF" if "synchronous" in sql else sql, *rest)

    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **options: connect(*args, factory=Unsynced, **options)

chance = random.Random(int(sys.argv[3]))
said = lambda *words: os.write(1, (" ".join(map(str, words)) + chr(10)).encode())
archive = exptrack.Archive(sys.argv[1])
keep = None
for number in range(6):
    run = archive.start_run({"number": number})
    for step in range(chance.randrange(20, 120)):
        run.log({"loss": float(step), "acc": 1.0}, step)
        if chance.random() < 0.1:
            run.flush()
            said("flushed", run.run_id, step + 1)
        if chance.random() < 0.03:
            run.artifacts.register_data(f"weights{step}", chance.randbytes(chance.randrange(200_000)))
            run.flush()
            said("stored", run.run_id, f"weights{step}")
    run.complete()
    said("completed", run.run_id, step + 1)
    if keep is not None and chance.random() < 0.5:
        said("deleting", keep)
        archive.delete_run(keep)
    keep = run.run_id
archive.close()
"""


@dataclass
class File:
    """Bytes that survive a cut, and the writes since then: (offset, data), or (length, None) to truncate."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        for offset, data in self.pending:
            _apply(self.durable, offset, data)
        self.pending.clear()

    def after_a_cut(self, chance: random.Random) -> bytes:
        content = bytearray(self.durable)
        share = chance.choice([0.0, 0.1, 0.5, 0.9, 1.0])
        for offset, data in self.pending:
            if data is None:
                if chance.random() < share:
                    _apply(content, offset, None)
                continue
            for start in range(0, len(data), SECTOR_BYTES):
                if chance.random() < share:
                    _apply(content, offset + start, data[start : start + SECTOR_BYTES])
        return bytes(content)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset + len(data) - len(content))))
    content[offset : offset + len(data)] = data


class Disk:
    """The files of one folder as the trace of a process leaves them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.durable: dict[str, File] = {}  # names as a cut keeps them
        self.names: dict[str, File] = {}  # names as the process sees them
        self.acknowledged: list[list[str]] = []

    def name_of(self, path: str) -> str | None:
        return Path(path).name if Path(path).parent == self.folder else None

    def sync_names(self) -> None:
        self.durable = dict(self.names)

    def after_a_cut(self, chance: random.Random) -> dict[str, bytes]:
        kept = dict(self.durable)
        for name in self.durable.keys() | self.names.keys():
            if self.durable.get(name) is not self.names.get(name) and chance.random() < 0.5:
                kept.pop(name, None)
                if name in self.names:
                    kept[name] = self.names[name]
        return {name: file.after_a_cut(chance) for name, file in kept.items()}

    def happen(self, call: str, words: str, result: str) -> None:
        """Follow one system call that succeeded."""
        if call == "write":
            if words.startswith("1<"):
                # Children (git) also write to a descriptor of that number.
                lines = [line.split() for line in _text(words).decode(errors="replace").splitlines()]
                self.acknowledged += [line for line in lines if line and line[0] in SAID]
            return
        if call in ("unlink", "rename"):
            names = [self.name_of(_decoded(quoted).decode()) for quoted in re.findall(r'"([^"]*)"', words)]
            if names[0] in self.names:
                file = self.names.pop(str(names[0]))
                if call == "rename" and names[-1] is not None:
                    self.names[names[-1]] = file
            return
        described = re.search(r"<([^>]*)>", result if call == "openat" else words)
        path = "" if described is None else _decoded(described[1]).decode()
        if path == str(self.folder) and call in ("fsync", "fdatasync"):
            self.sync_names()
        name = self.name_of(path)
        if name is None or name.endswith("-shm"):
            return
        if call == "openat":
            self.names.setdefault(name, File())
            return
        file = self.names[name]
        if call == "pwrite64":
            file.pending.append((int(words.rsplit(", ", 1)[1]), _text(words)))
        elif call == "ftruncate":
            file.pending.append((int(words.rsplit(", ", 1)[1]), None))
        else:
            file.sync()


def _decoded(quoted: str) -> bytes:
    return bytes.fromhex(quoted.replace("\\x", "")) if "\\x" in quoted else quoted.encode()


def _text(words: str) -> bytes:
    quoted = re.search(r'"([^"]*)"', words)
    assert quoted is not None, words[:80]
    return _decoded(quoted[1])


def read_trace(trace: Path) -> list[tuple[str, str, str]]:
    """Every call of interest that succeeded, in the order in which they ended: name, arguments, result."""
    calls, begun = [], {}
    for line in trace.read_text(encoding="ascii").splitlines():
        process, text = line.split(None, 1)
        if text.endswith("<unfinished ...>"):
            begun[process] = text.removesuffix("<unfinished ...>")
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>", text)
        if resumed is not None:
            text = begun.pop(process) + text[resumed.end() :]
        found = re.fullmatch(r"(\w+)\((.*)\)\s+= (.*)", text, re.DOTALL)
        if found is not None and not found[3].startswith("-1"):
            calls.append((found[1], found[2], found[3]))
    return calls


def judge(folder: Path, acknowledged: list[list[str]]) -> str:
    """Open what a cut left: 'sound', 'lost' or 'corrupt'. In a process of its own: damage may crash SQLite."""
    code = (
        "import json, sys, exptrack\n"
        "path, said = sys.argv[1], json.loads(sys.argv[2])\n"
        "try:\n"
        "    archive = exptrack.Archive(path)\n"
        "    problems = archive.verify().problems\n"
        "    held = {r.run_id for r in archive.list_runs()}\n"
        "    gone = {run for word, run, *_ in said if word == 'deleting'}\n"
        "    lost = []\n"
        "    for word, run, *what in said:\n"
        "        if run in gone or word == 'deleting': continue\n"
        "        if run not in held: lost.append(run)\n"
        "        elif word == 'stored': lost += [] if archive.artifacts(run).get_artifact(what[0]) else what\n"
        "        elif len(archive.get_run(run).get_metric('loss')) < int(what[0]): lost.append(run)\n"
        "    print('corrupt' if problems else 'lost' if lost else 'sound')\n"
        "except exptrack.ArchiveNotFoundError: print('lost' if said else 'sound')\n"
        "except exptrack.ExptrackError: print('corrupt')\n"
    )
    command = [sys.executable, "-c", code, str(folder / "lab.db"), json.dumps(acknowledged)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or f"crashed: {done.stderr[-300:]}"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--synchronous", choices=["kept", "off"], default="kept")
    given = parser.parse_args(argv)
    if shutil.which("strace") is None:
        print("power_cuts needs strace (Linux): not run")
        return
    scratch = Path(tempfile.mkdtemp())
    live, trace = scratch / "live", scratch / "trace"
    live.mkdir()
    tracer = ["strace", "-f", "-y", "-xx", "-s", "2000000", "-o", str(trace), "-e", f"trace={CALLS}"]
    worker = [sys.executable, "-c", WORKER, str(live / "lab.db"), given.synchronous, str(given.seed)]
    subprocess.run([*tracer, *worker], check=True, stdout=subprocess.DEVNULL)
    calls = read_trace(trace)
    chance = random.Random(given.seed)
    cuts = sorted(chance.randrange(1, len(calls) + 1) for _ in range(given.cuts))
    disk, at, verdicts = Disk(live), 0, Counter[str]()
    for cut in cuts:
        for call, words, result in calls[at:cut]:
            disk.happen(call, words, result)
        at = cut
        left = scratch / "left"
        left.mkdir()
        for name, content in disk.after_a_cut(chance).items():
            (left / name).write_bytes(content)
            os.utime(left / name, (0, 0))  # written before the system began again
        verdicts[judge(left, disk.acknowledged)] += 1
        shutil.rmtree(left)
    print(f"{given.cuts} power cuts in {len(calls)} calls, synchronous {given.synchronous}: {dict(verdicts)}")
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
