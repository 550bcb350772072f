"""Tables have the same types whatever else is installed, and those of their values."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas
import polars
import pytest

from exptrack import Archive, InvalidValueError, RecordList, RecordTuple, Sampler, SqlResult, Trial
from exptrack.frames import Column, Frame

TABLES = """
import json, sys, warnings
if {hidden}:
    sys.modules["pyarrow"] = None
import pandas
from exptrack import Archive

with Archive("lab.db", mode="ro") as archive:
    runs = archive.runs().order_by("started")
    makers = {{
        "runs": runs,
        "sql": archive.sql("SELECT run_id, name, duration_s, vcs_dirty, started_at, NULL AS none FROM runs"),
        "align": archive.align(runs, "loss", label="name"),
        "compare": archive.compare(runs),
        "groups": archive.group_by("optimizer", "loss"),
        "importance": archive.importance("loss", method="spearman"),
        "list": archive.list_runs(),
        "trials": archive.trials("s"),
        "frame": archive.study_results("s").frame(),
        "fields": archive.fields(),
    }}
    tables = {{name: (one.to_pandas(), one.to_polars()) for name, one in makers.items()}}
    tables["points"] = runs.metrics_to_pandas(), runs.metrics_to_polars()
    columns = ["name", "config.layers", "tags", "metrics.loss.count"]
    tables["chosen"] = runs.to_pandas(columns), runs.to_polars(columns)
types = {{name: (dict(wide.dtypes), dict(tall.schema)) for name, (wide, tall) in tables.items()}}
print(json.dumps(types, default=repr))
"""


@pytest.fixture
def lab(archive: Archive) -> Archive:
    """Runs of which each lacks something, and a study."""
    configs: list[dict[str, Any]] = [
        {"lr": 0.1, "layers": 2, "amp": True, "optimizer": "adam", "mix": 1, "sizes": [1, 2]},
        {"lr": 1, "optimizer": "sgd", "amp": None, "mix": "auto"},
        {"lr": 0.3, "layers": 4, "seed": 2**63 - 1, "mix": 0.5},
    ]
    for place, config in enumerate(configs):
        with archive.start_run(config, ["t"], name=None if place == 1 else f"run {place}") as run:
            for step in range(place + 1):
                run.log({"loss": math.nan if (place, step) == (1, 1) else step / 2 + place}, step)
    with archive.start_run({"lr": 0.4}, name="last") as run:
        run.log({"loss": 0.25}, 0)

    def objective(trial: Trial) -> float:
        trial.suggest_int("width", 1, 4)
        return trial.suggest_float("lr", 0.1, 1.0)

    archive.create_study("s", sampler=Sampler.random(seed=1)).optimize(objective, 2)
    return archive


def read_types(folder: Path, *, hidden: bool) -> dict[str, list[dict[str, str]]]:
    done = subprocess.run(
        [sys.executable, "-c", TABLES.format(hidden=hidden)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, str]]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_types_are_the_same_without_pyarrow(lab: Archive, tmp_path: Path) -> None:
    types = read_types(tmp_path, hidden=True)
    assert types == read_types(tmp_path, hidden=False)
    text = repr(pandas.StringDtype("python"))
    wide, tall = types["runs"]
    assert {wide[name] for name in ("run_id", "name", "status", "reason", "config.optimizer")} == {text}
    assert {name: wide[f"config.{name}"] for name in "lr layers seed amp mix sizes".split()} == {
        "lr": "Float64Dtype()",
        "layers": "Int64Dtype()",
        "seed": "Int64Dtype()",
        "amp": "BooleanDtype",
        "mix": "dtype('O')",
        "sizes": "dtype('O')",
    }
    assert wide["started_at"] == wide["ended_at"] == "datetime64[us, UTC]"
    assert wide["metrics.loss"] == wide["duration_s"] == "Float64Dtype()"
    assert {name: tall[f"config.{name}"] for name in "lr layers seed amp optimizer".split()} == {
        "lr": "Float64",
        "layers": "Int64",
        "seed": "Int64",
        "amp": "Boolean",
        "optimizer": "String",
    }
    assert types["points"][0] == {
        "run_id": text,
        "name": text,
        "step": "dtype('int64')",
        "value": "dtype('float64')",
        "time_s": "dtype('float64')",
    }
    assert types["sql"][0]["duration_s"] == "Float64Dtype()"
    assert types["sql"][0]["vcs_dirty"] in ("Int64Dtype()", "dtype('O')")
    assert types["groups"][0]["mean"] == "Float64Dtype()"
    assert types["groups"][0]["count"] == "Int64Dtype()"
    assert types["list"][0]["ended_at"] == types["trials"][0]["started_at"] == "datetime64[us, UTC]"
    assert types["trials"][0]["params.width"] == types["frame"][0]["params.width"] == "Int64Dtype()"
    assert types["align"][0] == {
        "step": "Int64Dtype()",
        **dict.fromkeys([name for name in types["align"][0] if name != "step"], "Float64Dtype()"),
    }


def test_a_missing_value_is_told_from_nan_side_by_side(lab: Archive) -> None:
    found = lab.align(lab.runs().order_by("started").limit(3), "loss")
    wide, tall = found.to_pandas(), found.to_polars()
    assert len(found) == 3
    first, second = list(found.columns)[:2]
    assert wide[first].isna().tolist() == [False, True, True]
    assert wide[second].isna().tolist() == [False, False, True]
    assert math.isnan(wide[second].iloc[1])
    assert tall[first].to_list() == [0.0, None, None]
    assert math.isnan(tall[second][1])
    assert [row[first] for row in found.to_dicts()] == [0.0, None, None]


def test_a_series_is_a_table_of_its_points(lab: Archive) -> None:
    run = lab.list_runs()[-2]
    found = lab.series(run, "loss")
    wide, tall = found.to_pandas(), found.to_polars()
    assert [str(one) for one in wide.dtypes] == ["Int64", "Float64", "Float64"]
    assert wide["step"].tolist() == tall["step"].to_list() == [0, 1]
    assert wide["value"].isna().tolist() == [False, False]
    assert math.isnan(tall["value"][1])
    assert found.to_dicts()[0]["value"] == 1.0


# Records


def test_lists_of_records_are_lists(lab: Archive) -> None:
    runs = lab.list_runs()
    assert isinstance(runs, RecordList)
    assert runs == list(runs)
    assert isinstance(runs, list)
    events = lab.read_events(runs[0])
    assert isinstance(events, RecordTuple)
    assert events == tuple(events)
    assert hash(RecordTuple((1, 2))) == hash((1, 2))


def test_lists_of_records_become_tables(lab: Archive) -> None:
    ranked = lab.best_runs("loss", "min", limit=2)
    rows = ranked.to_dicts()
    assert [row["value"] for row in rows] == [value for _run, value in ranked]
    assert rows[0]["metrics.loss"] == rows[0]["value"] == 0.0
    assert rows[0]["status"] == "completed"
    assert rows[0]["tags"] == ["t"]
    assert rows[0]["ended_at"] == ranked[0][0].ended_at
    groups = lab.group_by("optimizer", "loss")
    assert [row["config.optimizer"] for row in groups.to_dicts()] == [g.config.get("optimizer") for g in groups]
    assert groups.to_pandas()["left_out"].tolist() == [str(one.left_out) for one in groups]
    assert RecordList[int]().to_dicts() == []
    assert RecordList([1, 2]).to_dicts() == [{"value": 1}, {"value": 2}]
    assert len(RecordTuple[int]().to_polars()) == 0


def test_fields_that_every_record_lacks_keep_their_type(archive: Archive) -> None:
    archive.start_run()
    types = archive.list_runs().to_pandas().dtypes
    assert (str(types["ended_at"]), str(types["name"])) == ("datetime64[us, UTC]", "string")
    assert str(types["trial_number"]) == "Int64"


# SQL


def test_rows_of_sql_keep_their_types_and_all_columns(lab: Archive) -> None:
    found = lab.sql("SELECT 1 AS a, 'x' AS a, NULL AS a_2, 2.5 AS b UNION ALL SELECT 2, NULL, NULL, 3")
    frame = found.frame()
    assert frame.columns == ["a", "a_2", "a_2_2", "b"]
    assert frame.to_dicts()[1] == {"a": 2, "a_2": None, "a_2_2": None, "b": 3}
    wide = found.to_pandas()
    assert [str(one) for one in wide.dtypes] == ["Int64", "string", "object", "Float64"]
    assert found.to_polars().schema["b"] == polars.Float64
    assert lab.sql("SELECT run_id FROM runs WHERE 0").to_pandas().columns.tolist() == ["run_id"]
    assert SqlResult((), (), False).frame().to_dicts() == []


def test_a_comparison_has_a_row_for_each_run(lab: Archive) -> None:
    found = lab.compare(["run 0", "last"], all_keys=True)
    rows = found.to_dicts()
    assert [row["name"] for row in rows] == ["run 0", "last"]
    assert [row["config.lr"] for row in rows] == [0.1, 0.4]
    assert [row["config.layers"] for row in rows] == [2, None]
    assert [row["metrics.loss"] for row in rows] == [0.0, 0.25]


def test_a_frame_of_no_column_has_no_row() -> None:
    assert len(Frame({})) == 0
    assert Frame({"a": Column("text", [])}).to_pandas().empty


# Names for runs


def test_runs_are_called_by_their_names_where_asked(archive: Archive) -> None:
    ids = []
    for name in ("a", "b", "b", None):
        with archive.start_run(name=name) as run:
            run.log({"loss": 0.5}, 0)
        ids.append(run.run_id)
    query = archive.runs().order_by("started")
    labels = ["a", f"b …{ids[1][-4:]}", f"b …{ids[2][-4:]}", ids[3]]
    assert list(archive.align(query, "loss", label="name").columns) == [f"{label}/loss" for label in labels]
    assert list(archive.align(query, "loss").columns) == [f"{one}/loss" for one in ids]
    wide = query.metrics_to_pandas(label="name")
    assert wide["run"].tolist() == query.metrics_to_polars(label="name")["run"].to_list() == labels
    assert "run_id" not in wide.columns
    for call in (lambda: archive.align(query, "loss", label="x"), lambda: query.metrics_to_pandas(label="x")):
        with pytest.raises(InvalidValueError, match="label must be"):
            call()


def test_no_column_is_lost_where_names_have_slashes(archive: Archive) -> None:
    for name, metric in (("a", "b/loss"), ("a/b", "loss")):
        with archive.start_run(name=name) as run:
            run.log({metric: 0.5}, 0)
    found = archive.align(archive.runs(), ["loss", "b/loss"], label="name")
    assert len(found.columns) == 4
    assert set(found.columns) == set(archive.align(archive.runs(), ["loss", "b/loss"]).columns)
