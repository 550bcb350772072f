"""Records of rows that differ from what was stored: a field of another type is told as damage."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from exptrack import Archive, ArchiveCorruptError
from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows


class Fact(NamedTuple):
    name: str
    size: int
    mean: float
    best: float | None
    parts: tuple[str, ...] = ()
    last: dict[str, float] = {"loss": 1}  # noqa: RUF012


SOUND = Fact("a", 1, 2.0, None)
WHOLE = Fact("b", 1, 2, 3)
WRONG: list[Any] = [
    SOUND._replace(name=b"a"),  # type: ignore[arg-type]
    SOUND._replace(size="1"),  # type: ignore[arg-type]
    SOUND._replace(size=None),  # type: ignore[arg-type]
    SOUND._replace(mean="x"),  # type: ignore[arg-type]
    SOUND._replace(last={"loss": 1.0, "x": "1"}),  # type: ignore[dict-item]
]


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    return Archive(tmp_path / "lab.db")._connection


WAYS: list[Callable[[Fact], Any]] = [
    lambda one: one,
    lambda one: [SOUND, one],
    lambda one: (SOUND, WHOLE, one),
    lambda one: {1: [SOUND], 2: (), 3: (one,)},
]


@pytest.mark.parametrize("way", WAYS)
def test_a_field_of_another_type_is_damage(way: Callable[[Fact], Any], connection: Connection) -> None:
    @decoding_rows
    def read(_connection: Connection, fact: Fact) -> Any:
        return way(fact)

    for sound in (SOUND, WHOLE):
        assert read(connection, sound) == way(sound)
    for wrong in WRONG:
        with pytest.raises(ArchiveCorruptError, match=r"holds a value that was not stored so \(Fact\."):
            read(connection, wrong)


def test_results_that_are_no_records_are_left_alone(connection: Connection) -> None:
    @decoding_rows
    def read(_connection: Connection, found: Any) -> Any:
        return found

    for found in (None, 1, "text", [], [1, "a"], {"a": 1, "b": [1]}, {1: {}}, [SOUND, "mixed"]):
        assert read(connection, found) is found


def test_a_text_where_a_number_was_logged_is_told(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run() as run:
        run.log_metric("loss", 1.0)
    with sqlite3.connect(path) as raw:
        (sql,) = raw.execute("SELECT sql FROM sqlite_schema WHERE name = 'metric_series'").fetchone()
        raw.execute("PRAGMA writable_schema = ON")
        change = "UPDATE sqlite_schema SET sql = ? WHERE name = 'metric_series'"
        raw.execute(change, (sql.replace(") STRICT", ")"),))
        raw.execute("PRAGMA schema_version = 1000")
        raw.commit()
    raw.close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE metric_series SET last_value = 'text'")
        raw.execute("PRAGMA writable_schema = ON")
        raw.execute(change, (sql,))
        raw.execute("PRAGMA schema_version = 1001")
    raw.close()
    with Archive(path, mode="ro") as archive:
        reads: list[Callable[[], Any]] = [
            lambda: archive.show_run(run.run_id),
            lambda: archive.compare([run.run_id]),
            archive.list_runs,
        ]
        for read in reads:
            with pytest.raises(
                ArchiveCorruptError, match=r"(MetricSummary\.last|RunSummary\.metrics) is of type"
            ):
                read()
