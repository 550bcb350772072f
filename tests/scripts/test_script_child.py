"""A script under ``exptrack run`` runs as Python alone runs it, and its run ends as the script ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from exptrack import Archive
from tests.scripts.script_lab import ScriptLab

posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
KILLED = "killed by SIGKILL, perhaps because the machine was out of memory"
# What a script does; its exit code; status and reason of its run; its exit code or signal as an attribute.
ENDS: dict[str, tuple[str, int, str, str | None, tuple[str, object]]] = {
    "by itself": ("print('done')", 0, "completed", None, ("exit_code", 0)),
    "no text": ("pass", 0, "completed", None, ("exit_code", 0)),
    "error": ("def f(): 1 / 0\nf()", 1, "failed", "ZeroDivisionError: division by zero", ("exit_code", 1)),
    "exit 0": ("import sys; sys.exit(0)", 0, "completed", None, ("exit_code", 0)),
    "exit 3": ("import sys; sys.exit(3)", 3, "failed", "exit code 3", ("exit_code", 3)),
    "quit": ("quit(4)", 4, "failed", "exit code 4", ("exit_code", 4)),
    "exit text": ("import sys; sys.exit('no data')", 1, "failed", "no data", ("exit_code", 1)),
    "raised exit": ("raise SystemExit(6)", 6, "failed", "exit code 6", ("exit_code", 6)),
    "caught exit": (
        "import sys\ntry: sys.exit(3)\nexcept SystemExit: pass",
        0,
        "completed",
        None,
        ("exit_code", 0),
    ),
    "os._exit": ("import os; os._exit(5)", 5, "failed", "exit code 5", ("exit_code", 5)),
    "os._exit 0": ("import os; os._exit(0)", 0, "completed", None, ("exit_code", 0)),
    "ctrl-C": (
        "raise KeyboardInterrupt",
        -2,
        "interrupted",
        "interrupted from the keyboard",
        ("signal", "SIGINT"),
    ),
    "SIGTERM": (
        "import os; os.kill(os.getpid(), 15)",
        -15,
        "interrupted",
        "terminated by SIGTERM",
        ("signal", "SIGTERM"),
    ),
    "SIGKILL": ("import os; os.kill(os.getpid(), 9)", -9, "interrupted", KILLED, ("signal", "SIGKILL")),
    "SIGSEGV": (
        "import ctypes; ctypes.string_at(0)",
        -11,
        "failed",
        "killed by SIGSEGV",
        ("signal", "SIGSEGV"),
    ),
    "abort": ("import os; os.abort()", -6, "failed", "killed by SIGABRT", ("signal", "SIGABRT")),
}


@posix
def test_ctrl_c_ends_by_its_signal_whatever_the_end_of_the_run_executes(lab: ScriptLab) -> None:
    lab.write("train.py", "import exptrack\nexptrack.start_run(system_metrics=True)\nraise KeyboardInterrupt")
    assert lab.run("train.py").returncode == -2
    assert lab.only().summary.status == "interrupted"


@posix
@pytest.mark.parametrize("name", ENDS)
def test_a_run_ends_as_its_script_ends(name: str, lab: ScriptLab) -> None:
    code, returncode, status, reason, (key, value) = ENDS[name]
    lab.write("train.py", code)
    plain, done = lab.plain("train.py"), lab.run("train.py")
    assert (plain.returncode, plain.stdout) == (returncode, done.stdout)
    assert (done.returncode, done.stderr.decode().replace(f"exptrack: made the archive {lab.db}\n", "")) == (
        returncode,
        plain.stderr.decode(),
    )
    found = lab.only()
    assert (found.summary.status, found.summary.reason) == (status, reason)
    assert found.attributes[key] == value
    assert "exptrack" not in (found.traceback or "")
    assert lab.text("output") == done.stdout.decode()
    if os.name == "posix":
        assert 1 << 20 < found.attributes["peak_memory_bytes"] < 1 << 32  # type: ignore[operator]
        assert 0 < found.attributes["cpu_s"] < 60  # type: ignore[operator]


LOOK = """
import __main__, builtins, json, os, sys
class Here: pass
import pickle, inspect
again = pickle.loads(pickle.dumps(Here()))
facts = {
    "argv": sys.argv, "orig_argv": sys.orig_argv[1:], "path": sys.path[0], "name": __name__,
    "file": __file__, "package": __package__, "spec": str(getattr(__spec__, "name", None)),
    "cached": str(__cached__), "builtins": __builtins__ is builtins, "main": __main__.Here is Here,
    "doc": __doc__, "type": type(again).__module__, "source": inspect.getsource(Here), "cwd": os.getcwd(),
    "names": sorted(name for name in globals() if name.startswith("__")),
    "loader": type(__loader__).__name__, "annotations": str(inspect.signature(lambda x: x)),
    "hidden": sorted(name for name in os.environ if name.startswith("EXPTRACK_I")), "flags": str(sys.flags),
}
from beside import WORD
facts["beside"] = WORD
def f(x: int): pass
facts["future"] = str(f.__annotations__)
print(json.dumps(facts))
"""


@pytest.mark.parametrize("form", ["script", "elsewhere", "module", "package", "options", "link"])
def test_a_script_finds_what_python_gives_it(form: str, lab: ScriptLab) -> None:
    lab.write("work/look.py", f'"""Looks."""\n{LOOK}')
    lab.write("work/beside.py", "WORD = 'beside'")
    lab.write("work/pkg/__init__.py", "")
    lab.write("work/pkg/__main__.py", LOOK)
    lab.write("work/pkg/mod.py", LOOK)
    words, folder = {
        "script": (["look.py", "--lr", "0.1", "-x"], "work"),
        "elsewhere": (["work/look.py", "a"], "."),
        "module": (["-m", "pkg.mod", "--lr", "0.1"], "work"),
        "package": (["-m", "pkg", "-m"], "work"),
        "options": ([sys.executable, "-W", "ignore", "-O", "look.py", "a"], "work"),
        "link": (["link.py"], "."),
    }[form]
    if form == "link":
        (lab.folder / "link.py").symlink_to(lab.folder / "work" / "look.py")
    place = lab.folder / folder
    given = words[1:] if form == "options" else words
    plain, done = lab.plain(*given, cwd=place), lab.run(*words, cwd=place)
    assert plain.returncode == 0, plain.stderr
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(plain.stdout)


POOLS = """
import multiprocessing, os, pickle, sys
class Thing:
    def __init__(self, value): self.value = value
def double(thing): return Thing(2 * thing.value)
if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print([thing.value for thing in pool.map(double, [Thing(1), Thing(2)])])
"""


@posix
@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_worker_pools_begin_as_ever(method: str, lab: ScriptLab) -> None:
    lab.write("pool.py", POOLS)
    done = lab.run("pool.py", method)
    assert (done.returncode, done.stdout) == (0, b"[2, 4]\n"), done.stderr
    assert lab.only().summary.status == "completed"


def test_what_a_script_leaves_to_its_end_is_a_part_of_its_run(lab: ScriptLab) -> None:
    lab.write(
        "late.py",
        "import atexit, exptrack, threading, time\n"
        "def later(): time.sleep(0.3); exptrack.current_run().log({'thread': 1.0})\n"
        "atexit.register(lambda: exptrack.current_run().log({'atexit': 2.0}))\n"
        "threading.Thread(target=later).start()\nprint('main is over')\n",
    )
    done = lab.run("late.py")
    assert done.returncode == 0, done.stderr
    found = lab.only()
    assert (found.summary.status, dict(found.summary.metrics)) == ("completed", {"thread": 1.0, "atexit": 2.0})


def test_a_traceback_has_the_scripts_own_frames_alone(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import argparse\nargparse.ArgumentParser().parse_args()\n"
        "def inner(): raise KeyError('x')\n"
        "try: inner()\nexcept KeyError as error: raise ValueError('y') from error\n",
    )
    plain, done = lab.plain("train.py"), lab.run("train.py")
    assert done.stderr.decode().endswith(plain.stderr.decode())
    trace = lab.only().traceback
    assert trace is not None
    assert re.findall(r'File "(.*?)"', trace) == ["train.py"] * 3


def test_a_hook_of_the_script_for_its_errors_is_called(lab: ScriptLab) -> None:
    lab.write(
        "train.py", "import sys\nsys.excepthook = lambda kind, error, trace: print('mine', error)\n1 / 0\n"
    )
    done = lab.run("train.py")
    assert (done.returncode, done.stdout) == (1, b"mine division by zero\n")
    assert lab.only().summary.reason == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["missing.py"], 2, "there is no script missing.py"),
        (["folder"], 126, "folder is a folder"),
        (["folder.py"], 126, "folder.py is a folder"),
        (["no-such-command"], 127, "there is no command no-such-command"),
        (["data.txt"], 126, "data.txt is not a command that can be executed"),
        (["./data.txt"], 126, "chmod +x ./data.txt"),
        ([], 2, "there is nothing to run"),
        ([""], 2, "there is nothing to run"),
        (["-m"], 2, "-m needs the name of a module"),
        (["--nam", "x", "ok.py"], 2, "No such option"),
        (["--name", "", "ok.py"], 50, "run name"),
    ],
)
@posix
def test_what_cannot_run_is_refused_with_the_code_of_a_shell(
    words: list[str], code: int, said: str, lab: ScriptLab
) -> None:
    lab.write("data.txt", "1 2 3")
    lab.write("ok.py", "print('ran')")
    (lab.folder / "folder").mkdir()
    (lab.folder / "folder.py").mkdir()
    done = lab.run(*words)
    assert (done.returncode, done.stdout, b"Traceback" in done.stderr) == (code, b"", False)
    assert said in done.stderr.decode()
    assert not lab.db.exists()


@pytest.mark.parametrize(
    ("words", "code", "last"),
    [
        (["wrong.py"], 1, "SyntaxError: "),
        (["-m", "no_such_module"], 1, "exptrack: No module named no_such_module"),
        (["-m", "pkg"], 1, "exptrack: No module named pkg.__main__; 'pkg' is a package and cannot be executed"),
    ],
)
def test_a_script_of_which_nothing_can_run_has_no_run(
    words: list[str], code: int, last: str, lab: ScriptLab
) -> None:
    lab.write("wrong.py", "if True print('x')\n")
    lab.write("pkg/__init__.py", "")
    plain, done = lab.plain(*words), lab.run(*words)
    assert (plain.returncode, done.returncode) == (code, code)
    assert done.stderr.decode().splitlines()[-1].startswith(last)
    assert b"exptrack/" not in done.stderr
    assert not lab.db.exists()


def test_the_code_of_a_run_is_what_the_script_was(lab: ScriptLab) -> None:
    def git(*words: str) -> None:
        told = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", *told, *words], cwd=lab.folder, check=True, capture_output=True)

    git("init", "-q")
    lab.write(".gitignore", "lab.db*\n")
    lab.write("train.py", "print('first')\n")
    git("add", ".")
    git("commit", "-qm", "first")
    lab.write("train.py", "import beside\nprint('second')\n")
    lab.write("beside.py", "WORD = 1\n")
    done = lab.run("train.py", "--lr", "1", environ={"EXPTRACK_KEEP_CODE": "yes"})
    assert done.stdout == b"second\n", done.stderr
    environment = lab.only().environment
    assert (environment["script"], environment["command"]) == ("train.py", ["train.py", "--lr", "1"])
    with Archive(lab.db) as archive:
        made = archive.reproduce(archive.list_runs()[0].run_id, lab.folder / "again", repository=lab.folder)
    assert made.command[1:] == ("train.py", "--lr", "1")
    for name in ("train.py", "beside.py"):
        assert (lab.folder / "again" / name).read_text() == (lab.folder / name).read_text()
