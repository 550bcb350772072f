"""A view has a column for each field, under a name of its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from exptrack import Archive


def test_columns_of_a_view_that_would_be_called_alike_get_their_whole_names(archive: Archive) -> None:
    config = {"name": "a", "x": 1, "X": 2, "true": True, 'odd "key"': 3, "nul\0": 4, "metrics": {"x": 5}}
    with archive.start_run(config) as run:
        run.log({"x": 6.0, "x.max": 7.0})
    fields = [f'config."{key}"' for key in ("name", "x", "X", "true")] + [
        r'config."odd \"key\""',
        'config."nul\0"',
    ]
    fields += ["config.metrics.x", "metrics.x", "metrics.x.max", 'metrics."x.max"', "name"]
    made = archive.create_view("odd", fields)
    assert made.columns[4:] == (
        *("config.name", "x", "config.X", "config.true", '"odd \\"key\\""', "nul_", "metrics.x"),
        *("metrics.x_2", "x.max", 'metrics.x."max"', "name_2"),
    )
    assert archive.sql("SELECT * FROM odd").rows[0][4:] == ("a", 1, 2, 1, 3, 4, 5, 6.0, 6.0, 7.0, None)


def test_a_view_whose_table_is_gone_is_listed_and_dropped(archive: Archive) -> None:
    with archive.start_run({"x": 1}):
        pass
    with closing(sqlite3.connect(archive.path)) as other:
        other.executescript("CREATE TABLE t (a); CREATE VIEW lost AS SELECT * FROM t; DROP TABLE t")
    archive.create_view("whole", ["config.x"])
    assert [(view.name, view.columns[-1:]) for view in archive.list_views()] == [
        ("lost", ()),
        ("whole", ("x",)),
    ]
    archive.drop_view("lost")
    assert [view.name for view in archive.list_views()] == ["whole"]
