"""Processes that this one cannot see: in another container of this machine, and on another machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONTAINER = "process._read_namespace = lambda kind: 'another container'"
MACHINE = f"{CONTAINER}; process._read_boot_id = lambda: 'another-machine'"

ASKS = """
import sys
from exptrack import process
{where}
import exptrack
trial = exptrack.Archive(sys.argv[1]).study(sys.argv[2]).ask()
trial.suggest_float("lr", 0, 1)
print("asked", flush=True)
sys.stdin.read()
"""


@contextmanager
def begin_trial(path: Path, study: str, where: str) -> Iterator[None]:
    """Begin a trial in such a process, which is killed when the block ends."""
    code = ASKS.format(where=where)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path), study],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "asked\n"
            yield
        finally:
            process.kill()
