"""Write the code of a run to a folder, and tell the command and the environment that it ran in.

The code is the recorded commit of a repository on this machine, with the patch and the texts that the archive
keeps. What is missing is told in sentences; the rest is written.

Invariants: the folder appears whole or not at all. The repository stays as it is. Nothing is run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from exptrack.artifacts.code_folder import KeptCode, read_kept_code
from exptrack.artifacts.restore import new_tree, write_into
from exptrack.artifacts.store import ArtifactStore
from exptrack.capture.code_files import EXECUTABLE
from exptrack.capture.packages import list_packages
from exptrack.capture.paths import ELSEWHERE
from exptrack.database.connection import Connection, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.errors import NotFoundError
from exptrack.known_secrets import REDACTED
from exptrack.portable.git_tree import find_repository, write_commit
from exptrack.query.run_parts import read_environment_of
from exptrack.runs.lookup import resolve_run
from exptrack.shown import shown

CODE_OF_RUN = "SELECT vcs_commit, vcs_dirty, host FROM run WHERE id = ?"


@shown
@dataclass(frozen=True, slots=True)
class Reproduction:
    """The code of a run as it was written to `folder`, and what it ran in.

    `command` is given in `working_folder`, relative to `folder`; None is a folder outside of the code.
    `repository` is the work tree that had the commit. `packages` are those of the run; `differing` are those
    with another version here, which is None if they are not installed. `missing` tells in sentences what the
    folder or the command lacks.
    """

    run_id: str
    folder: str
    files: int
    commit: str | None
    repository: str | None
    command: tuple[str, ...]
    working_folder: str | None
    host: str
    python: str
    platform: str
    variables: dict[str, str]
    packages: dict[str, str]
    differing: dict[str, tuple[str, str | None]]
    missing: tuple[str, ...]


class _Recorded(NamedTuple):
    """What an archive holds of the code of a run."""

    run_id: str
    commit: str | None
    dirty: bool | None
    host: str
    environment: dict[str, Any]
    kept: KeptCode | None


@in_reading
@decoding_rows
def _read(connection: Connection, run_id: object) -> _Recorded:
    with connection.snapshot():
        row = resolve_run(connection, run_id)
        code = connection.one(CODE_OF_RUN, (row["id"],))
        assert code is not None
        kept = read_kept_code(ArtifactStore(connection, row["id"], row["run_id"]))
        dirty = None if code["vcs_dirty"] is None else bool(code["vcs_dirty"])
        environment = read_environment_of(connection, row["id"])
        return _Recorded(row["run_id"], code["vcs_commit"], dirty, code["host"], environment, kept)


def reproduce(connection: Connection, run_id: object, out: str, places: Sequence[str]) -> Reproduction:
    """Write the code of a run; see :meth:`exptrack.Archive.reproduce`."""
    recorded = _read(connection, run_id)
    kept, commit = recorded.kept, recorded.commit
    root = None if commit is None else find_repository(places, commit)
    if root is None and (kept is None or not kept.texts):
        raise NotFoundError(f"the code of run {recorded.run_id} is not here: {' '.join(_miss_all(recorded))}")
    missing = [] if root is not None else _miss_all(recorded)
    target = Path(out).absolute()
    with new_tree(target) as tree:
        if root is not None and commit is not None:
            problem = write_commit(root, commit, b"" if kept is None else kept.patch, tree)
            if problem is not None:
                missing.append(
                    f"The changes to the commit are not there: the patch does not apply ({problem})."
                )
        if kept is not None:
            _write_texts(tree, kept)
        files = sum(len(names) for _folder, _folders, names in os.walk(tree))
        missing += _tell_missing(recorded, is_there=root is not None)
        script = recorded.environment.get("script")
        if script and not os.path.lexists(tree / script):
            missing.append(f"The script {script} is not there: it lies outside of the code.")
    command, working_folder = _tell_command(recorded)
    missing += _tell_unknown_words(command)
    if kept is not None and kept.launch.is_notebook:
        missing.append("It ran in a notebook, whose cells are not recorded.")
    packages = {} if kept is None else kept.packages
    here = list_packages()
    return Reproduction(
        run_id=recorded.run_id,
        folder=str(target),
        files=files,
        commit=commit,
        repository=root,
        command=command,
        working_folder=working_folder,
        host=recorded.host,
        python=recorded.environment.get("python", ""),
        platform=recorded.environment.get("platform", ""),
        variables=recorded.environment.get("variables", {}),
        packages=packages,
        differing={
            name: (version, here.get(name)) for name, version in packages.items() if here.get(name) != version
        },
        missing=tuple(missing),
    )


def _write_texts(tree: Path, kept: KeptCode) -> None:
    for path, (mode, data) in kept.texts.items():
        place = write_into(tree, path, [data], overwrite=True)
        if mode & EXECUTABLE:
            place.chmod(mode)


def _miss_all(recorded: _Recorded) -> list[str]:
    """Tell why the commit of a run cannot be written."""
    remote = recorded.environment.get("vcs_remote")
    if recorded.commit is not None:
        clone = f"a clone of {remote}" if remote else "its repository"
        return [
            f"Commit {recorded.commit} is in no repository here; call this inside {clone}, or name its folder."
        ]
    if recorded.kept is None:
        return ["It was recorded without code and outside of git."]
    return [] if recorded.kept.texts else ["It ran no script, and outside of git."]


def _tell_missing(recorded: _Recorded, *, is_there: bool) -> list[str]:
    """Tell which parts of the code the archive does not keep."""
    kept = recorded.kept
    if kept is None:
        what = {True: "The tree differed from its commit", None: "Whether the tree differed is not known"}
        said = what.get(recorded.dirty)
        return [] if said is None else [f"{said}, and no changes were kept with the run."]
    found = [f"{one.path} is not there: {one.reason}." for one in kept.left_out]
    if kept.problem is not None:
        found.append(f"Something of the code was not kept: {kept.problem}.")
    if kept.patch and not is_there:
        found.append(f"The changes to {len(kept.parts)} files of the commit are not there either.")
    return found


def _tell_command(recorded: _Recorded) -> tuple[tuple[str, ...], str | None]:
    """Return the words of the command, and the folder it was given in."""
    words = [str(word) for word in recorded.environment.get("command", [])]
    if recorded.kept is None:
        return ("python", *words) if words else (), None
    launch = recorded.kept.launch
    return (*launch.words, *(() if launch.is_whole else words[1:])), launch.folder


def _tell_unknown_words(command: Sequence[str]) -> list[str]:
    """Tell which words of a command are not as they were given."""
    found = []
    if any(REDACTED in word for word in command):
        found.append(f"The command had secrets, which are not recorded: {REDACTED} stands for each.")
    if any(ELSEWHERE in word for word in command):
        found.append(f"The command had paths of that machine outside of the code: {ELSEWHERE} stands for each.")
    return found
