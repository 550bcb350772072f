"""A small spool; ``python -m tests.faults --only spools`` lets sixteen processes go on for as long as asked."""

from __future__ import annotations

import pytest

from tests.faults.spools import try_one


@pytest.mark.parametrize("seed", [1, 2], ids=["worked on elsewhere", "worked on in the spool"])
def test_nothing_that_killed_processes_acknowledged_is_lost(seed: int) -> None:
    assert try_one(seed, writers=4, busy_s=1.0).notes == []
