"""A field is written as a filter reads it, and trees of conditions compare by all they hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exptrack.keypath import path_of
from exptrack.query.conditions import STATISTICS, And, Field, Not, Or, compare_fact
from exptrack.query.parser import parse_field
from tests.strategies import KEYS, NAMES


@given(path=st.lists(KEYS, min_size=1, max_size=4))
def test_a_column_of_a_config_is_named_as_a_filter_reads_it(path: list[str]) -> None:
    field = Field("config", path_of(path))
    assert parse_field(str(field)) == field


@given(
    name=st.one_of(NAMES, st.sampled_from(["max", "loss.max", "a.last", ".", "a b", 'q"."max'])),
    statistic=st.sampled_from(STATISTICS),
)
def test_a_column_of_a_metric_is_named_as_a_filter_reads_it(name: str, statistic: str) -> None:
    field = Field("metric", name, statistic)
    assert parse_field(str(field)) == field


def test_trees_of_equal_content_and_another_word_are_not_equal() -> None:
    """Sets of runs are kept by their statements and queries compared by their trees."""
    one, other = compare_fact("name", "=", "a"), compare_fact("name", "=", "b")
    assert And((one, other)) == And((one, other))
    assert And((one, other)) != Or((one, other))
    assert And(()) != Or(())
    assert Not(one) != And(one)  # type: ignore[arg-type]
    assert Not(And((one,))) != Not(Or((one,)))
