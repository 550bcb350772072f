"""The standard streams of a command, whatever the shell or the service manager made of them.

Invariants: both output streams exist and take every character. Standard error never fails: what it cannot take
is lost. Standard output fails once, by :class:`OutputFailedError`; what is printed after that is lost. Inside
`keep_working` it does not fail before the work is done. The descriptors 0, 1 and 2 are open, so that no file of
the archive is opened as one of them.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from exptrack import ArchiveIOError
from exptrack.terminal.ascii import spell_out

# Windows reports a pipe without a reader as an invalid argument.
READER_HAS_LEFT = (errno.EPIPE, errno.EINVAL) if sys.platform == "win32" else (errno.EPIPE,)


class OutputFailedError(Exception):
    """Standard output cannot be written. It is no OSError, as libraries handle theirs in their own ways."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"cannot write the output: {cause.strerror}")
        self.reader_has_left = cause.errno in READER_HAS_LEFT

    @property
    def exit_code(self) -> int:
        return 0 if self.reader_has_left else ArchiveIOError.exit_code


class _Descriptor(io.FileIO):
    """The descriptor of an output stream; after its first failure it drops what is written."""

    failure: OutputFailedError | None = None
    is_patient = False  # whether write() keeps its failure in `failure` instead of raising it

    def write(self, data: Any, /) -> int:
        if self.failure is None:
            try:
                while (written := super().write(data)) is None:
                    select.select([], [self], [])  # another program made the pipe non-blocking, and it is full
                return written
            except OSError as error:
                self.failure = OutputFailedError(error)
                if not self.is_patient:
                    raise self.failure from None
        return memoryview(data).nbytes


def prepare_streams() -> None:
    """Make the standard streams fit for commands. Streams that a caller put in their places stay these."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None and name == "stdin":
            _occupy(number)
        elif stream is None:
            _occupy(number)
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif name != "stdin":
            if stream is getattr(sys, f"__{name}__"):
                stream = _guard(stream, is_patient=name == "stderr")
                setattr(sys, name, stream)
            spell_out(stream)


@contextmanager
def keep_working() -> Iterator[None]:
    """Let the block do its work to the end where its output cannot be written; then raise the failure.

    Raises:
        OutputFailedError: some output could not be written, and the block raised nothing.
    """
    output = _descriptor_of(sys.stdout)
    if not isinstance(output, _Descriptor):
        yield
        return
    output.is_patient = True
    try:
        yield
        sys.stdout.flush()
    finally:
        output.is_patient = False
    if output.failure is not None:
        raise output.failure


def _occupy(number: int) -> None:
    """Open the null device as a standard descriptor that is closed."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


def _guard(stream: Any, *, is_patient: bool) -> Any:
    """Return a text stream like this one whose descriptor fails once at most; a Windows console as it is."""
    if not isinstance(_descriptor_of(stream), io.FileIO):
        return stream
    raw = _Descriptor(stream.fileno(), "w", closefd=False)
    raw.is_patient = is_patient
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _descriptor_of(stream: Any) -> Any:
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)  # `python -u` has no buffer between
