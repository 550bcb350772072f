"""Write the tree of a commit to a folder, with a patch applied to it, from a repository of this machine.

Invariant: the repository, its index and its work tree stay as they are. Index and new objects go to a temporary
folder. The patch is applied to the index, so line ends and links come out as git writes them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from exptrack.capture.git import find_git_folders, git_command, git_environment
from exptrack.capture.paths import find_repository_root
from exptrack.errors import NotFoundError
from exptrack.plain import short_path

GIT_WAIT_S = 600.0


def find_repository(places: Iterable[str], commit: str) -> str | None:
    """Return the root of the first repository, at or above one of these folders, that has a commit.

    Raises:
        NotFoundError: git is not installed.
    """
    roots = dict.fromkeys(filter(None, map(find_repository_root, places)))
    return next((root for root in roots if _call(root, "cat-file", "-e", f"{commit}^{{commit}}") is None), None)


def write_commit(root: str, commit: str, patch: bytes, target: Path) -> str | None:
    """Write the tree of a commit, changed by `patch`, into an empty folder. Return why the patch is not in it.

    Raises:
        NotFoundError: git could not write the tree; the message has its words.
    """
    with TemporaryDirectory(prefix="exptrack-") as place:
        objects = os.path.join(place, "objects")
        os.mkdir(objects)
        apart = {
            "GIT_INDEX_FILE": os.path.join(place, "index"),
            "GIT_OBJECT_DIRECTORY": objects,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.path.abspath(
                os.path.join(find_git_folders(root)[1], "objects")
            ),
        }
        _require(_call(root, "read-tree", commit, variables=apart), root, commit)
        problem = None
        if patch:
            words = ("apply", "--cached", "--whitespace=nowarn", "-")
            problem = _call(root, *words, variables=apart, given=patch)
        # A tree without files has nothing to check out, and git makes a folder only for a file.
        prefix = os.path.join(str(target.resolve()), "")
        words = ("checkout-index", "--all", "--force", f"--prefix={prefix}")
        _require(_call(root, *words, variables=apart), root, commit)
    return problem


def _require(problem: str | None, root: str, commit: str) -> None:
    if problem is not None:
        raise NotFoundError(
            f"git could not write commit {commit} of {short_path(root)} ({problem}); look for what that"
            " repository lacks with 'git fsck'"
        )


def _call(root: str, *words: str, variables: dict[str, str] | None = None, given: bytes = b"") -> str | None:
    """Call git; return None if it succeeds, else the last line of what it says."""
    try:
        done = subprocess.run(
            git_command(root, words),
            input=given,
            capture_output=True,
            env=git_environment(root) | (variables or {}),
            timeout=GIT_WAIT_S,
        )
    except FileNotFoundError:
        raise NotFoundError(
            "the program git is not here, which writes the code of a commit; install it"
        ) from None
    except subprocess.TimeoutExpired:
        return f"it took longer than {GIT_WAIT_S:g} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it ended with code {done.returncode}"
