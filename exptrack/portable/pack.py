"""Pack an archive: one small, verified, sealed file, to be handed on and never changed.

Invariants:

- The packed file appears under its name whole, proved and synced, or not at all; nothing that exists is
  replaced. The archive is only read.
- Any program opens it from a read-only medium, as it needs no file beside it.
- It holds all runs, studies, artifacts and views, and nothing local: no note on a journal, no bytes that no
  artifact names, no free page with deleted data.
- A run that is running has an owner, by the rule of the format. So it is refused; a snapshot keeps it as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from exptrack import own_files
from exptrack.artifacts.blobs import DELETE_BLOBS, DELETE_UNUSED_CHUNKS, UNUSED_BLOBS
from exptrack.artifacts.folders import decode_path
from exptrack.artifacts.restore import new_file
from exptrack.database.connection import Connection, in_section
from exptrack.database.copying import compact_file
from exptrack.database.disk import reading_file
from exptrack.database.draft import DraftConnection
from exptrack.database.opening import archive_path
from exptrack.errors import RunBusyError, VerificationError
from exptrack.metrics.waiting import list_waiting_journals
from exptrack.portable.digest import digest_content
from exptrack.portable.file_seal import DELETE_SEAL, INSERT_SEAL, count_own_rows, make_seal
from exptrack.portable.findings import Problem, Tell, telling
from exptrack.portable.snapshot import require_free_name
from exptrack.portable.verification import VerifyReport, prove
from exptrack.shown import shown
from exptrack.times import utc_text
from exptrack.validation import check_flag, check_function

SEALED_MODE = 0o444
HASH_BYTES = 1 << 20
RUNNING = "SELECT run_id, host FROM run WHERE status = 'running' ORDER BY run_id LIMIT 1"
DELETE_JOURNALS = "DELETE FROM metric_journal"
DELETE_WRITERS = "DELETE FROM blob_writer"


@shown
@dataclass(frozen=True, slots=True)
class PackReport:
    """A packed archive: its size, what it holds, and the digests by which others know that it is the same file.

    `content` is the digest of what it says (see :meth:`exptrack.Archive.digest`), `sha256` that of its bytes.
    `waiting` names journals of ended processes whose points are not in it.
    """

    path: str
    file_bytes: int
    runs: int
    points: int
    blobs: int
    content: str
    sha256: str
    waiting: tuple[str, ...]


def pack_archive(
    connection: Connection,
    target: str | os.PathLike[str],
    *,
    snapshot: bool = False,
    progress: Tell | None = None,
) -> PackReport:
    """Pack the archive into `target`; see :meth:`exptrack.Archive.pack`."""
    place = archive_path(decode_path(target))
    snapshot = check_flag(snapshot, "snapshot")
    tell = check_function(progress, "progress")
    own_files.require_foreign(place)
    require_free_name(place)
    connection.require_open()
    connection.check_identity()
    if not snapshot:
        _require_ended(connection)
    with new_file(place, SEALED_MODE) as draft:
        compact_file(connection, draft, place, telling(tell, "rows"))
        with closing(DraftConnection(draft, place)) as packed:
            if not snapshot:  # a run may have begun meanwhile
                _require_ended(packed)
            _drop_what_is_local(packed)
            packed.section(lambda: packed.execute("ANALYZE"))
        report, points = prove_draft(draft, place, tell, str(connection.place), sealing=True)
        with closing(DraftConnection(draft, place)) as packed:
            content = seal_file(packed, points)
        size, sha256 = _hash_file(draft, place, tell)
    waiting = tuple(one.path for one in list_waiting_journals(connection))
    return PackReport(str(place), size, report.runs, report.points, report.blobs, content, sha256, waiting)


def _require_ended(connection: Connection) -> None:
    row = connection.one(RUNNING)
    if row is not None:
        advice = "end it first, or ask for a snapshot of it (snapshot=True, --snapshot)"
        raise RunBusyError(row["run_id"], f"on {row['host']}", advice)


@in_section
def _drop_what_is_local(packed: Connection) -> None:
    """Drop the notes on journals, an older seal, and bytes that no artifact names."""
    with packed.transaction():
        for statement in (DELETE_JOURNALS, DELETE_WRITERS, DELETE_SEAL):
            packed.execute(statement)
        unused = json.dumps([row[0] for row in packed.all(UNUSED_BLOBS)])
        packed.execute(DELETE_BLOBS, (unused,))
        packed.execute(DELETE_UNUSED_CHUNKS)
    packed.vacuum_free_pages()


def prove_draft(
    draft: Path, place: Path, tell: Tell | None, name: str, *, sealing: bool
) -> tuple[VerifyReport, str]:
    """Verify the whole draft of `place`; return what was found, and the digest of all points.

    Raises:
        VerificationError: there are problems; the error names the file `name`.
    """
    with closing(Connection(draft, "immutable")) as reader:
        reader.place = place
        proof = prove(reader, tell, sealing=sealing)
    if proof.report.problems:
        raise VerificationError(name, [_describe(one) for one in proof.report.problems])
    return proof.report, proof.points or ""


def _describe(problem: Problem) -> str:
    return f"{problem.part} {problem.where}: {problem.message}"


@in_section
def seal_file(packed: Connection, points: str) -> str:
    """Write the seal; return the digest of the content."""
    with packed.transaction():
        content = digest_content(packed)
        packed.execute(INSERT_SEAL, make_seal(content, points, count_own_rows(packed), utc_text()))
    return content


def _hash_file(draft: Path, place: Path, tell: Tell | None) -> tuple[int, str]:
    """Return the size and the SHA-256 of the draft of `place`, which nothing has open."""
    reading = partial(reading_file, place, "was written and cannot be read back")
    digest, done = hashlib.sha256(), 0
    with reading():
        total, file = os.stat(draft).st_size, open(draft, "rb")  # noqa: SIM115 - `tell` may raise what it likes
    with file:
        while True:
            with reading():
                piece = file.read(HASH_BYTES)
            if not piece:
                return total, digest.hexdigest()
            digest.update(piece)
            done += len(piece)
            if tell is not None:
                tell("bytes", done, total)
