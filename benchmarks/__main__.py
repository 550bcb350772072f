"""Every benchmark, one after the other in a process of its own, and a summary.

    python -m benchmarks [--quick] [--only NAME …]

A benchmark is a module of this folder with a ``main(argv)`` that takes ``--quick``; lines it prints after
``=>`` are repeated in the summary. ``--quick`` shows that all of them work; its figures mean nothing.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.timing import HEADLINE, argument_parser

FOLDER = Path(__file__).parent


def benchmark_names() -> list[str]:
    """The modules of this folder that are benchmarks, by name."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.py") if _is_benchmark(path))


def _is_benchmark(path: Path) -> bool:
    """Whether it has ``main(argv)`` and says in its docstring that it takes ``--quick``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    mains = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    return any(node.args.args for node in mains) and "--quick" in (ast.get_docstring(tree) or "")


def main(argv: Sequence[str] | None = None) -> int:
    names = benchmark_names()
    parser = argument_parser(__doc__)
    parser.add_argument("--only", action="append", choices=names, help="one benchmark; may be repeated")
    given = parser.parse_args(argv)
    summary: list[str] = []
    failed = False
    for name in given.only or names:
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
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
