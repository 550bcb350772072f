"""Random sets of archives merge to one content, in any order and grouping, and nothing of them is lost.

``python -m tests.faults --only merging`` goes on for as long as asked.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.effort import tries
from tests.portable.histories import KINDS, OPS, Lab, Op, histories
from tests.portable.losses import read_content
from tests.portable.merging import check_merging
from tests.portable.moments import controlled_time

# The name that is given last comes at an earlier time of day; a copy without it knows something else.
CLOCK_SET_BACK = [
    Op("rename", 1, 7, 3, 3600.0),
    Op("copy", 1, 5, 10, 1.0),
    Op("copy", 1, 7, 1, -7200.0),
    Op("note", 3, 0, 9, 1.0),
    Op("rename", 2, 1, 5, 3600.0),
]
TRASHED_BEFORE_IT_BEGAN = [Op("resume", 3, 2, 11, 1.0), Op("kill", 3, 0, 4, -7200.0), Op("trash", 3, 0, 2, 1.0)]
GONE_ON_WITH_TWICE = [
    Op("start", 0, 0, 1, 1.0),
    Op("log", 0, 0, 3, 1.0),
    Op("end", 0, 0, 0, 1.0),
    Op("copy", 0, 0, 0, 1.0),
    Op("resume", 0, 0, 1, 1.0),
    Op("log", 0, 0, 2, 1.0),
    Op("resume", 1, 0, 0, 1.0),
    Op("log", 1, 0, 1, 1.0),
    Op("note", 1, 0, 1, 1.0),
]


@settings(
    max_examples=tries(6),
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(histories(), st.integers(0, 2**16))
@example(CLOCK_SET_BACK, 5017)
@example(TRASHED_BEFORE_IT_BEGAN, 5067)
@example(GONE_ON_WITH_TWICE, 1)
def test_any_files_merge_to_one_content(ops: list[Op], seed: int) -> None:
    check_merging(ops, seed)


def test_a_history_happens_the_same_way_again(tmp_path: Path) -> None:
    ops = [Op(kind, n % 3, n % 8, n % 12, 1.0) for n, kind in enumerate([*OPS, *OPS]) if kind != "merge"]
    assert {op.kind for op in ops} == set(KINDS) - {"merge"}
    found = []
    for name in ("once", "again"):
        (folder := tmp_path / name).mkdir()
        with controlled_time(7) as clock:
            found.append([read_content(path) for path in Lab(folder, clock).play(ops)])
    assert found[0] == found[1]
    assert len(found[0]) >= 3
