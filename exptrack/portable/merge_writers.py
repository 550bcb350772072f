"""Find out whether a process writes a run into the archive that a merge is about to change.

A process may write several archives, and a run that runs may have copies in all of them. Its owner is the same
in each copy. What tells is the journal beside the archive: its process locks a byte of it for each run that it
writes there.
"""

from __future__ import annotations

from exptrack.database.connection import Connection
from exptrack.metrics.journal_file import list_journals
from exptrack.metrics.journal_locks import is_run_held, is_writer_alive
from exptrack.metrics.journal_reader import is_owner_alive, read_header
from exptrack.portable.run_rows import RunRows
from exptrack.process import ProcessIdentity, current_process, is_alive
from exptrack.runs.ownership import is_dead
from exptrack.tracking.heartbeat import is_live_here


def is_written_here(connection: Connection, run: RunRows) -> bool:
    """Whether a process that lives writes the run into this archive.

    A run with a lease is written by none. Where the system has no locks of open files, every run here counts
    that belongs to another process with a journal beside the archive.
    """
    if run.owner is None or run.owner[4] is not None:
        return False
    run_id, place = run.facts.run_id, connection.place
    journals = list_journals(place)
    if is_live_here(place, run_id) or any(is_run_held(path, run_id) for path in journals):
        return True
    owner = ProcessIdentity(*run.owner[:4])
    if is_alive(owner) is False:
        # A process forked from it may still log to the run, and holds none until its first call.
        return not is_dead(connection, owner)
    if owner == current_process():
        return False
    headers = [read_header(path) for path in journals if not is_writer_alive(path)]
    return any(one is not None and one.owner == owner and is_owner_alive(one) for one in headers)
