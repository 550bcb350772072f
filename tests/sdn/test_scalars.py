"""Bare texts: what each means, and how long a number may be."""

from __future__ import annotations

import sys

import pytest

from exptrack import sdn
from exptrack.errors import SdnError
from tests.sdn.values import SCALARS, same


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_a_bare_text_is_classified_as_a_whole(text: str, value: object) -> None:
    assert same(sdn.classify(text), value)
    assert same(sdn.loads(f"a: {text}"), {"a": value})
    assert same(sdn.loads(f"a=\t{text} \t# comment\r\n"), {"a": value})
    assert same(sdn.loads(f"a: {text}\n"), {"a": value})
    assert same(sdn.loads(f"a:\n  - {text}\n"), {"a": [value]})
    assert same(sdn.parse_value(text), value)


def test_an_int_is_exact_up_to_4000_digits() -> None:
    for number in (10**4000 - 1, -(10**4000) + 1, 2**64):
        assert sdn.loads(sdn.dumps({"a": number})) == {"a": number}
    assert sdn.classify("+" + "1_" * 3999 + "1") == int("1" * 4000)
    for text in (
        "9" * 4001,
        "-" + "9" * 4001,
        "0" * 4001,
        "0." + "0" * 4000,
        "1e" + "1" * 4000,
        "1e999",
    ):
        for read in (sdn.classify, sdn.parse_value):
            with pytest.raises(SdnError) as caught:
                read(text)
            assert (caught.value.line, caught.value.column) == (1, 1)
    assert sdn.classify("9" * 5000 + "x") == "9" * 5000 + "x"


def test_an_interpreter_with_a_lower_digit_limit_gives_the_ordinary_error() -> None:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        with pytest.raises(SdnError):
            sdn.loads("a: " + "9" * 700)
    finally:
        sys.set_int_max_str_digits(limit)
