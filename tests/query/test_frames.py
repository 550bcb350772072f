"""Frames hold exactly what runs hold: values with their types, missing values as missing, NaN as NaN."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas
import polars
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exptrack import (
    Archive,
    ArchiveCorruptError,
    ExpConfig,
    FilterError,
    InvalidTypeError,
    InvalidValueError,
    MetricNotFoundError,
    MissingPackageError,
    RunQuery,
    RunSummary,
)
from exptrack.config.tree import leaf_value
from exptrack.database.connection import Connection
from exptrack.query import fields, frames
from exptrack.query.conditions import Field
from tests.changes import changing
from tests.effort import tries
from tests.strategies import CONFIGS, FLOATS, NAMES, exactly

METRIC_VALUES = st.one_of(FLOATS, st.sampled_from([math.nan, math.inf, -math.inf]))
RUNS = st.lists(
    st.tuples(CONFIGS, st.dictionaries(NAMES, st.lists(METRIC_VALUES, min_size=1, max_size=3), max_size=3)),
    max_size=4,
)
ROOMY = settings(
    deadline=None, max_examples=tries(40), suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def lab(archive: Archive) -> Archive:
    """Three runs, the oldest first: a, b, c."""
    configs = [
        {"lr": 0.1, "layers": 2, "seed": 1, "amp": True, "optimizer": "adam", "mix": 1, "sizes": [1, 2]},
        {"lr": 0.2, "seed": 2, "amp": None, "optimizer": "sgd", "mix": "auto", "sizes": [], "empty": {}},
        {"lr": 0.3, "layers": 4, "seed": 2**63 - 1, "mix": 0.5, "model": {"odd key": 1}},
    ]
    for name, config in zip("abc", configs, strict=True):
        with archive.start_run(config, ["t", name], name=name, group="g" if name == "a" else None) as run:
            run.log({"loss": 3.0}, step=0)
            run.log({"loss": math.nan if name == "b" else 2.0}, step=5)
            if name == "c":
                run.log({"acc": 0.5, "loss.max": 7.0}, step=1)
    return archive


def fields_of(config: dict[str, Any]) -> dict[str, Any]:
    """The columns a config must become."""
    found = {}
    for leaf in ExpConfig(config).leaves():
        found[str(Field("config", leaf.key))] = leaf_value(*leaf[1:])
    return found


def is_of_numbers(cells: list[Any]) -> bool:
    """Whether tables hold a column of ints and floats as floats, which are equal to them."""
    present = [cell for cell in cells if cell is not None]
    return {type(cell) for cell in present} == {int, float} and all(float(cell) == cell for cell in present)


@ROOMY
@given(runs=RUNS)
@example(runs=[({"a": 0}, {}), ({"a": 0.0}, {})])
@example(runs=[({"a": 2**53 + 1}, {}), ({"a": 0.5}, {})])
def test_every_cell_is_what_its_run_holds(runs: list[tuple[dict[str, Any], dict[str, list[float]]]]) -> None:
    with tempfile.TemporaryDirectory() as folder, Archive(Path(folder) / "lab.db") as archive:
        for config, metrics in runs:
            with archive.start_run(config) as run:
                for name, values in metrics.items():
                    for value in values:
                        run.log({name: value})
        dicts = archive.runs().order_by("id").to_dicts()
        frame = archive.runs().order_by("id").to_pandas()
        columns = list(frame.columns)
        wide = archive.runs().order_by("id").to_polars()
        long = archive.runs().order_by("id").metrics_to_pandas()
        tall = archive.runs().order_by("id").metrics_to_polars()
        expected_points = []
        for at, (summary, (config, metrics)) in enumerate(
            zip(sorted(archive.list_runs(), key=lambda one: one.run_id), runs, strict=True)
        ):
            # A metric keeps no sign of a zero.
            last = {str(Field("metric", name, "last")): values[-1] + 0.0 for name, values in metrics.items()}
            expected = fields_of(config) | last
            assert {name for name in columns if name.startswith(("config.", "metrics."))} >= set(expected)
            for name in columns:
                if name.startswith(("config.", "metrics.")):
                    wanted = exactly(expected.get(name))
                    assert exactly(dicts[at][name]) == wanted
                    if is_of_numbers([row[name] for row in dicts]) and expected.get(name) is not None:
                        wanted = exactly(float(expected[name]))
                    assert exactly(plain(frame[name].iloc[at])) == wanted
                    assert exactly(plain(wide[name][at])) == wanted
            assert dicts[at]["run_id"] == frame["run_id"].iloc[at] == wide["run_id"][at] == summary.run_id
            for name in sorted(metrics):
                for step, value in enumerate(metrics[name]):
                    expected_points.append((summary.run_id, name, step, value + 0.0))
        shown = exactly(expected_points)
        assert exactly([tuple(row)[:4] for row in long.itertuples(index=False)]) == shown
        assert exactly([row[:4] for row in tall.rows()]) == shown


def plain(cell: Any) -> Any:
    """A cell as plain Python."""
    if cell is pandas.NA or cell is None:
        return None
    if isinstance(cell, polars.Series):
        return cell.to_list()
    return cell.item() if hasattr(cell, "item") else cell


def test_columns_have_nullable_types_and_whole_numbers_stay_whole(lab: Archive) -> None:
    frame = lab.runs().order_by("started").to_pandas()
    types = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert {name: types[f"config.{name}"] for name in "lr layers seed amp optimizer mix sizes".split()} == {
        "lr": "Float64",
        "layers": "Int64",
        "seed": "Int64",
        "amp": "boolean",
        "optimizer": "string",
        "mix": "object",
        "sizes": "object",
    }
    assert types["started_at"] == types["ended_at"] == "datetime64[us, UTC]"
    assert types["metrics.loss"] == types["duration_s"] == "Float64"
    assert frame["config.seed"].tolist() == [1, 2, 2**63 - 1]
    assert frame["config.layers"].isna().tolist() == [False, True, False]
    assert frame["config.mix"].tolist() == [1, "auto", 0.5]
    assert frame["config.sizes"].tolist() == [[1, 2], [], None]
    assert frame["config.empty"].tolist() == [None, {}, None]


def test_polars_has_the_same_types(lab: Archive) -> None:
    schema = lab.runs().order_by("started").to_polars().schema
    assert schema["config.layers"] == polars.Int64
    assert schema["config.lr"] == schema["metrics.loss"] == polars.Float64
    assert schema["config.amp"] == polars.Boolean
    assert schema["config.sizes"] == polars.List(polars.Int64)
    assert schema["config.mix"] == schema["config.empty"] == polars.Object
    assert schema["tags"] == polars.List(polars.String)
    assert schema["started_at"] == polars.Datetime("us", "UTC")


def test_nan_that_was_logged_is_told_from_a_metric_that_is_missing(lab: Archive) -> None:
    query = lab.runs().order_by("started")
    frame, wide = query.to_pandas(), query.to_polars()
    assert frame["metrics.loss"].isna().tolist() == [False, False, False]
    assert math.isnan(frame["metrics.loss"].iloc[1])
    assert frame["metrics.acc"].isna().tolist() == [True, True, False]
    assert math.isnan(wide["metrics.loss"][1])
    assert wide["metrics.acc"].to_list() == [None, None, 0.5]
    assert [row["metrics.acc"] for row in query.to_dicts()] == [None, None, 0.5]


def test_attributes_are_those_of_the_summary(lab: Archive) -> None:
    same = "run_id name group parent started_at ended_at duration_s reason host config_hash family fingerprint"
    runs = list(lab.runs())
    for row, summary in zip(lab.runs().to_dicts(), runs, strict=True):
        for name in same.split():
            assert row[name] == getattr(summary, name)
        assert (row["vcs_commit"], row["vcs_dirty"]) == (summary.vcs_commit, summary.vcs_dirty)
        assert (row["status"], tuple(row["tags"])) == (str(summary.status), summary.tags)


def test_chosen_columns_come_in_their_order_under_their_names(lab: Archive) -> None:
    names = ["metrics.loss.min", "started", "params.lr", "run_id", 'metrics.loss."max"', "tag", "dirty"]
    query = lab.runs().order_by("-started").limit(1)
    (row,) = query.to_dicts(names)
    assert list(row) == list(query.to_pandas(names).columns) == query.to_polars(names).columns == names
    (summary,) = query
    assert list(row.values()) == [
        2.0,
        summary.started_at,
        0.3,
        summary.run_id,
        7.0,
        ["c", "t"],
        summary.vcs_dirty,
    ]


def test_a_key_that_no_run_has_is_a_column_of_what_is_missing(lab: Archive) -> None:
    names = ["config.something_else", "metrics.unheard_of", "metrics.unheard_of.count"]
    assert lab.runs().limit(1).to_dicts(names) == [dict.fromkeys(names)]
    frame = lab.runs().to_pandas(names)
    assert [str(dtype) for dtype in frame.dtypes] == ["object", "Float64", "Int64"]
    assert frame.isna().all(axis=None)
    assert lab.runs().to_polars(names).null_count().row(0) == (3, 3, 3)


def test_several_statistics_have_a_column_each(lab: Archive) -> None:
    row = lab.runs().where("name = b").to_dicts(statistic=["max", "last", "nan_count", "max_step", "mean"])[0]
    assert {name: value for name, value in row.items() if name.startswith("metrics.loss.")} == {
        "metrics.loss.max": 3.0,
        "metrics.loss.nan_count": 1,
        "metrics.loss.max_step": 0,
        "metrics.loss.mean": 3.0,
    }
    assert math.isnan(row["metrics.loss"])


def test_least_and_greatest_of_nothing_but_nan_are_missing(archive: Archive) -> None:
    with archive.start_run() as run:
        run.log({"loss": math.nan})
    names = ["metrics.loss.first", "metrics.loss.min", "metrics.loss.max_step"]
    first, *others = archive.runs().to_dicts(names)[0].values()
    assert math.isnan(first)
    assert others == [None, None]


def test_words_a_run_has_several_of_are_sorted_lists_of_them(lab: Archive) -> None:
    run = lab.get_run(next(iter(lab.runs().where("name = a"))).run_id)
    for text in ("second", "first", "second"):
        run.add_note(text)
    for version in (b"1", b"2"):
        lab.artifacts(run.run_id).register_data("weights", version, {})
    query = lab.runs().order_by("started")
    cells = [
        (row["note"], row["artifact"], row["tags"]) for row in query.to_dicts(["note", "artifact", "tags"])
    ]
    assert cells == [
        (["first", "second"], ["weights"], ["a", "t"]),
        ([], [], ["b", "t"]),
        ([], [], ["c", "t"]),
    ]


def test_a_run_whose_process_died_is_interrupted(lab: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    live = lab.start_run(name="live")
    number = lab._connection.value("SELECT id FROM run WHERE run_id = ?", (live.run_id,))
    monkeypatch.setattr("exptrack.query.run_frames.find_dead_runs", lambda connection: [number])
    assert lab.runs().where("name = live").to_dicts(["status"]) == [{"status": "interrupted"}]
    live.complete()


def test_rows_follow_filter_order_and_limit(lab: Archive) -> None:
    query = lab.runs().where("config.lr > 0.15").order_by("-config.lr")
    assert query.to_pandas(["name"])["name"].tolist() == ["c", "b"]
    assert query.limit(1).to_polars(["name"])["name"].to_list() == ["c"]
    assert query.limit(0).to_dicts() == []
    assert query.limit(1).metrics_to_pandas()["name"].tolist() == ["acc", "loss", "loss", "loss.max"]


def test_points_come_by_run_metric_step_and_time_of_logging(archive: Archive) -> None:
    with archive.start_run(name="a") as a:
        a.log({"loss": 1.0}, step=5)
        a.log({"loss": 2.0}, step=5)
        a.log({"loss": math.nan}, step=1)
    with archive.start_run(name="b") as b:
        b.log({"loss": math.inf, "acc": 0.5}, step=-3)
    query = archive.runs().order_by("name")
    long, tall = query.metrics_to_pandas("loss"), query.metrics_to_polars(["loss"])
    rows = [(a.run_id, 1, math.nan), (a.run_id, 5, 1.0), (a.run_id, 5, 2.0), (b.run_id, -3, math.inf)]
    for frame in (long, tall):
        columns = [list(frame[name]) for name in ("run_id", "step", "value")]
        assert repr([tuple(map(plain, row)) for row in zip(*columns, strict=True)]) == repr(rows)
    assert [str(dtype) for dtype in long.dtypes] == ["string", "string", "int64", "float64", "float64"]
    curve = archive.series(a, "loss")
    assert list(long["time_s"][:3]) == list(tall["time_s"][:3]) == curve.times.tolist()
    assert set(query.metrics_to_pandas()["name"]) == {"loss", "acc"}


def test_points_of_a_live_run_are_there(archive: Archive) -> None:
    run = archive.start_run()
    run.log({"loss": 1.0})
    assert archive.runs().metrics_to_pandas()["value"].tolist() == [1.0]
    assert archive.runs().to_dicts(["metrics.loss"]) == [{"metrics.loss": 1.0}]
    run.complete()


def test_an_empty_archive_has_empty_frames_with_all_columns(archive: Archive) -> None:
    query = archive.runs()
    assert query.to_dicts() == []
    assert list(query.to_pandas().columns) == query.to_polars().columns == frames.FACT_COLUMNS
    assert len(query.to_pandas()) == len(query.to_polars()) == 0
    assert str(query.to_pandas()["started_at"].dtype) == "datetime64[us, UTC]"
    for frame in (query.metrics_to_pandas(), query.metrics_to_polars()):
        assert list(frame.columns) == ["run_id", "name", "step", "value", "time_s"]
        assert len(frame) == 0


def test_without_numpy_polars_gets_the_same_points(lab: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    query = lab.runs()
    with_numpy = query.metrics_to_polars()
    monkeypatch.setattr("exptrack.metrics.series._has_numpy", lambda: False)
    assert query.metrics_to_polars().equals(with_numpy, null_equal=True)


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_a_missing_package_is_said_with_its_extra(
    lab: Archive, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for call in (f"to_{package}", f"metrics_to_{package}"):
        with pytest.raises(MissingPackageError, match=rf"exptrack-archive\[{package}\]"):
            getattr(lab.runs(), call)()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda q: q.to_dicts("run_id"), InvalidTypeError, "columns must be a list, like"),
        (lambda q: q.to_dicts(3), InvalidTypeError, "columns must be a list, like"),
        (lambda q: q.to_dicts([3]), InvalidTypeError, "text"),
        (lambda q: q.to_dicts([]), InvalidValueError, "no column"),
        (lambda q: q.to_pandas(["lr"]), FilterError, "config.lr"),
        (lambda q: q.to_polars(["config.optimiser"]), FilterError, "config.optimizer"),
        (lambda q: q.to_pandas(["metrics.los"]), FilterError, "metrics.loss"),
        (lambda q: q.to_pandas(["config.lr < 3"]), FilterError, "expected one field"),
        (lambda q: q.to_dicts(statistic="median"), InvalidValueError, "nan_count"),
        (lambda q: q.to_dicts(statistic=3), InvalidTypeError, "statistic"),
        (lambda q: q.to_dicts(statistic=[]), InvalidValueError, "no statistic"),
        (lambda q: q.to_dicts(["metrics.loss"], statistic="max"), InvalidValueError, "default columns"),
        (lambda q: q.metrics_to_pandas("los"), MetricNotFoundError, "los"),
        (lambda q: q.metrics_to_pandas(3), InvalidTypeError, "names must be a list, like"),
        (lambda q: q.metrics_to_polars([""]), InvalidValueError, "empty"),
    ],
)
def test_wrong_questions_are_refused(
    lab: Archive, call: Callable[[RunQuery], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(lab.runs())


def test_series_that_say_wrong_counts_are_reported(tmp_path: Path) -> None:
    with Archive(tmp_path / "bad.db") as archive:
        with archive.start_run() as run:
            run.log({"loss": 1.0})
        with changing(archive._connection):
            archive._connection.execute("UPDATE metric_series SET count = 2")
        with pytest.raises(ArchiveCorruptError, match="exptrack verify"):
            archive.runs().metrics_to_pandas()


def statements(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]) -> list[tuple[str, Any]]:
    seen: list[tuple[str, Any]] = []
    execute = Connection.execute

    def noted(self: Connection, sql: str, parameters: Any = ()) -> Any:
        seen.append((sql, parameters))
        return execute(self, sql, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "execute", noted)
        ask()
    return seen


def test_more_runs_need_no_more_statements_and_each_reads_an_index(
    lab: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["run_id", "script", "parent", "tags", "note", "artifact", "config.lr", "metrics.loss.mean"]
    for ask in (
        lambda query: query.to_dicts(),
        lambda query: query.to_dicts(names),
        lambda query: query.metrics_to_pandas(),
        lambda query: query.metrics_to_pandas("loss"),
    ):
        one, all_three = (
            statements(monkeypatch, lambda: ask(lab.runs().limit(count)))  # noqa: B023
            for count in (1, 3)
        )
        assert [sql for sql, _ in one] == [sql for sql, _ in all_three]
        for sql, parameters in all_three:
            if not sql.lstrip().startswith("SELECT"):
                continue
            plan = [row[3] for row in lab._connection.all(f"EXPLAIN QUERY PLAN {sql}", parameters)]
            scans = {step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step}
            # Who owns live runs is a table of live runs alone; the selection walks the newest runs.
            assert scans <= {"SCAN run_owner", "SCAN r USING COVERING INDEX run_by_start"}, sql
            assert not [step for step in plan if "TEMP B-TREE" in step], sql


def test_everything_in_a_frame_is_of_one_moment(lab: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run deleted by another connection between two statements is whole in the frame."""
    victim = next(iter(lab.runs())).run_id
    read_leaves = fields.read_leaves

    def meanwhile(*given: Any) -> Any:
        with Archive(lab.path) as other:
            other.delete_run(victim)
        return read_leaves(*given)

    monkeypatch.setattr(fields, "read_leaves", meanwhile)
    (row,) = [row for row in lab.runs().to_dicts() if row["run_id"] == victim]
    assert (row["config.lr"], row["metrics.acc"]) == (0.3, 0.5)
    monkeypatch.undo()
    assert lab.runs().count() == 2


def test_times_are_aware_utc(lab: Archive) -> None:
    row = lab.runs().first()
    assert isinstance(row, RunSummary)
    (cell,) = lab.runs().limit(1).to_pandas(["started_at"])["started_at"]
    assert cell.to_pydatetime() == row.started_at
    assert row.started_at.tzinfo is UTC
    assert isinstance(lab.runs().limit(1).to_polars(["started_at"])["started_at"][0], datetime)


def test_ints_beside_floats_are_numbers_if_floats_equal_them(archive: Archive) -> None:
    values: list[dict[str, object]] = [
        {"decay": 0, "seed": 2**53 + 1},
        {"decay": 0.25, "seed": 0.5},
        {"decay": 2**53, "seed": 1},
        {},
    ]
    for config in values:
        with archive.start_run(config):
            pass
    query = archive.runs().order_by("started")
    assert [repr(row["config.decay"]) for row in query.to_dicts()] == ["0", "0.25", str(2**53), "None"]
    with_pandas, with_polars = query.to_pandas(), query.to_polars()
    assert str(with_pandas.dtypes["config.decay"]) == "Float64"
    assert with_pandas["config.decay"].tolist()[:3] == [0.0, 0.25, 2.0**53]
    assert with_polars["config.decay"].to_list() == [0.0, 0.25, 2.0**53, None]
    assert with_polars.filter(polars.col("config.decay") > 0.1).height == 2
    assert with_pandas["config.seed"].tolist()[:3] == [2**53 + 1, 0.5, 1]
    assert with_polars["config.seed"].to_list() == [2**53 + 1, 0.5, 1, None]
