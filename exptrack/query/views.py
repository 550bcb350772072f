"""Create, list and drop the views of a user: a row for each run, a column for each field chosen.

Invariants: only ``schema/*.sql`` makes the tables and the documented views; this file never touches them. The
columns of a user's view are the user's own config keys and metrics, so no file of the schema can hold it. It is
composed here, from fixed fragments. SQLite takes no bound values in a view. So the text of a view holds only
row ids of keys and metrics, quoted keys of attributes, its own name, and quoted names of columns. Row ids are
looked up first; the name of a view has only letters, digits and underscores. A view is created completely or
not at all.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from exptrack.database.connection import Connection, in_reading, in_section
from exptrack.database.damage import decoding_rows
from exptrack.database.own_schema import own_views, read_columns
from exptrack.database.row_sums import hash_row
from exptrack.errors import ConflictError, FilterError, InvalidValueError, NotFoundError
from exptrack.plain import read_elements, short_repr
from exptrack.query.conditions import Field
from exptrack.query.field_sql import FACT_VALUES, METRIC_VALUES, SETS
from exptrack.query.names import LOOKUPS
from exptrack.query.parser import parse_field
from exptrack.shown import shown
from exptrack.validation import check_text

MAX_NAME_CHARS = 64
MAX_COLUMNS = 500
# A view of another program has no such first line.
_MARK = re.compile(r"CREATE VIEW (?P<name>\S+) AS -- checksum (?P<sum>-?[0-9]+)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Words that cannot be used as a name in SQLite without quotes.
_KEYWORDS = frozenset(
    "ADD ALL ALTER AND AS AUTOINCREMENT BETWEEN CASE CHECK COLLATE COMMIT CONSTRAINT CREATE CROSS CURRENT_DATE"
    " CURRENT_TIME CURRENT_TIMESTAMP DEFAULT DEFERRABLE DELETE DISTINCT DROP ELSE ESCAPE EXCEPT EXISTS FOREIGN"
    " FROM FULL GROUP HAVING IN INDEX INNER INSERT INTERSECT INTO IS ISNULL JOIN LEFT LIMIT NATURAL NOT NOTHING"
    " NOTNULL NULL ON OR ORDER OUTER PRIMARY REFERENCES RETURNING RIGHT SELECT SET TABLE THEN TO TRANSACTION"
    " UNION UNIQUE UPDATE USING VALUES WHEN WHERE".split()
)

OBJECT_NAMED = "SELECT name FROM sqlite_schema WHERE lower(name) = lower(?)"
VIEWS = "SELECT name, sql FROM sqlite_schema WHERE type = 'view' ORDER BY name"
CREATE_VIEW = """CREATE VIEW {name} AS -- checksum {checksum}
{select}"""
_SELECT_OF_VIEW = """SELECT
    {columns}
FROM run AS r
WHERE r.deleted_at IS NULL"""
DROP_VIEW = "DROP VIEW {name}"
# By its fields another file can have the view too, whose keys and metrics have other row ids.
SAVE_FIELDS = "INSERT OR REPLACE INTO user_view (name, fields, checksum) VALUES (?, ?, ?)"
FORGET_FIELDS = "DELETE FROM user_view WHERE name = ?"
# True is 1 and false is 0, as everywhere in SQL.
CONFIG_COLUMN = (
    "(SELECT CASE v.type WHEN 'int' THEN CAST(coalesce(v.text, v.num) AS INTEGER) WHEN 'float' THEN v.num"
    " WHEN 'bool' THEN v.text = 'true' ELSE v.text END"
    " FROM config_value AS v WHERE v.run = r.id AND v.key = {key})"
)
# NULL where the metric is NaN, and where the run has not logged it.
ATTR_COLUMN = (
    "(SELECT CASE v.type WHEN 'int' THEN CAST(coalesce(v.text, v.num) AS INTEGER) WHEN 'float' THEN v.num"
    " WHEN 'bool' THEN v.text = 'true' ELSE v.text END"
    " FROM run_attribute AS v WHERE v.run = r.id AND v.key = {key})"
)
METRIC_COLUMN = "(SELECT {value} FROM metric_series AS s WHERE s.run = r.id AND s.metric = {metric})"
SET_COLUMN = "(SELECT group_concat({word}, ', ') FROM {source} WHERE {test})"
FIRST_COLUMNS = ("run_id", "name", "status", "started_at")


@shown
@dataclass(frozen=True, slots=True)
class UserView:
    """A view that a user added to the file, with the names of its columns: none if a table it reads is gone."""

    name: str
    columns: tuple[str, ...]


def create_view(connection: Connection, name: object, fields: Iterable[str]) -> UserView:
    """Create a view; see :meth:`exptrack.Archive.create_view`."""
    checked = _check_name(name)
    found = read_elements(fields, "fields", like="['config.lr']")
    wanted = list(dict.fromkeys(parse_field(field) for field in found))
    if not 0 < len(wanted) <= MAX_COLUMNS:
        raise InvalidValueError(f"a view must have 1 to {MAX_COLUMNS} fields, not {len(wanted)}")
    return _store_view(connection, checked, wanted)


@in_section
def _store_view(connection: Connection, checked: str, wanted: list[Field]) -> UserView:
    with connection.transaction():
        taken = connection.value(OBJECT_NAMED, (checked,))
        if taken is not None:
            raise ConflictError(f"{connection.path} already has a table or view {taken!r}; choose another name")
        columns = [f"r.{column}" for column in FIRST_COLUMNS]
        columns += [
            f"{_express_column(connection, field)} AS {_quote_name(column)}"
            for field, column in zip(wanted, _name_columns(wanted), strict=True)
        ]
        select = _SELECT_OF_VIEW.format(columns=",\n    ".join(columns))
        checksum = hash_row("view", (checked, select))
        connection.execute(CREATE_VIEW.format(name=checked, checksum=checksum, select=select))
        row = (checked, json.dumps([str(field) for field in wanted]))
        connection.execute(SAVE_FIELDS, (*row, hash_row("user_view", row)))
        return _read_view(connection, checked)


@in_reading
def list_views(connection: Connection) -> list[UserView]:
    """Return every view that a user added to the file, by name."""
    names = [row["name"] for row in connection.all(VIEWS) if row["name"] not in own_views()]
    return [_read_view(connection, name) for name in names]


@in_section
def drop_view(connection: Connection, name: object) -> None:
    """Drop a view; see :meth:`exptrack.Archive.drop_view`."""
    checked = _check_name(name)
    with connection.transaction():
        present = [row["name"] for row in connection.all(VIEWS) if row["name"] not in own_views()]
        found = {one.lower(): one for one in present}.get(checked.lower())
        if found is None:
            close = difflib.get_close_matches(checked, present, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise NotFoundError(f"no view {checked!r} was added to {connection.path}{hint}")
        connection.execute(DROP_VIEW.format(name=checked))
        connection.execute(FORGET_FIELDS, (found,))


def find_changed_views(connection: Connection) -> list[str]:
    """Return the names of the views whose text does not match the checksum in its first line."""
    changed = []
    for name, text in connection.all(VIEWS):
        head, _line, select = text.partition("\n")
        mark = _MARK.fullmatch(head)
        if mark is not None and (mark["name"] != name or int(mark["sum"]) != hash_row("view", (name, select))):
            changed.append(name)
    return changed


@decoding_rows
def _read_view(connection: Connection, name: str) -> UserView:
    return UserView(name, read_columns(connection, name))


def _check_name(name: object) -> str:
    """Return `name` if it can name a view without quotes."""
    name = check_text(name, "the name of a view")
    if len(name) > MAX_NAME_CHARS or not _NAME.fullmatch(name):
        raise InvalidValueError(
            f"the name of a view must be 1 to {MAX_NAME_CHARS} letters, digits and underscores, and must not"
            f" begin with a digit; it is {short_repr(name)}"
        )
    if name.lower().startswith("sqlite_") or name.upper() in _KEYWORDS:
        raise InvalidValueError(f"{name} is a reserved word of SQL; choose another name")
    return name


def _express_column(connection: Connection, field: Field) -> str:
    """Return the expression of a column; keys and metrics stand in it by their row ids."""
    if field.kind == "fact":
        if field.name in SETS:
            words = SETS[field.name]
            return SET_COLUMN.format(word=words.word, source=words.source, test=words.where("x.run = r.id"))
        value = FACT_VALUES[field.name]
        return value if value.startswith("(") else f"({value})"
    find, suggest, _root = LOOKUPS[field.kind]
    row_id = find(connection, field.name)
    if row_id is None:
        close = suggest(connection, field.name)
        hint = f"; did you mean {field._replace(name=close)}?" if close else ""
        raise FilterError(f"no run has {field}{hint}", str(field), 0)
    if field.kind == "attribute":
        return ATTR_COLUMN.format(key=_quote_text(field.name))
    if field.kind == "config":
        return CONFIG_COLUMN.format(key=int(row_id))
    return METRIC_COLUMN.format(value=METRIC_VALUES[field.statistic], metric=int(row_id))


def _quote_text(text: str) -> str:
    """Write a text as SQL does. The key of an attribute has no NUL, at which a statement would end."""
    return "'" + text.replace("'", "''") + "'"


def _name_columns(fields: Iterable[Field]) -> list[str]:
    """Name each column: by the short name of its field, or by the long name if the short one is taken."""
    # In a view, SQLite renames a column called true or false to column1.
    taken = {*FIRST_COLUMNS, "true", "false"}
    found = []
    for field in fields:
        short = field.name + ("" if field.statistic in ("", "last") else f".{field.statistic}")
        candidates = [_make_printable(short), _make_printable(str(field))]
        candidates += [f"{candidates[1]}_{suffix}" for suffix in range(2, MAX_COLUMNS + 2)]
        name = next(one for one in candidates if one.lower() not in taken)
        taken.add(name.lower())
        found.append(name)
    return found


def _make_printable(name: str) -> str:
    # A key may hold any character, but the text of a statement ends at NUL.
    return "".join(c if c.isprintable() else "_" for c in name)


def _quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
