"""Unpack a sealed file: an archive with the same content that can be written, once the seal is proved.

Invariants: the packed file may be anybody's and is only read. What is unpacked is written row by row from a
private copy whose schema and structure were proved, so nothing else of that file gets into it. The archive
appears under its name whole, proved and synced, or not at all; nothing that exists is replaced.
"""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import dataclass

from exptrack import own_files
from exptrack.artifacts.folders import decode_path
from exptrack.artifacts.restore import new_file
from exptrack.database.connection import Connection, in_section
from exptrack.database.copying import compact_file
from exptrack.database.disk import reading_file
from exptrack.database.draft import DraftConnection
from exptrack.database.opening import archive_path
from exptrack.errors import ConflictError, VerificationError
from exptrack.portable.digest import digest_content
from exptrack.portable.file_seal import DELETE_SEAL, is_sealed
from exptrack.portable.findings import Tell, telling
from exptrack.portable.foreign import open_source
from exptrack.portable.pack import prove_draft
from exptrack.portable.snapshot import require_free_name
from exptrack.query.views import create_view
from exptrack.shown import shown
from exptrack.validation import check_function

USER_VIEWS = "SELECT name, fields FROM user_view ORDER BY name"


@shown
@dataclass(frozen=True, slots=True)
class UnpackReport:
    """An archive that was unpacked: its size and what it holds. `content` is the digest of what it says."""

    path: str
    file_bytes: int
    runs: int
    points: int
    blobs: int
    content: str


def unpack(
    packed: str | os.PathLike[str], out: str | os.PathLike[str], *, progress: Tell | None = None
) -> UnpackReport:
    """Make an archive that can be written of a sealed file, which stays as it is. Its seal is proved first.

    The mode of the new archive follows the umask, so its user can write it. It has the views that
    ``create_view`` made, and no other object that exptrack did not make. `progress` is called with a part, how
    much of it is done and how much there is.

    >>> from exptrack import Archive, unpack
    >>> with Archive(tmp_path / "lab.db") as archive:
    ...     archive.start_run({"lr": 0.1}).complete()
    ...     report = archive.pack(tmp_path / "paper.db")
    >>> unpack(tmp_path / "paper.db", tmp_path / "living.db").content == report.content
    True

    Raises:
        ConflictError: the file has no seal.
        VerificationError: the seal does not hold, or the file is damaged.
        ExportError: a file named `out` exists, or it cannot be written.
        ArchiveFullError: there is no room.
        ArchiveError: the packed file cannot be opened; the subclass says why.
    """
    place, source_place = archive_path(decode_path(out)), archive_path(decode_path(packed))
    tell = check_function(progress, "progress")
    own_files.require_foreign(place)
    require_free_name(place)

    with open_source(source_place, beside=place.parent, progress=telling(tell, "copy")) as source:
        if not is_sealed(source.connection):
            raise ConflictError(
                f"{source_place} is not sealed; open it as it is, or copy it by 'exptrack snapshot'"
            )
        with new_file(place, None) as draft:
            compact_file(source.connection, draft, place, telling(tell, "rows"))
            report, _points = prove_draft(draft, place, tell, str(source_place), sealing=False)
            with closing(DraftConnection(draft, place)) as living:
                content = digest_content(living)
                _break_seal(living, str(source_place))
            with reading_file(place, "was written and cannot be read back"):
                size = os.stat(draft).st_size
    return UnpackReport(str(place), size, report.runs, report.points, report.blobs, content)


@in_section
def _break_seal(living: Connection, name: str) -> None:
    """Drop the seal, and make the views of the user for the row ids of this file."""
    with living.transaction():
        living.execute(DELETE_SEAL)
        for view, fields in living.all(USER_VIEWS):
            try:
                wanted = json.loads(fields)
            except (ValueError, RecursionError):
                raise VerificationError(name, [f"user_view {view}: its fields are no JSON"]) from None
            create_view(living, view, wanted)
