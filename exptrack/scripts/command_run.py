"""Start the run of a command that is no Python script. Its code is that of the file it names, or of the folder.

Invariant: the run belongs to this process, which ends it. Processes below the command log to it by commits.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from exptrack.archive.archive import Archive
from exptrack.capture.paths import belongs_to_installation, counting_as_main
from exptrack.scripts.command import Target
from exptrack.scripts.instructions import Instructions
from exptrack.tracking.lifecycle import KEEP_CODE_VARIABLE
from exptrack.tracking.run import Run


def start_command_run(archive: Archive, target: Target, instructions: Instructions, *, keeps_code: bool) -> Run:
    """Start the run of a command. Commits."""
    with ExitStack() as stack:
        stack.enter_context(counting_as_main(_find_file(target.words)))
        if not keeps_code:
            before = os.environ.get(KEEP_CODE_VARIABLE)
            os.environ[KEEP_CODE_VARIABLE] = "no"
            stack.callback(_put_back, before)
        run = archive.start_run(
            tags=instructions.tags, name=instructions.name, group=instructions.group, at_exit="interrupt"
        )
    if instructions.note is not None:
        run.add_note(instructions.note)
    return run


def _put_back(value: str | None) -> None:
    if value is None:
        del os.environ[KEEP_CODE_VARIABLE]
    else:
        os.environ[KEEP_CODE_VARIABLE] = value


def _find_file(words: list[str]) -> str | None:
    """Return the first word that is a file of the user's own, like the script of a shell or of a launcher."""
    files = (os.path.abspath(word) for word in words if os.path.isfile(word))
    return next((file for file in files if not belongs_to_installation(file)), None)
