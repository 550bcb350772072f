"""The checksum that seals a run when it ends, and by which ``verify`` knows it again.

Invariant: nothing here writes. The checksum is over everything about a run that does not change after its end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from exptrack.config.store import (
    SOURCES_OF,
    read_stored_config,
)
from exptrack.database.connection import Connection
from exptrack.metrics.store import seal_series

RUN_FACTS = """
SELECT run_id, status, reason, traceback, name, group_name, started_at, ended_at, duration_ms, config_hash,
       family, fingerprint, host, vcs_commit, vcs_dirty
FROM run WHERE id = ?
"""
RUN_ENVIRONMENT = """
SELECT python, platform, command, script, vcs_branch, vcs_remote, code_digest, system, variables,
       data_references
FROM run_environment WHERE run = ?
"""
RUN_CONFIG_ROWS = """
SELECT k.key, v.type, v.num, v.text FROM config_value AS v JOIN config_key AS k ON k.id = v.key
WHERE v.run = ? ORDER BY k.key
"""
RUN_SERIES = """
SELECT n.name, s.count, s.nan_count, s.first_step, s.first_value, s.last_step, s.last_value, s.last_time_ms,
       s.top_step, s.min_step, s.min_value, s.max_step, s.max_value, s.value_sum, s.completed, s.checksum
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE s.run = ? ORDER BY n.name
"""


def run_checksum(connection: Connection, run: int) -> str:
    """SHA-256 (hex) over a run's facts, environment, config and series, each a line of JSON.

    Points enter by their series' checksum. Tags, notes and the parent may change after the end and
    stay out; so do the numbers that rows have in this file only.
    """
    digest = hashlib.sha256()
    digest.update(_json_line(read_stored_config(connection, run)))
    for sql in (RUN_FACTS, RUN_ENVIRONMENT, RUN_CONFIG_ROWS, SOURCES_OF, RUN_SERIES):
        digest.update(_json_line(connection.fold(sql, (run,), list)))
    return digest.hexdigest()


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _json_line(value: object) -> bytes:
    return f"{_encode(value)}\n".encode()


SEAL_RUN = "UPDATE run SET checksum = ? WHERE id = ?"


def seal_run(
    connection: Connection, run: int, *, completed: bool, known: Mapping[int, tuple[int, int]] | None = None
) -> None:
    """Take the checksums of a run that takes nothing more; `known` as of :func:`seal_series`."""
    seal_series(connection, run, completed=completed, known=known)
    connection.execute(SEAL_RUN, (run_checksum(connection, run), run))
