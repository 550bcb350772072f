"""Hypothesis strategies that the tests share: names, texts, numbers, config trees."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 0.1, 1 / 3, 1e16, 1e22, 1.7976931348623157e308]),
    st.floats(allow_nan=False, allow_infinity=False),
)

# What UTF-8 can hold: everything but lone surrogates, NUL and other controls included.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

# What can name something: no controls, never empty.
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)

# Keys of configs: often those that a dotted path must put in quotes.
KEYS = st.one_of(
    st.sampled_from(["a", "b", "seed", "a.b", '"', '"a"', "a\\", '\\"', ".", "", " ", "ä", "a\0b", "日"]),
    TEXTS,
)

SCALARS = st.one_of(st.none(), st.booleans(), INT64, FLOATS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
CONFIGS = st.dictionaries(KEYS, VALUES, max_size=5)

# Trees whose keys say whether they hold a map ("A", "B") or not ("x", "y"), so that two of them never
# disagree about where the maps are.
_PLAIN = st.dictionaries(st.sampled_from("xy"), st.one_of(SCALARS, st.lists(SCALARS, max_size=2)))
ALIGNED_CONFIGS = st.recursive(
    _PLAIN,
    lambda inner: st.builds(
        lambda plain, maps: {**plain, **maps}, _PLAIN, st.dictionaries(st.sampled_from("AB"), inner)
    ),
    max_leaves=6,
)


def exactly(value: Any) -> Any:
    """`value` so that == also tells 1, 1.0 and True apart, and 0.0 from -0.0."""
    if isinstance(value, dict):
        return {key: exactly(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [exactly(item) for item in value]
    return (type(value).__name__, repr(value))
