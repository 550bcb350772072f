"""The files that docs/one-file.md speaks of, and its console: each command with what it prints."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from click.testing import CliRunner

from exptrack import Archive
from exptrack.cli import main

# What differs each time: ids, digests, sizes, and the blanks of columns that these fill.
CHANCE = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "DIGEST"),
    (re.compile(r"\b[0-9a-hjkmnp-tv-z]{16}\b"), "RUN"),
    (re.compile(r"\b[\d.,]+ [kM]?B\b"), "SIZE"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)
DAMAGE = "UPDATE artifact SET metadata = '{\"n\":1}' WHERE id = 2"


def leave_files(folder: Path) -> None:
    """Make node1.db and node2.db; laptop.db, which began as a copy of node1.db; and broken.db, damaged."""
    with Archive(folder / "node1.db") as archive:
        first = train(archive, 0.05, "paper")
        train(archive, 0.2, "draft")
        train(archive, 0.1, "paper")
    for name in ("laptop.db", "broken.db"):
        shutil.copy(folder / "node1.db", folder / name)
    for name, value in (("node1.db", 0.03), ("laptop.db", 0.02)):
        with Archive(folder / name) as archive, archive.resume_run(first) as run:
            run.log({"loss": value}, 100)
    with Archive(folder / "node2.db") as archive:
        train(archive, 0.3, "paper")
        train(archive, 0.4, "draft")
    with closing(sqlite3.connect(folder / "broken.db")) as connection:
        connection.execute(DAMAGE)
        connection.commit()


def train(archive: Archive, lr: float, tag: str) -> str:
    with archive.start_run({"optim": {"lr": lr}}, [tag]) as run:
        for step in range(100):
            run.log({"loss": 1 / (1 + lr * step), "acc": step / 100}, step)
        run.artifacts.register_data("weights.bin", f"{lr} ".encode().ljust(20_000, b"."))
    return run.run_id


def split_console(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console with what the page says that it prints."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield command, printed


def run_command(line: str) -> str:
    """Run a command in the working folder; return what it prints."""
    program, *words = shlex.split(line)
    if program == "sha256sum":
        return "".join(f"{hashlib.sha256(Path(one).read_bytes()).hexdigest()}  {one}\n" for one in words)
    assert program == "exptrack", line
    return CliRunner().invoke(main, words).output


def without_chance(text: str) -> str:
    """Return what a command prints, the same each time it is run."""
    for pattern, word in CHANCE:
        text = pattern.sub(word, text)
    return text
