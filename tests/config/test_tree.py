"""Trees of plain values: a leaf gives back its value."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from exptrack.config.tree import leaf_value, list_leaves
from tests.strategies import VALUES, exactly


@given(value=VALUES)
def test_a_leaf_gives_back_its_value_exactly(value: Any) -> None:
    for leaf in list_leaves("k", {"only": value}):
        key = leaf.key.removeprefix("k.only")
        if not key:
            assert exactly(leaf_value(*leaf[1:])) == exactly(value)
