"""Filters, orders, columns and views by the attributes of runs, beside the same question in Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from exptrack import Archive, FilterError
from exptrack.query import selection

VALUES: list[Any] = [
    1,
    2.5,
    "x",
    "true",
    True,
    False,
    None,
    math.nan,
    math.inf,
    [1, 2],
    {"a": 1},
    2**53 + 1,
    -3,
]
ABSENT, REMOVED = object(), object()


@pytest.fixture(autouse=True, params=[False, True], ids=["tests", "sets"])
def uses_sets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer by tests of each run, and by sets."""
    if request.param:
        monkeypatch.setattr(selection, "FEW_FOR_SETS", 0)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with Archive(tmp_path_factory.mktemp("attributes") / "lab.db") as archive:
        for place, value in enumerate([*VALUES, ABSENT, REMOVED]):
            with archive.start_run({"place": place}) as run:
                if value is not ABSENT:
                    run.set_attribute("v", 1 if value is REMOVED else value)
                if value is REMOVED:
                    run.delete_attribute("v")
                run.set_attribute("with space", place)
                run.set_attribute("dotted.key", place)
        yield archive
        assert archive.verify().problems == ()


def found(archive: Archive, text: str, *parameters: object) -> list[Any]:
    every = [*VALUES, ABSENT, REMOVED]
    return [
        every[values["config.place"]]
        for _run, values in archive.runs()
        .where(text, *parameters)
        .order_by("config.place")
        .values("config.place")
    ]


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


QUESTIONS: dict[str, Callable[[Any], bool]] = {
    "attr.v = 1": lambda v: is_number(v) and v == 1,
    "attr.v < 2.5": lambda v: is_number(v) and v < 2.5,
    "attr.v <= 2.5": lambda v: is_number(v) and v <= 2.5,
    "attr.v > 1": lambda v: is_number(v) and v > 1,
    "attr.v >= 9007199254740993": lambda v: is_number(v) and v >= 2**53 + 1,
    "attr.v = 9007199254740993": lambda v: v == 2**53 + 1,
    "attr.v = 9007199254740992": lambda v: False,
    "attr.v = inf": lambda v: v == math.inf,
    "attr.v = 'x'": lambda v: v == "x",
    "attr.v = 'true'": lambda v: v == "true",
    "attr.v = true": lambda v: v is True,
    "attr.v != false": lambda v: v is not False and v is not None and v == v and v not in (ABSENT, REMOVED),
    "attr.v = [1, 2]": lambda v: v == [1, 2],
    "attr.v like 'X%'": lambda v: v == "x",
    "attr.v in (1, 'x', true)": lambda v: v is True or v == "x" or (is_number(v) and v == 1),
    "attr.v not in (1, 'x')": lambda v: (
        v is not None and v == v and v not in (ABSENT, REMOVED) and not (v == "x" or (is_number(v) and v == 1))
    ),
    "attr.v is null": lambda v: v is None or v != v or v in (ABSENT, REMOVED),
    "attr.v is not null": lambda v: not (v is None or v != v or v in (ABSENT, REMOVED)),
    "exists attr.v": lambda v: v not in (ABSENT, REMOVED),
    "not exists attr.v": lambda v: v in (ABSENT, REMOVED),
    "attr.unknown is null": lambda v: True,
    "exists attr.unknown": lambda v: False,
}


def test_filters_find_what_a_loop_over_the_values_finds(asked: Archive) -> None:
    for text, wanted in QUESTIONS.items():
        right = [value for value in [*VALUES, ABSENT, REMOVED] if wanted(value)]
        assert repr(found(asked, text)) == repr(right), text
        assert asked.runs().where(text).count() == len(right), text
        assert repr(found(asked, f"{text} and status = completed and config.place >= 0")) == repr(right), text
    assert found(asked, "attr.v = ?", 2.5) == [2.5]
    assert found(asked, "attributes.v = ?", [1, 2]) == [[1, 2]]
    assert found(asked, 'attr."with space" = 2 and attr.dotted.key = 2 and attr."dotted.key" < 3') == ["x"]


def test_orders_and_pages_go_by_attributes(asked: Archive) -> None:
    def order(text: str) -> list[Any]:
        return [values["attr.v"] for _run, values in asked.runs().order_by(text).values("attr.v")]

    numbers = [-3, 1, 2.5, 2**53 + 1, math.inf]
    assert order("attr.v")[: len(numbers)] == numbers
    assert repr(order("attr.v")[-4:]) == repr(
        [None, None, math.nan, None]
    )  # of those without, the newest first
    assert order("-attr.v")[-4 - len(numbers) : -4] == numbers[::-1]
    query = asked.runs().order_by("attr.v", "-started")
    pages, after = [], None
    while True:
        page = query.page(4, after)
        pages += [run.run_id for run in page.runs]
        after = page.after
        if after is None:
            break
    assert pages == [run.run_id for run in query]


def test_columns_have_the_types_of_their_values(asked: Archive) -> None:
    rows = asked.runs().order_by("started").to_dicts(["attr.v", "attr.dotted.key"])
    assert repr([row["attr.v"] for row in rows]) == repr([*VALUES, None, None])
    whole = asked.runs().order_by("started").to_dicts()
    assert [row["attr.dotted.key"] for row in whole] == list(range(len(rows)))
    assert [row['attr."with space"'] for row in whole] == list(range(len(rows)))
    assert str(asked.runs().to_pandas(["attr.dotted.key"]).dtypes["attr.dotted.key"]) == "Int64"


def test_a_misspelled_attribute_is_told(asked: Archive) -> None:
    for call in (
        lambda: asked.runs().where("attr.doted.key = 1"),
        lambda: asked.runs().order_by("attr.doted.key"),
        lambda: asked.runs().to_dicts(["attr.doted.key"]),
        lambda: asked.create_view("wrong", ["attr.doted.key"]),
    ):
        with pytest.raises(FilterError, match=r"did you mean attr\.dotted\.key\?"):
            call()
    with pytest.raises(FilterError, match=r"did you mean attr\.v\?"):
        asked.runs().where("atr.v = 1")
    with pytest.raises(FilterError, match="nothing equals NaN"):
        asked.runs().where("attr.v = nan")
    with pytest.raises(FilterError, match=r"attr\.v holds no times"):
        asked.runs().where("attr.v > ?", asked.list_runs()[0].started_at)
    with pytest.raises(FilterError, match="only numbers and texts have an order"):
        asked.runs().where("attr.v > true")


def test_a_view_has_attributes_as_columns(asked: Archive) -> None:
    asked.create_view("reviewed", ["attr.v", 'attr."with space"', "config.place"])
    rows = asked.sql('SELECT v, "with space" FROM reviewed ORDER BY place').rows
    shown: list[Any] = [
        1,
        2.5,
        "x",
        "true",
        1,
        0,
        None,
        None,
        math.inf,
        "[1,2]",
        '{"a":1}',
        2**53 + 1,
        -3,
        None,
        None,
    ]
    assert rows == tuple((value, place) for place, value in enumerate(shown))
    asked.drop_view("reviewed")


def test_a_key_with_a_quote_is_no_sql_in_a_view(asked: Archive) -> None:
    run = asked.get_run(asked.list_runs(limit=1)[0])
    key = "x'; DROP VIEW runs; --\" \\"
    run.set_attribute(key, 7)
    field = 'attr."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    view = asked.create_view("odd", [field])
    assert asked.sql(f"SELECT {_quoted(view.columns[-1])} AS odd FROM odd WHERE odd = 7").rows == ((7,),)
    asked.drop_view("odd")
    run.delete_attribute(key)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
