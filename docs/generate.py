"""Writes docs/schema.md from schema/0001_create_archive.sql: ``python docs/generate.py``.

The columns and their types are what SQLite makes of the file; the words are its comments. What a table or view
is stands in the lines before it; what a column is stands behind it, or behind the column of the table that a
view takes it from. A test compares the page with what this writes.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "schema" / "0001_create_archive.sql"
PAGE = ROOT / "docs" / "schema.md"

_OBJECT = re.compile(r"CREATE (TABLE|VIEW) (\w+)")
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


def described() -> list[Described]:
    """Every table and view of the schema, in its order."""
    found = []
    before: list[str] = []
    lines = iter(SCHEMA.read_text(encoding="utf-8").splitlines())
    for line in lines:
        start = _OBJECT.match(line)
        if start is None:
            # Lines of comment belong to what follows at once.
            before = [*before, line[3:]] if line.startswith("-- ") else []
            continue
        body = [line]
        while not body[-1].split("--")[0].rstrip().endswith(";"):
            body.append(next(lines))
        comments = {match[1]: match[2] for one in body[1:] if (match := _COLUMN.fullmatch(one))}
        found.append(Described(start[1].lower(), start[2], " ".join(before), "\n".join(body), comments))
        before = []
    return found


def borrowed(view: Described, tables: dict[str, Described]) -> dict[str, str]:
    """What the columns are that a view takes from tables as they are."""
    sources = {alias: table for table, alias in _SOURCE.findall(view.text)}
    code = "\n".join(line.split("--")[0].rstrip() for line in view.text.splitlines())
    found = {}
    for alias, column, name in _BORROWED.findall(code):
        words = tables[sources[alias]].comments.get(column) if sources.get(alias) in tables else None
        if words:
            found.setdefault(name or column, words)
    return found


def page() -> str:
    """The whole page."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA.read_text(encoding="utf-8"))
    objects = described()
    tables = {one.name: one for one in objects if one.kind == "table"}
    parts = [
        "# The schema",
        "Written by `python docs/generate.py` from the comments in"
        " [schema/0001_create_archive.sql](../schema/0001_create_archive.sql); a test keeps it current.",
        "The views are a contract: their columns keep their meaning between versions. Tables may change. Times"
        " are UTC text, `YYYY-MM-DD HH:MM:SS.ffffff`; durations carry their unit in the name; NaN is NULL.",
        "`exptrack view NAME FIELD…` adds views of your own beside these: a row for each run, a column for each"
        " config key or metric chosen.",
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
        lines.append(f"| `{name}` | {kind.lower() or 'any'} | {meaning} |")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
