"""Start a child process, read its output, and end it.

Invariants:

- All output of a child is read, so the child never blocks on it. Of long output, the beginning and the end are
  kept.
- A child leads a process group of its own, so keys typed at our terminal do not reach it. Signals go to the
  whole group. Processes that the child started do not outlive it if it was told to end.
- A child has no standard input.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import IO, NamedTuple, TypeAlias

from exptrack.errors import warn
from exptrack.known_secrets import count_begun, mask_bytes
from exptrack.tracking.child_output import KEPT_CHARS, HeadAndTail, OutputReader, Source, describe_end

# Called with each piece of output as it comes, and with True if it was written to standard error. After its
# first exception it is called no more.
Listener: TypeAlias = "Callable[[bytes, bool], None]"

KEPT_ERROR_CHARS = 16 * 1024

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
        self._output = HeadAndTail(KEPT_CHARS)
        self._errors = HeadAndTail(KEPT_ERROR_CHARS)
        self._held = {False: b"", True: b""}
        self._writing = threading.Lock()
        self._told_to_end = False
        self._reader = OutputReader(
            self._make_source(self._process.stdout, False), self._make_source(self._process.stderr, True)
        )
        try:
            self._reader.begin()
        except OSError:
            self.kill()
            self._process.wait()
            raise

    def _make_source(self, pipe: IO[bytes] | None, is_error: bool) -> Source:
        assert pipe is not None
        return Source(pipe, partial(self._pass_on_masked, is_error), partial(self._keep, is_error))

    def _pass_on_masked(self, is_error: bool, piece: bytes) -> None:
        """Pass output on without secrets; hold the end of it back, where a secret may have begun."""
        data, self._held[is_error] = self._held[is_error] + piece, b""
        if self._before_passing is not None and self._listener is not None:
            try:
                self._before_passing()
            except Exception as error:
                self._stop_passing(error)
        if piece:
            done = len(data) - count_begun(data)
            # A secret across this place would be cut in two, and both parts be passed on.
            data, self._held[is_error] = data[:done], data[done:]
        self._pass_on(mask_bytes(data), is_error)

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

    def _keep(self, is_error: bool, text: str) -> None:
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
        self._reader.join()
        if self._told_to_end:
            self.kill()
        killed, words = describe_end(returncode)
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
