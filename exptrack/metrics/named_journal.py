"""Store the points of one journal that the user names, wherever it lies and whatever it is called now.

Invariants:

- Whatever speaks against a journal is an error that stores nothing.
- A journal that lies beside its archive under its own name is put away as usual. Any other file stays as it is:
  it may be the user's only copy.
- The note in the archive says up to which address of the journal its points are stored. So neither the file,
  nor another copy of it, nor its process stores a point again.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from exptrack.database.connection import Connection, in_section
from exptrack.errors import JournalError
from exptrack.metrics.journal_file import JOURNAL_NAME, Header, list_journals, unlistable
from exptrack.metrics.journal_locks import is_writer_alive
from exptrack.metrics.journal_notes import read_drained, save_drained
from exptrack.metrics.journal_reader import Damage, is_owner_alive, read_header, read_points
from exptrack.metrics.recovery import NOTE_IS_DAMAGED, PUT_ASIDE, recover_journal, store_points
from exptrack.metrics.waiting import describe_owner
from exptrack.own_files import find_owner
from exptrack.process import ProcessIdentity
from exptrack.records import JournalReport


@in_section
def recover_named(
    connection: Connection, named: str, reseal: Callable[[int], None], *, take_over: bool
) -> tuple[JournalReport, ProcessIdentity]:
    """Store the points of the journal at the path `named`. Return what became of it, and its process. Commits.

    With `take_over` the caller says that a process which cannot be seen from here is dead. `reseal` is as in
    :func:`exptrack.metrics.recovery.recover`.

    Raises:
        JournalError: the file is no journal of this archive, or its points cannot be stored.
        ArchiveIOError: the folder of the archive cannot be listed.
    """
    path = Path(os.path.realpath(named))
    _require_file(path, named)
    try:
        header = read_header(path)
        if header is None:
            raise JournalError(
                f"{named} is not a journal that this version of exptrack can read; give a file that ends in"
                " .points, or a copy of one",
                path=named,
            )
        if header.archive != connection.birth:
            raise JournalError(
                f"the journal {named} belongs to another archive than {connection.place}; open the archive"
                " beside which it was written, or a copy of that",
                path=named,
            )
        beside = _list_beside(connection)
        _require_dead(connection, path, named, header, beside, take_over)
        if path in beside:
            found = recover_journal(connection, path, reseal, lambda owner: owner == header.owner)
            kept = str(path) if path.exists() else None
            return found or JournalReport(str(path), 0, kept, ""), header.owner
        return _store(connection, path, named, header, reseal), header.owner
    except OSError as error:
        raise JournalError(
            f"the journal {named} cannot be read ({error.strerror}); make it readable", path=named
        ) from error


def _require_file(path: Path, named: str) -> None:
    """Refuse what is no regular file, and a file of an open archive that is no journal. Neither is opened."""
    owner = find_owner(path)
    try:
        is_file = stat.S_ISREG(os.lstat(path).st_mode)
    except OSError as error:
        raise JournalError(
            f"there is no journal {named} ({error.strerror}); check the path", path=named
        ) from None
    if not is_file:
        raise JournalError(f"{named} is not a file; give the path of a journal", path=named)
    journal = "" if owner is None else re.escape(owner.name) + JOURNAL_NAME + r"(\..+)?"
    if owner is not None and not (path.parent == owner.parent and re.fullmatch(journal, path.name)):
        raise JournalError(
            f"{named} is a file of the archive {owner}, which is open here, and is not a journal; give a"
            " file that ends in .points",
            path=named,
        )


def _list_beside(connection: Connection) -> list[Path]:
    try:
        return list_journals(connection.path)
    except PermissionError:
        return []  # a folder that may be entered but not listed
    except OSError as error:
        raise unlistable(connection.path, error) from error


def _require_dead(
    connection: Connection, path: Path, named: str, header: Header, beside: list[Path], take_over: bool
) -> None:
    """Refuse a journal whose process lives, or cannot be seen and is not declared dead."""
    alive = is_owner_alive(header)
    same = [one for one in beside if one.name.endswith(f"-{header.key}.points")]
    if alive or any(is_writer_alive(one) for one in (path, *same)):
        raise JournalError(
            f"the process {header.owner.pid} that writes the journal {named} is alive, and stores its points"
            " itself; let it end",
            path=named,
        )
    if alive is None and not take_over:
        points = read_points(path, header, 0, Damage())
        owner = describe_owner(connection, header, path, {point.run_id for point in points})
        raise JournalError(
            f"{owner} wrote the journal {named}, and cannot be seen from here; if it is dead, give"
            " take_over=True, or --take-over on the command line",
            path=named,
        )


def _store(
    connection: Connection, path: Path, named: str, header: Header, reseal: Callable[[int], None]
) -> JournalReport:
    """Store the points of a file that is not the archive's own journal, and leave the file as it is."""
    damage = Damage()
    stored = without_run = 0
    with connection.transaction():
        drained = read_drained(connection, header.key)
        if drained is None:
            raise JournalError(
                f"{NOTE_IS_DAMAGED}, so none of the points in {named} were stored; run 'exptrack verify'",
                path=named,
            )
        if drained < PUT_ASIDE:
            points = read_points(path, header, drained, damage)
            stored, without_run = store_points(connection, points, reseal)
            if without_run and not stored:
                raise JournalError(
                    f"the runs of the {without_run:,} points in the journal {named} are not in"
                    f" {connection.place}; open a copy of the archive that has them",
                    path=named,
                )
            # Never beyond what was read: a copy that was made later may hold more.
            save_drained(connection, header.key, max(drained, damage.end))
    problems = [damage.describe()] if damage else []
    if without_run:
        problems.append(f"the runs of {without_run:,} points are not in {connection.place}")
    if drained == PUT_ASIDE:
        problems.append("an earlier recovery could not store all of its points")
    return JournalReport(str(path), stored, str(path), "; ".join(problems))
