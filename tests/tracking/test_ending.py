"""How a script ends decides how its open runs end, and hooks that are registered later may still log."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import Archive, InvalidValueError
from exptrack.tracking.ending import describe_exit, find_stop, has_failed

HEAD = """
import atexit, sys, exptrack, threading

atexit.register(lambda: exptrack.current_run().log({"late": 1.0}))  # as an integration would, before any run
archive = exptrack.Archive("lab.db")
left = archive.start_run(name="interrupt")
run = archive.start_run(name="complete", at_exit="complete")
"""
NEVER = "the script ended without complete() or fail(); start the run in a 'with' block"
# How the script ends, its exit code, and how both runs end: the default one, and the one that completes.
CTRL_C_EXIT = 130 if sys.platform == "win32" else -signal.SIGINT  # by the signal itself
ENDINGS: dict[str, tuple[str, int, tuple[str, str | None], tuple[str, str | None]]] = {
    "by itself": ("pass", 0, ("interrupted", NEVER), ("completed", None)),
    "exit 0": ("sys.exit(0)", 0, ("interrupted", NEVER), ("completed", None)),
    "exit": ("def main(): sys.exit()\nmain()", 0, ("interrupted", NEVER), ("completed", None)),
    "exit 3": ("def main(): sys.exit(3)\nmain()", 3, ("interrupted", NEVER), ("failed", "exit code 3")),
    # The name of a file may have bytes that are not UTF-8.
    "exit text": (r"sys.exit('no data \udcff')", 1, ("interrupted", NEVER), ("failed", r"no data \udcff")),
    "exit 143": ("sys.exit(143)", 143, ("interrupted", NEVER), ("interrupted", "terminated by SIGTERM")),
    "caught": (
        "def main():\n try: sys.exit(3)\n except SystemExit: pass\nmain()",
        0,
        ("interrupted", NEVER),
        ("completed", None),
    ),
    "caught at the top": (
        "try: sys.exit(3)\nexcept SystemExit: pass",
        0,
        ("interrupted", NEVER),
        ("completed", None),
    ),
    "finally": ("try: sys.exit(3)\nfinally: print()", 3, ("interrupted", NEVER), ("failed", "exit code 3")),
    "thread": (
        "one = threading.Thread(target=sys.exit, args=(3,))\none.start()\none.join()",
        0,
        ("interrupted", NEVER),
        ("completed", None),
    ),
    "error": ("1 / 0", 1, *[("failed", "ZeroDivisionError: division by zero")] * 2),
    "ctrl-C": ("raise KeyboardInterrupt", CTRL_C_EXIT, *[("interrupted", "interrupted from the keyboard")] * 2),
}


def test_the_end_of_the_script_ends_its_runs(tmp_path: Path) -> None:
    started = {}
    for name, (code, *_wanted) in ENDINGS.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "script.py").write_text(HEAD + code)
        words = ["-m", "script"] if name == "exit 3" else ["script.py"]
        started[name] = subprocess.Popen(
            [sys.executable, *words], cwd=folder, stderr=subprocess.PIPE, text=True
        )
    told = {name: process.communicate(timeout=120)[1] for name, process in started.items()}
    for name, process in started.items():
        err = told[name]
        _code, exit_code, interrupt, complete = ENDINGS[name]
        assert process.returncode == exit_code, (name, err)
        with Archive(tmp_path / name / "lab.db") as archive:
            ended = {run.name: run for run in archive.list_runs()}
            found = {each: (str(run.status), run.reason) for each, run in ended.items()}
            assert found == {"interrupt": interrupt, "complete": complete}, (name, err)
            assert ended["complete"].metrics == {"late": 1.0}, name


def test_an_exit_of_any_kind_has_a_reason() -> None:
    class Silent:
        def __eq__(self, other: object) -> bool:
            raise OSError

        __str__ = __repr__ = __hash__ = __eq__  # type: ignore[assignment]

    assert describe_exit(SystemExit(Silent())) == "exit code <Silent that cannot be shown>"
    assert describe_exit(SystemExit(10**5000)) == "exit code <int that cannot be shown>"
    ways = [None, 0, False, 0.0, "", Silent(), True, signal.SIGTERM]
    assert [has_failed(SystemExit(way)) for way in ways] == [False] * 3 + [True] * 5
    assert find_stop(SystemExit(143)) == "terminated by SIGTERM"
    assert find_stop(SystemExit(Silent())) is None


def test_a_resumed_run_may_complete_too_and_other_words_are_refused(archive: Archive) -> None:
    run = archive.start_run()
    assert not run._completes_at_exit
    run.complete()
    again = archive.resume_run(run, at_exit="complete")
    assert again._completes_at_exit
    again.complete()
    for call in (archive.start_run, lambda at_exit: archive.resume_run(run, at_exit=at_exit)):
        with pytest.raises(InvalidValueError, match="interrupt"):
            call(at_exit="stop")
    assert len(archive.list_runs()) == 1
