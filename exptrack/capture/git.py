"""Read the state of a git work tree: HEAD, and the tracked files that differ from it.

Invariants:

- The git program and dulwich give the same answer, by git's rules.
- Only regular files are opened, and no file of an archive that is open here. Such a file is no code, so it
  counts as unchanged.
- Git does not prompt, lock, run hooks, start a pager or use the network. At the deadline it is killed together
  with every process that it started.
"""

from __future__ import annotations

import os
import re
import signal
import stat
import time
from collections.abc import Sequence
from contextlib import suppress

import exptrack.own_files as own_files
from exptrack.digests import sha1
from exptrack.errors import OwnFileError
from exptrack.named_tuples import NamedTuple
from exptrack.process import read_small

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import Any

    from dulwich.index import IndexEntry
    from dulwich.repo import Repo

GITLINK = 0o160000
UNTRACKED = stat.S_IFREG | 0o644  # git knows no mode of a file that it does not track
TEXT_BYTES = 64 << 20  # a larger file is compared as it is, without regard to its line ends


class TreeState(NamedTuple):
    """HEAD, and the paths (relative to the root) that differ from it, with their mode in the work tree.

    A deleted path has mode 0. `changed` is None when the tree could not be compared.
    """

    commit: str | None
    branch: str | None
    changed: dict[bytes, int] | None


def read_tree_state(root: str, deadline: float, used: Sequence[bytes] = ()) -> TreeState:
    """Compare the work tree with HEAD: with the git program, or with dulwich where there is none.

    `used` are paths of code that runs. Those that git does not track differ from HEAD too.

    Raises:
        TimeoutError: there was no answer by `deadline`, in the seconds of ``time.monotonic``.
    """
    found = _compare_by_git(root, deadline, used) or _compare_by_dulwich(root, deadline, used)
    if not found.changed:
        return found
    base = os.fsencode(root)
    code = {
        path: mode
        for path, mode in found.changed.items()
        if own_files.find_owner(os.path.join(base, path)) is None
    }
    return found._replace(changed=code)


def _require_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError("comparing the work tree with its commit took too long")


def find_git_folders(root: str) -> tuple[str, str]:
    """Return the repository's own folder, and the folder that it shares with its other work trees."""
    git = os.path.join(root, ".git")
    pointer = read_small(git)
    if pointer is not None:
        git = os.path.join(root, pointer.removeprefix("gitdir:").strip())
    common = read_small(os.path.join(git, "commondir"))
    return git, git if common is None else os.path.join(git, common.strip())


# With the git program

_GIT_OPTIONS = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.untrackedCache=false",
    "core.quotePath=false",
    "core.pager=cat",
    "diff.external=",
    "gc.auto=0",
    "maintenance.auto=false",
)
# The only GIT_… variables passed on: where git finds its programs, and settings given as variables.
_GIT_VARIABLES = ("GIT_EXEC_PATH", "GIT_CONFIG", "GIT_ATTR")


def git_environment(root: str) -> dict[str, str]:
    """Return the environment of a call of git in a folder."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_GIT_VARIABLES)
    }
    kept.update(
        GIT_OPTIONAL_LOCKS="0",
        GIT_TERMINAL_PROMPT="0",
        GIT_ASKPASS="",
        SSH_ASKPASS="",
        GIT_ALLOW_PROTOCOL="none",
        GIT_NO_LAZY_FETCH="1",
        # Git must not take a broken repository for a folder of the repository above it.
        GIT_CEILING_DIRECTORIES=os.path.dirname(root),
        LC_ALL="C",
    )
    return kept


def _compare_by_git(root: str, deadline: float, used: Sequence[bytes]) -> TreeState | None:
    """Return the answer of the git program, or None when there is no git or it fails.

    Raises:
        TimeoutError: git had not finished by `deadline`.
    """
    status: list[str | bytes] = ["status"]
    status += ["--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=untracked"]
    status += ["--no-renames", "--no-ahead-behind", "-z"]
    others: list[str | bytes] = ["--literal-pathspecs", "ls-files", "--others", "-z", "--", *used]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in [status, others] if used else [status]:
            started.append(start_git(root, command))
        outputs = [read_git(process, deadline) for process in started]
    except OSError:
        return None
    finally:
        for process in started:
            if process.returncode is None:
                end_session(process.pid)
                process.communicate()
    if any(process.returncode for process in started):
        return None
    found = _parse_status(outputs[0])
    assert found.changed is not None
    untracked = {path for output in outputs[1:] for path in output.split(b"\0")}.intersection(used)
    found.changed.update(dict.fromkeys(untracked, UNTRACKED))
    return found


def git_command(root: str, arguments: Sequence[str | bytes]) -> list[str | bytes]:
    """Return the words of a call of git in a folder."""
    return ["git", *(part for option in _GIT_OPTIONS for part in ("-c", option)), "-C", root, *arguments]


def start_git(root: str, arguments: Sequence[str | bytes]) -> subprocess.Popen[bytes]:
    """Start git in a folder, in a session of its own."""
    import subprocess

    return subprocess.Popen(
        git_command(root, arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=git_environment(root),
        start_new_session=True,  # it has no terminal to prompt on, and can be killed as a whole
    )


def read_git(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Return the output of git.

    Raises:
        TimeoutError: it had not ended by `deadline`.
    """
    import subprocess

    try:
        return process.communicate(timeout=max(deadline - time.monotonic(), 0.01))[0]
    except subprocess.TimeoutExpired:
        raise TimeoutError("git took too long") from None


def end_session(pid: int) -> None:
    """Kill git and every process that it started."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGTERM)


def _parse_status(output: bytes) -> TreeState:
    commit = branch = None
    changed: dict[bytes, int] = {}
    for line in output.split(b"\0"):
        if line.startswith(b"# branch.oid "):
            commit = line[13:].decode()
        elif line.startswith(b"# branch.head "):
            branch = line[14:].decode(errors="replace")
        elif line[:2] == b"1 ":
            fields = line.split(b" ", 8)
            changed[fields[8]] = int(fields[5], 8)
        elif line[:2] == b"u ":
            fields = line.split(b" ", 10)
            changed[fields[10]] = int(fields[6], 8)
    return TreeState(
        None if commit == "(initial)" else commit, None if branch == "(detached)" else branch, changed
    )


# With dulwich

_HASH = rb"[0-9a-f]{40}|[0-9a-f]{64}"
_ASSUME_VALID = 0x8000
_SKIP_WORKTREE = 0x4000


def read_head(root: str) -> TreeState:
    """Read commit and branch alone, which also works in a partly broken repository."""
    from dulwich.repo import Repo

    with Repo(root) as repository:
        return _head(repository)


def _head(repository: Repo) -> TreeState:
    chain, head = repository.refs.follow(b"HEAD")  # type: ignore[arg-type]
    if not os.path.lexists(os.path.join(repository.controldir(), "HEAD")):
        raise OSError("there is no repository where .git points to")
    if head is not None and not re.fullmatch(_HASH, head):
        raise OSError("HEAD of the repository is damaged")
    name = chain[-1]
    branch = name[len(b"refs/heads/") :].decode(errors="replace") if name.startswith(b"refs/heads/") else None
    return TreeState(None if head is None else head.decode(), branch, None)


def _compare_by_dulwich(root: str, deadline: float, used: Sequence[bytes] = ()) -> TreeState:
    """Compare with dulwich, by git's rules for what counts as a change.

    Raises:
        TimeoutError: the comparison had not finished by `deadline`.
    """
    from dulwich.index import ConflictedIndexEntry
    from dulwich.objects import Commit
    from dulwich.repo import Repo

    with Repo(root) as repository:
        head = _head(repository)
        own_folder = os.path.isdir(os.path.join(root, ".git"))
        # A linked work tree of a bare repository shares its settings, but is not bare.
        if own_folder and repository.get_config().get_boolean((b"core",), b"bare", False):
            raise OSError("a bare repository has no tree to compare")
        tree = None
        if head.commit is not None:
            commit = repository[head.commit.encode()]
            assert isinstance(commit, Commit)
            tree = commit.tree
        index = repository.open_index()
        look = _TreeLook(root, repository, deadline)
        staged = {
            path
            for paths, *_rest in index.changes_from_tree(repository.object_store, tree)
            for path in paths
            if path is not None
        }
        changed = dict.fromkeys(staged, 0)
        for path, entry in index.items():
            _require_time(deadline)
            if isinstance(entry, ConflictedIndexEntry):
                changed[path] = look.mode_of_conflict(path)
                continue
            mode = look.changed_mode(path, entry)
            if mode is not None or path in staged:
                changed[path] = entry.mode if mode is None else mode
        changed.update((path, UNTRACKED) for path in used if path not in index)
        return head._replace(changed=changed)


class _TreeLook:
    """Compares files of the work tree with their index entries, as git does."""

    def __init__(self, root: str, repository: Repo, deadline: float) -> None:
        self._root = os.fsencode(root)
        self._repository = repository
        self._deadline = deadline
        config = repository.get_config_stack()
        self._trust_executable = config.get_boolean((b"core",), b"filemode", True)
        self._has_symlinks = config.get_boolean((b"core",), b"symlinks", True)
        try:
            self._autocrlf = config.get((b"core",), b"autocrlf").lower()
        except KeyError:
            self._autocrlf = b"false"
        try:
            self._index_time = int(os.stat(repository.index_path()).st_mtime)
        except OSError:
            self._index_time = 0
        self._attributes: Any = None

    def mode_of_conflict(self, path: bytes) -> int:
        seen = self._lstat(path)
        return 0 if seen is None or stat.S_ISDIR(seen.st_mode) else self._mode(0, seen)

    def changed_mode(self, path: bytes, entry: IndexEntry) -> int | None:
        """Return the mode in the work tree of a path that differs from its index entry, else None."""
        if entry.flags & _ASSUME_VALID or entry.extended_flags & _SKIP_WORKTREE:
            return None
        seen = self._lstat(path)
        if entry.mode == GITLINK:
            return self._changed_submodule(path, entry, seen)
        if own_files.find_owner(os.path.join(self._root, path)) is not None:
            return None
        if seen is None or stat.S_ISDIR(seen.st_mode):
            return 0
        mode = self._mode(entry.mode, seen)
        if mode != entry.mode or not (stat.S_ISREG(seen.st_mode) or stat.S_ISLNK(seen.st_mode)):
            return mode
        return mode if self._differs(path, entry, seen) else None

    def _lstat(self, path: bytes) -> os.stat_result | None:
        parent = os.path.dirname(path)
        # If a folder was replaced by a link, its tracked files are gone for git.
        while parent:
            if os.path.islink(os.path.join(self._root, parent)):
                return None
            parent = os.path.dirname(parent)
        try:
            return os.lstat(os.path.join(self._root, path))
        except OSError:
            return None

    def _mode(self, known: int, seen: os.stat_result) -> int:
        if stat.S_ISLNK(seen.st_mode):
            return stat.S_IFLNK
        if stat.S_ISREG(seen.st_mode):
            if not self._has_symlinks and stat.S_ISLNK(known):
                return known
            if not self._trust_executable:
                return known if stat.S_ISREG(known) else stat.S_IFREG | 0o644
        return stat.S_IFREG | (0o755 if seen.st_mode & 0o100 else 0o644)

    def _changed_submodule(self, path: bytes, entry: IndexEntry, seen: os.stat_result | None) -> int | None:
        if seen is None:
            return 0
        if not stat.S_ISDIR(seen.st_mode):
            return self._mode(0, seen)
        place = os.fsdecode(os.path.join(self._root, path))
        if not os.path.lexists(os.path.join(place, ".git")):
            return None
        state = _compare_by_dulwich(place, self._deadline)
        return GITLINK if state.changed or (state.commit or "").encode() != entry.sha else None

    def _differs(self, path: bytes, entry: IndexEntry, seen: os.stat_result) -> bool:
        mtime, ctime = _nanoseconds(entry.mtime), _nanoseconds(entry.ctime)
        if (mtime, ctime, entry.size) == (seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size & 0xFFFFFFFF):
            # A file as old as the index may have changed again within the same second, git's unit of time.
            if mtime // 1_000_000_000 < self._index_time:
                return False
        # A different size is enough for git, whatever the line ends. (Size 0 marks an entry as unreliable.)
        if entry.size and entry.size != seen.st_size & 0xFFFFFFFF:
            return True
        full = os.path.join(self._root, path)
        if stat.S_ISLNK(seen.st_mode):
            return _blob_hash(os.readlink(full)) != entry.sha
        same = self._hash_of_file(full) == entry.sha
        rule = self._line_ending_rule(path)
        if rule is None or (same and rule == "auto") or seen.st_size > TEXT_BYTES:
            return not same
        descriptor = open_regular(full)
        if descriptor is None:
            return True
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(TEXT_BYTES)
        if b"\r\n" not in content or (rule == "auto" and _is_binary(content)):
            return not same
        return _blob_hash(content.replace(b"\r\n", b"\n")) != entry.sha

    def _hash_of_file(self, full: bytes) -> bytes | None:
        descriptor = open_regular(full)
        if descriptor is None:
            return None
        with os.fdopen(descriptor, "rb") as file:
            digest = sha1(b"blob %d\0" % os.fstat(descriptor).st_size, usedforsecurity=False)
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                _require_time(self._deadline)
        return digest.hexdigest().encode()

    def _line_ending_rule(self, path: bytes) -> str | None:
        """Return when git turns CRLF into LF: "always", "auto" (in texts only) or None."""
        if self._attributes is None:
            self._attributes = self._repository.get_gitattributes()
        attributes = self._attributes.match_path(path)
        text = attributes.get(b"text", attributes.get(b"crlf"))
        if text is False or (text is None and attributes.get(b"binary") is True):
            return None
        if text == b"auto":
            return "auto"
        if text is True or text == b"input" or attributes.get(b"eol") in (b"lf", b"crlf"):
            return "always"
        return "auto" if self._autocrlf in (b"true", b"input", b"1", b"yes", b"on") else None


def _nanoseconds(moment: int | float | tuple[int, int]) -> int:
    return moment[0] * 1_000_000_000 + moment[1] if isinstance(moment, tuple) else int(moment * 1_000_000_000)


def _blob_hash(content: bytes) -> bytes:
    return sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest().encode()


def _is_binary(content: bytes) -> bool:
    """Guess as git does: a NUL, a lone CR, or more than one unprintable character in 128 means binary."""
    if b"\0" in content or content.count(b"\r") != content.count(b"\r\n"):
        return True
    silent = len(content.translate(None, bytes(range(32, 127)) + bytes(range(128, 256)) + b"\b\t\n\r\x0c\x1b"))
    if content.endswith(b"\x1a"):
        silent -= 1
    loud = len(content) - silent - content.count(b"\n") - content.count(b"\r")
    return loud >> 7 < silent


# Files


def open_regular(path: bytes) -> int | None:
    """Open a regular file and return its descriptor; None for anything else. Never waits for a FIFO.

    A file of an archive that is open here counts as anything else.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = own_files.open_descriptor(path, flags)
    except (OSError, OwnFileError):
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return descriptor
