"""A Python that has already imported exptrack. A command forked from it costs a fifth of one that is started.

A command has the environment of this Python, and the folder and standard streams of its call. It finds them as
it would if it were started: `tests/cli/test_streams.py` compares them. It ends as any process does.
"""

from __future__ import annotations

import atexit
import gc
import io
import json
import os
import runpy
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

# What a standard stream is: a path and how it is opened; a pipe whose reader has left; closed.
Stream: TypeAlias = tuple[str, int] | str | None
FULL = ("/dev/full", os.O_WRONLY)
NULL = (os.devnull, os.O_RDONLY)
LEFT = "a pipe whose reader has left"
KEPT = "a pipe whose reader keeps what it reads"
CLOSED = None


class WarmPython:
    """Runs modules of Python with `environment` added to that of this process; for POSIX alone."""

    def __init__(self, *imports: str, **environment: str) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.warm_python", str(theirs.fileno()), *imports],
                cwd=Path(__file__).parents[1],
                env={**os.environ, **environment},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def close(self) -> None:
        self._channel.close()
        self._server.wait(60)

    def run(
        self,
        module: str,
        *words: str,
        cwd: Path,
        streams: Mapping[int, Stream] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``python -m MODULE WORDS``, or with module ``-c`` the code that is the first word.

        But for `streams`, the input is empty and the outputs are kept.
        """
        chosen: dict[int, Stream] = {0: NULL, 1: KEPT, 2: KEPT, **(streams or {})}
        given: list[int] = []
        kept: dict[int, bytes] = {1: b"", 2: b""}
        readers: list[threading.Thread] = []

        def keep(number: int, end: int) -> None:
            with open(end, "rb") as file:
                kept[number] = file.read()

        for number, stream in chosen.items():
            if isinstance(stream, tuple):
                given.append(os.open(*stream))
            elif stream is not None:
                reader, writer = os.pipe()
                given.append(writer)
                if stream == LEFT:
                    os.close(reader)
                else:
                    readers.append(threading.Thread(target=keep, args=(number, reader)))
        numbers = [number for number, stream in chosen.items() if stream is not None]
        try:
            descriptors = dict(zip(numbers, given, strict=True))
            process = self.begin(module, *words, cwd=cwd, descriptors=descriptors, environment=environment)
        finally:
            for descriptor in given:
                os.close(descriptor)
        for thread in readers:
            thread.start()
        code = process.wait()
        for thread in readers:
            thread.join()
        return subprocess.CompletedProcess([module, *words], code, kept[1], kept[2])

    def begin(
        self,
        module: str,
        *words: str,
        cwd: Path,
        descriptors: Mapping[int, int],
        environment: Mapping[str, str] | None = None,
    ) -> Forked:
        """Begin what `run` runs with these standard streams; wait for it before the next one."""
        own = None if environment is None else dict(environment)
        call = json.dumps([str(cwd), [*descriptors], own, module, *words]).encode() + b"\n"
        sent = socket.send_fds(self._channel, [call[: 1 << 12]], [*descriptors.values()])
        self._channel.sendall(call[sent:])
        return Forked(self._channel)


class Forked:
    """A process that a `WarmPython` forked."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self.returncode: int | None = None
        self.pid = self._read_number()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code; after `timeout` seconds, raise ``TimeoutExpired``."""
        if self.returncode is None:
            if not select.select([self._channel], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self.returncode = self._read_number()
        return self.returncode

    def _read_number(self) -> int:
        line = b""
        while not line.endswith(b"\n"):
            byte = self._channel.recv(1)
            assert byte, "the Python that forks has ended"
            line += byte
        return int(line)


def fork_for_calls(channel: socket.socket) -> list[str] | None:
    """Fork for each call. Return its words in the child; return None in the parent when no more come."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, 1 << 16, 3)
        while data and not data.endswith(b"\n"):
            data += channel.recv(1 << 16)
        if not data:
            return None
        child = os.fork()
        if child == 0:
            channel.close()
            folder, numbers, environment, *words = json.loads(data)
            os.chdir(folder)
            sys.path[0] = folder
            if environment is not None:
                os.environ.clear()
                os.environ.update(environment)
            set_streams(dict(zip(numbers, descriptors, strict=True)))
            return words
        for descriptor in descriptors:
            os.close(descriptor)
        channel.sendall(f"{child}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        channel.sendall(f"{code}\n".encode())


def set_streams(descriptors: dict[int, int]) -> None:
    """Make these the standard streams, as Python does when it starts."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        before = getattr(sys, name)
        stream: Any = None
        if number in descriptors:
            os.dup2(descriptors[number], number)
            os.close(descriptors[number])
            plain = before.write_through  # by PYTHONUNBUFFERED
            mode, buffering = ("wb", 0 if plain else -1) if number else ("rb", -1)
            file: Any = open(number, mode, buffering, closefd=False)  # noqa: SIM115
            getattr(file, "raw", file).name = f"<{name}>"
            flushes = not plain and (number == 2 or file.isatty())
            stream = io.TextIOWrapper(file, before.encoding, before.errors, "\n", flushes, plain)
            stream.mode = "w" if number else "r"
        else:
            os.close(number)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run_text(code: str, *words: str) -> None:
    """Do what ``python -c CODE WORDS`` does once it has started."""
    sys.argv = ["-c", *words]
    sys.modules["__main__"] = module = ModuleType("__main__")
    exec(compile(code, "<string>", "exec"), module.__dict__)


@cache
def _python(*more: str) -> WarmPython:
    imports = ("exptrack.archive", "exptrack.portable.verification", "exptrack.tracking.recording", *more)
    python = WarmPython(*imports)
    atexit.register(python.close)
    return python


def run_code(
    code: str, *words: object, cwd: Path | None = None, imports: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run ``python -c CODE WORDS`` and keep what it prints; its Python is forked where the system can fork.

    It has the environment of this process and, unless `cwd` is given, its folder; its input is empty. A Python
    that is forked has the `imports` already.
    """
    texts = list(map(str, words))
    if not hasattr(os, "fork"):
        command = [sys.executable, "-c", code, *texts]
        return subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    done = _python(*imports).run("-c", code, *texts, cwd=cwd or Path.cwd(), environment=os.environ)
    return subprocess.CompletedProcess(
        ["-c", code, *texts], done.returncode, done.stdout.decode(), done.stderr.decode()
    )


if __name__ == "__main__":
    channel = socket.socket(fileno=int(sys.argv[1]))
    for imported in sys.argv[2:]:
        __import__(imported)
    gc.freeze()  # what is imported is no garbage, and stays shared with the children
    words = fork_for_calls(channel)
    if words is not None:
        if words[0] == "-c":
            run_text(*words[1:])
        else:
            sys.argv = words
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
