"""Kill a process before its k-th system call, or let that call fail, for every k.

Each script makes some public calls. strace attaches to its process where the script says so. A recording finds
the system calls by which the script changes the files of the archive. Then each of them is a try: the process
is killed just before it (`KILL`), it fails once with ``ENOSPC``, ``EIO`` or ``EMFILE``, or it fails from then
on as if the disk were full (`FULL`). After that another process opens the archive: what a call acknowledged is
there once, what was not is there whole or not at all. After a single error the process itself goes on, and its
later calls succeed.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from exptrack import Archive, ExptrackError, RecordedRun
from tests.faults.deeds import LATE, Deeds, import_everything
from tests.faults.judge import judge
from tests.faults.ledger import REFUSED, Ledger
from tests.faults.searches import Searches, leave_trials
from tests.faults.tally import Tally, begin, end, kill
from tests.faults.tools import missing_tool
from tests.warm_python import WarmPython

ROOT = Path(__file__).parent.parent.parent
MODULE = "tests.faults.system_calls"
READY = "ready to be traced"
WITHIN_S = 60.0
PR_SET_PTRACER, PR_SET_PTRACER_ANY = 0x59616D61, 2**64 - 1
UNFLUSHED = 120  # of Python, where its standard output could not be written

# A name with "?" is not known on every architecture.
WRITES = ["write", "pwrite64", "?fallocate", "?ftruncate"]
SYNCS = ["fsync", "fdatasync"]
NAMES = ["openat", "?rename", "?renameat", "?renameat2", "?unlink", "?unlinkat", "?mkdir", "?mkdirat"]
READS = ["?pread64", "read"]
OTHERS = ["mmap", "fcntl"]
CALLS = [name.lstrip("?") for name in [*WRITES, *SYNCS, *NAMES, *OTHERS, *READS]]

KILL, ENOSPC, EIO, EMFILE, FULL = "signal=KILL", "error=ENOSPC", "error=EIO", "error=EMFILE", "full"
FAULTS = [KILL, ENOSPC, EIO, EMFILE, FULL]
LEAVE = "leave"  # instead of a fault: leave behind what a script begins in
FAULTS_OF = {
    **{name: {KILL, ENOSPC, EIO, FULL} for name in CALLS},
    **{name: {EIO} for name in ("pread64", "read")},
    **{name: {KILL, EIO} for name in ("unlink", "unlinkat")},
    **{name: {KILL, EIO, ENOSPC} for name in SYNCS},
    "openat": {KILL, ENOSPC, EIO, EMFILE},
    "fcntl": {KILL},
    "mmap": {KILL},
}
BEGUN = datetime(2024, 1, 1, tzinfo=UTC)  # of recorded runs
MOST_CALLS = 1024  # of one name in one script


def start(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    mark()
    deeds = Deeds(Archive(folder / "lab.db"), ledger)
    deeds.start()
    return deeds


def log(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = start(folder, ledger, lambda: None)
    mark()
    for _ in range(3):
        for _ in range(5):
            deeds.log()
            deeds.log_metric()
        deeds.flush()
    deeds.log_many()
    return deeds


def annotate(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = start(folder, ledger, lambda: None)
    mark()
    for deed in (deeds.tag, deeds.tag, deeds.untag, deeds.note, deeds.event):
        deed()
    return deeds


def complete(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = start(folder, ledger, lambda: None)
    for _ in range(10):
        deeds.log()
    deeds.tag()
    mark()
    deeds.complete()
    return deeds


def register(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = start(folder, ledger, lambda: None)
    mark()
    deeds.put(1_000)
    deeds.put_text()
    deeds.put(300_000)
    deeds.put_folder()
    return deeds


def remove(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = register(folder, ledger, lambda: None)
    deeds.complete()
    deeds.start()
    deeds.put(100_000)
    deeds.put(100_000)
    mark()
    deeds.remove()
    deeds.delete()
    return deeds


def collect(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = Deeds(Archive(folder / "lab.db"), ledger, prefix="s")
    deeds.start()
    deeds.put(1_000)
    mark()
    deeds.collect()
    return deeds


def recover(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    mark()
    deeds = Deeds(Archive(folder / "lab.db"), ledger, prefix="s")
    deeds.start()
    return deeds


def resume(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = complete(folder, ledger, lambda: None)
    mark()
    deeds.resume()
    deeds.log()
    deeds.fail()
    return deeds


def mend(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = start(folder, ledger, lambda: None)
    deeds.tag()
    deeds.log()
    deeds.flush()
    # So that a kill before the mending loses nothing: until then the deleted WAL is this process's alone.
    deeds.archive._connection.checkpoint()
    os.unlink(folder / "lab.db-wal")
    mark()
    deeds.tag()
    deeds.flush()
    return deeds


def close(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = annotate(folder, ledger, lambda: None)
    deeds.log()
    mark()
    deeds.call(deeds.archive.close)
    return deeds


def snapshot(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = annotate(folder, ledger, lambda: None)
    mark()
    deeds.act({}, lambda: deeds.archive.backup(folder / "copy.db"))
    deeds.tag()
    return deeds


def export(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = register(folder, ledger, lambda: None)
    run = deeds.run
    mark()
    if run is not None:
        deeds.act({}, lambda: run.artifacts.export_all(folder / "out"))
    deeds.tag()
    return deeds


def record_runs(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = start(folder, ledger, lambda: None)
    mark()
    for number in range(3):
        name = f"recorded{number}"
        points = {f"point {name}/loss/{step}": step / 3 for step in range(5)}
        one = RecordedRun({}, BEGUN, name=name, metrics={"loss": (range(5), [step / 3 for step in range(5)])})
        deeds.act({f"run {name}": "completed", **points}, lambda one=one: deeds.archive.record_runs([one]))
    return deeds


def search(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = Searches(Archive(folder / "lab.db"), ledger)
    deeds.create()
    deeds.one_trial(0.5)  # what the first trial imports is not the archive's
    mark()
    deeds.one_trial(0.25)
    deeds.enqueue()
    deeds.one_trial()
    deeds.stop()
    deeds.ask()
    return deeds


def take_over(folder: Path, ledger: Ledger, mark: Callable[[], None]) -> Deeds:
    deeds = Searches(Archive(folder / "lab.db"), ledger, prefix="s")
    deeds.open_left()
    mark()
    deeds.take_over()
    return deeds


SCRIPTS = [
    start, log, annotate, complete, register, remove, collect, recover, resume, mend, close, snapshot, export,
    record_runs, search, take_over,
]  # fmt: skip
# These begin in what a process left that was killed, with trials or without.
LEFT_BY = {"recover": False, "collect": False, "take_over": True}


def leave_a_dead_process(folder: Path, *, with_trials: bool = False) -> None:
    """Leave a journal with points, and bytes that no artifact names, of a process that was killed."""
    deeds = start(folder, Ledger(folder / "dead.ledger"), lambda: None)
    if with_trials:
        leave_trials(deeds.archive, deeds.ledger)
    deeds.put(1_000)
    for _ in range(20):
        deeds.log()
    deeds.flush()
    for _ in range(20):
        deeds.log()

    def half() -> object:
        yield os.urandom(300_000)
        os.kill(os.getpid(), 9)

    assert deeds.run is not None
    deeds.run.artifacts.register_data("half", half())


def run_script(name: str, folder: Path, fault: str) -> None:
    """Run a script in this process; with an error as the fault, show afterwards that the archive works."""
    import_everything()
    from exptrack.artifacts import blobs, chunks

    chunks.BLOCK_BYTES = blobs.FLUSH_BYTES = 128 * 1024  # so that one artifact takes several transactions
    os.chdir(folder)
    if fault == LEAVE:
        leave_a_dead_process(folder, with_trials=LEFT_BY[name])

    ledger = Ledger(folder / "script.ledger")
    script = next(script for script in SCRIPTS if script.__name__ == name)
    try:
        deeds = script(folder, ledger, wait_for_tracer)
    except ExptrackError as error:
        ledger.say(REFUSED, "opening", f"{type(error).__name__}: {error}")
        deeds = None
    if fault in (ENOSPC, EIO, EMFILE) and deeds is not None and name != close.__name__:
        # Not with an archive opened again: its thread would count its calls from 1, and meet the error again.
        deeds.afterwards()


def wait_for_tracer() -> None:
    """Let strace attach to this process."""
    allow_tracing()
    os.write(1, f"{READY}\n".encode())
    os.read(0, 1)


def allow_tracing() -> None:
    """Let a process that is no parent of this one trace it, where the system asks for that (Yama)."""
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(PR_SET_PTRACER_ANY), 0, 0, 0)


def traced(
    name: str, folder: Path, fault: str, options: list[str], module: str = MODULE
) -> tuple[int | None, str]:
    """Run a script in a process that strace attaches to; return exit code (None: it hung) and what it said."""
    into, writer = os.pipe()
    reader, out = os.pipe()
    script = warm().begin(module, name, str(folder), fault, cwd=ROOT, descriptors={0: into, 1: out, 2: out})
    os.close(into)
    os.close(out)
    said: list[str] = []
    with open(reader, encoding="utf-8", errors="replace") as lines, open(writer, "wb", buffering=0) as answer:
        for line in lines:
            said.append(line)
            if READY in line:
                break
        else:
            return script.wait(WITHIN_S), "".join(said)
        tracer = begin(["strace", "-f", *options, "-p", str(script.pid)], stderr=subprocess.PIPE)
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        rest = threading.Thread(target=lambda: said.extend(lines))
        code: int | None = None
        try:
            assert "attached" in attached, attached
            rest.start()
            answer.write(b"!")
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = script.wait(WITHIN_S)
        finally:
            kill(script)
            end(tracer, WITHIN_S)
        rest.join()
    return code, "".join(said)


@cache
def warm() -> WarmPython:
    """A Python from which the scripts are forked, as all they import takes longer than what they do."""
    ours = ("tests.faults.judge", "tests.faults.searches", "tests.portable.histories", "tests.portable.losses")
    python = WarmPython(*LATE, *ours)
    atexit.register(python.close)
    return python


@cache
def template(name: str) -> Path | None:
    """Return a folder to begin a script in, made by a process that was killed."""
    if name not in LEFT_BY:
        return None
    folder = Path(tempfile.mkdtemp())
    command = [sys.executable, "-m", MODULE, name, str(folder), LEAVE]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    return folder


def _begin_folder(name: str) -> Path:
    folder = Path(tempfile.mkdtemp())
    found = template(name)
    if found is not None:
        shutil.copytree(found, folder, dirs_exist_ok=True)
    return folder


@cache
def record(name: str) -> dict[str, list[int]]:
    """Return which calls of a script change or read the files of its folder: their numbers, by name.

    strace counts the calls of each name in each thread. Left out is a number under which another thread does
    something else.
    """
    folder = _begin_folder(name)
    trace = folder.with_suffix(".trace")
    wanted = ",".join([*WRITES, *SYNCS, *NAMES, *OTHERS, *READS])
    code, said = traced(name, folder, KILL, ["-y", "-s", "0", "-o", str(trace), "-e", f"trace={wanted}"])
    assert code == 0, said
    found = read_trace(trace, folder)
    trace.unlink()
    shutil.rmtree(folder)
    return found


def read_trace(trace: Path, folder: Path) -> dict[str, list[int]]:
    """Return the numbers of the calls in a trace that change or read files of a folder, by name."""
    counts: defaultdict[tuple[str, str], int] = defaultdict(int)
    own: defaultdict[str, set[int]] = defaultdict(set)
    others: defaultdict[str, set[int]] = defaultdict(set)
    for line in trace.read_text(errors="replace").splitlines():
        begun = re.match(r"(\d+) +(\w+)\((.*)", line)
        if begun is None:
            continue
        thread, call, words = begun.groups()
        counts[thread, call] += 1
        is_own = str(folder) in words and ("/tree/" not in words or "O_RDONLY" in words)
        (own if is_own else others)[call].add(counts[thread, call])
    return {call: sorted(numbers - others[call]) for call, numbers in own.items() if numbers - others[call]}


def describe(seed: int) -> tuple[str, str, str, int]:
    """Return what a seed stands for: script, system call, fault and the number of the call."""
    # Multiplying by a prime visits each of them once before any comes again, in an order that mixes them.
    left = seed * 2_654_435_761 % (len(FAULTS) * len(SCRIPTS) * len(CALLS) * MOST_CALLS)
    left, fault = divmod(left, len(FAULTS))
    left, script = divmod(left, len(SCRIPTS))
    number, call = divmod(left, len(CALLS))
    return SCRIPTS[script].__name__, CALLS[call], FAULTS[fault], number + 1


def try_one(script: str, call: str, fault: str, number: int) -> Tally:
    """Run a script with one fault and judge what it leaves."""
    tally = Tally(tries=1)
    folder = _begin_folder(script)
    injected = f"{ENOSPC}:when={number}+" if fault == FULL else f"{fault}:when={number}"
    options = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:{injected}"]
    code, said = traced(script, folder, fault, options)
    what = f"{script}, {call} number {number}, {fault}"
    if code is None:
        tally.blame("hung", what)
    elif fault != KILL and (code not in (0, UNFLUSHED) or "Traceback" in said):
        tally.blame("unreported", f"it ended with {code}: {said[-2000:]}")
    ledgers = sorted(folder.glob("*.ledger"))
    judge(folder / "lab.db", ledgers, tally)
    tally.notes = [f"{what}: {note}" for note in tally.notes]
    shutil.rmtree(folder)
    return tally


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    total = Tally()
    for one in range(seed, seed + tries):
        script, call, fault, number = describe(one)
        if fault in FAULTS_OF[call] and number in record(script).get(call, ()):
            total.add(try_one(script, call, fault, number))
    return total


def missing() -> str:
    """Return which tool this machine lacks, or nothing."""
    return missing_tool("system_calls")


if __name__ == "__main__":
    run_script(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
