"""Store a wrong value in a column of a row, as another program may, and read it by every public call.

Each call returns, or raises an error of exptrack that says what is damaged. So does ``verify``.
"""

from __future__ import annotations

import atexit
import functools
import re
import shutil
import sqlite3
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner

from exptrack import Archive, ConfigError, ExptrackError, InvalidTypeError, QueryError, SdnError
from exptrack.cli import main
from exptrack.database.migrations import migrations
from tests.faults.full_lab import build, tables
from tests.faults.readings import Reading, list_commands, list_readings
from tests.faults.tally import Tally

# Values of every type for any column, whatever its declared type: a flipped bit may change the type too.
NASTY: dict[str, Any] = {
    "null": None,
    "least": -(2**63),
    "most": 2**63 - 1,
    "zero": 0,
    "empty": "",
    "nul": "a\0b",
    "not UTF-8": sqlite3.Binary(b"\xff\xfe"),
    "deep list": "[" * 100_000 + "]" * 100_000,
    "deep map": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "no JSON": '{"a": [1, nul',
    "huge JSON": "1e999",
    "surrogate": '{"a": "\\ud800"}',
    "list": "[]",
    "long number": "9" * 5000,
    "steering": "\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202e\x08",
    "no date": "2024-13-45",
    "infinite": 9e999,
    "huge": -1e308,
    "32 bytes": b"\xff" * 32,
    "bytes": b"",
}

# No terminal is to get these: they move the cursor, change colours and titles, or turn the direction of text.
STEERS = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]")
OF_OPTUNA = ('"there is no study named', "'no study has the id", '"no study', "no trial of the study")


class Sound(NamedTuple):
    """An archive that uses every table; `loose` is the same file with tables that take any value."""

    data: bytes
    loose: bytes
    schema: dict[str, str]


@functools.cache
def sound() -> Sound:
    """Return the one sound archive of this process. Its ids and times are new in each process."""
    folder = tempfile.mkdtemp(prefix="exptrack-values-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "full.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        build(path)
    for table in tables(path):
        with sqlite3.connect(path) as connection:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0, table
        connection.close()
    data = path.read_bytes()
    connection = sqlite3.connect(path, isolation_level=None)
    schema = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'"))
    set_schema(connection, {name: loosen(sql) for name, sql in schema.items()})
    connection.close()
    return Sound(data, path.read_bytes(), schema)


def loosen(sql: str) -> str:
    """A CREATE TABLE without types that are enforced."""
    sql = re.sub(r"\b(TEXT|INTEGER|REAL|BLOB) NOT NULL", r"\1", sql)
    sql = sql.replace(") STRICT, WITHOUT ROWID", ") WITHOUT ROWID")
    return sql.replace(") STRICT", ")")


def set_schema(connection: sqlite3.Connection, schema: dict[str, str]) -> None:
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany(
        "UPDATE sqlite_schema SET sql = ? WHERE name = ?", [(sql, name) for name, sql in schema.items()]
    )
    connection.execute(f"PRAGMA schema_version = {version + 1}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def columns_of_schema() -> list[tuple[str, str]]:
    """Every column of every table that ``schema/`` makes, read by SQLite itself."""
    connection = sqlite3.connect(":memory:")
    for migration in migrations():
        connection.executescript(migration.text)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    found = [
        (name, row[1]) for name in sorted(names) for row in connection.execute(f"PRAGMA table_info({name})")
    ]
    connection.close()
    return found


COLUMNS = columns_of_schema()


def connect(path: Path) -> sqlite3.Connection:
    """Connect as another program. It does not wait for the disk: nobody needs its damage after a power cut."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def change(path: Path, table: str, value: str, parameters: tuple[Any, ...] = (), *, last: bool = True) -> bool:
    """Run an UPDATE of the first or last row of a table by SQL; return whether SQLite took it."""
    connection = connect(path)
    try:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        keys = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]] or ["rowid"]
        order = ", ".join(f"{key} DESC" if last else key for key in keys)
        one = f"SELECT {', '.join(keys)} FROM {table} ORDER BY {order} LIMIT 1"
        found = connection.execute(
            f"UPDATE {table} SET {value} WHERE ({', '.join(keys)}) = ({one})", parameters
        )
        return found.rowcount == 1
    except (sqlite3.IntegrityError, OverflowError):
        return False
    finally:
        connection.close()


def put(path: Path, table: str, column: str, name: str, value: Any, *, last: bool = True) -> bool:
    """Write the archive to `path` with a value in a column of any type; return whether that changed it."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(sound().loose)
    connection = connect(path)
    (before,) = connection.execute(f"SELECT count(*) FROM {table} WHERE {column} IS ?", (value,)).fetchone()
    connection.close()
    text = f"{column} = CAST(? AS TEXT)" if name == "not UTF-8" else f"{column} = ?"
    if before or not change(path, table, text, (value,), last=last):
        return False  # SQLite does not take it, or it is there already
    connection = connect(path)
    set_schema(connection, sound().schema)
    connection.close()
    return True


@functools.cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="exptrack-values-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@functools.cache
def _readings() -> tuple[dict[str, Reading], list[list[str]]]:
    path = _folder() / "sound.db"
    path.write_bytes(sound().data)
    with Archive(path, mode="ro") as archive:
        return list_readings(archive), list_commands(archive)


def read_everything(path: Path, commands: int = 0, first: int = 0) -> list[str]:
    """Return what each reading call does wrong; of the commands, run some from the number `first` on."""
    readings, lines = _readings()
    wrong = []
    try:
        archive = Archive(path, mode="ro")
    except ExptrackError as error:
        return _judge("opening", error)
    except Exception as error:
        return _judge("opening", error)
    with archive:
        for name, reading in {**readings, "verify": lambda a: a.verify()}.items():
            try:
                reading(archive)
            except Exception as error:
                wrong += _judge(name, error)
    for number in range(first, first + commands):
        words = lines[number % len(lines)]
        done = CliRunner().invoke(main, ["--db", str(path), *words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            wrong += _judge(" ".join(words), done.exception)
        if STEERS.search(done.output):
            wrong.append(f"{' '.join(words)}: a character that steers the terminal is printed")
    return wrong


def _judge(name: str, error: BaseException) -> list[str]:
    """Whether an error is exptrack's, and says what is damaged or missing rather than blame an argument."""
    blames_caller = isinstance(error, (InvalidTypeError, ConfigError, SdnError, QueryError))
    # Optuna asks for KeyError where a study is unknown.
    if (isinstance(error, ExptrackError) and not blames_caller) or str(error).startswith(OF_OPTUNA):
        return []
    place = traceback.extract_tb(error.__traceback__)[-1]
    return [f"{name}: {type(error).__name__}: {str(error)[:200]} ({place.filename}:{place.lineno})"]


def describe(seed: int) -> tuple[str, str, str, bool]:
    """Return what a seed stands for: table, column, the name of the value, and whether the last row gets it."""
    left, last = divmod(seed, 2)
    left, column = divmod(left, len(COLUMNS))
    # Each column begins with another value.
    name = list(NASTY)[(left + column) % len(NASTY)]
    return *COLUMNS[column], name, bool(last)


def try_one(seed: int, commands: int = 4) -> Tally:
    tally = Tally(tries=1)
    table, column, name, last = describe(seed)
    path = _folder() / "lab.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if put(path, table, column, name, NASTY[name], last=last):
            for wrong in read_everything(path, commands, seed):
                tally.blame("unreported", f"{table}.{column} holds {name}: {wrong}")
    return tally


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    total = Tally()
    for one in range(seed, seed + tries):
        total.add(try_one(one))
    return total
