"""Output without Unicode: likenesses of the same width instead of failure."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.terminal.ascii import spell_out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_output_without_unicode_is_shown_likenesses_of_the_same_width(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    spell_out(stream)
    words = "│└─█▁★●⠉⣿⠀→é€\N{SNOWMAN}"
    stream.write(words)
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    text = stream.buffer.getvalue().decode(encoding)
    assert text.startswith("|`-#.*o.# >")
    assert text.endswith("\\u2603")


def test_commands_print_to_an_output_without_unicode(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run({"lr": 1}) as run:
        for step in range(9):
            run.log({"loss": 1 / (step + 1)}, step)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for command in ("show", "history"):
        words = [sys.executable, "-m", "exptrack", "--db", str(path), command, run.run_id]
        done = subprocess.run(
            [*words, *(["loss"] if command == "history" else [])], capture_output=True, env=environment
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"loss" in done.stdout
        assert b"\\u" not in done.stdout
