"""Print how a run is run again."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from exptrack.terminal.console import format_count, print_heading, print_table, safe

if TYPE_CHECKING:
    from exptrack import Reproduction

MOST_PACKAGES = 20


def print_reproduction(out: Console, record: Reproduction, chosen: str) -> None:
    """Print what was written to the folder that the user calls `chosen`, the environment and the command."""
    source = "what the archive keeps" if record.repository is None else f"commit {record.commit}"
    files = format_count(record.files, "file")
    out.print(Text(f"{safe(chosen)} holds {files} of run {record.run_id}, from {safe(source)}"))
    print_heading(out, "Environment")
    facts = {"host": record.host, "platform": record.platform, "python": record.python, **record.variables}
    print_table(out, [("", "left"), ("", "left")], ([name, value] for name, value in facts.items()))
    if record.packages:
        _print_packages(out, record)
    if record.command:
        print_heading(out, "Command")
        folder = os.path.join(chosen, record.working_folder or "")
        out.print(Text(f"cd {_quote([os.path.normpath(folder)])}"))
        words = [f"{name}={shlex.quote(value)}" for name, value in record.variables.items()]
        out.print(Text(" ".join([*(words if os.name == "posix" else ()), _quote(record.command)])))


def _quote(words: list[str] | tuple[str, ...]) -> str:
    return safe(shlex.join(words) if os.name == "posix" else subprocess.list2cmdline(words))


def _print_packages(out: Console, record: Reproduction) -> None:
    differing = record.differing
    print_heading(out, "Packages")
    if not differing:
        out.print(Text(f"all {len(record.packages):,} have the same versions here"))
        return
    out.print(Text(f"{len(differing):,} of {len(record.packages):,} have another version here, or none"))
    rows = ([name, was, here or "none"] for name, (was, here) in list(differing.items())[:MOST_PACKAGES])
    print_table(out, [("package", "left"), ("then", "left"), ("here", "left")], rows)
    if len(differing) > MOST_PACKAGES:
        words = "'exptrack artifacts get RUN exptrack/code --file packages.txt -o -' prints all of then"
        out.print(Text(f"{len(differing) - MOST_PACKAGES:,} more; {words}"))
