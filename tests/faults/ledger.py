"""Keep what a process did in a mapped file, which a SIGKILL cannot take back and no injected error can hit.

Each line says what a call will change and, once it has returned, that it did. From these lines :func:`expect`
makes, for every key, the states in which it may be found: the last acknowledged one, and any that a later call
may have reached without returning.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

State: TypeAlias = "str | float | None"  # None: absent

WILL, DID, WILL_DELETE, DELETED, REFUSED, RAW, STUCK = "will did will_delete deleted refused raw stuck".split()
BYTES = 16 << 20


class Ledger:
    """The lines of one process, each there whole or not at all."""

    def __init__(self, path: Path, size: int = BYTES) -> None:
        self._size = size
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(descriptor, size)
        self._map = mmap.mmap(descriptor, size)
        os.close(descriptor)
        self._end = memoryview(self._map)[:8].cast("q")

    @property
    def is_full(self) -> bool:
        return self._end[0] > self._size - (1 << 20)

    def say(self, what: str, about: object, *more: object) -> None:
        """Append a line."""
        line = json.dumps([what, about, *more]).encode() + b"\n"
        at = 8 + self._end[0]
        self._map[at : at + len(line)] = line
        self._end[0] += len(line)

    def will(self, states: Mapping[str, State]) -> None:
        self.say(WILL, states)

    def did(self, states: Mapping[str, State]) -> None:
        self.say(DID, states)


def read_lines(path: Path) -> Iterator[list[object]]:
    """Yield the lines of a ledger, also while its process appends some."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    for line in content[8:end].splitlines():
        yield json.loads(line)


def expect(lines: Iterator[list[object]]) -> tuple[dict[str, set[State]], list[list[object]]]:
    """Return the states that each key may be in, and the lines that report errors."""
    allowed: dict[str, set[State]] = {}
    errors = []
    for what, about, *more in lines:
        if what == WILL:
            assert isinstance(about, dict)
            for key, state in about.items():
                allowed.setdefault(key, {None}).add(state)
        elif what == DID:
            assert isinstance(about, dict)
            for key, state in about.items():
                allowed[key] = {state}
        elif what in (WILL_DELETE, DELETED):
            # Everything of a run goes with it.
            for key in allowed:
                if key == f"run {about}" or f" {about}/" in key:
                    allowed[key] = {None} if what == DELETED else allowed[key] | {None}
        else:
            errors.append([what, about, *more])
    return allowed, errors
