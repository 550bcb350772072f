"""What a page over many runs asks: the order of all, rows at any place, names that no run has any more."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import pytest

from benchmarks.make_archive import make_records
from exptrack import Archive, FilterError, InvalidValueError, RunQuery
from exptrack.query.run_query import Rows

COLUMNS = ("run_id", "config.lr", "metrics.val_acc.max", "tag", "status")
ORDERS = ((), ("config.lr",), ("-config.optimizer",), ("-metrics.val_acc",), ("status", "-config.seed"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with Archive(tmp_path_factory.mktemp("query") / "lab.db") as archive:
        archive.record_runs(make_records(60, points=2))
        archive.start_run({"other": 1}).complete()
        yield archive


def queries(archive: Archive) -> Iterator[RunQuery]:
    for order in ORDERS:
        for base in (archive.runs(), archive.runs().where("config.optimizer in (adam, sgd)")):
            yield base.order_by(*order)
            yield base.order_by(*order).limit(7)


def test_the_index_has_every_run_in_order(lab: Archive) -> None:
    for query in queries(lab):
        index = query.index()
        assert isinstance(index, array)
        assert index.itemsize == 8
        rows = lab.read_rows(index, ["run_id"])
        assert [row and row["run_id"] for row in rows] == [run.run_id for run in query]


def test_rows_at_any_place_come_with_their_total(lab: Archive) -> None:
    for query in queries(lab):
        everything, index = query.to_dicts(COLUMNS), query.index()
        for start, size in ((0, 5), (3, 4), (len(index) - 2, 10), (1000, 5), (0, 0)):
            expected = Rows(everything[start : start + size], index[start : start + size], len(index), None)
            assert query.rows(COLUMNS, start=start, size=size) == expected
            whole = query.rows(COLUMNS, start=start, size=size, with_index=True)
            assert whole == expected._replace(all_row_ids=index)
            assert lab.read_rows(expected.row_ids, COLUMNS) == expected.rows


def test_a_run_that_is_gone_has_no_row(archive: Archive) -> None:
    runs = [archive.start_run({"lr": n}) for n in range(3)]
    for run in runs:
        run.complete()
    index = archive.runs().index()
    archive.delete_run(runs[1])
    assert archive.read_rows([*index, 12345], ["config.lr"]) == [
        {"config.lr": 2},
        None,
        {"config.lr": 0},
        None,
    ]
    archive.trash_run(runs[0])
    assert archive.read_rows(index, ["config.lr"]) == [{"config.lr": 2}, None, None]
    assert archive.runs().rows(["run_id"]).total == len(archive.runs().index()) == 1


def test_names_that_no_run_has_are_taken_where_that_is_allowed(lab: Archive) -> None:
    query = lab.runs()
    for ask in (
        lambda query: query.where("config.optimiser = adam"),
        lambda query: query.order_by("metrics.val_ac"),
        lambda query: query.rows(["config.lrr"]),
        lambda query: query.to_dicts(["config.lrr"]),
        lambda query: list(query.values("config.lrr")),
        lambda query: query.summarize("config.lrr"),
    ):
        with pytest.raises(FilterError, match="did you mean"):
            ask(query)
        ask(query.allow_unknown())
    lenient = query.allow_unknown()
    assert lenient.where("config.optimiser = adam").count() == 0
    assert lenient.order_by("metrics.val_ac", "started").count() == query.count()
    assert lenient.rows(["config.lrr"], size=1).rows == [{"config.lrr": None}]
    assert lenient.to_dicts(["metrics.val_ac"])[0] == {"metrics.val_ac": None}
    assert lenient.summarize("config.lrr").missing == query.count()
    with pytest.raises(FilterError, match="there is no field"):
        lenient.rows(["nothing"])


def test_a_place_of_another_order_is_refused(lab: Archive) -> None:
    place = lab.runs().order_by("config.lr", "config.seed").page(1).after
    assert place is not None
    for values in ((), place.values):
        with pytest.raises(InvalidValueError, match="a place in another order"):
            lab.runs().order_by("config.lr").page(1, place._replace(values=values))


def test_pages_reach_the_runs_that_lack_the_key(lab: Archive) -> None:
    for order in ("config.other", "-config.other", "metrics.nothing"):
        query = lab.runs().order_by(order)
        assert [run.run_id for run in query] == [row["run_id"] for row in query.to_dicts(["run_id"])]
        seen, after = [], None
        while True:
            page = query.page(7, after)
            seen += [run.run_id for run in page.runs]
            after = page.after
            if after is None:
                break
        assert seen == [run.run_id for run in query]
        assert len(seen) == 61


def test_wrong_places_and_columns_are_refused(lab: Archive) -> None:
    for wrong in ({"start": -1}, {"size": 1.5}, {"columns": []}, {"columns": [""]}, {"with_index": 1}):
        with pytest.raises(InvalidValueError):
            lab.runs().rows(**{"columns": ["run_id"], **wrong})  # type: ignore[arg-type]
    for row_ids in ([2**63], ["1"], [1.5]):
        with pytest.raises(InvalidValueError):
            lab.read_rows(row_ids, ["run_id"])  # type: ignore[arg-type]


def test_the_first_runs_by_a_config_key_come_from_an_index(lab: Archive) -> None:
    connection = lab._connection
    for order in ("config.lr", "-config.lr", "config.optimizer", "-attr.rating"):
        query = lab.runs().order_by(order)
        seen: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection, "trace", seen.append)
            for handle in list(connection._handles):
                with handle.busy:
                    handle.close()
            query.page(5)
        walks = [sql for sql in seen if "UNION ALL" in sql and " AS m" in sql]
        assert walks
        plan = [row[3] for row in connection.all(f"EXPLAIN QUERY PLAN {walks[0]}")]
        assert [step for step in plan if "SEARCH m USING" in step and "_by_num" in step], plan
        assert [step for step in plan if "SEARCH m USING COVERING INDEX" in step and "_by_text" in step], plan
