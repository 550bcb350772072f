"""Archives whose schema has more than that of exptrack, or less."""

from __future__ import annotations

from pathlib import Path

from tests.faults.wrong_values import set_schema
from tests.portable.hostile.kinds import REFUSED, TAKEN, edit, kind, program


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
    with program(path) as raw:
        (sql,) = raw.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        assert before in sql
        set_schema(raw, {table: sql.replace(before, after)})


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
    with program(path) as raw:
        set_schema(raw, {"mine": "CREATE INDEX mine ON run (length(replace(hex(zeroblob(9999999)),'0','00')))"})


@kind("absurd statistics", TAKEN)
def _(path: Path) -> None:
    edit(
        path,
        "ANALYZE; UPDATE sqlite_stat1 SET stat = '1 1 1'; INSERT INTO sqlite_stat1 VALUES"
        " ('run', 'run_by_start', '99999999999999999999 x unordered')",
    )


@kind("3,000 views", TAKEN)
def _(path: Path) -> None:
    with program(path) as raw:
        raw.execute("PRAGMA writable_schema = ON")
        views = ((f"v{n}", f"CREATE VIEW v{n} AS SELECT {'x,' * 30} 1 FROM run") for n in range(3_000))
        raw.executemany("INSERT INTO sqlite_schema VALUES ('view', ?1, ?1, 0, ?2)", views)
        raw.commit()


@kind("a schema that cannot be parsed", TAKEN)
def _(path: Path) -> None:
    edit(
        path,
        "CREATE VIEW mine AS SELECT 1;"
        "UPDATE sqlite_schema SET sql = 'CREATE VIEW mine AS (((' WHERE name = 'mine'",
    )
