"""Look up the row ids of config keys and metrics by name."""

from __future__ import annotations

from exptrack.config.store import KEY_ID
from exptrack.database.connection import Connection

METRIC_ID = "SELECT id FROM metric_name WHERE name = ?"


def find_key(connection: Connection, key: str) -> int | None:
    """Return the row id of a config key, or None if no run has it."""
    found: int | None = connection.value(KEY_ID, (key,))
    return found


def find_metric(connection: Connection, name: str) -> int | None:
    """Return the row id of a metric, or None if no run has logged it."""
    found: int | None = connection.value(METRIC_ID, (name,))
    return found
