"""The config of a run in the file: the frozen whole, and a row for each value with what set it.

Invariants: what is stored is the config with references to the environment unresolved. The rows say the same as
the snapshot. Keys and sources are stored once, however many runs share them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from exptrack.config.exp_config import CANONICAL_VERSION, ExpConfig, parse_stored_config
from exptrack.database.connection import Connection
from exptrack.records import ConfigSource

MOST_NUMBERS = 100_000  # known by heart

INSERT_CONFIG = """
INSERT INTO run_config (run, format, snapshot, source_files, overrides) VALUES (?, ?, ?, ?, ?)
"""
DELETE_CONFIG = "DELETE FROM run_config WHERE run = ?"
DELETE_VALUES = "DELETE FROM config_value WHERE run = ?"
INSERT_KEY = "INSERT INTO config_key (key) VALUES (?)"
INSERT_SOURCE = "INSERT INTO config_source (kind, name, line) VALUES (?, ?, ?)"
KEY_NUMBER = "SELECT id FROM config_key WHERE key = ?"
SOURCE_NUMBER = "SELECT id FROM config_source WHERE kind = ? AND name = ? AND line = ?"
INSERT_VALUE = "INSERT INTO config_value (run, key, type, num, text, source) VALUES (?, ?, ?, ?, ?, ?)"
SOURCE_ROWS_OF = "SELECT DISTINCT source FROM config_value WHERE run = ? AND source IS NOT NULL"
DELETE_UNUSED_SOURCE = """
DELETE FROM config_source
WHERE id = ? AND NOT EXISTS (SELECT 1 FROM config_value AS v WHERE v.source = config_source.id)
"""
CONFIG_OF = "SELECT snapshot, source_files, overrides FROM run_config WHERE run = ?"
SOURCES_OF = """
SELECT k.key, s.kind, s.name, s.line
FROM config_value AS v
JOIN config_key AS k ON k.id = v.key
JOIN config_source AS s ON s.id = v.source
WHERE v.run = ? ORDER BY k.key
"""
SOURCES_OF_RUNS = """
SELECT v.run, k.key, s.kind, s.name, s.line
FROM config_value AS v
JOIN config_key AS k ON k.id = v.key
JOIN config_source AS s ON s.id = v.source
WHERE v.run IN (SELECT value FROM json_each(?))
"""
KEY_NUMBERS = "SELECT key, id FROM config_key WHERE key IN (SELECT value FROM json_each(?))"
KEY_NAMES = "SELECT id, key FROM config_key WHERE id IN (SELECT value FROM json_each(?))"
LEAVES_OF = """
SELECT v.key, v.run, v.type, v.num, v.text
FROM config_value AS v WHERE v.run IN (SELECT value FROM json_each(:runs))
"""
CHOSEN_LEAVES_OF = LEAVES_OF + "AND v.key IN (SELECT value FROM json_each(:keys))"

# How a value stands in its row: type, number, text. Equal for equal values of the same type only.
StoredValue: TypeAlias = tuple[str, float | None, str | None]


class RowIds:
    """The rows of keys and sources, as far as known; of use to whoever stores many configs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._keys: dict[str, int] = {}
        self._sources: dict[ConfigSource, int] = {}

    def of_key(self, key: str) -> int:
        """The number of a key, which is given one if it has none."""
        number = self._keys.get(key)
        if number is None:
            if len(self._keys) > MOST_NUMBERS:
                self._keys.clear()
            number = self._connection.value(KEY_NUMBER, (key,))
            if number is None:
                number = self._connection.execute(INSERT_KEY, (key,)).lastrowid
            assert number is not None
            self._keys[key] = number
        return number

    def of_source(self, source: ConfigSource) -> int:
        """The number of a source, which is given one if it has none."""
        number = self._sources.get(source)
        if number is None:
            if len(self._sources) > MOST_NUMBERS:
                self._sources.clear()
            words = (source.kind, source.name, source.line)
            number = self._connection.value(SOURCE_NUMBER, words)
            if number is None:
                number = self._connection.execute(INSERT_SOURCE, words).lastrowid
            assert number is not None
            self._sources[source] = number
        return number


def insert_config(connection: Connection, run: int, config: ExpConfig, numbers: RowIds | None = None) -> None:
    """Write a run's config; belongs into the transaction that makes the run, as `numbers` do."""
    numbers = RowIds(connection) if numbers is None else numbers
    files, overrides = json.dumps(config.source_files), json.dumps(config.overrides)
    connection.execute(INSERT_CONFIG, (run, CANONICAL_VERSION, config.canonical(), files, overrides))
    rows = [
        (run, numbers.of_key(key), kind, number, text, numbers.of_source(config.source_of(key)))
        for key, kind, number, text in config.leaves()
    ]
    connection.execute_many(INSERT_VALUE, rows)


def delete_config(connection: Connection, run: int) -> None:
    """Make room for another config; belongs into the transaction that writes it."""
    connection.execute(DELETE_CONFIG, (run,))
    connection.execute(DELETE_VALUES, (run,))


def read_source_ids(connection: Connection, run: int) -> list[int]:
    """The rows of the sources that a run's config names."""
    return [row["source"] for row in connection.all(SOURCE_ROWS_OF, (run,))]


def remove_unused_sources(connection: Connection, sources: Iterable[int]) -> None:
    """Delete those of these rows that no config names any more; belongs into the caller's transaction."""
    connection.execute_many(DELETE_UNUSED_SOURCE, [(source,) for source in sources])


def read_stored_config(connection: Connection, run: int) -> tuple[str, list[str], list[str]]:
    """The canonical snapshot of a run's config, its source files and its overrides."""
    row = connection.one(CONFIG_OF, (run,))
    if row is None:
        return "{}", [], []
    return row["snapshot"], json.loads(row["source_files"]), json.loads(row["overrides"])


def read_sources(connection: Connection, run: int) -> dict[str, ConfigSource]:
    """What set each value of a run's config, by dotted path."""
    return read_sources_of(connection, [run])[run]


def read_sources_of(connection: Connection, runs: Sequence[int]) -> dict[int, dict[str, ConfigSource]]:
    """The same of many runs."""
    found: dict[int, dict[str, ConfigSource]] = {run: {} for run in runs}
    for row in connection.iterate(SOURCES_OF_RUNS, (json.dumps(list(found)),)):
        found[row["run"]][row["key"]] = ConfigSource(row["kind"], row["name"], row["line"])
    return found


def read_exp_config(connection: Connection, run: int) -> ExpConfig:
    """A run's config as it was stored, references to the environment unresolved."""
    return parse_stored_config(*read_stored_config(connection, run), read_sources(connection, run))


def read_leaves(
    connection: Connection, runs: Sequence[int], keys: Iterable[str] | None = None
) -> dict[str, dict[int, StoredValue]]:
    """How the values of many runs are stored, by key, in order, and run: all, or those of the keys given."""
    wanted = {"runs": json.dumps(list(runs))}
    numbers: dict[int, str] = {}
    if keys is not None:
        numbers = {row["id"]: row["key"] for row in connection.all(KEY_NUMBERS, (json.dumps(list(keys)),))}
        wanted["keys"] = json.dumps(list(numbers))
    by_number: dict[int, dict[int, StoredValue]] = {}

    def take(rows: Iterator[tuple[Any, ...]]) -> None:
        for key, run, kind, num, text in rows:
            column = by_number.get(key)
            if column is None:
                column = by_number[key] = {}
            column[run] = (kind, num, text)

    connection.fold(LEAVES_OF if keys is None else CHOSEN_LEAVES_OF, wanted, take)
    if keys is None:
        numbers = {row["id"]: row["key"] for row in connection.all(KEY_NAMES, (json.dumps(list(by_number)),))}
    ordered = sorted((name, number) for number, name in numbers.items() if number in by_number)
    return {name: by_number[number] for name, number in ordered}
