"""The programs of the field read every documented view with the right types, as docs/asking.md says."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive, Sampler, Trial
from tests.test_docs import SCHEMA, blocks, sections

VALUES = [1.5, 2.5, math.nan, math.inf, -math.inf]
CONFIG = {
    "lr": 1e-5, "n": 3, "large": 3_000_000_000, "huge": 2**60 + 1, "name": "adam", "flag": True, "none": None,
    "list": [1, 2], "big": 1e300,
}  # fmt: skip
# Columns in which DuckDB writes the digits of floats in its own way.
OWN_DIGITS = {"configs": "value", "attributes": "value", "trial_params": "value"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive in which every view has rows."""
    path = tmp_path_factory.mktemp("lab") / "lab.db"
    (path.parent / "tree").mkdir()
    (path.parent / "tree" / "a.txt").write_text("a file")
    with Archive(path) as archive:
        with archive.start_run(CONFIG, ["smoke"], name="one", group="first") as run:
            run.log_many("loss", None, VALUES)
            run.log_many("acc", None, [0.25, 0.75])
            run.log({"nan": math.nan})
            run.add_note("a note\nof two lines")
            run.artifacts.register_data("words", "to be or not to be", aliases=["best"])
            run.set_attributes({"n": 7, "x": 0.5, "nan": math.nan, "flag": True, "word": "good"})
            run.artifacts.register_dir("tree", path.parent / "tree")
        with archive.start_run(name="two") as user:
            user.use_artifact(f"{run.run_id}/words")
            user.artifacts.register_data("words", "to be or not to be")
        gone = archive.start_run(name="gone")
        gone.fail("out of memory")
        archive.trash_run(gone.run_id)

        def objective(trial: Trial) -> float:
            trial.suggest_int("width", 2, 9)
            trial.suggest_choice("act", ["relu", "tanh"])
            return trial.suggest_float("lr", 0.1, 1.0)

        study = archive.create_study("widths", "minimize", sampler=Sampler.random(seed=1))
        study.optimize(objective, n_trials=2)
        archive.save_page_view("the best", "/runs?order=-metrics.acc")
    return path


def documented() -> dict[str, dict[str, str]]:
    """The type of each column of each view, as docs/schema.md says."""
    views = SCHEMA.split("## Views")[1].split("## Tables")[0]
    return {
        name: dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.MULTILINE))
        for name, text in sections(views).items()
    }


VIEWS = documented()


def rows_of(lab: Path, view: str) -> list[dict[str, Any]]:
    """The rows of a view, by the SQLite of Python; checks that each value is of the documented type."""
    with closing(sqlite3.connect(lab)) as connection:
        cursor = connection.execute(f"SELECT * FROM {view}")
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
    kinds = {"text": str, "integer": int, "real": float}
    assert rows, view
    assert names == list(VIEWS[view])
    for row in rows:
        for name, value in row.items():
            assert value is None or type(value) is kinds[VIEWS[view][name]], (view, name, value)
    return rows


def test_every_value_of_every_view_has_the_documented_type(lab: Path) -> None:
    with closing(sqlite3.connect(lab)) as connection:
        views = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")}
    assert views == set(VIEWS)
    for view in VIEWS:
        rows = rows_of(lab, view)
        assert {name for row in rows for name, value in row.items() if value is not None}
    values = {row["key"]: row["value"] for row in rows_of(lab, "configs")}
    assert values["large"] == "3000000000"
    assert values["huge"] == str(2**60 + 1)


@contextmanager
def duckdb_on(path: Path) -> Iterator[Any]:
    """Open an archive in DuckDB; the example of docs/asking.md finds the extension."""
    (block,) = [one for one in blocks("python") if one.heading == "DuckDB"]
    found: dict[str, Any] = {}
    exec(block.text.partition("with ")[0], found)
    with found["duckdb"].connect() as lab:
        lab.load_extension(str(found["extension"]))
        lab.execute(f"ATTACH '{path}' AS lab (TYPE sqlite, READ_ONLY)")
        yield lab


def test_duckdb_reads_every_view_with_the_types_of_its_columns(lab: Path) -> None:
    types = {"text": "VARCHAR", "integer": "BIGINT", "real": "DOUBLE"}
    with duckdb_on(lab) as connection:
        for view, columns in VIEWS.items():
            found = {row[0]: row[1] for row in connection.execute(f"DESCRIBE lab.{view}").fetchall()}
            if view == "point_times":  # it calls a function of dates that DuckDB does not have
                assert set(found.values()) == {"VARCHAR"}
                assert connection.execute("SELECT count(*) FROM lab.point_times").fetchone() == (10,)
                continue
            assert found == {name: types[kind] for name, kind in columns.items()}, view
            names = [name for name in columns if name != OWN_DIGITS.get(view)]
            rows = connection.execute(f"SELECT {', '.join(names)} FROM lab.{view}").fetchall()
            expected = [tuple(row[name] for name in names) for row in rows_of(lab, view)]
            assert sorted(map(repr, rows)) == sorted(map(repr, expected)), view
        loss = "FROM lab.points WHERE name = 'loss'"
        asked = f"SELECT avg(value), count(*), count(value) {loss} AND kind <> 'infinite'"
        assert connection.execute(asked).fetchone() == (2.0, 3, 2)
        kinds = f"SELECT kind, count(*) {loss} GROUP BY kind ORDER BY kind"
        assert connection.execute(kinds).fetchall() == [("finite", 2), ("infinite", 2), ("nan", 1)]
        values = dict(connection.execute("SELECT key, value FROM lab.configs").fetchall())
        assert (values["large"], values["huge"]) == ("3000000000", str(2**60 + 1))
        assert float(values["lr"]) == 1e-5


def test_sqlite_utils_reads_every_view(lab: Path) -> None:
    from sqlite_utils import Database

    database = Database(lab)
    assert set(database.view_names()) == set(VIEWS)
    for view in VIEWS:
        assert list(database[view].rows) == rows_of(lab, view)
    database.close()


def test_pandas_reads_every_view_with_the_types_of_its_columns(lab: Path) -> None:
    import pandas

    types = {"text": "string", "integer": "Int64", "real": "Float64"}
    with closing(sqlite3.connect(lab)) as connection:
        for view, columns in VIEWS.items():
            frame = pandas.read_sql(f"SELECT * FROM {view}", connection, dtype_backend="numpy_nullable")
            assert len(frame) == len(rows_of(lab, view))
            for name, kind in columns.items():
                known = frame[name].notna().any()  # pandas gives a column of NULL alone no type
                assert not known or str(frame[name].dtype) == types[kind], (view, name)
        loss = pandas.read_sql("SELECT value FROM points WHERE name = 'loss' AND kind = 'finite'", connection)
        assert loss["value"].mean() == 2.0


ASK_DATASETTE = """
import asyncio, json, sys
from datasette.app import Datasette

async def ask(path, name, *pages):
    datasette = Datasette([path])
    await datasette.invoke_startup()
    answers = [await datasette.client.get(f"/{name}/{page}") for page in pages]
    print(json.dumps([json.loads(answer.text) for answer in answers]))

asyncio.run(ask(*sys.argv[1:]))
"""


def ask_datasette(path: Path, pages: Iterable[str]) -> list[Any]:
    """What Datasette answers for pages of an archive, as JSON. It leaves open connections to its process."""
    command = [sys.executable, "-W", "ignore", "-c", ASK_DATASETTE, str(path), path.stem, *pages]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[Any] = json.loads(done.stdout)
    return found


def test_datasette_shows_every_view(lab: Path) -> None:
    found = ask_datasette(lab, [f"{view}.json?_shape=array&_size=max" for view in VIEWS])
    for view, rows in zip(VIEWS, found, strict=True):
        expected = rows_of(lab, view)
        # JSON has no infinities.
        assert rows == [
            {name: None if value in (math.inf, -math.inf) else value for name, value in row.items()}
            for row in expected
        ], view


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the shell of SQLite is not installed")
def test_the_bare_shell_reads_every_view(lab: Path) -> None:
    asked = "".join(f"SELECT * FROM {view};\n" for view in VIEWS)
    done = subprocess.run(["sqlite3", "-json", lab], input=asked, capture_output=True, text=True, check=True)
    parts = re.sub(r"\]\n\[", "]\0[", done.stdout).split("\0")
    for view, part in zip(VIEWS, parts, strict=True):
        names = [list(row) for row in json.loads(re.sub(r":-?Inf\b", ":0", part))]
        assert names == [list(VIEWS[view])] * len(rows_of(lab, view)), view
    (block,) = [one for one in blocks("sh") if one.heading == "The shell of SQLite"]
    done = subprocess.run(shlex.split(block.text), cwd=lab.parent, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "run_id|status|duration_s"
    assert len(done.stdout.splitlines()) == 1 + len(rows_of(lab, "runs"))
