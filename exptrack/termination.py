"""Let SIGTERM end a program by an exception, so that what is under way ends as it does by an error.

By itself the signal ends a process at once, and leaves the files that it was making.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGTERM_EXIT = 128 + 15


class Terminated(SystemExit):
    """Raised when SIGTERM arrives inside a run's ``with`` block or a command. The exit code is 143."""


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Raise `Terminated` in the block when SIGTERM arrives. A handler that is there already stays.

    Only the first signal is heard, as some programs send it twice: the second would cut the cleaning up short.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise_terminated(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, _stay)
    raise Terminated(SIGTERM_EXIT)


def _stay(_number: int, _frame: FrameType | None) -> None:
    """Take a signal, and go on. To ignore it would be passed on to a program that is started now."""
