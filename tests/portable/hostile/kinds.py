"""Register ways to make an archive hostile, with what must become of it; and change the files of archives."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from exptrack.artifacts.registration import artifact_checksum
from exptrack.database.connection import Connection
from exptrack.runs.events import checksum_event
from exptrack.runs.row_sums import OF_GROUP, OF_RUN, OF_STUDY, OF_TRIAL, sum_all
from exptrack.runs.seal import checksum_run
from tests.faults.wrong_values import loosen, set_schema

# What becomes of an archive: opening it as a source is refused; or only merging it is; or a part of it is left
# out, and the report says so; or all that exptrack reads of it is sound, and is taken.
REFUSED, NOT_MERGED, LEFT_OUT, TAKEN = "refused", "not merged", "left out", "taken"


class Kind(NamedTuple):
    """A way to make a hostile file of a sound one at a path, and what must become of it."""

    make: Callable[[Path], object]
    becomes: str


KINDS: dict[str, Kind] = {}


def kind(name: str, becomes: str, *, posix: bool = False) -> Callable[[Callable[[Path], object]], Any]:
    """Register a kind, by its name."""

    def register(make: Callable[[Path], object]) -> Callable[[Path], object]:
        assert name not in KINDS
        if os.name == "posix" or not posix:
            KINDS[name] = Kind(make, becomes)
        return make

    return register


@contextmanager
def program(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file as another program may, without foreign keys and checks; nothing waits for the disk."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA synchronous = OFF")
        raw.execute("PRAGMA ignore_check_constraints = ON")
        yield raw


def edit(path: Path, script: str, *parameters: Any) -> None:
    """Run SQL as another program may, that of the schema too."""
    with program(path) as raw:
        raw.execute("PRAGMA writable_schema = ON")
        if parameters:
            raw.execute(script, parameters)
        else:
            raw.executescript(script)
        raw.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def loosened(path: Path, *, unique: bool = False) -> Iterator[sqlite3.Connection]:
    """Let tables take any value in the block; with `unique`, let no index of texts hear of it either."""
    with program(path) as raw:
        rows = raw.execute("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema").fetchall()
        schema = {row[1]: row[4] for row in rows if row[0] == "table"}
        loose = {name: loosen(sql) for name, sql in schema.items()}
        if unique:
            loose["run"] = loose["run"].replace("run_id TEXT UNIQUE", "run_id TEXT")
        set_schema(raw, loose)
        if unique:
            raw.execute("DELETE FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'run'")
    with program(path) as raw:
        yield raw
        set_schema(raw, schema)
        if unique:
            raw.execute("DELETE FROM sqlite_schema WHERE tbl_name = 'run'")
            own = [row for row in rows if row[2] == "run"]
            raw.executemany("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", own)


def page_bytes_of(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[16:18], "big")


def root_of(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as program:
        return int(program.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0])


def varint(number: int) -> bytes:
    """Write a number as SQLite does: seven bits a byte, the highest first."""
    out = [number & 0x7F]
    while number := number >> 7:
        out.append(number & 0x7F | 0x80)
    return bytes(reversed(out))


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
        seals = [(checksum_run(lab, row[0]), row[0]) for row in lab.all("SELECT id FROM run")]
    _write(
        path,
        {
            "UPDATE artifact SET checksum = ? WHERE id = ?": [
                (artifact_checksum(a), a["id"]) for a in artifacts
            ],
            "UPDATE event SET checksum = ? WHERE (run, seq) = (?, ?)": [
                (checksum_event(*facts), run, seq) for run, seq, *facts in events
            ],
            "UPDATE run SET checksum = ? WHERE id = ? AND checksum IS NOT NULL": seals,
        },
    )
    sums = {}
    with Connection(path, "immutable") as lab:
        for table, parts in {
            "run": OF_RUN,
            "run_group": OF_GROUP,
            "study": OF_STUDY,
            "trial": OF_TRIAL,
        }.items():
            ids = [row[0] for row in lab.all(f"SELECT id FROM {table}")]
            sums[f"UPDATE {table} SET rows_sum = ? WHERE id = ?"] = [(sum_all(lab, parts, i), i) for i in ids]
    _write(path, sums)


def _write(path: Path, changes: Mapping[str, Sequence[tuple[Any, ...]]]) -> None:
    with program(path) as raw:
        raw.execute("BEGIN")
        for statement, rows in changes.items():
            raw.executemany(statement, rows)
        raw.execute("COMMIT")


FIRST = "(SELECT min(id) FROM run)"


def set_first(path: Path, column: str, value: Any) -> None:
    """Put a value into a column of the first run, and compute its checksums again."""
    forge(path, f"UPDATE run SET {column} = ? WHERE id = {FIRST}", value)
