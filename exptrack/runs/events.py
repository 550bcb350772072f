"""Append to and read the log of events that each run has.

Invariant: an event is written in the transaction of the change it reports, so neither exists without the other.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping

from exptrack.config.exp_config import ExpConfig
from exptrack.config.tree import hide_secrets
from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.database.row_sums import GatheredRows, hash_row
from exptrack.errors import ConfigError, InvalidValueError, RunNotFoundError, RunTrashedError
from exptrack.known_secrets import mask_facts
from exptrack.plain import read_items
from exptrack.records import Event
from exptrack.runs.lease import renew_if_due
from exptrack.runs.row_sums import add_to_run
from exptrack.times import moment, time_after, utc_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


REWIND_EVENT = "rewind"  # of a run that went on from an earlier step

INSERT_EVENT = """
INSERT INTO event (run, seq, happened_at, kind, data, late, checksum)
VALUES (:run, (SELECT coalesce(max(seq) + 1, 0) FROM event WHERE run = :run), :at, :kind, :data, :late,
        :checksum)
"""
STATE = """
SELECT r.run_id, r.status <> 'running' AS is_over, r.deleted_at, r.heartbeat_at, o.lease_s
FROM run AS r LEFT JOIN run_owner AS o ON o.run = r.id WHERE r.id = ?
"""
TIME_OF_LAST = "SELECT happened_at FROM event WHERE run = ? ORDER BY seq DESC LIMIT 1"
EVENTS_OF = "SELECT seq, happened_at, kind, data FROM event WHERE run = ? ORDER BY seq"

# One encoder for all events: json.dumps() would make a new one at each call.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def check_facts(facts: object, what: str) -> dict[str, Any]:
    """Return a mapping of values that a config may hold, without secrets."""
    try:
        checked: dict[str, Any] = mask_facts(hide_secrets(ExpConfig(dict(read_items(facts, what))).values))
    except ConfigError as error:
        raise InvalidValueError(f"{what}: {error}") from None
    return checked


def record_event(
    connection: Connection,
    run: int,
    kind: str,
    data: Mapping[str, Any] | None = None,
    *,
    at: str | None = None,
    rows: int = 0,
    late: bool | None = None,
    gathered: GatheredRows | None = None,
) -> None:
    """Append one event. Call inside the transaction of the change it reports.

    `at` is the time it happened, as text of the archive; the default is that of `time_of_event`. `rows` is the
    sum of the hashes of rows that the change added to the run. `late` says that the run was not running; None
    looks at its status, and renews its lease if it has one. With `gathered`, for which the caller gives `at`
    and `late`, the rows are put there instead of being written.

    Raises:
        RunTrashedError: the run is in the trash, and `late` is None.
    """
    text = _encode(dict(data or {}))
    at = time_of_event(connection, run) if at is None else at
    is_late = int(_visit(connection, run) if late is None else late)
    checksum = checksum_event(at, kind, text)
    event = {"run": run, "at": at, "kind": kind, "data": text, "late": is_late, "checksum": checksum}
    change = hash_row("event", (at, kind, text, is_late)) + rows
    if gathered is not None:
        gathered.put(INSERT_EVENT, [event])
        gathered.add_to_run(run, change)
        return
    connection.execute(INSERT_EVENT, event)
    add_to_run(connection, run, change)


@decoding_rows
def time_of_event(connection: Connection, run: int, at: str | None = None) -> str:
    """Return the time of what happens to a run at `at`, by default now: never before its last event.

    A clock that was set back would else let what was said before look newer than this, when copies are merged.
    """
    now, last = at or utc_text(), connection.value(TIME_OF_LAST, (run,))
    return now if last is None or now >= last else time_after(now, last)


def _visit(connection: Connection, run: int) -> bool:
    """Return whether a run is over. Refuse one in the trash, and renew the lease of one that has one."""
    row = connection.one(STATE, (run,))
    if row is None:
        raise RunNotFoundError(str(run), connection.file)
    if row["deleted_at"] is not None:
        raise RunTrashedError(row["run_id"])
    if row["lease_s"] is not None:
        renew_if_due(connection, run, row["heartbeat_at"], row["lease_s"])
    return bool(row["is_over"])


@decoding_rows
def read_events(connection: Connection, run: int) -> tuple[Event, ...]:
    """Return the events of a run, oldest first."""
    return tuple(
        Event(r["seq"], moment(r["happened_at"]), r["kind"], json.loads(r["data"]))
        for r in connection.all(EVENTS_OF, (run,))
    )


def checksum_event(happened_at: str, kind: str, data: str) -> int:
    """Return the CRC-32 of one event, which reveals damage to its row."""
    return zlib.crc32("\0".join((happened_at, kind, data)).encode("utf-8"))
