"""What comes back of a damaged archive is proved; the long run damages and kills more of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.effort import tries
from tests.faults.salvage import try_one
from tests.faults.salvage_kills import COMMIT, counts, kill_at


def test_nothing_wrong_comes_back_and_little_is_lost(tmp_path: Path) -> None:
    for seed in range(1, 1 + tries(12)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        problems, what = try_one(seed, folder, small=True)
        assert problems == [], what


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
def test_a_kill_leaves_no_half_archive_and_a_second_try_works() -> None:
    commits = counts()[COMMIT]
    assert commits > 10
    for number in (2, commits // 2, commits):
        tally = kill_at(COMMIT, number)
        assert (tally.tries, tally.failures, tally.notes) == (1, 0, [])
