"""Texts and values that the tests of reading and writing share."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


def typed(value: Any) -> Any:
    """`value` with its types spelled out, as ``True == 1 == 1.0`` and ``0.0 == -0.0``."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}, list(value)
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value).__name__, repr(value)


def same(found: Any, expected: Any) -> bool:
    return bool(typed(found) == typed(expected))


SCALARS = [
    ("true", True),
    ("false", False),
    ("null", None),
    ("nil", None),
    ("-17", -17),
    ("+5", 5),
    ("007", 7),
    ("-0", 0),
    ("1_000", 1000),
    ("1_0_0", 100),
    ("9" * 100, int("9" * 100)),
    ("3.0", 3.0),
    ("-0.0", -0.0),
    (".5", 0.5),
    ("5.", 5.0),
    ("-.5e1", -5.0),
    ("5.e1", 50.0),
    ("1e3", 1000.0),
    ("1E+3", 1000.0),
    ("1e-3", 0.001),
    ("1_0.2_5", 10.25),
    ("1e-999", 0.0),
    *(
        (text, text)
        for text in (
            "True NULL None yes on ~ 2.1.0 1.0.0-rc.1 2031-05-09 12:30:45 10GB 0x1F 1_ _1"
            " 1__0 1e e3 . + -x 1e1_0 1._5 12ab9 inf nan -inf Infinity null_count /tmp/x ./d"
            " ../d --flag ~/r http://h:80/x cuda:0 a@b.org ${x}/y *x %y <z x|y lr=0.1 it's"
            " a[0] runs/${name} f(x) table café ١٢ guide.md#setup"
        ).split()
    ),
    ("two words", "two words"),
    ("Two words, really", "Two words, really"),
    ("1 2", "1 2"),
    ("table of x", "table of x"),
    ("\N{NO-BREAK SPACE}x", "\N{NO-BREAK SPACE}x"),
]


TEXTS = st.one_of(
    st.text(),
    st.text(alphabet=st.sampled_from(" \t\n\r\\\"#:=|,[]{}()-+._/'019eEaxn\x00\x85\u2028é")),
    st.sampled_from([text for text, _ in SCALARS]),
)
