"""A pattern of like may mean the characters % and _ themselves."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exptrack import Archive
from exptrack.query.patterns import escape_like, pattern_of
from tests.analysis.runs import ROOMY

NAMES = ("lr_1", "lr-1", "lr11", "100%", "100x", r"C:\new_data", r"C:\\old", r"a\%b")


@pytest.fixture
def named(archive: Archive) -> Archive:
    for name in NAMES:
        archive.start_run({"path": name}, [name], name=name).complete()
    return archive


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"lr\_1", {"lr_1"}),
        (r"lr_1", {"lr_1", "lr-1", "lr11"}),
        (r"100\%", {"100%"}),
        ("100%", {"100%", "100x"}),
        (r"C:\new\_%", {r"C:\new_data"}),
        (r"C:\\\\old", {r"C:\\old"}),
        (r"%\\%", {r"C:\new_data", r"C:\\old", r"a\%b"}),
        (r"a\\\%b", {r"a\%b"}),
        ("%\\", set()),
    ],
)
@pytest.mark.parametrize("field", ["name", "config.path", "tag"])
def test_a_backslash_takes_the_meaning_from_a_sign(
    named: Archive, field: str, pattern: str, expected: set[str]
) -> None:
    found = named.runs().where(f"{field} like ?", pattern)
    assert {run.name for run in found} == expected
    assert {run.name for run in named.runs().where(f"{field} not like '{pattern}'")} == set(NAMES) - expected


@ROOMY
@given(st.text(st.sampled_from("a%_\\"), max_size=6), st.text(st.sampled_from("a%_\\"), max_size=6))
def test_an_escaped_text_matches_itself_alone(text: str, other: str) -> None:
    def matches(pattern: str, word: str) -> bool:
        """By Python's own patterns, into which each sign is turned."""
        signs, at = "", 0
        while at < len(pattern):
            sign = pattern[at]
            at += 2 if sign == "\\" else 1
            literal = pattern[at - 1]
            signs += {"%": "*", "_": "?"}.get(sign) or f"[{literal}]"
        return fnmatch.fnmatchcase(word, signs)

    assert matches(pattern_of(escape_like(text)), text)
    assert matches(pattern_of(escape_like(text)), other) == (text == other)
