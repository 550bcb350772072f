"""Every text gets help, and what is offered can stand where it is offered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import (
    Archive,
    FilterError,
    FilterHelp,
    InvalidTypeError,
    InvalidValueError,
    QueryStoppedError,
    TimeLimit,
)
from exptrack.query.parser import parse_columns, parse_field, parse_filter, parse_order
from exptrack.query.vocabulary import MOST_LOOKS
from tests.effort import tries

HELLO = 'it\'s "so"'


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with Archive(tmp_path_factory.mktemp("completion") / "lab.db") as archive:
        for number in range(6):
            config = {
                "lr": 0.1 / (number + 1),
                "optimizer": ["adam", "adam", "sgd"][number % 3],
                "deep": {"lr": 1.5, "a b": {"c.d": HELLO}},
                "flag": number % 2 == 0,
                "crop": [32, 32],
                "big": 2**60,
                "mixed": "words" if number else 7,
                "odd": ["true", "null", "inf", "None"][number % 4],
            }
            with archive.start_run(config, ["good", "paper two"][: 1 + number % 2], group="g'1") as run:
                run.log({"acc": 0.5, "val/loss": 0.1, "top.max": 1.0})
                run.set_attributes({"owner": "ada", "score": number / 2, "words": ["a"]})
                run.artifacts.register_data("weights:best", b"w")
        archive.create_study("digits")
        yield archive


def ask(archive: Archive, text: str) -> tuple[str, FilterHelp]:
    """Help at the place of ``|``, or at the end."""
    before, _mark, after = text.partition("|")
    return before + after, archive.complete_filter(before + after, len(before))


def offered(archive: Archive, text: str) -> list[str]:
    return [one.text for one in ask(archive, text)[1].completions]


def applied(archive: Archive, text: str, wanted: str) -> str:
    """The text after one of its completions."""
    whole, found = ask(archive, text)
    (one,) = [one for one in found.completions if one.text == wanted]
    return whole[: one.start] + one.text + whole[one.end :]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sta", ["status", "started", "trial.state"]),
        ("STA", ["status", "started", "trial.state"]),
        ("lr", ["config.lr", "config.deep.lr"]),
        ("config.o", ["config.odd", "config.optimizer", "config.crop"]),
        ("met", ["metrics.acc", 'metrics.top."max"', "metrics.val/loss"]),
        ("params.lr", ["config.lr", "config.deep.lr"]),
        ("metrics.acc.m", [f"metrics.acc.{one}" for one in ("min", "max", "mean", "min_step", "max_step")]),
        ("loss", ["metrics.val/loss"]),
        ("metrics.top", ['metrics.top."max"']),
        ('config.deep."a b', ['config.deep."a b"."c.d"']),
        ("run_n", ["run_name"]),
        ("attr.sc", ["attr.score"]),
        ("exists config.fl", ["config.flag"]),
        ("exists (config.fl", ["config.flag"]),
        ("exists (config.flag ", [")"]),
        ("no", ["note", "not"]),
        ("status = f", ["failed"]),
        ("status = failed and trial.state != P", ["pruned"]),
        ("dirty = ", ["true", "false"]),
        ("config.flag = t", ["true"]),
        ("config.optimizer = ", ["'adam'", "'sgd'"]),
        ("config.optimizer = a", ["'adam'"]),
        ("config.optimizer = 'a", ["'adam'"]),
        ('config.optimizer = "A', ["'adam'"]),
        ("config.crop = ", ["[32,32]"]),
        ("config.crop = [3", ["[32,32]"]),
        ("config.crop > ", []),
        ("config.big = 11", [str(2**60)]),
        ("config.lr = 0.1", ["0.1"]),
        ("config.lr like ", []),
        ("config.mixed = ", ["7", "'words'"]),
        ("config.odd = 'n", ["'null'", "'None'", "'inf'"]),
        ('config.deep."a b"."c.d" = ', ["'it''s \"so\"'"]),
        ("attr.owner = ", ["'ada'"]),
        ("attr.words = ", ['["a"]']),
        ("tag in (good, ", ["'good'", "'paper two'"]),
        ("tag in (good ", [",", ")"]),
        ("group = ", ["'g''1'"]),
        ("study = 'dig", ["'digits'"]),
        ("artifact = w", ["'weights:best'"]),
        ("metrics.acc > ", []),
        ("started > ye", ["yesterday"]),
        ("name is ", ["null", "not null"]),
        ("name is not n", ["null"]),
        ("name not ", ["in (", "like"]),
        ("config.lr not ", ["in ("]),
        ("tag = good ", ["and", "or"]),
        ("(tag = 'good'", [" and", " or", ")"]),
        ("((tag = good) o", ["or"]),
        ("config.lr !", ["!="]),
        ("tag in", ["in ("]),
        ("config.flag ", ["=", "!=", "in (", "is null", "is not null", "not in ("]),
        ("tag ", ["=", "!=", "in (", "like", "is null", "is not null", "not in (", "not like"]),
        ("config.nothing = ", []),
        ("nothing = ", []),
        ("note = ", []),
    ],
)
def test_what_fits_is_offered_the_best_first(archive: Archive, text: str, expected: list[str]) -> None:
    assert offered(archive, text) == expected


def test_an_empty_filter_offers_fields_of_every_kind(archive: Archive) -> None:
    for limit in (8, 50):
        found = archive.complete_filter("", limit=limit).completions
        assert len(found) <= limit + 3
        assert {one.text.partition(".")[0] for one in found} >= {"status", "config", "metrics", "attr"}
    assert [one.text for one in found][-3:] == ["not", "exists", "("]


@pytest.mark.parametrize(
    ("text", "wanted", "expected"),
    [
        ("config.l|r < 1", "config.deep.lr", "config.deep.lr < 1"),
        ("name = 'g|o and tag = 'x'", "", ""),
        ("tag = 'go|od' and status = failed", "'good'", "tag = 'good' and status = failed"),
        ("tag = 'go| and group = 'x'", "'good'", "tag = 'good' and group = 'x'"),
        ("tag = go|", "'good'", "tag = 'good'"),
        ('config."deep|', 'config.deep."a b"."c.d"', 'config.deep."a b"."c.d"'),
        ('config.deep."a| = "x"', 'config.deep."a b"."c.d"', 'config.deep."a b"."c.d" = "x"'),
        ("tag = 'good'| or tag = x", " and", "tag = 'good' and or tag = x"),
    ],
)
def test_a_completion_replaces_the_word_at_the_cursor(
    archive: Archive, text: str, wanted: str, expected: str
) -> None:
    if wanted:
        assert applied(archive, text, wanted) == expected
    else:
        assert offered(archive, text) == []


def test_a_problem_is_told_with_its_place(archive: Archive) -> None:
    assert archive.complete_filter("config.lr < 1")[:2] == (None, None)
    assert archive.complete_filter("status = oops").position == 9
    misspelled = archive.complete_filter("config.optimiser = 'x' and tag = y")
    assert misspelled.position == 0
    assert "did you mean config.optimizer" in str(misspelled.problem)
    # A word that is being written is not misspelled yet.
    assert archive.complete_filter("config.optimize = 'x'", 15).problem is None


def test_texts_that_no_filter_can_be_are_a_problem_and_no_error(archive: Archive) -> None:
    for text in ("\ud800", "x" * 200_000, "not " * 2000, "(" * 5000, "[" * 90_000, "tag = [" + "[" * 90_000):
        found = archive.complete_filter(text)
        assert found.problem is not None
    with pytest.raises(InvalidTypeError):
        archive.complete_filter(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError):
        archive.complete_filter("", -1)
    assert archive.complete_filter("tag", 100) == archive.complete_filter("tag")


def test_a_limit_of_time_holds(archive: Archive) -> None:
    for ask in (archive.complete_filter, archive.complete_field):
        with TimeLimit() as limit:
            limit.stop()
            with pytest.raises(QueryStoppedError):
                ask("config.")


def how_far(text: str) -> int:
    """The place to which a filter is read; beyond the end, if it is right."""
    try:
        parse_filter(text)
    except FilterError as error:
        return error.position
    return len(text) + 1


WORDS = [
    *(
        "config.lr",
        "config.",
        'config."a b',
        'config.deep."a b"."c.d"',
        "metrics.acc.max",
        "tag",
        "status",
        "sta",
    ),
    *("name", "dirty", "attr.score", "config.flag", "config.crop", "config.odd", "started", "trial.number"),
    *(
        "=",
        "!=",
        "<",
        "in",
        "like",
        "is",
        "not",
        "null",
        "and",
        "or",
        "exists",
        "(",
        ")",
        ",",
        "?",
        "!",
        "[32,32]",
    ),
    *(
        "'good'",
        "'go",
        '"',
        "'",
        "0.1",
        "-7d",
        "[",
        "1e",
        "true",
        "failed",
        "2026-01-",
        "nan",
        "''",
        "\\",
        ".",
        "é",
    ),
]
BROKEN = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", "", "\n"])), max_size=12).map(
    lambda pairs: "".join(word + space for word, space in pairs)
)


@settings(max_examples=tries(400), deadline=None)
@given(text=st.one_of(BROKEN, st.text(max_size=30)), place=st.integers(0, 200))
def test_with_a_completion_a_text_is_read_at_least_as_far(archive: Archive, text: str, place: int) -> None:
    cursor = min(place, len(text))
    before = how_far(text)
    for one in archive.complete_filter(text, cursor).completions:
        assert 0 <= one.start <= cursor <= one.end <= len(text)
        begun = text[: one.start]
        if one.kind == "operator" and how_far(begun + "is null") < len(begun):
            continue  # a field that is unknown, as every operator tells
        assert how_far(begun + one.text + text[one.end :]) >= min(before, one.start)
        # What can be gone on with before can be gone on with after.
        if how_far(begun) >= len(begun):
            assert how_far(begun + one.text) >= len(begun + one.text), (begun, one)


@settings(max_examples=tries(100), deadline=None)
@given(text=st.one_of(BROKEN, st.text(max_size=30)), kind=st.sampled_from(["field", "columns", "order"]))
def test_fields_are_completed_so_that_they_are_read(archive: Archive, text: str, kind: str) -> None:
    parse = {"field": parse_field, "columns": parse_columns, "order": parse_order}[kind]
    begun = text + "," if kind != "field" and text and can_be_read(parse, text) else ""
    for one in archive.complete_field(begun, kind=kind).completions:
        parse(begun[: one.start] + one.text)
    archive.complete_field(text, len(text) // 2, kind=kind)


def can_be_read(parse: object, text: str) -> bool:
    try:
        parse(text)  # type: ignore[operator]
    except FilterError:
        return False
    return True


def test_a_field_is_completed_in_lists_and_orders(archive: Archive) -> None:
    def texts(text: str, kind: str, among: str | list[str] = "metric") -> list[tuple[str, int]]:
        found = archive.complete_field(text, kind=kind, among=among).completions
        return [(one.text, one.start) for one in found]

    assert texts("acc", "field")[0] == ("metrics.acc", 0)
    assert texts("val", "field") == [("metrics.val/loss", 0)]
    assert texts("config.lr, flag", "columns", ["config", "fact"]) == [("config.flag", 11)]
    assert texts("-config.lr, -sta", "order", ["fact"])[0] == ("status", 13)
    assert texts("- sta", "order", "fact")[0] == ("status", 2)
    assert texts("status d", "order", "fact") == [("desc", 7)]
    assert texts("status desc ", "order", "fact") == []
    assert texts("config.lr config.", "field", "config") == []
    assert archive.complete_field("config.optimiser", 0).problem is not None
    assert archive.complete_field("config.optimise", 15).problem is None
    assert archive.complete_field("\ud800").completions == ()
    for wrong in ({"kind": "row"}, {"among": "tag"}, {"limit": -1}):
        with pytest.raises(InvalidValueError):
            archive.complete_field("", **wrong)  # type: ignore[arg-type]


def test_a_rare_value_behind_many_others_is_found_by_its_beginning(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with Archive(tmp_path_factory.mktemp("many") / "lab.db") as archive:
        many = {f"key{number:04}": 1 for number in range(MOST_LOOKS)}
        run = archive.start_run({**many, "last": "z" * 300})
        for number in range(MOST_LOOKS + 50):
            run.add_tag(f"t{number:04}")
        run.complete()
        assert offered(archive, f"tag = 't{MOST_LOOKS + 20:04}") == [f"'t{MOST_LOOKS + 20:04}'"]
        assert len(offered(archive, "tag = ")) == 50
        assert offered(archive, "config.las") == ["config.last"]
        assert offered(archive, "config.last = ") == []
        archive.delete_run(run)
        assert offered(archive, "config.") == []
