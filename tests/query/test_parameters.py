"""A list for a question mark stands for its values in `in`, and is refused where one text can stand."""

from __future__ import annotations

from typing import Any

import numpy
import pandas
import pytest

from exptrack import Archive, FilterError
from exptrack.query.parameters import MAX_LIST, MAX_NUMBERS


@pytest.fixture
def named(archive: Archive) -> Archive:
    for place, name in enumerate("abc"):
        config = {"optim": name, "lr": place / 10, "big": 2**60 + place, "amp": place > 0, "size": [place, 1]}
        with archive.start_run(config, [name], name=name) as run:
            run.log({"loss": float(place)})
    return archive


def names(archive: Archive, where: str, *values: Any) -> str:
    return "".join(sorted(run.name or "" for run in archive.runs().where(where, *values)))


@pytest.mark.parametrize(
    "several",
    [
        ["a", "b"],
        ("a", "b"),
        {"a", "b"},
        numpy.array(["a", "b"]),
        pandas.Series(["a", "b"]),
        {"a": 1, "b": 2}.keys(),
    ],
    ids=["list", "tuple", "set", "array", "column", "keys"],
)
@pytest.mark.parametrize("field", ["name", "tag", "config.optim"])
def test_a_list_is_spread(named: Archive, field: str, several: Any) -> None:
    assert names(named, f"{field} in (?)", several) == "ab"
    assert names(named, f"{field} not in (?)", several) == "c"
    assert names(named, f"{field} in (?, c)", several) == "abc"
    assert names(named, f"{field} in (?, ?)", several, "c") == "abc"


@pytest.mark.parametrize(
    ("field", "several", "expected"),
    [
        ("config.lr", [0, 0.2], "ac"),
        ("config.lr", numpy.array([0.1, 0.2]), "bc"),
        ("config.big", [2**60, 2**60 + 2, 7], "ac"),
        ("config.big", [float(2**60), True], "a"),
        ("config.amp", [True, "x"], "bc"),
        ("config.size", [[0, 1], [2, 1]], "ac"),
        ("config.size", [[0, 1], 3, "x", True, 2**60], "a"),
        ("metrics.loss", [0, 2.0], "ac"),
        ("status", ["completed", "failed"], "abc"),
    ],
)
def test_each_value_keeps_its_type(named: Archive, field: str, several: Any, expected: str) -> None:
    assert names(named, f"{field} in (?)", several) == expected
    rest = "".join(sorted(set("abc") - set(expected)))
    assert names(named, f"{field} not in (?)", several) == rest


def test_an_empty_list_has_no_run_and_excludes_none(named: Archive) -> None:
    for field in ("name", "tag", "config.lr", "metrics.loss"):
        assert names(named, f"{field} in (?)", []) == ""
        assert names(named, f"{field} not in (?)", []) == "abc"


@pytest.mark.parametrize("where", ["name = ?", "name != ?", "tag = ?", "name like ?", "note = ?", "data = ?"])
def test_a_list_for_one_text_is_refused(named: Archive, where: str) -> None:
    with pytest.raises(FilterError, match=r"write: \w+ in \(\?\)|a pattern is text"):
        named.runs().where(where, ["a"])
    with pytest.raises(FilterError, match=r"write: \w+ in \(\?\)|a pattern is text"):
        named.runs().where(where.replace("?", '["a"]'))


@pytest.mark.parametrize(
    "where", ["metrics.loss = ?", "started > ?", "duration < ?", "status = ?", "dirty = ?"]
)
def test_a_list_for_one_number_or_time_is_refused(named: Archive, where: str) -> None:
    with pytest.raises(FilterError):
        named.runs().where(where, [1])


def test_a_list_of_a_config_is_still_compared_with_one(named: Archive) -> None:
    assert names(named, "config.size = ?", [1, 1]) == "b"
    assert names(named, "config.size != ?", [1, 1]) == "ac"


@pytest.mark.parametrize("field", ["config.lr", "name", "metrics.loss", "tag"])
def test_none_says_how_to_ask(named: Archive, field: str) -> None:
    for where, values in (
        (f"{field} = ?", [None]),
        (f"{field} in (?)", [[1, None]]),
        (f"{field} = None", []),
    ):
        with pytest.raises(FilterError, match=f"None cannot be compared; write: {field} is null"):
            named.runs().where(where, *values)
    with pytest.raises(FilterError, match="the text None stands in quotes"):
        named.runs().where("name != None")
    assert names(named, "name = 'None' or config.optim = 'None'") == ""


def test_long_lists_are_found_and_endless_ones_refused(named: Archive) -> None:
    texts = [*map(str, range(MAX_LIST - 1)), "b"]
    for field in ("name", "tag", "config.optim", "id"):
        assert names(named, f"{field} in (?)", texts) == ("" if field == "id" else "b")
        assert names(named, f"{field} not in (?) and not {field} in (?)", texts, texts) == (
            "abc" if field == "id" else "ac"
        )
    numbers = [*range(1, MAX_NUMBERS), 0.2]
    for field, expected in (("config.lr", "c"), ("metrics.loss", "bc"), ("config.big", "")):
        assert names(named, f"{field} in (?)", numbers) == expected
    with pytest.raises(FilterError, match="at most 10,000 elements"):
        named.runs().where("name in (?)", [*texts, "x"])
    with pytest.raises(FilterError, match=r"at most 10,000 texts or 5,000 other values"):
        named.runs().where("config.lr in (?)", [*range(MAX_NUMBERS + 1)])
    with pytest.raises(FilterError, match="at most 10,000 elements"):
        named.runs().where("name in (?)", iter(int, 1))


def test_what_cannot_be_read_or_compared_is_refused(named: Archive) -> None:
    def breaks() -> Any:
        yield "a"
        raise OSError("the disk is gone")

    with pytest.raises(FilterError, match="the disk is gone"):
        named.runs().where("name in (?)", breaks())
    for wrong in ([object()], [b"x"], {"a": 1}, b"ab"):
        with pytest.raises(FilterError):
            named.runs().where("config.lr in (?)", wrong)
