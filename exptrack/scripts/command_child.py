"""Set the hooks in a Python below a command, which logs to the run of the command.

Invariants: the archive is opened at the first thing to record. Launchers and tools, whose scripts belong to the
installation, record nothing; nor do ranks other than 0.
"""

from __future__ import annotations

import os
from typing import Any

from exptrack.scripts.import_hooks import set_hooks
from exptrack.scripts.instructions import Instructions
from exptrack.scripts.ranks import find_rank
from exptrack.scripts.recorder import Recorder
from exptrack.tracking.activation import RUN_VARIABLE
from exptrack.tracking.run import Run

_kept: list[Any] = []  # the archive, which must outlive the script


def begin() -> None:
    """Set the hooks, if this process records."""
    if find_rank() == 0:
        set_hooks(Instructions.from_environment(os.environ).hooks, Recorder(_find_run, only_own_scripts=True))


def _find_run() -> Run:
    from exptrack.archive.archive import Archive

    archive = Archive(os.environ["EXPTRACK_DB"], create=False)
    _kept.append(archive)
    return archive.get_run(os.environ[RUN_VARIABLE])
