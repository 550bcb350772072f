"""Let many processes write into one spool, and kill half of them at random moments.

Each process notes, by a system call, what a logging call or a tag acknowledged. Afterwards the spool is
settled. Every file is sound then, and holds each noted thing once. So does the archive into which all are
merged, and the spool is empty after that. With an odd seed the spool lies on a network file system, as the
processes see it, so that they work on a local disk.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from exptrack import Archive, Run, local_archive
from exptrack.database import filesystem
from exptrack.new_files import DRAFT_PREFIX
from exptrack.tracking.spool import list_spooled, settle_spool
from tests.faults.tally import Tally, begin, end, kill, sum_tries

ROOT = Path(__file__).parent.parent.parent
MODULE = "tests.faults.spools"
WRITERS = 16
BUSY_S = 6.0
WITHIN_S = 120.0
LONGEST_S = 300.0
TABLE = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n50 22 0:60 / {spool} rw - nfs4 server:/ rw\n"


class Writer:
    """What one process does until it is killed or its time is over."""

    def __init__(self, folder: Path, number: int, seed: int) -> None:
        self.random = random.Random(seed * 1000 + number)
        self.notes = os.open(folder / f"{number}.notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.folder = folder / "spool"
        self.archive = local_archive(self.folder)
        self.ended: list[Run] = []
        self.parent = os.getppid()

    def note(self, *words: object) -> None:
        os.write(self.notes, f"{' '.join(map(str, words))}\n".encode())

    def log(self, run: Run) -> None:
        for step in range(self.random.randrange(400)):
            if os.getppid() != self.parent:
                os._exit(1)  # a child that was forked just as its parent was killed
            run.log_metric("loss", step / 7, step)
            self.note("point", run.run_id, step)

    def do_one(self) -> None:
        """Write a run, two at a time, one in a forked child, or a tag of a run that has ended."""
        kind = self.random.choice(("one", "one", "two", "fork", "tag", "read"))
        if kind == "tag" and self.ended:
            run, tag = self.random.choice(self.ended), f"t{self.random.randrange(10**9)}"
            run.add_tag(tag)
            self.note("tag", run.run_id, tag)
        elif kind == "read":
            for summary in self.archive.list_runs(limit=3):
                self.archive.get_run(summary.run_id).series("loss")
        elif kind == "fork" and hasattr(os, "fork"):
            parent = os.getpid()
            pid = os.fork()
            if not pid:
                self.parent = parent
                self.work_as_child()
                os._exit(0)
            os.waitpid(pid, 0)
        else:
            with self.archive.start_run() as run:
                if kind == "two":
                    with self.archive.start_run() as other:
                        self.log(other)
                    self.note("end", other.run_id)
                self.log(run)
            self.note("end", run.run_id)
            self.ended.append(run)

    def work_as_child(self) -> None:
        with local_archive(self.folder) as mine:
            assert mine.path != self.archive.path
            with mine.start_run() as run:
                self.log(run)
            self.note("end", run.run_id)


def write(folder: Path, number: int, seed: int, busy_s: float) -> None:
    """Do one thing after the other."""
    writer = Writer(folder, number, seed)
    until = time.monotonic() + busy_s
    while time.monotonic() < until:
        writer.do_one()
    writer.archive.close()


def try_one(seed: int, writers: int = WRITERS, busy_s: float = BUSY_S) -> Tally:
    tally = Tally(tries=1)
    moments = random.Random(seed)
    folder = Path(tempfile.mkdtemp())
    (folder / "spool").mkdir()
    (folder / "disk").mkdir()
    if seed % 2:
        (folder / "mounts").write_text(TABLE.format(spool=folder / "spool"))
    command = [sys.executable, "-m", MODULE, str(folder), str(seed), str(busy_s)]
    environment = {**os.environ, "TMPDIR": str(folder / "disk")}
    options = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "env": environment}
    begun = [begin([*command, str(number)], **options) for number in range(writers)]
    doomed = {process: moments.uniform(0.2, busy_s + 1.5) for process in begun[::2]}
    started = time.monotonic()
    for process, after_s in sorted(doomed.items(), key=lambda item: item[1]):
        time.sleep(max(0.0, started + after_s - time.monotonic()))
        kill(process)
    for process in begun:
        code, said = end(process, WITHIN_S)
        if code is None:
            tally.blame("hung", said[-2000:])
        elif "Traceback" in said or (code and process not in doomed):
            tally.blame("unreported", f"a process ended with {code}: {said[-2000:]}")
        kill(process)
    settle(folder)
    judge(folder, tally)
    shutil.rmtree(folder)
    return tally


def settle(folder: Path) -> None:
    """Settle the spool as a process sees it that is like those that were killed."""
    before = filesystem.MOUNTS, tempfile.tempdir
    try:
        if (folder / "mounts").exists():
            filesystem.MOUNTS = str(folder / "mounts")
        tempfile.tempdir = str(folder / "disk")
        settle_spool(folder / "spool")
    finally:
        filesystem.MOUNTS, tempfile.tempdir = before


def judge(folder: Path, tally: Tally) -> None:
    """Compare the files of the spool with what the processes noted."""
    noted = Counter(line for path in folder.glob("*.notes") for line in path.read_text().splitlines())
    found: Counter[str] = Counter()
    for file in list_spooled(folder / "spool"):
        if file.state != "at rest":
            tally.blame("unreported", f"{file} is not at rest")
            continue
        with Archive(file.path, mode="ro") as archive:
            for problem in archive.verify().problems:
                tally.blame("unreported", f"{file.path}: {problem}")
            for run in archive.list_runs():
                found.update(f"tag {run.run_id} {tag}" for tag in run.tags)
                if run.status == "completed":
                    found[f"end {run.run_id}"] += 1
                elif run.status != "interrupted":
                    tally.blame("unreported", f"{run.run_id} is {run.status}")
                if "loss" in run.metrics:
                    points = archive.get_run(run.run_id).series("loss")
                    found.update(f"point {run.run_id} {step}" for step in points.steps.tolist())
                    if (points.values != points.steps / 7).any():
                        tally.blame("unreported", f"{run.run_id} has other values")
    points = sum(count for line, count in found.items() if line.startswith("point"))
    with Archive(folder / "lab.db") as lab:
        merged = lab.merge(folder / "spool", remove=True)
        # A draft of a copy is removed by a later process, once it is a minute old.
        left = [path for path in (folder / "spool").iterdir() if not path.name.startswith(DRAFT_PREFIX)]
        if left or not merged.ok:
            tally.blame("unreported", f"{left} do not merge: {[file.left_out for file in merged.files]}")
        report = lab.verify()
        if not report.ok or report.points != points:
            tally.blame(
                "lost", f"the merged archive has {report.points} points, not {points}: {report.problems}"
            )
    for line in noted:
        if not found[line]:
            tally.blame("lost", line)
    for line, count in found.items():
        if count > 1:
            tally.blame("doubled", line)
    strays = [path.name for path in (folder / "disk").rglob("*") if path.suffix in (".db", ".open", ".points")]
    for name in strays:
        tally.blame("unreported", f"{name} was left on the local disk")


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    return sum_tries(try_one, tries, seed)


def main(folder: Path, seed: int, busy_s: float, number: int) -> None:
    if (folder / "mounts").exists():
        filesystem.MOUNTS = str(folder / "mounts")
    write(folder, number, seed, busy_s)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
