"""Kill a process that packs or unpacks before its k-th system call, or let that call fail, for every k.

Whatever happens, the source keeps every byte, and the target is there whole or not at all. Beside it lies at
most a draft. The same call made once more succeeds, and the new file says what it should.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

from exptrack import Archive, ExptrackError, unpack
from tests.faults.deeds import import_everything
from tests.faults.system_calls import (
    EIO,
    ENOSPC,
    FAULTS_OF,
    KILL,
    NAMES,
    OTHERS,
    READS,
    SYNCS,
    WRITES,
    read_trace,
    traced,
    wait_for_tracer,
)
from tests.faults.tally import Tally
from tests.faults.tools import missing_tool

MODULE = "tests.faults.packing"
SCRIPTS = ("pack", "unpack")
PLACING = ["?link", "?linkat", "?fchmod"]
CALLS = [name.lstrip("?") for name in [*WRITES, *SYNCS, *NAMES, *PLACING, *OTHERS, *READS]]
FAULTS = (KILL, ENOSPC, EIO)
MOST_CALLS = 1024  # of one name in one script


@cache
def template() -> Path:
    """Return a folder with an archive and a packed file of it."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with Archive(folder / "lab.db") as archive:
        with archive.start_run({"lr": 0.1}, name="first") as run:
            run.log_many("loss", range(3000), [0.1 * number for number in range(3000)])
            run.artifacts.register_data("weights", bytes(range(256)) * 400)
        archive.create_view("mine", ["config.lr"])
        archive.pack(folder / "packed.db")
    return folder


def act(script: str, folder: Path) -> None:
    """Make the new file in the folder `out`."""
    if script == "unpack":
        unpack(folder / "packed.db", folder / "out" / "new.db")
        return
    with Archive(folder / "lab.db", mode="ro") as archive:
        archive.pack(folder / "out" / "new.db")


def run_script(script: str, folder: Path) -> None:
    """Act in a process that strace attaches to."""
    import_everything()
    os.environ["TMPDIR"] = str(folder)  # for the private copy of what is unpacked
    wait_for_tracer()
    try:
        act(script, folder)
    except ExptrackError as error:
        print(f"refused: {error}")


def _begin_folder() -> Path:
    folder = Path(tempfile.mkdtemp())
    for name in ("lab.db", "packed.db"):
        shutil.copy(template() / name, folder)
    (folder / "out").mkdir()
    return folder


@cache
def record(script: str) -> dict[str, list[int]]:
    """Return which calls of a script concern files of its folder: their numbers, by name."""
    folder = _begin_folder()
    trace = folder.with_suffix(".trace")
    wanted = ",".join([*WRITES, *SYNCS, *NAMES, *PLACING, *OTHERS, *READS])
    options = ["-y", "-s", "0", "-o", str(trace), "-e", f"trace={wanted}"]
    code, said = traced(script, folder, KILL, options, MODULE)
    assert code == 0, said
    found = read_trace(trace, folder)
    trace.unlink()
    shutil.rmtree(folder)
    return found


def describe(seed: int) -> tuple[str, str, str, int]:
    """Return what a seed stands for: script, system call, fault and the number of the call."""
    # Multiplying by a prime visits each of them once before any comes again, in an order that mixes them.
    left = seed * 2_654_435_761 % (len(FAULTS) * len(SCRIPTS) * len(CALLS) * MOST_CALLS)
    left, fault = divmod(left, len(FAULTS))
    left, script = divmod(left, len(SCRIPTS))
    number, call = divmod(left, len(CALLS))
    return SCRIPTS[script], CALLS[call], FAULTS[fault], number + 1


def try_one(script: str, call: str, fault: str, number: int) -> Tally:
    """Run a script with one fault and judge what it leaves."""
    tally = Tally(tries=1)
    folder = _begin_folder()
    before = {name: (folder / name).read_bytes() for name in ("lab.db", "packed.db")}
    options = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={number}"]
    code, said = traced(script, folder, fault, options, MODULE)
    if code is None:
        tally.blame("hung", "it hung")
    elif fault != KILL and (code != 0 or "Traceback" in said):
        tally.blame("unreported", f"it ended with {code}: {said[-2000:]}")
    judge(script, folder, before, tally)
    tally.notes = [f"{script}, {call} number {number}, {fault}: {note}" for note in tally.notes]
    shutil.rmtree(folder)
    return tally


def judge(script: str, folder: Path, before: dict[str, bytes], tally: Tally) -> None:
    """Find what is wrong with the source and the target, and act again."""
    for name, data in before.items():
        if (folder / name).read_bytes() != data:
            tally.blame("lost", f"{name} is another file than before")
    left = sorted(os.listdir(folder / "out"))
    if [name for name in left if name != "new.db" and not name.startswith(".exptrack-")]:
        tally.blame("unreported", f"beside the target lies more than drafts: {left}")
    if "new.db" not in left:
        act(script, folder)
    with Archive(template() / "lab.db", mode="ro") as archive:
        expected = archive.digest()
    with Archive(folder / "out" / "new.db", mode="ro") as archive:
        found = archive.verify().problems
        seals = archive.info(count_rows=True).rows["seal"]
        if found or archive.digest() != expected or seals != (script == "pack"):
            tally.blame("lost", f"the target is not what it should be: {found}")


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    total = Tally()
    for one in range(seed, seed + tries):
        script, call, fault, number = describe(one)
        if fault in FAULTS_OF.get(call, FAULTS) and number in record(script).get(call, ()):
            total.add(try_one(script, call, fault, number))
    return total


def missing() -> str:
    """Return which tool this machine lacks, or nothing."""
    return missing_tool("packing")


if __name__ == "__main__":
    run_script(sys.argv[1], Path(sys.argv[2]))
