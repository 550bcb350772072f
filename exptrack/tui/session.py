"""Begin and end the view: the streams, the signals, and a change that is under way at the end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from exptrack.terminal.ascii import spell_out
from exptrack.tui.app import ArchiveView
from exptrack.tui.source import Source

SIGNALLED = 128  # and the number of the signal is the exit code, as of a shell


def run_view(path: str, *, can_edit: bool) -> int:
    """Show an archive until the user leaves, and return the exit code.

    Raises:
        ArchiveError: the file cannot be opened.
        ExptrackError: the user left before a change was stored, and it could not be.
    """
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            spell_out(stream)
    source = Source(path, can_edit=can_edit)
    view = ArchiveView(source)
    try:
        with _leaving_on_signals(view):
            view.run(mouse=False)
    finally:
        source.close()
    if view.is_editing and source.failure is not None:
        raise source.failure
    return view.return_value if view.return_value is not None else view.return_code or 0


@contextmanager
def _leaving_on_signals(view: ArchiveView) -> Iterator[None]:
    """End the view, and so give the terminal back, where a signal would end the process."""

    def leave(number: int, _frame: object) -> None:
        view.leave_soon(SIGNALLED + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
