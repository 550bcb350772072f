"""Wherever a system call kills a process or fails, what was acknowledged is there, and errors have a type.

A few places of each script; ``python -m tests.faults --only system_calls`` goes through all of them.
"""

from __future__ import annotations

import pytest

from tests.effort import IS_THOROUGH
from tests.faults import system_calls
from tests.faults.system_calls import EIO, ENOSPC, FULL, KILL, SCRIPTS, record, try_one

SAMPLES = [(KILL, "pwrite64", 0.6), (EIO, "fdatasync", 0.5), (FULL, "pwrite64", 0.4)]


@pytest.mark.parametrize(("number", "script"), [*enumerate(script.__name__ for script in SCRIPTS)])
def test_what_was_acknowledged_is_there_once(number: int, script: str) -> None:
    calls = record(script)
    # In the everyday effort each script has one of the faults.
    for fault, call, share in SAMPLES if IS_THOROUGH else [SAMPLES[number % len(SAMPLES)]]:
        numbers = calls[call]
        tally = try_one(script, call, fault, numbers[int(len(numbers) * share)])
        assert (tally.tries, tally.notes) == (1, [])


@pytest.mark.parametrize(
    ("script", "call", "fault"),
    [
        ("mend", "rename", KILL),
        ("mend", "rename", EIO),
        ("mend", "write", ENOSPC),
        ("start", "fallocate", ENOSPC),
    ],
)
def test_what_a_script_does_once_may_fail(script: str, call: str, fault: str) -> None:
    (number,) = record(script)[call]
    assert try_one(script, call, fault, number).notes == []


def test_each_seed_stands_for_another_try() -> None:
    seeds = range(10_000)
    assert len({system_calls.describe(seed) for seed in seeds}) == len(seeds)
    assert system_calls.describe(7) == system_calls.describe(7)
