"""Set the clock of a process forwards and backwards by up to a month; other processes have the true time.

libfaketime changes what the process takes for the time of day; the monotonic clock goes on, as it does when
somebody sets a machine's clock. Nobody takes the process for dead, steps and times stay in order, durations are
those of the monotonic clock, and no run ends before it began.
"""

from __future__ import annotations

import os
import random
import select
import shutil
import sys
import tempfile
import time
from pathlib import Path

from exptrack import Archive
from exptrack.tracking import heartbeat
from tests.faults.deeds import Deeds, import_everything
from tests.faults.ledger import Ledger, read_lines
from tests.faults.onlookers import begin_onlookers, begin_ready, end_all, is_over, stay
from tests.faults.tally import Tally, sum_tries
from tests.faults.tools import missing_tool

MODULE = "tests.faults.clocks"
BUSY_S = 4.0
LONGEST_PAUSE_S = 0.3
JUMPS_S = (1, 60, 3_600, 86_400, 30 * 86_400)
BEAT_EVERY_S = 0.1
MOVED = "moved"  # in the ledger: the seconds between the lowest and the highest time of the process
MOVES_AT_LEAST_S = 30.0
LIBRARY = "/usr/$LIB/faketime/libfaketimeMT.so.1"  # where Debian has it; the linker knows $LIB


def _sleep(seconds: float) -> None:
    # time.sleep() waits for a moment of the monotonic clock, from which libfaketime takes its offset off.
    select.select([], [], [], seconds)


def work(folder: Path, seed: int) -> None:
    time.sleep = _sleep
    os.chdir(folder)
    import_everything()
    heartbeat.HEARTBEAT_S = BEAT_EVERY_S
    deeds = Deeds(Archive(folder / "lab.db"), Ledger(folder / "clock.ledger"), seed, prefix="c-")
    deeds.start()
    print("ready", flush=True)
    lowest_s, highest_s = time.time(), time.time()
    while not is_over(folder):
        deeds.any()
        deeds.log()
        time.sleep(0.002)
        lowest_s, highest_s = min(lowest_s, time.time()), max(highest_s, time.time())
    deeds.ledger.say(MOVED, highest_s - lowest_s)
    stay(deeds)


def try_one(seed: int, busy_s: float = BUSY_S) -> Tally:
    tally = Tally(tries=1)
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp())
    clock = folder / "clock"
    set_clock(clock, 0)
    begun = time.monotonic()
    process = begin_ready([sys.executable, "-m", MODULE, str(folder), str(seed)], env=fake_clock(clock))
    others = begin_onlookers(folder, seed)
    until = time.monotonic() + busy_s
    while time.monotonic() < until:
        set_clock(clock, chance.choice((-1, 1)) * chance.choice(JUMPS_S))
        time.sleep(chance.uniform(0, LONGEST_PAUSE_S))
    end_all(folder, [process, *others], tally)
    moved = [about for what, about, *_ in read_lines(folder / "clock.ledger") if what == MOVED]
    if not moved or not isinstance(moved[0], float) or moved[0] < MOVES_AT_LEAST_S:
        tally.blame("unreported", f"the fault was not made: the clock of the process moved by {moved} s")
    _judge_times(folder / "lab.db", time.monotonic() - begun, tally)
    shutil.rmtree(folder)
    return tally


def fake_clock(clock: Path) -> dict[str, str]:
    """Return an environment in which processes take their time of day from a file; see :func:`set_clock`."""
    return {
        **os.environ,
        "LD_PRELOAD": LIBRARY,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(clock: Path, offset_s: int) -> None:
    """Set the clock; the process reads the file whole, with the old time or with the new one."""
    new = clock.with_suffix(".new")
    new.write_text(f"{offset_s:+d}\n", encoding="ascii")
    new.replace(clock)


def _judge_times(path: Path, longest_s: float, tally: Tally) -> None:
    with Archive(path) as archive:
        for run in archive.list_runs():
            name = f"run {run.name}"
            if not 0 <= run.duration_s <= longest_s:
                tally.blame("unreported", f"{name} lasted {run.duration_s} s, in a try of {longest_s:.1f} s")
            if run.ended_at is not None and run.ended_at < run.started_at:
                tally.blame("unreported", f"{name} began at {run.started_at} and ended at {run.ended_at}")
            if run.heartbeat_at < run.started_at:
                tally.blame("unreported", f"{name} began at {run.started_at}, last heard of {run.heartbeat_at}")
            for metric in run.metrics:
                points = archive.get_run(run.run_id).get_metric(metric)
                steps, times = [point.step for point in points], [point.time for point in points]
                if steps != sorted(steps):
                    tally.blame("unreported", f"the steps of {name}/{metric} are out of order")
                if times != sorted(times) or times[0] < run.started_at:
                    tally.blame("unreported", f"the times of {name}/{metric} are out of order")


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    return sum_tries(try_one, tries, seed)


def missing() -> str:
    """Return what this machine lacks, or nothing."""
    return missing_tool("clocks")


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
