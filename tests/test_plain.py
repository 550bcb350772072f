"""What a caller gives is turned into plain values, whatever its class says or raises."""

from __future__ import annotations

import enum
import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exptrack import ExptrackError, InvalidTypeError, InvalidValueError, RunNotFoundError, validation
from exptrack.plain import (
    MAX_ELEMENTS,
    attribute,
    iter_any,
    plain,
    read_elements,
    read_items,
    read_names,
    read_path,
    reading,
    short_repr,
)
from exptrack.validation import (
    check_choice,
    check_flag,
    check_function,
    check_name,
    check_number,
    check_sql_value,
    check_step,
    check_text,
    check_whole,
    iter_elements,
)
from tests.faults.nasty_values import (
    BigInt,
    BrokenMapping,
    ChangingDict,
    ChangingList,
    EqualToAll,
    HasNoAttributes,
    Liar,
    LoneLiar,
    LostPath,
    Metric,
    Name,
    OddFloat,
    WrongPath,
    breaking,
    nested_list,
    own_dict,
    own_list,
    raising,
)


class Level(enum.IntEnum):
    HIGH = 3


TEXTS = [Metric.LOSS, Name.LOSS, np.str_("loss"), Liar("loss"), LoneLiar("loss"), EqualToAll("loss")]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: type(text).__name__)
def test_a_text_of_any_class_is_the_text_that_it_equals(text: str) -> None:
    for found in (
        plain(text),
        check_text(text, "a text"),
        check_name(text, "a name"),
        read_names(text, "names")[0],
    ):
        assert type(plain(found)) is str
        assert plain(found) == "loss"
    assert check_choice(text, "a word", ["loss", "acc"]) == "loss"
    assert short_repr(text) == "'loss'"


def test_a_text_is_checked_after_the_conversion() -> None:
    with pytest.raises(InvalidValueError, match="lone surrogate"):
        check_text(Liar("\ud800"), "a text")
    with pytest.raises(InvalidValueError, match="control character"):
        check_name(Liar("a\n"), "a name")
    with pytest.raises(InvalidValueError, match="1,001 characters"):
        check_name(EqualToAll("x" * 1_001), "a name")


def test_numbers_of_any_class_are_what_they_equal() -> None:
    for value, expected in ((BigInt(3), 3), (Level.HIGH, 3), (OddFloat(0.5), 0.5), (np.float64(0.5), 0.5)):
        assert type(plain(value)) is type(expected)
        assert plain(value) == expected
        assert check_number(value, "a number") == expected
    for whole in (BigInt(3), Level.HIGH, np.int8(3)):
        assert (check_step(whole), check_whole(whole, "a count", 1)) == (3, 3)
    assert type(check_step(Level.HIGH)) is int


def test_what_is_no_whole_number_in_the_bounds_is_refused() -> None:
    for value in (True, np.bool_(True), 2.0, "3", None, 0, 11, 10**5000, BigInt(-1), HasNoAttributes()):
        with pytest.raises(InvalidValueError, match="a count must be") as caught:
            check_whole(value, "a count", 1, 10)
        assert len(str(caught.value)) < 200


def test_a_flag_is_a_bool() -> None:
    assert (check_flag(True, "now"), check_flag(np.bool_(False), "now")) == (True, False)
    for value in (1, 0, None, "yes", [], raising(lambda: RuntimeError("no"), "__bool__", "__len__")()):
        with pytest.raises(InvalidTypeError, match="now must be True or False"):
            check_flag(value, "now")


def test_a_function_can_be_called() -> None:
    assert check_function(print, "after") is print
    assert check_function(None, "after") is None
    with pytest.raises(InvalidTypeError, match="after must be a function, not str"):
        check_function("print", "after")


@pytest.mark.parametrize(
    "value",
    [
        nested_list(),
        own_list(),
        own_dict(),
        10**5000,
        raising(lambda: RuntimeError("no"), "__repr__")(),
        "\ud800",
        "x" * 10**7,
    ],
    ids=["deep", "own list", "own dict", "huge", "raising", "surrogate", "long"],
)
def test_any_value_has_a_short_form_that_can_be_printed(value: object) -> None:
    text = short_repr(value)
    assert 0 < len(text.encode()) < 100


def test_what_an_object_raises_becomes_an_error_of_ours_with_its_cause() -> None:
    for error in (RuntimeError("a"), KeyError("b"), OSError("c"), RecursionError("d"), MemoryError()):
        with pytest.raises(InvalidValueError, match=type(error).__name__) as caught, reading("a tag"):
            raise error
        assert caught.value.__cause__ is error
    with pytest.raises(InvalidTypeError), reading("a tag"):
        raise TypeError
    with pytest.raises(RunNotFoundError), reading("a tag"):
        raise RunNotFoundError("x", "lab.db")


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_ends_the_process_passes(kind: type[BaseException]) -> None:
    hostile = raising(kind, "__repr__", "__iter__", "__float__", "__index__", "__fspath__", "__getattr__")()
    for call in (
        lambda: short_repr(hostile),
        lambda: read_elements(hostile, "tags"),
        lambda: check_number(hostile, "a number"),
        lambda: check_step(hostile),
        lambda: read_path(hostile),
        lambda: attribute(hostile, "run_id"),
    ):
        with pytest.raises(kind):
            call()


@pytest.mark.parametrize(
    "values",
    [
        "text",
        b"bytes",
        bytearray(b"b"),
        memoryview(b"b"),
        3,
        None,
        breaking("a"),
        ChangingDict(a=1),
        ChangingList("ab"),
    ],
)
def test_a_list_that_is_none_or_cannot_be_read_is_refused(values: object) -> None:
    with pytest.raises(InvalidValueError, match="tags"):
        read_elements(values, "tags")


def test_an_endless_list_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidValueError, match=f"at most {MAX_ELEMENTS:,} elements"):
        read_elements(itertools.repeat("a"), "tags")
    monkeypatch.setattr(validation, "MAX_COLUMN", 10)
    for column in (itertools.count(), range(10**18), np.zeros(11), range(10**30)):
        with pytest.raises(InvalidValueError, match="steps must"):
            list(iter_elements(column, "steps"))
    assert list(iter_elements(range(10), "steps")) == list(range(10))


def test_records_may_be_endless_but_not_unreadable() -> None:
    assert next(iter_any(itertools.count(), "records")) == 0
    with pytest.raises(InvalidValueError, match="records cannot be read: OSError") as caught:
        list(iter_any(breaking(1, 2), "records"))
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("values", [None, [("a", 1)], BrokenMapping(), ChangingDict(a=1)])
def test_a_mapping_that_is_none_or_cannot_be_read_is_refused(values: object) -> None:
    with pytest.raises(InvalidValueError, match="data"):
        read_items(values, "data")


def test_a_path_is_text_that_a_file_can_have() -> None:
    assert read_path(Path("a")) == read_path(Liar("a")) == "a"
    bad: list[Any] = [3, None, b"a", LostPath(), WrongPath(), "a\0b", "\ud800", "x" * 40_000]
    for path in bad:
        with pytest.raises(InvalidValueError, match="path"):
            read_path(path)


@pytest.mark.skipif(os.name != "posix", reason="Windows names files by text")
def test_a_path_of_any_bytes_can_be_named() -> None:
    assert os.fsencode(read_path(os.fsdecode(b"\xff"))) == b"\xff"


def test_the_value_of_a_question_mark_is_one_that_sqlite_takes() -> None:
    values = [
        None,
        True,
        Level.HIGH,
        np.float32(0.5),
        np.int64(7),
        Name.LOSS,
        b"x",
        bytearray(b"y"),
        memoryview(b"z"),
    ]
    assert [check_sql_value(value) for value in values] == [None, 1, 3, 0.5, 7, "loss", b"x", b"y", b"z"]
    for value in (2**63, "\ud800", object(), [1], np.zeros(3), 1j):
        with pytest.raises(ExptrackError, match="a parameter"):
            check_sql_value(value)
