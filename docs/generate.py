"""Writes docs/schema.md and schema/current.sql from the migrations: ``python docs/generate.py``.

Every migration is applied to a fresh database, so the columns and types are those of a new archive. The words
are the comments of the file that last defined the table or view. The lines before a definition say what it is.
A comment behind a column says what the column is; a view takes over the words for the columns that it borrows
from a table. A test compares both files with what this writes.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "schema"
PAGE = ROOT / "docs" / "schema.md"

OBJECTS = """
SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'
ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, name
"""

# The types of columns that views compute. SQLite does not know them; a test asks DuckDB.
COMPUTED = {
    "about.file": "text",
    "about.format": "integer",
    "about.described_in": "text",
    "runs.duration_s": "real",
    "configs.value": "text",
    "attributes.value": "text",
    "groups.runs": "integer",
    "metrics.mean": "real",
    "points.kind": "text",
    "points.time_s": "real",
    "point_times.logged_at": "text",
    "artifacts.shared": "integer",
    "run_storage.chunks": "integer",
    "run_storage.stored_bytes": "integer",
    "run_storage.shared_bytes": "integer",
    "studies.directions": "text",
    "studies.trials": "integer",
    "trials.duration_s": "real",
    "trial_params.value": "text",
}

_CREATE = re.compile(r"CREATE (TABLE|VIEW) (\w+)")
_DROP = re.compile(r"DROP (?:TABLE|VIEW) (?:IF EXISTS )?(\w+)")
_RENAME = re.compile(r"ALTER TABLE (\w+) RENAME TO (\w+)")
_ADD_COLUMN = re.compile(r"ALTER TABLE (\w+) ADD (?:COLUMN )?(\w+)\b.*?;\s*-- (.*)")
_RENAME_COLUMN = re.compile(r"ALTER TABLE (\w+) RENAME (?:COLUMN )?(?!TO\b)(\w+) TO (\w+)")
_COLUMN = re.compile(r"\s+(?:[\w .()/]*\bAS )?(?:\w\.)?(\w+)\b.*?,?\s*-- (.*)")
_BORROWED = re.compile(r"(?:^|, |SELECT )\s*(\w)\.(\w+)(?: AS (\w+))?(?=,|$)", re.MULTILINE)
_SOURCE = re.compile(r"(?:FROM|JOIN) (\w+) AS (\w+)")


class Described(NamedTuple):
    """A table or view: its kind, name, what it is, its text, and what each commented column is."""

    kind: str
    name: str
    words: str
    text: str
    comments: dict[str, str]


def migrations(folder: Path) -> list[Path]:
    """The migrations in a folder, in the order of their numbers."""
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))


def described(folder: Path) -> list[Described]:
    """Every table and view that the migrations leave, in the order in which their names first appeared."""
    found: dict[str, Described] = {}
    places: dict[str, int] = {}
    for file in migrations(folder):
        before: list[str] = []
        lines = iter(file.read_text(encoding="utf-8").splitlines())
        for line in lines:
            if start := _CREATE.match(line):
                body = [line]
                while not body[-1].split("--")[0].rstrip().endswith(";"):
                    body.append(next(lines))
                comments = {match[1]: match[2] for one in body[1:] if (match := _COLUMN.fullmatch(one))}
                name, words = start[2], " ".join(before)
                found[name] = Described(start[1].lower(), name, words, "\n".join(body), comments)
                places.setdefault(name, len(places))
            elif drop := _DROP.match(line):
                found.pop(drop[1], None)
            elif rename := _RENAME.match(line):
                found[rename[2]] = found.pop(rename[1])._replace(name=rename[2])
                places.setdefault(rename[2], len(places))
            elif added := _ADD_COLUMN.match(line):
                found[added[1]].comments[added[2]] = added[3]
            elif renamed := _RENAME_COLUMN.match(line):
                comments = found[renamed[1]].comments
                if renamed[2] in comments:
                    comments[renamed[3]] = comments.pop(renamed[2])
            # Lines of comment belong to what follows at once.
            before = [*before, line[3:]] if line.startswith("-- ") else []
    return sorted(found.values(), key=lambda one: places[one.name])


def borrowed(view: Described, tables: dict[str, Described]) -> dict[str, str]:
    """The words for the columns that a view takes from tables unchanged."""
    sources = {alias: table for table, alias in _SOURCE.findall(view.text)}
    code = "\n".join(line.split("--")[0].rstrip() for line in view.text.splitlines())
    found = {}
    for alias, column, name in _BORROWED.findall(code):
        words = tables[sources[alias]].comments.get(column) if sources.get(alias) in tables else None
        if words:
            found.setdefault(name or column, words)
    return found


def fresh_database(folder: Path) -> sqlite3.Connection:
    """A database in memory with every migration of a folder applied."""
    connection = sqlite3.connect(":memory:")
    for file in migrations(folder):
        connection.executescript(file.read_text(encoding="utf-8"))
    return connection


def current_sql(folder: Path = SCHEMA) -> str:
    """The schema of a new archive as SQL."""
    connection = fresh_database(folder)
    found = [f"{sql};" for (sql,) in connection.execute(OBJECTS)]
    connection.close()
    return "\n\n".join(found) + "\n"


def page(folder: Path = SCHEMA) -> str:
    """The page docs/schema.md."""
    connection = fresh_database(folder)
    objects = described(folder)
    tables = {one.name: one for one in objects if one.kind == "table"}
    parts = [
        "# The schema",
        "`python docs/generate.py` writes this page from the comments in the files of `schema/`. A test keeps"
        " it current.",
        "The views are a contract: their columns keep their meaning between versions. Tables may change. Times"
        " are UTC text, `YYYY-MM-DD HH:MM:SS.ffffff`. Names of durations end with their unit. NaN is NULL.",
        "`exptrack view NAME FIELD…` adds your own views beside these. Such a view has a row for each run and a"
        " column for each field that you choose.",
    ]
    for title, kind in (("Views", "view"), ("Tables", "table")):
        parts.append(f"## {title}")
        for one in objects:
            if one.kind == kind:
                words = one.comments if kind == "table" else borrowed(one, tables) | one.comments
                parts.append(section(connection, one, words))
    connection.close()
    return "\n\n".join(parts) + "\n"


def section(connection: sqlite3.Connection, one: Described, words: dict[str, str]) -> str:
    """A table of the columns, under the name."""
    lines = [f"### {one.name}", ""]
    if one.words:
        lines += [one.words, ""]
    lines += ["| column | type | meaning |", "| --- | --- | --- |"]
    for _cid, name, kind, *_rest in connection.execute("SELECT * FROM pragma_table_info(?)", (one.name,)):
        meaning = words.get(name, "").replace("|", "\\|").replace("<", "\\<").replace("*", "\\*")
        known = COMPUTED.get(f"{one.name}.{name}") or kind.lower() or "any"
        lines.append(f"| `{name}` | {known} | {meaning} |")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    (SCHEMA / "current.sql").write_text(current_sql(), encoding="utf-8")
