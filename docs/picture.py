"""Draws docs/terminal.svg, the picture in the README, from a real run: ``python docs/picture.py``.

The script trains the models of ``exptrack demo`` in a temporary folder, asks three questions at the command
line and draws the output. It needs the extra ``demo``. Ids and durations differ from run to run; the rest of
the picture does not. The picture asks no network for a font.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import rich.console
import rich.text

PICTURE = Path(__file__).resolve().parent / "terminal.svg"
COLUMNS = 92
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
RANKING = 'exptrack ls --where "config.optim.lr >= 0.01" --order -metrics.val_accuracy.max -n 4'
QUESTIONS = (
    f"{RANKING} \\\n    --columns name,config.optim.lr,metrics.val_accuracy.max,duration",
    "exptrack history {best} val_accuracy --with {other}",
    'exptrack sql "SELECT tag, count(*) AS runs FROM tags GROUP BY tag"',
)


def run_command(folder: str, command: str) -> str:
    """What the command prints on a terminal with colours."""
    # Tables are as wide as the picture, whatever this terminal is.
    environment = os.environ | {
        "COLUMNS": str(COLUMNS),
        "EXPTRACK_DB": "exptrack.db",
        "FORCE_COLOR": "1",
        "PYTHONIOENCODING": "utf-8",
        "TERM": "xterm-256color",
    }
    words = [sys.executable, "-m", "exptrack", *shlex.split(command.replace("\\\n", ""))[1:]]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, check=True)
    return done.stdout.decode("utf-8")


def in_columns(printed: str) -> rich.text.Text:
    """What was printed, each piece of a curve on its own: fonts without these dots borrow wider ones."""
    text = rich.text.Text.from_ansi(printed.replace("\u2800", " "))
    for piece in re.finditer(r"[\u2801-\u28ff]", text.plain):
        text.stylize("not dim bold", *piece.span())
    return text


def draw() -> str:
    """The picture as SVG."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, tempfile.TemporaryDirectory() as folder:
        paper = rich.console.Console(
            record=True, file=nowhere, width=COLUMNS, force_terminal=True, color_system="truecolor"
        )
        run_command(folder, "exptrack demo exptrack.db")
        best, other = [run["run_id"][-4:] for run in json.loads(run_command(folder, f"{RANKING} --json"))][:2]
        for number, question in enumerate(QUESTIONS):
            command = question.format(best=best, other=other)
            if number:
                paper.print()
            paper.print(rich.text.Text(f"$ {command}", style="bold"))
            paper.print(in_columns(run_command(folder, command).rstrip("\n")))
        svg = paper.export_svg(title="exptrack", unique_id="exptrack")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
