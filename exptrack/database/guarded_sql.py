"""Run SELECTs that exptrack did not write: those of ``Archive.sql``, ``exptrack sql`` and saved views.

Invariants, each enforced by SQLite itself and not by reading the text:

- The statement runs on a connection of its own, opened read-only and with ``query_only``.
- An authorizer allows SELECT, READ, recursion, a few pragmas without an argument and the functions listed here.
  Everything else is denied, also ATTACH, ``load_extension()`` and writes through a view.
- Its time, the number of its rows, the length of its text and the size of each value are limited.
"""

from __future__ import annotations

import math
import sqlite3
import time
from typing import Any

from exptrack.database.connection import Connection, Parameters
from exptrack.database.failures import FAILURES, SQLITE_FAILURE, primary_code
from exptrack.errors import QueryError

MAX_SQL_CHARS = 100_000
MAX_VALUE_BYTES = 64 * 1024 * 1024
STEPS_PER_CHECK = 1_000  # of SQLite's virtual machine, between two looks at the clock
SAFE_PRAGMAS = frozenset({"application_id", "user_version", "page_count", "page_size"})
SAFE_FUNCTIONS = frozenset(
    (
        "abs acos asin atan atan2 avg ceil ceiling changes char coalesce concat concat_ws cos count cume_dist "
        "date datetime degrees dense_rank exp first_value floor format glob group_concat hex ifnull iif instr "
        "json json_array json_array_length json_each json_extract json_group_array json_group_object "
        "json_object json_quote json_tree json_type json_valid julianday lag last_value lead length like "
        "likely ln log log10 log2 lower ltrim max median min mod nth_value ntile nullif octet_length "
        "percent_rank percentile pi pow power printf quote radians random rank replace round row_number rtrim "
        "sign sin sqrt sqlite_version strftime string_agg substr substring sum tan time timediff total trim "
        "trunc typeof unicode unixepoch unlikely upper zeroblob -> ->> "
    ).split()
)
ACTION_NAMES = {
    sqlite3.SQLITE_INSERT: "INSERT",
    sqlite3.SQLITE_UPDATE: "UPDATE",
    sqlite3.SQLITE_DELETE: "DELETE",
    sqlite3.SQLITE_ATTACH: "ATTACH",
    sqlite3.SQLITE_DETACH: "DETACH",
    sqlite3.SQLITE_PRAGMA: "PRAGMA",
    sqlite3.SQLITE_TRANSACTION: "a transaction statement",
    sqlite3.SQLITE_CREATE_TABLE: "CREATE TABLE",
    sqlite3.SQLITE_CREATE_VIEW: "CREATE VIEW",
    sqlite3.SQLITE_CREATE_TEMP_TABLE: "CREATE TEMP TABLE",
    sqlite3.SQLITE_DROP_TABLE: "DROP TABLE",
    sqlite3.SQLITE_DROP_VIEW: "DROP VIEW",
}


def run_guarded(
    connection: Connection, sql: str, parameters: Parameters, *, max_rows: int, timeout_s: float
) -> tuple[list[str], list[tuple[Any, ...]], bool]:
    """Run one untrusted SELECT; return its columns, its rows and whether rows were left out.

    Raises:
        QueryError: the text is not a single SELECT, uses something forbidden, is too long or takes too long.
    """
    if not 0 < max_rows < 2**31 or not 0 < timeout_s < math.inf:
        raise QueryError("max_rows must be from 1 to 2,147,483,647, and timeout_s a finite time above 0 s")
    connection.require_open()
    if len(sql) > MAX_SQL_CHARS:
        raise QueryError(
            f"the statement has {len(sql):,} characters, more than {MAX_SQL_CHARS:,};"
            " give long values as parameters"
        )
    mode = "frozen" if connection.mode == "frozen" else "ro"
    denied: list[str] = []
    deadline = time.monotonic() + timeout_s
    with Connection(connection.path, mode) as apart, apart.apart() as raw:
        raw.row_factory = None
        raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        raw.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, MAX_SQL_CHARS * 4)  # bytes of UTF-8
        _allow_reading_only(raw, denied)
        raw.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_PER_CHECK)
        try:
            cursor = raw.execute(sql, parameters)
            if cursor.description is None:
                raise QueryError("the statement returns no rows; give one SELECT statement")
            rows = cursor.fetchmany(max_rows + 1)
        except (OverflowError, UnicodeEncodeError) as error:
            raise QueryError(f"a parameter or the text cannot be passed to SQLite: {error}") from None
        except SQLITE_FAILURE as error:
            if denied:
                raise QueryError(f"{denied[0]} is not allowed here; only SELECT is") from None
            code = primary_code(error)
            if code == sqlite3.SQLITE_INTERRUPT:
                raise QueryError(f"stopped after {timeout_s:g} s; narrow the query") from None
            is_undecodable = isinstance(error, UnicodeDecodeError) or str(error).startswith("Could not decode")
            if code in FAILURES or is_undecodable:
                raise connection.translate(error) from error
            raise QueryError(f"SQL: {error}") from None
        columns = [column[0] for column in cursor.description]
        return columns, rows[:max_rows], len(rows) > max_rows


def _allow_reading_only(raw: sqlite3.Connection, denied: list[str]) -> None:
    """Install the authorizer; it appends the name of each thing that it denies to `denied`."""

    def authorize(
        action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None
    ) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in SAFE_FUNCTIONS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_PRAGMA and first in SAFE_PRAGMAS and second is None:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            denied.append(f"the function {second}()")
        else:
            denied.append(ACTION_NAMES.get(action, "this statement"))
        return sqlite3.SQLITE_DENY

    raw.set_authorizer(authorize)
