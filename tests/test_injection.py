"""SQL in names and values stays data: nothing changes, and each question gets its own answer.

Every attempt is used as a tag, a key, a metric's name, a value, a note, a run's name, a group, an artifact's
name, a parameter, a run id, an order, a column and the name of a view.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from exptrack import Archive, ExptrackError, FilterError
from exptrack.cli import main
from exptrack.query.conditions import SYNONYMS

ATTEMPTS = (
    "'",
    "''",
    "'''",
    '"',
    '""',
    "`",
    "[",
    "]",
    "[run]",
    ";",
    "--",
    "-- x",
    "/*",
    "/* x */",
    "*/",
    "'--",
    "';--",
    "' OR '1'='1",
    "' OR 1=1 --",
    "') OR ('1'='1",
    "')) OR 1=1 --",
    '" OR ""="',
    '") OR 1=1 --',
    "x' AND 1=0 UNION SELECT 1 --",
    "'; DROP TABLE run; --",
    "'); DROP TABLE run; --",
    '"; DROP TABLE run; --',
    "x; DELETE FROM run_tag",
    "'; DELETE FROM run; COMMIT; --",
    "'; UPDATE run SET name = 'owned'; --",
    "1; PRAGMA writable_schema = ON",
    "'; ATTACH 'other.db' AS other; --",
    "'; VACUUM INTO 'copy.db'; --",
    "1 UNION SELECT run_id FROM run",
    "(SELECT run_id FROM run LIMIT 1)",
    "1) UNION SELECT 1 FROM run WHERE (1",
    "' || (SELECT name FROM run) || '",
    "CASE WHEN 1 THEN 1 END",
    "load_extension('x')",
    "randomblob(1000000000)",
    "name) FROM run; --",
    "lr' , v.num , '",
    "{id}",
    "{0}{run}{value}",
    "{sql.__class__}",
    "%s %d %(x)s",
    "%",
    "_",
    "%_%",
    "\\",
    "\\'",
    '\\"',
    "?",
    "?1",
    ":name",
    "@name",
    "$name",
    "null",
    "NULL",
    "true",
    "run",
    "sqlite_master",
    "json_each(?)",
    "r.id",
    "s.run",
    "v.key = v.key",
    "a.b",
    "a b",
    "0x27",
    "%27",
    "＇ OR 1=1",
    "ʼ; DROP TABLE run",
    "\u202e'--",
)

# What the file has already, and what SQL means by a word.
TAKEN = "run runs RUNS metric_point run_by_start sqlite_master sqlite_x select Table null migration".split()


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with two runs for each attempt: one that holds it everywhere, and an innocent one."""
    path = tmp_path_factory.mktemp("injection") / "lab.db"
    with Archive(path) as archive:
        for number, text in enumerate(ATTEMPTS):
            config = {"odd": {text: number}, "text": text}
            with archive.start_run(config, [text], name=text, group=text) as run:
                run.log({text: float(number), "number": float(number)})
                run.add_note(text)
                run.artifacts.register_data(text, "x")
        with archive.start_run(
            {"text": "innocent", "odd": {"innocent": 1}}, ["innocent"], name="innocent"
        ) as run:
            run.log({"innocent": 1.0, "number": -1.0})
    return path


@pytest.fixture
def untouched(place: Path) -> Iterator[Archive]:
    """The archive, which must be the same to the last row when the questions are answered."""
    before = dump(place)
    with Archive(place) as archive:
        yield archive
        assert archive.verify().problems == ()
    assert dump(place) == before
    assert sorted(one.name for one in place.parent.iterdir()) == [place.name]


def test_there_are_many_attempts() -> None:
    assert len(ATTEMPTS) == len(set(ATTEMPTS)) >= 50


def test_an_attempt_is_found_as_what_it_is_wherever_it_stands(untouched: Archive) -> None:
    """In every name and value of a filter, as text and as parameter, exactly its run is found."""
    for number, text in enumerate(ATTEMPTS):
        find_everywhere(untouched, number, text)


def find_everywhere(archive: Archive, number: int, text: str) -> None:
    runs = archive.runs()
    value, name = literal(text), quoted(text)
    for question in (
        f"tag = {value}",
        f"tag in ({value})",
        f"name = {value}",
        f"group = {value}",
        f"note = {value}",
        f"artifact = {value}",
        f"config.text = {value}",
        f"config.text in ({value}, 'nobody')",
        f"config.odd.{name} = {number}",
        f"exists config.odd.{name}",
        f"metrics.{name} = {number}",
        f"metrics.{name}.max >= {number}",
        f"name = {value} and tag = {value} and not config.text != {value}",
    ):
        assert [run.name for run in runs.where(question)] == [text], question
        assert runs.where(question).count() == 1, question
    for attribute in ("tag", "name", "group", "note", "artifact", "config.text"):
        assert [run.name for run in runs.where(f"{attribute} = ?", text)] == [text]
        assert runs.where(f"{attribute} = ?", f"{text}x").count() == 0
    assert [run.name for run in runs.tagged(text)] == [text]
    assert [run.name for run in runs.in_group(text)] == [text]
    assert runs.where("config.text = ?", [text]).count() == 0


def test_an_attempt_orders_and_fills_columns_by_itself(untouched: Archive) -> None:
    """Only the run that has such a key or metric has a value; it comes first, whatever the direction."""
    for number, text in enumerate(ATTEMPTS):
        order_by_it(untouched, number, text)


def order_by_it(archive: Archive, number: int, text: str) -> None:
    name = quoted(text)
    for field in (f"config.odd.{name}", f"metrics.{name}"):
        for direction in ("", "-"):
            first = archive.runs().order_by(f"{direction}{field}, -started").first()
            assert first is not None
            assert first.name == text
        ((run, values),) = archive.runs().where("name = ?", text).values(field)
        assert (run.name, values) == (text, {field: number})
        others = archive.runs().where("name != ?", text).limit(3).values(field)
        assert [list(values.values()) for _run, values in others] == [[None]] * 3
    ranked = archive.best_runs(text, "maximize", where=f"config.text = {literal(text)}")
    assert [(run.name, value) for run, value in ranked] == [(text, float(number))]


def test_an_attempt_is_no_run_and_no_language(untouched: Archive) -> None:
    """It leads to the run of that name; bare, as filter, order or column, it is refused or finds no other."""
    for text in ATTEMPTS:
        use_bare(untouched, text)


def use_bare(archive: Archive, text: str) -> None:
    named = [run for run in archive.list_runs() if run.name == text]
    assert [archive.show_run(text).summary] == named
    assert archive.get_run(text).run_id == named[0].run_id
    assert archive.read_events(text) == archive.read_events(named[0].run_id)
    for where in (text, f"name = {text}", f"config.text = {text}", f"name = 'innocent' {text}"):
        try:
            found = {run.name for run in archive.runs().where(where)}
        except FilterError:
            continue
        # A word that needs no quotes is a value like another.
        assert found <= {text}, where
    if text in SYNONYMS:
        return
    for refuse in (archive.runs().order_by, archive.runs().values):
        with pytest.raises(FilterError):
            refuse(text)


def test_an_attempt_in_a_view_is_the_name_of_a_column(untouched: Archive) -> None:
    """A view over such a key and metric has their values under their names, and going leaves no trace."""
    for number, text in enumerate(ATTEMPTS):
        archive, name = untouched, quoted(text)
        made = archive.create_view("odd_view", [f"config.odd.{name}", f"metrics.{name}", "config.text"])
        assert len(made.columns) == 7
        printable = "".join(c if c.isprintable() else "_" for c in text)
        assert made.columns[5] in (printable, f"metrics.{printable}")
        rows = archive.sql(
            "SELECT *, (SELECT count(*) FROM odd_view) FROM odd_view WHERE name = ?", (text,)
        ).rows
        assert [row[4:] for row in rows] == [(number, float(number), text, len(ATTEMPTS) + 1)]
        assert archive.list_views() == [made]
        archive.drop_view("odd_view")


def test_an_attempt_is_no_name_of_a_view(untouched: Archive) -> None:
    names = [name for text in ATTEMPTS for name in (text, f"x{text}", f"{text}x", f"x\n{text}")]
    for name in [*(name for name in names if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII)), *TAKEN]:
        with pytest.raises(ExptrackError):
            untouched.create_view(name, ["config.text"])
        with pytest.raises(ExptrackError):
            untouched.drop_view(name)


@pytest.mark.parametrize("number", range(0, len(ATTEMPTS), 5))
def test_an_attempt_on_the_command_line_is_data_too(untouched: Archive, number: int) -> None:
    text, name = ATTEMPTS[number], quoted(ATTEMPTS[number])
    head = ["--db", untouched.path]
    words = ["ls", "--json", "--where", f"tag = {literal(text)}", "--columns", f"name,metrics.{name}"]
    done = CliRunner().invoke(main, [*head, *words, "--order", f"-config.odd.{name}"])
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["name"], row[f"metrics.{name}"]) == (text, number)
    for command in (["show"], ["history", text], ["top"], ["best", "--max"], ["view", "--drop"]):
        done = CliRunner().invoke(main, [*head, command[0], *command[1:], "--", text])
        assert isinstance(done.exception, (SystemExit, type(None))), done.exception
