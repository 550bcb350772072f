"""Run SELECTs that exptrack did not write: those of ``Archive.sql``, ``exptrack sql`` and saved views.

Invariants, each enforced by SQLite itself and not by reading the text:

- The statement runs on a connection of its own, opened read-only and with ``query_only``.
- An authorizer allows SELECT, READ, recursion, and the pragmas and functions listed here. Of the pragmas, only
  those that describe the schema take an argument. Everything else is denied, also ATTACH, ``load_extension()``
  and writes through a view.
- Its time, the number and the size of its rows, the length of its text and the size of each value are limited.
- SQLite looks at no clock inside a function, nor while it compiles a statement, and a statement may hold
  thousands of values at once. So a statement runs in this process only while all its values are short, and if
  it is short itself and names no table that repeats others (see `_compiles_quickly`). Every other one runs in a
  process of its own (``sql_child``), whose memory is limited and which is killed at the end of its time.
"""

from __future__ import annotations

import marshal
import math
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from exptrack.database.connection import Connection, Parameters
from exptrack.database.failures import FAILURES, SQLITE_FAILURE, primary_code
from exptrack.database.own_schema import own_tables_and_views
from exptrack.database.time_limit import check_limit, current_limit
from exptrack.errors import QueryError, QueryStoppedError

MAX_SQL_CHARS = 100_000
# At worst, subqueries of the largest view: they compile in 0.2 s and 150 MB.
SHORT_SQL_CHARS = 10_000
# instr() of two such values takes 10 ms at worst, and SQLite looks at the clock about every hundred calls.
SHORT_VALUE_BYTES = 20_000
MAX_VALUE_BYTES = 64 * 1024 * 1024
MAX_RESULT_BYTES = 512 * 1024 * 1024
VALUE_BYTES = 32  # of the object that holds a value in a row
MAX_PATTERN_BYTES = 1_000  # of LIKE and GLOB
LONGEST_S = 1_000_000.0  # the system's own timers take no time above 24 days
LOOK_S = 0.1  # between two looks at the time, while the child works
GRACE_S = 0.5  # for the child to start and to answer by itself
CHILD = (
    "import marshal, sys; order = marshal.load(sys.stdin.buffer); sys.path[:] = order[0]; "
    "from exptrack.database.sql_child import answer; answer(order[1:])"
)
STEPS_PER_CHECK = 1_000  # of SQLite's virtual machine, between two looks at the clock
SAFE_PRAGMAS = frozenset(
    {
        "application_id",
        "user_version",
        "page_count",
        "page_size",
        "freelist_count",
        "encoding",
        "schema_version",
        "journal_mode",
    }
)
# These only describe the schema, also with an argument. As functions (pragma_table_info) they are tables.
SCHEMA_PRAGMAS = frozenset(
    {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list"}
    | {"collation_list", "function_list", "database_list", "compile_options"}
)
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

TABLES = (
    "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
)

Selected: TypeAlias = tuple[list[str], list[tuple[Any, ...]], bool]


class Limits(NamedTuple):
    """How much a statement may take. `deadline` is a time of ``time.monotonic()`` in this process."""

    max_rows: int
    timeout_s: float
    deadline: float
    value_bytes: int

    def time_is_up(self) -> QueryStoppedError:
        """Return the error of a statement that was stopped."""
        return QueryStoppedError(f"stopped after {self.timeout_s:g} s; narrow the query")


def run_guarded(
    connection: Connection, sql: str, parameters: Parameters, *, max_rows: int, timeout_s: float
) -> Selected:
    """Run one untrusted SELECT; return its columns, its rows and whether rows were left out.

    Raises:
        QueryError: the text is not a single SELECT, uses something forbidden or is too long; or a value or the
            rows are too large.
        QueryStoppedError: it took too long, or a TimeLimit stopped it.
    """
    if not 0 < max_rows < 2**31 or not 0 < timeout_s < math.inf:
        raise QueryError("max_rows must be from 1 to 2,147,483,647, and timeout_s a finite time above 0 s")
    connection.require_open()
    if len(sql) > MAX_SQL_CHARS:
        raise QueryError(
            f"the statement has {len(sql):,} characters, more than {MAX_SQL_CHARS:,};"
            " give long values as parameters"
        )
    outer = current_limit()
    if outer is not None:
        outer.check()
        left = outer.seconds_left
        timeout_s = timeout_s if left is None else min(timeout_s, left)
    mode = "frozen" if connection.mode == "frozen" else "ro"
    limits = Limits(max_rows, timeout_s, time.monotonic() + timeout_s, SHORT_VALUE_BYTES)
    with Connection(connection.path, mode) as apart:
        try:
            problem = f"a value is longer than {SHORT_VALUE_BYTES:,} bytes"
            try:
                with apart.apart() as raw:
                    if not _can_start_python() or _compiles_quickly(raw, sql):
                        return select(raw, sql, parameters, limits)
                problem = "the statement may take long to compile"
            except sqlite3.Error as error:
                if primary_code(error) != sqlite3.SQLITE_TOOBIG:
                    raise
            return run_in_child(connection.path, mode, sql, parameters, limits, problem)
        except SQLITE_FAILURE as error:
            is_undecodable = isinstance(error, UnicodeDecodeError) or str(error).startswith("Could not decode")
            if primary_code(error) in FAILURES or is_undecodable:
                raise connection.translate(error) from error
            raise QueryError(f"SQL: {error}") from None


def _compiles_quickly(raw: sqlite3.Connection, sql: str) -> bool:
    """Whether SQLite compiles a statement in a short time.

    It copies the text of a WITH table or of a view wherever it is named, and the expression of a generated
    column too. Where each names the one before twice, 30 of them make a thousand million copies.
    """
    if len(sql) > SHORT_SQL_CHARS or re.search(r"\bwith\b", sql, re.IGNORECASE):
        return False
    lowered, known = sql.lower(), own_tables_and_views()
    added = [name.lower() for (name,) in raw.execute(TABLES) if name not in known]
    # For its columns a pragma compiles a view, and some name every view.
    return not added or not any(name in lowered for name in ("pragma", *added))


def select(raw: sqlite3.Connection, sql: str, parameters: Parameters, limits: Limits) -> Selected:
    """Run one SELECT on a connection that serves nothing else.

    Raises:
        QueryError: see :func:`run_guarded`.
        sqlite3.Error, UnicodeDecodeError: another failure; the caller says what it means.
    """
    denied: list[str] = []
    raw.row_factory = None
    raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.value_bytes)
    raw.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_PATTERN_BYTES)
    raw.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, MAX_SQL_CHARS * 4)  # bytes of UTF-8
    _allow_reading_only(raw, denied)
    outer = current_limit()
    raw.set_progress_handler(
        lambda: time.monotonic() > limits.deadline or (outer is not None and outer.is_over), STEPS_PER_CHECK
    )
    try:
        cursor = raw.execute(sql, parameters)
        if cursor.description is None:
            raise QueryError("the statement returns no rows; give one SELECT statement")
        rows, more = _fetch(cursor, limits.max_rows)
    except (OverflowError, UnicodeEncodeError) as error:
        raise QueryError(f"a parameter or the text cannot be passed to SQLite: {error}") from None
    except MemoryError:
        raise QueryError("the statement needs too much memory; narrow the query") from None
    except sqlite3.Error as error:
        if denied:
            raise QueryError(f"{denied[0]} is not allowed here; give one SELECT without it") from None
        if primary_code(error) == sqlite3.SQLITE_INTERRUPT:
            check_limit()
            raise limits.time_is_up() from None
        raise
    return [column[0] for column in cursor.description], rows, more


def _fetch(cursor: sqlite3.Cursor, max_rows: int) -> tuple[list[tuple[Any, ...]], bool]:
    """Fetch up to `max_rows` rows; return them and whether there are more.

    Raises:
        QueryError: the rows are too large together.
    """
    rows: list[tuple[Any, ...]] = []
    size = 0
    for row in cursor:
        if len(rows) == max_rows:
            return rows, True
        size += VALUE_BYTES * len(row)
        size += sum([len(value) for value in row if value.__class__ is str or value.__class__ is bytes])
        if size > MAX_RESULT_BYTES:
            raise QueryError(f"the rows hold more than {MAX_RESULT_BYTES >> 20} MiB; select fewer of them")
        rows.append(row)
    return rows, False


def _allow_reading_only(raw: sqlite3.Connection, denied: list[str]) -> None:
    """Install the authorizer; it appends the name of each thing that it denies to `denied`."""

    def authorize(
        action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None
    ) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        # SQLite says so when it meets a function that is a table, such as json_each() or pragma_table_info().
        # It lets no statement change the schema by an UPDATE.
        if action == sqlite3.SQLITE_UPDATE and first == "sqlite_master":
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in SAFE_FUNCTIONS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_PRAGMA and first is not None:
            name = first.lower()
            if name in SCHEMA_PRAGMAS or (name in SAFE_PRAGMAS and second is None):
                return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            denied.append(f"the function {second}()")
        else:
            denied.append(ACTION_NAMES.get(action, "this statement"))
        return sqlite3.SQLITE_DENY

    raw.set_authorizer(authorize)


def run_in_child(
    path: Path, mode: str, sql: str, parameters: Parameters, limits: Limits, problem: str
) -> Selected:
    """Run a SELECT in a process of its own, for the rest of its time; `problem` says why it needs one.

    Raises:
        QueryError: see :func:`run_guarded`.
        sqlite3.Error: another failure, with its result code; the caller says what it means.
    """
    if not _can_start_python():
        raise QueryError(
            f"{problem}, and this program cannot start Python for it; select less, like the length of a text"
        )
    rest_s = min(limits.deadline - time.monotonic(), LONGEST_S)
    uri = f"{path.as_uri()}?mode=ro{'&immutable=1' * (mode == 'frozen')}"
    values = _adapt_parameters(parameters)
    order = marshal.dumps((sys.path, uri, sql, values, limits.max_rows, limits.timeout_s, rest_s))
    try:
        status, answer = _hand_over(order, time.monotonic() + max(rest_s, 0) + GRACE_S)
    except subprocess.TimeoutExpired:
        raise limits.time_is_up() from None
    except OSError as error:
        raise QueryError(
            f"{problem}, and no process can be started for it ({error.strerror});"
            " select less, like the length of a text"
        ) from None
    if status:
        raise QueryError("the statement needs too much memory or ended its process; narrow the query")
    kind, found = marshal.loads(answer)
    if kind == "stopped":
        raise QueryStoppedError(found)
    if kind == "refused":
        raise QueryError(found)
    if kind == "failed":
        failure = sqlite3.OperationalError(found[1])
        failure.sqlite_errorcode = found[0]
        raise failure
    selected: Selected = found
    return selected


def _hand_over(order: bytes, deadline: float) -> tuple[int, bytes]:
    """Give an order to a process of its own; return its exit code and its answer.

    Raises:
        subprocess.TimeoutExpired: it had no answer at the deadline; it is ended.
        QueryStoppedError: a TimeLimit stopped it; it is ended.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-I", "-c", CHILD], stdin=pipe, stdout=pipe, stderr=pipe) as child:
        rest: bytes | None = order
        try:
            while True:
                try:
                    answer, _errors = child.communicate(rest, timeout=LOOK_S)
                    return child.returncode, answer
                except subprocess.TimeoutExpired:
                    rest = None
                    check_limit()
                    if time.monotonic() > deadline:
                        raise
        except BaseException:
            child.kill()
            raise


def _can_start_python() -> bool:
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def _adapt_parameters(parameters: Parameters) -> Any:
    """Return parameters as the values that SQLite stores for them."""
    with closing(sqlite3.connect(":memory:")) as empty:

        def adapt(value: Any) -> Any:
            return empty.execute("SELECT ?", (value,)).fetchone()[0]

        if isinstance(parameters, dict):
            return {str(name): adapt(value) for name, value in parameters.items()}
        return [adapt(value) for value in parameters]
