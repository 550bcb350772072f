"""Open and close, copy or delete the archive's files while a process uses them, and let another program visit.

POSIX drops a process's locks on a file when it closes any descriptor of that file. A visitor that then finds no
lock folds and deletes the WAL. So each try meddles with one file in one way: by each of its names, at the k-th
SQL statement of any thread, between two calls, or all the time in a thread of its own. After that a visitor
opens the archive with SQLite alone and leaves. What was acknowledged is there once: in the archive, or, where a
file was deleted that cannot be written again, in the copy that an error named.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from exptrack import Archive
from tests.faults.deeds import Deeds
from tests.faults.judge import judge
from tests.faults.ledger import REFUSED, Ledger, expect, read_lines
from tests.faults.tally import Tally, begin, end, sum_tries
from tests.faults.tools import missing_tool

ROOT = Path(__file__).parent.parent.parent
MODULE = "tests.faults.files"
WITHIN_S = 60.0
DEEDS = 12
STATEMENTS = 150  # so many does a try run about

VISIT = """
import sqlite3, sys
visitor = sqlite3.connect(sys.argv[1], timeout=5)
visitor.execute("SELECT count(*) FROM run").fetchall()
visitor.close()
"""

FILES = ("", "-wal", "-shm")
NAMES = ("path", "relative", "link", "hard link", "of the process", "descriptor")
WAYS = ("open", "copy", "delete")
MOMENTS = ("statement", "between", "always")


def names_of(file: Path) -> dict[str, Path]:
    """Return the names that lead to a file; the links are made in another folder."""
    links = file.parent / "links"
    links.mkdir(exist_ok=True)
    link, hard = links / f"link-{file.name}", links / f"hard-{file.name}"
    if not link.is_symlink():
        link.symlink_to(file)
    with suppress(OSError):
        os.link(file, hard)
    found = {"path": file, "relative": Path(file.name), "link": link, "hard link": hard}
    if sys.platform == "linux":
        found["of the process"] = Path(f"/proc/self/cwd/{file.name}")
        for number in os.listdir("/proc/self/fd"):
            one = Path(f"/proc/self/fd/{number}")
            with suppress(OSError):
                if os.path.samefile(one, file):
                    found["descriptor"] = one
    return found


def meddle(file: Path, name: str, way: str) -> None:
    """Do to the file what a script or another program does."""
    if way == "delete":
        file.unlink(missing_ok=True)
        return
    place = names_of(file).get(name, file)
    with suppress(FileNotFoundError):
        if way == "copy":
            shutil.copyfile(place, file.with_name("copy"))
        else:
            os.close(os.open(place, os.O_RDONLY))


def visit(path: Path) -> None:
    subprocess.run([sys.executable, "-S", "-c", VISIT, str(path)], check=False, capture_output=True)


def work(folder: Path, seed: int) -> None:
    """Do deeds, and meddle as the seed says."""
    os.chdir(folder)
    path = folder / "lab.db"
    chance = random.Random(seed)
    file, name, way, moment, number = choose(chance, path)
    archive = Archive(path)
    deeds = Deeds(archive, Ledger(folder / "one.ledger"), seed)
    deeds.start()
    left = [number]

    def once() -> None:
        left[0] -= 1
        if left[0] == 0:
            meddle(file, name, way)
            visit(path)

    stop: Callable[[], None] = lambda: None  # noqa: E731
    if moment == "statement":
        archive._connection.trace = lambda _statement: once()
        for handle in list(archive._connection._handles):
            with handle.busy:
                handle.close()  # opened again, traced
    elif moment == "always":
        stop = meddle_always(file, name, way)
    for count in range(DEEDS):
        if moment == "between" and count == number % DEEDS:
            meddle(file, name, way)
            visit(path)
        deeds.any()
        if chance.random() < 0.3:
            visit(path)
    stop()
    if not (way == "delete" and not str(file).endswith("-wal")):
        deeds.afterwards()


def meddle_always(file: Path, name: str, way: str) -> Callable[[], None]:
    """Meddle in a thread until the returned function is called."""
    stopped = threading.Event()

    def go_on() -> None:
        while not stopped.wait(0.001):
            meddle(file, name, way)

    thread = threading.Thread(target=go_on)
    thread.start()

    def stop() -> None:
        stopped.set()
        thread.join()

    return stop


def choose(chance: random.Random, path: Path) -> tuple[Path, str, str, str, int]:
    way = chance.choices(WAYS, (4, 2, 2))[0]
    moment = chance.choice(MOMENTS if way != "delete" else MOMENTS[:2])
    return (
        path.with_name(path.name + chance.choice(FILES)),
        chance.choice(NAMES),
        way,
        moment,
        chance.randrange(1, STATEMENTS),
    )


def try_one(seed: int) -> Tally:
    tally = Tally(tries=1)
    folder = Path(tempfile.mkdtemp())
    file, name, way, moment, number = choose(random.Random(seed), folder / "lab.db")
    what = f"{way} {file.name} by its {name}, {moment} {number}"
    command = [sys.executable, "-m", MODULE, str(folder), str(seed)]
    process = begin(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    code, said = end(process, WITHIN_S)
    if code is None:
        tally.blame("hung", said[-2000:])
    elif code != 0 or "Traceback" in said:
        tally.blame("unreported", f"it ended with {code}: {said[-2000:]}")
    ledger = folder / "one.ledger"
    moved = [str(more[0]) for kind, _about, *more in expect(read_lines(ledger))[1] if kind == REFUSED]
    if way != "delete":
        for error in moved:
            # Told where the change cannot be made again: five times in a row, or of bytes already read.
            if error.startswith("Archive") and not (
                file.name.endswith("-shm") and "was dropped while" in error
            ):
                tally.blame("hung", error)
    if not (way == "delete" and file.name == "lab.db"):
        # Nothing keeps a file that its owner deletes; errors told the process, and that is judged above.
        candidates = [folder / "lab.db", *sorted(folder.glob("lab.db.rescued-*[0-9]"))]
        verdicts = []
        for candidate in candidates:
            verdicts.append(Tally())
            judge(candidate, [ledger], verdicts[-1], journals=candidate.name != "lab.db")
        tally.add(min(verdicts, key=lambda verdict: verdict.failures))
    tally.notes = [f"{what}: {note}" for note in tally.notes]
    shutil.rmtree(folder)
    return tally


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    return sum_tries(try_one, tries, seed)


def missing() -> str:
    """Return what this system lacks, or nothing."""
    return missing_tool("files")


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
