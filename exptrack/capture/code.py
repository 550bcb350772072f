"""What is recorded about machine and code when a run starts.

Invariants: capturing never stops a training run and never waits for long: what cannot be found out is None,
with the reason in ``CodeVersion.problem``. No secret and no path of the machine goes out: every text passes
``redaction`` and ``paths``, environment variables come from an allow-list. Nothing but regular files is opened.

Cost: the first capture of a process asks git once. For ``CODE_FRESH_S`` (longer where git is slow) the answer
serves again, unless HEAD, index, script or a file that was changed already look different.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from exptrack.capture.git import GITLINK, TreeState, git_folders, head_only, open_regular, tree_state
from exptrack.capture.paths import main_script, relative_path, repository_root, shorten_paths, working_folder
from exptrack.capture.redaction import _storable, recordable, redact_remote
from exptrack.process import read_small

GIT_TIMEOUT_S = 5.0
CODE_FRESH_S = 2.0
CODE_FRESHEST_S = 30.0
WHOLE_FILE_BYTES = 16 << 20  # larger ones count by their ends, size and time
WHOLE_TREE_BYTES = 64 << 20
WATCHED_FILES = 16


class CodeVersion(NamedTuple):
    """The state of the code; `digest` is equal for equal code. `problem` says why something is missing."""

    commit: str | None
    dirty: bool | None
    branch: str | None
    remote: str | None
    script: str | None
    digest: str
    problem: str | None


class _Captured(NamedTuple):
    code: CodeVersion
    until: float
    watched: tuple[str, ...]
    stamps: tuple[tuple[int, ...], ...]


_captured: dict[tuple[str | None, ...], _Captured] = {}


def capture_code(folder: Path | None = None) -> CodeVersion:
    """The version of the code in `folder`: by default that of the main script, else the working folder.

    In a git repository: commit, branch, remote, and whether tracked files differ from the commit, by the git
    program where there is one and by dulwich where not. Elsewhere the content of the main script stands
    for the code.
    """
    script = main_script()
    key = (None if folder is None else os.path.abspath(folder), script, None if script else working_folder())
    known = _captured.get(key)
    begin = time.monotonic()
    if known is not None and begin < known.until and _stamps(known.watched) == known.stamps:
        return known.code
    start = os.path.dirname(script) if folder is None and script else str(folder or os.curdir)
    code, watched = _capture(start, script)
    stamps = _stamps(watched)
    end = time.monotonic()
    # Where git is slow, starting runs in a loop must not become asking git in a loop.
    until = end + min(max(CODE_FRESH_S, 10 * (end - begin)), CODE_FRESHEST_S)
    if len(_captured) >= 16:
        _captured.clear()
    _captured[key] = _Captured(code, until, watched, stamps)
    return code


def _stamps(paths: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    found: list[tuple[int, ...]] = []
    for path in paths:
        try:
            seen = os.lstat(path)
        except OSError:
            found.append(())
        else:
            found.append((seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size, seen.st_ino, seen.st_mode))
    return tuple(found)


def _capture(start: str, script: str | None) -> tuple[CodeVersion, tuple[str, ...]]:
    deadline = time.monotonic() + GIT_TIMEOUT_S
    root: str | None = None
    state = TreeState(None, None, None)
    problem: str | None = None
    try:
        root = repository_root(start)
        if root is not None:
            state = tree_state(root, deadline)
    except Exception as error:  # dulwich raises many kinds on a broken repository; the run goes on
        problem = recordable(f"{type(error).__name__}: {error}")
        with suppress(Exception):  # the same breakage, told already
            state = head_only(root or start)
    name = None if script is None else _storable(relative_path(script, root))
    own = "" if script is None else _file_digest(os.fsencode(script), WHOLE_TREE_BYTES)[0]
    watched = [] if script is None else [script]
    if root is None:
        return CodeVersion(None, None, None, None, name, own, problem), tuple(watched)
    git, _common = git_folders(root)
    watched += [os.path.join(git, part) for part in ("HEAD", "index", os.path.join("logs", "HEAD"))]
    if state.changed is None:
        digest = (
            hashlib.sha256(f"{state.commit or ''}\0unknown\0{own}".encode()).hexdigest()
            if state.commit
            else own
        )
    else:
        watched += [os.path.join(root, os.fsdecode(path)) for path in sorted(state.changed)[:WATCHED_FILES]]
        digest = _tree_digest(root, state, deadline)
    dirty = None if state.changed is None else bool(state.changed)
    branch = None if state.branch is None else _storable(state.branch)
    return CodeVersion(state.commit, dirty, branch, _remote(root), name, digest, problem), tuple(watched)


def _file_digest(path: bytes, budget: int) -> tuple[str, int]:
    """SHA-256 (hex) of a regular file and how many bytes were read; "" for anything else.

    Of a file larger than the budget or `WHOLE_FILE_BYTES`, size, time and both ends stand for the rest.
    """
    descriptor = open_regular(path)
    if descriptor is None:
        return "", 0
    with os.fdopen(descriptor, "rb") as file:
        seen = os.fstat(descriptor)
        if seen.st_size <= min(budget, WHOLE_FILE_BYTES):
            content = file.read(WHOLE_FILE_BYTES)
            return hashlib.sha256(content).hexdigest(), len(content)
        digest = hashlib.sha256(f"{seen.st_size}\0{seen.st_mtime_ns}\0".encode())
        digest.update(file.read(1 << 16))
        file.seek(-(1 << 16), os.SEEK_END)
        digest.update(file.read(1 << 16))
        return digest.hexdigest(), 1 << 17


def _tree_digest(root: str, state: TreeState, deadline: float) -> str:
    """SHA-256 over the commit and, in order, each changed path with its mode and what it holds now."""
    digest = hashlib.sha256((state.commit or "").encode())
    budget = WHOLE_TREE_BYTES
    for path, mode in sorted((state.changed or {}).items()):
        full = os.path.join(os.fsencode(root), path)
        content, read = "", 0
        if mode == GITLINK:
            place = os.fsdecode(full)
            inner = tree_state(place, deadline)
            content = _tree_digest(place, inner, deadline)
        elif stat.S_ISLNK(mode):
            with suppress(OSError):  # gone since: as a deleted one
                content = hashlib.sha256(os.readlink(full)).hexdigest()
        elif mode:
            content, read = _file_digest(full, budget)
        budget -= read
        digest.update(b"\0%b\0%o %b" % (path, mode, content.encode()))
    return digest.hexdigest()


def _remote(root: str) -> str | None:
    """The URL of origin without credentials and without folders of this machine."""
    inside = False
    for line in (read_small(os.path.join(git_folders(root)[1], "config")) or "").splitlines():
        words = line.strip()
        if words.startswith("["):
            inside = words.startswith('[remote "origin"]')
            continue
        name, _separator, value = words.partition("=")
        if inside and name.strip().lower() == "url":
            url = value.strip().strip('"')
            return _storable(relative_path(url) if os.path.isabs(url) else shorten_paths(redact_remote(url)))
    return None
