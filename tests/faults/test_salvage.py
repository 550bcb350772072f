"""What comes back of a damaged archive is proved; the long run damages more of them."""

from __future__ import annotations

from pathlib import Path

from tests.faults.salvage import try_one


def test_nothing_wrong_comes_back_and_little_is_lost(tmp_path: Path) -> None:
    for seed in range(1, 17):
        folder = tmp_path / str(seed)
        folder.mkdir()
        problems, what = try_one(seed, folder, small=True)
        assert problems == [], what
