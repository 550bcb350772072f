"""Give a child terminals of its own where ours are terminals, so that it prints as it would without us.

Invariants:

- What the child writes comes out unchanged: only our own terminal turns line ends into what it needs.
- A terminal of the child is as large as ours. Where ours does not know its size, it is 80 columns by 24 lines.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO

DEFAULT_SIZE = (24, 80)  # lines, columns


class ChildStreams:
    """The two output streams of a child: for each a terminal where ours is one, else a pipe."""

    def __init__(self) -> None:
        self._masters: dict[int, int] = {}  # by our own descriptor: our side of the child's terminal
        self._slaves: list[int] = []
        self.given = [self._open(number) for number in (1, 2)]  # for stdout and stderr of the child

    def _open(self, number: int) -> int:
        if sys.platform == "win32" or not os.isatty(number):
            return subprocess.PIPE
        import termios

        master, slave = os.openpty()
        self._masters[number] = master
        self._slaves.append(slave)
        modes = termios.tcgetattr(slave)
        modes[1] &= ~termios.OPOST
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        self._copy_size(number)
        return slave

    def find_ours(self, process: subprocess.Popen[bytes]) -> list[IO[bytes]]:
        """Return our sides of stdout and stderr of the child, and close the child's sides."""
        for slave in self._slaves:
            os.close(slave)
        self._slaves.clear()
        streams: list[IO[bytes]] = []
        for number, pipe in ((1, process.stdout), (2, process.stderr)):
            master = self._masters.get(number)
            if master is not None:
                streams.append(os.fdopen(master, "rb", buffering=0, closefd=False))
            else:
                assert pipe is not None
                streams.append(pipe)
        return streams

    def copy_sizes(self) -> None:
        """Make the child's terminals as large as ours are now."""
        for number in self._masters:
            self._copy_size(number)

    def close(self) -> None:
        """Close what is left open of the terminals."""
        for descriptor in (*self._slaves, *self._masters.values()):
            os.close(descriptor)
        self._slaves.clear()
        self._masters.clear()

    if sys.platform != "win32":

        def _copy_size(self, number: int) -> None:
            import termios

            lines, columns = termios.tcgetwinsize(number)
            size = (lines or DEFAULT_SIZE[0], columns or DEFAULT_SIZE[1])
            termios.tcsetwinsize(self._masters[number], size)
    else:

        def _copy_size(self, number: int) -> None:
            raise AssertionError(f"stream {number} has no terminal on Windows")
