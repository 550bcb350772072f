"""Start a child process, read its output, and end it.

Invariants:

- All output of a child is read, so the child never blocks on it. Of long output, the beginning and the end are
  kept.
- A child leads a process group of its own, so keys typed at our terminal do not reach it. Signals go to the
  whole group. Processes that the child started do not outlive it if it was told to end.
- A child has no standard input.
"""

from __future__ import annotations

import codecs
import errno
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, NamedTuple, TypeAlias

from exptrack.errors import warn
from exptrack.known_secrets import count_begun, mask_bytes

# Called with each piece of output as it comes, and with True if it was written to standard error. After its
# first exception it is called no more.
Listener: TypeAlias = "Callable[[bytes, bool], None]"

READ_BYTES = 64 * 1024
KEPT_CHARS = 2 * 1024 * 1024  # of the beginning, and the same of the end
KEPT_ERROR_CHARS = 16 * 1024
# How long to wait for the end of the output after the child's end. Processes it started may keep the pipe open.
DRAIN_S = 2.0
# A shell reports a command killed by a signal with these exit codes. Windows has exit codes for a crash.
SHELLS_SIGNALS = range(129, 129 + 64)
WINDOWS_CRASHES = 0xC0000000

NEW_GROUP = 0
if sys.platform == "win32":
    NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP


class Ended(NamedTuple):
    """How a child ended: its exit code, whether it was killed, a description of both, and its output."""

    returncode: int
    killed: bool
    words: str
    output: str
    errors: str


class Child:
    """A child process, started with the given command line and environment.

    `listener` gets its output without known secrets; `before_passing` is called before each piece.
    """

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        listener: Listener | None = None,
        before_passing: Callable[[], None] | None = None,
    ) -> None:
        self._process = subprocess.Popen(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            creationflags=NEW_GROUP,
        )
        self._listener = listener
        self._before_passing = before_passing
        self._output = _HeadAndTail(KEPT_CHARS)
        self._errors = _HeadAndTail(KEPT_ERROR_CHARS)
        self._writing = threading.Lock()
        self._told_to_end = False
        self._readers = [self._read(self._process.stdout, False), self._read(self._process.stderr, True)]

    def _read(self, pipe: IO[bytes] | None, is_error: bool) -> threading.Thread:
        assert pipe is not None
        reader = threading.Thread(target=self._listen, args=(pipe, is_error), daemon=True)
        try:
            reader.start()
        except RuntimeError:
            self.kill()
            self._process.wait()
            raise OSError(errno.EAGAIN, "the system lets this process begin no more threads") from None
        return reader

    def _listen(self, pipe: IO[bytes], is_error: bool) -> None:
        # The two streams are read by two threads; whole lines are kept together, but their order may change.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        begun, held = "", b""
        with pipe:
            while data := os.read(pipe.fileno(), READ_BYTES):
                held = self._pass_on_masked(held + data, is_error)
                begun += decoder.decode(data)
                lines = len(begun) if len(begun) > READ_BYTES else begun.rfind("\n") + 1
                self._keep(begun[:lines], is_error)
                begun = begun[lines:]
        self._pass_on(mask_bytes(held), is_error)
        self._keep(begun + decoder.decode(b"", final=True), is_error)

    def _pass_on_masked(self, data: bytes, is_error: bool) -> bytes:
        """Pass output on without secrets; return the end of it, where a secret may have begun."""
        if self._before_passing is not None and self._listener is not None:
            try:
                self._before_passing()
            except Exception as error:
                self._stop_passing(error)
        done = len(data) - count_begun(data)
        # A secret across this place would be cut in two, and both parts be passed on.
        self._pass_on(mask_bytes(data[:done]), is_error)
        return data[done:]

    def _pass_on(self, data: bytes, is_error: bool) -> None:
        with self._writing:
            if self._listener is not None and data:
                try:
                    self._listener(data, is_error)
                except Exception as error:
                    self._stop_passing(error)

    def _stop_passing(self, error: Exception) -> None:
        """Call the listener no more. Reading goes on: the child must neither block nor find its pipe closed."""
        self._listener = None
        warn(
            f"the listener of a command's output raised {type(error).__name__}, and is called no"
            " more; the output is stored all the same"
        )

    def _keep(self, text: str, is_error: bool) -> None:
        with self._writing:
            self._output.add(text)
            if is_error:
                self._errors.add(text)

    @property
    def pid(self) -> int:
        """The process id of the child."""
        return self._process.pid

    def wait(self) -> Ended:
        """Wait until the child has ended; return how it ended."""
        returncode = self._process.wait()
        if self._told_to_end:
            self.terminate()  # end also the processes that it started and left running
        for reader in self._readers:
            reader.join(DRAIN_S)
        if self._told_to_end:
            self.kill()
        killed, words = _describe_end(returncode)
        with self._writing:
            return Ended(returncode, killed, words, self._output.text(), self._errors.text())

    def interrupt(self) -> None:
        """Send the child and its group SIGINT, like ctrl-C at a terminal."""
        self._told_to_end = True
        if sys.platform == "win32":
            with suppress(OSError):  # it ended in the meantime
                self._process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            self._signal(signal.SIGINT)

    def terminate(self) -> None:
        """Send the child and its group SIGTERM, like the system at shutdown."""
        self._told_to_end = True
        if sys.platform == "win32":
            self._process.terminate()
        else:
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the child and its group."""
        self._told_to_end = True
        if sys.platform == "win32":
            self._process.kill()
        else:
            self._signal(signal.SIGKILL)

    if sys.platform != "win32":

        def _signal(self, number: signal.Signals) -> None:
            with suppress(ProcessLookupError):  # it ended in the meantime
                os.killpg(self._process.pid, number)


class _HeadAndTail:
    """The beginning and the end of a long text."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._begin: list[str] = []
        self._room = most
        self._end: deque[str] = deque()
        self._end_chars = 0
        self._left_out = 0

    def add(self, text: str) -> None:
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
        gap = f"\n… {self._left_out:,} characters left out …\n" if self._left_out else ""
        return "".join(self._begin) + gap + "".join(self._end)


def _describe_end(returncode: int) -> tuple[bool, str]:
    """Return whether a process with this exit code was killed, and a description of its end."""
    number = -returncode if returncode < 0 else returncode - 128 if returncode in SHELLS_SIGNALS else 0
    if number and sys.platform != "win32":
        try:
            return True, f"killed by {signal.Signals(number).name}"
        except ValueError:
            return returncode < 0, f"exit code {returncode}"
    return returncode >= WINDOWS_CRASHES, f"exit code {returncode}"
