"""Prove the config of a run by its hash, from its canonical form or from its leaves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from exptrack.config.exp_config import CANONICAL_VERSION, ExpConfig
from exptrack.config.store import RowIds
from exptrack.config.tree import leaf_value
from exptrack.database.connection import Connection
from exptrack.errors import ExptrackError
from exptrack.keypath import split_path

SNAPSHOT_OF = "SELECT format, snapshot, source_files, overrides FROM run_config WHERE run = ?"
LEAVES_OF = """
SELECT v.key AS key_id, k.key, v.type, v.num, v.text, v.source
FROM config_value AS v LEFT JOIN config_key AS k ON k.id = v.key WHERE v.run = ?
"""
DELETE_LEAF = "DELETE FROM config_value WHERE run = ? AND key = ?"
INSERT_LEAF = (
    "INSERT OR REPLACE INTO config_value (run, key, type, num, text, source) VALUES (?, ?, ?, ?, ?, ?)"
)
SAVE_CONFIG = """
INSERT OR REPLACE INTO run_config (run, format, snapshot, source_files, overrides) VALUES (?, ?, ?, ?, ?)
"""
FORGET_SOURCES = "UPDATE config_value SET source = NULL WHERE run = ?"


def find_config(connection: Connection, run: int, hashes: Iterable[str | None]) -> ExpConfig | None:
    """Return the config whose hash is one of these; None if neither its text nor its leaves give it."""
    wanted = {one for one in hashes if one is not None}
    row = connection.one(SNAPSHOT_OF, (run,))
    if row is not None and hashlib.sha256(row["snapshot"].encode()).hexdigest() in wanted:
        return parse_config(row["snapshot"])
    config = _join_leaves(connection, run)
    return config if config is not None and config.hash() in wanted else None


def guess_config(connection: Connection, run: int) -> ExpConfig:
    """Return the config of its text or of its leaves, without a proof; an empty one if neither can be read."""
    row = connection.one(SNAPSHOT_OF, (run,))
    found = None if row is None else parse_config(row["snapshot"])
    if found is None:
        found = _join_leaves(connection, run)
    return ExpConfig({}) if found is None else found


def parse_config(text: str | None) -> ExpConfig | None:
    """Return the config that a text says, or None if it says none."""
    if text is None:
        return None
    try:
        return ExpConfig(json.loads(text))
    except (ValueError, RecursionError, ExptrackError):
        return None


def _join_leaves(connection: Connection, run: int) -> ExpConfig | None:
    tree: dict[str, Any] = {}
    try:
        for row in connection.all(LEAVES_OF, (run,)):
            *above, last = split_path(row["key"])
            place = tree
            for key in above:
                place = place.setdefault(key, {})
            place[last] = leaf_value(row["type"], row["num"], row["text"])
        return ExpConfig(tree)
    except (ValueError, TypeError, AttributeError, RecursionError, ExptrackError):
        return None  # a leaf or a key is damaged


def save_config(connection: Connection, run: int, config: ExpConfig) -> None:
    """Let the rows of a run hold this config. What they say of files and sources stays where it fits."""
    row = connection.one(SNAPSHOT_OF, (run,))
    canonical = config.canonical()
    if row is None or (row["format"], row["snapshot"]) != (CANONICAL_VERSION, canonical):
        files = ("[]", "[]") if row is None else (row["source_files"], row["overrides"])
        connection.execute(SAVE_CONFIG, (run, CANONICAL_VERSION, canonical, *files))
    wanted = {leaf.key: tuple(leaf)[1:] for leaf in config.leaves()}
    row_ids = RowIds(connection)
    for leaf in connection.all(LEAVES_OF, (run,)):
        if wanted.get(leaf["key"]) == (leaf["type"], leaf["num"], leaf["text"]):
            del wanted[leaf["key"]]
        else:
            connection.execute(DELETE_LEAF, (run, leaf["key_id"]))
    for key, (kind, num, text) in wanted.items():
        connection.execute(INSERT_LEAF, (run, row_ids.get_key_id(key), kind, num, text, None))


def forget_origin(connection: Connection, run: int) -> None:
    """Forget what nothing proves of a config: its files, overrides and sources."""
    connection.execute(FORGET_SOURCES, (run,))
    row = connection.one(SNAPSHOT_OF, (run,))
    if row is not None:
        connection.execute(SAVE_CONFIG, (run, row["format"], row["snapshot"], "[]", "[]"))
