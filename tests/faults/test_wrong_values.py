"""Beside a wrong value in a column, each reading call returns or says what is damaged.

A part of the columns; ``python -m tests.faults --only wrong_values`` tries every value in every column.
"""

from __future__ import annotations

import pytest

from tests.effort import IS_THOROUGH
from tests.faults.wrong_values import (
    COLUMNS,
    NASTY,
    _folder,
    _readings,
    describe,
    put,
    read_everything,
    run,
    try_one,
)

SEEDS = list(range(0, 2 * len(COLUMNS), 15))
if not IS_THOROUGH:  # one for each table
    SEEDS = list({describe(seed)[0]: seed for seed in SEEDS}.values())
# One that hung, and one of each kind of value that a call met without a guard once.
FOUND = [
    ("trial", "number", "most"),
    ("metric_point", "step", "deep list"),
    ("metric_series", "count", "no date"),
    ("config_source", "kind", "nul"),
    ("run", "started_at", "huge JSON"),
    ("study", "settings", "least"),
]


def test_no_reading_call_raises_an_untyped_error() -> None:
    assert len({describe(seed)[0] for seed in SEEDS}) > 0.6 * len({table for table, _column in COLUMNS})
    notes = [note for seed in SEEDS for note in try_one(seed, commands=1).notes]
    assert notes == []


def test_values_that_were_met_without_a_guard_are_told() -> None:
    for place in FOUND:
        step = list(NASTY).index(place[2]) - COLUMNS.index(place[:2])
        seed = 2 * (COLUMNS.index(place[:2]) + step % len(NASTY) * len(COLUMNS))
        assert describe(seed)[:3] == place
        for one in (seed, seed + 1):
            assert try_one(one, commands=1).notes == []


@pytest.mark.parametrize(
    ("table", "column"), [("run", "run_id"), ("run", "host"), ("note", "text"), ("artifact", "name")]
)
def test_no_command_lets_a_text_steer_the_terminal(table: str, column: str) -> None:
    path = _folder() / "lab.db"
    assert put(path, table, column, "steering", NASTY["steering"])
    assert read_everything(path, commands=len(_readings()[1])) == []


def test_each_seed_stands_for_another_try() -> None:
    seeds = range(2 * len(COLUMNS) * len(NASTY))
    assert len({describe(seed) for seed in seeds}) == len(seeds)
    assert run(1, 0).tries == 1
