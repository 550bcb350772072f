"""Read the code of a run that no commit holds: a patch, untracked texts, and a script outside git.

Invariants:

- A file is kept as it is, or left out. One that redaction would change is left out, so that a patch applies.
- What is left out is named, with the reason.
- Only regular files are opened, and no file of an archive that is open here.

Cost: as `code` says. The answer is used again while the version of the code is the same, for ``FILES_FRESH_S``
(longer where git is slow).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator

import exptrack.own_files as own_files
from exptrack.capture.code import CapturedTree, CodeVersion, find_captured_tree, find_used_code
from exptrack.capture.git import GITLINK, open_regular
from exptrack.capture.paths import belongs_to_installation, find_project_folder
from exptrack.capture.redaction import escape_surrogates, remove_secrets, remove_secrets_and_paths
from exptrack.named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from exptrack.capture.git_content import TreeContent

PATCH_BYTES = 1 << 20
FILE_BYTES = 256 << 10  # a larger text is left out
FILES_BYTES = 2 << 20  # of all texts
MOST_FILES = 1000
MOST_LEFT_OUT = 200  # are named
CONTENT_TIMEOUT_S = 1.0
FILES_FRESH_S = 2.0
REMEMBERED_TREES = 16
EXECUTABLE = 0o100

SECRET = "it seems to hold a secret"
NO_TEXT = "it is not text"
NO_FILE = "it is no regular file, or cannot be read"
SUBMODULE = "it is a repository of its own"
DELETED = "it was deleted"
TOO_LARGE = f"it is larger than {FILE_BYTES >> 10} KiB"
TOO_MANY = f"the texts together are more than {FILES_BYTES >> 20} MiB, or than {MOST_FILES:,}"
PATCH_TOO_LARGE = f"the patch would be larger than {PATCH_BYTES >> 20} MiB"
NO_TIME = "reading the files took too long"


class LeftOutFile(NamedTuple):
    """A file of the code that is not kept, its size in bytes (None if unknown), and the reason."""

    path: str
    size_bytes: int | None
    reason: str


class CodeFiles(NamedTuple):
    """What is kept of the code: a patch, and texts by path, each with its mode.

    Paths are relative to the repository; outside of git, to the folder of the project.
    """

    patch: bytes
    texts: dict[str, tuple[int, bytes]]
    left_out: tuple[LeftOutFile, ...]
    problem: str | None


class _Remembered(NamedTuple):
    digest: str
    until: float
    files: CodeFiles


_remembered: dict[tuple[str | None, str | None], _Remembered] = {}


def read_code_files(code: CodeVersion) -> CodeFiles | None:
    """Return what is to be kept of a version that ``capture_code`` returned just now; None for another one."""
    tree = find_captured_tree(code)
    if tree is None:
        return None
    key, begin = (tree.root, tree.script), time.monotonic()
    known = _remembered.get(key)
    if known is not None and known.digest == code.digest and begin < known.until:
        return known.files
    try:
        files = _Collection(begin + CONTENT_TIMEOUT_S).collect(tree, code.commit)
    except Exception as error:  # as in `capture_code`: the run goes on, and the record says what it lacks
        files = CodeFiles(b"", {}, (), remove_secrets_and_paths(f"{type(error).__name__}: {error}"))
    end = time.monotonic()
    if len(_remembered) >= REMEMBERED_TREES:
        _remembered.clear()
    _remembered[key] = _Remembered(code.digest, end + max(FILES_FRESH_S, 10 * (end - begin)), files)
    return files


class _Collection:
    """Collects the files of one tree, until `deadline`."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._texts: dict[str, tuple[int, bytes]] = {}
        self._bytes = 0
        self._left_out: list[LeftOutFile] = []

    def collect(self, tree: CapturedTree, commit: str | None) -> CodeFiles:
        """Collect the files of a tree, relative to its root or to the folder of the project."""
        patch, problem = b"", None
        if tree.root is not None:
            from exptrack.capture.git_content import read_tree_content

            content = read_tree_content(tree.root, commit, bool(tree.changed), self._deadline)
            patch, problem = self._take_patch(tree.root, content), content.problem
            self._take_texts(tree.root, _list_texts(tree, content))
        elif tree.script is not None:
            folder = find_project_folder(tree.script)
            self._take_texts(folder, find_used_code(folder, tree.script))
        more = len(self._left_out) - MOST_LEFT_OUT
        if more > 0:
            problem = "; ".join(filter(None, (problem, f"{more:,} more files are not kept")))
        return CodeFiles(patch, self._texts, tuple(self._left_out[:MOST_LEFT_OUT]), problem)

    def _leave_out(self, path: bytes, size_bytes: int | None, reason: str) -> None:
        name = remove_secrets(escape_surrogates(os.fsdecode(path)))
        self._left_out.append(LeftOutFile(name, size_bytes, reason))

    def _take_patch(self, root: str, content: TreeContent) -> bytes:
        """Join the parts of a patch, the smallest first, as far as they go; keep their order."""
        parts = content.patch or {}
        kept, length = set(), 0
        for path, part in sorted(parts.items(), key=lambda item: len(item[1])):
            if _has_secret(part):
                self._leave_out(path, len(part), SECRET)
            elif length + len(part) > PATCH_BYTES:
                self._leave_out(path, len(part), PATCH_TOO_LARGE)
            else:
                kept.add(path)
                length += len(part)
        return b"".join(part for path, part in parts.items() if path in kept)

    def _take_texts(self, folder: str, paths: Iterable[bytes]) -> None:
        base = os.fsencode(folder)
        for path in paths:
            full = os.path.join(base, path)
            if own_files.find_owner(full) is None and not belongs_to_installation(os.fsdecode(full)):
                self._take_text(path, full)

    def _take_text(self, path: bytes, full: bytes) -> None:
        try:
            seen = os.lstat(full)
        except OSError:
            self._leave_out(path, None, DELETED)
            return
        size = seen.st_size
        if stat.S_ISDIR(seen.st_mode):
            self._leave_out(path, None, SUBMODULE)
        elif not stat.S_ISREG(seen.st_mode):
            self._leave_out(path, None, NO_FILE)
        elif size > FILE_BYTES:
            self._leave_out(path, size, TOO_LARGE)
        elif len(self._texts) >= MOST_FILES or self._bytes + size > FILES_BYTES:
            self._leave_out(path, size, TOO_MANY)
        elif time.monotonic() > self._deadline:
            self._leave_out(path, size, NO_TIME)
        else:
            data = _read(full)
            reason = NO_FILE if data is None else _find_reason(data)
            if data is None or reason is not None:
                self._leave_out(path, size, reason or NO_FILE)
                return
            mode = 0o755 if seen.st_mode & EXECUTABLE else 0o644
            self._texts[os.fsdecode(path)] = mode, data
            self._bytes += len(data)


def _list_texts(tree: CapturedTree, content: TreeContent) -> Iterator[bytes]:
    """Stream the paths of a repository that no patch holds: code that runs first, then what is untracked.

    Where git told no patch, these are the changed files too. What Python compiled is no code.
    """
    parts, untracked = content.patch or {}, content.untracked or []
    told = {path for path, mode in (tree.changed or {}).items() if path not in parts or mode == GITLINK}
    for path in (*sorted(told), *(path for path in untracked if path not in told)):
        if b"__pycache__" not in path.split(b"/"):
            yield path


def _read(full: bytes) -> bytes | None:
    descriptor = open_regular(full)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = file.read(FILE_BYTES + 1)
        except OSError:
            return None
    return data if len(data) <= FILE_BYTES else None  # it has grown since


def _find_reason(data: bytes) -> str | None:
    """Return why a text is not kept, or None."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return NO_TEXT
    return NO_TEXT if b"\0" in data else SECRET if _has_secret(data) else None


def _has_secret(data: bytes) -> bool:
    """Whether redaction would change a text. What git encodes of a binary file is no text."""
    text = data.decode("utf-8", "surrogateescape")
    text = text.partition("\nGIT binary patch\n")[0]
    return remove_secrets(text) != text
