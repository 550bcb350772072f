"""Kill a process while it merges, extracts or salvages: at a commit, or just before a system call.

Afterwards what it wrote into is sound and holds whole runs, as before or as after. A new file is there whole or
not at all. The files that were read are the same bytes. Doing it again gives what a process gives that nobody
kills.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from exptrack import Archive, salvage
from exptrack.database.connection import Connection
from tests.faults.system_calls import (
    CALLS,
    KILL,
    READY,
    allow_tracing,
    read_trace,
    traced,
)
from tests.faults.tally import Tally
from tests.faults.tools import missing_tool
from tests.portable.histories import CODE, MACHINE, empty_archive, folder_of
from tests.portable.losses import OneRun, find_losses, read_content
from tests.portable.moments import controlled_time

MODULE = "tests.faults.merge_kills"
LARGE = 300_000  # bytes of an artifact that takes several transactions
AT_ONCE = 3  # runs in a transaction
DRAFT = ".exptrack-"  # how the names of drafts begin, which a kill may leave
SIGKILLED = -9


# What is done to the files of a folder


def merge(folder: Path) -> None:
    with Archive(folder / "target.db") as archive:
        report = archive.merge(folder / "a.db", folder / "b.db")
    assert report.ok, report


def extract(folder: Path) -> None:
    with Archive(folder / "whole.db") as archive:
        archive.extract(folder / "out.db", where="not tag = 'left'", with_inputs=True)


def salvage_damaged(folder: Path) -> None:
    salvage(folder / "damaged.db", folder / "out.db", others=[folder / "a.db"])


SCRIPTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "merge": (merge, "target.db"),
    "extract": (extract, "out.db"),
    "salvage": (salvage_damaged, "out.db"),
}


@cache
def template() -> Path:
    """Return a folder with files: two that descend from the third, all of them merged, and a damaged one."""
    folder = Path(tempfile.mkdtemp())
    with controlled_time(1) as clock:
        chance = random.Random(1)
        (folder / "target.db").write_bytes(empty_archive())
        with Archive(folder / "target.db") as archive:
            _add_runs(archive, chance, 4)
            study = archive.create_study("s")
            study.optimize(lambda trial: trial.suggest_float("lr", 0.0, 1.0), n_trials=2)
        for name in ("a.db", "b.db"):
            shutil.copyfile(folder / "target.db", folder / name)
            with Archive(folder / name) as archive:
                clock.move(100)
                _go_on(archive, chance)
                _add_runs(archive, chance, 5)
                archive.study("s").optimize(lambda trial: trial.suggest_float("lr", 0.0, 1.0), n_trials=2)
        clock.move(100)
        shutil.copyfile(folder / "target.db", folder / "whole.db")
        with Archive(folder / "whole.db") as archive:
            archive.merge(folder / "a.db", folder / "b.db")
        data = bytearray((folder / "whole.db").read_bytes())
        for place in range(len(data) // 3, len(data), len(data) // 5):
            data[place] ^= 1
        (folder / "damaged.db").write_bytes(data)
    return folder


def _add_runs(archive: Archive, chance: random.Random, count: int) -> None:
    for number in range(count):
        run = archive.start_run(
            {"lr": chance.random()}, ["left"] if number % 2 else (), name=f"run {number}", group="g",
            code=CODE, environment=MACHINE, owner="lease", lease_s=1e9,
        )  # fmt: skip
        run.log_rows([(name, chance.random(), step) for name in ("loss", "acc") for step in range(1200)])
        run.artifacts.register_data("model", chance.randbytes(LARGE if number == 1 else 100))
        if number == 2:
            run.artifacts.register_dir("folder", folder_of(0))
        run.add_note("a note")
        run.complete()
        if number:
            run.use_artifact("model")


def _go_on(archive: Archive, chance: random.Random) -> None:
    """Resume a run, which so parts from its copies, and say something of two others."""
    first, second, third, *_ = sorted(run.run_id for run in archive.list_runs())
    run = archive.resume_run(first, owner="lease", lease_s=1e9)
    run.log_rows([("loss", chance.random(), 5000 + step) for step in range(100)])
    run.complete()
    archive.get_run(second).add_tag(f"tag {chance.random()}")
    archive.get_run(third).artifacts.register_data("model", chance.randbytes(100))


def make_folder() -> Path:
    folder = Path(tempfile.mkdtemp())
    shutil.copytree(template(), folder, dirs_exist_ok=True)
    return folder


def run_script(name: str, folder: Path, fault: str) -> None:
    """Run a script in this process; with `before N` or `after N` as the fault, kill it at its N-th commit."""
    from exptrack.artifacts import blobs, chunks
    from exptrack.portable import run_copier

    chunks.BLOCK_BYTES = blobs.FLUSH_BYTES = 128 * 1024  # so that one artifact takes several transactions
    run_copier.RUNS_AT_ONCE = AT_ONCE
    if fault != KILL:
        _kill_at_commit(*fault.split())
    SCRIPTS[name][0](folder)


def _kill_at_commit(when: str, number: str) -> None:
    commit, count = Connection._commit, 0

    def commit_or_die(self: Connection, raw: object) -> None:
        nonlocal count
        count += 1
        is_due = count == int(number)
        if is_due and when == "before":
            os.kill(os.getpid(), 9)
        commit(self, raw)  # type: ignore[arg-type]
        if is_due:
            os.kill(os.getpid(), 9)

    Connection._commit = commit_or_die  # type: ignore[method-assign]


class Made(NamedTuple):
    """What a file says: of each run, and of everything."""

    runs: dict[str, OneRun]
    digest: str


def read_made(name: str, path: Path) -> Made:
    runs = read_content(path).runs
    if name == "salvage":  # says when it happened
        for run in runs.values():
            events = run.rows["events"]
            for event in [one for one in events if one[1] == "salvage"]:
                del events[event]
        return Made(runs, repr(sorted((run_id, sorted(run.rows.items())) for run_id, run in runs.items())))
    with Archive(path, mode="ro") as archive:
        return Made(runs, archive.digest())


@cache
def expected(name: str) -> Made:
    """Return what a script makes that nobody kills."""
    folder = make_folder()
    SCRIPTS[name][0](folder)
    found = read_made(name, folder / SCRIPTS[name][1])
    shutil.rmtree(folder)
    return found


@cache
def halfway() -> list[dict[str, OneRun]]:
    """Return the runs of the target before the merge, and after the first of its files."""
    folder = make_folder()
    before = read_content(folder / "target.db").runs
    with Archive(folder / "target.db") as archive:
        archive.merge(folder / "a.db")
    after = read_content(folder / "target.db").runs
    shutil.rmtree(folder)
    return [before, after]


# Trying


@cache
def _server() -> multiprocessing.context.ForkServerContext:
    """Processes that have imported everything, at 10 ms each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([MODULE, "exptrack.portable.salvage"])
    return context


def die_at_commit(name: str, when: str, number: int) -> Tally | None:
    """Kill a script at one of its commits, and judge what it leaves; None if it has no such commit."""
    folder = make_folder()
    process = _server().Process(target=run_script, args=(name, folder, f"{when} {number}"))
    process.start()
    process.join()
    tally = Tally(tries=1)
    if process.exitcode not in (0, SIGKILLED):
        tally.blame("unreported", f"{name} ended with {process.exitcode}")
    judge(name, folder, tally, f"{name}, {when} commit {number}")
    shutil.rmtree(folder)
    return tally if process.exitcode else None


def die_at_call(name: str, call: str, number: int) -> Tally:
    """Kill a script just before a system call, and judge what it leaves."""
    folder = make_folder()
    options = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:{KILL}:when={number}"]
    code, said = traced(name, folder, KILL, options, MODULE)
    tally = Tally(tries=1)
    what = f"{name}, {call} number {number}"
    if code is None:
        tally.blame("hung", what)
    elif code not in (0, SIGKILLED):
        tally.blame("unreported", f"{what}: it ended with {code}: {said[-2000:]}")
    judge(name, folder, tally, what)
    shutil.rmtree(folder)
    return tally


@cache
def record(name: str) -> dict[str, list[int]]:
    """Return which system calls of a script change or read the files of its folder: their numbers, by name."""
    folder = make_folder()
    trace = folder.with_suffix(".trace")
    wanted = ",".join(f"?{call}" for call in CALLS)
    options = ["-y", "-s", "0", "-o", str(trace), "-e", f"trace={wanted}"]
    code, said = traced(name, folder, KILL, options, MODULE)
    assert code == 0, said
    found = read_trace(trace, folder)
    trace.unlink()
    shutil.rmtree(folder)
    return found


def judge(name: str, folder: Path, tally: Tally, what: str) -> None:
    """Judge what a killed script left, do the same again, and judge that."""
    do, target = SCRIPTS[name]
    whole = expected(name)
    made = folder / target
    _judge_strays(folder, target, tally, what)
    if made.exists():
        _judge_whole(made, [whole.runs, *(halfway() if name == "merge" else [])], tally, what)
        if name != "merge" and read_made(name, made).digest != whole.digest:
            tally.blame("lost", f"{what}: {target} is there and not whole")
    if name == "merge" or not made.exists():
        do(folder)
    if read_made(name, made).digest != whole.digest:
        tally.blame("lost", f"{what}: doing it again gives something else")
    if name == "merge":
        for loss in find_losses([template() / one for one in ("a.db", "b.db", target)], made):
            tally.blame("lost", f"{what}: {loss}")
    for path in template().iterdir():
        if path.name != target and path.read_bytes() != (folder / path.name).read_bytes():
            tally.blame("unreported", f"{what}: {path.name} was changed")


def _judge_strays(folder: Path, target: str, tally: Tally, what: str) -> None:
    known = {path.name for path in template().iterdir()} | {target}
    for path in folder.iterdir():
        name = path.name.removesuffix("-wal").removesuffix("-shm")
        if name not in known and not name.startswith(DRAFT):
            tally.blame("unreported", f"{what}: it left {path.name}")


def _judge_whole(made: Path, wanted: list[dict[str, OneRun]], tally: Tally, what: str) -> None:
    """Each run is as it was before, or as it is in the end."""
    with Archive(made) as archive:
        for problem in archive.verify().problems:
            tally.blame("lost", f"{what}: {problem}")
    for run_id, run in read_content(made).runs.items():
        if not any(_is_same(run, runs.get(run_id)) for runs in wanted):
            tally.blame("lost", f"{what}: run {run_id} is not whole")


def _is_same(run: OneRun, other: OneRun | None) -> bool:
    without_salvage = Counter({row: n for row, n in run.rows["events"].items() if row[1] != "salvage"})
    return other is not None and {**run.rows, "events": without_salvage} == {**other.rows}


def try_one(seed: int) -> Tally:
    """Make the try that a seed stands for."""
    names = list(SCRIPTS)
    chance = random.Random(seed)
    name = names[seed % len(names)]
    if chance.random() < 0.3:
        found = die_at_commit(name, chance.choice(("before", "after")), chance.randrange(1, 40))
        return Tally() if found is None else found
    calls = [(call, number) for call, numbers in record(name).items() for number in numbers]
    return die_at_call(name, *chance.choice(calls))


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    total = Tally()
    for one in range(seed, seed + tries):
        total.add(try_one(one))
    return total


def missing() -> str:
    """Return which tool this machine lacks, or nothing."""
    return missing_tool("merge_kills")


if __name__ == "__main__":
    script, place, wanted_fault = sys.argv[1:]
    allow_tracing()
    os.write(1, f"{READY}\n".encode())
    os.read(0, 1)
    run_script(script, Path(place), wanted_fault)
