"""Make faults for a given time, and count what they do to an archive.

    python -m tests.faults --minutes 30 [--only KIND …]
    python -m tests.faults --only KIND --seed 7

The table says for each kind of fault how many tries were made, and in how many places something was lost,
doubled, unreported or hung. It is printed while the tries go on and at the end. The exit code is 1 if any of
these numbers is not 0. A failing try is named by its seed; with ``--seed`` it alone is made again.

Each kind runs in a process of its own, so that a try that hangs or kills its process is counted too.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from tests.faults.tally import FAILURES, Tally, begin, kill

FOLDER = Path(__file__).parent
LONGEST_S = 180.0
PRINT_S = 10.0
SHOWN_NOTES, SHOWN_CHARACTERS = 20, 300  # in the list at the end, for each kind


def find_kinds() -> list[str]:
    """Return the modules of this folder that are kinds of faults, by name."""
    found = []
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body):
            found.append(path.stem)
    return found


def work(kind: str, seed: int, tries: int) -> None:
    """Make tries of one kind, and print each tally as a line of JSON. 0 tries: until killed."""
    module = importlib.import_module(kind)
    last = seed + tries if tries else sys.maxsize
    while seed < last:
        tally = module.run(1, seed)
        if tally.tries or tally.failures:
            print(json.dumps([kind, seed, tally.as_dict()]), flush=True)
        seed += 1


def make_tries(kind: str, seed: int, within_s: float, tries: int, tell: Callable[[Tally], None]) -> Tally:
    """Make tries of the module `kind`: `tries` of them, or if that is 0, as many as the time allows."""
    longest_s = float(getattr(importlib.import_module(kind), "LONGEST_S", LONGEST_S))
    total = Tally()
    last = seed + tries
    end_s = time.monotonic() + within_s
    while seed < last if tries else time.monotonic() < end_s:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "tests.faults", "--work", kind, "--seed", str(seed)]
            command += ["--tries", str(last - seed if tries else 0)]
            environment = {**os.environ, "TMPDIR": folder}
            process = begin(command, stdout=subprocess.PIPE, cwd=FOLDER.parent.parent, env=environment)
            lines: SimpleQueue[str] = SimpleQueue()
            reader = threading.Thread(target=_pass_on, args=(process, lines))
            reader.start()
            try:
                seed, why = _take_results(lines, total, seed, longest_s, None if tries else end_s, tell)
            finally:
                kill(process)
                reader.join()
                assert process.stdout is not None
                process.stdout.close()
        if why == "ended" and process.returncode == 0:
            break
        if why != "out of time":
            what = (
                f"a try took over {longest_s:.0f} s" if why == "hung" else f"it ended with {process.returncode}"
            )
            total.tries += 1
            total.blame("hung" if why == "hung" else "unreported", what + _how_to_repeat(kind, seed))
            seed += 1
    return total


def _pass_on(process: subprocess.Popen[str], lines: SimpleQueue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put("")


def _take_results(
    lines: SimpleQueue[str],
    total: Tally,
    seed: int,
    longest_s: float,
    end_s: float | None,
    tell: Callable[[Tally], None],
) -> tuple[int, str]:
    """Add up what a process of tries prints; return the next seed, and why there is no more."""
    while True:
        limit_s = time.monotonic() + longest_s
        if end_s is not None:
            limit_s = min(limit_s, end_s)
        try:
            line = lines.get(timeout=max(0.0, limit_s - time.monotonic()))
        except Empty:
            return seed, "out of time" if limit_s == end_s else "hung"
        if not line:
            return seed, "ended"
        kind, done, counts = json.loads(line)
        seed = done + 1
        one = Tally(**counts)
        one.notes = [note + _how_to_repeat(kind, done) for note in one.notes]
        total.add(one)
        tell(total)


def _how_to_repeat(kind: str, seed: int) -> str:
    return f"   [--only {kind.rpartition('.')[2]} --seed {seed}]"


def _shorten(note: str) -> str:
    whole = " ".join(note.replace("^", "").split())
    half = SHOWN_CHARACTERS // 2
    return whole if len(whole) <= SHOWN_CHARACTERS else f"{whole[:half]} … {whole[-half:]}"


def row(name: str, tally: Tally) -> str:
    counts = "".join(f"{getattr(tally, column):>12,}" for column in ("tries", *FAILURES))
    return f"{name:<16}{counts}"


def header() -> str:
    return f"{'kind':<16}" + "".join(f"{column:>12}" for column in ("tries", *FAILURES))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="in all; default 10")
    parser.add_argument("--only", action="append", choices=find_kinds(), help="one kind; may be repeated")
    parser.add_argument("--seed", type=int, help="make this try alone")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--tries", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.work is not None:
        work(given.work, given.seed, given.tries)
        return 0
    return run_kinds(
        [f"tests.faults.{name}" for name in given.only or find_kinds()], given.minutes * 60, given.seed
    )


def run_kinds(kinds: Sequence[str], within_s: float, seed: int | None = None) -> int:
    """Share the time between the kinds; return 1 if anything failed or nothing was tried."""
    tallies: dict[str, Tally] = {}
    remarks: list[str] = []
    print(header(), flush=True)
    begun = time.monotonic()
    for number, kind in enumerate(kinds):
        name = kind.rpartition(".")[2]
        missing = getattr(importlib.import_module(kind), "missing", str)()
        if missing:
            remarks.append(f"{name} does not apply here: it needs {missing}")
            continue
        share_s = (begun + within_s - time.monotonic()) / (len(kinds) - number)
        told = time.monotonic()

        def tell(tally: Tally, name: str = name) -> None:
            nonlocal told
            if time.monotonic() - told > PRINT_S:
                told = time.monotonic()
                print(row(name, tally), flush=True)

        first = random.randrange(1 << 30) if seed is None else seed
        tallies[name] = make_tries(kind, first, share_s, 0 if seed is None else 1, tell)
        print(row(name, tallies[name]) + f"   from seed {first}", flush=True)
    print(f"\n{header()}")
    for name, tally in tallies.items():
        print(row(name, tally))
    for tally in tallies.values():
        for note in tally.notes if seed is not None else map(_shorten, tally.notes[:SHOWN_NOTES]):
            print(f"- {note}")
    print("\n".join(remarks))
    tried = sum(tally.tries for tally in tallies.values())
    return int(any(tally.failures for tally in tallies.values()) or not tried)


if __name__ == "__main__":
    sys.exit(main())
