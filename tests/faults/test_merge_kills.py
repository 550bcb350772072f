"""A kill anywhere in a merge or extract leaves whole runs and untouched sources, and doing it again ends it.

A few places; ``python -m tests.faults --only merge_kills`` goes through all of them.
"""

from __future__ import annotations

import pytest

from tests.faults.merge_kills import die_at_call, die_at_commit, record


@pytest.mark.parametrize(
    ("name", "when", "number"),
    [("merge", "before", 2), ("merge", "after", 6), ("merge", "before", 11), ("extract", "after", 4)],
)
def test_a_kill_at_a_commit_leaves_whole_runs(name: str, when: str, number: int) -> None:
    tally = die_at_commit(name, when, number)
    assert tally is not None
    assert tally.notes == []


def test_a_kill_before_a_system_call_leaves_whole_runs() -> None:
    calls = record("merge")["pwrite64"]
    assert die_at_call("merge", "pwrite64", calls[len(calls) // 2]).notes == []
