"""A child that is forked while another thread imports does not wait for that import for ever."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import exptrack
from exptrack.fork_imports import LATE_LIBRARIES

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")

BY_NAME = {"cmaes", "pandas", "pynvml"}  # which functions import by import_module

# Python 3.12 and later warn of the thread that is under way at the fork, which is what these tests are about.
PYTHON = [sys.executable, "-W", "ignore::DeprecationWarning", "-c"]
FORK = """
import importlib, importlib.abc, importlib.util, os, signal, sys, threading, time
import exptrack

name, phase, seen = sys.argv[1:]
is_under_way = threading.Event()

def dawdle():
    if threading.current_thread() is not threading.main_thread():
        is_under_way.set()
        time.sleep(0.5)

class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, wanted, path, target=None):
        if wanted != name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if phase == "found":
            dawdle()
        run = spec.loader.exec_module
        def exec_module(module):
            if phase == "executed":
                dawdle()
            if phase == "failed":
                dawdle()
                raise ImportError(name)
            run(module)
        spec.loader.exec_module = exec_module
        return spec

if seen == "modules":
    from exptrack import fork_imports
    fork_imports._under_way = lambda: set(sys.modules)
assert name not in sys.modules, "the module to wait for is imported already"
sys.meta_path.insert(0, Slow())

def work():
    try:
        importlib.import_module(name)
    except ImportError:
        assert phase == "failed"
thread = threading.Thread(target=work)
thread.start()
is_under_way.wait()
child = os.fork()
if child == 0:
    signal.alarm(10)
    try:
        importlib.import_module(name)
    except ImportError:
        assert phase == "failed"
    os._exit(0)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("name", ["exptrack.record_lists", "tabulate", "wave"])
@pytest.mark.parametrize("phase", ["found", "executed", "failed"])
def test_a_fork_waits_for_an_import_in_another_thread(name: str, phase: str) -> None:
    command = [*PYTHON, FORK, name, phase, "imports"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_where_python_does_not_tell_of_imports_a_fork_waits_for_modules_that_are_executed() -> None:
    command = [*PYTHON, FORK, "exptrack.record_lists", "executed", "modules"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def imports_late(file: Path) -> set[str]:
    """The top packages that functions of a file import."""
    found: set[str] = set()
    for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
    return found


def test_a_fork_waits_for_every_library_that_exptrack_imports_late() -> None:
    libraries = set(BY_NAME)
    for file in Path(exptrack.__file__).parent.rglob("*.py"):
        libraries |= imports_late(file)
    assert libraries - {"exptrack"} - sys.stdlib_module_names == set(LATE_LIBRARIES.split())
