"""Run commands in tests: in this process, or in a shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

import exptrack
from exptrack import Archive
from exptrack.cli import main

MARKUP = "[red]x[/red] [link=http://x]y"  # names and tags admit no control characters; the rest does


HOSTILE = "[red]x[/red] \x1b[31mred\x1b[0m \x07 \u202ereversed [link=http://x]y"


def call(db: Path | None, *words: str, **options: Any) -> Result:
    """Run one command in this process; no call may end in a traceback."""
    head = [] if db is None else ["--db", str(db)]
    result = CliRunner().invoke(main, [*head, *words], **options)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.stderr
    return result


def asked(db: Path | None, *words: str) -> Any:
    result = call(db, *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def ids(db: Path) -> list[str]:
    """Run ids, newest first: failed, lr 0.01, lr 0.1."""
    return [run["run_id"] for run in json.loads(call(db, "ls", "--json").stdout)]


def oldest_first(db: Path) -> list[str]:
    """Run ids, oldest first."""
    with Archive(db) as archive:
        return [run.run_id for run in reversed(archive.list_runs())]


def shell(db: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in which ``exptrack`` is the installed command's entry point."""
    command = f'"{sys.executable}" -c "from exptrack.cli import main; main()" --db "{db}"'
    root = str(Path(exptrack.__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": root}
    return subprocess.run(
        ["bash", "-c", f'exptrack() {{ {command} "$@"; }}; {script}'],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
