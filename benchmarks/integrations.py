"""What does `exptrack run` cost? Fresh processes in turn, medians, beside plain Python with the same script.

    python -m benchmarks.integrations [--repeat 21] [--quick]

The script prints the time at its first line and at its last. So the cost divides into that before the script,
and that after it. A second pair prints 20 MB through the supervisor and through a pipe alone.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.startup import environment
from benchmarks.timing import arguments, headline

SCRIPT = """
import time
print(time.time())
import argparse
argparse.ArgumentParser().parse_args()
print(time.time())
"""
PRINTS = "line = 'x' * 99 + '\\n'\nfor _ in range(200): print(line * 1000, end='')\n"
RUN = [sys.executable, "-m", "exptrack", "--db", "lab.db", "run"]


def measure(command: Sequence[str], folder: str, env: dict[str, str]) -> tuple[float, float]:
    """Milliseconds before the script's first line, and after its last line."""
    begin = time.time()
    done = subprocess.run(command, check=True, cwd=folder, env=env, capture_output=True, text=True)
    end = time.time()
    first, last = map(float, done.stdout.split())
    return (first - begin) * 1000, (end - last) * 1000


def seconds(command: Sequence[str], folder: str, env: dict[str, str]) -> float:
    """Seconds of a command whose output is read and thrown away."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, cwd=folder, env=env, capture_output=True)
    return time.perf_counter() - begin


def main(argv: Sequence[str] | None = None) -> None:
    repeat = arguments(__doc__, argv, repeat=21).repeat
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as bytecode:
        env = environment(bytecode) | {"PYTHONPATH": os.getcwd()}
        (Path(folder) / "script.py").write_text(SCRIPT)
        (Path(folder) / "prints.py").write_text(PRINTS)
        plain, run = [sys.executable, "script.py"], [*RUN, "script.py"]
        times: dict[str, list[tuple[float, float]]] = {"python script.py": [], "exptrack run script.py": []}
        for number in range(repeat + 1):
            for name, command in zip(times, (plain, run), strict=True):
                found = measure(command, folder, env)
                if number:
                    times[name].append(found)
        printed = [
            statistics.median(seconds(command, folder, env) for _ in range(max(2, repeat // 7)))
            for command in ([sys.executable, "prints.py"], [*RUN, "prints.py"])
        ]
    print(f"{'':24} {'before ms':>10} {'after ms':>10}")
    for name, values in times.items():
        before, after = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{name:24} {before:10.0f} {after:10.0f}")
    pairs = list(zip(*times.values(), strict=True))
    before, after = (statistics.median(ours[i] - bare[i] for bare, ours in pairs) for i in (0, 1))
    headline(f"exptrack run: {before:.0f} ms before the script, {after:.0f} ms after it, over plain Python")
    headline(f"20 MB of output: {printed[1]:.2f} s, {printed[0]:.2f} s without exptrack")


if __name__ == "__main__":
    main()
