"""A script that ctrl-C ends leaves the shell the exit of ctrl-C, whatever the end of its runs has imported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = "import sys, exptrack\nrun = exptrack.start_run()\nrun.log({'loss': 1.0})\n"
# Text that is executed makes the interpreter forget the signal.
FORGETS = "import atexit\natexit.register(exec, 'pass', {})\n"
INTERRUPTED: dict[str, list[str]] = {
    "script": ["-c", HEAD + "raise KeyboardInterrupt"],
    "text at the exit": ["-c", HEAD + FORGETS + "raise KeyboardInterrupt"],
    "system metrics": [
        "-c",
        HEAD.replace("start_run()", "start_run(system_metrics=True)") + "raise KeyboardInterrupt",
    ],
    "artifact": ["-c", HEAD + "run.artifacts.register_file('python', sys.executable)\nraise KeyboardInterrupt"],
    "block": ["-c", HEAD + FORGETS + "with run: raise KeyboardInterrupt"],
    "many points": ["-c", HEAD + "run.log_many('x', None, range(30_000))\nraise KeyboardInterrupt"],
}
# What the shell is told where no ctrl-C ended the script.
OTHERS = {
    "end": ("", 0),
    "handled": ("try: raise KeyboardInterrupt\nexcept KeyboardInterrupt: pass", 0),
    "exit": ("try: raise KeyboardInterrupt\nexcept KeyboardInterrupt: sys.exit(3)", 3),
    "console": (
        "import code\n"
        "lines = iter(['raise KeyboardInterrupt'])\n"
        "def ask(prompt=''):\n"
        "    try: return next(lines)\n"
        "    except StopIteration: raise EOFError\n"
        "code.interact(banner='', readfunc=ask, local=globals())",
        0,
    ),
}


def end_of(folder: Path, words: list[str]) -> int:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        capture_output=True,
        timeout=120,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    return done.returncode


@pytest.mark.skipif(os.name != "posix", reason="ends by signals")
@pytest.mark.parametrize("case", INTERRUPTED)
def test_ctrl_c_ends_the_script_by_its_signal(tmp_path: Path, case: str) -> None:
    assert end_of(tmp_path, INTERRUPTED[case]) == -signal.SIGINT


@pytest.mark.parametrize("case", OTHERS)
def test_no_other_end_becomes_one_by_ctrl_c(tmp_path: Path, case: str) -> None:
    code, wanted = OTHERS[case]
    assert end_of(tmp_path, ["-c", HEAD + code]) == wanted
