"""Record how a process was started: the interpreter with its options, the script, and the folder.

Invariants: no secret, and no path of this machine, is recorded. All runs of one script have one record: its
arguments are in the run's own command, unless the script had changed them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from exptrack.capture.code import CapturedTree
from exptrack.capture.paths import belongs_to_installation, find_project_folder, shorten_paths, working_folder
from exptrack.capture.redaction import escape_surrogates, know_secrets_of_command
from exptrack.known_secrets import mask_secrets

SPAWNED = "multiprocessing"  # in the words that start a worker


class Launch(NamedTuple):
    """The first words of the command, and the folder it was given in, relative to the code; None: elsewhere.

    The arguments of the run's command follow, unless `is_whole`: then the words are the whole command.
    """

    words: list[str]
    folder: str | None
    is_whole: bool
    is_notebook: bool


def capture_launch(tree: CapturedTree) -> Launch:
    """Return how this process was started; `tree` tells where its code is."""
    base = tree.root
    if base is None and tree.script is not None:
        base = find_project_folder(tree.script)
    working = os.path.realpath(working_folder() or os.sep)
    is_inside = base is not None and _is_below(working, base)
    given, arguments = list(getattr(sys, "orig_argv", ())), list(map(str, getattr(sys, "argv", ())))[1:]
    is_spawned = any(SPAWNED in word for word in given[:4])
    begin = len(given) - len(arguments)
    is_whole = not is_spawned and begin > 0 and given[begin:] != arguments
    if is_spawned or begin <= 0:
        given, begin = _name_main(tree), 0
    elif is_whole:
        begin = len(given)
    begin = begin or len(given)
    place = working if is_inside or base is None else base
    words = [_write(word, number, tree, place) for number, word in enumerate(_hide(given)[:begin])]
    if len(words) > 1 and tree.script is not None and _is_command(given[1], tree.script):
        words = words[1:]
    folder = None
    if is_inside and base is not None:
        folder = escape_surrogates(os.path.relpath(working, os.path.realpath(base)).replace(os.sep, "/"))
    return Launch(words, folder, is_whole, "ipykernel" in sys.modules)


def _hide(given: Sequence[str]) -> list[str]:
    return [mask_secrets(word) for word in know_secrets_of_command(given)]


def _is_below(place: str, base: str) -> bool:
    begin = os.path.realpath(base)
    return place == begin or place.startswith(os.path.join(begin, ""))


def _name_main(tree: CapturedTree) -> list[str]:
    """Return the words that start the main module, where the interpreter was given others."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = getattr(spec, "name", "")
    if name and name != "__main__":
        return [sys.executable or "python", "-m", name.removesuffix(".__main__")]
    return [sys.executable or "python", *([] if tree.script is None else [tree.script])]


def _is_command(word: str, script: str) -> bool:
    """Whether a script is a command of an installed package, which needs no interpreter before it."""
    same = os.path.realpath(word) == os.path.realpath(script)
    return same and belongs_to_installation(script) and not script.endswith(".py")


def _write(word: str, number: int, tree: CapturedTree, place: str) -> str:
    """Return one word of the command as it is given in `place`."""
    if number == 0:
        return escape_surrogates(os.path.basename(word)) or "python"
    if tree.script is not None and os.path.realpath(word) == os.path.realpath(tree.script):
        if belongs_to_installation(tree.script):
            return escape_surrogates(os.path.basename(word))
        try:
            relative = os.path.relpath(os.path.realpath(word), place)
        except ValueError:  # on another drive
            relative = os.path.basename(word)
        return escape_surrogates(relative.replace(os.sep, "/"))
    return escape_surrogates(shorten_paths(word))
