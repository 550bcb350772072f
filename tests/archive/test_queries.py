"""The calls that read runs look for them through indexes."""

from __future__ import annotations

from exptrack import Archive
from tests.changes import trace


def test_columns_and_rankings_are_read_through_indexes(archive: Archive) -> None:
    """No statement of theirs looks at a whole table; lists of runs and the names of the file are short."""
    for number, lr in enumerate((0.1, 0.01, 0.001)):
        with archive.start_run({"lr": lr}, ["base"] * bool(number)) as run:
            run.log_many("loss", range(40), [(number + 1) / (step + 1) for step in range(40)])
    asked: list[str] = []
    trace(archive._connection, asked.append)
    fields = ["config.lr", "metrics.loss.mean", "tag", "note", "artifact", "status", "branch", "parent", "id"]
    assert len(list(archive.runs().where("config.lr < 1").values(*fields))) == 3
    assert archive.best_runs("loss", "minimize", where="tag = base and not metrics.loss > 5")
    archive.create_view("sweep", fields)
    archive.list_views()
    archive.drop_view("sweep")
    trace(archive._connection, None)
    selects = [sql for sql in asked if sql.lstrip().startswith("SELECT")]
    plans = [row[3] for sql in selects for row in archive._connection.all(f"EXPLAIN QUERY PLAN {sql}")]
    assert len(selects) > len(fields)
    scans = {step for step in plans if step.startswith("SCAN")} - {"SCAN o"}  # run_owner, a row for a live run
    allowed = ("json_each", "sqlite_schema", "pragma_table_info", "run_owner", "CONSTANT", "(subquery", "d")
    assert {step for step in scans if not step.removeprefix("SCAN ").startswith(allowed)} == set()
