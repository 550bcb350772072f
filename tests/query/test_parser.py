"""Each word of the filter language is read, and errors show the place and suggest a word."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exptrack import FilterError
from exptrack.errors import InvalidTypeError, InvalidValueError, QueryError
from exptrack.query.conditions import (
    EVERYTHING,
    FACTS,
    STATISTICS,
    SYNONYMS,
    And,
    Comparison,
    Field,
    Not,
    Or,
)
from exptrack.query.parser import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_LIST,
    parse_columns,
    parse_field,
    parse_filter,
    parse_order,
)

LR = Field("config", "lr")
NAME = Field("fact", "name")
ACC = Field("metric", "acc", "last")


def one(text: str, *parameters: object) -> Comparison:
    """The only comparison of a filter."""
    found = parse_filter(text, parameters)
    assert isinstance(found, Comparison)
    return found


def value(text: str, *parameters: object) -> Any:
    return one(text, *parameters).values[0]


@pytest.mark.parametrize(
    ("text", "operator"),
    [("=", "="), ("==", "="), ("!=", "!="), ("<>", "!="), ("<", "<"), ("<=", "<="), (">", ">"), (">=", ">=")],
)
@pytest.mark.parametrize("space", ["", " ", "\n\t "])
def test_every_comparison_is_read_with_and_without_spaces(text: str, operator: str, space: str) -> None:
    assert one(f"config.lr{space}{text}{space}1") == Comparison(LR, operator, (1,), 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name like 'a%'", Comparison(NAME, "like", ("a%",))),
        ("name LIKE a", Comparison(NAME, "like", ("a",))),
        ("name in ('a', \"b\", c)", Comparison(NAME, "in", ("a", "b", "c"))),
        ("config.lr in (1, true, 'x')", Comparison(LR, "in", (1, True, "x"))),
        ("config.lr is null", Comparison(LR, "is null")),
        ("config.lr is not null", Not(Comparison(LR, "is null"))),
        ("exists config.lr", Comparison(LR, "exists", (), 7)),
        ("exists(config.lr)", Comparison(LR, "exists", (), 7)),
        ("name not in (a)", And((Comparison(NAME, "is comparable"), Not(Comparison(NAME, "in", ("a",)))))),
        ("name not like a", And((Comparison(NAME, "is comparable"), Not(Comparison(NAME, "like", ("a",)))))),
        ("tag not in (a, b)", Not(Comparison(Field("fact", "tag"), "in", ("a", "b")))),
        ("tag not like 'a%'", Not(Comparison(Field("fact", "tag"), "like", ("a%",)))),
        ("", EVERYTHING),
        (" \n ", EVERYTHING),
    ],
)
def test_every_other_operator_is_read(text: str, expected: object) -> None:
    assert parse_filter(text) == expected


def test_not_binds_stronger_than_and_and_and_stronger_than_or() -> None:
    text = "not name=a and  name=b   or  name=c"
    a, b, c = (Comparison(NAME, "=", (x,), text.index(f"name={x}")) for x in "abc")
    assert parse_filter(text) == Or((And((Not(a), b)), c))
    found = parse_filter("not (name=a or name=b) and name=c")
    assert isinstance(found, And)
    assert isinstance(found.conditions[0], Not)
    assert isinstance(found.conditions[0].condition, Or)
    assert parse_filter("NOT NOT name=a") == Not(Not(Comparison(NAME, "=", ("a",), 8)))


@pytest.mark.parametrize("name", FACTS)
def test_every_attribute_is_a_field_in_any_case(name: str) -> None:
    assert parse_field(name) == parse_field(name.upper()) == Field("fact", name)


@pytest.mark.parametrize(("synonym", "name"), SYNONYMS.items())
def test_words_of_other_trackers_are_understood(synonym: str, name: str) -> None:
    assert parse_field(synonym) == Field("fact", name)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_every_statistic_of_a_metric_is_a_field(statistic: str) -> None:
    assert parse_field(f"metrics.val/acc.{statistic}") == Field("metric", "val/acc", statistic)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("config.a.b", Field("config", "a.b")),
        ("params.a", Field("config", "a")),
        ('config."a b"', Field("config", "a b")),
        ('config."a.b".c', Field("config", '"a.b".c')),
        (r'config."a\"b"', Field("config", r'"a\"b"')),
        ("config.0.x-y", Field("config", "0.x-y")),
        ("config.and", Field("config", "and")),
        ("metrics.acc", ACC),
        ("metric.acc", ACC),
        ('metrics."acc.max"', Field("metric", "acc.max", "last")),
        ('metrics."acc.max".min', Field("metric", "acc.max", "min")),
        ('metrics.acc."max"', Field("metric", "acc.max", "last")),
        ("metrics.max", Field("metric", "max", "last")),
        ("metrics.a.b", Field("metric", "a.b", "last")),
        ("metrics.日本", Field("metric", "日本", "last")),
    ],
)
def test_config_keys_and_metrics_are_named_quoted_or_not(text: str, expected: Field) -> None:
    assert parse_field(text) == expected


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("1", 1),
        ("-1", -1),
        ("+1", 1),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("1_000", 1000),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", 2.0**63),
        ("100000000000000000000", 1e20),
        ("inf", math.inf),
        ("-infinity", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("adam", "adam"),
        ("resnet-50", "resnet-50"),
        ("'it''s'", "it's"),
        (r'"say \"x\""', 'say "x"'),
        ("''", ""),
        ("'and'", "and"),
        ("'1'", "1"),
        ("[]", []),
        ('[1, "a", [true, null]]', [1, "a", [True, None]]),
        ('[{"a": 1}]', [{"a": 1}]),
        ("2026-01-31", "2026-01-31"),
    ],
)
def test_every_literal_of_a_config_keeps_its_type(literal: str, expected: object) -> None:
    found = value(f"config.lr = {literal}")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("duration > 90s", 90.0),
        ("duration > 10min", 600.0),
        ("duration > 1.5h", 5400.0),
        ("duration > 3", 3),
        ("status = FAILED", "failed"),
        ("dirty = true", True),
        ("name = 42", "42"),
        ("name = 1e3", "1e3"),
        ("tag = 007", "007"),
        ("id = 1k3f", "1k3f"),
        ("commit = 12e4567", "12e4567"),
        ("commit in (9fceb02, 1a-b)", "9fceb02"),
        ("started > 2026-01-31", "2026-01-31 00:00:00.000000"),
        ("started > 2026-01-31T12:00", "2026-01-31 12:00:00.000000"),
        ("started > '2026-01-31 12:00:00.5'", "2026-01-31 12:00:00.500000"),
        ("started > 2026-01-31T12:00:00+02:00", "2026-01-31 10:00:00.000000"),
        ("started > 2026-01-31T12:00Z", "2026-01-31 12:00:00.000000"),
    ],
)
def test_every_attribute_reads_its_own_kind_of_value(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("word", "back"),
    [
        ("-7d", 7 * 86400),
        ("-12h", 43200),
        ("-1w", 604800),
        ("-90s", 90),
        ("-5m", 300),
        ("now", 0),
        ("+1h", -3600),
    ],
)
def test_times_are_told_from_now(word: str, back: float) -> None:
    moment = datetime.fromisoformat(value(f"started > {word}")).replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - moment).total_seconds() - back) < 60


def test_today_and_yesterday_are_midnights_in_utc() -> None:
    today, yesterday = (datetime.fromisoformat(value(f"started >= {word}")) for word in ("today", "Yesterday"))
    assert (today.hour, today.minute, today.microsecond) == (0, 0, 0)
    assert today - yesterday == timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "parameter", "expected"),
    [
        ("config.lr = ?", "a' or 1", "a' or 1"),
        ("config.lr = ?", 2**53 + 1, 2**53 + 1),
        ("config.lr = ?", True, True),
        ("config.lr = ?", [1], [1]),
        ("name = ?", "?", "?"),
        ("name = ?", 7, "7"),
        ("config.lr = ?", 10**19, 1e19),
        ("name = ?", 2**63, "9223372036854775808"),
        (
            "started > ?",
            datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1))),
            "2025-12-31 23:00:00.000000",
        ),
        ("started > ?", "-1d", None),
    ],
)
def test_parameters_are_values_whatever_they_look_like(text: str, parameter: object, expected: object) -> None:
    found = value(text, parameter)
    assert found == expected or expected is None


def test_a_numpy_scalar_is_a_value() -> None:
    import numpy

    assert value("metrics.acc > ?", numpy.float32(0.5)) == 0.5


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("config.lr", 9, "is after config.lr"),
        ("config.lr <", 11, "a value"),
        ("config.lr < 1 config.x", 14, "'and', 'or' or the end"),
        ("config.lr < 1 and", 17, "a field"),
        ("and name = a", 0, "a field"),
        ("(name = a", 9, "a closing parenthesis"),
        ("name = a)", 8, "'and', 'or' or the end"),
        ("name in a", 8, "an opening parenthesis"),
        ("name in ()", 9, "a value"),
        ("name in (a b)", 11, "a comma or a closing parenthesis"),
        ("name = 'a", 7, "the quote is not closed"),
        ('config."a = 1', 6, "means nothing here"),
        ("name = a; drop", 8, "means nothing here"),
        ("nam = a", 0, "did you mean name?"),
        ("statsu = failed", 0, "did you mean status?"),
        ("confg.lr = 1", 0, "did you mean config.lr?"),
        ("zzz = 1", 0, "config.zzz, metrics.zzz or attr.zzz?"),
        ("name.x = 1", 0, "no field 'name.x'"),
        ("config. = 1", 6, "means nothing here"),
        ("config..a = 1", 6, "means nothing here"),
        ("status = faild", 9, "did you mean failed?"),
        ("status = 3", 9, "a status is one of"),
        ("status < failed", 7, "< cannot be used with status"),
        ("status like 'f%'", 7, "it is not text"),
        ("tag < a", 4, "< cannot be used with tag"),
        ("note >= a", 5, ">= cannot be used with note"),
        ("dirty > true", 6, "> cannot be used with dirty"),
        ("dirty = yes", 8, "true or false"),
        ("metrics.acc = high", 14, "is a number"),
        ("metrics.acc = true", 14, "is a number"),
        ("metrics.acc like 'a'", 12, "it is not text"),
        ("config.lr = nan", 12, "nothing equals NaN"),
        ("config.lr = null", 12, "config.lr is null"),
        ("config.lr = None", 12, "config.lr is null"),
        ("metrics.loss != None", 16, "metrics.loss is null"),
        ("config.lr < true", 12, "only numbers and texts have an order"),
        ("config.lr < [1]", 12, "only numbers and texts have an order"),
        ("config.lr = [1", 12, "as in JSON"),
        ("config.lr = [nope]", 12, "as in JSON"),
        (r'config.lr = ["\ud800"]', 12, "as in JSON"),
        ("config.lr = " + "[" * 50_000, 12, "as in JSON"),
        ("config.lr = 1o0", 12, "quote text that begins with a digit"),
        ("config.lr = 1.5.2", 12, "means nothing here"),
        ("started > 2026-01-31x", 10, "a time (UTC) is like"),
        ("config.lr like 1", 15, "a pattern is text"),
        ("config.lr is 1", 13, "expected null"),
        ("exists 1", 7, "a field"),
        ("started > soon", 10, "a time (UTC) is like"),
        ("started > 2026-13-01", 10, "a time (UTC) is like"),
        ("started > -99999999999d", 10, "a time (UTC) is like"),
        ("duration > long", 11, "in seconds"),
        ("config.lr < 9223372036854775809", 12, "the nearest is 9.223372036854776e+18"),
        ("metrics.loss < 1e309", 15, "compare with inf"),
        ("metrics.loss < 1" + "0" * 400, 15, "compare with inf"),
        ("config.lr = -1" + "0" * 309, 12, "compare with inf"),
        ("1 = 1", 0, "a field"),
        ("name = ?", 7, "no value for this question mark"),
        ("config.a = 1 = 2", 13, "'and', 'or' or the end"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(text: str, place: int, problem: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert problem in str(caught.value)
    assert caught.value.position == place
    message, shown, caret = str(caught.value).split("\n")[-3:]
    assert message
    if len(text) < 60:
        assert shown == f"  {text}"
        assert caret == f"  {' ' * place}^"


def test_parameters_must_be_as_many_as_question_marks_and_of_a_type_that_is_compared() -> None:
    with pytest.raises(FilterError, match="2 values were given for 1 question marks"):
        parse_filter("name = ?", ["a", "b"])
    for wrong in (object(), None, {"a": 1}, 10**5000, b"x", [object()], ["\ud800"], "\ud800", math.nan, 1j):
        with pytest.raises(FilterError):
            parse_filter("config.lr = ?", [wrong])
    with pytest.raises(FilterError, match="no times"):
        parse_filter("config.lr = ?", [datetime.now(UTC)])
    parse_filter("config.lr = ?", [[1] * MAX_LIST])
    with pytest.raises(FilterError, match="a list holds at most 10,000 values; give fewer"):
        parse_filter("config.lr = ?", [[1] * (MAX_LIST + 1)])


def test_what_is_no_text_or_too_long_is_refused() -> None:
    for read in (parse_filter, parse_field, parse_order, parse_columns):
        with pytest.raises(InvalidTypeError):
            read(7)
        with pytest.raises(InvalidValueError):
            read("a" * 100_001)
        with pytest.raises(InvalidValueError):
            read("\ud800")


def test_depth_and_number_of_conditions_are_bounded() -> None:
    for deep in (
        "(" * (MAX_DEPTH + 1) + "name = a" + ")" * (MAX_DEPTH + 1),
        "not " * (MAX_DEPTH + 1) + "name=a",
    ):
        with pytest.raises(FilterError, match="nested deeper"):
            parse_filter(deep)
    many = " or ".join(["name = a"] * MAX_CONDITIONS)
    assert isinstance(parse_filter(many), Or)
    with pytest.raises(FilterError, match="more than 1,000 conditions"):
        parse_filter(f"{many} or name = a")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("started", [("started", False)]),
        ("-started", [("started", True)]),
        ("- started , +name", [("started", True), ("name", False)]),
        ("started desc, name ASC", [("started", True), ("name", False)]),
        ('-config."a, b"', [('config."a, b"', True)]),
        ("metrics.acc.max desc", [("metrics.acc.max", True)]),
    ],
)
def test_orders_are_read(text: str, expected: list[tuple[str, bool]]) -> None:
    assert [(str(found), descending) for found, descending in parse_order(text)] == expected


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", 0),
        ("started,", 8),
        ("started down", 8),
        ("started, nam", 9),
        ("--started", 1),
        ("1", 0),
        ("a;b", 1),
    ],
)
def test_wrong_orders_are_refused_with_their_place(text: str, place: int) -> None:
    with pytest.raises(FilterError) as caught:
        parse_order(text)
    assert caught.value.position == place


def test_columns_are_named_by_the_words_that_were_given() -> None:
    found = parse_columns('params.lr, config."a, b" ,run_id')
    assert list(found) == ["params.lr", 'config."a, b"', "run_id"]
    assert list(found.values()) == [LR, Field("config", "a, b"), Field("fact", "id")]
    for wrong in ("", "a", "name,", "name name", ",name"):
        with pytest.raises(FilterError):
            parse_columns(wrong)


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_a_filter_error(text: str) -> None:
    for read in (parse_filter, parse_order, parse_columns, parse_field):
        with suppress(QueryError):
            read(text)


WORDS = (
    "config.a metrics.b.max name tag ( ) and or not in like is null exists = < 1 'x' ? , [1] -7d true".split()
)


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_words_of_the_language_are_a_filter_or_a_filter_error(words: list[str]) -> None:
    with suppress(FilterError):
        parse_filter(" ".join(words))
