"""Archives that were made to harm, each by one small function; `tests.portable.test_hostile` offers them."""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from exptrack.artifacts.folders import build_manifest
from exptrack.artifacts.registration import artifact_checksum
from exptrack.config.tree import list_leaves, sha256_text
from exptrack.database.connection import Connection
from exptrack.metrics.journal import CHECK, DEFINITION, IS_DEFINITION, seed_of
from exptrack.metrics.journal_file import HEADER_BYTES, HEADER_SLOTS, PAGE, SLOT, Header
from exptrack.metrics.writer import read_archive_identity
from exptrack.process import current_process
from exptrack.runs.events import checksum_event
from exptrack.runs.row_sums import OF_GROUP, OF_RUN, OF_STUDY, OF_TRIAL, sum_all
from exptrack.runs.seal import checksum_run
from tests.faults.wrong_values import loosen, set_schema

REFUSED, LEFT_OUT, TAKEN, RUNNING = "refused", "left out", "taken", "taken, running"
posix_only = os.name == "posix"


class Kind(NamedTuple):
    """A way to make a hostile file of a sound one at a path, and what must become of it."""

    make: Callable[[Path], object]
    becomes: str


KINDS: dict[str, Kind] = {}


def kind(name: str, becomes: str, *, posix: bool = False) -> Callable[[Callable[[Path], object]], Any]:
    """Register a kind, by its name."""

    def register(make: Callable[[Path], object]) -> Callable[[Path], object]:
        assert name not in KINDS
        if posix_only or not posix:
            KINDS[name] = Kind(make, becomes)
        return make

    return register


# Ways to change a file


def edit(path: Path, script: str, *parameters: Any) -> None:
    """Run SQL as another program may, without foreign keys and checks."""
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        program.execute("PRAGMA ignore_check_constraints = ON")
        program.execute("PRAGMA writable_schema = ON")
        if parameters:
            program.execute(script, parameters)
        else:
            program.executescript(script)
        program.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def loosened(path: Path, *, unique: bool = False) -> Iterator[sqlite3.Connection]:
    """Let tables take any value in the block; with `unique`, let no index of texts hear of it either."""
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        rows = program.execute("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema").fetchall()
    schema = {name: sql for kind_, name, _table, _root, sql in rows if kind_ == "table"}
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        loose = {name: loosen(sql) for name, sql in schema.items()}
        if unique:
            loose["run"] = loose["run"].replace("run_id TEXT UNIQUE", "run_id TEXT")
        set_schema(program, loose)
        if unique:
            program.execute("DELETE FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'run'")
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        program.execute("PRAGMA ignore_check_constraints = ON")
        yield program
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        set_schema(program, schema)
        if unique:
            program.execute("DELETE FROM sqlite_schema WHERE tbl_name = 'run'")
            own = [row for row in rows if row[2] == "run"]
            program.executemany("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", own)


def page_bytes_of(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[16:18], "big")


def root_of(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as program:
        return int(program.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0])


def patch(path: Path, at: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def forge(path: Path, script: str, *parameters: Any) -> None:
    """Change rows by SQL, then compute every checksum again, as a program can that wants to be believed."""
    edit(path, script, *parameters)
    seal_again(path)


def seal_again(path: Path) -> None:
    """Compute the sums and seals of all runs, groups, studies and trials, and the checksums of their rows."""
    with Connection(path, "immutable") as lab:
        artifacts = lab.all("SELECT r.run_id, a.* FROM artifact AS a JOIN run AS r ON r.id = a.run")
        events = lab.all("SELECT run, seq, happened_at, kind, data FROM event")
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        for row in artifacts:
            program.execute(
                "UPDATE artifact SET checksum = ? WHERE id = ?", (artifact_checksum(row), row["id"])
            )
        for run, seq, *facts in events:
            program.execute(
                "UPDATE event SET checksum = ? WHERE (run, seq) = (?, ?)", (checksum_event(*facts), run, seq)
            )
        for run, seal in _read(path, "run", checksum_run):
            program.execute("UPDATE run SET checksum = ? WHERE id = ? AND checksum IS NOT NULL", (seal, run))
    for table, parts in (("run", OF_RUN), ("run_group", OF_GROUP), ("study", OF_STUDY), ("trial", OF_TRIAL)):
        sums = _read(path, table, lambda lab, row, parts=parts: sum_all(lab, parts, row))
        with closing(sqlite3.connect(path, isolation_level=None)) as program:
            program.executemany(f"UPDATE {table} SET rows_sum = ?2 WHERE id = ?1", sums)


def _read(path: Path, table: str, read: Callable[[Connection, int], Any]) -> list[tuple[int, Any]]:
    with Connection(path, "immutable") as lab:
        return [(row[0], read(lab, row[0])) for row in lab.all(f"SELECT id FROM {table}")]


FIRST = "(SELECT min(id) FROM run)"


def set_first(path: Path, column: str, value: Any) -> None:
    """Put a value into a column of the first run, and compute its checksums again."""
    forge(path, f"UPDATE run SET {column} = ? WHERE id = {FIRST}", value)


# No archives


@kind("an empty file", REFUSED)
def _(path: Path) -> None:
    os.truncate(path, 0)


@kind("a text file", REFUSED)
def _(path: Path) -> None:
    path.write_text("step,loss\n0,1.0\n" * 1000)


@kind("noise, as if encrypted", REFUSED)
def _(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(100_000))


@kind("noise behind our header", REFUSED)
def _(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100] + random.Random(1).randbytes(100_000))


@kind("a header alone", REFUSED)
def _(path: Path) -> None:
    os.truncate(path, 100)


@kind("a file that is cut in the middle", REFUSED)
def _(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@kind("a database of another program", REFUSED)
def _(path: Path) -> None:
    path.unlink()
    edit(path, "CREATE TABLE bookmark (url TEXT)")


@kind("a database without a table, under our number", REFUSED)
def _(path: Path) -> None:
    path.unlink()
    edit(path, f"PRAGMA application_id = {0x45585054}; PRAGMA user_version = 1; VACUUM")


@kind("a folder", REFUSED)
def _(path: Path) -> None:
    path.unlink()
    path.mkdir()


@kind("nothing", REFUSED)
def _(path: Path) -> None:
    path.unlink()


@kind("a FIFO", REFUSED, posix=True)
def _(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@kind("a link to a FIFO", REFUSED, posix=True)
def _(path: Path) -> None:
    path.unlink()
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


@kind("a link to an endless device", REFUSED, posix=True)
def _(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@kind("a circle of links", REFUSED, posix=True)
def _(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


@kind("a socket", REFUSED, posix=True)
def _(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(path.parent)
        one.bind(path.name)
        os.chdir(here)


# Files beside it


@kind("a FIFO in the place of the -wal", REFUSED, posix=True)
def _(path: Path) -> None:
    os.mkfifo(f"{path}-wal")


@kind("a link in the place of the -wal", REFUSED, posix=True)
def _(path: Path) -> None:
    Path(f"{path}-wal").symlink_to("/etc/passwd")


@kind("noise in the -wal", TAKEN)
def _(path: Path) -> None:
    Path(f"{path}-wal").write_bytes(random.Random(2).randbytes(40_000))


@kind("a journal that names a file to be deleted", REFUSED)
def _(path: Path) -> None:
    victim = os.fsencode(path.parent.parent / "precious")
    head = bytes.fromhex("d9d505f920a163d7") + struct.pack(">IIIII", 0, 1, 5, 512, 4096)
    name = struct.pack(">I", 1) + victim + struct.pack(">II", len(victim), sum(victim))
    Path(f"{path}-journal").write_bytes(head.ljust(512, b"\0") + name + bytes.fromhex("d9d505f920a163d7"))


@kind("a journal of noise", TAKEN)
def _(path: Path) -> None:
    Path(f"{path}-journal").write_bytes(random.Random(3).randbytes(10_000))


@kind("a journal that cuts the file to one page", REFUSED)
def _(path: Path) -> None:
    head = bytes.fromhex("d9d505f920a163d7") + struct.pack(">IIIII", 0, 1, 1, 512, page_bytes_of(path))
    Path(f"{path}-journal").write_bytes(head.ljust(512, b"\0"))


def write_wal(path: Path, frames: list[tuple[int, int, bytes]]) -> None:
    """Write a log of frames: page, pages after the commit, content; with checksums that agree."""
    size = page_bytes_of(path)
    patch(path, 18, b"\2\2")
    head = struct.pack(">IIIIII", 0x377F0682, 3007000, size, 0, 7, 9)

    def checksum(data: bytes, state: tuple[int, int]) -> tuple[int, int]:
        one, two = state
        for first, second in struct.iter_unpack("<II", data):
            one = (one + first + two) & 0xFFFFFFFF
            two = (two + second + one) & 0xFFFFFFFF
        return one, two

    state = checksum(head, (0, 0))
    out = head + struct.pack(">II", *state)
    for page, pages, content in frames:
        begin = struct.pack(">II", page, pages)
        state = checksum(begin + content, state)
        out += begin + struct.pack(">IIII", 7, 9, *state) + content
    Path(f"{path}-wal").write_bytes(out)


@kind("a -wal that claims the last page there can be", REFUSED)
def _(path: Path) -> None:
    write_wal(path, [(0xFFFFFFFD, 0xFFFFFFFD, bytes(page_bytes_of(path)))])


@kind("a -wal of zeros for the first page", REFUSED)
def _(path: Path) -> None:
    size = page_bytes_of(path)
    write_wal(path, [(1, path.stat().st_size // size, bytes(size))])


@kind("a file of holes that claims a terabyte", REFUSED, posix=True)
def _(path: Path) -> None:
    pages = (1 << 40) // page_bytes_of(path)
    patch(path, 28, struct.pack(">I", pages))
    os.truncate(path, 1 << 40)


# Structure


@kind("a diamond of pages below the points", REFUSED)
def _(path: Path) -> None:
    make_diamond(path, "metric_point")


@kind("a diamond of pages below the events", REFUSED)
def _(path: Path) -> None:
    make_diamond(path, "event")


@kind("a diamond of pages below the schema", REFUSED)
def _(path: Path) -> None:
    make_diamond(path, None)


def make_diamond(path: Path, table: str | None, levels: int = 8) -> None:
    """Let each inner page of a table lead to the same page below, hundreds of times on each level."""
    size = page_bytes_of(path)
    data = bytearray(path.read_bytes())
    pages = len(data) // size
    root = 1 if table is None else root_of(path, table)
    at = (root - 1) * size + (100 if root == 1 else 0)
    is_index = data[at] in (2, 10)
    # The root's own content becomes the one leaf.
    leaf = bytearray(data[(root - 1) * size : root * size])
    if root == 1:
        leaf = bytearray(size)
        leaf[:8] = struct.pack(">BHHHB", 13, 0, 0, size, 0)
    found = [bytes(leaf)]
    child = pages + 1
    cell = b"\x02\x02\x01" if is_index else b"\x01"  # a record of one column; a row id
    count = 200
    for level in range(levels):
        page = bytearray(size)
        begin = size - count * (4 + len(cell))
        for number in range(count):
            place = begin + number * (4 + len(cell))
            page[place : place + 4 + len(cell)] = struct.pack(">I", child) + cell
            struct.pack_into(">H", page, 12 + 2 * number, place)
        page[:12] = struct.pack(">BHHHBI", 2 if is_index else 5, 0, count, begin, 0, child)
        found.append(bytes(page))
        child = pages + 2 + level
    top = found.pop()
    if root == 1:
        body = bytearray(size)
        begin = size - 40 * 5
        for number in range(40):
            place = begin + number * 5
            body[place : place + 5] = struct.pack(">I", child - 1) + b"\x01"
            struct.pack_into(">H", body, 112 + 2 * number, place)
        body[:100] = data[:100]
        body[100:112] = struct.pack(">BHHHBI", 5, 0, 40, begin, 0, child - 1)
        top = bytes(body)
    data[(root - 1) * size : root * size] = top
    data += b"".join(found)
    struct.pack_into(">I", data, 28, len(data) // size)
    path.write_bytes(data)


@kind("a page that leads to itself", REFUSED)
def _(path: Path) -> None:
    size, root = page_bytes_of(path), root_of(path, "metric_point")
    data = path.read_bytes()
    page = bytearray(data[(root - 1) * size : root * size])
    assert page[0] == 2  # so that it has children
    struct.pack_into(">I", page, 8, root)
    patch(path, (root - 1) * size, bytes(page))


@kind("two tables on one page", REFUSED)
def _(path: Path) -> None:
    edit(
        path,
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'run')"
        " WHERE name = 'study'",
    )


@kind("a table on the page of another one of the same columns", REFUSED)
def _(path: Path) -> None:
    edit(
        path,
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'note')"
        " WHERE name = 'metric_check'",
    )


@kind("an index that hides a run", REFUSED)
def _(path: Path) -> None:
    with loosened(path, unique=True) as program:
        program.execute("UPDATE run SET run_id = '00000000000000zz' WHERE id = 1")


@kind("two runs of one id, and an index that knows of one", REFUSED)
def _(path: Path) -> None:
    with loosened(path, unique=True) as program:
        names = ", ".join(row[1] for row in program.execute("PRAGMA table_info(run)") if row[1] != "id")
        program.execute(f"INSERT INTO run (id, {names}) SELECT 999, {names} FROM run WHERE id = 1")


@kind("text in a column of integers", REFUSED)
def _(path: Path) -> None:
    with loosened(path) as program:
        program.execute("UPDATE run SET duration_ms = 'for ever' WHERE id = 1")


@kind("NULL where none may be", REFUSED)
def _(path: Path) -> None:
    with loosened(path) as program:
        program.execute("UPDATE run SET run_id = NULL WHERE id = 1")


@kind("a status that is none", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE run SET status = 'winning' WHERE id = 1")


@kind("bytes that are no UTF-8", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE note SET text = CAST(x'fffe41' AS TEXT) WHERE run = 1")


@kind("text in the steps of points", LEFT_OUT)
def _(path: Path) -> None:
    with loosened(path) as program:
        program.execute("UPDATE metric_point SET time_ms = 'soon' WHERE series = 1 AND step = 3")


@kind("texts in UTF-16", REFUSED)
def _(path: Path) -> None:
    with closing(sqlite3.connect(path)) as old:
        dump = "\n".join(line for line in old.iterdump() if "sqlite_sequence" not in line)
    path.unlink()
    edit(
        path,
        f"PRAGMA encoding = 'UTF-16le'; {dump}PRAGMA application_id = {0x45585054}; PRAGMA user_version = 1",
    )


@kind("a newer format", REFUSED)
def _(path: Path) -> None:
    edit(path, "PRAGMA user_version = 99")


@kind("a format below the first", REFUSED)
def _(path: Path) -> None:
    edit(path, "PRAGMA user_version = -1")


@kind("a free page that is in use", TAKEN)
def _(path: Path) -> None:
    root = root_of(path, "run")
    patch(path, 32, struct.pack(">II", root, 1))


# Schema


@kind("a trigger on our table", TAKEN)
def _(path: Path) -> None:
    edit(path, "CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM run; END")


@kind("a view in the place of our table", REFUSED)
def _(path: Path) -> None:
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n AS id FROM c"
    edit(path, f"ALTER TABLE run RENAME TO mine; CREATE VIEW run AS {endless}")


@kind("a virtual table in the place of our table", REFUSED)
def _(path: Path) -> None:
    edit(path, "DROP TABLE user_view; CREATE VIRTUAL TABLE user_view USING fts5(name, fields, checksum)")


def reword(path: Path, table: str, before: str, after: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        (sql,) = program.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        assert before in sql
        set_schema(program, {table: sql.replace(before, after)})


@kind("a generated column in our table", REFUSED)
def _(path: Path) -> None:
    reword(path, "note", "text TEXT NOT NULL,", "text TEXT AS (hex(zeroblob(99999999))),")


@kind("a check that calls a function", REFUSED)
def _(path: Path) -> None:
    reword(path, "run", "host TEXT NOT NULL", "host TEXT NOT NULL CHECK (load_extension(host))")


@kind("a default that is an expression", REFUSED)
def _(path: Path) -> None:
    reword(path, "run", "DEFAULT 0", "DEFAULT (abs(-9223372036854775808))")


@kind("virtual tables of programs that are not here", TAKEN)
def _(path: Path) -> None:
    edit(
        path,
        "CREATE VIRTUAL TABLE found USING fts5(x);"
        "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE found USING nowhere(x)' WHERE name = 'found'",
    )


@kind("an index of an expression that never ends", TAKEN)
def _(path: Path) -> None:
    edit(path, "CREATE INDEX mine ON run (length(host))")
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        set_schema(
            program, {"mine": "CREATE INDEX mine ON run (length(replace(hex(zeroblob(9999999)),'0','00')))"}
        )


@kind("absurd statistics", TAKEN)
def _(path: Path) -> None:
    edit(
        path,
        "ANALYZE; UPDATE sqlite_stat1 SET stat = '1 1 1'; INSERT INTO sqlite_stat1 VALUES"
        " ('run', 'run_by_start', '99999999999999999999 x unordered')",
    )


@kind("3,000 views", TAKEN)
def _(path: Path) -> None:
    with closing(sqlite3.connect(path)) as program:
        program.execute("PRAGMA writable_schema = ON")
        views = ((f"v{n}", f"CREATE VIEW v{n} AS SELECT {'x,' * 30} 1 FROM run") for n in range(3_000))
        program.executemany("INSERT INTO sqlite_schema VALUES ('view', ?1, ?1, 0, ?2)", views)
        program.commit()


@kind("a schema that cannot be parsed", TAKEN)
def _(path: Path) -> None:
    edit(
        path,
        "CREATE VIEW mine AS SELECT 1; UPDATE sqlite_schema SET sql = 'CREATE VIEW mine AS (((' WHERE name = 'mine'",
    )


# What rows say, with right checksums


@kind("a run id that is a path", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "run_id", "../../../../etc/x")


@kind("a run id that is SQL", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "run_id", "'; DROP TABLE run; --")


@kind("a name that steers the terminal", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "name", "\x1b]0;owned\x07\x1b[2Jloss")


@kind("a name of a megabyte", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "name", "n" * 1_000_000)


@kind("a name that is empty", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "name", "")


@kind("a run that is its own parent", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, f"UPDATE run SET parent_run_id = run_id WHERE id = {FIRST}")


@kind("runs that are each other's parents", TAKEN)
def _(path: Path) -> None:
    forge(
        path,
        "UPDATE run SET parent_run_id = (SELECT run_id FROM run AS o WHERE o.id = 3 - run.id) WHERE id < 3",
    )


@kind("row ids at both ends of 64 bits", TAKEN)
def _(path: Path) -> None:
    tables = (
        "run_owner run_environment run_config config_value run_tag note event run_attribute run_ingest artifact"
    )
    tables += " artifact_alias run_input metric_series"
    moves = [(1, 2**63 - 1), (2, -(2**63)), (3, -1)]
    script = "".join(
        f"UPDATE run SET id = {new} WHERE id = {old};"
        + "".join(f"UPDATE {table} SET run = {new} WHERE run = {old};" for table in tables.split())
        for old, new in moves
    )
    forge(path, script)
    sum_series(path)


def sum_series(path: Path) -> None:
    """Compute the sums of all series again, which hold row ids."""
    from exptrack.metrics.store import hash_summary
    from exptrack.metrics.summary import SUMMARY_COLUMNS

    with Connection(path, "immutable") as lab:
        rows = lab.all("SELECT s.*, n.name FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric")
    with Connection(path.with_name("before.db"), "immutable") as lab:
        before = {row["id"]: row["run"] for row in lab.all("SELECT id, run FROM metric_series")}
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        for row in rows:
            numbers = [row[column] for column in SUMMARY_COLUMNS]
            change = hash_summary(row["id"], row["run"], row["name"], numbers) - hash_summary(
                row["id"], before[row["id"]], row["name"], numbers
            )
            total = (row["rows_sum"] + change + 2**63) % 2**64 - 2**63
            program.execute("UPDATE metric_series SET rows_sum = ? WHERE id = ?", (total, row["id"]))


@kind("a date that is none", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "heartbeat_at", "2026-02-30 10:00:00.000000")


@kind("a run that ends before its start", LEFT_OUT)
def _(path: Path) -> None:
    set_first(path, "ended_at", "1970-01-01 00:00:00.000000")


@kind("a JSON text of a hundred thousand levels", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE event SET data = ? WHERE run = 1 AND seq = 0", '{"a":' * 100_000 + "1" + "}" * 100_000)


@kind("a JSON text of a million lists", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE event SET data = ? WHERE run = 1 AND seq = 0", '{"a":[' + "[]," * 1_500_000 + "[]]}")


@kind("NaN in a JSON text", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE artifact SET metadata = '{\"lines\":NaN}' WHERE run = 1")


@kind("a config that is a list", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE run_config SET snapshot = '[1]' WHERE run = 1")


@kind("an infinity in a config", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE config_value SET num = 9e999 WHERE run = 1 AND num IS NOT NULL")


@kind("a config of ten thousand keys that are one", LEFT_OUT)
def _(path: Path) -> None:
    snapshot = "{" + ",".join(['"a":1'] * 10_000) + "}"
    forge(path, "UPDATE run_config SET snapshot = ? WHERE run = 1", snapshot)
    set_first(path, "config_hash", sha256_text(snapshot))


@kind("a config that names itself a secret", TAKEN)
def _(path: Path) -> None:
    replace_config(path, {"password": "loss", "api_key": "relu"})


def replace_config(path: Path, values: dict[str, Any]) -> None:
    """Give the first run another config, with its leaves and hashes."""
    snapshot = json.dumps(values, sort_keys=True, separators=(",", ":"))
    edit(path, "DELETE FROM config_value WHERE run = 1")
    edit(path, "UPDATE run_config SET snapshot = ? WHERE run = 1", snapshot)
    for leaf in list_leaves("", values):
        edit(path, "INSERT OR IGNORE INTO config_key (key) VALUES (?)", leaf.key)
        edit(
            path,
            "INSERT INTO config_value (run, key, type, num, text)"
            " VALUES (1, (SELECT id FROM config_key WHERE key = ?), ?, ?, ?)",
            *leaf,
        )
    set_first(path, "config_hash", sha256_text(snapshot))


@kind("a run that this very process writes", RUNNING)
def _(path: Path) -> None:
    me = current_process()
    edit(
        path,
        "UPDATE run SET status = 'running', ended_at = NULL, checksum = NULL WHERE id = 1;"
        "UPDATE metric_series SET completed = 0, checksum = NULL WHERE run = 1;"
        "DELETE FROM metric_check WHERE series IN (SELECT id FROM metric_series WHERE run = 1)",
    )
    forge(path, "INSERT INTO run_owner (run, host_id, boot_id, pid, pid_started) VALUES (1, ?, ?, ?, ?)", *me)


@kind("a seal that lies", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE run SET checksum = ? WHERE id = 1", "ab" * 32)


@kind("a sum that lies", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE run SET rows_sum = rows_sum + 1 WHERE id = 1")


@kind("a seal of the file that lies", TAKEN)
def _(path: Path) -> None:
    edit(path, "UPDATE seal SET content = ?", "00" * 32)


@kind("an event that was changed", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE event SET data = '{}' WHERE run = 1 AND seq = 0")


@kind("an event that is missing", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "DELETE FROM event WHERE run = 1 AND seq = 1")


@kind("a metric whose name steers the terminal", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE metric_name SET name = char(27) || '[31m' WHERE name = 'acc'")


@kind("points that were changed", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE metric_point SET value = value + 1 WHERE series = 1 AND step = 3")


@kind("points that are missing", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "DELETE FROM metric_point WHERE series = 1 AND step = 3")


@kind("a series of the points of no run", TAKEN)
def _(path: Path) -> None:
    edit(path, "INSERT INTO metric_point VALUES (9223372036854775807, 1, 1, 1, 1.0), (-5, 1, 1, 1, 1.0)")


# Bytes


@kind("a wrong chunk under a right name", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE chunk_data SET data = zeroblob(length(data)) WHERE chunk = (SELECT min(id) FROM chunk)")


def replace_chunk(path: Path, data: bytes, **facts: Any) -> None:
    """Put other bytes into the first chunk."""
    edit(path, "UPDATE chunk_data SET data = ? WHERE chunk = (SELECT min(id) FROM chunk)", data)
    for column, value in {"stored_bytes": len(data), "codec": "zstd", **facts}.items():
        edit(path, f"UPDATE chunk SET {column} = ? WHERE id = (SELECT min(id) FROM chunk)", value)


@kind("a frame that unpacks to a gigabyte", LEFT_OUT)
def _(path: Path) -> None:
    import zstandard

    stream = zstandard.ZstdCompressor().compressobj(size=1 << 30)
    out = b"".join(stream.compress(bytes(1 << 24)) for _ in range(64)) + stream.flush()
    replace_chunk(path, out)


@kind("a frame that says it is short, and is not", LEFT_OUT)
def _(path: Path) -> None:
    import zstandard

    stream = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    replace_chunk(path, stream.compress(bytes(1 << 26)) + stream.flush())


@kind("a chunk of no known codec", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE chunk SET codec = 'pickle' WHERE id = (SELECT min(id) FROM chunk)")


@kind("a content that is one chunk a hundred thousand times", LEFT_OUT)
def _(path: Path) -> None:
    # 1 MiB of zeros, packed, 100,000 times: 100 GB of a small file.
    import zstandard

    data, times = bytes(1 << 20), 100_000
    digest = hashlib.sha256(data).digest()
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        program.execute("BEGIN")
        packed = zstandard.compress(data)
        chunk = program.execute(
            "INSERT INTO chunk (sha256, raw_bytes, stored_bytes, codec) VALUES (?, ?, ?, 'zstd')",
            (digest, len(data), len(packed)),
        ).lastrowid
        program.execute("INSERT INTO chunk_data VALUES (?, ?)", (chunk, packed))
        (blob,) = program.execute("SELECT blob FROM artifact WHERE run = 1 AND name = 'words'").fetchone()
        program.execute("DELETE FROM blob_chunk WHERE blob = ?", (blob,))
        program.executemany(
            "INSERT INTO blob_chunk VALUES (?, ?, ?)", ((blob, at * len(data), chunk) for at in range(times))
        )
        listed = hashlib.sha256(digest * times).digest()
        program.execute(
            "UPDATE blob SET size_bytes = ?, list_sha256 = ? WHERE id = ?", (times * len(data), listed, blob)
        )
        program.execute("COMMIT")


@kind("a content without its chunks", LEFT_OUT)
def _(path: Path) -> None:
    edit(
        path, "DELETE FROM blob_chunk WHERE blob = (SELECT blob FROM artifact WHERE run = 1 AND name = 'words')"
    )


@kind("a content of another size than it says", LEFT_OUT)
def _(path: Path) -> None:
    edit(
        path,
        "UPDATE blob SET size_bytes = size_bytes + 1"
        " WHERE id = (SELECT blob FROM artifact WHERE run = 1 AND name = 'words')",
    )


@kind("a content under the hash of another one", LEFT_OUT)
def _(path: Path) -> None:
    forged = "sha256:" + "ab" * 32
    edit(
        path,
        "UPDATE blob SET hash = ? WHERE id = (SELECT blob FROM artifact WHERE run = 1 AND name = 'words')",
        forged,
    )
    forge(path, "UPDATE artifact SET hash = ? WHERE run = 1 AND name = 'words'", forged)


@kind("a folder that lacks a file of its manifest", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "DELETE FROM artifact_entry WHERE artifact = (SELECT min(artifact) FROM artifact_entry)")


@kind("a folder with a file outside of it", LEFT_OUT)
def _(path: Path) -> None:
    forge_folder(path, "../../outside")


@kind("a folder with a file at the top", LEFT_OUT)
def _(path: Path) -> None:
    forge_folder(path, "/etc/cron.d/x")


@kind("a folder with a file that is a device on Windows", LEFT_OUT)
def _(path: Path) -> None:
    forge_folder(path, "sub/CON.txt")


def forge_folder(path: Path, name: str) -> None:
    """Rename the first file of the folders, and make manifests that agree."""
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        program.execute("UPDATE artifact_entry SET path = ? WHERE path = 'a.txt'", (name,))
        rows = program.execute(
            "SELECT e.path, e.mode, b.hash, b.size_bytes FROM artifact_entry AS e LEFT JOIN blob AS b"
            " ON b.id = e.blob WHERE e.artifact = (SELECT min(artifact) FROM artifact_entry)"
        ).fetchall()
        manifest = build_manifest((one[0], one[1], one[2:] if one[2] else None) for one in rows)
        whole = hashlib.sha256(manifest)
        (blob,) = program.execute("SELECT blob FROM artifact WHERE name = 'tree' LIMIT 1").fetchone()
        chunk = program.execute(
            "INSERT INTO chunk (sha256, raw_bytes, stored_bytes, codec) VALUES (?, ?, ?, 'raw')",
            (whole.digest(), len(manifest), len(manifest)),
        ).lastrowid
        program.execute("INSERT INTO chunk_data VALUES (?, ?)", (chunk, manifest))
        program.execute("DELETE FROM blob_chunk WHERE blob = ?", (blob,))
        program.execute("INSERT INTO blob_chunk VALUES (?, 0, ?)", (blob, chunk))
        program.execute(
            "UPDATE blob SET hash = ?, size_bytes = ?, list_sha256 = ? WHERE id = ?",
            (f"sha256:{whole.hexdigest()}", len(manifest), hashlib.sha256(whole.digest()).digest(), blob),
        )
        program.execute("UPDATE artifact SET hash = ? WHERE name = 'tree'", (f"sha256:{whole.hexdigest()}",))
    seal_again(path)


@kind("an artifact whose hash is none", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE artifact SET hash = 'sha256:../../x' WHERE run = 1 AND name = 'weights'")


@kind("a note that claims a hundred megabytes on pages in a circle", REFUSED)
def _(path: Path) -> None:
    edit(path, "UPDATE note SET text = ? WHERE run = 1", "x" * 3_000_000)
    data = path.read_bytes()
    size = page_bytes_of(path)
    header = varint(2 * 3_000_000 + 13)
    at = data.index(header + b"2026")  # the header of the record ends with the type of the text
    longer = varint(2 * 100_000_000 + 13)
    assert len(longer) == len(header)
    patch(path, at, longer)
    begin = data.rindex(varint(3_000_000 + at - data.rindex(b"\x05", 0, at) + 26 + 2), 0, at) if False else None
    assert begin is None
    last = data.rindex(b"x" * 1000) // size
    patch(path, last * size, struct.pack(">I", last))


def varint(number: int) -> bytes:
    out = [number & 0x7F]
    while number := number >> 7:
        out.append(number & 0x7F | 0x80)
    return bytes(reversed(out))


# Groups and studies


@kind("a group that was changed", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE run_group_attribute SET text = 'bob'")


@kind("a group whose name steers the terminal", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE run_group SET name = char(27) || '[2J' WHERE name = 'empty'")


@kind("a study that was changed", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE study SET settings = '{}'")


@kind("a study whose name is a megabyte", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE study SET name = ?", "s" * 1_000_000)


@kind("a study whose settings are a hundred thousand levels deep", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE study SET settings = ?", '{"a":' * 100_000 + "1" + "}" * 100_000)


@kind("a trial of a number below 0", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE trial SET number = -1 WHERE number = 0")


@kind("a trial whose value is infinite", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE trial_value SET value = 9e999 WHERE id = 1")


@kind("a study whose id is none", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE study SET uid = '../x'")


# Journals beside it


def journal(
    path: Path, owner: Any = None, archive: str | None = None, **points: tuple[str, int, float, float]
) -> Path:
    """Write a journal of these points: run id, step, time, value, by metric."""
    with Connection(path, "immutable") as lab:
        birth = read_archive_identity(lab)
    header = Header(archive or birth, owner or current_process()._replace(pid=999_999, started="1"), 7)
    seed = seed_of(0, 7)
    data = b""
    for index, (name, (run_id, step, time_ms, value)) in enumerate(points.items()):
        place = HEADER_SLOTS + len(data) // SLOT
        text = name.encode().ljust(40, b"\0")
        begin = DEFINITION.pack(place, index | IS_DEFINITION, len(name.encode()), 0, run_id.encode(), 2 << 32)
        record = begin + text
        data += record + CHECK.pack(zlib.crc32(record, seed))
        point = struct.pack("<QQqdd", place + 2, index, step, time_ms, value)
        data += point + CHECK.pack(zlib.crc32(point, seed))
    place = Path(f"{path}.deadbeef-999999-00000007.points")
    with open(place, "wb") as file:
        file.write(header.pack())
        file.seek(HEADER_BYTES)
        file.write(data)
        file.truncate(header.file_bytes)
    return place


def running_id(path: Path) -> str:
    with closing(sqlite3.connect(path)) as program:
        return str(program.execute("SELECT run_id FROM run WHERE status = 'running'").fetchone()[0])


@kind("a journal with names and times that cannot be", TAKEN)
def _(path: Path) -> None:
    run_id = running_id(path)
    journal(
        path, **{"\x1b[2J": (run_id, 1, 1.0, 1.0), "late": (run_id, 1, 1e300, 1.0), "": (run_id, 1, 1.0, 1.0)}
    )


@kind("a journal of another archive", TAKEN)
def _(path: Path) -> None:
    journal(path, archive="2020-01-01 00:00:00.000000 " + "ab" * 32, loss=(running_id(path), 99, 1.0, 1.0))


@kind("a journal that is a FIFO", TAKEN, posix=True)
def _(path: Path) -> None:
    os.mkfifo(f"{path}.deadbeef-999999-00000007.points")


@kind("a journal that is a link", TAKEN, posix=True)
def _(path: Path) -> None:
    Path(f"{path}.deadbeef-999999-00000007.points").symlink_to("/dev/zero")


@kind("a journal of holes that claims 20 GB", TAKEN, posix=True)
def _(path: Path) -> None:
    os.truncate(journal(path, loss=(running_id(path), 99, 1.0, 1.0)), 20 << 30)


@kind("a journal with a header of noise", TAKEN)
def _(path: Path) -> None:
    patch(journal(path, loss=(running_id(path), 99, 1.0, 1.0)), 0, random.Random(4).randbytes(2 * PAGE))
