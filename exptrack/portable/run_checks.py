"""Verify runs: config, events, notes, inputs, metrics, and the checksums of it all."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

from exptrack.config.exp_config import CANONICAL_VERSION, parse_stored_config
from exptrack.config.store import read_stored_config
from exptrack.database.connection import Connection, Row
from exptrack.database.failures import DAMAGE
from exptrack.database.row_sums import sum_points, wrap_sum
from exptrack.errors import ConfigError
from exptrack.metrics.store import (
    BLOCK_POINTS,
    BLOCKS_OF,
    CHECKSUM_BATCH,
    SELECT_POINTS,
    PointsChecksum,
    hash_summary,
    nan_if_null,
)
from exptrack.metrics.summary import SUMMARY_COLUMNS
from exptrack.portable.findings import Problem, guard
from exptrack.records import RunStatus
from exptrack.runs.events import checksum_event
from exptrack.runs.row_sums import OF_RUN, sum_all
from exptrack.runs.seal import checksum_run
from exptrack.times import moment

RUN_ROW_IDS = "SELECT id FROM run ORDER BY id"
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
SERIES_IDS = "SELECT id FROM metric_series WHERE run = ? ORDER BY id"
ONE_SERIES = """
SELECT s.*, n.name, r.status
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric JOIN run AS r ON r.id = s.run WHERE s.id = ?
"""


def name_run(connection: Connection, run: int) -> str:
    """Return the public id of a run; its row id where that cannot be read."""
    try:
        return str(connection.value(RUN_ID, (run,)))
    except DAMAGE:
        return f"row {run}"


def check_run(connection: Connection, run: int) -> Iterator[Problem]:
    """Verify everything about one run but its artifacts."""
    where = name_run(connection, run)
    yield from guard("config", where, _check_config(connection, run, where))
    yield from guard("event", where, _check_events(connection, run, where))
    for what, query in (("note", NOTE_NUMBERS), ("input", INPUT_NUMBERS)):
        yield from guard("run", where, _check_numbers(connection, run, where, what, query))
    yield from guard("metric", where, _check_metrics(connection, run, where))
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


# Metrics


def _check_metrics(connection: Connection, run: int, where: str) -> Iterator[Problem]:
    for metric, message in series_problems(connection, run):
        yield Problem("metric", f"{where} {metric}", message)


def series_problems(connection: Connection, run: int) -> Iterator[tuple[str, str]]:
    """Recompute each summary and checksum of a run; yield each metric that is wrong, with the problem."""
    for (series,) in connection.all(SERIES_IDS, (run,)):
        for problem in guard("metric", f"series {series}", _check_series(connection, series)):
            yield problem.where, problem.message


def _check_series(connection: Connection, series: int) -> Iterator[Problem]:
    row = connection.one(ONE_SERIES, (series,))
    if row is None:
        yield Problem("metric", f"series {series}", "its row or the name of its metric is missing")
        return
    found = connection.fold(SELECT_POINTS, (series,), lambda points: _Points(row).take(points))
    for message in found.problems():
        yield Problem("metric", row["name"], message)
    blocks = found.checksum.blocks() if row["checksum"] is not None and row["count"] > BLOCK_POINTS else []
    if [tuple(block) for block in connection.all(BLOCKS_OF, (series,))] != blocks:
        yield Problem("metric", row["name"], "its points do not match the checksums of their blocks")


class _Points:
    """The points of a series, compared with its row.

    The points come by step, not in the order of logging. So they do not tell which one was logged first or
    last, or which of several equal extremes came first. This checks only that such a point exists.
    """

    def __init__(self, row: Row) -> None:
        self.row = row
        self.count = self.nan_count = self.total = 0
        self.top_step: int | None = None
        self.min_value: float | None = None
        self.max_value: float | None = None
        self.sums: list[float] = []
        self.scale = 0.0
        self.checksum = PointsChecksum()
        self.missing: dict[str, tuple[Any, ...]] = {
            "first": (row["first_step"], row["first_value"]),
            "last": (row["last_step"], row["last_value"], row["last_time_ms"]),
        }
        if row["min_value"] is not None:
            self.missing["min"] = (row["min_step"], row["min_value"])
            self.missing["max"] = (row["max_step"], row["max_value"])

    def take(self, points: Iterator[tuple[Any, ...]]) -> _Points:
        """Read all points, a batch at a time."""
        while batch := list(islice(points, CHECKSUM_BATCH)):
            steps, seqs, times_ms, values = map(list, zip(*batch, strict=True))
            if self.missing:
                here = {*zip(steps, values, strict=True), *zip(steps, values, times_ms, strict=True)}
                self.missing = {name: point for name, point in self.missing.items() if point not in here}
            numbers = [value for value in values if value is not None]
            self.count += len(values)
            self.nan_count += len(values) - len(numbers)
            self.top_step = max(steps) if self.top_step is None else max(self.top_step, max(steps))
            if numbers:
                extremes = [one for one in (self.min_value, self.max_value) if one is not None]
                self.min_value, self.max_value = min(extremes + numbers), max(extremes + numbers)
                self._add_up(numbers)
            if len(numbers) < len(values):
                values = [nan_if_null(value) for value in values]
            self.checksum.add(steps, seqs, times_ms, values)
            self.total += sum_points(steps, seqs, times_ms, values)
        return self

    def _add_up(self, numbers: list[float]) -> None:
        try:
            self.sums.append(math.fsum(numbers))
            self.scale += math.fsum(map(abs, numbers))
        except (OverflowError, ValueError):  # too large for a float, or infinities of both signs
            self.scale = math.inf

    def problems(self) -> Iterator[str]:
        row = self.row
        for column in ("count", "nan_count", "top_step", "min_value", "max_value"):
            if row[column] != getattr(self, column):
                yield f"{column} is {row[column]}, but its points give {getattr(self, column)}"
        for name in self.missing:
            yield f"its summary has a {name} point that was not logged"
        if math.isfinite(self.scale):
            total = math.fsum(self.sums)
            if not _is_same_sum(total, row["value_sum"], self.scale, self.count):
                yield f"value_sum is {row['value_sum']}, but its points give {total}"
        if row["checksum"] is not None and self.checksum.value() != row["checksum"]:
            yield "its points do not match their checksum"
        numbers = [row[column] for column in SUMMARY_COLUMNS]
        if wrap_sum(hash_summary(row["id"], row["run"], row["name"], numbers) + self.total) != row["rows_sum"]:
            yield "its summary or its points are not those that were stored"
        if row["completed"] and row["status"] != RunStatus.COMPLETED:
            yield "it is ranked, but its run is not completed"


def _is_same_sum(exact: float, stored: float, scale: float, count: int) -> bool:
    # A sum of floats depends on their order: each addition may round.
    return abs(exact - stored) <= scale * count * 2.3e-16 + 5e-324
