"""Fields of runs are read with their types, in one way for values and for frames, through indexes."""

from __future__ import annotations

import math
from pathlib import Path

from exptrack import Archive
from exptrack.query.conditions import ATTRIBUTES
from tests.strategies import exactly


def test_values_and_frames_read_the_same(archive: Archive) -> None:
    for number in range(3):
        config = {"lr": 0.1 * number, "n": 2**60 + number, "mix": [1, "a", None][number], "list": [number]}
        with archive.start_run(config, ["b", "a"] * number, name=f"run{number}") as run:
            run.log({"loss": math.nan if number == 1 else number})
            run.log({"only": 1.0} if number else {})
            run.add_note("second")
            run.add_note("first")
            run.artifacts.register_data("weights", bytes(number))
    keys = ["config.lr", "config.n", "config.mix", "config.list", "config.no_such_key"]
    metrics = [f"metrics.{name}" for name in ("loss", "loss.count", "loss.max", "only.mean", "no_such_metric")]
    names = [*ATTRIBUTES, *keys, *metrics]
    query = archive.runs().order_by("-name")
    values = [found for _run, found in query.values(*names)]
    rows = query.to_dicts(names)
    assert len(values) == len(rows) == 3
    for found, row in zip(values, rows, strict=True):
        for name in names:
            value = list(found[name]) if isinstance(found[name], tuple) else found[name]
            assert value == row[name] or exactly(value) == exactly(row[name]), name
    assert rows[0]["note"] == ["first", "second"]
    assert (rows[0]["tag"], rows[2]["tag"]) == (["a", "b"], [])


def test_columns_and_rankings_are_read_through_indexes(tmp_path: Path) -> None:
    """No statement of theirs looks at a whole table; lists of runs and the names of the file are short."""
    with Archive(tmp_path / "lab.db") as archive:
        for number, lr in enumerate((0.1, 0.01, 0.001, 7)):
            config = {"lr": lr, "optim": {"amp": bool(number)}, "layers": [1, number]}
            run = archive.start_run(config, ["base"] * bool(number), name=f"run{number}")
            run.log_many("loss", range(40), [(number + 1) / (step + 1) for step in range(40)])
            if lr == 7:
                run.fail("hot")
            else:
                run.complete()
        raw = archive._connection._handle().raw
        asked: list[str] = []
        raw.set_trace_callback(asked.append)
        fields = [
            "config.lr",
            "metrics.loss.mean",
            "tag",
            "note",
            "artifact",
            "status",
            "branch",
            "parent",
            "id",
        ]
        assert len(list(archive.runs().where("config.lr < 1").values(*fields))) == 3
        assert archive.best_runs("loss", "minimize", where="tag = base and not metrics.loss > 5")
        archive.create_view("sweep", fields)
        archive.list_views()
        archive.drop_view("sweep")
        raw.set_trace_callback(None)
        selects = [sql for sql in asked if sql.lstrip().startswith("SELECT")]
        plans = [row[3] for sql in selects for row in raw.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert len(selects) > len(fields)
    scans = {step for step in plans if step.startswith("SCAN")}
    allowed = ("json_each", "sqlite_schema", "pragma_table_info", "run_owner", "CONSTANT", "(subquery", "d")
    assert {step for step in scans if not step.removeprefix("SCAN ").startswith(allowed)} == set()
