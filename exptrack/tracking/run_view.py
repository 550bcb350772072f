"""Show a run in a notebook: what it is and how far it has come, with its config, metrics and artifacts."""

from __future__ import annotations

from typing import Any

from exptrack.artifacts.listing import read_artifacts
from exptrack.artifacts.pictures import draw_artifacts
from exptrack.artifacts.store import ArtifactStore
from exptrack.config.exp_config import parse_stored_config
from exptrack.config.store import read_stored_config
from exptrack.database.connection import Connection, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.errors import RunNotFoundError
from exptrack.keypath import flatten_map
from exptrack.markup.elements import write_count
from exptrack.markup.notebook import View, draw_fields, fold, own_metrics
from exptrack.metrics.store import read_summaries
from exptrack.metrics.writer import drain_all
from exptrack.records import Artifact
from exptrack.runs.attributes import read_attributes
from exptrack.runs.lookup import read_notes, read_runs, summarize_runs
from exptrack.runs.ownership import find_dead_runs


def view_run(connection: Connection, run: int, run_id: str) -> View:
    """Return what a notebook shows of a run, as its file has it now."""
    drain_all(connection.file)
    fields, artifacts = _read_fields(connection, run, run_id)
    parts = draw_fields(fields)
    if artifacts:
        drawn = draw_artifacts(ArtifactStore(connection, run, run_id), artifacts)
        parts.append(fold(write_count(len(artifacts), "artifact"), drawn))
    return View(f"Run {fields['name'] or run_id}", parts)


@in_reading
@decoding_rows
def _read_fields(connection: Connection, run: int, run_id: str) -> tuple[dict[str, Any], tuple[Artifact, ...]]:
    rows = read_runs(connection, [run])
    if not rows:
        raise RunNotFoundError(run_id, str(connection.path))
    (summary,) = summarize_runs(connection, rows, find_dead_runs(connection), with_metrics=False)
    config = parse_stored_config(*read_stored_config(connection, run)).values
    fields: dict[str, Any] = {
        **summary._as_row(),
        "reason": summary.reason,
        "config": flatten_map(config),
        "attributes": read_attributes(connection, run),
        "notes": read_notes(connection, run),
        "metrics": own_metrics(read_summaries(connection, [run])[run]),
    }
    return fields, read_artifacts(connection, run)
