"""Let a test set the clock that exptrack reads, the chance that it makes ids from, and which processes live.

So random histories repeat. The clock of a file may stand, jump or go back, and a process may die without one.
"""

from __future__ import annotations

import datetime as real
import importlib
import pkgutil
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import exptrack
from exptrack import process
from exptrack.process import ProcessIdentity
from exptrack.runs import identity

HOST = "0123456789abcdef"  # of the processes that are not there
BEGINS = real.datetime(2026, 3, 1, 10, tzinfo=real.UTC)


class Clock:
    """The time of day, a clock that never goes back, and processes that live until they are killed.

    `hidden` are those of another machine, of which nobody here can tell whether they live.
    """

    def __init__(self) -> None:
        self.now = BEGINS
        self.steady_s = 1000.0
        self.tick_us = 1  # by which each look at the time of day moves it
        self.dead: set[int] = set()
        self.hidden: set[int] = set()

    def move(self, seconds: float) -> None:
        """Let time pass; below zero, set the time of day back."""
        self.now += real.timedelta(seconds=seconds)
        self.steady_s += max(0.0, seconds)


class _LikeDatetime(type):
    """Every datetime is an instance of the class that stands for it."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, real.datetime)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, real.datetime)


@cache
def _modules() -> tuple[ModuleType, ...]:
    """Every module of the package; those that are imported later would read the true clock."""
    for found in pkgutil.walk_packages(exptrack.__path__, "exptrack."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    return tuple(
        module for name, module in sys.modules.items() if name.startswith("exptrack.") and module is not None
    )


@contextmanager
def controlled_time(seed: int) -> Iterator[Clock]:
    """Let exptrack read a clock of the caller's in the block, and draw ids from a seed."""
    clock = Clock()

    class Datetime(real.datetime, metaclass=_LikeDatetime):
        @classmethod
        def now(cls, tz: real.tzinfo | None = None) -> Any:
            clock.now += real.timedelta(microseconds=clock.tick_us)
            return clock.now.astimezone(tz)

    chance = random.Random(seed)

    def is_alive(identity: ProcessIdentity) -> bool | None:
        if identity.host_id != HOST:
            return process.is_alive(identity)
        return None if identity.pid in clock.hidden else identity.pid not in clock.dead

    fakes: dict[str, Any] = {
        "is_alive": is_alive,
        "steady_s": lambda: clock.steady_s,
        "read_clock": lambda _clock: clock.steady_s,
    }
    patches = [
        patch.object(
            identity, "time", SimpleNamespace(time_ns=lambda: int(clock.now.timestamp() * 1e6) * 1000)
        ),
        patch.object(identity, "os", SimpleNamespace(urandom=chance.randbytes)),
        patch.object(identity, "_last_id_ms", 0),
    ]
    for module in (one for one in _modules() if one is not process):
        if vars(module).get("datetime") is real.datetime:
            patches.append(patch.object(module, "datetime", Datetime))
        patches += [patch.object(module, name, fake) for name, fake in fakes.items() if name in vars(module)]
    for one in patches:
        one.start()
    try:
        yield clock
    finally:
        for one in reversed(patches):
            one.stop()
