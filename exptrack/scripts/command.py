"""Read what is to run: a Python script, a module, or another command.

Invariant: what cannot run is refused before a run begins, with the exit code that Python or a shell ends with.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import NamedTuple

from exptrack.errors import InvalidValueError

NO_USE, NOT_EXECUTABLE, NOT_FOUND = 2, 126, 127  # the exit codes of Python and of shells
_PYTHON = r"pythonw?\d*(\.\d+)?(\.exe)?$"
_VALUE_OPTIONS = frozenset(["-W", "-X", "--check-hash-based-pycs"])
# Interpreter options of one letter that a script keeps its meaning with. Others leave the packages out.
_KEPT_OPTIONS = r"-(?:[bBdOPqsuvx]+|[WX].+)$"


class Target(NamedTuple):
    """What runs: `kind` is script, module or command. `words` begin with its name; `options` are of Python."""

    kind: str
    words: list[str]
    options: list[str]


def read_target(words: Sequence[str]) -> Target:
    """Return what a command line is to run.

    ``-m`` before the first word names a module. A ``python`` that is this one may stand before both.

    Raises:
        InvalidValueError: there is no such file or command, or it cannot be executed.
    """
    if not words or not words[0]:
        raise _refuse("there is nothing to run; give a script, -m and a module, or a command", NO_USE)
    if any("\0" in word for word in words):
        raise _refuse("a word of the command holds a NUL, which no command takes; leave it out", NO_USE)
    first = words[0]
    if first == "-m":
        return _read_module(words[1:], [])
    if first.startswith("-"):
        raise _refuse(f"there is no option {first!r}; 'exptrack run --help' lists them", NO_USE)
    if first.lower().endswith((".py", ".pyw")):
        return _read_script(words, [])
    if re.match(_PYTHON, os.path.basename(first).lower()) and _is_this_python(first):
        target = _read_interpreter(words[1:])
        if target is not None:
            return target
    _require_command(first)
    return Target("command", list(words), [])


def _read_interpreter(words: Sequence[str]) -> Target | None:
    """Return the script or module that an interpreter was given; None if it is to do anything else."""
    place = 0
    while place < len(words) and words[place].startswith("-"):
        word = words[place]
        if word == "-m":
            return _read_module(words[place + 1 :], list(words[:place]))
        if word in _VALUE_OPTIONS:
            place += 1
        elif re.match(_KEPT_OPTIONS, word) is None:
            return None
        place += 1
    return _read_script(words[place:], list(words[:place])) if place < len(words) else None


def _read_module(words: Sequence[str], options: list[str]) -> Target:
    if not words or not words[0]:
        raise _refuse("-m needs the name of a module; give it, like -m package.module", NO_USE)
    return Target("module", list(words), options)


def _read_script(words: Sequence[str], options: list[str]) -> Target:
    script = words[0]
    if os.path.isdir(script):
        raise _refuse(f"{script} is a folder; name the script in it", NOT_EXECUTABLE)
    if not os.path.exists(script):
        raise _refuse(f"there is no script {script}; check its path", NO_USE)
    if not os.access(script, os.R_OK):
        raise _refuse(f"{script} cannot be read; check its permissions", NO_USE)
    return Target("script", list(words), options)


def _is_this_python(word: str) -> bool:
    """Whether a command is the interpreter that runs this, with the packages of this one."""
    found = shutil.which(word)
    if found is None or not sys.executable:
        return False
    mine = os.path.abspath(sys.executable)
    same_folder = os.path.dirname(os.path.abspath(found)) == os.path.dirname(mine)
    return same_folder and os.path.samefile(found, mine)


def _require_command(command: str) -> None:
    if shutil.which(command) is not None:
        return
    if os.path.isdir(command):
        raise _refuse(f"{command} is a folder; name a script or command in it", NOT_EXECUTABLE)
    if os.path.exists(command):
        has_folder = os.path.dirname(command) != ""
        advice = f"chmod +x {command}" if has_folder else f"give ./{command}, or the program that reads it"
        raise _refuse(f"{command} is not a command that can be executed; {advice}", NOT_EXECUTABLE)
    raise _refuse(f"there is no command {command}; check its name", NOT_FOUND)


def _refuse(message: str, exit_code: int) -> InvalidValueError:
    error = InvalidValueError(message)
    error.exit_code = exit_code
    return error
