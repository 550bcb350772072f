"""Record how a process was started: the interpreter with its options, the script, and the folder.

Invariants: no secret, and no path of this machine, is recorded. All runs of one script have one record: its
arguments are in the run's own command, unless the script had changed them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from exptrack.capture.code import CapturedTree
from exptrack.capture.paths import belongs_to_installation, find_project_folder, shorten_paths, working_folder
from exptrack.capture.redaction import escape_surrogates, know_secrets_of_command
from exptrack.known_secrets import mask_secrets
from exptrack.named_tuples import NamedTuple

SPAWNED = "from multiprocessing."  # so begins the code that starts a worker


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
    given = list(getattr(sys, "orig_argv", ()))
    is_whole = False
    if not given or any(word.startswith(SPAWNED) for word in given):
        given = _name_main(tree)
        end = len(given)
    else:
        end = _find_arguments(given)
        is_whole = given[end:] != list(map(str, getattr(sys, "argv", ())))[1:]
    place = working if is_inside or base is None else base
    hidden = _hide(given)[: len(given) if is_whole else end]
    words = [_write(word, number, tree, place) for number, word in enumerate(hidden)]
    if len(words) > 1 and _is_command(given[1]):
        words = [escape_surrogates(os.path.basename(given[1])), *words[2:]]
    folder = None
    if is_inside and base is not None:
        folder = escape_surrogates(os.path.relpath(working, os.path.realpath(base)).replace(os.sep, "/"))
    return Launch(words, folder, is_whole, "ipykernel" in sys.modules)


def _find_arguments(given: Sequence[str]) -> int:
    """Return where the arguments begin: behind the options of the interpreter, and what it executes."""
    place = 1
    while place < len(given):
        word = given[place]
        place += 1
        if word == "--check-hash-based-pycs":
            place += 1
        elif word == "-" or not word.startswith("-"):
            return place
        elif not word.startswith("--"):
            # Of a cluster such as -Bm, the first option that takes a value takes the rest, or the next word.
            at = next((at for at, letter in enumerate(word) if letter in "cmXW"), None)
            if at is not None:
                place += at == len(word) - 1
                if word[at] in "cm":
                    return place
    return min(place, len(given))


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


def _is_command(word: str) -> bool:
    """Whether a script is a command of an installed package, which needs no interpreter before it."""
    return not word.startswith("-") and belongs_to_installation(word) and not word.endswith(".py")


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
