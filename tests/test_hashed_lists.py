"""A list that is hashed is written as plain JSON of its values, floats by their bits, by either encoder."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exptrack import hashed_lists
from exptrack.hashed_lists import encode_list
from exptrack.records import ConfigSource, RunStatus

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(max_size=4))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.tuples(inner, inner), max_leaves=12)


def spell(value: Any) -> Any:
    if type(value) is float:
        return struct.pack(">d", value).hex()
    return [spell(one) for one in value] if type(value) in (list, tuple) else value


def write(values: list[Any]) -> bytes:
    written = json.dumps(spell(values), ensure_ascii=False, separators=(",", ":"), default=bytes.hex)
    return written.encode()


@given(st.lists(VALUES))
def test_a_list_is_written_as_json_with_floats_by_their_bits(values: list[Any]) -> None:
    assert encode_list(values) == write(values)
    assert encode_list(tuple(values)) == write(values)


def test_texts_of_other_classes_and_named_tuples_are_written_as_such() -> None:
    values = [RunStatus.COMPLETED, ConfigSource("code", "dict", 0), '\u2028\0"\\', 2**70]
    assert (
        encode_list(values)
        == '["completed",["code","dict",0],"\u2028\\u0000\\"\\\\",1180591620717411303424]'.encode()
    )


def test_an_interpreter_without_an_encoder_in_c_writes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    values = ["a", 1, 2.5, None, (b"\xff", ["é", -0.0])]
    expected = encode_list(values)
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    monkeypatch.setattr(hashed_lists, "_encode", hashed_lists._make_encoder())
    assert encode_list(values) == expected
