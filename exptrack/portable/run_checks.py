"""Verify runs: config, events, notes, inputs, and the checksums of it all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from exptrack.config.exp_config import CANONICAL_VERSION, parse_stored_config
from exptrack.config.store import read_stored_config
from exptrack.database.connection import Connection
from exptrack.database.failures import DAMAGE
from exptrack.errors import ConfigError
from exptrack.portable.file_seal import PointsDigest
from exptrack.portable.findings import PointsMeter, Problem, guard
from exptrack.portable.series_checks import check_metrics
from exptrack.records import RunStatus
from exptrack.runs.events import checksum_event
from exptrack.runs.row_sums import OF_RUN, sum_all
from exptrack.runs.seal import checksum_run
from exptrack.times import moment

RUN_ROW_IDS = "SELECT id FROM run ORDER BY run_id"  # as the digest of all points has them
RUN_ID = "SELECT run_id FROM run WHERE id = ?"
ONE_RUN = """
SELECT run_id, status, started_at, ended_at, heartbeat_at, config_hash, checksum, rows_sum FROM run WHERE id = ?
"""
LEAVES_OF_RUN = """
SELECT k.key, v.type, v.num, v.text FROM config_value AS v JOIN config_key AS k ON k.id = v.key
WHERE v.run = ? ORDER BY k.key
"""
CONFIG_FORMAT = "SELECT format FROM run_config WHERE run = ?"
EVENTS_OF_RUN = "SELECT seq, happened_at, kind, data, checksum FROM event WHERE run = ? ORDER BY seq"
NOTE_NUMBERS = "SELECT seq FROM note WHERE run = ? ORDER BY seq"
INPUT_NUMBERS = "SELECT seq FROM run_input WHERE run = ? ORDER BY seq"


def name_run(connection: Connection, run: int) -> str:
    """Return the public id of a run; its row id where that cannot be read."""
    try:
        return str(connection.value(RUN_ID, (run,)))
    except DAMAGE:
        return f"row {run}"


def check_run(
    connection: Connection,
    run: int,
    meter: PointsMeter,
    sound: Mapping[int, str],
    digest: PointsDigest | None,
) -> Iterator[Problem]:
    """Verify everything about one run but its artifacts, and add its points to the digest of all points.

    `sound` is as in :func:`check_metrics`.
    """
    where = name_run(connection, run)
    yield from guard("config", where, _check_config(connection, run, where))
    yield from guard("event", where, _check_events(connection, run, where))
    for what, query in (("note", NOTE_NUMBERS), ("input", INPUT_NUMBERS)):
        yield from guard("run", where, _check_numbers(connection, run, where, what, query))
    yield from guard("metric", where, check_metrics(connection, run, where, meter, sound, digest))
    yield from guard("run", where, _check_facts(connection, run, where))


def _check_facts(connection: Connection, run: int, where: str) -> Iterator[Problem]:
    row = connection.one(ONE_RUN, (run,))
    if row is None:
        yield Problem("run", where, "its row is in an index only")
        return
    if sum_all(connection, OF_RUN, run) != row["rows_sum"]:
        what = "its facts, config, tags, notes, events, inputs, metrics or artifacts"
        yield Problem("run", where, f"{what} are not those that were stored")
    if row["checksum"] and checksum_run(connection, run) != row["checksum"]:
        yield Problem("run", where, "its facts, config or summaries changed after its end")
    RunStatus(row["status"])
    for column in ("started_at", "ended_at", "heartbeat_at"):
        if row[column] is not None:
            moment(row[column])


def _check_config(connection: Connection, run: int, where: str) -> Iterator[Problem]:
    config_format = connection.value(CONFIG_FORMAT, (run,))
    if config_format is None:
        yield Problem("config", where, "its snapshot is missing")
        return
    if config_format != CANONICAL_VERSION:
        yield Problem("config", where, f"its snapshot has the unknown format {config_format!r}")
    try:
        config = parse_stored_config(*read_stored_config(connection, run))
    except (ValueError, RecursionError, ConfigError) as error:
        yield Problem("config", where, f"its snapshot cannot be read: {error}")
        return
    row = connection.one(ONE_RUN, (run,))
    if row is not None and config.hash() != row["config_hash"]:
        yield Problem("config", where, "its snapshot does not match its hash")
    found = [tuple(leaf) for leaf in connection.all(LEAVES_OF_RUN, (run,))]
    if found != sorted(map(tuple, config.leaves())):
        yield Problem("config", where, "its searchable values differ from its snapshot")


def _check_events(connection: Connection, run: int, where: str) -> Iterator[Problem]:
    for position, row in enumerate(connection.all(EVENTS_OF_RUN, (run,))):
        if row["seq"] != position:
            yield Problem("event", where, f"event {position} is missing")
            return
        if row["checksum"] != checksum_event(row["happened_at"], row["kind"], row["data"]):
            yield Problem("event", where, f"event {position} does not match its checksum")
        moment(row["happened_at"])
        json.loads(row["data"])


def _check_numbers(connection: Connection, run: int, where: str, what: str, query: str) -> Iterator[Problem]:
    for position, row in enumerate(connection.all(query, (run,))):
        if row["seq"] != position:
            yield Problem("run", where, f"{what} {position} is missing")
            return
