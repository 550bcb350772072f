"""What does a run cost before its first metric? Fresh processes, medians.

    python -m benchmarks.startup [--repeat 21] [--quick]

Baselines in the same run: a bare interpreter, and raw ``sqlite3`` that opens a file and inserts one row.

The package runs with compiled bytecode, as it does once it is installed. So ``PYTHONDONTWRITEBYTECODE`` is
removed for the processes, each script runs once before it counts, and the bytecode goes to a temporary folder.
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

import exptrack
from benchmarks.timing import arguments, headline

SCRIPTS = {
    "bare python": "pass",
    "raw sqlite3, one row": (
        "import sqlite3; c = sqlite3.connect({raw!r}); c.execute('CREATE TABLE IF NOT EXISTS t (x)');"
        " c.execute('INSERT INTO t VALUES (1)'); c.commit(); c.close()"
    ),
    "import exptrack": "import exptrack",
    "import exptrack.Archive": "from exptrack import Archive",
    "import, open, start, finish": (
        "import exptrack\n"
        "with exptrack.Archive({db!r}) as archive:\n"
        "    with archive.start_run({{'lr': 0.1}}):\n"
        "        pass"
    ),
}


def environment(bytecode: str) -> dict[str, str]:
    """The environment of the processes: as it is, but with bytecode written to and read from a folder."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": bytecode}


def milliseconds(code: str, folder: str, env: dict[str, str]) -> float:
    """One fresh process, start to end."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, env=env)
    return (time.perf_counter() - begin) * 1000


def main(argv: Sequence[str] | None = None) -> None:
    repeat = arguments(__doc__, argv, repeat=21).repeat
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as bytecode:
        db, raw = str(Path(folder) / "lab.db"), str(Path(folder) / "raw.db")
        exptrack.Archive(db).close()
        scripts = {name: code.format(db=db, raw=raw) for name, code in SCRIPTS.items()}
        env = environment(bytecode)
        for code in scripts.values():
            milliseconds(code, folder, env)
        times: dict[str, list[float]] = {name: [] for name in scripts}
        # In turn, so that a drift of the machine's speed meets all of them.
        for _ in range(repeat):
            for name, code in scripts.items():
                times[name].append(milliseconds(code, folder, env))
    bare = statistics.median(times["bare python"])
    print(f"{'fresh process':32} {'median ms':>9} {'p90 ms':>9} {'over bare ms':>13}")
    for name, values in times.items():
        middle = statistics.median(values)
        p90 = statistics.quantiles(values, n=10)[-1]
        print(f"{name:32} {middle:9.1f} {p90:9.1f} {middle - bare:13.1f}")
    imported, whole = (statistics.median(times[n]) for n in ("import exptrack", "import, open, start, finish"))
    # The bounds are 12 and 40 ms where bare Python takes 11; on a slower machine their ratios to it count.
    headline(
        f"import exptrack: {imported - bare:.0f} ms over bare Python, {(imported - bare) / bare:.1f} times it"
        f" (<= 1.1); a whole empty run: {whole - bare:.0f} ms over it, {(whole - bare) / bare:.1f} times it"
        " (<= 3.6)"
    )


if __name__ == "__main__":
    main()
