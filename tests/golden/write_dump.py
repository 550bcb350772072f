"""Write a text dump of an archive that uses every table but ``seal``: ``python -m tests.golden.write_dump``.

It is run once for each release that changes the format, and the dump is kept for good. A test opens every dump,
migrates it and verifies it. The archive says nothing of the machine that made it.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import exptrack
from exptrack.capture.code import CodeVersion
from exptrack.capture.environment import Environment
from tests.faults.full_lab import build

FOLDER = Path(__file__).parent
ENVIRONMENT = Environment(
    host="node01",
    python="3.11.9",
    platform="Linux-6.1-x86_64",
    system={"cpu_count": 8},
    command=["python", "train.py", "lr=0.1"],
    variables={"CUDA_VISIBLE_DEVICES": "0"},
)
CODE = CodeVersion(
    commit="0123456789abcdef0123456789abcdef01234567",
    dirty=True,
    branch="main",
    remote="https://example.org/lab.git",
    script="train.py",
    digest="4f" * 32,
    problem=None,
)
OBJECTS = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'"
# They stand in the header of the file, of which a dump of SQL says nothing. The first must be set first.
HEADER = ("auto_vacuum", "application_id", "user_version")


def dump(path: Path) -> Iterator[str]:
    """Yield the lines of a dump."""
    with closing(sqlite3.connect(path)) as connection:
        for name in HEADER:
            yield f"PRAGMA {name} = {connection.execute(f'PRAGMA {name}').fetchone()[0]};"
        objects = connection.execute(OBJECTS).fetchall()
        yield "BEGIN;"
        yield from (f"{sql};" for kind, _name, sql in objects if kind == "table")
        for name in [*(name for kind, name, _sql in objects if kind == "table"), "sqlite_sequence"]:
            yield f"DELETE FROM {name};"  # SQLite has filled sqlite_sequence by then
            for row in connection.execute(f"SELECT * FROM {name}"):
                yield f"INSERT INTO {name} VALUES ({', '.join(map(literal, row))});"
        yield from (f"{sql};" for kind, _name, sql in objects if kind != "table")
        yield "COMMIT;"


def literal(value: int | float | str | bytes | None) -> str:
    """Write a value in SQL. SQLite's own dump writes infinities as names, which it cannot read."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, float):
        return repr(value).replace("inf", "9e999")
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def restore(dumped: Path, path: Path) -> None:
    """Make the file of which this is the dump."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(dumped.read_text(encoding="utf-8"))


def main() -> None:
    """Write the dump of this version; one that is there stays as it is."""
    place = FOLDER / f"{exptrack.__version__}.sql"
    with (
        tempfile.TemporaryDirectory() as folder,
        patch("exptrack.tracking.lifecycle.capture_environment", lambda: ENVIRONMENT),
        patch("exptrack.tracking.lifecycle.capture_code", lambda: CODE),
        place.open("x", encoding="utf-8", newline="\n") as out,
    ):
        path = Path(folder) / "full.db"
        build(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM seal")
            connection.commit()
        out.writelines(f"{line}\n" for line in dump(path))


if __name__ == "__main__":
    main()
