"""Show everything about one run.

Invariant: a run whose process is known to be dead counts as interrupted, even before a writer has recorded it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from exptrack.artifacts.listing import read_artifacts, read_inputs
from exptrack.config.exp_config import parse_stored_config
from exptrack.config.store import read_sources, read_stored_config
from exptrack.database.connection import Connection, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.keypath import flatten_map
from exptrack.metrics.nans import read_nan_steps
from exptrack.metrics.store import read_summaries
from exptrack.query.run_parts import read_environment_of
from exptrack.records import Artifact, ArtifactUse, ConfigSource, Event, MetricSummary, Note, RunSummary
from exptrack.runs.attributes import read_attributes
from exptrack.runs.events import read_events
from exptrack.runs.lookup import read_notes, resolve_run, summarize_runs
from exptrack.runs.ownership import find_dead_runs
from exptrack.shown import shown
from exptrack.times import moment

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
