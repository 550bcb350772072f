"""Write and read beside a process that has a fault, in processes that have none, and judge what they met.

No process of a try ends before the last onlooker has: so whoever finds a run interrupted took a living process
for dead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exptrack import Archive, RunStatus
from tests.faults.deeds import Deeds, import_everything
from tests.faults.judge import judge
from tests.faults.ledger import RAW, REFUSED, Ledger, expect, read_lines
from tests.faults.tally import Tally, begin, end, kill

ROOT = Path(__file__).parent.parent.parent
MODULE = "tests.faults.onlookers"
OVER = "over"  # a file that tells every process of a try to come to an end
CALLED_DEAD, PROBLEM = "called dead", "problem"
WAITS_S = {"patient": 30.0, "hasty": 0.3}  # of the two writers, for a lock
WITHIN_S = 60.0


def is_over(folder: Path) -> bool:
    return (folder / OVER).exists()


def stay(deeds: Deeds) -> None:
    """Show that the archive works, and live until the parent closes the pipe."""
    deeds.afterwards()
    sys.stdin.read()


def write(folder: Path, name: str, seed: int) -> None:
    """Do deeds with an archive that stays open; log more often than anything else."""
    archive = Archive(folder / "lab.db", wait_s=WAITS_S[name])
    deeds = Deeds(archive, Ledger(folder / f"{name}.ledger"), seed, prefix=f"{name}-")
    print("ready", flush=True)
    while not is_over(folder):
        deeds.any()
        deeds.log()
        time.sleep(0.002)
    stay(deeds)


def look(folder: Path, seed: int) -> None:
    """Open the archive again and again; list it, verify it and ask it, by calls and by commands."""
    ledger = Ledger(folder / "look.ledger")
    print("ready", flush=True)
    while not is_over(folder):
        seed += 1
        mode, wait_s = ("rw", "ro")[seed % 2], (0.3, 30.0)[seed % 4 // 2]
        outer = Deeds(Archive(folder / "first.db"), ledger, seed)  # it makes the calls, also the one that opens
        archive = outer.act(
            {}, lambda mode=mode, wait_s=wait_s: Archive(folder / "lab.db", mode=mode, wait_s=wait_s)
        )
        outer.archive.close()
        if archive is None:
            continue
        with archive:
            deeds = Deeds(archive, ledger, seed)
            for run in deeds.act({}, archive.list_runs) or ():
                if run.status is RunStatus.INTERRUPTED:
                    ledger.say(CALLED_DEAD, f"run {run.name}", f"{run.reason}")
            if (report := deeds.act({}, archive.verify)) is not None:
                for problem in report.problems:
                    ledger.say(PROBLEM, f"{problem}", "while processes write")
            deeds.read()
        if seed % 5 == 0:
            _command(folder, ledger, ("ls", "verify")[seed % 2])


def _command(folder: Path, ledger: Ledger, name: str) -> None:
    command = [sys.executable, "-m", "exptrack", "--db", str(folder / "lab.db"), name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    if done.returncode != 0 and "ArchiveLockedError" not in done.stderr and "locked" not in done.stderr:
        ledger.say(RAW, name, f"it ended with {done.returncode}: {(done.stdout + done.stderr)[-1000:]}")


def begin_ready(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Begin a process that says "ready" once it has the archive."""
    process = begin(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    assert process.stdout is not None
    while (line := process.stdout.readline()) != "ready\n":
        if not line:
            raise AssertionError(f"{command} ended with {process.wait()} before it was ready")
    return process


def begin_onlookers(folder: Path, seed: int) -> list[subprocess.Popen[str]]:
    """Begin two writers and, last, the one that looks."""
    command = [sys.executable, "-m", MODULE, str(folder), str(seed)]
    return [begin_ready([*command, part]) for part in (*WAITS_S, "look")]


def end_all(folder: Path, processes: Sequence[subprocess.Popen[str]], tally: Tally) -> None:
    """End the one that looks, which is last in `processes`, and then the others; judge what they did."""
    (folder / OVER).touch()
    for process in reversed(processes):
        code, said = end(process, WITHIN_S)
        kill(process)
        if code is None:
            tally.blame("hung", said[-2000:])
        elif code != 0 or "Traceback" in said:
            tally.blame("unreported", f"a process ended with {code}: {said[-2000:]}")
    ledgers = sorted(folder.glob("*.ledger"))
    for path in ledgers:
        for what, about, *more in expect(read_lines(path))[1]:
            if what in (CALLED_DEAD, PROBLEM):
                tally.blame("unreported", f"{path.stem}: {what}: {about}: {more[0]}")
            elif what == REFUSED and str(about).startswith("point "):
                tally.blame("unreported", f"{path.stem}: a call of log raised {more[0]}, for {about}")
            elif what == REFUSED and not str(more[0]).startswith("ArchiveLockedError:"):
                tally.blame("hung", f"{path.stem}: {about}: {more[0]}\n{more[1]}")
    judge(folder / "lab.db", ledgers, tally)


def main(folder: Path, seed: int, part: str) -> None:
    os.chdir(folder)
    import_everything()
    if part == "look":
        look(folder, seed)
    else:
        write(folder, part, seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
