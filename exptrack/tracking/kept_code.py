"""Keep the code of a run with it: what no commit holds, the packages, and how the process was started.

Invariants: a run and its code commit together. Equal code is stored once for all runs. Nothing that packs,
cuts or restores content is imported for it, unless a file is large.
"""

from __future__ import annotations

from collections.abc import Callable

from exptrack.artifacts.blobs import Intake
from exptrack.artifacts.code_folder import CODE_KIND, CODE_NAME, lay_out_code
from exptrack.artifacts.registration import Registration, insert_artifact
from exptrack.artifacts.stored_folder import insert_entries, put_files
from exptrack.capture.code import CodeVersion, find_captured_tree
from exptrack.capture.code_files import read_code_files
from exptrack.capture.launch import capture_launch
from exptrack.capture.packages import list_packages
from exptrack.config.tree import encode_canonical
from exptrack.database.connection import Connection
from exptrack.records import FOLDER_TYPE

Files = dict[str, tuple[int, bytes]]


def collect_code(code: CodeVersion) -> Files | None:
    """Return the files to keep of the code that ``capture_code`` returned; None for another one's code."""
    files, tree = read_code_files(code), find_captured_tree(code)
    return None if files is None or tree is None else lay_out_code(files, capture_launch(tree), list_packages())


def insert_with_code(connection: Connection, run_id: str, files: Files, insert: Callable[[], int]) -> int:
    """Call `insert`, which writes a run and returns its row id, and keep the code with it. Commits."""
    said, metadata = Registration(CODE_NAME, CODE_KIND, media_type=FOLDER_TYPE), encode_canonical({})
    with Intake(connection) as intake:
        folder = put_files(intake, files)

        def insert_both() -> None:
            run = insert()
            runs.append(run)
            artifact = insert_artifact(connection, run, run_id, said, metadata, folder.manifest)
            insert_entries(connection, artifact, folder)

        runs: list[int] = []
        intake.attach(insert_both)
    return runs[-1]
