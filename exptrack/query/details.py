"""List runs, and show everything about one.

Invariant: a run whose process is known to be dead counts as interrupted, even before a writer has recorded it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from exptrack.artifacts.listing import read_artifacts, read_inputs
from exptrack.config.exp_config import parse_stored_config
from exptrack.config.store import read_sources, read_stored_config
from exptrack.database.connection import Connection, Row, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.errors import InvalidTypeError
from exptrack.keypath import flatten_map
from exptrack.metrics.nans import read_nan_steps
from exptrack.metrics.store import read_summaries
from exptrack.plain import short_repr
from exptrack.query.run_filter import RunFilter
from exptrack.query.run_parts import read_environment_of
from exptrack.query.selection import NEWEST_FIRST, SelectedRun, Selection
from exptrack.records import Artifact, ArtifactUse, ConfigSource, Event, MetricSummary, Note, RunSummary
from exptrack.runs.attributes import read_attributes
from exptrack.runs.events import read_events
from exptrack.runs.lookup import RUNS_BY_ROW_ID, read_notes, resolve_run, summarize_runs
from exptrack.runs.ownership import find_dead_runs
from exptrack.shown import shown
from exptrack.times import moment
from exptrack.validation import check_whole

if TYPE_CHECKING:
    from exptrack.markup.notebook import View


@shown
@dataclass(frozen=True, slots=True)
class RunDetail:
    """Everything about one run.

    `config` is nested as it was given to ``start_run``, with references to the environment unresolved.
    `config_sources` names, by dotted path, what set each key. `deleted_at` is when the run was moved to the
    trash; None if it is not there. `nan_steps` names the metrics that are or were NaN, each with the first
    step at which it was.
    """

    summary: RunSummary
    config: dict[str, Any]
    notes: tuple[Note, ...]
    metrics: tuple[MetricSummary, ...]
    artifacts: tuple[Artifact, ...]
    events: tuple[Event, ...]
    environment: dict[str, Any]
    traceback: str | None
    config_sources: dict[str, ConfigSource] = field(default_factory=dict)
    inputs: tuple[ArtifactUse, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    deleted_at: datetime | None = None
    nan_steps: dict[str, int] = field(default_factory=dict)

    def _view(self) -> View:
        from exptrack.markup.notebook import View, draw_fields, own_metrics

        facts = {name: value for name, value in self.summary._as_row().items() if "metrics." not in name}
        parts = {
            "reason": self.summary.reason,
            "config": flatten_map(self.config),
            "metrics": own_metrics(self.metrics),
            "artifacts": self.artifacts,
            "notes": self.notes,
            "attributes": self.attributes,
            "inputs": self.inputs,
            "events": self.events,
            "environment": self.environment,
            "traceback": self.traceback,
        }
        return View(f"Run {self.summary.name or self.summary.run_id}", draw_fields(facts | parts))


@in_reading
def list_runs(
    connection: Connection, run_filter: RunFilter | None = None, limit: int | None = None
) -> list[RunSummary]:
    """Return the runs that a filter admits, newest first."""
    wanted = RunFilter() if run_filter is None else run_filter
    if not isinstance(wanted, RunFilter):
        raise InvalidTypeError(f"list_runs takes a RunFilter, not {short_repr(run_filter)}")
    limit = None if limit is None else check_whole(limit, "limit", 0)
    dead = find_dead_runs(connection)
    found = Selection(connection, wanted.condition(), NEWEST_FIRST, dead).rows(limit)
    return summarize_runs(connection, read_rows(connection, found), dead)


def read_rows(connection: Connection, found: Sequence[SelectedRun]) -> list[Row]:
    """Read the rows of selected runs, in their order; a run that was deleted meanwhile is left out."""
    rows = connection.all(RUNS_BY_ROW_ID, (json.dumps([one.run for one in found]),))
    by_run = {row["id"]: row for row in rows}
    return [by_run[one.run] for one in found if one.run in by_run]


@in_reading
@decoding_rows
def show_run(connection: Connection, run_id: object) -> RunDetail:
    """Return everything about one run."""
    row = resolve_run(connection, run_id)
    run = row["id"]
    return RunDetail(
        summary=summarize_runs(connection, [row], find_dead_runs(connection))[0],
        config=parse_stored_config(*read_stored_config(connection, run)).values,
        notes=read_notes(connection, run),
        metrics=read_summaries(connection, [run])[run],
        artifacts=read_artifacts(connection, run),
        events=read_events(connection, run),
        environment=read_environment_of(connection, run),
        traceback=row["traceback"],
        config_sources=read_sources(connection, run),
        inputs=read_inputs(connection, run),
        attributes=read_attributes(connection, run),
        deleted_at=None if row["deleted_at"] is None else moment(row["deleted_at"]),
        nan_steps=read_nan_steps(connection, [run]).get(run, {}),
    )
