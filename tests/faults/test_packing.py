"""A process that packs or unpacks leaves a whole file or none, wherever it is killed or a system call fails.

A few places; ``python -m tests.faults --only packing`` goes through all of them.
"""

from __future__ import annotations

import pytest

from tests.faults.packing import EIO, ENOSPC, KILL, record, try_one

SAMPLES = {
    "pack": [(KILL, "pwrite64", 0.7), (EIO, "fsync", 0.0)],
    "unpack": [(ENOSPC, "pwrite64", 0.3), (KILL, "fsync", 0.0)],
}


@pytest.mark.parametrize("script", SAMPLES)
def test_a_kill_at_any_call_leaves_no_file_or_a_whole_one(script: str) -> None:
    calls = record(script)
    for fault, call, share in SAMPLES[script]:
        numbers = calls[call]
        tally = try_one(script, call, fault, numbers[int(len(numbers) * share)])
        assert (tally.tries, tally.notes) == (1, [])
