"""Store the config of a run: its canonical form, and a row for each value with its source.

Invariants: the stored config keeps references to the environment unresolved. The rows contain the same values
as the canonical form. Keys and sources are stored once, however many runs share them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from exptrack.config.exp_config import (
    CANONICAL_VERSION,
    ExpConfig,
    parse_stored_config,
    sources_of_leaves,
)
from exptrack.config.tree import Leaf
from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.database.row_sums import GatheredRows, hash_encoded
from exptrack.hashed_lists import encode_list
from exptrack.named_tuples import NamedTuple
from exptrack.records import ConfigSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

CONFIG_KIND, VALUES_KIND = "run_config", "config_value"  # of rows that enter the sum of a run
MAX_REMEMBERED = 100_000  # row ids of keys, and as many of sources
MANY_KEYS = 8  # one statement looks up this many faster than one for each key

INSERT_CONFIG = """
INSERT INTO run_config (run, format, snapshot, source_files, overrides) VALUES (?, ?, ?, ?, ?)
"""
DELETE_CONFIG = "DELETE FROM run_config WHERE run = ?"
DELETE_VALUES = "DELETE FROM config_value WHERE run = ?"
INSERT_KEY = "INSERT INTO config_key (key) VALUES (?)"
INSERT_SOURCE = "INSERT INTO config_source (kind, name, line) VALUES (?, ?, ?)"
KEY_ID = "SELECT id FROM config_key WHERE key = ?"
SOURCE_ID = "SELECT id FROM config_source WHERE kind = ? AND name = ? AND line = ?"
INSERT_VALUE = "INSERT INTO config_value (run, key, type, num, text, source) VALUES (?, ?, ?, ?, ?, ?)"
SOURCE_ROWS_OF = "SELECT DISTINCT source FROM config_value WHERE run = ? AND source IS NOT NULL"
DELETE_UNUSED_SOURCE = """
DELETE FROM config_source
WHERE id = ? AND NOT EXISTS (SELECT 1 FROM config_value AS v WHERE v.source = config_source.id)
"""
CONFIG_OF = "SELECT snapshot, source_files, overrides FROM run_config WHERE run = ?"
SOURCES_OF_RUNS = """
SELECT v.run, k.key, s.kind, s.name, s.line
FROM config_value AS v
JOIN config_key AS k ON k.id = v.key
JOIN config_source AS s ON s.id = v.source
WHERE v.run IN (SELECT value FROM json_each(?))
"""
KEY_IDS = "SELECT key, id FROM config_key WHERE key IN (SELECT value FROM json_each(?))"
KEY_NAMES = "SELECT id, key FROM config_key WHERE id IN (SELECT value FROM json_each(?))"
LEAVES_OF = """
SELECT v.key, v.run, v.type, v.num, v.text
FROM config_value AS v WHERE v.run IN (SELECT value FROM json_each(:runs))
"""
CHOSEN_LEAVES_OF = LEAVES_OF + "AND v.key IN (SELECT value FROM json_each(:keys))"

# A value as its row holds it: type, num, text. Two are equal only if the values and their types are.
StoredValue: TypeAlias = tuple[str, float | None, str | None]


class StoredConfig(NamedTuple):
    """The config of a run as its row holds it."""

    canonical: str
    source_files: list[str]
    overrides: list[str]


class RowIds:
    """Remembers the row ids of keys and sources, which saves a lookup for each when many configs are stored.

    Use it inside one transaction: a rollback makes what it remembers wrong.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._keys: dict[str, int] = {}
        self._sources: dict[ConfigSource, int] = {}

    def look_up_keys(self, keys: Sequence[str]) -> None:
        """Look up many keys by one statement."""
        unknown = [key for key in keys if key not in self._keys]
        if len(unknown) >= MANY_KEYS:
            self._keys.update(self._connection.fold(KEY_IDS, (json.dumps(unknown),), list))

    def get_key_id(self, key: str) -> int:
        """Return the row id of a key; insert the row if it is missing."""
        row_id = self._keys.get(key)
        if row_id is None:
            if len(self._keys) > MAX_REMEMBERED:
                self._keys.clear()
            row_id = self._connection.value(KEY_ID, (key,))
            if row_id is None:
                row_id = self._connection.execute(INSERT_KEY, (key,)).lastrowid
            assert row_id is not None
            self._keys[key] = row_id
        return row_id

    def get_source_id(self, source: ConfigSource) -> int:
        """Return the row id of a source; insert the row if it is missing."""
        row_id = self._sources.get(source)
        if row_id is None:
            if len(self._sources) > MAX_REMEMBERED:
                self._sources.clear()
            fields = (source.kind, source.name, source.line)
            row_id = self._connection.value(SOURCE_ID, fields)
            if row_id is None:
                row_id = self._connection.execute(INSERT_SOURCE, fields).lastrowid
            assert row_id is not None
            self._sources[source] = row_id
        return row_id


class WrittenConfig(NamedTuple):
    """The lists whose hashes enter the sum of a run, encoded: that of the config, and that of its values."""

    config: bytes
    values: bytes

    @property
    def sum(self) -> int:
        """The sum of both hashes, not wrapped."""
        return hash_encoded(self.config) + hash_encoded(self.values)


def insert_config(
    connection: Connection,
    run: int,
    config: ExpConfig,
    row_ids: RowIds | None = None,
    leaves: Sequence[Leaf] | None = None,
    gathered: GatheredRows | None = None,
) -> WrittenConfig:
    """Write a run's config, whose leaves the caller may know, and return what was written.

    Call inside a transaction; `row_ids` must not be used in another transaction. With `gathered`, its rows are
    put there instead of being written.
    """
    row_ids = RowIds(connection) if row_ids is None else row_ids
    into = GatheredRows(connection) if gathered is None else gathered
    files, overrides = json.dumps(config.source_files), json.dumps(config.overrides)
    stored = (CANONICAL_VERSION, config.canonical(), files, overrides)
    into.put(INSERT_CONFIG, [(run, *stored)])
    found = sorted(config.leaves() if leaves is None else leaves, key=itemgetter(0))
    row_ids.look_up_keys([leaf.key for leaf in found])
    sources = sources_of_leaves(config, found)
    rows = [
        (run, row_ids.get_key_id(key), kind, num, text, row_ids.get_source_id(source))
        for (key, kind, num, text), source in zip(found, sources, strict=True)
    ]
    into.put(INSERT_VALUE, rows)
    if gathered is None:
        into.write()
    # As the file returns them: ordered by key, without NaN.
    summed = [
        (key, kind, None if num != num else num, text, *source)
        for (key, kind, num, text), source in zip(found, sources, strict=True)
    ]
    return WrittenConfig(encode_list((CONFIG_KIND, *stored)), encode_list((VALUES_KIND, *summed)))


def delete_config(connection: Connection, run: int) -> None:
    """Delete a run's config. Call inside the transaction that writes another one."""
    connection.execute(DELETE_CONFIG, (run,))
    connection.execute(DELETE_VALUES, (run,))


def read_source_ids(connection: Connection, run: int) -> list[int]:
    """Read the row ids of the sources that a run's config names."""
    return [row["source"] for row in connection.all(SOURCE_ROWS_OF, (run,))]


def remove_unused_sources(connection: Connection, sources: Iterable[int]) -> None:
    """Delete those of these sources that no config names any more. Call inside a transaction."""
    connection.execute_many(DELETE_UNUSED_SOURCE, [(source,) for source in sources])


@decoding_rows
def read_stored_config(connection: Connection, run: int) -> StoredConfig:
    """Read a run's config as it is stored."""
    row = connection.one(CONFIG_OF, (run,))
    if row is None:
        return StoredConfig("{}", [], [])
    return StoredConfig(row["snapshot"], json.loads(row["source_files"]), json.loads(row["overrides"]))


def read_sources(connection: Connection, run: int) -> dict[str, ConfigSource]:
    """Read the source of each value of a run's config, by dotted path."""
    return read_sources_of(connection, [run])[run]


def read_sources_of(connection: Connection, runs: Sequence[int]) -> dict[int, dict[str, ConfigSource]]:
    """Read the sources of many runs, by row id of the run and dotted path."""
    found: dict[int, dict[str, ConfigSource]] = {run: {} for run in runs}
    for row in connection.all(SOURCES_OF_RUNS, (json.dumps(list(found)),)):
        found[row["run"]][row["key"]] = ConfigSource(row["kind"], row["name"], row["line"])
    return found


@decoding_rows
def read_exp_config(connection: Connection, run: int) -> ExpConfig:
    """Read a run's config with its sources; references to the environment stay unresolved."""
    return parse_stored_config(*read_stored_config(connection, run), read_sources(connection, run))


def read_leaves(
    connection: Connection, runs: Sequence[int], keys: Iterable[str] | None = None
) -> dict[str, dict[int, StoredValue]]:
    """Read the values of many runs as they are stored, by key (sorted) and row id of the run.

    `keys` limits them to these keys.
    """
    wanted = {"runs": json.dumps(list(runs))}
    names: dict[int, str] = {}
    if keys is not None:
        names = {row["id"]: row["key"] for row in connection.all(KEY_IDS, (json.dumps(list(keys)),))}
        wanted["keys"] = json.dumps(list(names))
    by_key: dict[int, dict[int, StoredValue]] = {}

    def take(rows: Iterator[tuple[Any, ...]]) -> None:
        for key, run, kind, num, text in rows:
            column = by_key.get(key)
            if column is None:
                column = by_key[key] = {}
            column[run] = (kind, num, text)

    connection.fold(LEAVES_OF if keys is None else CHOSEN_LEAVES_OF, wanted, take)
    if keys is None:
        names = {row["id"]: row["key"] for row in connection.all(KEY_NAMES, (json.dumps(list(by_key)),))}
    ordered = sorted((name, key) for key, name in names.items() if key in by_key)
    return {name: by_key[key] for name, key in ordered}
