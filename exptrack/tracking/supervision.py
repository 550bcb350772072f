"""End a run from outside: for the program that started its process and knows how that ended.

Invariants:

- A run whose process lives is left alone, and so is the end that a run gave itself.
- The points in the journal of the dead process are stored before the run ends.
"""

from __future__ import annotations

import signal as signals
from datetime import UTC, datetime
from typing import Any

from exptrack.capture.redaction import remove_secrets_and_paths
from exptrack.database.connection import Connection, Row, in_section
from exptrack.errors import InvalidValueError, RunBusyError, RunTrashedError
from exptrack.plain import is_text
from exptrack.records import RunStatus
from exptrack.runs.attributes import StoredValue, encode_attribute, save_attributes
from exptrack.runs.lookup import resolve_run
from exptrack.runs.ownership import DELETE_OWNER, SELECT_OWNER, VERDICTS, is_run_dead
from exptrack.runs.row_sums import changing_run
from exptrack.runs.seal import seal_run
from exptrack.runs.store import record_end
from exptrack.times import MILLISECOND, moment, utc_text
from exptrack.tracking.lifecycle import describe_owner, recover_journals
from exptrack.tracking.run import END_RUN
from exptrack.validation import check_name, check_status, check_text, check_whole

LEAST_CODE, GREATEST_CODE = -(1 << 31), (1 << 32) - 1  # Windows has exit codes of 32 bits without a sign


def end_run(
    connection: Connection,
    run_id: object,
    status: object,
    reason: str | None,
    *,
    exit_code: int | None,
    signal: int | str | None,
) -> RunStatus:
    """End a run whose process is gone; see :meth:`exptrack.Archive.end_run`."""
    chosen = check_status(status)
    if chosen is RunStatus.RUNNING:
        raise InvalidValueError("a run ends as completed, failed or interrupted; give one of these")
    text = None if reason is None else remove_secrets_and_paths(check_text(reason, "reason"))
    facts: dict[str, Any] = {}
    if exit_code is not None:
        facts["exit_code"] = check_whole(exit_code, "exit_code", LEAST_CODE, GREATEST_CODE)
    if signal is not None:
        facts["signal"] = _name_signal(signal)
    return _end(connection, resolve_run(connection, run_id)["run_id"], chosen, text, facts)


def _name_signal(signal: object) -> str:
    if is_text(signal):
        return check_name(signal, "signal")
    number = check_whole(signal, "signal", 1, 1 << 16)
    try:
        return signals.Signals(number).name
    except ValueError:  # one without a name, or of another system
        return f"signal {number}"


@in_section
def _end(
    connection: Connection, run_id: str, status: RunStatus, reason: str | None, facts: dict[str, Any]
) -> RunStatus:
    attributes: dict[str, StoredValue] = dict(encode_attribute(key, value) for key, value in facts.items())
    _require_dead(connection, resolve_run(connection, run_id))
    recover_journals(connection)
    with connection.transaction(durable=True):
        row = resolve_run(connection, run_id)
        if row["deleted_at"] is not None:
            raise RunTrashedError(run_id)
        _require_dead(connection, row)
        save_attributes(connection, row["id"], attributes, utc_text())
        is_running = row["status"] == RunStatus.RUNNING
        if not is_running and row["reason"] not in VERDICTS:
            return RunStatus(row["status"])
        now = datetime.now(UTC)
        # Of a run that was found dead, the time of its end is a guess.
        since = now - moment(row["heartbeat_at"])
        duration_ms = row["duration_ms"] + max(0, since // MILLISECOND)
        at = utc_text(now)
        with changing_run(connection, row["id"]):
            connection.execute(END_RUN, (status, reason, None, at, at, duration_ms, row["id"]))
            connection.execute(DELETE_OWNER, (row["id"],))
        record_end(connection, row["id"], status, reason, facts=facts, late=not is_running)
        seal_run(connection, row["id"], completed=status is RunStatus.COMPLETED)
    return status


def _require_dead(connection: Connection, row: Row) -> None:
    """Raise if a process writes the run of this row. A run with a lease belongs to none."""
    owner = connection.one(SELECT_OWNER, (row["id"],))
    if owner is not None and owner["lease_s"] is None and not is_run_dead(connection, owner):
        raise RunBusyError(row["run_id"], *describe_owner(row, owner))
