"""Run every benchmark, one after the other, each in a process of its own, and print a summary.

    python -m benchmarks [--quick] [--only NAME …]

A benchmark is a module of this folder whose docstring gives its command, with every argument in brackets. The
summary repeats the lines that a benchmark prints after ``=>``. ``--quick`` runs the benchmarks that take this
option, to show that they work; its figures mean nothing.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.timing import HEADLINE, argument_parser

FOLDER = Path(__file__).parent


def benchmark_names(*, quick: bool = False) -> list[str]:
    """The modules of this folder that are benchmarks, or those that know ``--quick``, by name."""
    found = []
    for path in sorted(FOLDER.glob("[!_]*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        command = re.search(rf"^ *python -m benchmarks\.{path.stem}( \[.*)?$", text, re.MULTILINE)
        if command and (not quick or "[--quick]" in command[0]):
            found.append(path.stem)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argument_parser(__doc__)
    parser.add_argument("--only", action="append", choices=benchmark_names(), help="one; may be repeated")
    given = parser.parse_args(argv)
    names = benchmark_names(quick=given.quick)
    left_out = set(benchmark_names()) - set(names)
    summary: list[str] = []
    failed = False
    for name in [name for name in names if not given.only or name in given.only]:
        print(f"# {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if given.quick else [])]
        begin = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=FOLDER.parent) as process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                print(line, end="", flush=True)
                lines.append(line.rstrip())
        failed |= process.returncode != 0
        state = f"failed with exit code {process.returncode}" if process.returncode else "done"
        summary.append(f"{name}: {state} in {time.monotonic() - begin:.0f} s")
        summary += [f"    {line.removeprefix(HEADLINE)}" for line in lines if line.startswith(HEADLINE)]
        print()
    print("# summary" + (" (--quick: figures mean nothing)" if given.quick else ""))
    print("\n".join(summary))
    if left_out:
        print(f"left out, as they have no quick way: {', '.join(sorted(left_out))}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
