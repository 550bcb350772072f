"""The append-only log of what happened to a run."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from exptrack.database.connection import Connection
from exptrack.records import Event
from exptrack.times import moment, utc_text

INSERT_EVENT = """
INSERT INTO event (run, seq, happened_at, kind, data, checksum)
VALUES (:run, (SELECT coalesce(max(seq) + 1, 0) FROM event WHERE run = :run), :at, :kind, :data, :checksum)
"""


# Made once: json.dumps() makes one a call.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def checksum_event(happened_at: str, kind: str, data: str) -> int:
    """CRC-32 that guards one event against damage in place."""
    return zlib.crc32("\0".join((happened_at, kind, data)).encode("utf-8"))


def record_event(
    connection: Connection,
    run: int,
    kind: str,
    data: Mapping[str, Any] | None = None,
    *,
    at: str | None = None,
) -> None:
    """Append one event; inside the caller's transaction, so it stands or falls with what it tells of.

    `at` is when it happened, as the archive writes it; by default now.
    """
    text = _encode(dict(data or {}))
    at = utc_text() if at is None else at
    connection.execute(
        INSERT_EVENT,
        {"run": run, "at": at, "kind": kind, "data": text, "checksum": checksum_event(at, kind, text)},
    )


EVENTS_OF = "SELECT seq, happened_at, kind, data FROM event WHERE run = ? ORDER BY seq"


def read_events(connection: Connection, run: int) -> tuple[Event, ...]:
    """The log of a run, oldest first."""
    return tuple(
        Event(r["seq"], moment(r["happened_at"]), r["kind"], json.loads(r["data"]))
        for r in connection.all(EVENTS_OF, (run,))
    )
