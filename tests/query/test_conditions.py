"""A field is written as a filter reads it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exptrack.keypath import path_of
from exptrack.query.conditions import STATISTICS, Field
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
