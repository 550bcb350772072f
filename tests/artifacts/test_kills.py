"""Wherever a process is killed while artifacts come and go, nothing acknowledged is lost or left over."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.artifact_kills import WAYS, trial
from tests.effort import IS_THOROUGH


@pytest.mark.parametrize("seed", range(5))
def test_a_kill_amid_puts_removals_and_collections_loses_nothing_and_leaves_nothing(
    tmp_path: Path, seed: int
) -> None:
    """Five kills of one archive, or every other of them; a hundred are in ``benchmarks.artifact_kills``."""
    for number in range(5) if IS_THOROUGH else range(seed % 2, 5, 2):
        trial(WAYS[number % len(WAYS)], 1000 * seed + number, tmp_path)
