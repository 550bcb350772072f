"""Record the version of the code when a run starts: commit, branch, remote, script and a digest.

Invariants:

- Capturing never stops a run and never waits for long. A fact that cannot be found out is None, and
  ``CodeVersion.problem`` gives the reason.
- No secret and no path of this machine is recorded: every text has passed ``redaction`` and ``paths``.
- Only regular files are opened.

Cost: the first capture of a process asks git once. The answer is used again for ``CODE_FRESH_S`` (longer where
git is slow), unless HEAD, the index, the script or one of the changed files looks different.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType

from exptrack.capture.git import GITLINK, TreeState, find_git_folders, open_regular, read_head, read_tree_state
from exptrack.capture.paths import (
    find_main_script,
    find_repository_root,
    relative_path,
    shorten_paths,
    working_folder,
)
from exptrack.capture.redaction import escape_surrogates, redact_remote, remove_secrets_and_paths
from exptrack.digests import sha256, sha256_of
from exptrack.named_tuples import NamedTuple
from exptrack.process import read_small

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

GIT_TIMEOUT_S = 5.0
CODE_FRESH_S = 2.0
CODE_FRESHEST_S = 30.0  # the longest that an answer is used again, where git is slow
WHOLE_FILE_BYTES = 16 << 20  # the digest of a larger file covers only its ends, size and time
WHOLE_TREE_BYTES = 64 << 20  # of all changed files; beyond it, every file counts as a larger one
END_BYTES = 1 << 16  # read at each end of a file that is not read whole
WATCHED_FILES = 16  # changed files whose times tell whether the last answer still holds
REMEMBERED_FOLDERS = 16
USED_FILES = 1000  # paths handed to git; a command line has room for these


class CodeVersion(NamedTuple):
    """The version of the code. Equal code has an equal `digest`; `problem` says why a fact is missing."""

    commit: str | None
    dirty: bool | None
    branch: str | None
    remote: str | None
    script: str | None
    digest: str
    problem: str | None


class CapturedTree(NamedTuple):
    """Where a version of the code was found: root of the repository, main script, and what git told of it.

    `changed` is None outside a repository, and where the tree could not be compared.
    """

    root: str | None
    script: str | None
    changed: dict[bytes, int] | None


class _Captured(NamedTuple):
    code: CodeVersion
    tree: CapturedTree
    until: float
    watched: tuple[str, ...]
    stamps: tuple[tuple[int, ...], ...]


_captured: dict[tuple[str | None, ...], _Captured] = {}


def capture_code(folder: Path | None = None) -> CodeVersion:
    """Return the version of the code in `folder`: by default that of the main script, else the working folder.

    In a git repository it has commit, branch, remote, and whether the code differs from the commit. It differs
    by a changed tracked file, and by a main script or imported module that git does not track. The git program
    compares them, or dulwich where git is not installed. Outside a repository these facts are None, and
    the digest is that of the main script.
    """
    script = find_main_script()
    key = (None if folder is None else os.path.abspath(folder), script, None if script else working_folder())
    known = _captured.get(key)
    begin = time.monotonic()
    if known is not None and begin < known.until and _read_stamps(known.watched) == known.stamps:
        return known.code
    start = os.path.dirname(script) if folder is None and script else str(folder or os.curdir)
    code, tree, watched = _capture(start, script)
    stamps = _read_stamps(watched)
    end = time.monotonic()
    # Where git is slow, a loop that starts runs must not ask git for each of them.
    until = end + min(max(CODE_FRESH_S, 10 * (end - begin)), CODE_FRESHEST_S)
    if len(_captured) >= REMEMBERED_FOLDERS:
        _captured.clear()
    _captured[key] = _Captured(code, tree, until, watched, stamps)
    return code


def find_captured_tree(code: CodeVersion) -> CapturedTree | None:
    """Return where :func:`capture_code` found this very version; None for one that it did not return lately."""
    return next((one.tree for one in list(_captured.values()) if one.code is code), None)


def _read_stamps(paths: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    found: list[tuple[int, ...]] = []
    for path in paths:
        try:
            seen = os.lstat(path)
        except OSError:
            found.append(())
        else:
            found.append((seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size, seen.st_ino, seen.st_mode))
    return tuple(found)


def _capture(start: str, script: str | None) -> tuple[CodeVersion, CapturedTree, tuple[str, ...]]:
    deadline = time.monotonic() + GIT_TIMEOUT_S
    root: str | None = None
    state = TreeState(None, None, None)
    problem: str | None = None
    try:
        root = find_repository_root(start)
        if root is not None:
            state = read_tree_state(root, deadline, find_used_code(root, script))
    except Exception as error:  # dulwich raises many kinds on a broken repository; the run goes on
        problem = remove_secrets_and_paths(f"{type(error).__name__}: {error}")
        with suppress(Exception):  # it fails for the same reason, which is in `problem`
            state = read_head(root or start)
    name = None if script is None else escape_surrogates(relative_path(script, root))
    own = "" if script is None else _digest_file(os.fsencode(script), WHOLE_TREE_BYTES)[0]
    watched = [] if script is None else [script]
    tree = CapturedTree(root, script, state.changed)
    if root is None:
        return CodeVersion(None, None, None, None, name, own, problem), tree, tuple(watched)
    git, _common = find_git_folders(root)
    watched += [os.path.join(git, part) for part in ("HEAD", "index", os.path.join("logs", "HEAD"))]
    if state.changed is None:
        digest = sha256(f"{state.commit or ''}\0unknown\0{own}".encode()).hexdigest() if state.commit else own
    else:
        watched += [os.path.join(root, os.fsdecode(path)) for path in sorted(state.changed)[:WATCHED_FILES]]
        digest = _digest_tree(root, state, deadline)
    dirty = None if state.changed is None else bool(state.changed)
    branch = None if state.branch is None else escape_surrogates(state.branch)
    code = CodeVersion(state.commit, dirty, branch, _read_remote(root), name, digest, problem)
    return code, tree, tuple(watched)


def find_used_code(root: str, script: str | None) -> list[bytes]:
    """Find the main script and the imported modules in a work tree, as paths relative to it.

    Files of a virtual environment there are left out.
    """
    # Asking a lazy module for an attribute would import it; its dictionary alone does not.
    modules = [module for module in list(sys.modules.values()) if isinstance(module, ModuleType)]
    files = {object.__getattribute__(module, "__dict__").get("__file__") for module in modules} | {script}
    begin, environment = os.path.join(root, ""), os.path.join(os.path.realpath(sys.prefix), "")
    found: list[bytes] = []
    for path in _resolve({file for file in files if isinstance(file, str)}):
        relative = path.removeprefix(begin)
        belongs = environment.startswith(begin) and path.startswith(environment)
        if relative != path and not belongs and f"site-packages{os.sep}" not in relative:
            found.append(os.fsencode(relative.replace(os.sep, "/")))
    return sorted(found)[:USED_FILES]


def _resolve(files: set[str]) -> set[str]:
    """Return the real paths of files. Each folder is resolved once: thousands of modules share hundreds."""
    folders: dict[str, str] = {}
    found = set()
    for file in files:
        folder, name = os.path.split(file)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        path = os.path.join(folders[folder], name)
        is_resolved = name not in ("", os.curdir, os.pardir) and not os.path.islink(path)
        found.add(path if is_resolved else os.path.realpath(path))
    return found


def _digest_file(path: bytes, budget: int) -> tuple[str, int]:
    """Return the SHA-256 (hex) of a regular file and the number of bytes read; "" for anything else.

    For a file larger than the budget or `WHOLE_FILE_BYTES`, the digest covers its size, time and both ends.
    """
    descriptor = open_regular(path)
    if descriptor is None:
        return "", 0
    with os.fdopen(descriptor, "rb") as file:
        seen = os.fstat(descriptor)
        if seen.st_size <= min(budget, WHOLE_FILE_BYTES):
            content = file.read(WHOLE_FILE_BYTES)
            return sha256_of(content).hexdigest(), len(content)
        digest = sha256(f"{seen.st_size}\0{seen.st_mtime_ns}\0".encode())
        begin = file.read(END_BYTES)
        file.seek(max(0, seen.st_size - END_BYTES))
        end = file.read(END_BYTES)
        digest.update(begin)
        digest.update(end)
        return digest.hexdigest(), len(begin) + len(end)


def _digest_tree(root: str, state: TreeState, deadline: float) -> str:
    """Return the SHA-256 over the commit and, in order, each changed path, its mode and its present content."""
    digest = sha256((state.commit or "").encode())
    budget = WHOLE_TREE_BYTES
    for path, mode in sorted((state.changed or {}).items()):
        full = os.path.join(os.fsencode(root), path)
        content, read = "", 0
        if mode == GITLINK:
            place = os.fsdecode(full)
            inner = read_tree_state(place, deadline)
            content = _digest_tree(place, inner, deadline)
        elif stat.S_ISLNK(mode):
            with suppress(OSError):  # deleted since git looked, so it counts as deleted
                content = sha256(os.readlink(full)).hexdigest()
        elif mode:
            content, read = _digest_file(full, budget)
        budget -= read
        digest.update(b"\0%b\0%o %b" % (path, mode, content.encode()))
    return digest.hexdigest()


def _read_remote(root: str) -> str | None:
    """Read the URL of origin and remove its credentials and the folders of this machine."""
    inside = False
    for line in (read_small(os.path.join(find_git_folders(root)[1], "config")) or "").splitlines():
        words = line.strip()
        if words.startswith("["):
            inside = words.startswith('[remote "origin"]')
            continue
        name, _separator, value = words.partition("=")
        if inside and name.strip().lower() == "url":
            url = value.strip().strip('"')
            return escape_surrogates(
                relative_path(url) if os.path.isabs(url) else shorten_paths(redact_remote(url))
            )
    return None
