"""Read what a child process writes, keep the beginning and the end of it, and say how the child ended.

Invariants:

- A reader takes all that a child writes, so the child never blocks on it.
- Memory is bounded, also where a child never ends a line.
- What is kept is the text that a terminal would show: of a progress bar, its last state. Bytes that are no
  UTF-8 are kept as ``\\xff`` and the like.
"""

from __future__ import annotations

import codecs
import errno
import os
import selectors
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import IO

READ_BYTES = 64 * 1024
KEPT_CHARS = 2 * 1024 * 1024  # of the beginning, and the same of the end
TURNS = 16  # pieces that are read of one stream before another has its turn
# How long to wait for the end of the output after the child's end. Processes it started may keep it open.
DRAIN_S = 2.0
# A shell reports a command killed by a signal with these exit codes. Windows has exit codes for a crash.
SHELLS_SIGNALS = range(129, 129 + 64)
WINDOWS_CRASHES = 0xC0000000
TRACEBACK = "Traceback (most recent call last):\n"
REASON_LINES, REASON_CHARS = 3, 500
ERASE_LINE = "\x1b[K"  # from the cursor to the end of the line


class Source:
    """One stream of a child.

    `pass_on` gets each piece as it comes, and b"" at the end. `keep` gets whole lines, as they are shown.
    """

    def __init__(
        self, stream: IO[bytes], pass_on: Callable[[bytes], None], keep: Callable[[str], None]
    ) -> None:
        self.stream = stream
        self._pass_on = pass_on
        self._keep = keep
        self._lines = _ShownLines()

    @property
    def begun(self) -> str:
        """The line that has not ended yet, as a terminal shows it."""
        return _overwrite(self._lines.begun)

    def take_piece(self) -> bool:
        """Read the next piece, waiting for it; return False at the end, and close the stream."""
        data = self._read_piece()
        self._pass_on(data)
        text = self._lines.add(data) if data else self._lines.finish()
        if text:
            self._keep(text)
        if not data:
            self.stream.close()
        return bool(data)

    def _read_piece(self) -> bytes:
        try:
            return os.read(self.stream.fileno(), READ_BYTES)
        except OSError as error:
            # So Linux tells that no process has the other side of a terminal open any more.
            if error.errno != errno.EIO:
                raise
            return b""


class OutputReader:
    """Reads the streams of a child to their ends, in the order in which the child writes, as far as that shows.

    One thread reads all of them. Windows cannot wait for several pipes: there, each has a thread.
    """

    def __init__(self, *sources: Source) -> None:
        self.sources = sources
        groups = [(one,) for one in sources] if sys.platform == "win32" else [sources]
        self._threads = [
            threading.Thread(target=_read_sources, args=(group,), name="exptrack-output", daemon=True)
            for group in groups
        ]

    def begin(self) -> None:
        """Begin to read.

        Raises:
            OSError: the system lets this process begin no more threads.
        """
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError:
            raise OSError(errno.EAGAIN, "the system lets this process begin no more threads") from None

    def join(self) -> bool:
        """Wait for the end of the streams, for `DRAIN_S` at most; return whether it has come."""
        deadline = time.monotonic() + DRAIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)


def _read_sources(sources: tuple[Source, ...]) -> None:
    if len(sources) == 1:
        while sources[0].take_piece():
            pass
        return
    with selectors.DefaultSelector() as selector:
        for source in sources:
            selector.register(source.stream, selectors.EVENT_READ, source)
        while selector.get_map():
            ready = {key.data for key, _events in selector.select()}
            for source in sources:
                # Of what is there at once, standard output most often came first: it was flushed for the other.
                for _turn in range(TURNS if source in ready else 0):
                    if not _take(selector, source):
                        break
                    if source not in {key.data for key, _events in selector.select(0)}:
                        break


def _take(selector: selectors.BaseSelector, source: Source) -> bool:
    """Take a piece of a stream; at its end, wait for it no more."""
    number = source.stream.fileno()  # before it is closed
    if source.take_piece():
        return True
    selector.unregister(number)
    return False


class _ShownLines:
    """The lines of a stream, as a terminal shows them once they have ended."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode
        self.begun = ""

    def add(self, data: bytes) -> str:
        """Take the next bytes; return the lines that have ended by them."""
        begun = self.begun + self._decode(data)
        lines = begun.rfind("\n") + 1
        done, rest = begun[:lines], begun[lines:]
        place = rest.rfind("\r")
        if place > 0:
            rest = f"{_overwrite(rest[:place])}\r{rest[place + 1 :]}"
        if len(rest) > READ_BYTES:
            done, rest = done + rest, ""
        self.begun = rest
        return _show(done)

    def finish(self) -> str:
        """Return what is left at the end of the stream."""
        rest, self.begun = self.begun + self._decode(b"", final=True), ""
        return _show(rest)


def _show(text: str) -> str:
    if "\r" not in text:
        return text
    return "\n".join(map(_overwrite, text.split("\n")))


def _overwrite(line: str) -> str:
    """Return a line as it stands when it has ended: a carriage return lets what follows overwrite it."""
    if "\r" not in line:
        return line
    shown = ""
    for part in line.split("\r"):
        if ERASE_LINE in part:
            part, shown = part.replace(ERASE_LINE, ""), ""
        shown = part + shown[len(part) :]
    return shown.rstrip(" ")


class HeadAndTail:
    """The beginning and the end of a long text, `most` characters of each."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._begin: list[str] = []
        self._room = most
        self._end: deque[str] = deque()
        self._end_chars = 0
        self._left_out = 0

    def add(self, text: str) -> None:
        """Append to the text."""
        if self._room and text:
            self._begin.append(text[: self._room])
            text, self._room = text[self._room :], max(0, self._room - len(text))
        if not text:
            return
        self._end.append(text)
        self._end_chars += len(text)
        while self._end_chars > self._most:
            surplus = self._end_chars - self._most
            first = self._end.popleft()
            if len(first) > surplus:
                self._end.appendleft(first[surplus:])
            dropped = min(surplus, len(first))
            self._end_chars -= dropped
            self._left_out += dropped

    def text(self) -> str:
        """Return what is kept, with a line in the gap that tells its length."""
        gap = f"\n… {self._left_out:,} characters left out …\n" if self._left_out else ""
        return "".join(self._begin) + gap + "".join(self._end)


def find_signal(returncode: int) -> int:
    """Return the signal that ended a process with this exit code; 0 if it ended by itself.

    A negative code is the signal itself. A shell adds 128 to the signal of a command.
    """
    if sys.platform == "win32":
        return 0
    return -returncode if returncode < 0 else returncode - 128 if returncode in SHELLS_SIGNALS else 0


def describe_end(returncode: int) -> tuple[bool, str]:
    """Return whether a process with this exit code was killed, and a description of its end."""
    number = find_signal(returncode)
    if number:
        try:
            return True, f"killed by {signal.Signals(number).name}"
        except ValueError:
            return returncode < 0, f"exit code {returncode}"
    return returncode >= WINDOWS_CRASHES, f"exit code {returncode}"


def last_lines(text: str) -> str:
    """Return the end of standard error; of a Python traceback only the error, without the lines of code."""
    lines = [line.rstrip() for line in text.rpartition(TRACEBACK)[2].splitlines() if line.strip()]
    lines = [line.strip() for line in lines if not line.startswith("  ")] or [line.strip() for line in lines]
    return " / ".join(lines[-REASON_LINES:])[-REASON_CHARS:]
