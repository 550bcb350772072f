"""Keep the code of a run with it: what no commit holds, the packages, and how the process was started.

Invariants: a run and its code commit together. Equal code is stored once for all runs. Nothing that packs,
cuts or restores content is imported for it, unless a file is large.

Cost: the first run of a process lays the code out, hashes and stores it. A later one asks the archive for the
hashes, as long as the same files and packages are found and the process has the same arguments and folder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from exptrack.artifacts.blobs import Intake
from exptrack.artifacts.code_folder import CODE_KIND, CODE_NAME, lay_out_code
from exptrack.artifacts.registration import Registration, insert_artifact
from exptrack.artifacts.stored_folder import (
    HashedFolder,
    StoredFolder,
    find_stored_folder,
    hash_files,
    insert_entries,
    put_files,
)
from exptrack.capture.code import CodeVersion, find_captured_tree
from exptrack.capture.code_files import CodeFiles, read_code_files
from exptrack.capture.launch import capture_launch
from exptrack.capture.packages import list_packages
from exptrack.capture.paths import working_folder
from exptrack.config.tree import encode_canonical
from exptrack.database.connection import Connection, in_section
from exptrack.known_secrets import mask_secrets
from exptrack.named_tuples import NamedTuple
from exptrack.records import FOLDER_TYPE

Files = dict[str, tuple[int, bytes]]


class KeptFiles(NamedTuple):
    """The files to keep of the code of a run, and their hashes."""

    files: Files
    hashed: HashedFolder


class _Collected(NamedTuple):
    """What was laid out last, and of what."""

    code: CodeFiles
    packages: dict[str, str]
    process: tuple[object, ...]
    kept: KeptFiles


_last: _Collected | None = None


def collect_code(code: CodeVersion) -> KeptFiles | None:
    """Return the files to keep of the code that ``capture_code`` returned; None for another one's code."""
    global _last
    files, tree = read_code_files(code), find_captured_tree(code)
    if files is None or tree is None:
        return None
    packages, process = list_packages(), _describe_process()
    known = _last
    if known is not None and known.code is files and known.packages is packages and known.process == process:
        return known.kept
    laid_out = lay_out_code(files, capture_launch(tree), packages)
    kept = KeptFiles(laid_out, hash_files(laid_out))
    _last = _Collected(files, packages, process, kept)
    return kept


def _describe_process() -> tuple[object, ...]:
    """Return all that the record of how the process was started depends on, besides the code."""
    given = tuple(map(mask_secrets, getattr(sys, "orig_argv", ())))
    arguments = tuple(map(str, getattr(sys, "argv", ())))
    return given, arguments, working_folder(), sys.modules.get("__main__"), "ipykernel" in sys.modules


def insert_with_code(connection: Connection, run_id: str, kept: KeptFiles, insert: Callable[[], int]) -> int:
    """Call `insert`, which writes a run and returns its row id, and keep the code with it. Commits."""
    run = _insert_with_known_code(connection, run_id, kept.hashed, insert)
    if run is not None:
        return run
    with Intake(connection) as intake:
        folder = put_files(intake, kept.files)
        runs: list[int] = []
        intake.attach(lambda: runs.append(_insert_both(connection, run_id, folder, insert)))
    return runs[-1]


@in_section
def _insert_with_known_code(
    connection: Connection, run_id: str, hashed: HashedFolder, insert: Callable[[], int]
) -> int | None:
    """Do the same if the archive has the code already; return None if it has not."""
    with connection.transaction():
        folder = find_stored_folder(connection, hashed)
        return None if folder is None else _insert_both(connection, run_id, folder, insert)


def _insert_both(connection: Connection, run_id: str, folder: StoredFolder, insert: Callable[[], int]) -> int:
    """Write a run, and the artifact of its code. Call inside the transaction that makes its blobs."""
    run = insert()
    said, metadata = Registration(CODE_NAME, CODE_KIND, media_type=FOLDER_TYPE), encode_canonical({})
    artifact = insert_artifact(connection, run, run_id, said, metadata, folder.manifest, late=False)
    insert_entries(connection, artifact, folder)
    return run
