"""Copy an archive with open runs from the local disk to its spool, which lies on a network file system."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from exptrack.database.connection import Connection
from exptrack.database.copying import copy_file
from exptrack.database.spooled_file import SpooledFile
from exptrack.errors import ArchiveIOError
from exptrack.new_files import NEW_FILE, draft_name

COPY_EVERY_S = 60.0
COPY_SHARE = 20  # copying takes one part in this of the time at most


def copy_if_due(connection: Connection) -> None:
    """Copy an archive with open runs from the local disk to its spool, at most once a minute.

    So the spool has nearly everything if the machine is lost, and others can look meanwhile.

    Raises:
        ExptrackError: it could not be copied.
    """
    spooled = connection.spooled
    if spooled is None or not spooled.is_worked_on_elsewhere or spooled.is_at_rest:
        return
    began = time.monotonic()
    if began < spooled.copy_due_s:
        return
    try:
        _copy_now(connection, spooled)
    finally:
        spooled.copy_due_s = began + max(COPY_EVERY_S, COPY_SHARE * (time.monotonic() - began))


def _copy_now(connection: Connection, spooled: SpooledFile) -> None:
    draft = spooled.path.parent / draft_name()
    try:
        os.close(os.open(draft, NEW_FILE, 0o600))
        copy_file(connection, draft, spooled.place)
        spooled.deliver(draft)
    except OSError as error:
        raise ArchiveIOError(
            f"{spooled.path} could not be copied to {spooled.place} ({error.strerror}); make room or allow"
            " writing there",
            path=str(spooled.path),
        ) from error
    finally:
        with suppress(OSError):
            os.unlink(draft)
