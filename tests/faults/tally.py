"""Count what faults did: a row of the table that ``python -m tests.faults`` prints.

A module of this folder is a *kind* of fault if it has a function ``run(tries, seed) -> Tally``. It makes
`tries` tries with the seeds `seed`, `seed + 1`, …; a seed always stands for the same try. A try may find that
its seed stands for nothing, and then counts as none. The module may also have ``missing() -> str``, which names
the tool that this machine lacks, and `LONGEST_S`, after which a try counts as hung.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from tests.warm_python import Forked

FAILURES = ("lost", "doubled", "unreported", "hung")


@dataclass
class Tally:
    """How many tries were made, and in how many places something was not as promised.

    - `lost`: what a call acknowledged is absent, or what it removed is there again.
    - `doubled`: something is there more often than it was stored.
    - `unreported`: other content than was stored, an error without a type, or damage that nothing told.
    - `hung`: a call did not return, or a handle refused to go on after the fault had passed.
    """

    tries: int = 0
    lost: int = 0
    doubled: int = 0
    unreported: int = 0
    hung: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def failures(self) -> int:
        return self.lost + self.doubled + self.unreported + self.hung

    def blame(self, failure: str, note: str) -> None:
        """Count one failure and say what it was."""
        setattr(self, failure, getattr(self, failure) + 1)
        self.notes.append(f"{failure}: {note}")

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        for name in ("tries", *FAILURES):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.notes += other.notes

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def sum_tries(try_one: Callable[[int], Tally], tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for, and add up their tallies."""
    total = Tally()
    for one in range(seed, seed + tries):
        total.add(try_one(one))
    return total


def begin(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Begin a process that :func:`kill` ends together with all that it began."""
    return subprocess.Popen(command, text=True, **options)


def kill(process: subprocess.Popen[str] | Forked) -> None:
    """Kill a process and its descendants; nothing happens if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        whole = psutil.Process(process.pid)
        for one in [*whole.children(recursive=True), whole]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()


def end(process: subprocess.Popen[str], within_s: float) -> tuple[int | None, str]:
    """Wait for the end of a process of :func:`begin`; return its exit code (None: it hung) and what it said."""
    try:
        out, error = process.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        kill(process)
        out, error = process.communicate()
        return None, (out or "") + (error or "")
    return process.returncode, (out or "") + (error or "")
