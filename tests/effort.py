"""How much the tests try: all of it where a change is checked, a part of it where a person waits.

`EXPTRACK_TEST_EFFORT` is ``everyday``, which is what it is if it is not set, or ``thorough``, as `.ci/run` has
it. Every test runs in both. The thorough effort gives generated tests and faults all their tries, and runs
every case of a test. The everyday effort makes a part of the tries. Of the hundreds of cases of a test that is
marked with ``sampled``, it runs some. It keeps the files of the tests in memory where the system can.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Sequence

import pytest

VARIABLE = "EXPTRACK_TEST_EFFORT"
EFFORTS = ("everyday", "thorough")
EFFORT = os.environ.get(VARIABLE) or EFFORTS[0]
if EFFORT not in EFFORTS:
    raise ValueError(f"{VARIABLE} is {EFFORT!r}; it must be one of {', '.join(EFFORTS)}")
IS_THOROUGH = EFFORT == "thorough"

PART = 5  # the everyday effort makes a fifth of the tries of generated tests
LEAST = 3


IN_MEMORY = "/dev/shm"  # of Linux
ENOUGH_BYTES = 4 << 30


def keep_files_in_memory() -> None:
    """Let this process and its children make temporary files in memory, in the everyday effort.

    A test of an archive then costs a fifth less, and waits for no disk. `TMPDIR` decides if it is set, and the
    usual folder is taken where memory has no room.
    """
    if IS_THOROUGH or "TMPDIR" in os.environ or not os.access(IN_MEMORY, os.W_OK | os.X_OK):
        return
    status = os.statvfs(IN_MEMORY)
    if status.f_bavail * status.f_frsize >= ENOUGH_BYTES:
        os.environ["TMPDIR"] = IN_MEMORY
        tempfile.tempdir = None  # chosen anew


def tries(number: int) -> int:
    """Return how often to try what is made `number` times in the thorough effort."""
    return number if IS_THOROUGH else min(number, max(LEAST, number // PART))


def leave_out(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the items that this effort runs: of each test with ``sampled(n)`` one case in `n`, at least one.

    The names of the cases choose, so every worker, system and day has the same ones.
    """
    if IS_THOROUGH:
        return list(items)
    cases: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sampled") is not None:
            cases[item.nodeid.partition("[")[0]].append(item)
    left_out: set[pytest.Item] = set()
    for some in cases.values():
        (part,) = some[0].get_closest_marker("sampled").args  # type: ignore[union-attr]
        some.sort(key=lambda item: zlib.crc32(item.nodeid.encode()))
        left_out.update(some[-(-len(some) // part) :])
    return [item for item in items if item not in left_out]
