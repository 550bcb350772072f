"""Read one run part by part, so that nothing reads a million rows at once.

Invariant: of what may be many, a call reads one page, along an index; counts stop at a fixed number.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple

from exptrack.artifacts.listing import ARTIFACT_COLUMNS, USE_COLUMNS, build_artifact, build_use
from exptrack.config.exp_config import parse_stored_config
from exptrack.config.store import read_sources, read_stored_config
from exptrack.database.connection import Connection, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.metrics.store import IS_SHOWN, read_series_summary
from exptrack.records import (
    REWOUND,
    Artifact,
    ArtifactUse,
    ConfigSource,
    Event,
    MetricSummary,
    Note,
    RunSummary,
)
from exptrack.runs.attributes import read_attributes
from exptrack.runs.lookup import resolve_run, summarize_runs
from exptrack.runs.ownership import find_dead_runs
from exptrack.shown import shown
from exptrack.times import moment

MOST_COUNTED = 10_000
SHOWN_NOTES = 100
FEW_SERIES = 5_000  # are sorted by name; of more, the index of names is walked

EARLIER = """
SELECT run_id FROM run WHERE (started_at, id) < (?, ?) AND deleted_at IS NULL
ORDER BY started_at DESC, id DESC LIMIT 1
"""
LATER = """
SELECT run_id FROM run WHERE (started_at, id) > (?, ?) AND deleted_at IS NULL ORDER BY started_at, id LIMIT 1
"""
_COUNT = f"(SELECT count(*) FROM (SELECT 1 FROM {{rows}} LIMIT {MOST_COUNTED}))"
COUNTS = "SELECT " + ", ".join(
    _COUNT.format(rows=rows)
    for rows in (
        f"metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE s.run = :run AND {IS_SHOWN}",
        "event WHERE run = :run",
        "artifact WHERE run = :run AND blob IS NOT NULL",
        "run_input WHERE run = :run",
        "note WHERE run = :run",
    )
)
NEWEST_NOTES = f"SELECT written_at, text FROM note WHERE run = ? ORDER BY seq DESC LIMIT {SHOWN_NOTES}"
COUNT_SERIES = f"SELECT count(*) FROM (SELECT 1 FROM metric_series WHERE run = ? LIMIT {FEW_SERIES + 1})"
# A text that begins as their names do finds the hidden metrics too.
_SERIES = f"""
SELECT n.name, s.count, s.nan_count, s.first_value, s.first_step, s.last_value, s.last_step,
       s.min_value, s.min_step, s.max_value, s.max_step, s.value_sum
FROM {{source}} WHERE n.name > :after AND (:text = '' OR instr(lower(n.name), :text))
  AND ({IS_SHOWN} OR instr(:text, '{REWOUND}') = 1)
ORDER BY n.name LIMIT :size
"""
SERIES_OF_FEW = _SERIES.format(
    source="metric_series AS s CROSS JOIN metric_name AS n ON n.id = s.metric AND s.run = :run"
)
SERIES_BY_NAME = _SERIES.format(
    source="metric_name AS n CROSS JOIN metric_series AS s ON s.run = :run AND s.metric = n.id"
)
EVENTS_FROM = "SELECT seq, happened_at, kind, data FROM event WHERE run = ? AND seq >= ? ORDER BY seq LIMIT ?"
ARTIFACTS_FROM = f"""{ARTIFACT_COLUMNS}
FROM artifact AS a JOIN blob AS b ON b.id = a.blob JOIN run AS r ON r.id = a.run
WHERE a.run = ? ORDER BY a.name, a.version LIMIT ? OFFSET ?
"""
ALIASES_AMONG = """
SELECT x.name, x.version, x.alias FROM artifact_alias AS x
WHERE x.run = ? AND x.name IN (SELECT value FROM json_each(?)) AND x.version IS NOT NULL ORDER BY x.alias
"""
INPUTS_FROM = f"{USE_COLUMNS} WHERE i.run = ? ORDER BY i.seq LIMIT ? OFFSET ?"
ENVIRONMENT = "SELECT * FROM run_environment WHERE run = ?"


@shown
class RunHead(NamedTuple):
    """What the head of a page about a run shows.

    `summary` has no metrics: :meth:`exptrack.Archive.read_metrics` reads them. `notes` are the newest 100, the
    newest first. `previous` and `next` are the ids of the runs that started before and after it. The counts
    stop at 10,000. `deleted_at` is when the run was moved to the trash; None if it is not there.
    """

    summary: RunSummary
    row_id: int
    attributes: dict[str, Any]
    notes: tuple[Note, ...]
    deleted_at: datetime | None
    previous: str | None
    next: str | None
    metric_count: int
    event_count: int
    artifact_count: int
    input_count: int
    note_count: int


@shown
class RunConfig(NamedTuple):
    """The config of a run as it was given, and what set each key, by dotted path."""

    config: dict[str, Any]
    sources: dict[str, ConfigSource]


@shown
class MetricPage(NamedTuple):
    """Metrics of a run, by name. Pass `after` to read on; it is None at the end."""

    metrics: tuple[MetricSummary, ...]
    after: str | None


@shown
class RunEnvironment(NamedTuple):
    """What was seen of machine and code when a run started, and the traceback of what ended it."""

    environment: dict[str, Any]
    traceback: str | None


@in_reading
@decoding_rows
def read_head(connection: Connection, run_id: object) -> RunHead:
    """Read the head of a run; see :meth:`exptrack.Archive.read_head`."""
    row = resolve_run(connection, run_id)
    run, place = row["id"], (row["started_at"], row["id"])
    counts = connection.one(COUNTS, {"run": run})
    assert counts is not None
    notes = connection.all(NEWEST_NOTES, (run,))
    return RunHead(
        summarize_runs(connection, [row], find_dead_runs(connection), with_metrics=False)[0],
        run,
        read_attributes(connection, run),
        tuple(Note(moment(note["written_at"]), note["text"]) for note in notes),
        None if row["deleted_at"] is None else moment(row["deleted_at"]),
        connection.value(EARLIER, place),
        connection.value(LATER, place),
        *counts,
    )


@in_reading
@decoding_rows
def read_config(connection: Connection, run_id: object) -> RunConfig:
    """Read the config of a run and what set each key."""
    run = resolve_run(connection, run_id)["id"]
    config = parse_stored_config(*read_stored_config(connection, run)).values
    return RunConfig(config, read_sources(connection, run))


@in_reading
@decoding_rows
def read_metrics(connection: Connection, run_id: object, text: str, after: str, size: int) -> MetricPage:
    """Read `size` metrics of a run whose names hold a text, behind a name."""
    run = resolve_run(connection, run_id)["id"]
    few = connection.value(COUNT_SERIES, (run,)) <= FEW_SERIES
    asked = {"run": run, "text": text, "after": after, "size": size + 1}
    rows = connection.all(SERIES_OF_FEW if few else SERIES_BY_NAME, asked)
    found = tuple(map(read_series_summary, rows[:size]))
    return MetricPage(found, found[-1].name if found and len(rows) > size else None)


@in_reading
@decoding_rows
def read_events(connection: Connection, run_id: object, start: int, size: int) -> tuple[Event, ...]:
    """Read `size` events of a run from number `start` on."""
    run = resolve_run(connection, run_id)["id"]
    rows = connection.all(EVENTS_FROM, (run, start, size))
    return tuple(Event(r["seq"], moment(r["happened_at"]), r["kind"], json.loads(r["data"])) for r in rows)


@in_reading
@decoding_rows
def read_artifacts(connection: Connection, run_id: object, start: int, size: int) -> tuple[Artifact, ...]:
    """Read `size` versions of artifacts of a run from place `start` on, by name and version."""
    run = resolve_run(connection, run_id)["id"]
    rows = connection.all(ARTIFACTS_FROM, (run, size, start))
    aliases: dict[tuple[str, int], list[str]] = {}
    names = json.dumps(sorted({row["name"] for row in rows}))
    for name, version, alias in connection.all(ALIASES_AMONG, (run, names)) if rows else ():
        aliases.setdefault((name, version), []).append(alias)
    return tuple(build_artifact(row, aliases.get((row["name"], row["version"]), ())) for row in rows)


@in_reading
@decoding_rows
def read_inputs(connection: Connection, run_id: object, start: int, size: int) -> tuple[ArtifactUse, ...]:
    """Read `size` uses of artifacts by a run from place `start` on, in the order of use."""
    run = resolve_run(connection, run_id)["id"]
    return tuple(map(build_use, connection.all(INPUTS_FROM, (run, size, start))))


@in_reading
@decoding_rows
def read_environment(connection: Connection, run_id: object) -> RunEnvironment:
    """Read the environment of a run, and its traceback."""
    row = resolve_run(connection, run_id)
    return RunEnvironment(read_environment_of(connection, row["id"]), row["traceback"])


def read_environment_of(connection: Connection, run: int) -> dict[str, Any]:
    """Read the environment of a run by its row id; an empty dict if there is none."""
    row = connection.one(ENVIRONMENT, (run,))
    if row is None:
        return {}
    found = {key: row[key] for key in row.keys() if key != "run"}  # noqa: SIM118 (a Row iterates values)
    for key in ("command", "system", "variables", "data_references"):
        found[key] = json.loads(found[key])
    return found
