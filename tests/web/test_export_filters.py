"""Filters mean the same in an exported page as in the library: the same runs in the same order, or an error."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from exptrack import Archive, ExptrackError, FilterError
from exptrack.query.asked import Order
from exptrack.query.conditions import Condition
from exptrack.web.encoding import count_units
from tests.effort import tries
from tests.query.test_selection import CONDITIONS, ORDERS, RUNS, build, condition_text, field_text, sayable
from tests.web.conftest import fill
from tests.web.exported import ask_export

FILTERS = json.loads((Path(__file__).parent / "filters.json").read_text(encoding="utf-8"))


def index_url(where: str, order: tuple[str, ...] = ()) -> str:
    return f"/api/runs/index?{urlencode({'where': where, 'order': order}, doseq=True)}"


def find_in_python(archive: Archive, where: str, order: tuple[str, ...] = ()) -> Any:
    """The row ids of the runs, or the kind of error and its place as a browser counts."""
    try:
        query = archive.runs().allow_unknown().where(where)
        return list((query.order_by(*order) if order else query).index())
    except FilterError as error:
        return "FilterError", count_units(error.text, error.position)
    except ExptrackError as error:
        return type(error).__name__, None


def find_in_export(file: Path, urls: list[str]) -> list[Any]:
    found: list[Any] = []
    for answer in ask_export(file, urls):
        if answer.error is not None:
            found.append((answer.error["kind"], answer.error["position"]))
        else:
            assert answer.content is not None
            found.append(list(memoryview(answer.content).cast("I")))
    return found


def test_each_filter_of_the_list_finds_the_same_runs_or_the_same_error(tmp_path: Path) -> None:
    file = tmp_path / "lab.db"
    fill(file)
    with Archive(file, mode="ro") as archive:
        expected = {where: find_in_python(archive, where) for where in FILTERS}
        archive.pack(tmp_path / "packed.db")
    assert len({json.dumps(one) for one in expected.values()}) > 30
    found = find_in_export(tmp_path / "packed.db", [index_url(where) for where in FILTERS])
    assert dict(zip(FILTERS, found, strict=True)) == expected


@given(
    st.lists(RUNS, min_size=3, max_size=8),
    st.lists(CONDITIONS, min_size=40, max_size=60),
    st.lists(ORDERS, min_size=20, max_size=20),
)
@settings(
    max_examples=tries(4),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_random_filters_and_orders_find_the_same_runs(
    runs: list[dict[str, Any]], conditions: list[Condition], orders: list[list[Order]]
) -> None:
    asked = [(condition_text(one), ()) for one in conditions if sayable(one)]
    asked += [("", tuple(map(order_text, order))) for order in orders]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lab.db"
        build(file, runs)
        with Archive(file, mode="ro") as archive:
            expected = [find_in_python(archive, *one) for one in asked]
            archive.backup(Path(folder) / "copy.db")
        found = find_in_export(Path(folder) / "copy.db", [index_url(*one) for one in asked])
    assert list(zip(asked, found, strict=True)) == list(zip(asked, expected, strict=True))


def order_text(order: Order) -> str:
    return ("-" if order.descending else "") + field_text(order.field)
