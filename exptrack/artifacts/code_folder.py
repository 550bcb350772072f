"""Lay out the code of a run as files of one artifact, and read it from there.

Invariant: equal code, packages and launch are equal files, so an archive stores them once for all runs.
"""

from __future__ import annotations

import json
import stat

from exptrack.capture.code_files import CodeFiles, LeftOutFile
from exptrack.capture.launch import Launch
from exptrack.capture.packages import read_requirements, write_requirements
from exptrack.errors import ArchiveCorruptError, UnsafePathError
from exptrack.named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from exptrack.artifacts.store import ArtifactStore

CODE_NAME = "exptrack/code"
CODE_KIND = "code"
FORMAT = 1
ABOUT, PACKAGES, PATCH, TEXTS = "about.json", "packages.txt", "changes.patch", "files/"
PLAIN_MODE = 0o644
UNSAFE = "not every system can have its name"


class KeptCode(NamedTuple):
    """What is kept of the code of a run; paths are relative to its repository or project."""

    launch: Launch
    packages: dict[str, str]
    patch: bytes
    texts: dict[str, tuple[int, bytes]]
    left_out: tuple[LeftOutFile, ...]
    problem: str | None

    @property
    def parts(self) -> dict[str, bytes]:
        """The parts of the patch by path."""
        from exptrack.capture.git_content import split_patch

        return split_patch(self.patch)


def lay_out_code(files: CodeFiles, launch: Launch, packages: dict[str, str]) -> dict[str, tuple[int, bytes]]:
    """Return the files of the artifact: the mode and the bytes of each, by its path."""
    left_out = list(files.left_out)
    found: dict[str, tuple[int, bytes]] = {}
    if files.texts:
        _lay_out_texts(files, found, left_out)
    if files.patch:
        found[PATCH] = PLAIN_MODE, files.patch
    if packages:
        found[PACKAGES] = PLAIN_MODE, write_requirements(packages).encode()
    about = {
        "format": FORMAT,
        "launch": launch._asdict(),
        "left_out": [one._asdict() for one in left_out],
        "problem": files.problem,
    }
    found[ABOUT] = PLAIN_MODE, json.dumps(about, indent=1).encode()
    return found


def _lay_out_texts(files: CodeFiles, found: dict[str, tuple[int, bytes]], left_out: list[LeftOutFile]) -> None:
    from exptrack.artifacts.safe_paths import TreePaths

    paths = TreePaths()
    for path, kept in files.texts.items():
        try:
            paths.add(TEXTS + path, is_folder=False)
        except UnsafePathError:
            name = path.encode("utf-8", "backslashreplace").decode()
            left_out.append(LeftOutFile(name, len(kept[1]), UNSAFE))
        else:
            found[TEXTS + path] = kept


def read_kept_code(store: ArtifactStore) -> KeptCode | None:
    """Read the code that is kept of a run; None if there is none.

    Raises:
        ArchiveCorruptError: the stored content is damaged, or is not what exptrack writes.
    """
    made = [one for one in store.list_artifacts() if one.name == CODE_NAME and one.kind == CODE_KIND]
    if not made:
        return None
    version = made[0].version
    files = {
        one.path: (one.mode, store.open(CODE_NAME, version, file=one.path).read())
        for one in store.list_files(CODE_NAME, version)
        if one.hash is not None
    }
    texts = {path[len(TEXTS) :]: kept for path, kept in files.items() if path.startswith(TEXTS)}
    try:
        about: dict[str, Any] = json.loads(files[ABOUT][1])
        return KeptCode(
            _read_launch(about["launch"]),
            read_requirements(files.get(PACKAGES, (0, b""))[1].decode()),
            files.get(PATCH, (0, b""))[1],
            {path: (stat.S_IMODE(mode), data) for path, (mode, data) in texts.items()},
            tuple(
                LeftOutFile(str(one["path"]), one["size_bytes"], str(one["reason"]))
                for one in about["left_out"]
            ),
            None if about["problem"] is None else str(about["problem"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArchiveCorruptError(
            f"artifact {CODE_NAME!r} of run {store.run_id} is not as exptrack writes it"
            f" ({type(error).__name__}: {error}); read its files with 'exptrack artifacts get'"
        ) from None


def _read_launch(said: dict[str, Any]) -> Launch:
    folder = said["folder"]
    return Launch(
        [str(word) for word in said["words"]],
        None if folder is None else str(folder),
        bool(said["is_whole"]),
        bool(said["is_notebook"]),
    )
