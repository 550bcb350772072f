"""Answer questions about one run, part by part: a run may have a million events."""

from __future__ import annotations

from typing import Any

from exptrack import Archive
from exptrack.web.api import Handler
from exptrack.web.page import Page
from exptrack.web.question import Question

SYSTEM = "system/"  # begins the names of what a run measures of its machine


def show_run(page: Page, question: Question) -> dict[str, Any]:
    """Show what a run is, and which runs began before and after it."""
    archive = page.archive
    found = archive.show_run(question.part("run"))
    row_id, previous, following = _find_neighbours(archive, found.summary.run_id)
    own = {
        "attributes": found.attributes,
        "notes": found.notes,
        "deleted_at": found.deleted_at,
        "row_id": row_id,
        "previous": previous,
        "next": following,
    }
    return {"run": found.summary._asdict() | own}


def _find_neighbours(archive: Archive, run_id: str) -> tuple[int | None, str | None, str | None]:
    """Return the row id of a run, and the runs that began before and after it; None for one in the trash."""
    place = archive.runs().where("id = ?", run_id).page(1).after
    if place is None:
        return None, None, None
    older = archive.runs().page(1, place).runs
    newer = archive.runs().order_by("started").page(1, place).runs
    return place.run, older[0].run_id if older else None, newer[0].run_id if newer else None


def show_config(page: Page, question: Question) -> dict[str, Any]:
    """Show the config of a run, and what set each key."""
    found = page.archive.show_run(question.part("run"))
    return {"config": found.config, "sources": found.config_sources}


def show_metrics(page: Page, question: Question) -> dict[str, Any]:
    """List the metrics of a run with their summaries: those named like `search`, a page at a time.

    `part` is ``own`` for what the run logged, or ``system`` for what it measured of its machine.
    """
    part, search = question.text("part"), question.text("search").casefold()
    found = [
        metric
        for metric in page.archive.show_run(question.part("run")).metrics
        if search in metric.name.casefold() and part in ("", part_of(metric.name))
    ]
    start, size = max(0, question.whole("start", 0)), question.whole("size", len(found))
    return {"metrics": found[start : start + max(0, size)], "total": len(found)}


def part_of(metric: str) -> str:
    """Return the part of a run's metrics to which a name belongs."""
    return "system" if metric.startswith(SYSTEM) else "own"


def show_events(page: Page, question: Question) -> dict[str, Any]:
    """List the events of a run."""
    return {"events": page.archive.read_events(question.part("run"))}


def show_artifacts(page: Page, question: Question) -> dict[str, Any]:
    """List the artifacts of a run, and those that it used."""
    found = page.archive.show_run(question.part("run"))
    return {"artifacts": found.artifacts, "inputs": found.inputs}


def show_environment(page: Page, question: Question) -> dict[str, Any]:
    """Show where a run ran, from which code, and the traceback of its failure."""
    found = page.archive.show_run(question.part("run"))
    return {"environment": found.environment, "traceback": found.traceback}


def show_changes(page: Page, question: Question) -> dict[str, Any]:
    """Compare a run with the run before it."""
    return {"changes": page.archive.what_changed(question.part("run"))}


def show_lineage(page: Page, question: Question) -> dict[str, Any]:
    """Trace the inputs of a run, and what was made from its artifacts."""
    return {"lineage": page.archive.lineage(question.part("run"))}


HANDLERS: list[tuple[str, Handler]] = [
    ("/api/run/{run}", show_run),
    ("/api/run/{run}/config", show_config),
    ("/api/run/{run}/metrics", show_metrics),
    ("/api/run/{run}/events", show_events),
    ("/api/run/{run}/artifacts", show_artifacts),
    ("/api/run/{run}/environment", show_environment),
    ("/api/changes/{run}", show_changes),
    ("/api/lineage/{run}", show_lineage),
]
