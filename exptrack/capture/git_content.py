"""Read what a git work tree has beyond its commit: the patch of its tracked files, and the names of others.

Invariants: as in `git`. Of an output that is too long or too late nothing is used, and git is killed.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby

from exptrack.capture.git import end_session, read_git, start_git
from exptrack.named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess

PATCH_OUTPUT_BYTES = 8 << 20  # a longer output of git is not read
LIST_OUTPUT_BYTES = 1 << 20
READ_BYTES = 1 << 16

# Settings of the user change neither the form of a patch nor what it holds.
_DIFF = (
    "diff --binary --full-index --no-color --no-ext-diff --no-textconv --no-renames --no-relative"
    " --ignore-submodules=dirty --src-prefix=a/ --dst-prefix=b/ --unified=3 --inter-hunk-context=0"
    " --diff-algorithm=myers"
).split()
_LIST = ("ls-files", "--others", "--exclude-standard", "-z")
_SECTION = rb"(?m)^(?=diff --git )"


class TreeContent(NamedTuple):
    """The parts of a patch by path, and the paths that git neither tracks nor ignores.

    One that git did not tell in time is None, and `problem` gives the reason.
    """

    patch: dict[bytes, bytes] | None
    untracked: list[bytes] | None
    problem: str | None


def read_tree_content(root: str, commit: str | None, is_changed: bool, deadline: float) -> TreeContent:
    """Return what the work tree has beyond `commit`. Without a commit or a change there is no patch."""
    has_patch = commit is not None and is_changed
    commands: dict[str, tuple[Sequence[str], int]] = {"the untracked files": (_LIST, LIST_OUTPUT_BYTES)}
    if has_patch:
        commands["the changes"] = ([*_DIFF, "HEAD", "--"], PATCH_OUTPUT_BYTES)
    started: dict[str, subprocess.Popen[bytes]] = {}
    found: dict[str, bytes] = {}
    problems: list[str] = []
    try:
        for what, (command, _most) in commands.items():
            started[what] = start_git(root, command)
        for what, process in started.items():
            try:
                found[what] = _read_at_most(process, commands[what][1], deadline)
            except (OSError, TimeoutError) as error:
                problems.append(f"{what} are not kept: {error}")
    except OSError:
        problems.append("changes and untracked files are not kept: the program git is not installed")
    finally:
        for process in started.values():
            if process.returncode is None:
                end_session(process.pid)
                process.communicate()
    patch = dict(_split(found["the changes"])) if "the changes" in found else None
    names = found.get("the untracked files")
    return TreeContent(
        patch if has_patch else {},
        None if names is None else [name for name in names.split(b"\0") if name],
        "; ".join(problems) or None,
    )


def _read_at_most(process: subprocess.Popen[bytes], most: int, deadline: float) -> bytes:
    """Return the output of git.

    Raises:
        TimeoutError: it had not ended by `deadline`.
        OSError: it failed, or its output is longer than `most`.
    """
    import select

    assert process.stdout is not None
    if not hasattr(select, "poll"):
        output = read_git(process, deadline)
    else:
        watch, parts, length = select.poll(), list[bytes](), 0
        watch.register(process.stdout)
        while length <= most:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not watch.poll(left_s * 1000):
                raise TimeoutError("git took too long")
            part = os.read(process.stdout.fileno(), READ_BYTES)
            if not part:
                break
            parts.append(part)
            length += len(part)
        output = b"".join(parts)
    if len(output) > most:
        raise OSError(f"they are larger than {most >> 20} MiB")
    process.communicate()
    if process.returncode:
        raise OSError("git failed")
    return output


def _split(patch: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Split a patch into the part of each file. No line inside a part begins as its first one does.

    A file that became a link has two such parts, one after the other.
    """
    parts = [part for part in re.split(_SECTION, patch) if part.startswith(b"diff --git ")]
    for path, same in groupby(parts, read_path_of_part):
        yield path, b"".join(same)


def read_path_of_part(part: bytes) -> bytes:
    """Return the path that a part of a patch concerns: old and new are the same, as nothing is renamed."""
    both = part.partition(b"\n")[0][len(b"diff --git ") :]
    half = both[: len(both) // 2]
    if not half.startswith(b'"'):
        return half[len(b"a/") :]
    with suppress(ValueError):
        return half[1:-1].decode("unicode_escape").encode("latin-1")[len(b"a/") :]
    return half


def split_patch(patch: bytes) -> dict[str, bytes]:
    """Return the part of each file of a stored patch, by path."""
    return {os.fsdecode(path): part for path, part in _split(patch)}
