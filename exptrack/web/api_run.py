"""Answer questions about one run, part by part: a run may have a million events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exptrack import Archive, MetricSummary
from exptrack.metric_order import SYSTEM, is_system
from exptrack.web.api import Handler
from exptrack.web.page import Page
from exptrack.web.question import Question

BEFORE_SYSTEM = "system."  # the sign before the slash
MAX_COUNTED = 2_000  # metrics; the total of more is not told
PIECE = 1_000
MAX_EVENTS = 10_000
MAX_ARTIFACTS = 10_000


def show_run(page: Page, question: Question) -> dict[str, Any]:
    """Show what a run is, and which runs began before and after it. Its metrics are a part of their own."""
    head = page.archive.read_head(question.part("run"))._asdict()
    return {"run": head.pop("summary")._asdict() | head}


def show_config(page: Page, question: Question) -> dict[str, Any]:
    """Show the config of a run, and what set each key."""
    return page.archive.read_config(question.part("run"))._asdict()


def show_metrics(page: Page, question: Question) -> dict[str, Any]:
    """List the metrics of a run with their summaries: those named like `search`, a page at a time.

    `part` is ``own`` for what the run logged, or ``system`` for what it measured of its machine. The total is
    null if there are more than 2,000.
    """
    part, start = question.text("part"), max(0, question.whole("start", 0))
    end = start + max(0, question.whole("size", MAX_COUNTED))
    found, total = [], 0
    # System metrics have their place in the order of names; nothing before it need be read.
    after = BEFORE_SYSTEM if part == "system" else None
    for metric in _iterate_metrics(page.archive, question.part("run"), question.text("search"), after):
        if part in ("", part_of(metric.name)):
            if start <= total < end:
                found.append(metric)
            total += 1
            if total > max(end, MAX_COUNTED):
                return {"metrics": found, "total": None}
        elif part == "system" and metric.name > SYSTEM:
            break
    return {"metrics": found, "total": total}


def _iterate_metrics(archive: Archive, run: str, text: str, after: str | None) -> Iterator[MetricSummary]:
    while True:
        piece = archive.read_metrics(run, text=text, after=after, size=PIECE)
        yield from piece.metrics
        after = piece.after
        if after is None:
            return


def part_of(metric: str) -> str:
    """Return the part of a run's metrics to which a name belongs."""
    return "system" if is_system(metric) else "own"


def show_events(page: Page, question: Question) -> dict[str, Any]:
    """List events of a run, from one number on."""
    start, size = question.whole("start", 0), min(question.whole("size", MAX_EVENTS), MAX_EVENTS)
    return {"events": page.archive.read_events(question.part("run"), start=start, size=size)}


def show_artifacts(page: Page, question: Question) -> dict[str, Any]:
    """List the artifacts of a run, and those that it used, from one place on."""
    run, start = question.part("run"), question.whole("start", 0)
    size = min(question.whole("size", MAX_ARTIFACTS), MAX_ARTIFACTS)
    return {
        "artifacts": page.archive.read_artifacts(run, start=start, size=size),
        "inputs": page.archive.read_inputs(run, size=size),
    }


def show_environment(page: Page, question: Question) -> dict[str, Any]:
    """Show where a run ran, from which code, and the traceback of its failure."""
    return page.archive.read_environment(question.part("run"))._asdict()


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
