"""Wide views that people ask for by name: a row for each run, a column for each field chosen.

Invariants: the tables and the documented views are made by ``schema/*.sql`` alone and are never touched here. A
view that a person asks for cannot stand in a file of the schema, because its columns are their own config keys
and metrics; so it is put together here, from fixed fragments. SQLite takes no bound values in a view: what
stands in its text is the number of a key or metric, looked up first; its name, a word of letters, digits and
underscores; and names of columns, quoted. A view is made whole or not at all.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from exptrack.database.connection import Connection
from exptrack.database.migrations import own_views
from exptrack.errors import ConflictError, FilterError, InvalidTypeError, InvalidValueError, NotFoundError
from exptrack.query.compiler import (
    ATTRIBUTE_VALUES,
    KEY_ID,
    METRIC_ID,
    METRIC_VALUES,
    SETS,
    SOME_KEYS,
    SOME_METRICS,
)
from exptrack.query.conditions import Field
from exptrack.query.parser import parse_field
from exptrack.validation import short_repr

MAX_NAME_CHARS = 64
MAX_COLUMNS = 500
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

OBJECT_NAMED = "SELECT name FROM sqlite_schema WHERE lower(name) = lower(?)"
VIEWS = "SELECT name, sql FROM sqlite_schema WHERE type = 'view' ORDER BY name"
COLUMNS_OF = "SELECT name FROM pragma_table_info(?) ORDER BY cid"
CREATE_VIEW = """CREATE VIEW {name} AS
SELECT
    {columns}
FROM run AS r"""
DROP_VIEW = "DROP VIEW {name}"
# True and false are 1 and 0, as everywhere in SQL.
CONFIG_COLUMN = (
    "(SELECT CASE v.type WHEN 'int' THEN CAST(coalesce(v.text, v.num) AS INTEGER) WHEN 'float' THEN v.num"
    " WHEN 'bool' THEN v.text = 'true' ELSE v.text END"
    " FROM config_value AS v WHERE v.run = r.id AND v.key = {number})"
)
METRIC_COLUMN = (
    "(SELECT {value} FROM metric_series AS s WHERE s.run = r.id AND s.metric = {number})"  # NULL: NaN, or none
)
SET_COLUMN = "(SELECT group_concat({word}, ', ') FROM {table} WHERE {run} = r.id)"
FIRST_COLUMNS = ("run_id", "name", "status", "started_at")


def create_view(connection: Connection, name: object, fields: Iterable[str]) -> UserView:
    """Make a view; see :meth:`exptrack.Archive.create_view`."""
    checked = _check_name(name)
    if isinstance(fields, str) or not isinstance(fields, Iterable):
        raise InvalidTypeError(f"fields are a list of names like 'config.lr', not {short_repr(fields)}")
    wanted = list(dict.fromkeys(parse_field(field) for field in fields))
    if not 0 < len(wanted) <= MAX_COLUMNS:
        raise InvalidValueError(f"a view has from 1 to {MAX_COLUMNS} fields, not {len(wanted)}")
    with connection.transaction():
        taken = connection.value(OBJECT_NAMED, (checked,))
        if taken is not None:
            raise ConflictError(f"there is a {taken!r} in {connection.path} already; choose another name")
        columns = [f"r.{column}" for column in FIRST_COLUMNS]
        columns += [
            f"{_expression(connection, field)} AS {_quoted(column)}"
            for field, column in zip(wanted, _column_names(wanted), strict=True)
        ]
        connection.execute(CREATE_VIEW.format(name=checked, columns=",\n    ".join(columns)))
        return _record(connection, checked)


def list_views(connection: Connection) -> list[UserView]:
    """Every view of the file that is not one of ours, by name."""
    names = [row["name"] for row in connection.all(VIEWS) if row["name"] not in own_views()]
    return [_record(connection, name) for name in names]


def drop_view(connection: Connection, name: object) -> None:
    """Remove a view; see :meth:`exptrack.Archive.drop_view`."""
    checked = _check_name(name)
    with connection.transaction():
        present = [row["name"] for row in connection.all(VIEWS) if row["name"] not in own_views()]
        found = {one.lower(): one for one in present}.get(checked.lower())
        if found is None:
            close = difflib.get_close_matches(checked, present, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise NotFoundError(f"no view {checked!r} was added to {connection.path}{hint}")
        connection.execute(DROP_VIEW.format(name=checked))


def _record(connection: Connection, name: str) -> UserView:
    return UserView(name, tuple(row["name"] for row in connection.all(COLUMNS_OF, (name,))))


def _check_name(name: object) -> str:
    """Return `name` if it can name a view without a quote."""
    if not isinstance(name, str):
        raise InvalidTypeError(f"the name of a view is text, not {short_repr(name)}")
    if len(name) > MAX_NAME_CHARS or not _NAME.fullmatch(name):
        raise InvalidValueError(
            f"the name of a view is up to {MAX_NAME_CHARS} letters, digits and underscores, and begins with no"
            f" digit; not {short_repr(name)}"
        )
    if name.lower().startswith("sqlite_") or name.upper() in _KEYWORDS:
        raise InvalidValueError(f"{name} means something in SQL; choose another name")
    return name


def _expression(connection: Connection, field: Field) -> str:
    """A column of a view, by the number of its key or metric."""
    if field.kind == "attribute":
        if field.name in SETS:
            table, run, word = SETS[field.name]
            return SET_COLUMN.format(table=table, run=run, word=word)
        value = ATTRIBUTE_VALUES[field.name]
        return value if value.startswith("(") else f"({value})"
    is_config = field.kind == "config"
    number = connection.value(KEY_ID if is_config else METRIC_ID, (field.name,))
    if number is None:
        names = [row[0] for row in connection.all(SOME_KEYS if is_config else SOME_METRICS)]
        close = difflib.get_close_matches(field.name, names, n=1)
        meant = Field(field.kind, close[0], field.statistic) if close else None
        hint = f"; did you mean {meant}?" if meant else ""
        raise FilterError(f"no run has {field}{hint}", str(field), 0)
    if is_config:
        return CONFIG_COLUMN.format(number=int(number))
    return METRIC_COLUMN.format(value=METRIC_VALUES[field.statistic], number=int(number))


def _column_names(fields: Iterable[Field]) -> list[str]:
    """A name for each column: the short one of its field, the long one where that is taken."""
    # SQLite calls a column of a view that is called true or false column1 instead.
    taken = {*FIRST_COLUMNS, "true", "false"}
    found = []
    for field in fields:
        short = field.name + ("" if field.statistic in ("", "last") else f".{field.statistic}")
        candidates = [_printable(short), _printable(str(field))]
        candidates += [f"{candidates[1]}_{number}" for number in range(2, MAX_COLUMNS + 2)]
        name = next(one for one in candidates if one.lower() not in taken)
        taken.add(name.lower())
        found.append(name)
    return found


def _printable(name: str) -> str:
    """A key may hold any character, but SQL ends at NUL."""
    return "".join(c if c.isprintable() else "_" for c in name)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# Words that SQLite's grammar does not take as a name.
_KEYWORDS = frozenset(
    "ADD ALL ALTER AND AS AUTOINCREMENT BETWEEN CASE CHECK COLLATE COMMIT CONSTRAINT CREATE CROSS CURRENT_DATE"
    " CURRENT_TIME CURRENT_TIMESTAMP DEFAULT DEFERRABLE DELETE DISTINCT DROP ELSE ESCAPE EXCEPT EXISTS FOREIGN"
    " FROM FULL GROUP HAVING IN INDEX INNER INSERT INTERSECT INTO IS ISNULL JOIN LEFT LIMIT NATURAL NOT NOTHING"
    " NOTNULL NULL ON OR ORDER OUTER PRIMARY REFERENCES RETURNING RIGHT SELECT SET TABLE THEN TO TRANSACTION"
    " UNION UNIQUE UPDATE USING VALUES WHEN WHERE".split()
)


@dataclass(frozen=True, slots=True)
class UserView:
    """A view that somebody added to the file, with the names of its columns."""

    name: str
    columns: tuple[str, ...]
